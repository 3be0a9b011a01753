//! What a device may publish, and where.

use crate::harness::*;

#[tokio::test]
async fn invariant_3_a_message_on_a_topic_not_its_own_is_kept_and_never_read() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let victim = server.enrol("watch").await;
    for version in Version::BOTH {
        let rogue = server.enrol("watch").await;
        let mut client = rogue.connect(version).await;
        let foreign = [
            victim.topic("readings"),
            victim.topic("gatt/2a37"),
            victim.topic("errors"),
            victim.topic("commands"),
            rogue.topic("errors"),
            rogue.topic("commands"),
            rogue.topic("readings/"),
            rogue.topic("readings").to_uppercase(),
            format!("/{}", rogue.topic("readings")),
            format!("v1/devices/0{}/readings", rogue.id),
            "$SYS/broker".to_owned(),
            "$share/group/topic".to_owned(),
            // How the process talks to its connections inside the broker is nobody else's business.
            "c/0".to_owned(),
            "tick".to_owned(),
        ];
        for (count, topic) in (1..).zip(&foreign) {
            let payload = upload(&[heart_rate(minutes_ago(count), 72)]);
            let reason = client.upload(topic, payload.clone()).await;
            let expected = if version == Version::V5 { NOT_AUTHORIZED } else { 0 };
            assert_eq!(reason, expected, "{topic}");
            // With the PUBACK, it is kept.
            let kept = server.rejected(&rogue).await.pop().unwrap();
            assert_eq!((&kept.topic, &kept.payload), (topic, &payload));
            assert_eq!(kept.reasons(), ["not_authorized"]);
        }
        assert_eq!(server.rejected(&rogue).await.len(), foreign.len());
        assert_eq!(server.count_readings(rogue.id).await, 0);
        // None of that cost it its connection.
        let own = upload(&[heart_rate(minutes_ago(1), 72)]);
        assert_eq!(client.upload(&rogue.topic("readings"), own).await, STORED);
    }
    assert_eq!(server.count_readings(victim.id).await, 0);
    assert!(server.rejected(&victim).await.is_empty());
}

#[tokio::test]
async fn invariant_3_a_message_of_qos_0_on_anothers_topic_is_kept_and_never_read() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let victim = server.enrol("watch").await;
    for version in Version::BOTH {
        let rogue = server.enrol("watch").await;
        let mut client = rogue.connect(version).await;
        let publish = Publish {
            qos: 0,
            ..Publish::new(
                0,
                victim.topic("readings"),
                upload(&[heart_rate(minutes_ago(1), 72)]),
            )
        };
        client.send(&publish.encode(version)).await;
        let kept = eventually("the message is kept", async || {
            server.rejected(&rogue).await.pop()
        })
        .await;
        assert_eq!(kept.payload, publish.payload);
        assert_eq!(kept.reasons(), ["not_authorized"]);
        client.hears_nothing_else().await;
        assert_eq!(server.count_readings(rogue.id).await, 0);
    }
    assert_eq!(server.count_readings(victim.id).await, 0);
}

#[tokio::test]
async fn a_message_of_qos_0_on_its_own_topic_is_stored() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        let publish = Publish {
            qos: 0,
            ..Publish::new(
                0,
                watch.topic("readings"),
                upload(&[heart_rate(minutes_ago(1), 72)]),
            )
        };
        client.send(&publish.encode(version)).await;
        let stored = eventually("the reading is stored", async || {
            server.readings(&watch).await.pop()
        })
        .await;
        assert_eq!(stored.value, 72.0);
        client.hears_nothing_else().await;
    }
}

