//! Webhooks are called, signed, until they answer well.

use std::collections::HashMap;
use std::process::Stdio;

use chrono::TimeDelta;
use futures_util::future::join_all;
use homeward_record::{Clock, EpisodeId};
use homeward_store::admin::{NewReceiver, disable_receiver};
use homeward_store::episodes::Action;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::sink::Sink;
use super::{PATIENCE, SECRET, notifier};
use crate::fixture::{Record, minute, team};
use crate::notify::SEND_WITHIN;

#[tokio::test]
async fn a_webhook_is_called_until_it_answers_well() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, None);
    // Neither a redirect nor an error is a success, and nothing follows a redirect.
    sink.answer(&[500, 302, 404]);
    for seconds in [0, 0, 7, 16, 46, 109, 109, 500] {
        notifier
            .run_once(minute(0) + TimeDelta::seconds(seconds))
            .await
            .unwrap();
    }
    assert_eq!(sink.bodies().len(), 4);
    let (state, attempts, error): (String, i32, Option<String>) =
        sqlx::query_as("SELECT state, attempts, last_error FROM notification")
            .fetch_one(record.pool())
            .await
            .unwrap();
    assert_eq!((state.as_str(), attempts, error), ("sent", 4, None));
    for body in sink.bodies() {
        assert_eq!(
            body,
            json!({
                "id": 1, "kind": "raised", "severity": "high", "alert_id": 1, "patient_id": 1001,
                "link": "https://homeward.example/alerts/1", "at": minute(0),
            })
        );
    }
}

#[tokio::test]
async fn a_webhook_can_tell_who_calls_and_what_it_has_heard_before() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    record.raise_for_new_patient("high", minute(0)).await;
    sink.answer(&[503, 503]);
    let notifier = notifier(&record, None);
    notifier.run_once(minute(0)).await.unwrap();
    notifier.run_once(minute(5)).await.unwrap();

    let mut deliveries = HashMap::new();
    let received = sink.received.lock().unwrap().clone();
    for (headers, body) in &received {
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(header("content-type"), "application/json");
        let message: Value = serde_json::from_str(body).unwrap();
        assert_eq!(header("homeward-delivery"), message["id"].to_string());
        *deliveries
            .entry(header("homeward-delivery").to_owned())
            .or_insert(0) += 1;
        // As a receiver does it, with tools of its own.
        let signature = header("homeward-signature");
        let (time, digest) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        assert!(
            [minute(0), minute(5)]
                .map(|at| at.timestamp().to_string())
                .contains(&time.to_owned())
        );
        assert_eq!(digest, openssl_hmac(SECRET, &format!("{time}.{body}")).await);
    }
    assert_eq!(
        deliveries,
        HashMap::from([("1".to_owned(), 2), ("2".to_owned(), 2)])
    );
}

/// HMAC-SHA256 by another program.
async fn openssl_hmac(secret: &str, text: &str) -> String {
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = openssl.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    drop(stdin);
    let output = openssl.wait_with_output().await.unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    output.trim().rsplit_once(' ').unwrap().1.to_owned()
}

#[tokio::test]
async fn who_does_not_answer_is_given_up_after_a_day() {
    let record = Record::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    // Nothing is there any more.
    drop(listener);
    let new = NewReceiver {
        secret: Some(SECRET),
        address: &address,
        ..team()
    };
    record.add_receiver(new).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, None);
    for hour in 0..30 {
        notifier.run_once(minute(60 * hour)).await.unwrap();
    }
    let (state, attempts, error): (String, i32, String) =
        sqlx::query_as("SELECT state, attempts, last_error FROM notification")
            .fetch_one(record.pool())
            .await
            .unwrap();
    assert_eq!(state, "failed");
    assert!((20..=25).contains(&attempts), "{attempts}");
    assert!(
        error.starts_with("the webhook could not be called: it cannot be reached: "),
        "{error}"
    );
    // The address may have a secret in it.
    assert!(!error.contains("hook?"), "{error}");
}

