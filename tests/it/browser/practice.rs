//! A practice's list of a programme, and the review that a doctor prints.

use chrono::TimeDelta;
use serde_json::json;

use super::{PASSWORD, add_account, browse_alone, register_with_practice};
use crate::harness::*;

#[tokio::test]
async fn a_doctor_finds_a_patient_of_the_practice_and_prints_the_review() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = server.add_patient(&["diabetes-type-1", "hypertension"]).await;
    let practice = register_with_practice(&server, patient).await;
    let role = ["gp_clinician", "--organisation", &practice];
    add_account(&server, "gp", "Dr Rhys Evans", &role).await;

    // Two weeks of a sensor that measures each five minutes, and of a cuff twice a day.
    let sensor = server.enrol_for(patient, "cgm").await;
    let mut client = sensor.connect_v5().await;
    let glucose = (1..=14 * 288).map(|step| {
        let value = f64::from(step * 7 % 90) / 10.0 + 3.5;
        json!({"type": "glucose", "at": now() - TimeDelta::minutes(5 * i64::from(step)), "value": value,
            "sample": "interstitial"})
    });
    let glucose: Vec<_> = glucose.collect();
    for part in glucose.chunks(200) {
        let body = json!({"readings": part}).to_string();
        assert_eq!(client.upload(&sensor.topic("readings"), body).await, 0);
    }
    client.disconnect().await;
    let cuff = server.enrol_for(patient, "cuff").await;
    let mut client = cuff.connect_v5().await;
    let pressures = (0..14 * 2).map(|half_day| {
        let at = now() - TimeDelta::hours(12 * half_day) - TimeDelta::minutes(30);
        json!({"type": "blood_pressure", "at": at, "systolic": 128 + half_day % 20, "diastolic": 78 + half_day % 9})
    });
    let body = json!({"readings": pressures.collect::<Vec<_>>()}).to_string();
    assert_eq!(client.upload(&cuff.topic("readings"), body).await, 0);
    client.disconnect().await;
    browse_alone(&server, "practice.mjs", &[PASSWORD]).await;
}
