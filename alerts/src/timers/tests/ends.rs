//! Who heard of the beginning hears of the end.

use chrono::TimeDelta;
use homeward_store::episodes::Action;
use homeward_store::retention::{self, NOTIFICATIONS_KEPT_FOR};

use super::{kinds, lead, run, send_all, telling, told};
use crate::fixture::{Record, minute, team};

#[tokio::test]
async fn who_heard_of_the_beginning_hears_of_the_end() {
    let record = Record::new().await;
    let (team, lead) = (
        record.add_receiver(team()).await,
        record.add_receiver(lead()).await,
    );
    let episode = record.raise_for_new_patient("high", minute(0)).await;
    send_all(&record).await;
    run(&record, 15).await;
    // The lead is not reached before it is over.
    record.clear(episode, minute(16)).await;
    for at in [16, 16, 17, 100] {
        run(&record, at).await;
    }
    assert_eq!(
        told(&record, episode).await,
        [
            telling(team, "raised", "sent"),
            telling(lead, "escalated", "cancelled"),
            telling(team, "cleared", "pending"),
        ]
    );
    // It comes back, and ends anew.
    send_all(&record).await;
    record.reopen(episode, minute(120)).await;
    send_all(&record).await;
    run(&record, 121).await;
    record.clear(episode, minute(130)).await;
    run(&record, 130).await;
    assert_eq!(
        told(&record, episode).await[3..],
        [
            telling(team, "raised", "sent"),
            telling(team, "cleared", "pending")
        ]
    );
}

#[tokio::test]
async fn what_was_taken_up_and_comes_back_is_told_anew() {
    let record = Record::new().await;
    let team = record.add_receiver(team()).await;
    let episode = record.raise_for_new_patient("high", minute(0)).await;
    send_all(&record).await;
    record.act(episode, Action::Acknowledge, minute(5)).await;
    record.clear(episode, minute(10)).await;
    run(&record, 10).await;
    send_all(&record).await;
    record.reopen(episode, minute(20)).await;
    assert_eq!(
        told(&record, episode).await,
        [
            telling(team, "raised", "sent"),
            telling(team, "cleared", "sent"),
            telling(team, "raised", "pending"),
        ]
    );
    // It escalates again, until somebody takes it up.
    assert_eq!(
        record
            .one::<i64>("SELECT count(*) FROM episode WHERE status = 'raised' AND acknowledged_at IS NULL")
            .await,
        1
    );
    assert_eq!(run(&record, 40).await.escalations, 1);
    record.act(episode, Action::Acknowledge, minute(41)).await;
    let kinds = kinds(&record, episode).await;
    assert_eq!(
        kinds,
        [
            "raised",
            "acknowledged",
            "cleared",
            "reopened",
            "escalated",
            "acknowledged"
        ]
    );
}

#[tokio::test]
async fn as_long_as_somebody_is_being_told_the_end_waits() {
    let record = Record::new().await;
    let team = record.add_receiver(team()).await;
    let episode = record.raise_for_new_patient("high", minute(0)).await;
    // A worker has it on its way.
    let lease = "UPDATE notification SET attempts = 1, leased_until = '2026-11-22T12:02:00Z'";
    sqlx::query(lease).execute(record.pool()).await.unwrap();
    record.clear(episode, minute(1)).await;
    assert_eq!(run(&record, 1).await.ends, 0);
    assert_eq!(told(&record, episode).await, [telling(team, "raised", "pending")]);
    // It died, and nobody knows whether it had sent it.
    assert_eq!(run(&record, 2).await.ends, 1);
    assert_eq!(
        told(&record, episode).await,
        [
            telling(team, "raised", "cancelled"),
            telling(team, "cleared", "pending")
        ]
    );
}

#[tokio::test]
async fn what_was_told_of_what_is_over_goes_in_time_and_of_what_goes_on_stays() {
    let record = Record::new().await;
    let team = record.add_receiver(team()).await;
    let (over, goes_on) = (
        record.raise_for_new_patient("high", minute(0)).await,
        record.raise_for_new_patient("high", minute(0)).await,
    );
    send_all(&record).await;
    record.act(goes_on, Action::Acknowledge, minute(1)).await;
    record.clear(over, minute(5)).await;
    run(&record, 5).await;
    send_all(&record).await;
    let removed = async |after: TimeDelta| {
        let now = minute(5) + NOTIFICATIONS_KEPT_FOR + after;
        let removed = retention::run_once(record.pool(), now, TimeDelta::days(7_305)).await;
        removed.unwrap().notifications
    };
    assert_eq!(removed(TimeDelta::minutes(-5)).await, 0);
    assert_eq!(removed(TimeDelta::seconds(1)).await, 2);
    assert_eq!(told(&record, over).await, []);
    // Who heard of its beginning long ago hears of its end.
    let day_200 = 200 * 24 * 60;
    record.clear(goes_on, minute(day_200)).await;
    run(&record, day_200).await;
    assert_eq!(
        told(&record, goes_on).await,
        [
            telling(team, "raised", "sent"),
            telling(team, "cleared", "pending")
        ]
    );
}
