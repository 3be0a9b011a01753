//! A patient's pages, for those who look after them, while devices measure.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{PASSWORD, add_account, add_nurse, browse, browse_alone, default_team};
use crate::harness::*;

/// A measurement of a cuff, so long ago.
fn pressure(ago: TimeDelta, systolic: i32, diastolic: i32) -> Value {
    json!({"type": "blood_pressure", "at": stamp(now() - ago), "systolic": systolic, "diastolic": diastolic, "pulse": 71})
}

/// Some days of a sensor: low now and then, for what a dry run has to say.
async fn send_days(sensor: &Device, client: &mut Client) {
    let wave = |step: i64| {
        if step % 200 < 10 {
            3.7
        } else {
            6.0 + (step % 40) as f64 / 10.0
        }
    };
    let steps: Vec<i64> = (6..1_500).rev().collect();
    for part in steps.chunks(500) {
        let readings: Vec<Value> = part
            .iter()
            .map(|step| glucose(now() - TimeDelta::minutes(5 * step), wave(*step)))
            .collect();
        assert_eq!(
            client.upload(&sensor.topic("readings"), upload(&readings)).await,
            0
        );
    }
}

#[tokio::test]
async fn a_nurse_sees_a_reading_come_marks_one_as_wrong_and_writes_down_what_she_did() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let sensor = server.enrol_on("diabetes-type-1", "cgm").await;
    let cuff = server.enrol_for(sensor.patient, "cuff").await;
    add_nurse(&server).await;
    let mut of_sensor = sensor.connect_v5().await;
    send_days(&sensor, &mut of_sensor).await;
    let mut of_cuff = cuff.connect_v5().await;
    let pressures: Vec<Value> = (1..10)
        .map(|half_days| pressure(TimeDelta::hours(12 * half_days), 142, 88))
        .collect();
    let topic = cuff.topic("readings");
    assert_eq!(of_cuff.upload(&topic, upload(&pressures)).await, 0);

    browse(&server, "patient_page.mjs", &["nurse", PASSWORD], async |wish| {
        let measured = match wish {
            "measure a pressure while nobody looks" => Some(pressure(TimeDelta::minutes(1), 141, 87)),
            "measure a pressure" => Some(pressure(TimeDelta::zero(), 138, 86)),
            _ => None,
        };
        if let Some(measured) = measured {
            assert_eq!(of_cuff.upload(&topic, upload(&[measured])).await, 0);
            return json!(null);
        }
        let value = match wish {
            "publish a very low glucose" => 2.6,
            "publish glucose in range" => 6.4,
            other => panic!("it asks for {other}"),
        };
        let upload = upload(&[glucose(now(), value)]);
        assert_eq!(of_sensor.upload(&sensor.topic("readings"), upload).await, 0);
        json!(null)
    })
    .await;
    of_sensor.disconnect().await;
    of_cuff.disconnect().await;
}

#[tokio::test]
async fn a_lead_changes_a_care_plan_after_a_look_at_the_dry_run() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let sensor = server.enrol_on("diabetes-type-1", "cgm").await;
    let team = default_team(&server).await;
    let lead = ["care_team_lead", "--organisation", &team];
    add_account(&server, "lead", "Ola Lead", &lead).await;
    let mut client = sensor.connect_v5().await;
    send_days(&sensor, &mut client).await;
    let patient = sensor.patient.to_string();
    browse_alone(&server, "care_plan.mjs", &["lead", PASSWORD, &patient]).await;
    client.disconnect().await;
}
