use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{PASSWORD, add_account, add_nurse, browse, default_team};
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

#[tokio::test]
async fn a_patient_reads_shares_chooses_and_sees_who_looked() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let cuff = server.enrol_on("hypertension", "cuff").await;
    let mut client = cuff.connect_v5().await;
    let topic = cuff.topic("readings");
    assert_eq!(client.upload(&topic, a_week().to_string()).await, 0);
    let patient = cuff.patient.to_string();
    let role = ["patient", "--patient", &patient];
    add_account(&server, "patient", "Ada Lovelace", &role).await;
    add_nurse(&server).await;
    let team = default_team(&server).await;
    let arguments = [patient.as_str(), &team, PASSWORD];
    browse(&server, "patient.mjs", &arguments, async |wish| {
        assert_eq!(wish, "measure a very high blood pressure");
        let at = now() + TimeDelta::seconds(1);
        let reading = json!({"type": "blood_pressure", "at": at, "systolic": 191, "diastolic": 126});
        let body = json!({"readings": [reading]}).to_string();
        assert_eq!(client.upload(&topic, body).await, 0);
        Value::Null
    })
    .await;
    client.disconnect().await;
}
