//! A stop that is asked for: what it finishes, and how it is cut short.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::harness::*;

/// Devices that publish all the time.
const DEVICES: usize = 30;
/// Messages that each has in flight.
const WINDOW: usize = 30;
/// Acknowledgements of each before the process is told to stop.
const BEFORE_STOP: usize = 100;

/// The times of the readings of one device.
struct Account {
    device: Device,
    acknowledged: BTreeSet<DateTime<Utc>>,
}

/// Publishes without a pause until the broker ends the connection.
async fn publish_until_the_end(device: Device, version: Version, running: mpsc::Sender<()>) -> Account {
    let topic = device.topic("readings");
    let mut client = device.connect(version).await;
    let mut acknowledged = BTreeSet::new();
    // By packet: each is used once.
    let mut sent = Vec::new();
    let mut times = times();
    loop {
        while sent.len() < acknowledged.len() + WINDOW
            && let Some(at) = times.next()
        {
            let packet = client.publish(&topic, upload(&[heart_rate(at, 72)])).await;
            sent.push(at);
            assert_eq!(usize::from(packet), sent.len());
        }
        match client.next().await {
            Some(Incoming::PubAck { packet, reason }) => {
                assert_eq!(reason, STORED);
                assert!(acknowledged.insert(sent[usize::from(packet) - 1]));
                if acknowledged.len() == BEFORE_STOP {
                    running.send(()).await.unwrap();
                }
            }
            Some(Incoming::Disconnect { reason }) => assert_eq!(reason, 0x8b, "it is shutting down"),
            Some(other) => panic!("nobody asked for {other:?}"),
            None => {
                return Account { device, acknowledged };
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_10_what_is_committed_at_a_stop_is_acknowledged_and_the_reverse() {
    let database = TestDatabase::create().await;
    let mut server = Server::start(&database).await;
    let devices = server.enrol_many(DEVICES, &["hypertension"]).await;
    let (running, mut told) = mpsc::channel(DEVICES);
    let mut publishing = JoinSet::new();
    for (device, version) in devices.into_iter().zip(Version::BOTH.into_iter().cycle()) {
        publishing.spawn(publish_until_the_end(device, version, running.clone()));
    }
    for _ in 0..DEVICES {
        soon("every device is acknowledged", told.recv()).await.unwrap();
    }
    let status = server.stop().await;
    assert_eq!(status.code(), Some(0));

    for account in soon("every connection ends", publishing.join_all()).await {
        let stored = server.readings(&account.device).await;
        let stored: BTreeSet<_> = stored.iter().map(|reading| reading.time).collect();
        let unacknowledged: Vec<_> = stored.difference(&account.acknowledged).collect();
        let lost: Vec<_> = account.acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "acknowledged and not committed: {lost:?}");
        assert!(
            unacknowledged.is_empty(),
            "committed and not acknowledged: {unacknowledged:?}"
        );
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_nothing_is_acknowledged_for_it() {
    let database = TestDatabase::create().await;
    // Nothing else would end it within this test.
    let settings = [
        ("HOMEWARD_STOP_WITHIN_SECONDS", "3600"),
        ("HOMEWARD_LIMITS_ACKNOWLEDGE_WITHIN_SECONDS", "3600"),
    ];
    let mut server = Server::start_with(&database, &settings).await;
    let watch = server.enrol("watch").await;
    let topic = watch.topic("readings");
    let payload = upload(&[heart_rate(minutes_ago(1), 72)]);
    let mut client = watch.connect_v5().await;
    let gate = server.hold_gate().await;
    client.publish(&topic, payload.clone()).await;
    gate.lane_waits().await;

    server.terminate();
    eventually("it begins to stop", async || {
        server.log().contains("SIGTERM").then_some(())
    })
    .await;
    server.terminate();
    let status = server.exited().await;
    assert!(!status.success(), "what was not finished is told: {status}");
    while let Some(incoming) = client.next().await {
        let acknowledged = matches!(incoming, Incoming::PubAck { .. });
        assert!(!acknowledged, "what is not committed is not acknowledged");
    }
    gate.release().await;

    server.start_again().await;
    let mut client = watch.connect_v5().await;
    client.upload(&topic, payload).await;
    assert_eq!(server.readings(&watch).await.len(), 1);
}
