//! Bytes that are no MQTT, or not what a device may say: they end the connection that they come on and touch
//! no other.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::harness::*;

/// Inputs of the fuzz test for each protocol version.
const ROUNDS: usize = 250;

/// Panics when something in the process did. The broker answers a panic by ending one connection, so that
/// nothing else would show.
fn assert_no_panic(server: &Server) {
    assert!(
        !server.log().contains("panicked"),
        "the process panicked:\n{}",
        server.log()
    );
}

/// Packets that no device may send, or that are not well-formed.
fn faults(device: &Device, version: Version) -> Vec<Vec<u8>> {
    let topic = text(device.topic("readings"));
    let empty_list: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    let mut faults = vec![
        device.credentials(version).encode(),
        // Lengths: of five bytes, and more than any packet may have.
        vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
        vec![0x30, 0xff, 0xff, 0xff, 0x7f],
        vec![0x82, 0x80, 0x80, 0x80, 0x08],
        // PUBLISH: nothing in it; a topic longer than the packet; no packet identifier; the identifier 0; QoS 3.
        packet(0x32, []),
        packet(0x30, []),
        packet(0x32, [0xff, 0xff, b'v']),
        packet(0x32, &topic),
        packet(0x32, [&topic[..], &[0, 0], empty_list, b"{}"].concat()),
        packet(0x36, [&topic[..], &[0, 1], empty_list, b"{}"].concat()),
        // A topic that is no UTF-8.
        packet(0x32, [&text([0xff, 0xfe])[..], &[0, 1], empty_list].concat()),
        // SUBSCRIBE: without a filter; with a filter longer than the packet; QoS 3; with wrong flags.
        packet(0x82, [&[0, 1], empty_list].concat()),
        packet(0x82, [&[0, 1], empty_list, &[0xff, 0xff, b'v']].concat()),
        packet(0x82, [&[0, 1], empty_list, &text("x")[..], &[3]].concat()),
        packet(0x80, [&[0, 1], empty_list, &text("x")[..], &[0]].concat()),
        packet(0x82, [0]),
        // UNSUBSCRIBE: the same.
        packet(0xa2, [&[0, 1], empty_list].concat()),
        packet(0xa2, [&[0, 1], empty_list, &[0xff, 0xff, b'v']].concat()),
        packet(0xa0, [&[0, 1], empty_list, &text("x")[..]].concat()),
        packet(0xa2, [0]),
        // PINGREQ and DISCONNECT with flags.
        packet(0xc1, []),
        packet(0xe1, []),
    ];
    if version == Version::V5 {
        faults.extend([
            // Property lists: longer than the packet; of an unknown property; cut short.
            packet(0x32, [&topic[..], &[0, 1, 0x7f]].concat()),
            packet(0x32, [&topic[..], &[0, 1, 2, 0x7e, 0]].concat()),
            packet(0x32, [&topic[..], &[0, 1, 2, 0x23, 0]].concat()),
            packet(0x32, [&topic[..], &[0, 1, 0xff, 0xff, 0xff, 0xff, 0x01]].concat()),
            packet(0xe0, [0, 5, 0x11]),
            packet(0xe0, [0x42, 0]),
        ]);
    }
    // Every packet that is the broker's to send, that belongs to QoS 2, or that there is not, in several sizes.
    for kind in [0x00, 0x20, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xf0] {
        for body in [
            &[][..],
            &[0],
            &[0, 0],
            &[0, 1],
            &[0, 1, 0],
            &[0, 1, 0, 0],
            &[0, 0, 1, 0, 0],
        ] {
            faults.push(packet(kind, body));
        }
    }
    faults
}

#[tokio::test]
async fn a_malformed_packet_ends_its_own_connection_only() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let witness = Witness::start(&server, version).await;
        let rogue = server.enrol("watch").await;
        for fault in faults(&rogue, version) {
            let mut client = rogue.connect(version).await;
            client.send(&fault).await;
            let reason = client.ended().await;
            let expected: &[Option<u8>] = match version {
                Version::V4 => &[None],
                // Malformed packet, protocol error, topic name invalid, packet too large.
                Version::V5 => &[Some(0x81), Some(0x82), Some(0x90), Some(0x95)],
            };
            assert!(expected.contains(&reason), "{reason:x?} for {fault:x?}");
            assert_no_panic(&server);
        }
        assert_eq!(server.count_readings(rogue.id).await, 0);
        witness.was_served(&server).await;
    }
}

