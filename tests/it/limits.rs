//! What a device, and all of them together, may ask of the broker. Whoever asks more is refused, and nobody
//! else notices.

use std::time::Duration;

use serde_json::json;

use crate::harness::*;

/// The most bytes of a payload.
const MAX_PAYLOAD: usize = 64 * 1024;
/// The most bytes of a packet.
const MAX_PACKET: usize = MAX_PAYLOAD + 4 * 1024;

/// A message of one reading and so many bytes.
fn padded(reading: serde_json::Value, bytes: usize) -> Vec<u8> {
    let mut payload = upload(&[reading]);
    payload.resize(bytes, b' ');
    payload
}

#[tokio::test]
async fn a_payload_over_64_kib_is_rejected_and_a_larger_packet_not_even_read() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let witness = Witness::start(&server, version).await;
        let watch = server.enrol("watch").await;
        let topic = watch.topic("readings");
        let mut client = watch.connect(version).await;
        let largest = padded(heart_rate(minutes_ago(3), 71), MAX_PAYLOAD);
        assert_eq!(client.upload(&topic, largest).await, STORED);

        let too_large = padded(heart_rate(minutes_ago(2), 72), MAX_PAYLOAD + 1);
        let reason = client.upload(&topic, too_large.clone()).await;
        assert_eq!(
            reason,
            if version == Version::V5 {
                PAYLOAD_INVALID
            } else {
                0
            }
        );
        let kept = server.rejected(&watch).await;
        assert_eq!((kept.len(), kept[0].reasons()), (1, vec!["too_large"]));
        assert!(kept[0].payload == too_large, "with all its bytes");

        let packet =
            Publish::new(9, topic, padded(heart_rate(minutes_ago(1), 73), MAX_PACKET)).encode(version);
        client.send(&packet).await;
        assert_eq!(client.ended().await, (version == Version::V5).then_some(0x95));
        let values: Vec<_> = server
            .readings(&watch)
            .await
            .iter()
            .map(|reading| reading.value)
            .collect();
        assert_eq!(values, [71.0]);
        witness.was_served(&server).await;
    }
}

#[tokio::test]
async fn more_messages_than_the_window_wait_their_turn() {
    let database = TestDatabase::create().await;
    let server = Server::start_with(&database, &[("HOMEWARD_LIMITS_WINDOW", "4")]).await;
    for version in Version::BOTH {
        let greedy = server.enrol("watch").await;
        let topic = greedy.topic("readings");
        let publishes: Vec<_> = (1..=30)
            .map(|n| Publish::new(n, &topic, upload(&[heart_rate(minutes_ago(n.into()), n + 50)])))
            .collect();
        let mut client = greedy.connect(version).await;
        let gate = server.hold_gate().await;
        // In one write, so that they are there before anything can be acknowledged.
        let all: Vec<u8> = publishes
            .iter()
            .flat_map(|publish| publish.encode(version))
            .collect();
        client.send(&all).await;
        gate.lane_waits().await;
        gate.release().await;
        for publish in &publishes {
            assert_eq!(client.acknowledged(publish.packet).await, STORED);
        }
        assert_eq!(server.count_readings(greedy.id).await, 30);
        client.disconnect().await;
    }
}

#[tokio::test]
async fn far_more_than_the_window_ends_the_connection() {
    let database = TestDatabase::create().await;
    let server = Server::start_with(&database, &[("HOMEWARD_LIMITS_WINDOW", "4")]).await;
    for version in Version::BOTH {
        let witness = Witness::start(&server, version).await;
        let greedy = server.enrol("watch").await;
        let topic = greedy.topic("readings");
        let payloads: Vec<_> = times()
            .take(12)
            .map(|at| padded(heart_rate(at, 72), MAX_PAYLOAD))
            .collect();
        let mut client = greedy.connect(version).await;
        let gate = server.hold_gate().await;
        // More bytes than may wait.
        for payload in &payloads {
            client.publish(&topic, payload.clone()).await;
        }
        eventually("the connection is to end", async || {
            let said = format!("device_id={} reason=ReceiveMaximumExceeded", greedy.id);
            server.log().contains(&said).then_some(())
        })
        .await;
        gate.release().await;
        assert_eq!(client.ended().await, (version == Version::V5).then_some(0x93));

        // What was within the window is stored, and the rest when it is sent again.
        assert_eq!(server.count_readings(greedy.id).await, 4);
        let mut client = greedy.connect(version).await;
        for payload in payloads {
            client.upload(&topic, payload).await;
        }
        assert_eq!(server.count_readings(greedy.id).await, 12);
        witness.was_served(&server).await;
    }
}

