use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{PASSWORD, add_nurse, browse};
use crate::harness::*;

#[tokio::test]
async fn an_alert_shows_up_on_the_worklist_and_is_worked_to_its_end() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let sensor = server.enrol_on("diabetes-type-1", "cgm").await;
    add_nurse(&server).await;
    let mut client = sensor.connect_v5().await;
    let topic = sensor.topic("readings");
    browse(&server, "worklist.mjs", &["nurse", PASSWORD], async |wish| {
        // Of the present, and later than the one before.
        let (value, later) = match wish {
            "publish a very low glucose" => (2.6, 0),
            "publish glucose in range" => (6.1, 1),
            other => panic!("it asks for {other}"),
        };
        let at = now() + TimeDelta::seconds(later);
        let reading = json!({"type": "glucose", "at": at, "value": value, "sample": "interstitial"});
        let body = json!({"readings": [reading]}).to_string();
        assert_eq!(client.upload(&topic, body).await, 0);
        Value::Null
    })
    .await;
    client.disconnect().await;
}
