//! What devices may make the process hold while it cannot store anything.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::PrivateDatabase;
use crate::harness::*;

const DEVICES: usize = 16;
/// Messages of each device, all in flight at once.
const MESSAGES: u16 = 100;
/// The size of each: as large as messages come.
const PAYLOAD: usize = 60 * 1024;
/// How often each device of MQTT 5 sends one again that was refused; so often in a row it may.
const AGAIN: usize = 100;
/// What the process may hold of all of them.
const BYTES_IN_FLIGHT: usize = 4 * 1024 * 1024;
/// By how much the process may grow: by what it may hold, by its buffers for each connection, and by what any
/// process takes that works. A fraction of what is thrown at it.
const MOST_GROWTH: usize = 32 * 1024 * 1024;

/// A device with more to say than there is room for.
struct Pusher {
    device: Device,
    version: Version,
    client: Client,
    messages: BTreeMap<u16, Publish>,
    bytes_sent: usize,
}

impl Pusher {
    async fn new(device: Device, version: Version) -> Pusher {
        let client = device.connect(version).await;
        let topic = device.topic("readings");
        let message = |(packet, at)| {
            let mut payload = upload(&[heart_rate(at, 72)]);
            payload.resize(PAYLOAD, b' ');
            (packet, Publish::new(packet, &topic, payload))
        };
        Pusher {
            messages: (1..=MESSAGES).zip(times()).map(message).collect(),
            device,
            version,
            client,
            bytes_sent: 0,
        }
    }

    async fn send(&mut self, packet: u16) {
        let bytes = self.messages[&packet].encode(self.version);
        self.bytes_sent += bytes.len();
        self.client.send(&bytes).await;
    }

    /// Sends everything, and much of it again and again, while nothing can be stored.
    async fn push(&mut self) {
        for packet in 1..=MESSAGES {
            self.send(packet).await;
        }
        if self.version == Version::V4 {
            // It cannot be told that there is no room: its connection ends once what was taken is acknowledged,
            // and nothing more is taken from it until then.
            return;
        }
        for _ in 0..AGAIN {
            let packet = self.refused().await;
            self.send(packet).await;
        }
    }

    async fn refused(&mut self) -> u16 {
        match self.client.next().await {
            Some(Incoming::PubAck { packet, reason }) => {
                assert_eq!(reason, 0x97, "nothing can be stored");
                packet
            }
            other => panic!("expected a refusal, not {other:?}"),
        }
    }

    /// Connects anew and sends one message after the other, each until it is taken. Some of them had been
    /// taken before, and nobody was told.
    async fn finish(&mut self) {
        let mut client = self.device.connect(self.version).await;
        for message in self.messages.values() {
            loop {
                let sent = client.publish(&message.topic, message.payload.clone()).await;
                match client.next().await {
                    Some(Incoming::PubAck { packet, reason }) if packet == sent => {
                        if reason != 0x97 {
                            break;
                        }
                    }
                    Some(other) => panic!("expected a PUBACK of {sent}, not {other:?}"),
                    // MQTT 3.1.1 has no words for a refusal.
                    None => client = self.device.connect(self.version).await,
                }
                // What was taken before the database was away may still be on its way into it.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_9_memory_is_bounded_while_the_database_is_away_and_nothing_refused_is_lost() {
    let mut database = PrivateDatabase::start().await;
    let in_flight = BYTES_IN_FLIGHT.to_string();
    let settings = [
        ("HOMEWARD_LIMITS_BYTES_IN_FLIGHT", in_flight.as_str()),
        ("HOMEWARD_LIMITS_ACKNOWLEDGE_WITHIN_SECONDS", "3600"),
    ];
    let mut server = database.serve(&settings).await;
    let devices = server.enrol_many(DEVICES, &[]).await;
    let mut pushers = Vec::new();
    for (device, version) in devices.into_iter().zip(Version::BOTH.into_iter().cycle()) {
        pushers.push(Pusher::new(device, version).await);
    }
    let before = memory(&server, "VmRSS");
    database.stop().await;

    let (pushed, mut all_pushed) = mpsc::channel(DEVICES);
    let (back, _) = broadcast::channel::<()>(1);
    let mut pushing = JoinSet::new();
    for mut pusher in pushers {
        let (pushed, mut back) = (pushed.clone(), back.subscribe());
        pushing.spawn(async move {
            pusher.push().await;
            pushed.send(pusher.bytes_sent).await.unwrap();
            back.recv().await.unwrap();
            pusher.finish().await;
            pusher.device
        });
    }
    let mut bytes = 0;
    for _ in 0..DEVICES {
        bytes += soon("a device has pushed", all_pushed.recv()).await.unwrap();
    }
    let growth = memory(&server, "VmHWM") - before;
    println!("{bytes} bytes pushed; grown from {before} by {growth}");
    assert!(growth < MOST_GROWTH, "grown by {growth} bytes");

    database.start_again().await;
    eventually("what was taken is stored", async || {
        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM reading")
            .fetch_one(&server.pool)
            .await
            .unwrap();
        (stored > 0).then_some(())
    })
    .await;
    back.send(()).unwrap();
    for device in soon("everything is acknowledged", pushing.join_all()).await {
        assert_eq!(server.count_readings(device.id).await, i64::from(MESSAGES));
        assert!(server.rejected(&device).await.is_empty());
    }
    assert!(server.stop().await.success());
    database.close().await;
}

/// A number of the process's memory, in bytes.
fn memory(server: &Server, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}
