//! A stop that is asked for: what was taken is committed and acknowledged, and how it is cut short.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::harness::*;

/// Devices that publish all the time.
const DEVICES: usize = 30;
/// Messages that each has in flight.
const IN_FLIGHT: usize = 30;
/// Acknowledgements of each before the process is told to stop.
const BEFORE_STOP: usize = 100;

/// What one device knows when its connection has ended.
struct Account {
    device: Device,
    /// All that it has to send: a heart rate each, and when it was measured.
    messages: Vec<(DateTime<Utc>, Publish)>,
    sent: usize,
    /// The packets of messages.
    acknowledged: BTreeSet<u16>,
}

impl Account {
    fn new(device: Device) -> Account {
        let message = |(at, n)| {
            (
                at,
                Publish::new(n, device.topic("readings"), upload(&[heart_rate(at, 72)])),
            )
        };
        Account {
            messages: times().zip(1..).map(message).collect(),
            device,
            sent: 0,
            acknowledged: BTreeSet::new(),
        }
    }

    /// When those heart rates were measured whose messages are acknowledged.
    fn times_acknowledged(&self) -> BTreeSet<DateTime<Utc>> {
        let acknowledged = |(_, message): &&(_, Publish)| self.acknowledged.contains(&message.packet);
        self.messages
            .iter()
            .filter(acknowledged)
            .map(|(at, _)| *at)
            .collect()
    }
}

/// Publishes without a pause until the broker ends the connection.
async fn publish_on_and_on(device: Device, version: Version, running: mpsc::Sender<()>) -> Account {
    let mut client = device.connect(version).await;
    let mut account = Account::new(device);
    loop {
        let may = account.messages.len().min(account.acknowledged.len() + IN_FLIGHT);
        while account.sent < may {
            client
                .send(&account.messages[account.sent].1.encode(version))
                .await;
            account.sent += 1;
        }
        match client.next().await {
            Some(Incoming::PubAck { packet, reason }) => {
                assert_eq!(reason, STORED);
                assert!(
                    account.acknowledged.insert(packet),
                    "packet {packet} is acknowledged once"
                );
                if account.acknowledged.len() == BEFORE_STOP {
                    running.send(()).await.unwrap();
                }
            }
            Some(Incoming::Disconnect { reason }) => assert_eq!(reason, 0x8b, "it is shutting down"),
            Some(other) => panic!("nobody asked for {other:?}"),
            None => return account,
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
        publishing.spawn(publish_on_and_on(device, version, running.clone()));
    }
    for _ in 0..DEVICES {
        soon("every device is acknowledged", told.recv()).await.unwrap();
    }
    let status = server.stop().await;
    assert!(status.success(), "{status}");

    let accounts = soon("every connection ends", publishing.join_all()).await;
    for account in &accounts {
        let readings = server.readings(&account.device).await;
        let stored: BTreeSet<_> = readings.iter().map(|reading| reading.time).collect();
        let acknowledged = account.times_acknowledged();
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "acknowledged and not committed: {lost:?}");
        let untold: Vec<_> = stored.difference(&acknowledged).collect();
        assert!(untold.is_empty(), "committed and not acknowledged: {untold:?}");
    }

    // Each device sends again what was not acknowledged. Then all that it ever sent is there, once.
    server.start_again().await;
    for account in accounts {
        let mut client = account.device.connect_v5().await;
        for (_, message) in &account.messages[..account.sent] {
            if !account.acknowledged.contains(&message.packet) {
                client.upload(&message.topic, message.payload.clone()).await;
            }
        }
        assert_eq!(server.readings(&account.device).await.len(), account.sent);
    }
}

/// Asks a server to stop, and waits until it has begun to.
async fn begin_to_stop(server: &Server) {
    server.terminate();
    let begun = async || server.log().contains("SIGTERM").then_some(());
    eventually("it begins to stop", begun).await;
}

#[tokio::test]
async fn invariant_10_what_was_taken_before_sigterm_is_committed_and_acknowledged() {
    let database = TestDatabase::create().await;
    let mut server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let topic = watch.topic("readings");
    let mut client = watch.connect_v5().await;
    let gate = server.hold_gate().await;
    let packet = client
        .publish(&topic, upload(&[heart_rate(minutes_ago(1), 72)]))
        .await;
    gate.lane_waits().await;
    begin_to_stop(&server).await;
    // What comes after that may be too late.
    client
        .publish(&topic, upload(&[heart_rate(minutes_ago(2), 73)]))
        .await;
    gate.release().await;
    assert_eq!(client.acknowledged(packet).await, STORED);
    client.ended().await;
    assert!(server.exited().await.success());
    let readings = server.readings(&watch).await;
    assert!(
        readings.iter().any(|reading| reading.value == 72.0),
        "{readings:?}"
    );
}

/// Stops a server, with these settings, while a message waits for its commit: it is not acknowledged, and is there once
/// when it was sent again.
async fn stop_in_vain(settings: &[(&str, &str)], stop: impl AsyncFnOnce(&mut Server)) {
    let database = TestDatabase::create().await;
    let mut server = Server::start_with(&database, settings).await;
    let watch = server.enrol("watch").await;
    let topic = watch.topic("readings");
    let payload = upload(&[heart_rate(minutes_ago(1), 72)]);
    let mut client = watch.connect_v5().await;
    let gate = server.hold_gate().await;
    client.publish(&topic, payload.clone()).await;
    gate.lane_waits().await;
    stop(&mut server).await;
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

#[tokio::test]
async fn stopping_is_cut_off_when_the_database_hangs_and_nothing_is_acknowledged() {
    let settings = [("HOMEWARD_STOP_WITHIN_SECONDS", "1")];
    stop_in_vain(&settings, async |server| {
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_nothing_is_acknowledged_for_it() {
    // Nothing else would end it within this test.
    let settings = [
        ("HOMEWARD_STOP_WITHIN_SECONDS", "3600"),
        ("HOMEWARD_LIMITS_ACKNOWLEDGE_WITHIN_SECONDS", "3600"),
    ];
    stop_in_vain(&settings, async |server| {
        begin_to_stop(server).await;
        server.terminate();
        let status = server.exited().await;
        assert!(!status.success(), "what was not finished is told: {status}");
    })
    .await;
}
