//! When devices were last heard of, which is written down apart from what they measure.

use chrono::{DateTime, Utc};
use homeward_simulators::Protocol;
use homeward_simulators::enrolment::{Enrolment, Secret};
use homeward_simulators::fleet::{self, FleetConfig};
use homeward_simulators::physiology::DeviceKind;
use tokio_util::sync::CancellationToken;

use crate::harness::*;
use crate::history::broker;

#[tokio::test]
async fn it_is_known_when_a_device_was_last_heard_of_and_how_its_battery_is() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let before = now();
    let mut client = watch.connect_v5().await;
    assert_eq!(client.upload(&watch.topic("gatt/2a19"), vec![42]).await, STORED);
    client.disconnect().await;
    let (last_at, battery) = eventually("the contact is written down", async || {
        contact(&server, &watch).await
    })
    .await;
    assert!(last_at >= before && last_at <= now(), "{last_at}");
    assert_eq!(battery, Some(42));
    assert_eq!(server.count_readings(watch.id).await, 0);
}

/// When a device was last heard of, and how full its battery was, in percent.
async fn contact(server: &Server, device: &Device) -> Option<(DateTime<Utc>, Option<i16>)> {
    sqlx::query_as("SELECT last_at, battery_percent FROM device_contact WHERE device_id = $1")
        .bind(device.id.0)
        .fetch_optional(&server.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_simulated_device_says_how_its_battery_is_once_it_is_live() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let scale = server.enrol("scale").await;
    let enrolment = Enrolment {
        device_id: scale.id,
        secret: Secret(scale.secret.clone()),
        kind: DeviceKind::Scale,
        patient: 1,
        every_s: None,
    };
    let mut config = FleetConfig::new(broker(&server, Protocol::V5), vec![enrolment], now(), now());
    config.live = true;
    let stop = CancellationToken::new();
    let battery = async {
        let battery = eventually("the battery is written down", async || {
            contact(&server, &scale).await?.1
        })
        .await;
        stop.cancel();
        battery
    };
    let (report, battery) = tokio::join!(fleet::run(config, stop.clone(), |_| {}), battery);
    assert_eq!(report.unwrap().counts.refused, 0);
    assert!((10..=100).contains(&battery), "{battery} %");
}
