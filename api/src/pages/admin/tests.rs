use chrono::TimeDelta;
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::access::{Role, act_as, default_team};
use homeward_store::admin::{AdminError, add_organisation};
use homeward_store::devices::{Contact, note_contacts};
use homeward_store::rejected::{RejectedMessage, insert_rejected};
use serde_json::json;

use crate::pages::tests::{Browser, location, signed_in, token};
use crate::qr;
use crate::testing::{Answer, PASSWORD, TestApp, now};

/// A form with the token of a page, and what is typed into it.
fn form(page: &Answer, fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf_token", token(page));
    form.extend_pairs(fields);
    form.finish()
}

/// What stands between two texts of a page.
fn between<'a>(page: &'a Answer, before: &str, after: &str) -> &'a str {
    let rest = page.body.split_once(before).map(|(_, rest)| rest);
    let found = rest.and_then(|rest| rest.split_once(after));
    found.unwrap_or_else(|| panic!("{before} in {}", page.body)).0
}

fn assert_has(page: &Answer, texts: &[&str]) {
    for text in texts {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
}

async fn administrator(app: &TestApp) -> Browser<'_> {
    signed_in(app, "admin", Role::Administrator, (None, None)).await
}

/// The lead of the default team.
async fn lead(app: &TestApp) -> Browser<'_> {
    let team = default_team(&mut *app.connection().await).await.unwrap();
    signed_in(app, "lead", Role::CareTeamLead, (Some(team), None)).await
}