#[tokio::test]
async fn what_is_no_connect_packet_is_not_let_in() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let witness = Witness::start(&server, version).await;
        let watch = server.enrol("watch").await;
        let good = watch.credentials(version).encode();
        // Where the protocol name begins: behind the first byte and a length of one.
        assert!(good.len() < 128);
        let changed = |position: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[position] = byte;
            bytes
        };
        let publish = Publish::new(
            1,
            watch.topic("readings"),
            upload(&[heart_rate(minutes_ago(1), 72)]),
        );
        let mut faults = vec![
            ping(),
            disconnect(),
            publish.encode(version),
            subscribe(version, 1, &[], &["#"]),
            // Flags; protocol name; protocol levels 3, 6 and 0; a client id longer than the packet.
            changed(0, 0x11),
            changed(3, 5),
            changed(4, b'm'),
            changed(8, 3),
            changed(8, 6),
            changed(8, 0),
            packet(0x10, &good[2..good.len() - 1]),
            packet(0x10, []),
            packet(0x10, text("MQTT")),
            vec![0x10, 0xff, 0xff, 0xff, 0x7f],
            vec![0x10, 0xff, 0xff, 0xff, 0xff],
            b"GET / HTTP/1.1\r\nHost: homeward\r\n\r\n".to_vec(),
            // TLS, where plain MQTT is spoken.
            [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0xaa; 507]].concat(),
        ];
        faults.extend(
            (0..=255_u8)
                .filter(|byte| *byte != 0x10)
                .map(|byte| vec![byte, 0]),
        );
        for fault in faults {
            let mut client = Client::dial(server.mqtt, version).await;
            client.send(&fault).await;
            assert_eq!(client.next().await, None, "{fault:x?}");
        }
        assert_no_panic(&server);
        assert_eq!(server.count_readings(watch.id).await, 0);
        witness.was_served(&server).await;
    }
}

#[tokio::test]
async fn no_bytes_harm_anybody_else() {
    let database = TestDatabase::create().await;
    // What is sent behind a fault is not to be cut off for its rate.
    let server = Server::start(&database).await;
    let seed = rand::random();
    println!("seed: {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for version in Version::BOTH {
        let witness = Witness::start(&server, version).await;
        let rogue = server.enrol("watch").await;
        let errors = rogue.topic("errors");
        let hello = rogue.credentials(version).encode();
        let sound = [
            hello.clone(),
            Publish::new(
                1,
                rogue.topic("readings"),
                upload(&[heart_rate(minutes_ago(1), 72)]),
            )
            .encode(version),
            subscribe(version, 2, &[], &[&errors, "#"]),
            unsubscribe(version, 3, &[&errors]),
            ping(),
            disconnect(),
        ];
        for _ in 0..ROUNDS {
            let mut bytes = Vec::new();
            for _ in 0..random.random_range(1..4) {
                bytes.extend(damage(&sound[random.random_range(0..sound.len())], &mut random));
            }
            let mut client = if random.random_bool(0.8) {
                rogue.connect(version).await
            } else {
                Client::dial(server.mqtt, version).await
            };
            client.send(&bytes).await;
            if random.random_bool(0.2) {
                client.vanish();
            } else {
                // What looks like the beginning of a packet would be waited for.
                client.say_no_more().await;
                client.ended().await;
            }
            assert!(
                !server.log().contains("panicked"),
                "{bytes:x?} made the process panic:\n{}",
                server.log()
            );
        }
        rogue.connect(version).await.disconnect().await;
        witness.was_served(&server).await;
    }
}

/// A packet with some of its bytes changed, taken away, or added.
fn damage(packet: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    for _ in 0..random.random_range(0..4) {
        let position = random.random_range(0..bytes.len());
        match random.random_range(0..5) {
            0 => bytes[position] ^= 1 << random.random_range(0..8),
            // The first bytes decide most.
            1 => bytes[position.min(4)] = random.random(),
            2 => bytes.truncate(position.max(1)),
            3 => bytes.insert(position, random.random()),
            _ => {
                bytes.remove(position);
                bytes.push(random.random());
            }
        }
    }
    bytes
}

#[tokio::test]
async fn a_device_may_vanish_at_any_moment() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let witness = Witness::start(&server, version).await;
        let flaky = server.enrol("watch").await;
        let hello = flaky.credentials(version).encode();
        let publish = Publish::new(
            1,
            flaky.topic("readings"),
            upload(&[heart_rate(minutes_ago(1), 72)]),
        );
        for round in 0..10 {
            Client::dial(server.mqtt, version).await.vanish();

            let mut client = Client::dial(server.mqtt, version).await;
            client.send(&hello[..hello.len() - 1]).await;
            client.vanish();

            // Before its CONNACK: the broker has nobody to write it to.
            let mut client = Client::dial(server.mqtt, version).await;
            client.send(&hello).await;
            client.vanish();
            if round % 2 == 0 {
                // Whoever comes next gets the same slot in the broker.
                flaky.connect(version).await.vanish();
            }

            let mut client = Client::dial(server.mqtt, version).await;
            client
                .send(&[&hello[..], &publish.encode(version)[..], &[0x32]].concat())
                .await;
            client.vanish();
        }
        assert_no_panic(&server);
        let mut client = flaky.connect(version).await;
        client.upload(&flaky.topic("readings"), publish.payload).await;
        assert_eq!(server.count_readings(flaky.id).await, 1);
        witness.was_served(&server).await;
    }
}