#[tokio::test]
async fn who_dies_after_sending_has_it_sent_again_once() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, None);
    // It is received, and the sender dies before it hears of that.
    sink.answer(&[202]);
    tokio::select! {
        _ = notifier.run_once(minute(0)) => panic!("there is no answer"),
        () = sink.called.notified() => {}
    }
    // As long as the lease lasts, nobody knows.
    notifier
        .run_once(minute(0) + TimeDelta::seconds(59))
        .await
        .unwrap();
    assert_eq!(sink.bodies().len(), 1);
    for minutes in 1..5 {
        notifier.run_once(minute(minutes)).await.unwrap();
    }
    let bodies = sink.bodies();
    assert_eq!((bodies.len(), &bodies[0]), (2, &bodies[1]));
    assert_eq!(record.notifications().await[0].3, "sent");
}

#[tokio::test]
async fn many_workers_send_each_message_once() {
    let record = Record::new().await;
    let (one, other) = (Sink::start().await, Sink::start().await);
    one.receiver(&record, 1_000).await;
    other.receiver(&record, 1_000).await;
    for _ in 0..30 {
        record.raise_for_new_patient("high", minute(0)).await;
    }
    let notifiers = [(); 6].map(|()| notifier(&record, None));
    let working = notifiers.iter().map(|notifier| notifier.run_once(minute(0)));
    for outcome in join_all(working).await {
        outcome.unwrap();
    }
    for sink in [one, other] {
        let mut told = sink.told();
        told.sort();
        assert_eq!(told, (1..=30).map(|id| vec![id]).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_is_taken_up_snoozed_or_over_before_it_is_sent_is_told_nobody() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    for _ in 0..4 {
        record.raise_for_new_patient("high", minute(0)).await;
    }
    record.act(EpisodeId(1), Action::Acknowledge, minute(1)).await;
    let (until, reason) = (minute(30), "Eating now".to_owned());
    record
        .act(EpisodeId(2), Action::Snooze { until, reason }, minute(1))
        .await;
    record.clear(EpisodeId(3), minute(1)).await;
    notifier(&record, None).run_once(minute(1)).await.unwrap();
    assert_eq!(sink.told(), [[4]]);
    let states = record.notifications().await.into_iter().map(|(.., state)| state);
    let expected = ["cancelled", "cancelled", "cancelled", "sent"];
    assert_eq!(states.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_receiver_that_is_disabled_is_told_nothing() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    let receiver = sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let mut connection = record.pool().acquire().await.unwrap();
    disable_receiver(&mut connection, receiver, minute(1))
        .await
        .unwrap();
    record.raise_for_new_patient("high", minute(2)).await;
    notifier(&record, None).run_once(minute(3)).await.unwrap();
    assert_eq!(sink.bodies(), Vec::<Value>::new());
    let all = record.notifications().await;
    assert_eq!(all, [(receiver, 1, "raised".to_owned(), "cancelled".to_owned())]);
}

/// A server that accepts and never answers holds up neither the others nor itself.
#[tokio::test]
async fn who_is_silent_holds_up_nobody() {
    let record = Record::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", silent.local_addr().unwrap());
    let new = NewReceiver {
        secret: Some(SECRET),
        address: &address,
        ..team()
    };
    record.add_receiver(new).await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, None);
    let stop = CancellationToken::new();
    let clock = Clock::Fixed(minute(0));
    let running = notifier.run(&clock, &stop);
    let waiting = async {
        timeout(SEND_WITHIN / 2, sink.called.notified()).await.unwrap();
        stop.cancel();
    };
    timeout(PATIENCE, async { tokio::join!(running, waiting) })
        .await
        .unwrap();
    let mut states = record.notifications().await;
    states.sort();
    assert_eq!((states[0].3.as_str(), states[1].3.as_str()), ("pending", "sent"));
    let error: String = record
        .one("SELECT last_error FROM notification WHERE state = 'pending'")
        .await;
    assert_eq!(error, "there was no answer in time");
}