/// The last row of the log about this action: whether it was done, and what was noted.
async fn logged(app: &TestApp, action: &str) -> (String, Option<String>) {
    sqlx::query_as(
        "SELECT outcome, reason FROM audit_event WHERE action = $1 AND reason IS NOT NULL ORDER BY sequence DESC LIMIT 1",
    )
    .bind(action)
    .fetch_one(app.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn a_person_is_added_granted_a_role_locked_and_unlocked() {
    let app = TestApp::start().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let mut admin = administrator(&app).await;
    assert_eq!(location(&admin.get("/").await), "/admin");
    assert_has(
        &admin.get("/admin").await,
        &["Add a person", "aria-current=\"page\""],
    );

    let page = admin.get("/admin/people/new").await;
    let once = between(&page, "name=\"once\" value=\"", "\"").to_owned();
    let refused = admin
        .post(
            "/admin/people",
            &form(
                &page,
                &[
                    ("name", "Sam <b>Field"),
                    ("sign_in_name", "sam field"),
                    ("once", &once),
                ],
            ),
        )
        .await;
    assert_eq!(refused.status, 422);
    // What was typed stays, as text; what was wrong is said at its head and at its field.
    assert_has(
        &refused,
        &[
            "Sam &#60;b&#62;Field",
            "sam field",
            "There is a problem",
            "href=\"#sign_in_name\"",
            "id=\"sign_in_name-error\"",
        ],
    );
    let good = form(
        &page,
        &[
            ("name", "Sam Field"),
            ("sign_in_name", "Sam.Field"),
            ("once", &once),
        ],
    );
    let added = admin.post("/admin/people", &good).await;
    assert_eq!(added.status, 200, "{}", added.body);
    assert_eq!(added.headers["cache-control"], "no-store");
    let first = between(&added, "data-password>", "<").to_owned();
    let path = format!(
        "/admin/people/{}",
        between(&added, "href=\"/admin/people/", "\">Go on")
    );
    // A second click adds nobody, and shows nothing again.
    let again = admin.post("/admin/people", &good).await;
    assert_eq!(again.status, 409);
    assert!(!again.body.contains(&first));
    assert_eq!(
        logged(&app, "manage_people").await,
        (
            "done".to_owned(),
            Some("added Sam Field (sam.field), account 502".to_owned())
        )
    );
    assert!(!again.body.contains("sam.field"));

    let person = admin.get(&path).await;
    assert_has(&person, &["Sam Field", "None yet", "Has not chosen a password"]);
    let nowhere = admin
        .post(
            &format!("{path}/roles"),
            &form(&person, &[("role", "care_team_member")]),
        )
        .await;
    assert_eq!(nowhere.status, 422);
    assert_has(
        &nowhere,
        &["Say in which organisation", "value=\"care_team_member\" selected"],
    );
    let fields = [
        ("role", "care_team_member"),
        ("organisation", &team.to_string()),
        ("patient", ""),
    ];
    let granted = admin
        .post(&format!("{path}/roles"), &form(&person, &fields))
        .await;
    assert_eq!(location(&granted), path);
    assert_has(&admin.get(&path).await, &["Care team, Community care team"]);

    // The first password is for choosing another one, and then she is a nurse of the team.
    let mut nurse = Browser {
        app: &app,
        cookie: String::new(),
    };
    let typed = format!("name=sam.field&password={first}");
    assert_eq!(location(&nurse.post("/sign-in", &typed).await), "/");
    assert_eq!(location(&nurse.get("/").await), "/password");
    let choose = nurse.get("/password").await;
    let chosen = form(&choose, &[("old", &first), ("new", "nine wooden horses")]);
    assert_eq!(location(&nurse.post("/password", &chosen).await), "/");
    let roles = nurse.get("/role").await;
    let role = between(&roles, "name=\"role\" type=\"radio\" value=\"", "\"").to_owned();
    let picked = form(&roles, &[("role", &role)]);
    assert_eq!(location(&nurse.post("/role", &picked).await), "/");
    assert_eq!(nurse.get("/worklist").await.status, 200);

    let person = admin.get(&path).await;
    let locked = admin.post(&format!("{path}/lock"), &form(&person, &[])).await;
    assert_eq!(location(&locked), path);
    assert_eq!(location(&nurse.get("/worklist").await), "/sign-in?to=%2Fworklist");
    let typed = "name=sam.field&password=nine+wooden+horses";
    assert_eq!(nurse.post("/sign-in", typed).await.status, 422);
    let person = admin.get(&path).await;
    assert_has(&person, &["Locked"]);
    admin.post(&format!("{path}/unlock"), &form(&person, &[])).await;
    assert_eq!(location(&nurse.post("/sign-in", typed).await), "/");

    // Another first password signs her out; ending the role leaves her with nothing.
    let person = admin.get(&path).await;
    let given = admin.post(&format!("{path}/password"), &form(&person, &[])).await;
    assert_eq!(given.status, 200, "{}", given.body);
    assert_ne!(between(&given, "data-password>", "<"), first);
    assert_eq!(location(&nurse.get("/worklist").await), "/sign-in?to=%2Fworklist");
    let role = between(&person, &format!("action=\"{path}/roles/"), "/end").to_owned();
    let ended = admin
        .post(&format!("{path}/roles/{role}/end"), &form(&person, &[]))
        .await;
    assert_eq!(location(&ended), path);
    assert_has(&admin.get(&path).await, &["None yet"]);
    let log = admin.get("/admin/log").await;
    assert_has(
        &log,
        &[
            "Added Sam Field (sam.field), account 502",
            "Gave Sam Field, account 502, another first password",
            "Locked Sam Field",
        ],
    );
}

#[tokio::test]
async fn nobody_administers_themselves_also_not_by_the_database_alone() {
    let app = TestApp::start().await;
    let mut connection = app.connection().await;
    let team = default_team(&mut connection).await.unwrap();
    let account = app.add_account("admin").await;
    let held = app.grant(account, Role::Administrator, None, None).await;
    let mut admin = Browser {
        app: &app,
        cookie: String::new(),
    };
    let typed = format!("name=admin&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(location(&admin.post("/sign-in", &typed).await), "/");
    let path = format!("/admin/people/{account}");
    let own = admin.get(&path).await;
    assert_has(&own, &["This is your own account"]);
    assert!(!own.body.contains("Grant the role"));
    let fields = [("role", "care_team_lead"), ("organisation", &team.to_string())];
    for (rest, fields) in [
        ("/roles", &fields[..]),
        (&format!("/roles/{held}/end"), &[]),
        ("/lock", &[]),
        ("/unlock", &[]),
        ("/password", &[]),
    ] {
        let refused = admin.post(&format!("{path}{rest}"), &form(&own, fields)).await;
        assert_eq!(refused.status, 403, "{rest}: {}", refused.body);
    }

    // Whatever the pages do: the database takes no role for oneself, and from nobody who is no administrator.
    let nurse = app.grant(account, Role::CareTeamMember, Some(team), None).await;
    let other = app.add_account("other").await;
    let requests = app.database.pool_for_requests();
    for (acting, of, allowed) in [(held, account, false), (held, other, true), (nurse, other, false)] {
        let mut transaction = requests.begin().await.unwrap();
        act_as(&mut transaction, acting, None, now()).await.unwrap();
        let granted = homeward_store::access::grant_role(
            &mut transaction,
            &homeward_store::access::NewRole {
                account: Some(of),
                role: Role::PrivacyOfficer,
                organisation: None,
                patient: None,
            },
            now(),
        )
        .await;
        assert_eq!(granted.is_ok(), allowed, "{acting} to {of}: {granted:?}");
    }
    for statement in [
        "UPDATE account SET password_hash = 'x'",
        "INSERT INTO organisation (kind, name) VALUES ('care_team', 'Mine')",
        "UPDATE api_token SET revoked_at = now()",
    ] {
        let mut transaction = requests.begin().await.unwrap();
        act_as(&mut transaction, nurse, None, now()).await.unwrap();
        let done = sqlx::query(statement).execute(&mut *transaction).await;
        assert!(done.is_err() || done.unwrap().rows_affected() == 0, "{statement}");
    }
}

#[tokio::test]
async fn an_administrator_sees_who_people_are_and_nothing_that_was_measured() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    app.raise(patient, rule, "high", false).await;
    let device = app.add_device(patient).await;
    let at = now() - TimeDelta::hours(1);
    app.store(patient, device, &[(Metric::Glucose, at, 2.625)]).await;
    reject(
        &app,
        device,
        b"{\"readings\": [{\"type\": \"glucose\", \"value\": 2.625}]}",
    )
    .await;
    let admin = administrator(&app).await;
    for path in [
        "/admin".to_owned(),
        "/admin/people".to_owned(),
        "/admin/people/501".to_owned(),
        "/admin/organisations".to_owned(),
        "/admin/patients".to_owned(),
        "/admin/patients?q=ada".to_owned(),
        format!("/admin/patients/{patient}"),
        "/admin/devices".to_owned(),
        format!("/admin/devices/{device}"),
        "/admin/tokens".to_owned(),
        "/admin/rejected".to_owned(),
        "/admin/health".to_owned(),
        "/admin/log".to_owned(),
    ] {
        let page = admin.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        for clinical in ["2.6", "Glucose very low", "glucose-very-low", "mmol"] {
            assert!(
                !page.body.contains(clinical),
                "{clinical} on {path}: {}",
                page.body
            );
        }
    }
    for path in [
        "/worklist".to_owned(),
        format!("/patients/{patient}"),
        "/practice".to_owned(),
    ] {
        assert_eq!(admin.get(&path).await.status, 403, "{path}");
    }
    // What is in a refused message no request reads, whoever asks.
    let held: i64 = sqlx::query_scalar("SELECT held_role_id FROM held_role WHERE role = 'administrator'")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let requests = app.database.pool_for_requests();
    for column in ["payload", "reasons"] {
        let mut transaction = requests.begin().await.unwrap();
        act_as(&mut transaction, held, None, now()).await.unwrap();
        let query = format!("SELECT {column}::text FROM rejected_message");
        let read = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_all(&mut *transaction)
            .await;
        assert!(read.is_err(), "{column}");
    }
}

#[tokio::test]
async fn organisations_and_tokens_are_added_and_tokens_revoked() {
    let app = TestApp::start().await;
    let mut admin = administrator(&app).await;
    let page = admin.get("/admin/organisations").await;
    let wrong = admin
        .post(
            "/admin/organisations",
            &form(&page, &[("name", " "), ("kind", "shop")]),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_has(&wrong, &["href=\"#name\"", "href=\"#kind\""]);
    let fields = [("name", "High Street"), ("kind", "gp_practice")];
    assert_eq!(
        location(&admin.post("/admin/organisations", &form(&page, &fields)).await),
        "/admin/organisations"
    );
    assert_has(
        &admin.get("/admin/organisations").await,
        &["High Street", "GP practice"],
    );
    let practice: i64 =
        sqlx::query_scalar("SELECT organisation_id FROM organisation WHERE name = 'High Street'")
            .fetch_one(app.pool())
            .await
            .unwrap();

    let page = admin.get("/admin/tokens/new").await;
    let wrong = admin
        .post(
            "/admin/tokens",
            &form(
                &page,
                &[
                    ("name", "Lab"),
                    ("role", "integrator"),
                    ("scopes", "Observation"),
                    ("days", "0"),
                ],
            ),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_has(
        &wrong,
        &[
            "value=\"Lab\"",
            ">Observation</textarea>",
            "is no scope",
            "in which organisation",
            "Expected 1 to",
        ],
    );
    let fields = [
        ("name", "Lab"),
        ("role", "integrator"),
        ("organisation", &practice.to_string()),
        ("scopes", "user/Patient.read"),
        ("days", "30"),
    ];
    let made = admin.post("/admin/tokens", &form(&page, &fields)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let secret = between(&made, "data-token>", "<").to_owned();
    let status = async |path: &str| {
        app.send_as(&secret, &axum::http::Method::GET, path, None)
            .await
            .status
            .as_u16()
    };
    assert_eq!(status("/api/v1/patients").await, 200);
    assert_eq!(status("/api/v1/alerts").await, 403);
    let list = admin.get("/admin/tokens").await;
    assert_has(&list, &["Lab", "user/Patient.read", "until <time"]);
    assert!(!list.body.contains(&secret));
    let id = between(&list, "action=\"/admin/tokens/", "/revoke").to_owned();
    let revoked = admin
        .post(&format!("/admin/tokens/{id}/revoke"), &form(&list, &[]))
        .await;
    assert_eq!(location(&revoked), "/admin/tokens");
    assert_eq!(status("/api/v1/patients").await, 401);
    assert_has(
        &admin.get("/admin/log").await,
        &["for Lab, acting as computer program", "Revoked token"],
    );
}

#[tokio::test]
async fn a_lead_registers_a_device_gives_it_out_takes_it_back_and_revokes_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let mut lead = lead(&app).await;
    let page = lead.get("/admin/devices/new").await;
    // Of which team is not asked.
    assert!(!page.body.contains("name=\"organisation\""));
    let wrong = lead
        .post(
            "/admin/devices",
            &form(
                &page,
                &[
                    ("kind", ""),
                    ("label", "SN-7"),
                    ("patient", "7777"),
                    ("from", "yesterday"),
                ],
            ),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_has(&wrong, &["SN-7", "You look after no patient", "Expected a day"]);
    let made = lead
        .post(
            "/admin/devices",
            &form(&page, &[("kind", "cuff"), ("label", "SN-7")]),
        )
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    let (secret, text) = (
        between(&made, "data-secret>", "<"),
        between(&made, "data-text>", "<"),
    );
    let text = text.replace("&#34;", "\"");
    assert!(text.contains(secret) && secret.len() == 64, "{text}");
    // The image is that of the text.
    assert_has(&made, &[&qr::inline(&text).unwrap()]);
    let device: i64 = between(&made, "data-username>", "<").parse().unwrap();
    let path = format!("/admin/devices/{device}");

    let stock = lead.get("/admin/devices?with=nobody").await;
    assert_has(&stock, &["SN-7", "Never", "Not known"]);
    let page = lead.get(&path).await;
    let nhs: String = sqlx::query_scalar("SELECT nhs_number FROM patient")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let given = lead
        .post(
            &format!("{path}/assign"),
            &form(&page, &[("patient", &nhs), ("from", "2026-11-20")]),
        )
        .await;
    assert_eq!(location(&given), path);
    let contact = Contact {
        device: DeviceId(device),
        last_at: now() - TimeDelta::hours(40),
        battery: Some((9, now() - TimeDelta::hours(40))),
    };
    note_contacts(&mut *app.connection().await, &[contact])
        .await
        .unwrap();
    let out = lead.get("/admin/devices?with=patient").await;
    assert_has(&out, &["Ada Simulated", "Silent", "9 %", "Low"]);
    assert_has(
        &lead.get("/admin/devices?with=nobody").await,
        &["the stock is empty"],
    );

    let page = lead.get(&path).await;
    assert_eq!(
        location(&lead.post(&format!("{path}/return"), &form(&page, &[])).await),
        path
    );
    assert_eq!(
        lead.post(&format!("{path}/return"), &form(&page, &[]))
            .await
            .status,
        409
    );
    assert_eq!(
        location(&lead.post(&format!("{path}/revoke"), &form(&page, &[])).await),
        path
    );
    let page = lead.get(&path).await;
    assert_has(&page, &["Revoked"]);
    let late = lead
        .post(
            &format!("{path}/assign"),
            &form(&page, &[("patient", &patient.to_string())]),
        )
        .await;
    assert_eq!(late.status, 422, "{}", late.body);
    assert_has(&late, &["was revoked at"]);
    // The patient sees what was done with devices of theirs.
    let of: Vec<i64> = sqlx::query_scalar(
        "SELECT count(*) FROM audit_event WHERE action = 'manage_devices' AND patients @> ARRAY[$1]",
    )
    .bind(patient.0)
    .fetch_all(app.pool())
    .await
    .unwrap();
    assert!(of[0] >= 2, "{of:?}");
}

#[tokio::test]
async fn a_lead_has_nothing_to_do_with_devices_of_another_team() {
    let app = TestApp::start().await;
    let south = add_organisation(&mut *app.connection().await, "care_team", "South")
        .await
        .unwrap();
    let theirs = app.add_patient_of(None, Some(south)).await;
    let device = app.add_device(theirs).await;
    let mut lead = lead(&app).await;
    let page = lead.get("/admin/devices/new").await;
    let path = format!("/admin/devices/{device}");
    assert_eq!(lead.get(&path).await.status, 404);
    assert!(!lead.get("/admin/devices").await.body.contains(&path));
    for what in ["assign", "return", "revoke"] {
        let answer = lead.post(&format!("{path}/{what}"), &form(&page, &[])).await;
        assert_eq!(answer.status, 404, "{what}: {}", answer.body);
    }
    let of_theirs = [("kind", "cuff"), ("patient", &*theirs.to_string())];
    assert_eq!(
        lead.post("/admin/devices", &form(&page, &of_theirs)).await.status,
        422
    );
    assert_eq!(lead.get(&format!("/admin/patients/{theirs}")).await.status, 404);

    // By the interface for programs neither, whatever it asks; and by the database alone.
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let program = app.token_of(Role::CareTeamLead, Some(team), None).await;
    for (path, body) in [
        (format!("/api/v1/devices/{device}/revoke"), json!({})),
        (
            "/api/v1/devices".to_owned(),
            json!({"kind": "cuff", "patient": theirs}),
        ),
    ] {
        let answer = app
            .send_as(&program, &axum::http::Method::POST, &path, Some(&body))
            .await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
    // One of their own stock that is with a patient of another team: they see that it is out, and not with whom.
    let ours = app.add_patient().await;
    let mut connection = app.connection().await;
    sqlx::query("UPDATE device SET organisation_id = $1 WHERE device_id = $2")
        .bind(team)
        .bind(device.0)
        .execute(&mut *connection)
        .await
        .unwrap();
    let page = lead.get(&path).await;
    assert_has(&page, &["Somebody whom another team looks after"]);
    assert!(!page.body.contains("Simulated"), "{}", page.body);
    let taken = lead
        .post(
            &format!("{path}/assign"),
            &form(&page, &[("patient", &ours.to_string())]),
        )
        .await;
    assert_eq!(taken.status, 422, "{}", taken.body);
    assert!(
        taken.body.contains(&AdminError::InUse.to_string()[1..]),
        "{}",
        taken.body
    );
}

#[tokio::test]
async fn a_lead_enrols_patients_with_their_own_team_and_an_administrator_with_any() {
    let app = TestApp::start().await;
    let south = add_organisation(&mut *app.connection().await, "care_team", "South")
        .await
        .unwrap();
    let mut lead = lead(&app).await;
    let page = lead.get("/admin/patients/new").await;
    assert!(!page.body.contains("name=\"team\"") && page.body.contains("name=\"programme\""));
    let fields = |number: &'static str, born: &'static str| {
        [
            ("nhs_number", number),
            ("name", "Bo Example"),
            ("born", born),
            ("programme", "hypertension"),
            ("reason", "referred by Dr Ng"),
        ]
    };
    let wrong = lead
        .post(
            "/admin/patients",
            &form(&page, &fields("9990000019", "2030-01-01")),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_has(
        &wrong,
        &[
            "value=\"9990000019\"",
            "value=\"Bo Example\"",
            "referred by Dr Ng",
            "href=\"#nhs_number\"",
        ],
    );
    let added = lead
        .post(
            "/admin/patients",
            &form(&page, &fields("999 000 0018", "1956-03-01")),
        )
        .await;
    let path = location(&added).to_owned();
    assert_has(
        &lead.get(&path).await,
        &[
            "Bo Example",
            "999 000 0018",
            "Community care team",
            "Enrolled by Mei Ng",
        ],
    );
    let patient: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let rules: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM care_plan_rule WHERE patient_id = $1 AND programme = 'hypertension' AND reason = 'referred by Dr Ng'",
    )
    .bind(patient)
    .fetch_one(app.pool())
    .await
    .unwrap();
    assert!(rules > 0);

    // Whoever is in the record already is found by number and date of birth alone, and keeps their name.
    let theirs = app.add_patient_of(None, Some(south)).await;
    let number: String = sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = $1")
        .bind(theirs.0)
        .fetch_one(app.pool())
        .await
        .unwrap();
    let mut of_record = fields("", "1970-01-02");
    let number: &'static str = number.leak();
    of_record[0].1 = number;
    let guessed = lead.post("/admin/patients", &form(&page, &of_record)).await;
    assert_eq!(guessed.status, 422);
    assert_has(&guessed, &["another date of birth"]);
    of_record[2].1 = "1970-01-01";
    let enrolled = lead.post("/admin/patients", &form(&page, &of_record)).await;
    assert_eq!(location(&enrolled), format!("/admin/patients/{theirs}"));
    let seen = lead.get(&format!("/admin/patients/{theirs}")).await;
    assert_has(&seen, &["Ada Simulated", "South"]);
    // Only their own team's enrolment is theirs to end.
    assert!(!seen.body.contains(&format!("/enrolments/{south}/end")));
    assert_eq!(
        logged(&app, "enrol_patients").await,
        ("done".to_owned(), Some("referred by Dr Ng".to_owned()))
    );
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let ended = lead
        .post(
            &format!("/admin/patients/{theirs}/enrolments/{team}/end"),
            &form(&seen, &[]),
        )
        .await;
    assert_eq!(location(&ended), "/admin/patients");
    assert_eq!(lead.get(&format!("/admin/patients/{theirs}")).await.status, 404);

    let mut admin = administrator(&app).await;
    let page = admin.get("/admin/patients/new").await;
    assert!(page.body.contains("name=\"team\"") && !page.body.contains("name=\"programme\""));
    let twice = [
        ("nhs_number", "9990000018"),
        ("name", "Bo Example"),
        ("born", "1956-03-01"),
        ("team", &*south.to_string()),
    ];
    let twice = admin.post("/admin/patients", &form(&page, &twice)).await;
    assert_eq!(twice.status, 422);
    assert_has(&twice, &["is in the record already"]);
    let page = admin.get(&path).await;
    let enrolled = admin
        .post(
            &format!("{path}/enrolments"),
            &form(&page, &[("team", &south.to_string())]),
        )
        .await;
    assert_eq!(location(&enrolled), path);
    assert_has(&admin.get(&path).await, &["South", "Community care team"]);
    // A lead by the database alone enrols with nobody else's team.
    let program = app.token_of(Role::CareTeamMember, Some(south), None).await;
    let held: i64 = program.trim_start_matches("token-").parse().unwrap();
    let mut transaction = app.database.pool_for_requests().begin().await.unwrap();
    act_as(&mut transaction, held, None, now()).await.unwrap();
    let refused =
        sqlx::query("SELECT * FROM enrol_with_own_team('9990000107', 'X', '1970-01-01', NULL, 'x')")
            .fetch_all(&mut *transaction)
            .await;
    assert!(refused.is_err());
}

/// Keeps a message as refused, as a lane does.
async fn reject(app: &TestApp, device: DeviceId, payload: &[u8]) {
    let topic = format!("v1/devices/{device}/readings");
    let message = RejectedMessage {
        device,
        received_at: now() - TimeDelta::hours(2),
        topic: &topic,
        payload,
        reasons: json!([{"index": 0, "reason": "not_assigned", "detail": "glucose of 2.625 mmol/L"}]),
    };
    insert_rejected(&mut *app.connection().await, &[message])
        .await
        .unwrap();
}

async fn readings_of(app: &TestApp, patient: PatientId) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM reading WHERE patient_id = $1")
        .bind(patient.0)
        .fetch_one(app.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn refused_messages_are_listed_without_their_content_and_tried_once_more() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    let mut admin = administrator(&app).await;
    assert_has(&admin.get("/admin/rejected").await, &["Nothing is missing"]);
    let reading = |minute: u32| {
        format!(
            "{{\"readings\":[{{\"type\":\"heart_rate\",\"at\":\"2026-11-22T09:{minute:02}:00Z\",\"value\":71}}]}}"
        )
    };
    for minute in 0..3 {
        reject(&app, device, reading(minute).as_bytes()).await;
    }
    reject(&app, device, b"no JSON at all").await;
    assert_has(
        &admin.get("/admin").await,
        &["4 messages of devices were refused"],
    );

    let page = admin.get("/admin/rejected?reason=not_assigned").await;
    assert_has(
        &page,
        &[
            "Reading 1: the device was with nobody",
            "Give the device to its patient",
            "Try all of them once more",
        ],
    );
    assert!(
        !page.body.contains("2.625") && !page.body.contains("heart_rate"),
        "{}",
        page.body
    );
    let one = admin.post("/admin/rejected/1/replay", &form(&page, &[])).await;
    assert_eq!(
        location(&one),
        "/admin/rejected?device=&reason=&stored=1&left=0&busy=0"
    );
    assert_eq!(readings_of(&app, patient).await, 1);
    let told = admin.get(location(&one)).await;
    assert_has(&told, &["1 message is in the record now."]);

    let all = admin
        .post(
            "/admin/rejected/replay",
            &form(&page, &[("device", ""), ("reason", "")]),
        )
        .await;
    assert_eq!(
        location(&all),
        "/admin/rejected?device=&reason=&stored=2&left=1&busy=0"
    );
    assert_eq!(readings_of(&app, patient).await, 3);
    let left = admin.get("/admin/rejected").await;
    assert_has(&left, &["It cannot be read as what", "Tried once more by Mei Ng"]);
    let everything = admin.get("/admin/rejected?all=true").await;
    assert_has(&everything, &["Nothing any more: it is in the record"]);
    // It is in the log, and the patient sees that somebody has done it.
    assert_eq!(
        logged(&app, "replay_rejected").await,
        (
            "done".to_owned(),
            Some("had 3 refused messages tried once more".to_owned())
        )
    );
    let of: Vec<i64> =
        sqlx::query_scalar("SELECT UNNEST(patients) FROM audit_event WHERE action = 'replay_rejected'")
            .fetch_all(app.pool())
            .await
            .unwrap();
    assert!(of.contains(&patient.0), "{of:?}");
    let missing = admin.post("/admin/rejected/99/replay", &form(&page, &[])).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn health_is_told_in_words() {
    let app = TestApp::start().await;
    let admin = administrator(&app).await;
    let page = admin.get("/admin/health").await;
    // Nobody runs timers here.
    assert_has(
        &page,
        &[
            "The broker",
            "The lanes",
            "Timers do not run",
            "Look here",
            "7305 days",
        ],
    );
    let ill = TestApp::start_with(|state| {
        state.ingest_ready = std::sync::Arc::new(|| Err("the broker has not started".to_owned()));
    })
    .await;
    let admin = administrator(&ill).await;
    assert_has(
        &admin.get("/admin/health").await,
        &["It cannot do its work: the broker has not started"],
    );
    assert_has(
        &admin.get("/admin").await,
        &["parts of Homeward are not as they should be"],
    );
}

#[tokio::test]
async fn privacy_officers_see_what_administrators_did() {
    let app = TestApp::start().await;
    let mut admin = administrator(&app).await;
    let page = admin.get("/admin/people/new").await;
    let fields = [("name", "Sam Field"), ("sign_in_name", "sam")];
    admin.post("/admin/people", &form(&page, &fields)).await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let officer = signed_in(&app, "officer", Role::PrivacyOfficer, (Some(team), None)).await;
    let log = officer.get("/admin/log").await;
    assert_has(&log, &["Added Sam Field", "Mei Ng"]);
    assert_eq!(officer.get("/admin/people").await.status, 403);
    let nurse = signed_in(&app, "nurse", Role::CareTeamMember, (Some(team), None)).await;
    assert_eq!(nurse.get("/admin/log").await.status, 403);
    assert_eq!(nurse.get("/admin").await.status, 403);
}
