use axum::http::{Method, Request};
use chrono::TimeDelta;
use homeward_record::{Metric, PatientId};
use homeward_store::access::Role;
use homeward_store::shares::{Shown, show};
use insta::assert_snapshot;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::shown;
use crate::testing::{Answer, TestApp, at, now};

/// A patient who shares a summary, and another one.
struct Ward {
    app: TestApp,
    patient: PatientId,
    other: PatientId,
    token: String,
    secret: String,
    code: String,
}

impl Ward {
    async fn open() -> Ward {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let other = app.add_patient().await;
        for patient in [patient, other] {
            let device = app.add_device(patient).await;
            let rule = app.add_rule(patient).await;
            app.raise(patient, rule, "high", false).await;
            let readings = [
                (Metric::HeartRate, at("2026-11-22T11:00:00Z"), 72.0),
                (Metric::HeartRate, at("2026-11-22T11:30:00Z"), 88.0),
                (Metric::Systolic, at("2026-11-21T08:00:00Z"), 134.0),
                (Metric::Diastolic, at("2026-11-21T08:00:00Z"), 84.0),
                (Metric::Glucose, at("2026-11-22T11:50:00Z"), 2.8),
            ];
            app.store(patient, device, &readings).await;
        }
        let token = app.token_of(Role::Patient, None, Some(patient)).await;
        let path = format!("/api/v1/patients/{patient}/passport-shares");
        let made = app
            .send_as(&token, &Method::POST, &path, Some(&json!({})))
            .await
            .made();
        let link = made["link"].as_str().unwrap();
        Ward {
            secret: link.rsplit('/').next().unwrap().to_owned(),
            code: made["code"].as_str().unwrap().to_owned(),
            app,
            patient,
            other,
            token,
        }
    }

    fn path(&self) -> String {
        format!("/share/{}", self.secret)
    }

    fn shown(&self) -> Shown {
        shown(&self.secret, &self.code.replace(' ', ""))
    }

