//! Wills: what a device leaves to be published when its connection breaks.

use crate::harness::*;

fn last_words(device: &Device, value: i32) -> Will {
    Will {
        topic: device.topic("readings"),
        payload: upload(&[heart_rate(minutes_ago(value.into()), value)]),
        qos: 1,
        retain: false,
    }
}

async fn connect_with(device: &Device, version: Version, will: Will) -> (Client, ConnAck) {
    let connect = Connect {
        will: Some(will),
        ..device.credentials(version)
    };
    Client::connect(device.broker, &connect).await
}

#[tokio::test]
async fn invariant_3_a_will_outside_the_devices_topics_is_refused() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let victim = server.enrol("watch").await;
    for version in Version::BOTH {
        let rogue = server.enrol("watch").await;
        let own = last_words(&rogue, 1);
        for will in [
            last_words(&victim, 1),
            Will {
                topic: victim.topic("errors"),
                ..own.clone()
            },
            Will {
                topic: rogue.topic("commands"),
                ..own.clone()
            },
            Will {
                topic: "c/0".to_owned(),
                ..own.clone()
            },
            Will {
                topic: "#".to_owned(),
                ..own.clone()
            },
            Will {
                topic: String::new(),
                ..own.clone()
            },
            Will {
                retain: true,
                ..own.clone()
            },
            Will {
                qos: 2,
                ..own.clone()
            },
        ] {
            let (mut client, ack) = connect_with(&rogue, version, will.clone()).await;
            assert_eq!(
                ack.code,
                if version == Version::V5 { 0x87 } else { 5 },
                "{will:?}"
            );
            assert_eq!(client.ended().await, None);
        }
        // Behind whatever a refused will might have done.
        let mut client = rogue.connect(version).await;
        client
            .upload(
                &rogue.topic("readings"),
                upload(&[heart_rate(minutes_ago(9), 99)]),
            )
            .await;
        assert_eq!(server.count_readings(rogue.id).await, 1);
        assert!(server.rejected(&rogue).await.is_empty());
    }
    assert_eq!(server.count_readings(victim.id).await, 0);
}

#[tokio::test]
async fn a_will_is_stored_when_the_connection_breaks() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let (client, ack) = connect_with(&watch, version, last_words(&watch, 41)).await;
        assert_eq!(ack.code, 0);
        client.vanish();
        let stored = eventually("the will is stored", async || server.readings(&watch).await.pop()).await;
        assert_eq!(stored.value, 41.0);

        // Also when the broker ends it, for a fault of the device's.
        let (mut client, _) = connect_with(&watch, version, last_words(&watch, 42)).await;
        client.send(&packet(0xf8, [0])).await;
        client.ended().await;
        eventually("the will is stored", async || {
            (server.readings(&watch).await.len() == 2).then_some(())
        })
        .await;
    }
    // MQTT 5 knows a good-bye that leaves the will in force.
    let watch = server.enrol("watch").await;
    let (mut client, _) = connect_with(&watch, Version::V5, last_words(&watch, 43)).await;
    client.send(&packet(0xe0, [0x04, 0])).await;
    client.ended().await;
    eventually("the will is stored", async || server.readings(&watch).await.pop()).await;
}

#[tokio::test]
async fn a_will_is_forgotten_after_a_good_bye() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    // The reason, and its properties, may be left out.
    for (version, good_bye) in [
        (Version::V4, packet(0xe0, [])),
        (Version::V5, packet(0xe0, [])),
        (Version::V5, packet(0xe0, [0])),
        (Version::V5, packet(0xe0, [0, 0])),
    ] {
        let watch = server.enrol("watch").await;
        let (mut client, _) = connect_with(&watch, version, last_words(&watch, 41)).await;
        client.send(&good_bye).await;
        assert_eq!(client.ended().await, None, "{version:?} {good_bye:?}");

        let mut client = watch.connect(version).await;
        client
            .upload(
                &watch.topic("readings"),
                upload(&[heart_rate(minutes_ago(1), 72)]),
            )
            .await;
        let values: Vec<_> = server
            .readings(&watch)
            .await
            .iter()
            .map(|reading| reading.value)
            .collect();
        assert_eq!(values, [72.0], "{version:?} {good_bye:?}");
    }
}

#[tokio::test]
async fn a_will_of_somebody_without_the_secret_is_never_stored() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let impostor = Device {
            secret: "guessed".to_owned(),
            ..watch.clone()
        };
        let (mut client, ack) = connect_with(&impostor, version, last_words(&watch, 41)).await;
        assert_ne!(ack.code, 0);
        client.ended().await;

        let mut client = watch.connect(version).await;
        client
            .upload(
                &watch.topic("readings"),
                upload(&[heart_rate(minutes_ago(1), 72)]),
            )
            .await;
        assert_eq!(server.count_readings(watch.id).await, 1);
    }
}
