//! Every route and every role, with a reason on file and without; and what holds when nobody asks for one.

mod glass;
mod log;
mod reasons;
mod signed_in;
mod table;
mod tokens;
mod twice;

use axum::http::{Method, StatusCode};
use homeward_record::{Metric, PatientId};
use homeward_store::access::{Role, act_as, enrol};
use homeward_store::admin::add_organisation;
use homeward_store::choices::{Chosen, ResearchSource, choose_research};
use homeward_store::shares::{NewShare, add_share};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use self::table::TABLE;
use super::may::does;
use crate::routes::api_routes;
use crate::share::shown;
use crate::testing::{TestApp, at, now};

fn may_use(method: &Method, path: &str, role: Role) -> bool {
    let row = TABLE.iter().find(|row| (row.0, row.1) == (method.as_str(), path));
    let (.., roles) = row.unwrap_or_else(|| panic!("nobody has said who may use {method} {path}"));
    let index = Role::ALL.iter().position(|other| *other == role).unwrap();
    roles.as_bytes()[index] != b'.'
}

/// Two patients, of whom everybody here has a reason to see the first and nobody to see the second; each has a reading
/// and an alert, which has the patient's number among these two.
struct Ward {
    app: TestApp,
    practice: i64,
    team: i64,
    known: PatientId,
    unknown: PatientId,
}

impl Ward {
    async fn open(app: TestApp) -> Ward {
        let mut connection = app.connection().await;
        let practice = add_organisation(&mut connection, "gp_practice", "High Street")
            .await
            .unwrap();
        let team = add_organisation(&mut connection, "care_team", "North")
            .await
            .unwrap();
        let others = add_organisation(&mut connection, "care_team", "South")
            .await
            .unwrap();
        drop(connection);
        let known = app.add_patient_of(Some(practice), Some(team)).await;
        let unknown = app.add_patient_of(None, Some(others)).await;
        for patient in [known, unknown] {
            let rule = app.add_rule(patient).await;
            let device = app.add_device(patient).await;
            let reading = (Metric::HeartRate, at("2026-11-22T11:00:00Z"), 72.0);
            app.store(patient, device, &[reading]).await;
            app.raise(patient, rule, "high", false).await;
            share_and_choose(&app, patient).await;
        }
        Ward {
            app,
            practice,
            team,
            known,
            unknown,
        }
    }

    /// Enrols the first patient, if that is not so.
    async fn enrol(&self) {
        let mut connection = self.app.connection().await;
        enrol(&mut connection, &[self.known], self.team, "Dr Ng", now())
            .await
            .unwrap();
    }

    /// The token of somebody in a role who has a reason to see the first patient, if the role can have one.
    async fn token_of(&self, role: Role) -> String {
        let organisation = match role {
            Role::CareTeamMember | Role::CareTeamLead | Role::Integrator => Some(self.team),
            Role::GpClinician | Role::GpManager => Some(self.practice),
            Role::Patient | Role::PrivacyOfficer | Role::Administrator => None,
        };
        let patient = (role == Role::Patient).then_some(self.known);
        self.app.token_of(role, organisation, patient).await
    }
}

/// Has a patient share a summary and let research use the record: the first things of their kind have the number 1.
async fn share_and_choose(app: &TestApp, patient: PatientId) {
    let mut connection = app.connection().await;
    let secret = format!("secret of {patient}");
    let new = NewShare {
        patient,
        opened_by: shown(&secret, "12345678"),
        made_for: None,
        by: "Ada",
        expires_at: now() + chrono::TimeDelta::hours(1),
        most_wrong_codes: 5,
    };
    add_share(&mut connection, &new, now()).await.unwrap();
    let chosen = Chosen {
        by: "Ada",
        at: now(),
        from: now(),
    };
    choose_research(&mut connection, &[patient], ResearchSource::Patient, true, chosen)
        .await
        .unwrap();
}

/// A path with a patient's number; and that of the patient's alert, which says whose device it is as well.
fn filled(path: &str, patient: i64, alert: i64) -> String {
    let device = 10_000 + alert;
    let observation = format!("{patient}-{device}-1-1795345200000000");
    path.replace("{patient}", &patient.to_string())
        .replace("{provenance}", &format!("observation-{observation}"))
        .replace("{observation}", &observation)
        .replace("{device_metric}", &format!("{device}-1"))
        .replace("{device}", &device.to_string())
        .replace("{alert}", &alert.to_string())
        .replace("{share}", &alert.to_string())
        .replace("{consent}", &format!("research-{alert}"))
        .replace("{type}", "heart_rate")
        .replace("{code}", "glucose-very-low")
        .replace("{break_glass}", "1")
        .replace("{group}", "101")
        .replace("{export}", "1")
        .replace("{organisation}", "1")
        .replace("{task}", "1")
        .replace("{team}", "103")
        .replace("{account}", "501")
        .replace("{role}", "1")
        .replace("{token}", "1")
        .replace("{message}", "1")
}

