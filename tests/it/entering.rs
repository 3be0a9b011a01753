//! Readings that come over HTTP: by the same lanes as those of devices, with the same promise.

use std::time::Instant;

use chrono::{DateTime, Utc};
use hyper::Method;
use serde_json::{Value, json};

use crate::harness::*;

const PATH: &str = "/fhir/R4/Observation";

fn observation(device: &Device, at: DateTime<Utc>, value: f64) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "15074-8"}]},
        "subject": {"reference": format!("Patient/{}", device.patient)},
        "device": {"reference": format!("Device/{}", device.id)},
        "effectiveDateTime": stamp(at),
        "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": "mmol/L"},
    })
}

async fn post(server: &Server, token: &str, condition: Option<&str>, body: &Value) -> Answer {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(condition.map(|condition| ("if-none-exist", condition)));
    server.send(Method::POST, PATH, &headers, body).await
}

#[tokio::test]
async fn what_is_answered_is_committed_with_every_alert_that_it_raises() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let token = server.add_token("a system").await;
    let cgm = server.enrol_on("diabetes-type-1", "cgm").await;
    let body = observation(&cgm, minutes_ago(1), 2.5);
    let created = post(&server, &token, None, &body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(server.count_readings(cgm.id).await, 1);
    assert_eq!(server.episodes(cgm.patient).await[0].code, "glucose-very-low");
    assert_eq!(post(&server, &token, None, &body).await.status, 200);
    // The device itself sends the same, and hears that it is there.
    let mut client = cgm.connect_v5().await;
    let payload = body.to_string().into_bytes();
    assert_eq!(client.upload(&cgm.topic("fhir"), payload).await, STORED_EARLIER);

    let refused = post(&server, &token, None, &observation(&cgm, minutes_ago(2), 99.0)).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(
        server.rejected(&cgm).await.len(),
        1,
        "it is kept, as every message that is refused"
    );
    let other = server.enrol("cgm").await;
    let mut swapped = observation(&cgm, minutes_ago(2), 6.0);
    swapped["device"] = json!({"reference": format!("Device/{}", other.id)});
    assert_eq!(post(&server, &token, None, &swapped).await.status, 422);
    swapped.as_object_mut().unwrap().remove("device");
    assert_eq!(post(&server, &token, None, &swapped).await.status, 201);
}

#[tokio::test]
async fn two_that_are_the_same_at_the_same_time_are_one() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let token = server.add_token("a system").await;
    let cgm = server.enrol("cgm").await;
    for condition in [None, Some("identifier=http://example.org/id|17")] {
        let before = server.count_readings(cgm.id).await;
        let minutes = if condition.is_some() { 1 } else { 2 };
        let body = observation(&cgm, minutes_ago(minutes), 6.1);
        let (a, b, c, d) = tokio::join!(
            post(&server, &token, condition, &body),
            post(&server, &token, condition, &body),
            post(&server, &token, condition, &body),
            post(&server, &token, condition, &body)
        );
        let mut statuses = [a, b, c, d].map(|answer| answer.status.as_u16());
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 201]);
        assert_eq!(server.count_readings(cgm.id).await, before + 1);
    }
}

#[tokio::test]
async fn what_could_not_be_stored_in_time_is_not_stored_later() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let token = server.add_token("a system").await;
    let cgm = server.enrol("cgm").await;
    let body = observation(&cgm, minutes_ago(1), 6.1);
    // So that the lane knows the device.
    assert_eq!(
        post(&server, &token, None, &observation(&cgm, minutes_ago(3), 6.0))
            .await
            .status,
        201
    );
    let gate = server.hold_gate().await;
    let begun = Instant::now();
    let late = post(&server, &token, None, &body).await;
    assert_eq!(late.status, 503, "{}", late.body);
    assert!(begun.elapsed().as_secs() < 10);
    gate.release().await;
    // Whoever comes behind it is stored, and so it was looked at.
    assert_eq!(
        post(&server, &token, None, &observation(&cgm, minutes_ago(2), 6.2))
            .await
            .status,
        201
    );
    assert_eq!(server.count_readings(cgm.id).await, 2);
    assert_eq!(post(&server, &token, None, &body).await.status, 201);

    let lost = server.lose_database().await;
    let away = post(&server, &token, None, &observation(&cgm, now(), 6.3)).await;
    assert_eq!(away.status, 503, "{}", away.body);
    lost.bring_back().await;
    let stored = eventually("the record is back", async || {
        let answer = post(&server, &token, None, &observation(&cgm, minutes_ago(4), 6.4)).await;
        (answer.status == 201).then_some(())
    });
    stored.await;
    assert_eq!(server.count_readings(cgm.id).await, 4);
}
