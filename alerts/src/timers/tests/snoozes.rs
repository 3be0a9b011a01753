//! What is snoozed pages nobody, until the snooze ends.

use homeward_store::episodes::Action;

use super::{kinds, lead, run, send_all, telling, told};
use crate::fixture::{Record, minute, team};
use crate::timers::Done;

#[tokio::test]
async fn a_snooze_ends_and_the_escalation_goes_on() {
    let record = Record::new().await;
    let (team, lead) = (
        record.add_receiver(team()).await,
        record.add_receiver(lead()).await,
    );
    let episode = record.raise_for_new_patient("high", minute(0)).await;
    send_all(&record).await;
    run(&record, 1).await;
    let (until, reason) = (minute(70), "Eating now".to_owned());
    record
        .act(episode, Action::Snooze { until, reason }, minute(10))
        .await;
    for at in [15, 60, 69] {
        assert_eq!(run(&record, at).await, Done::default());
    }
    assert_eq!(run(&record, 70).await.snoozes_ended, 1);
    assert_eq!(run(&record, 70).await.snoozes_ended, 0);
    // The team is reminded, and its lead told when a quarter of an hour has passed outside of the snooze.
    let reminded = [
        telling(team, "raised", "sent"),
        telling(team, "escalated", "pending"),
    ];
    assert_eq!(told(&record, episode).await, reminded);
    run(&record, 74).await;
    assert_eq!(told(&record, episode).await.len(), 2);
    run(&record, 75).await;
    assert_eq!(
        told(&record, episode).await[2],
        telling(lead, "escalated", "pending")
    );
    assert_eq!(
        kinds(&record, episode).await,
        ["raised", "snoozed", "snooze_ended", "escalated", "escalated"]
    );
}

#[tokio::test]
async fn a_snooze_of_what_was_taken_up_or_is_over_tells_nobody() {
    let record = Record::new().await;
    record.add_receiver(team()).await;
    let taken_up = record.raise_for_new_patient("medium", minute(0)).await;
    let over = record.raise_for_new_patient("medium", minute(0)).await;
    send_all(&record).await;
    for episode in [taken_up, over] {
        let (until, reason) = (minute(30), "Eating now".to_owned());
        record
            .act(episode, Action::Snooze { until, reason }, minute(1))
            .await;
    }
    record.act(taken_up, Action::Acknowledge, minute(2)).await;
    record.clear(over, minute(2)).await;
    for at in [2, 30, 1_000] {
        run(&record, at).await;
    }
    assert_eq!(
        kinds(&record, taken_up).await,
        ["raised", "snoozed", "acknowledged", "snooze_ended"]
    );
    assert_eq!(kinds(&record, over).await, ["raised", "snoozed", "cleared"]);
    assert_eq!(told(&record, taken_up).await, [telling(1, "raised", "sent")]);
    assert_eq!(
        told(&record, over).await,
        [telling(1, "raised", "sent"), telling(1, "cleared", "pending")]
    );
    assert_eq!(
        record
            .one::<i64>("SELECT count(*) FROM episode WHERE snoozed_until IS NOT NULL")
            .await,
        0
    );
}
