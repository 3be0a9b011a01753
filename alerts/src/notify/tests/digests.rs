//! More than a receiver wants to hear in an hour goes out together.

use homeward_record::EpisodeId;
use homeward_store::episodes::Action;
use serde_json::json;

use super::notifier;
use super::sink::Sink;
use crate::fixture::{Record, minute};

#[tokio::test]
async fn too_many_go_out_together() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 4).await;
    for severity in ["medium", "medium", "high", "medium", "medium", "medium", "high"] {
        record.raise_for_new_patient(severity, minute(0)).await;
    }
    let notifier = notifier(&record, None);
    notifier.run_once(minute(0)).await.unwrap();
    // The most urgent ones by themselves, all others in one.
    let mut told = sink.told();
    told[..2].sort();
    assert_eq!(told, [vec![3], vec![7], vec![1, 2, 4, 5, 6]]);
    let digest = &sink.bodies()[2];
    assert_eq!((&digest["kind"], &digest["count"]), (&json!("digest"), &json!(5)));
    assert_eq!(digest["alerts"][0]["link"], "https://homeward.example/alerts/1");

    // What comes now waits for its turn, and what is over by then is told nobody.
    for _ in 8..=10 {
        record.raise_for_new_patient("high", minute(1)).await;
    }
    notifier.run_once(minute(1)).await.unwrap();
    record.clear(EpisodeId(9), minute(2)).await;
    for minutes in [30, 59] {
        notifier.run_once(minute(minutes)).await.unwrap();
    }
    assert_eq!(sink.bodies().len(), 3);
    notifier.run_once(minute(60)).await.unwrap();
    let mut told = sink.told().split_off(3);
    told.sort();
    assert_eq!(told, [[8], [10]]);
    let states: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, count(*) FROM notification GROUP BY state ORDER BY state")
            .fetch_all(record.pool())
            .await
            .unwrap();
    assert_eq!(states, [("cancelled".to_owned(), 1), ("sent".to_owned(), 10)]);
}

#[tokio::test]
async fn a_digest_that_fails_is_tried_again_with_what_is_left_of_it() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 1).await;
    for _ in 1..=3 {
        record.raise_for_new_patient("high", minute(0)).await;
    }
    sink.answer(&[500, 500]);
    let notifier = notifier(&record, None);
    notifier.run_once(minute(0)).await.unwrap();
    record.clear(EpisodeId(2), minute(1)).await;
    notifier.run_once(minute(1)).await.unwrap();
    record.act(EpisodeId(1), Action::Acknowledge, minute(2)).await;
    record.act(EpisodeId(3), Action::Acknowledge, minute(2)).await;
    for minutes in [2, 3, 100] {
        notifier.run_once(minute(minutes)).await.unwrap();
    }
    assert_eq!(sink.told(), [vec![1, 2, 3], vec![1, 3]]);
    assert_eq!(sink.bodies()[0]["id"], sink.bodies()[1]["id"]);
    for (.., state) in record.notifications().await {
        assert_eq!(state, "cancelled");
    }
}

#[tokio::test]
async fn digests_that_are_due_together_go_one_by_one() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 1).await;
    sink.answer(&[500, 500]);
    let notifier = notifier(&record, None);
    for _ in 1..=2 {
        record.raise_for_new_patient("high", minute(0)).await;
        record.raise_for_new_patient("high", minute(0)).await;
        notifier.run_once(minute(0)).await.unwrap();
    }
    for minutes in [100, 130, 160, 220] {
        notifier.run_once(minute(minutes)).await.unwrap();
    }
    let (first, second) = (vec![1, 2], vec![3, 4]);
    assert_eq!(sink.told(), [first.clone(), second.clone(), first, second]);
    assert_eq!(
        record
            .one::<i64>("SELECT count(*) FROM notification WHERE kind = 'digest'")
            .await,
        2
    );
    let notifications = record.notifications().await;
    assert!(notifications.iter().all(|(.., state)| state == "sent"));
}
