mod ends;
mod escalation;
mod silence;
mod snoozes;

use homeward_record::EpisodeId;
use homeward_store::admin::NewReceiver;

use super::*;
use crate::fixture::{Record, minute, team};

fn lead() -> NewReceiver<'static> {
    NewReceiver {
        name: "the lead",
        role: "lead",
        address: "lead@homeward.example",
        ..team()
    }
}

fn on_call() -> NewReceiver<'static> {
    NewReceiver {
        name: "on call",
        role: "on_call",
        address: "on-call@homeward.example",
        ..team()
    }
}

async fn run(record: &Record, at: i64) -> Done {
    run_once(record.pool(), minute(at)).await.unwrap()
}

/// Marks as sent what is pending.
async fn send_all(record: &Record) {
    sqlx::query("UPDATE notification SET state = 'sent', sent_at = created_at WHERE state = 'pending'")
        .execute(record.pool())
        .await
        .unwrap();
}

/// Receiver, kind and state of each notification of an episode, in the order in which they were written.
async fn told(record: &Record, episode: EpisodeId) -> Vec<(i64, String, String)> {
    let all = record.notifications().await;
    all.into_iter()
        .filter(|(_, of, ..)| *of == episode.0)
        .map(|(receiver, _, kind, state)| (receiver, kind, state))
        .collect()
}

fn telling(receiver: i64, kind: &str, state: &str) -> (i64, String, String) {
    (receiver, kind.to_owned(), state.to_owned())
}

async fn kinds(record: &Record, episode: EpisodeId) -> Vec<String> {
    let happenings = record.happenings(episode).await;
    happenings.into_iter().map(|(kind, _)| kind).collect()
}
