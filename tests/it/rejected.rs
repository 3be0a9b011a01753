//! Messages that were refused, at the command line.

use homeward_store::admin::{NewOfStock, add_to_stock};
use serde_json::{Value, json};

use crate::harness::*;

#[tokio::test]
async fn refused_messages_are_listed_and_tried_once_more_at_the_command_line() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = server.add_patient(&[]).await;
    let new = NewOfStock {
        kind: "cuff",
        label: None,
        secret: "a secret",
        utc_offset_minutes: 0,
        organisation: None,
    };
    let id = add_to_stock(&mut server.pool.acquire().await.unwrap(), &new)
        .await
        .unwrap();
    let cuff = server.device(id, patient, "a secret");
    let mut client = cuff.connect_v5().await;
    let topic = cuff.topic("readings");
    // It measures before anybody has said whom, and says something that nobody understands.
    let early = upload(&[heart_rate(minutes_ago(5), 61)]);
    assert_eq!(client.upload(&topic, early).await, PAYLOAD_INVALID);
    assert_eq!(client.upload(&topic, "nonsense").await, PAYLOAD_INVALID);

    let listed = server.cli(&["rejected", "list"]).await;
    let told = |listed: &Value| -> Vec<Value> {
        let rejected = listed["rejected"].as_array().unwrap();
        rejected
            .iter()
            .map(|message| {
                json!([
                    message["id"],
                    message["device_id"],
                    message["faults"][0]["reason"]
                ])
            })
            .collect()
    };
    assert_eq!(
        told(&listed),
        [json!([2, id, "malformed"]), json!([1, id, "not_assigned"])]
    );
    let first = server.cli(&["rejected", "list", "--most", "1"]).await;
    assert_eq!((told(&first).len(), &first["next"]), (1, &json!(2)));
    let rest = server
        .cli(&["rejected", "list", "--before", "2", "--device", &id.to_string()])
        .await;
    assert_eq!((told(&rest).len(), &rest["next"]), (1, &Value::Null));

    let shown = server.cli(&["rejected", "show", "2"]).await;
    assert_eq!((&shown["bytes"], &shown["patient_id"]), (&json!(8), &Value::Null));
    assert!(!shown.to_string().contains("nonsense"), "{shown}");

    let from = stamp(minutes_ago(60));
    server
        .cli(&[
            "device",
            "assign",
            &id.to_string(),
            "--patient",
            &patient.to_string(),
            "--from",
            &from,
        ])
        .await;
    let replayed = server.cli(&["rejected", "replay", "--all"]).await;
    assert_eq!(
        replayed,
        json!({"asked": 2, "stored": 1, "refused": 1, "waiting": 0})
    );
    assert_eq!(server.readings(&cuff).await.len(), 1);
    let left = server.cli(&["rejected", "list"]).await;
    assert_eq!(told(&left), [json!([2, id, "malformed"])]);
    assert_eq!(left["rejected"][0]["replayed_by"], "homeward command line");
    let all = server
        .cli(&["rejected", "list", "--all", "--reason", "malformed"])
        .await;
    assert_eq!(told(&all).len(), 1);
    // Who is measured sees that somebody has done it.
    let seen: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_event WHERE action = 'replay_rejected' AND patients = $1",
    )
    .bind([patient.0])
    .fetch_one(&server.pool)
    .await
    .unwrap();
    assert_eq!(seen, 1);
}