#[tokio::test]
async fn what_the_connack_ruled_out_ends_the_connection_with_its_reason() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let (own, payload) = (watch.topic("readings"), upload(&[heart_rate(minutes_ago(1), 72)]));
    let message = || Publish::new(1, own.clone(), payload.clone());
    for (publish, reason) in [
        (
            Publish {
                properties: vec![0x23, 0, 1],
                ..message()
            },
            0x94,
        ),
        (
            Publish {
                topic: String::new(),
                properties: vec![0x23, 0, 1],
                ..message()
            },
            0x94,
        ),
        (Publish { qos: 2, ..message() }, 0x9b),
        (
            Publish {
                retain: true,
                ..message()
            },
            0x9a,
        ),
        (
            Publish {
                properties: vec![0x0b, 1],
                ..message()
            },
            0x82,
        ),
        (
            Publish {
                topic: String::new(),
                ..message()
            },
            0x90,
        ),
        (
            Publish {
                topic: "v1/devices/+/readings".to_owned(),
                ..message()
            },
            0x90,
        ),
        (
            Publish {
                topic: "#".to_owned(),
                ..message()
            },
            0x90,
        ),
        (
            Publish {
                topic: "v1/\0".to_owned(),
                ..message()
            },
            0x90,
        ),
    ] {
        let mut client = watch.connect_v5().await;
        client.send(&publish.encode(Version::V5)).await;
        assert_eq!(client.ended().await, Some(reason), "{publish:?}");
    }
    assert_eq!(server.count_readings(watch.id).await, 0);
}

#[tokio::test]
async fn qos_2_ends_a_connection_of_mqtt_3_too() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let message = Publish::new(
        1,
        watch.topic("readings"),
        upload(&[heart_rate(minutes_ago(1), 72)]),
    );
    let mut client = watch.connect_v4().await;
    client
        .send(
            &Publish {
                qos: 2,
                ..message.clone()
            }
            .encode(Version::V4),
        )
        .await;
    assert_eq!(client.next().await, None, "no PUBREC, and no PUBACK either");
    assert_eq!(server.count_readings(watch.id).await, 0);

    // A retained message it cannot know to be ruled out: it is taken as any other.
    let mut client = watch.connect_v4().await;
    client
        .send(
            &Publish {
                retain: true,
                ..message
            }
            .encode(Version::V4),
        )
        .await;
    client.acknowledged(1).await;
    assert_eq!(server.count_readings(watch.id).await, 1);
}

#[tokio::test]
async fn what_mqtt_5_adds_and_nobody_needs_here_is_taken_and_ignored() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let user_property = [vec![0x26], text("firmware"), text("1.2")].concat();
    let mut connect = watch.credentials(Version::V5);
    // Session expiry, receive maximum, topic alias maximum, problem information, a user property.
    connect.properties = [
        &[0x11, 0, 0, 1, 0, 0x21, 0, 9, 0x22, 0, 5, 0x17, 1][..],
        &user_property,
    ]
    .concat();
    connect.keep_alive = 0;
    let (mut client, ack) = Client::connect(server.mqtt, &connect).await;
    assert_eq!((ack.code, ack.session_present), (0, false));
    // Payload format, expiry, content type, response topic, correlation data, user properties.
    let properties = [
        &[0x01, 1, 0x02, 0, 0, 0, 9][..],
        &[0x03],
        &text("application/json"),
        &[0x08],
        &text("answers/here"),
        &[0x09],
        &text([0, 1, 2]),
        &user_property,
        &user_property,
    ]
    .concat();
    let payload = upload(&[heart_rate(minutes_ago(1), 72)]);
    let publish = Publish {
        properties,
        ..Publish::new(1, watch.topic("readings"), payload)
    };
    client.send(&publish.encode(Version::V5)).await;
    assert_eq!(client.acknowledged(1).await, STORED);
    assert_eq!(server.count_readings(watch.id).await, 1);
    // A packet may arrive byte by byte, and many in one write.
    let publish = Publish { packet: 2, ..publish }.encode(Version::V5);
    for byte in &publish {
        client.send(&[*byte]).await;
    }
    client.send(&[ping(), publish.clone(), ping()].concat()).await;
    assert_eq!(client.acknowledged(2).await, STORED_EARLIER);
}
