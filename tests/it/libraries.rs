//! A client library as devices use them, rather than packets written out.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::*;

/// Messages in a run; more than a library keeps in flight.
const MESSAGES: usize = 300;

fn payloads() -> Vec<Vec<u8>> {
    times()
        .take(MESSAGES)
        .map(|at| upload(&[heart_rate(at, 72)]))
        .collect()
}

#[tokio::test]
async fn a_library_client_of_mqtt_3_is_served() {
    use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};

    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let id = watch.id.to_string();
    let mut options = MqttOptions::new(&id, server.mqtt.ip().to_string(), server.mqtt.port());
    options
        .set_credentials(&id, &watch.secret)
        .set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = AsyncClient::new(options, 10);
    let (errors, readings) = (watch.topic("errors"), watch.topic("readings"));
    let mut publishing = JoinSet::new();
    publishing.spawn(async move {
        client.subscribe(errors, QoS::AtLeastOnce).await.unwrap();
        for payload in payloads() {
            client
                .publish(&readings, QoS::AtLeastOnce, false, payload)
                .await
                .unwrap();
        }
        client
    });
    let (mut acknowledged, mut subscribed) = (0, false);
    while acknowledged < MESSAGES || !subscribed {
        match soon("the library has news", events.poll()).await.unwrap() {
            Event::Incoming(Incoming::PubAck(_)) => acknowledged += 1,
            Event::Incoming(Incoming::SubAck(_)) => subscribed = true,
            _ => {}
        }
    }
    assert_eq!(server.readings(&watch).await.len(), MESSAGES);
}

#[tokio::test]
async fn a_library_client_of_mqtt_5_is_served() {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};

    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let id = watch.id.to_string();
    let mut options = MqttOptions::new(&id, server.mqtt.ip().to_string(), server.mqtt.port());
    options
        .set_credentials(&id, &watch.secret)
        .set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = AsyncClient::new(options, 10);
    let (errors, readings) = (watch.topic("errors"), watch.topic("readings"));
    let mut publishing = JoinSet::new();
    publishing.spawn(async move {
        client.subscribe(errors, QoS::AtLeastOnce).await.unwrap();
        for payload in payloads() {
            client
                .publish(&readings, QoS::AtLeastOnce, false, payload)
                .await
                .unwrap();
        }
        client
            .publish(&readings, QoS::AtLeastOnce, false, "nonsense")
            .await
            .unwrap();
        client
    });
    let (mut acknowledged, mut told) = (0, false);
    while acknowledged < MESSAGES || !told {
        match soon("the library has news", events.poll()).await.unwrap() {
            Event::Incoming(Packet::PubAck(ack)) if ack.reason == PubAckReason::Success => acknowledged += 1,
            Event::Incoming(Packet::Publish(report)) => {
                assert_eq!(report.topic, watch.topic("errors"));
                told = true;
            }
            _ => {}
        }
    }
    assert_eq!(server.readings(&watch).await.len(), MESSAGES);
}