#[tokio::test]
async fn a_flood_is_refused_message_by_message_and_ends_when_it_goes_on() {
    let database = TestDatabase::create().await;
    let limits = [
        ("HOMEWARD_LIMITS_BURST", "50"),
        ("HOMEWARD_LIMITS_MESSAGES_PER_SECOND", "40"),
        ("HOMEWARD_LIMITS_WINDOW", "1000"),
    ];
    let server = Server::start_with(&database, &limits).await;
    let witness = Witness::start(&server, Version::V5).await;
    let flooding = server.enrol("watch").await;
    let topic = flooding.topic("readings");
    let publishes: Vec<_> = times()
        .zip(1..=900)
        .map(|(at, n)| Publish::new(n, &topic, upload(&[heart_rate(at, 72)])))
        .collect();

    let mut client = flooding.connect_v5().await;
    let mut refused = Vec::new();
    for publish in &publishes[..200] {
        client.send(&publish.encode(Version::V5)).await;
    }
    for publish in &publishes[..200] {
        match client.acknowledged(publish.packet).await {
            STORED => {}
            QUOTA_EXCEEDED => refused.push(publish),
            other => panic!("reason {other:#x}"),
        }
    }
    assert!(!refused.is_empty());
    assert_eq!(
        server.readings(&flooding).await.len(),
        200 - refused.len(),
        "refused is not stored"
    );
    // What was refused is stored when it is sent again, slowly.
    for publish in &refused[..10] {
        eventually("there is quota again", async || {
            client.send(&publish.encode(Version::V5)).await;
            (client.acknowledged(publish.packet).await == STORED).then_some(())
        })
        .await;
    }
    assert_eq!(server.readings(&flooding).await.len(), 200 - refused.len() + 10);

    // Without any pause the patience ends, also with messages that need no answer.
    let all: Vec<u8> = publishes
        .iter()
        .flat_map(|publish| publish.encode(Version::V5))
        .collect();
    client.send(&all).await;
    assert_eq!(client.ended().await, Some(0x96));
    let mut client = flooding.connect_v5().await;
    let unacknowledged = |publish: &Publish| {
        Publish {
            qos: 0,
            ..publish.clone()
        }
        .encode(Version::V5)
    };
    client
        .send(&publishes.iter().flat_map(unacknowledged).collect::<Vec<u8>>())
        .await;
    assert_eq!(client.ended().await, Some(0x96));
    // As with pings and subscriptions.
    let mut client = flooding.connect_v5().await;
    client.send(&ping().repeat(200)).await;
    assert_eq!(client.ended().await, Some(0x96));
    witness.was_served(&server).await;
}

#[tokio::test]
async fn a_flood_over_mqtt_3_ends_the_connection_since_it_cannot_be_refused() {
    let database = TestDatabase::create().await;
    let limits = [
        ("HOMEWARD_LIMITS_BURST", "50"),
        ("HOMEWARD_LIMITS_MESSAGES_PER_SECOND", "40"),
    ];
    let server = Server::start_with(&database, &limits).await;
    let witness = Witness::start(&server, Version::V4).await;
    let flooding = server.enrol("watch").await;
    let mut client = flooding.connect_v4().await;
    let publishes: Vec<_> = times()
        .zip(1..=120)
        .map(|(at, n)| Publish::new(n, flooding.topic("readings"), upload(&[heart_rate(at, 72)])))
        .collect();
    client
        .send(
            &publishes
                .iter()
                .flat_map(|publish| publish.encode(Version::V4))
                .collect::<Vec<u8>>(),
        )
        .await;
    let mut acknowledged = 0;
    while let Some(incoming) = client.next().await {
        assert!(matches!(incoming, Incoming::PubAck { .. }));
        acknowledged += 1;
    }
    assert!(acknowledged < 120);
    assert!(server.readings(&flooding).await.len() >= acknowledged);
    witness.was_served(&server).await;
}

#[tokio::test]
async fn one_connection_more_than_allowed_finds_no_room_until_another_leaves() {
    let database = TestDatabase::create().await;
    let server = Server::start_with(&database, &[("HOMEWARD_LIMITS_CONNECTIONS", "4")]).await;
    let witness = Witness::start(&server, Version::V5).await;
    // Whoever has not said who it is takes nobody's room.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Client::dial(server.mqtt, Version::V5).await);
    }
    let devices = server.enrol_many(4, &[]).await;
    let mut connected = Vec::new();
    for device in &devices[..3] {
        connected.push(device.connect_v5().await);
    }
    for version in Version::BOTH {
        let mut surplus = Client::dial(server.mqtt, version).await;
        surplus.send(&devices[3].credentials(version).encode()).await;
        assert_eq!(surplus.next().await, None);
    }
    connected.pop().unwrap().vanish();
    eventually("there is room", async || {
        let mut client = Client::dial(server.mqtt, Version::V5).await;
        client.send(&devices[3].credentials(Version::V5).encode()).await;
        client.next().await
    })
    .await;
    for client in &mut connected {
        client.ping().await;
    }
    witness.was_served(&server).await;
}

