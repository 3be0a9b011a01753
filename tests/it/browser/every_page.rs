//! Every page in every state. What there is comes from the server itself, so that no new page is forgotten.

use homeward_record::PatientId;
use serde_json::{Value, json};

use super::{
    PASSWORD, add_account, add_organisation, browse, default_team, execute, nhs_number,
    register_with_practice,
};
use crate::harness::*;

#[tokio::test]
async fn axe_finds_nothing_wrong_with_any_page_in_any_state() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = server.add_patient(&[]).await;
    let other = server.add_patient(&[]).await;
    let team = default_team(&server).await;
    let north = add_organisation(&server, "care_team", "North").await;
    let lead = add_account(
        &server,
        "lead",
        "Ola Lead",
        &["care_team_lead", "--organisation", &team],
    )
    .await;
    let of_north = ["care_team_member", "--organisation", &north];
    add_account(&server, "stranger", "Mei Ng", &of_north).await;
    let own = ["patient", "--patient", &patient.to_string()];
    add_account(&server, "patient", "A Patient", &own).await;
    add_account(&server, "privacy", "Ines Costa", &["privacy_officer"]).await;
    let office = add_account(&server, "office", "Alex Office", &["administrator"]).await;
    let known = json!({
        "password": PASSWORD, "patient": patient, "number": nhs_number(&server, patient).await,
        "other": nhs_number(&server, other).await, "team": team, "accounts": [lead, office],
    });
    browse(
        &server,
        "every_page.mjs",
        &[&known.to_string()],
        async |wish| match wish {
            "measure" => measure(&server, patient).await,
            "let a night pass" => {
                execute(
                    &server,
                    "UPDATE worklist_look SET seen_at = seen_at - interval '10 hours', seen = 0",
                )
                .await;
                Value::Null
            }
            other => panic!("it asks for {other}"),
        },
    )
    .await;
}

/// Weeks of everything that can be measured, and what raises alerts; and the patient is registered with a practice.
async fn measure(server: &Server, patient: PatientId) -> Value {
    let practice = register_with_practice(server, patient).await;
    let ago = |minutes: i64| stamp(minutes_ago(minutes));
    let vitals = |minutes: i64, spo2: u32| {
        let other = [
            ("heart_rate", json!(88)),
            ("respiratory_rate", json!(20)),
            ("supplemental_oxygen", json!(0)),
            ("body_temperature", json!(37.4)),
            ("consciousness", json!("A")),
            ("body_weight", json!(81.5)),
            ("spo2", json!(spo2)),
        ];
        other.map(|(metric, value)| json!({"type": metric, "at": ago(minutes), "value": value}))
    };
    let pressure = |minutes: i64, systolic: i64| {
        let at = ago(minutes);
        json!({"type": "blood_pressure", "at": at, "systolic": systolic, "diastolic": 88, "pulse": 71})
    };
    let day = 24 * 60;
    let steps_of = |days: i64| {
        let (from, at) = (ago(days * day + 40), ago(days * day + 30));
        json!({"type": "steps", "from": from, "at": at, "value": 4_000})
    };
    let pressures_of = |half_days: i64| {
        [
            pressure(half_days * day / 2 + 5, 142),
            pressure(half_days * day / 2, 138),
        ]
    };
    // Low for a while last night, and otherwise in range.
    let glucose_of = |step: i64| {
        let value = match step {
            100..110 => 3.5,
            _ => 5.0 + (step % 60) as f64 / 10.0,
        };
        glucose(minutes_ago(5 * step), value)
    };

    let glucose_values = (1..14 * 288).rev().map(glucose_of).collect();
    let cgm = publish(server, patient, "cgm", glucose_values).await;
    let pressures = (1..28).rev().flat_map(pressures_of).collect();
    publish(server, patient, "cuff", pressures).await;
    publish(server, patient, "watch", (0..20).rev().map(steps_of).collect()).await;
    // The last saturation but one is too low.
    for (minutes, spo2) in [(3 * day, 97), (2 * day, 96), (14, 90), (13, 97)] {
        publish(server, patient, "oximeter", vitals(minutes, spo2).to_vec()).await;
    }
    let mut client = cgm.connect_v5().await;
    let low = upload(&[glucose(now(), 2.6)]);
    assert_eq!(client.upload(&cgm.topic("readings"), low).await, 0);
    assert_eq!(client.upload(&cgm.topic("gatt/2a19"), vec![9]).await, 0);
    let impossible = upload(&[heart_rate(now(), 900)]);
    assert_eq!(client.upload(&cgm.topic("readings"), impossible).await, 0x99);
    client.disconnect().await;
    publish(server, patient, "cuff", vec![pressure(0, 191)]).await;
    json!({"practice": practice, "device": cgm.id})
}

/// A device of the patient's that has measured this.
async fn publish(server: &Server, patient: PatientId, kind: &str, readings: Vec<Value>) -> Device {
    let device = server.enrol_for(patient, kind).await;
    let mut client = device.connect_v5().await;
    for part in readings.chunks(500) {
        assert_eq!(client.upload(&device.topic("readings"), upload(part)).await, 0);
    }
    client.disconnect().await;
    device
}