/// Whether nobody was refused. What may be missing are a body, a version, a break-glass to review, a task, an export, an
/// account, or a message that was refused.
fn was_let_in(status: StatusCode, path: &str) -> bool {
    let missing = ["/tasks/1", "/$export-", "/people/501", "/tokens/1", "/rejected/1"];
    let of_nothing = path.ends_with("/review") || missing.iter().any(|part| path.contains(part));
    status.is_success()
        || status == StatusCode::SEE_OTHER
        || status == StatusCode::BAD_REQUEST
        || status == StatusCode::UNPROCESSABLE_ENTITY
        || status == StatusCode::PRECONDITION_REQUIRED
        || (status == StatusCode::NOT_FOUND && of_nothing)
        // It was given back, or taken up, before, by somebody in another role.
        || (status == StatusCode::CONFLICT && (path.ends_with("/return") || path.starts_with("/alerts/")))
}

#[tokio::test]
async fn every_role_may_use_the_routes_that_the_table_says_and_no_other() {
    let ward = Ward::open(TestApp::start().await).await;
    let routes = api_routes();
    assert_eq!(routes.len(), TABLE.len());
    for role in Role::ALL {
        let token = ward.token_of(role).await;
        for route in &routes {
            let allowed = may_use(&route.method, route.path, role);
            assert_eq!(
                does(role, route.action),
                allowed,
                "{role} {} {}",
                route.method,
                route.path
            );
            let path = filled(route.path, ward.known.0, 1);
            // One of the routes ends the enrolment.
            ward.enrol().await;
            let status = ward.app.status_as(&token, &route.method, &path).await;
            let what = format!("{role} {} {path}: {status}", route.method);
            match allowed {
                true => assert!(was_let_in(status, &path), "{what}"),
                false => assert_eq!(status, StatusCode::FORBIDDEN, "{what}"),
            }
        }
    }
}

