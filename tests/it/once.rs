//! What is sent twice is one reading, and every message ends in exactly one place.

use crate::harness::*;

#[tokio::test]
async fn invariant_2_what_is_sent_twice_is_stored_once_and_raises_once() {
    let database = TestDatabase::create().await;
    let mut server = Server::start(&database).await;
    let cgm = server.enrol_on("diabetes-type-1", "cgm").await;
    let topic = cgm.topic("readings");
    let low = glucose(minutes_ago(2), 2.5);
    let payload = upload(std::slice::from_ref(&low));
    for version in Version::BOTH {
        // On one connection, several in one batch.
        let mut client = cgm.connect(version).await;
        let gate = server.hold_gate().await;
        let mut packets = Vec::new();
        for _ in 0..5 {
            packets.push(client.publish(&topic, payload.clone()).await);
        }
        gate.lane_waits().await;
        gate.release().await;
        let mut reasons = Vec::new();
        for packet in packets {
            reasons.push(client.acknowledged(packet).await);
        }
        let stored = reasons.iter().filter(|reason| **reason == STORED).count();
        // 3.1.1 was first, and does not tell them apart.
        assert_eq!(stored, if version == Version::V4 { 5 } else { 0 }, "{reasons:?}");
        // With another reading, twice within one message.
        let more = upload(&[low.clone(), glucose(minutes_ago(1), 2.4), low.clone()]);
        client.upload(&topic, more).await;
        client.vanish();
    }
    // After a restart, when nothing is in memory.
    assert!(server.stop().await.success());
    server.start_again().await;
    let mut client = cgm.connect_v5().await;
    assert_eq!(client.upload(&topic, payload).await, STORED_EARLIER);

    assert!(server.rejected(&cgm).await.is_empty());
    let readings = server.readings(&cgm).await;
    let (first, rest) = readings.split_first().unwrap();
    assert_eq!(first.value, 2.5);
    // Each round has a minute of its own for its other reading; the clock moved on between the rounds.
    assert_eq!(rest.len(), 2, "{readings:?}");
    let episodes = server.episodes(cgm.patient).await;
    assert_eq!(episodes.len(), 1, "{episodes:?}");
    let raised: i64 = sqlx::query_scalar("SELECT count(*) FROM episode_transition WHERE kind = 'raised'")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(raised, 1);
}

#[tokio::test]
async fn invariant_4_every_message_ends_in_readings_or_among_the_rejected() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        let own = watch.topic("readings");
        let good = |n: i64| heart_rate(minutes_ago(n), 60 + u8::try_from(n).unwrap());
        let mut foreign_unit = glucose(minutes_ago(5), 6.0);
        foreign_unit["unit"] = "mol".into();
        let mut no_time = good(6);
        no_time.as_object_mut().unwrap().remove("at");
        // The message, how many readings it brings, and the reasons why some of it is rejected.
        let messages: Vec<(String, Vec<u8>, i64, &[&str])> = vec![
            (own.clone(), upload(&[good(1)]), 1, &[]),
            (
                own.clone(),
                upload(&[good(2), good(3), heart_rate(minutes_ago(4), 5)]),
                2,
                &["implausible"],
            ),
            (
                own.clone(),
                upload(&[foreign_unit, no_time]),
                0,
                &["invalid_unit", "no_time"],
            ),
            (
                own.clone(),
                upload(&[heart_rate(minutes_ago(-60), 70)]),
                0,
                &["in_future"],
            ),
            (
                own.clone(),
                upload(&[heart_rate(minutes_ago(20_000_000), 70)]),
                0,
                &["too_old"],
            ),
            (
                own.clone(),
                upload(&[heart_rate(minutes_ago(10_200_000), 70)]),
                0,
                &["not_assigned"],
            ),
            (own.clone(), Vec::new(), 0, &["malformed"]),
            (own.clone(), b"\xff\xfe\0".to_vec(), 0, &["malformed"]),
            (own.clone(), br#"{"readings": 7}"#.to_vec(), 0, &["malformed"]),
            (own.clone(), upload(&[good(7)])[..40].to_vec(), 0, &["malformed"]),
            (watch.topic("omh"), b"{}".to_vec(), 0, &["unsupported"]),
            (watch.topic("fhir"), b"{}".to_vec(), 0, &["invalid_field"]),
            (watch.topic("gatt/2a29"), vec![100], 0, &["unsupported"]),
            (watch.topic("gatt/2a19"), vec![101], 0, &["implausible"]),
            (watch.topic("gatt/2a19"), vec![100], 0, &[]),
            (watch.topic("gatt/2a37"), vec![0, 72], 0, &["no_time"]),
            ("elsewhere".to_owned(), upload(&[good(8)]), 0, &["not_authorized"]),
        ];
        let (mut stored, mut kept) = (0, 0);
        for (topic, payload, readings, reasons) in &messages {
            client.upload(topic, payload.clone()).await;
            stored += readings;
            assert_eq!(
                server.count_readings(watch.id).await,
                stored,
                "{topic} {payload:?}"
            );
            let rejected = server.rejected(&watch).await;
            if reasons.is_empty() {
                assert_eq!(rejected.len(), kept, "{topic} {payload:?}");
                continue;
            }
            kept += 1;
            assert_eq!(rejected.len(), kept, "{topic} {payload:?}");
            let last = rejected.last().unwrap();
            assert_eq!((&last.topic, &last.payload), (topic, payload));
            assert_eq!(last.reasons(), *reasons);
        }
        // All once more: nothing changes.
        for (topic, payload, ..) in &messages {
            client.upload(topic, payload.clone()).await;
        }
        assert_eq!(server.count_readings(watch.id).await, stored);
        assert_eq!(server.rejected(&watch).await.len(), kept);
    }
}
