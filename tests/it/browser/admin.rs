use chrono::TimeDelta;
use homeward_record::{DeviceId, PatientId};
use serde_json::Value;

use super::{PASSWORD, add_account, browse, browse_alone, default_team};
use crate::harness::*;

#[tokio::test]
async fn an_administrator_adds_a_nurse_who_signs_in_with_the_first_password() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    // The team is there with its first patient.
    server.add_patient(&[]).await;
    add_account(&server, "office", "Alex Office", &["administrator"]).await;
    browse_alone(&server, "admin.mjs", &["office", PASSWORD]).await;
}

#[tokio::test]
async fn a_lead_registers_a_device_by_page_and_what_was_refused_is_tried_once_more() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    server.add_patient(&[]).await;
    let team = default_team(&server).await;
    add_account(
        &server,
        "lead",
        "Mei Ng",
        &["care_team_lead", "--organisation", &team],
    )
    .await;
    add_account(&server, "office", "Alex Office", &["administrator"]).await;
    let mut connected: Option<(Device, Client)> = None;
    browse(
        &server,
        "admin_devices.mjs",
        &["lead", "office", PASSWORD],
        async |wish| {
            match (
                wish.split_whitespace().collect::<Vec<_>>().as_slice(),
                &mut connected,
            ) {
                (["connect", id, secret], _) => {
                    let device = server.device(DeviceId(id.parse().unwrap()), PatientId(0), secret);
                    let client = device.connect_v5().await;
                    connected = Some((device, client));
                }
                (["publish", ..], Some((device, client))) => {
                    let yesterday = upload(&[heart_rate(now() - TimeDelta::days(1), 72)]);
                    assert_eq!(client.upload(&device.topic("readings"), yesterday).await, 0x99);
                }
                (["see", ..], Some((device, client))) => {
                    client.ended().await;
                    assert_eq!(server.count_readings(device.id).await, 1);
                }
                other => panic!("it asks for {other:?}"),
            }
            Value::Null
        },
    )
    .await;
}
