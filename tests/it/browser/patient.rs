use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{PASSWORD, add_account, add_nurse, browse, browse_alone, default_team};
use crate::harness::*;

/// Two measurements a day of the last six days, and steps of each.
fn a_week() -> Value {
    let mut readings = Vec::new();
    for day in 0..6 {
        let at = now() - TimeDelta::days(day);
        let earlier = at - TimeDelta::minutes(2);
        for at in [earlier, at] {
            readings.push(
                json!({"type": "blood_pressure", "at": at, "systolic": 128, "diastolic": 79, "pulse": 66}),
            );
        }
        let from = at - TimeDelta::minutes(30);
        readings.push(json!({"type": "steps", "from": from, "at": at, "value": 2_500}));
    }
    json!({"readings": readings})
}

/// A patient of the default team with a cuff that has measured for a week, who signs in as `patient`, and a nurse of it.
async fn patient_with_cuff(server: &Server) -> Device {
    let cuff = server.enrol_on("hypertension", "cuff").await;
    let mut client = cuff.connect_v5().await;
    let body = a_week().to_string();
    assert_eq!(client.upload(&cuff.topic("readings"), body).await, 0);
    client.disconnect().await;
    let role = ["patient", "--patient", &cuff.patient.to_string()];
    add_account(server, "patient", "Ada Lovelace", &role).await;
    add_nurse(server).await;
    cuff
}

#[tokio::test]
async fn a_patient_reads_sets_a_goal_and_sees_who_looked() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let cuff = patient_with_cuff(&server).await;
    let mut client = cuff.connect_v5().await;
    let topic = cuff.topic("readings");
    let patient = cuff.patient.to_string();
    browse(&server, "patient.mjs", &[&patient, PASSWORD], async |wish| {
        assert_eq!(wish, "measure a very high blood pressure");
        let reading = json!({"type": "blood_pressure", "at": now(), "systolic": 191, "diastolic": 126});
        let body = json!({"readings": [reading]}).to_string();
        assert_eq!(client.upload(&topic, body).await, 0);
        Value::Null
    })
    .await;
    client.disconnect().await;
}

#[tokio::test]
async fn a_patient_shares_a_summary_and_stops_sharing_with_the_team() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = patient_with_cuff(&server).await.patient.to_string();
    let team = default_team(&server).await;
    let arguments = [patient.as_str(), &team, PASSWORD];
    browse_alone(&server, "patient_shares.mjs", &arguments).await;
}
