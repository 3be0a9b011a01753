//! What administrators do not see, messages that were refused, and how everything is.

use chrono::TimeDelta;
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::access::act_as;
use homeward_store::rejected::{RejectedMessage, insert_rejected};
use serde_json::json;

use super::{administrator, assert_has, form, logged};
use crate::pages::tests::location;
use crate::testing::{TestApp, now};

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
    // A number with a slip in it asks for nothing, and not for the messages of every device.
    let slip = form(&page, &[("device", "1O01"), ("reason", "")]);
    assert_eq!(admin.post("/admin/rejected/replay", &slip).await.status, 400);
    assert_eq!(admin.get("/admin/rejected?device=1O01").await.status, 400);
    assert_eq!(readings_of(&app, patient).await, 0);

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