    /// The answer to a form, as a browser sends it.
    async fn fill_in(&self, path: &str, code: &str) -> Answer {
        let form = format!(
            "code={}&name=Sam+Field&role=paramedic&organisation=North+Ambulance",
            code.replace(' ', "+")
        );
        let request = Request::post(path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Host", "homeward.example")
            .header("Origin", "https://homeward.example");
        self.app.send_text(request, &form).await
    }

    /// The answer to a program.
    async fn ask(&self, path: &str, code: &str) -> Answer {
        let body = json!({
            "code": code, "name": "Sam Field", "role": "paramedic", "organisation": "North Ambulance",
        });
        let request = Request::post(path)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json");
        self.app.send_with(request, &body).await
    }

    /// What the patient reads in the access log of shares.
    async fn told(&self) -> Vec<String> {
        let path = format!("/api/v1/patients/{}/access-log", self.patient);
        let log = self
            .app
            .send_as(&self.token, &Method::GET, &path, None)
            .await
            .json();
        let entries = log["entries"].as_array().unwrap().iter();
        let of_shares = entries.filter(|entry| entry["action"] == "open_share");
        of_shares
            .map(|entry| entry["text"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn whoever_has_the_link_and_the_code_sees_the_summary_and_the_patient_sees_that() {
    let ward = Ward::open().await;
    let asked = ward.app.send(Request::get(ward.path())).await;
    assert_eq!(asked.status, 200);
    assert!(
        asked.body.contains("Code of eight digits") && !asked.body.contains("Ada"),
        "{}",
        asked.body
    );
    let shown = ward.fill_in(&ward.path(), &ward.code).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    for told in [
        "Summary of Ada Simulated",
        "999 000 0018",
        "1 January 1970 (56 years)",
        "88 beats a minute",
        "134 mmHg",
        "NEWS2",
        "cuff",
    ] {
        assert!(shown.body.contains(told), "{told}: {}", shown.body);
    }
    for answer in [&asked, &shown] {
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-robots-tag"], "noindex, nofollow");
        assert_eq!(answer.headers["referrer-policy"], "same-origin");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("script"),
            "{policy}"
        );
        assert!(!answer.body.contains("<script") && !answer.body.contains("style=\""));
    }

    let json = ward.ask(&ward.path(), &ward.code).await;
    assert_eq!(json.headers["cache-control"], "no-store");
    let json = json.json();
    assert_eq!(json["patient"]["name"], "Ada Simulated");
    assert_eq!(json["open_alerts"].as_array().unwrap().len(), 1);
    assert_eq!(
        json["latest"][0],
        json!({
            "metric": "heart_rate", "value": 88.0, "unit": "/min", "at": "2026-11-22T11:30:00Z",
        })
    );
    assert_eq!(
        (&json["glucose"]["readings"], &json["devices"][0]["kind"]),
        (&json!(1), &json!("cuff"))
    );
    let told = "Sam Field (paramedic, North Ambulance, as they said) opened your shared summary. Why they may: they had the \
        link and the code from you.";
    assert_eq!(ward.told().await, [told; 2]);
    let verified = homeward_store::audit::verify(&mut *ward.app.connection().await, None)
        .await
        .unwrap();
    assert_eq!(verified.fault, None);
    let targets: Vec<String> = sqlx::query_scalar("SELECT target || COALESCE(reason, '') FROM audit_event")
        .fetch_all(ward.app.pool())
        .await
        .unwrap();
    assert!(
        targets.iter().all(|target| !target.contains(&ward.secret)),
        "{targets:?}"
    );
}

#[tokio::test]
async fn wrong_codes_are_counted_told_and_end_the_share() {
    let ward = Ward::open().await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        let answer = ward.ask(&ward.path(), "1234").await;
        assert_eq!(answer.status, 403);
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        answers.push(problem["detail"].as_str().unwrap().to_owned());
    }
    assert_snapshot!(answers.join("\n"), @r"
    the code is not right; 4 more wrong ones end the share
    the code is not right; 3 more wrong ones end the share
    the code is not right; 2 more wrong ones end the share
    the code is not right; one more wrong one ends the share
    the code is not right, and the share is over
    ");
    assert_eq!(ward.ask(&ward.path(), &ward.code).await.status, 404);
    let told = ward.told().await;
    let tried = "Sam Field (paramedic, North Ambulance, as they said) tried to open your shared summary, and was refused: the \
        code was wrong.";
    assert_eq!(told, [tried; 5]);
    // On the page it is told where it is typed.
    let ward = Ward::open().await;
    let page = ward.fill_in(&ward.path(), "0000 0000").await;
    assert_eq!(page.status, 403);
    assert!(
        page.body
            .contains("the code is not right; 4 more wrong ones end the share"),
        "{}",
        page.body
    );
    assert!(page.body.contains("role=\"alert\""));
    let shown = ward.fill_in(&ward.path(), &ward.code).await;
    assert_eq!(shown.status, 200);
}

#[tokio::test]
async fn whatever_link_leads_nowhere_gets_one_answer() {
    let ward = Ward::open().await;
    let unknown = format!("/share/{}", "0".repeat(64));
    let page = ward.fill_in(&unknown, &ward.code).await;
    let program = ward.ask(&unknown, &ward.code).await;
    assert_eq!((page.status.as_u16(), program.status.as_u16()), (404, 404));
    let text = |answer: &Answer| format!("{} {}", answer.status, answer.body);
    let closed = async |ward: &Ward| {
        assert_eq!(text(&ward.fill_in(&ward.path(), &ward.code).await), text(&page));
        assert_eq!(text(&ward.fill_in(&ward.path(), "1").await), text(&page));
        assert_eq!(text(&ward.app.send(Request::get(ward.path())).await), text(&page));
        assert_eq!(text(&ward.ask(&ward.path(), &ward.code).await), text(&program));
        assert_eq!(ward.told().await, [""; 0]);
    };
    // Revoked.
    let path = format!("/api/v1/patients/{}/passport-shares/1", ward.patient);
    ward.app
        .send_as(&ward.token, &Method::DELETE, &path, None)
        .await
        .json();
    closed(&ward).await;
    // Over, to the second.
    let ward = Ward::open().await;
    for (expires_at, status) in [(now() + TimeDelta::seconds(1), 200), (now(), 404)] {
        sqlx::query("UPDATE passport_share SET made_at = made_at - interval '1 day', expires_at = $1")
            .bind(expires_at)
            .execute(ward.app.pool())
            .await
            .unwrap();
        assert_eq!(ward.app.send(Request::get(ward.path())).await.status, status);
    }
    closed(&ward).await;
}

#[tokio::test]
async fn whoever_wants_to_read_says_who_they_are() {
    let ward = Ward::open().await;
    for (form, told) in [
        ("code=1", "fill in all four"),
        ("code=1&name=+&role=x&organisation=y", "name is empty"),
        ("code=1&name=a%07b&role=x&organisation=y", "control characters"),
    ] {
        let request = Request::post(ward.path()).header("Content-Type", "application/x-www-form-urlencoded");
        let answer = ward.app.send_text(request, form).await;
        assert_eq!(answer.status, 400, "{form}");
        assert!(answer.body.contains(told), "{form}: {}", answer.body);
    }
    // That was no try of a code, and a page of somewhere else cannot try one.
    assert_eq!(ward.told().await, [""; 0]);
    let forged = Request::post(ward.path())
        .header("Host", "homeward.example")
        .header("Origin", "https://elsewhere.example");
    assert_eq!(
        ward.app
            .send_text(forged, "code=1&name=a&role=b&organisation=c")
            .await
            .status,
        403
    );
    let named = "code=1&name=%3Cscript%3E&role=b&organisation=c";
    let request = Request::post(ward.path()).header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(ward.app.send_text(request, named).await.status, 403);
    assert_eq!(ward.told().await.len(), 1);
}

/// What the database lets a share see, whatever the code above it does: its patient and nobody else, and only in a
/// transaction that can write nothing.
#[tokio::test]
async fn invariant_8_a_share_sees_its_patient_alone_and_changes_nothing() {
    let ward = Ward::open().await;
    let requests = ward.app.database.pool_for_requests();
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT nspname::text, relname::text
         FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid JOIN pg_namespace ON relnamespace = pg_namespace.oid
         WHERE attname = 'patient_id' AND relkind IN ('r', 'p', 'v', 'm') AND relname NOT IN ('held_role', 'gate_change')
             AND has_column_privilege('homeward_api', pg_class.oid, attname, 'SELECT')
             AND has_schema_privilege('homeward_api', nspname, 'USAGE')",
    )
    .fetch_all(ward.app.pool())
    .await
    .unwrap();
    let right = ward.shown();
    let wrong = shown(&ward.secret, "1");
    let mut seen = 0;
    for (schema, table) in &tables {
        let count = async |shown: &Shown, patient: PatientId| -> i64 {
            let mut transaction = requests.begin().await.unwrap();
            show(&mut transaction, shown, now()).await.unwrap();
            let count = format!("SELECT count(*) FROM {schema}.{table} WHERE patient_id = {patient}");
            let count = sqlx::query_scalar(AssertSqlSafe(count))
                .fetch_one(&mut *transaction)
                .await;
            count.unwrap_or_else(|error| panic!("{table}: {error}"))
        };
        seen += count(&right, ward.patient).await;
        assert_eq!(count(&right, ward.other).await, 0, "{table}");
        assert_eq!(count(&wrong, ward.patient).await, 0, "{table}");
    }
    assert!(
        seen >= 5,
        "the patient, readings, rule, alert and assignment: {seen}"
    );

    // It can write nothing, and not become a transaction that can.
    for statement in [
        "UPDATE patient SET name = 'X'",
        "INSERT INTO research_choice (patient_id, source, opted_out, effective_from, made_by, made_at)
             VALUES (1001, 'patient', false, now(), 'X', now())",
        "UPDATE request.reading SET entered_in_error = true",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', true)",
    ] {
        let mut transaction = requests.begin().await.unwrap();
        show(&mut transaction, &right, now()).await.unwrap();
        let refused = sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await;
        assert!(refused.is_err(), "{statement}");
    }
    // In a transaction that can, it sees nobody; and no longer once it is revoked.
    let visible = async |read_only: bool| -> Vec<i64> {
        let mut transaction = requests.begin().await.unwrap();
        show(&mut transaction, &right, now())
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        if !read_only {
            transaction.rollback().await.unwrap();
            transaction = requests.begin().await.unwrap();
            homeward_store::shares::try_share(&mut transaction, &right, now())
                .await
                .unwrap();
        }
        sqlx::query_scalar("SELECT visible_patients()")
            .fetch_one(&mut *transaction)
            .await
            .unwrap()
    };
    assert_eq!(visible(true).await, [ward.patient.0]);
    assert_eq!(visible(false).await, [0; 0]);
    let path = format!("/api/v1/patients/{}/passport-shares/1", ward.patient);
    ward.app
        .send_as(&ward.token, &Method::DELETE, &path, None)
        .await
        .json();
    assert_eq!(visible(true).await, [0; 0]);
}
