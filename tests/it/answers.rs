//! What the broker says of itself and of messages.

use std::slice::from_ref;

use crate::harness::*;

#[tokio::test]
async fn the_connack_announces_what_is_true() {
    let database = TestDatabase::create().await;
    let server = Server::start_with(&database, &[("HOMEWARD_LIMITS_WINDOW", "7")]).await;
    let watch = server.enrol("watch").await;
    let (_client, ack) = Client::connect(server.mqtt, &watch.credentials(Version::V5)).await;
    assert_eq!((ack.code, ack.session_present), (0, false));
    let announced: Vec<_> = ack.properties.into_iter().collect();
    assert_eq!(
        announced,
        [
            (0x11, 0),                // session expiry interval
            (0x21, 7),                // receive maximum
            (0x22, 0),                // topic alias maximum
            (0x24, 1),                // maximum QoS
            (0x25, 0),                // retain available
            (0x27, 64 * 1024 + 4096), // maximum packet size
            (0x28, 0),                // wildcard subscriptions available
            (0x29, 0),                // subscription identifiers available
            (0x2a, 0),                // shared subscriptions available
        ]
    );
    // A session of before is never present, also not for a client that asks to keep one.
    let mut hello = watch.credentials(Version::V4).encode();
    let flags = &mut hello[9];
    *flags &= !0b10;
    for _ in 0..2 {
        let mut client = Client::dial(server.mqtt, Version::V4).await;
        client.send(&hello).await;
        match client.next().await {
            Some(Incoming::ConnAck(ack)) => assert_eq!((ack.code, ack.session_present), (0, false)),
            other => panic!("expected a CONNACK, not {other:?}"),
        }
        client.vanish();
    }
}

#[tokio::test]
async fn a_puback_says_what_became_of_the_message() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let (watch, other) = (server.enrol("watch").await, server.enrol("watch").await);
    let mut client = watch.connect_v5().await;
    let first = heart_rate(minutes_ago(1), 71);
    let second = heart_rate(minutes_ago(2), 72);
    let impossible = heart_rate(minutes_ago(3), 999);
    let topic = watch.topic("readings");
    for (topic, payload, reason) in [
        (&topic, upload(from_ref(&first)), STORED),
        (&topic, upload(from_ref(&first)), STORED_EARLIER),
        (&topic, upload(&[first.clone(), second.clone()]), STORED),
        (
            &topic,
            upload(&[first.clone(), second, impossible.clone()]),
            STORED_EARLIER,
        ),
        (&topic, upload(&[impossible]), PAYLOAD_INVALID),
        (&topic, b"{".to_vec(), PAYLOAD_INVALID),
        (&topic, Vec::new(), PAYLOAD_INVALID),
        (&topic, upload(&[]), PAYLOAD_INVALID),
        (&watch.topic("fhir"), b"{}".to_vec(), PAYLOAD_INVALID),
        (&watch.topic("gatt/2a37"), b"".to_vec(), PAYLOAD_INVALID),
        (&other.topic("readings"), upload(&[first]), NOT_AUTHORIZED),
    ] {
        assert_eq!(
            client.upload(topic, payload.clone()).await,
            reason,
            "{topic} {payload:?}"
        );
    }
    assert_eq!(server.count_readings(watch.id).await, 2);
}

#[tokio::test]
async fn a_message_sent_again_while_it_is_in_flight_is_acknowledged_once() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        let gate = server.hold_gate().await;
        let message = Publish::new(
            5,
            watch.topic("readings"),
            upload(&[heart_rate(minutes_ago(1), 72)]),
        );
        let again = Publish {
            dup: true,
            ..message.clone()
        };
        client.send(&message.encode(version)).await;
        gate.lane_waits().await;
        client.send(&again.encode(version)).await;
        client.hears_nothing_else().await;
        gate.release().await;
        assert_eq!(client.acknowledged(5).await, STORED);

        // Once it is acknowledged, the same is a message of its own, and again one PUBACK comes.
        client.send(&again.encode(version)).await;
        let reason = client.acknowledged(5).await;
        assert_eq!(reason, if version == Version::V5 { STORED_EARLIER } else { 0 });
        client.hears_nothing_else().await;
        assert_eq!(server.count_readings(watch.id).await, 1);
    }
}

#[tokio::test]
async fn what_a_device_that_was_lent_out_measured_goes_to_whom_it_measured() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let cuff = server.enrol("cuff").await;
        let next_patient = server.add_patient(&[]).await;
        let mut client = cuff.connect(version).await;
        let (topic, handed_over) = (cuff.topic("readings"), minutes_ago(10));
        client
            .upload(&topic, upload(&[heart_rate(minutes_ago(5), 60)]))
            .await;

        // The team reassigns it while it is connected and a message waits for its commit.
        let mut reassigning = server.pool.begin().await.unwrap();
        homeward_store::admin::assign_device(&mut reassigning, cuff.id, next_patient, handed_over)
            .await
            .unwrap();
        let packet = client
            .publish(
                &topic,
                upload(&[heart_rate(minutes_ago(11), 61), heart_rate(minutes_ago(9), 62)]),
            )
            .await;
        server.lanes_at_gate().await;
        reassigning.commit().await.unwrap();
        assert_eq!(client.acknowledged(packet).await, STORED);
        client
            .upload(
                &topic,
                upload(&[heart_rate(minutes_ago(12), 63), heart_rate(minutes_ago(8), 64)]),
            )
            .await;

        let mut whose: Vec<_> = server
            .readings(&cuff)
            .await
            .iter()
            .map(|reading| (reading.value, reading.patient_id))
            .collect();
        whose.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (before, after) = (cuff.patient.0, next_patient.0);
        // What was stored before the change stays where it was.
        assert_eq!(
            whose,
            [
                (60.0, before),
                (61.0, before),
                (62.0, after),
                (63.0, before),
                (64.0, after)
            ]
        );

        // Through the command line too, from now on.
        let third = server.add_patient(&[]).await;
        let [device, patient] = [cuff.id.to_string(), third.to_string()];
        let answer = server
            .cli(&["device", "assign", &device, "--patient", &patient])
            .await;
        assert_eq!(answer["patient_id"], third.0);
        let at = now();
        client.upload(&topic, upload(&[heart_rate(at, 65)])).await;
        let last = server.readings(&cuff).await.pop().unwrap();
        assert_eq!((last.value, last.patient_id), (65.0, third.0));
    }
}

#[tokio::test]
async fn what_a_device_measured_while_it_was_nobodys_is_rejected() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = server.add_patient(&[]).await;
    let from = minutes_ago(10);
    let cuff = server
        .enrol_with(patient, "cuff", &["--from", &stamp(from)])
        .await;
    let mut client = cuff.connect_v5().await;
    let both = upload(&[heart_rate(minutes_ago(11), 61), heart_rate(from, 62)]);
    assert_eq!(client.upload(&cuff.topic("readings"), both).await, STORED);
    let early = upload(&[heart_rate(minutes_ago(12), 60)]);
    assert_eq!(
        client.upload(&cuff.topic("readings"), early).await,
        PAYLOAD_INVALID
    );
    let values: Vec<_> = server
        .readings(&cuff)
        .await
        .iter()
        .map(|reading| reading.value)
        .collect();
    assert_eq!(values, [62.0]);
    let kept = server.rejected(&cuff).await;
    let reasons: Vec<_> = kept.iter().map(Rejected::reasons).collect();
    assert_eq!(reasons, [["not_assigned"], ["not_assigned"]]);
}
