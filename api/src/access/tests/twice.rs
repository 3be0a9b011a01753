//! Requests that are sent twice under one key.

use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use homeward_store::access::{Role, default_team, end_enrolment};
use serde_json::{Value, json};

use crate::testing::{Answer, TOKEN, TestApp, now};

const NOTES: &str = "/api/v1/patients/1001/notes";

async fn post(app: &TestApp, token: &str, path: &str, key: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header("Idempotency-Key", key);
    app.send_with(request, body).await
}

async fn notes(app: &TestApp) -> usize {
    let listed = app.get(NOTES).await.json();
    listed["notes"].as_array().unwrap().len()
}

#[tokio::test]
async fn what_is_sent_twice_is_done_once_and_answered_the_same() {
    let app = TestApp::start().await;
    app.add_patient().await;
    let body = json!({"text": "Feels well"});
    let first = post(&app, TOKEN, NOTES, "\"8e03978e\"", &body).await;
    let second = post(&app, TOKEN, NOTES, "8e03978e", &body).await;
    assert_eq!(
        (first.status, second.status),
        (201.try_into().unwrap(), first.status)
    );
    assert_eq!(first.body, second.body);
    assert_eq!(
        (
            first.headers.get("idempotency-replayed"),
            &second.headers["idempotency-replayed"]
        ),
        (None, &"true".parse().unwrap())
    );
    assert_eq!(second.headers["content-type"], "application/json");
    assert_eq!(notes(&app).await, 1);

    // A key is the caller's own, and names one request.
    assert_eq!(
        post(&app, TOKEN, NOTES, "8e03978e", &json!({"text": "Feels ill"}))
            .await
            .status,
        422
    );
    assert_eq!(
        post(&app, TOKEN, "/api/v1/tasks", "8e03978e", &body).await.status,
        422
    );
    let mut connection = app.connection().await;
    let team = default_team(&mut connection).await.unwrap();
    let other = app.token_of(Role::CareTeamMember, Some(team), None).await;
    assert_eq!(post(&app, &other, NOTES, "8e03978e", &body).await.status, 201);
    assert_eq!(notes(&app).await, 2);
    for key in ["", "\"\"", "two words", &"x".repeat(256)] {
        assert_eq!(post(&app, TOKEN, NOTES, key, &body).await.status, 400, "{key:?}");
    }
}

#[tokio::test]
async fn two_that_come_at_once_are_done_once() {
    let app = TestApp::start().await;
    app.add_patient().await;
    let body = json!({"text": "Feels well"});
    let (one, other) = tokio::join!(
        post(&app, TOKEN, NOTES, "at-once", &body),
        post(&app, TOKEN, NOTES, "at-once", &body)
    );
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (201, 201));
    assert_eq!(one.body, other.body);
    assert_eq!(notes(&app).await, 1);
}

#[tokio::test]
async fn what_failed_may_be_tried_again() {
    let app = TestApp::start().await;
    let body = json!({"text": "Feels well"});
    assert_eq!(post(&app, TOKEN, NOTES, "again", &body).await.status, 404);
    app.add_patient().await;
    assert_eq!(post(&app, TOKEN, NOTES, "again", &body).await.status, 201);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_the_device_made_once() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let administrator = app.token_of(Role::Administrator, None, None).await;
    let body = json!({"patient": patient, "kind": "cuff"});
    let first = post(&app, &administrator, "/api/v1/devices", "cuff-1", &body).await;
    assert_eq!(first.status, 201);
    let second = post(&app, &administrator, "/api/v1/devices", "cuff-1", &body).await;
    assert_eq!(second.status, 409, "{}", second.body);
    let (devices, kept): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM device), (SELECT count(body) FROM idempotent_request)")
            .fetch_one(app.pool())
            .await
            .unwrap();
    assert_eq!((devices, kept), (1, 0));
}

#[tokio::test]
async fn an_answer_is_not_given_again_without_a_reason_on_file() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    app.raise(patient, rule, "high", false).await;
    let path = "/api/v1/alerts/1/acknowledge";
    assert_eq!(post(&app, TOKEN, path, "taken-up", &json!({})).await.status, 200);
    let mut connection = app.connection().await;
    let team = default_team(&mut connection).await.unwrap();
    end_enrolment(&mut connection, patient, team, "Dr Ng", now())
        .await
        .unwrap();
    assert_eq!(post(&app, TOKEN, path, "taken-up", &json!({})).await.status, 404);
}
