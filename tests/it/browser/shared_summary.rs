//! A summary that a patient shares, in a real browser: what a form sends there comes with the headers that it has.

use hyper::Method;
use serde_json::json;

use super::browse_alone;
use crate::harness::*;
use crate::openapi::own_token;

#[tokio::test]
async fn somebody_without_an_account_reads_a_summary_and_the_patient_reads_that() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let sensor = server.enrol_on("diabetes-type-1", "cgm").await;
    let mut client = sensor.connect_v5().await;
    let reading = json!({"type": "glucose", "at": now(), "value": 6.1, "sample": "interstitial"});
    let body = json!({"readings": [reading]}).to_string();
    assert_eq!(client.upload(&sensor.topic("readings"), body).await, 0);
    let patient = sensor.patient;
    let token = own_token(&server.pool, patient, "a token of the patient").await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let path = format!("/api/v1/patients/{patient}/passport-shares");
    let made = server
        .send(Method::POST, &path, &headers, &json!({"hours": 1}))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let (link, code) = (made["link"].as_str().unwrap(), made["code"].as_str().unwrap());
    let secret = link.rsplit('/').next().unwrap();

    browse_alone(
        &server,
        "shared_summary.mjs",
        &[&format!("/share/{secret}"), code],
    )
    .await;

    let log = format!("/api/v1/patients/{patient}/access-log");
    let log = server
        .send(Method::GET, &log, &headers, &json!(null))
        .await
        .json();
    let entries = log["entries"].as_array().unwrap().iter();
    let told: Vec<&str> = entries.map(|entry| entry["text"].as_str().unwrap()).collect();
    let who = "Sam Field (paramedic, North Ambulance, as they said)";
    assert!(
        told[0].starts_with(&format!("{who} opened your shared summary.")),
        "{told:#?}"
    );
    assert!(
        told[1].starts_with(&format!("{who} tried to open your shared summary")),
        "{told:#?}"
    );
    assert!(!server.log().contains(secret));
}
