use axum::http::Method;
use chrono::TimeDelta;
use homeward_record::Metric;
use homeward_store::access::{Role, default_team, end_enrolment};
use serde_json::{Value, json};

use super::MOST_STREAMS;
use crate::testing::{EventStream, TOKEN, TestApp, now};

const PATH: &str = "/api/v1/patients/1001/readings/stream";

fn data(event: &str) -> Value {
    let line = event.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(line.unwrap_or_else(|| panic!("{event}"))).unwrap()
}

async fn next(stream: &mut EventStream) -> Value {
    data(&stream.next().await.unwrap())
}

#[tokio::test]
async fn a_reading_is_told_once_and_in_words_and_the_log_has_one_access() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    let other = app.add_patient().await;
    let minute = |minutes| now() - TimeDelta::minutes(minutes);
    // Before the stream, of somebody else, and measured long ago.
    app.store(patient, device, &[(Metric::HeartRate, minute(10), 70.0)])
        .await;
    let mut stream = app.events(TOKEN, PATH).await;
    app.store(other, device, &[(Metric::HeartRate, now(), 99.0)])
        .await;
    app.store(patient, device, &[(Metric::HeartRate, now(), 71.4)])
        .await;
    let told = next(&mut stream).await;
    assert_eq!(
        told,
        json!({
            "metric": "heart_rate", "at": now(), "value": 71.4, "unit": "/min", "device": device,
            "received_at": now() + TimeDelta::seconds(2), "what": "Heart rate", "number": "71", "when": "22 Nov, 12:00",
        })
    );
    app.store(patient, device, &[(Metric::Spo2, now(), 97.0)]).await;
    assert_eq!(next(&mut stream).await["metric"], "spo2");
    drop(stream);

    let accesses: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_event WHERE target = $1")
        .bind(PATH)
        .fetch_one(app.pool())
        .await
        .unwrap();
    assert_eq!(accesses, 1);

    // From a time on.
    let mut again = app
        .events(TOKEN, &format!("{PATH}?after=2026-11-22T12:00:00Z"))
        .await;
    let both = [next(&mut again).await, next(&mut again).await];
    let mut metrics: Vec<_> = both.iter().map(|told| told["metric"].as_str().unwrap()).collect();
    metrics.sort_unstable();
    assert_eq!(metrics, ["heart_rate", "spo2"]);
}

#[tokio::test]
async fn it_ends_when_the_patient_is_not_seen_any_more() {
    let app = TestApp::start().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let patient = app.add_patient().await;
    let nurse = app.token_of(Role::CareTeamMember, Some(team), None).await;
    let mut stream = app.events(&nurse, PATH).await;
    end_enrolment(&mut *app.connection().await, patient, team, "Dr Ng", now())
        .await
        .unwrap();
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn what_cannot_be_followed_is_explained() {
    let app = TestApp::start().await;
    app.add_patient().await;
    for (path, status) in [
        ("/api/v1/patients/1002/readings/stream", 404),
        ("/api/v1/patients/1001/readings/stream?after=yesterday", 400),
        (
            "/api/v1/patients/1001/readings/stream?since=2026-11-22T12:00:00Z",
            400,
        ),
    ] {
        assert_eq!(app.get(path).await.status, status, "{path}");
    }
    let ids = ["-1", "-8334601228800000000", "9223372036854775807", "yesterday"];
    for id in ids {
        let request = axum::http::Request::get(PATH)
            .header("Authorization", format!("Bearer {TOKEN}"))
            .header("Last-Event-ID", id);
        assert_eq!(app.status_of(request).await, 400, "{id}");
    }
    let mut streams = Vec::new();
    for _ in 0..MOST_STREAMS {
        streams.push(app.events(TOKEN, PATH).await);
    }
    let status = || app.status_as(TOKEN, &Method::GET, PATH);
    assert_eq!(status().await, 503);
    streams.pop();
    assert_eq!(status().await, 200);
}