#[tokio::test]
async fn who_does_not_say_who_it_is_and_who_falls_silent_is_disconnected() {
    let database = TestDatabase::create().await;
    let server = Server::start_with(&database, &[("HOMEWARD_LIMITS_CONNECT_WITHIN_SECONDS", "1")]).await;
    let witness = Witness::start(&server, Version::V4).await;
    let watch = server.enrol("watch").await;
    let hello = watch.credentials(Version::V4).encode();
    for beginning in [&[][..], &hello[..1], &hello[..hello.len() - 1]] {
        let mut client = Client::dial(server.mqtt, Version::V4).await;
        client.send(beginning).await;
        assert_eq!(client.next().await, None, "{beginning:x?}");
    }
    for version in Version::BOTH {
        let (mut client, ack) = Client::connect(
            server.mqtt,
            &Connect {
                keep_alive: 1,
                ..watch.credentials(version)
            },
        )
        .await;
        assert_eq!(ack.code, 0);
        client.ended().await;
    }
    witness.was_served(&server).await;
}

#[tokio::test]
async fn a_message_that_finds_no_room_in_memory_is_refused_until_there_is_room() {
    let database = TestDatabase::create().await;
    // Room for three messages of the largest size.
    let bytes = (3 * MAX_PAYLOAD + 1_000).to_string();
    let server = Server::start_with(&database, &[("HOMEWARD_LIMITS_BYTES_IN_FLIGHT", &bytes)]).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let topic = watch.topic("readings");
        let mut client = watch.connect(version).await;
        let gate = server.hold_gate().await;
        let mut sent = Vec::new();
        for minutes in 1..=4 {
            let payload = padded(heart_rate(minutes_ago(minutes), 72), MAX_PAYLOAD);
            sent.push(client.publish(&topic, payload).await);
        }
        if version == Version::V5 {
            assert_eq!(client.acknowledged(sent[3]).await, QUOTA_EXCEEDED);
        } else {
            eventually("the last is refused", async || {
                let metrics = server.get("/metrics", "").await.body;
                metrics
                    .contains("homeward_ingest_connections_ended_total 1")
                    .then_some(())
            })
            .await;
        }
        gate.release().await;
        for packet in &sent[..3] {
            assert_eq!(client.acknowledged(*packet).await, STORED);
        }
        if version == Version::V4 {
            // It cannot be told otherwise.
            assert_eq!(client.next().await, None);
            client = watch.connect(version).await;
        }
        let again = padded(heart_rate(minutes_ago(4), 72), MAX_PAYLOAD);
        assert_eq!(client.upload(&topic, again).await, STORED);
        assert_eq!(server.count_readings(watch.id).await, 4);
    }
}

#[tokio::test]
async fn a_device_that_reads_nothing_of_what_it_is_told_holds_up_nobody() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let witness = Witness::start(&server, Version::V5).await;
    let deaf = server.enrol("watch").await;
    let topic = deaf.topic("readings");
    let mut client = Client::dial_narrow(server.mqtt, Version::V5).await;
    client.send(&deaf.credentials(Version::V5).encode()).await;
    assert!(matches!(client.next().await, Some(Incoming::ConnAck(ack)) if ack.code == 0));
    client.subscribe(&[&deaf.topic("errors")]).await;
    // Each is answered by a report of some kilobytes.
    let unknown = json!({"type": "\u{1}".repeat(60), "at": stamp(now())});
    let mut nonsense = upload(&vec![unknown; 20]);
    let mut sent = 0;
    // Until the broker takes no more of it: then all buffers between the two are full.
    loop {
        for _ in 0..50 {
            nonsense.push(b' ');
            let publish = Publish {
                qos: 0,
                ..Publish::new(0, &topic, nonsense.clone())
            };
            client.send(&publish.encode(Version::V5)).await;
            sent += 1;
        }
        let taken = async { while count_rejected(&server, &deaf).await < sent {} };
        if tokio::time::timeout(Duration::from_secs(5), taken).await.is_err() {
            break;
        }
        assert!(sent < 10_000, "it is never too much");
    }
    // It is served on another connection, though that cannot end the first.
    let mut second = deaf.connect_v5().await;
    assert_eq!(
        second
            .upload(&topic, upload(&[heart_rate(minutes_ago(1), 72)]))
            .await,
        STORED
    );
    let metrics = server.get("/metrics", "").await.body;
    assert!(metrics.contains("homeward_ingest_connections 3"), "{metrics}");
    client.vanish();
    eventually("the broker notices that the first is gone", async || {
        let metrics = server.get("/metrics", "").await.body;
        metrics.contains("homeward_ingest_connections 2").then_some(())
    })
    .await;
    witness.was_served(&server).await;
}

async fn count_rejected(server: &Server, device: &Device) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM rejected_message WHERE device_id = $1")
        .bind(device.id.0)
        .fetch_one(&server.pool)
        .await
        .unwrap()
}
