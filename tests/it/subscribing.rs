//! What a device may subscribe to, and what then arrives.

use serde_json::Value;

use crate::harness::*;

/// A message of which nothing can be stored, so that its device is told.
const NONSENSE: &[u8] = b"not readings";

#[tokio::test]
async fn invariant_3_a_device_hears_nothing_of_another() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let (victim, rogue) = (server.enrol("watch").await, server.enrol("watch").await);
        let mut spying = rogue.connect(version).await;
        let share = format!("$share/group/{}", rogue.topic("errors"));
        let wanted = [
            (victim.topic("errors"), 0x87),
            (victim.topic("commands"), 0x87),
            (victim.topic("readings"), 0x87),
            (victim.topic("#"), 0xa2),
            ("#".to_owned(), 0xa2),
            ("+".to_owned(), 0xa2),
            ("v1/devices/+/errors".to_owned(), 0xa2),
            (rogue.topic("#"), 0xa2),
            (share, 0x9e),
            ("$share/group/#".to_owned(), 0x9e),
            ("$SYS/#".to_owned(), 0xa2),
            ("$SYS/broker".to_owned(), 0x87),
            ("c/0".to_owned(), 0x87),
            ("c/1".to_owned(), 0x87),
            (rogue.topic("readings"), 0x87),
            (String::new(), 0x87),
        ];
        let filters: Vec<_> = wanted.iter().map(|(filter, _)| filter.as_str()).collect();
        let codes = spying.subscribe(&filters).await;
        for ((filter, code), granted) in wanted.iter().zip(&codes) {
            let expected = if version == Version::V5 { *code } else { 0x80 };
            assert_eq!(*granted, expected, "{filter}");
        }
        assert_eq!(codes.len(), wanted.len());

        // Something happens on the victim's topics.
        let mut client = victim.connect(version).await;
        assert_eq!(client.subscribe(&[&victim.topic("errors")]).await, [0]);
        client.upload(&victim.topic("readings"), NONSENSE).await;
        assert_eq!(client.message().await.0, victim.topic("errors"));
        // And the spy's own, which it never got to subscribe to.
        spying.upload(&rogue.topic("readings"), NONSENSE).await;
        spying.hears_nothing_else().await;
    }
}

#[tokio::test]
async fn a_device_is_told_of_errors_while_it_is_subscribed() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let (errors, commands) = (watch.topic("errors"), watch.topic("commands"));
        let mut client = watch.connect(version).await;
        assert_eq!(client.subscribe(&[&errors, &commands, &errors]).await, [0, 0, 0]);
        client.upload(&watch.topic("readings"), NONSENSE).await;
        assert_eq!(client.message().await.0, errors);

        let codes = client
            .unsubscribe(&[&errors, &watch.topic("readings"), &errors])
            .await;
        let expected: &[u8] = if version == Version::V5 {
            &[0, 0x11, 0x11]
        } else {
            &[]
        };
        assert_eq!(codes, expected);
        client
            .upload(&watch.topic("readings"), [NONSENSE, b"!"].concat())
            .await;
        client.hears_nothing_else().await;
    }
}

#[tokio::test]
async fn a_subscription_does_not_outlive_its_connection() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        client.subscribe(&[&watch.topic("errors")]).await;
        client.disconnect().await;

        let mut client = watch.connect(version).await;
        client.upload(&watch.topic("readings"), NONSENSE).await;
        client.hears_nothing_else().await;
    }
}

#[tokio::test]
async fn a_subscription_identifier_is_refused_with_its_code() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let mut client = watch.connect_v5().await;
    let identifier = [0x0b, 1];
    client
        .send(&subscribe(Version::V5, 7, &identifier, &[&watch.topic("errors")]))
        .await;
    assert_eq!(client.subscribed(7).await, [0xa1]);
    client.upload(&watch.topic("readings"), NONSENSE).await;
    client.hears_nothing_else().await;
}

#[tokio::test]
async fn a_partly_rejected_message_is_reported_with_index_and_reason() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        client.subscribe(&[&watch.topic("errors")]).await;
        let payload = upload(&[
            heart_rate(minutes_ago(3), 71),
            heart_rate(minutes_ago(2), 999),
            heart_rate(minutes_ago(1), 73),
        ]);
        let packet = client.publish(&watch.topic("readings"), payload.clone()).await;
        assert_eq!(client.acknowledged(packet).await, STORED);
        let values: Vec<_> = server
            .readings(&watch)
            .await
            .iter()
            .map(|reading| reading.value)
            .collect();
        assert_eq!(values, [71.0, 73.0]);

        let (_, report) = client.message().await;
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["topic"], watch.topic("readings"));
        assert_eq!(report["packet_id"], packet);
        assert_eq!(report["stored"], 2);
        assert_eq!(report["rejected"].as_array().unwrap().len(), 1);
        assert_eq!(report["rejected"][0]["index"], 1);
        assert_eq!(report["rejected"][0]["reason"], "implausible");
        let kept = server.rejected(&watch).await;
        assert_eq!(kept.len(), 1);
        assert_eq!(
            (kept[0].reasons(), &kept[0].payload),
            (vec!["implausible"], &payload)
        );

        // Of a message of QoS 0 the report is all that a device hears.
        let unacknowledged = Publish {
            qos: 0,
            ..Publish::new(0, watch.topic("readings"), NONSENSE)
        };
        client.send(&unacknowledged.encode(version)).await;
        let (_, report) = client.message().await;
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["packet_id"], Value::Null);
        assert_eq!(report["rejected"][0]["reason"], "malformed");
    }
}

#[tokio::test]
async fn a_report_larger_than_a_device_takes_is_left_out() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let mut connect = watch.credentials(Version::V5);
    // Maximum packet size: 64 bytes.
    connect.properties = vec![0x27, 0, 0, 0, 64];
    let (mut client, ack) = Client::connect(server.mqtt, &connect).await;
    assert_eq!(ack.code, 0);
    client.subscribe(&[&watch.topic("errors")]).await;
    assert_eq!(
        client.upload(&watch.topic("readings"), NONSENSE).await,
        PAYLOAD_INVALID
    );
    client.hears_nothing_else().await;
}