#[tokio::test]
async fn invariant_8_without_a_reason_on_file_a_patient_is_not_there() {
    let ward = Ward::open(TestApp::start().await).await;
    // These two look after all, and see nothing clinical: the table says so.
    let without = [Role::PrivacyOfficer, Role::Administrator];
    for role in Role::ALL.into_iter().filter(|role| !without.contains(role)) {
        let token = ward.token_of(role).await;
        let routes = api_routes();
        let named = [
            "{patient}",
            "{alert}",
            "{observation}",
            "{provenance}",
            "{device}",
            "{device_metric}",
        ];
        let of_one = |path: &str| named.iter().any(|name| path.contains(name));
        for route in routes
            .iter()
            .filter(|route| of_one(route.path) && does(role, route.action))
        {
            let ask = async |patient: i64, alert: i64| {
                // A body that every one of these routes can read.
                let body = json!({});
                let path = filled(route.path, patient, alert);
                let answer = ward.app.send_as(&token, &route.method, &path, Some(&body)).await;
                (
                    answer.status,
                    answer
                        .body
                        .replace(&format!("patient {patient}"), "patient *")
                        .replace(&format!("device {}", 10_000 + alert), "device *")
                        .replace(&format!("alert {alert}"), "alert *"),
                )
            };
            let unseen = ask(ward.unknown.0, 2).await;
            assert_eq!(
                unseen,
                ask(7777, 8888).await,
                "{role} {} {}",
                route.method,
                route.path
            );
            if route.path.contains("{patient}") {
                assert_eq!(unseen.0, StatusCode::NOT_FOUND, "{role} {}", route.path);
            }
        }
        if does(role, super::Action::ReadAlerts) {
            let listed = ward
                .app
                .send_as(&token, &Method::GET, "/api/v1/alerts", None)
                .await
                .json();
            let of: Vec<&Value> = listed["alerts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|alert| &alert["patient"])
                .collect();
            assert_eq!(of, [&json!(ward.known)], "{role}");
        }
    }
}

#[tokio::test]
async fn invariant_8_row_level_security_holds_when_nobody_asks_for_a_reason() {
    let ward = Ward::open(TestApp::start_deciding_by(|_, _, _| Ok(()), |_| {}).await).await;
    for role in Role::ALL {
        let token = ward.token_of(role).await;
        for path in ["trends/heart_rate", "readings", "glucose-summary", "care-plan"] {
            let path = format!("/api/v1/patients/{}/{path}", ward.unknown);
            let status = ward.app.status_as(&token, &Method::GET, &path).await;
            // An administrator may know that the patient exists, and finds nothing.
            match role {
                Role::Administrator => {
                    let answer = ward.app.send_as(&token, &Method::GET, &path, None).await;
                    assert!(
                        !answer.body.contains("72.0") && !answer.body.contains("glucose-very-low"),
                        "{path}"
                    );
                }
                _ => assert_eq!(status, StatusCode::NOT_FOUND, "{role} {path}"),
            }
        }
        // Whoever asks by FHIR finds nothing either. An administrator may know of a patient and of a device, and of
        // nothing that was measured.
        for route in api_routes()
            .iter()
            .filter(|route| route.path.starts_with("/fhir"))
        {
            let path = filled(route.path, ward.unknown.0, 2);
            let asked = format!("{path}?patient={}&code=8867-4", ward.unknown);
            let answer = ward.app.send_as(&token, &Method::GET, &asked, None).await;
            let knows =
                role == Role::Administrator && (path.contains("/Device") || path.contains("/Patient"));
            let secrets = match knows {
                true => &["72.0", "glucose-very-low"][..],
                false => &["72.0", "glucose-very-low", "9990000107", "\"Device\""],
            };
            let found = secrets.iter().find(|secret| answer.body.contains(**secret));
            assert_eq!(found, None, "{role} {path}: {}", answer.body);
        }
        for path in ["/api/v1/alerts/2", "/api/v1/alerts/2/acknowledge"] {
            let method = if path.ends_with('2') {
                Method::GET
            } else {
                Method::POST
            };
            let status = ward.app.status_as(&token, &method, path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{role} {path}");
        }
    }
}

/// Tables with a column of a patient that row-level security need not watch: who holds a role is no secret.
const UNWATCHED: [&str; 2] = ["gate_change", "held_role"];

#[tokio::test]
async fn whatever_requests_can_read_of_a_patient_is_behind_a_lock() {
    let ward = Ward::open(TestApp::start().await).await;
    // Chunks of hypertables are tables too.
    let readable: Vec<(String, String)> = sqlx::query_as(
        "SELECT nspname::text, relname::text
         FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid JOIN pg_namespace ON relnamespace = pg_namespace.oid
         WHERE attname = 'patient_id' AND relkind IN ('r', 'p', 'v', 'm')
             AND has_column_privilege('homeward_api', pg_class.oid, attname, 'SELECT')
             AND has_schema_privilege('homeward_api', nspname, 'USAGE')
         ORDER BY 1, 2",
    )
    .fetch_all(ward.app.pool())
    .await
    .unwrap();
    assert!(readable.len() > 12, "{readable:?}");
    let lead = ward.token_of(Role::CareTeamLead).await;
    let held_role: i64 = lead.trim_start_matches("token-").parse().unwrap();
    let requests = ward.app.database.pool_for_requests();
    // A list of all whom a team may see, as a condition on an index, is gone through for each row that is looked up.
    let by_list: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_policies WHERE qual ~ 'patient_id = ANY.*visible_patients' ORDER BY 1",
    )
    .fetch_all(ward.app.pool())
    .await
    .unwrap();
    assert_eq!(by_list, [""; 0], "these policies want `IN (SELECT UNNEST(…))`");
    let count = async |table: &str, patient: PatientId, asked: Option<PatientId>| -> i64 {
        let mut transaction = requests.begin().await.unwrap();
        act_as(&mut transaction, held_role, asked, now()).await.unwrap();
        let count = format!("SELECT count(*) FROM {table} WHERE patient_id = {patient}");
        let count = sqlx::query_scalar(AssertSqlSafe(count))
            .fetch_one(&mut *transaction)
            .await;
        count.unwrap_or_else(|error| panic!("{table}: {error}"))
    };
    let mut seen = 0;
    for (schema, table) in readable
        .iter()
        .filter(|(_, table)| !UNWATCHED.contains(&table.as_str()))
    {
        let table = format!("{schema}.{table}");
        for asked in [None, Some(ward.known), Some(ward.unknown)] {
            assert_eq!(count(&table, ward.unknown, asked).await, 0, "{table}");
        }
        seen += count(&table, ward.known, None).await;
    }
    assert!(seen >= 5, "the known patient, reading, enrolment, rule and alert");
}
