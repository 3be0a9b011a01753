use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use homeward_record::{Context, DeviceId, EpisodeId, Metric, PatientId};
use homeward_store::admin::NewReceiver;
use homeward_store::episodes::Action;
use homeward_store::{BatchRow, Gate, insert_batch};
use serde_json::{Value, json};

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

#[tokio::test]
async fn what_nobody_takes_up_is_told_to_others() {
    let record = Record::new().await;
    for receiver in [team(), lead(), on_call()] {
        record.add_receiver(receiver).await;
    }
    let episode = record.raise_for_new_patient("high", minute(0)).await;
    // In the transaction that raised it.
    assert_eq!(told(&record, episode).await, [telling(1, "raised", "pending")]);
    for at in [0, 5, 14, 15, 15, 20] {
        run(&record, at).await;
        send_all(&record).await;
    }
    for at in [30, 44, 60, 60, 75] {
        run(&record, at).await;
        send_all(&record).await;
    }
    let expected = [
        (1, "raised"),
        (2, "escalated"),
        (2, "escalated"),
        (3, "escalated"),
        (3, "escalated"),
    ];
    let expected = expected.map(|(receiver, kind)| telling(receiver, kind, "sent"));
    assert_eq!(told(&record, episode).await, expected);
    let escalated = |level: u32, to: &str| {
        let detail = json!({"level": level, "to": to, "receivers": 1});
        ("escalated".to_owned(), Some(detail))
    };
    assert_eq!(
        record.happenings(episode).await[1..],
        [
            escalated(1, "lead"),
            escalated(1, "lead"),
            escalated(2, "on_call"),
            escalated(2, "on_call")
        ]
    );
    assert_eq!(record.one::<i32>("SELECT escalation FROM episode").await, 3);

    record.act(episode, Action::Acknowledge, minute(80)).await;
    for at in [90, 200, 5_000] {
        assert_eq!(run(&record, at).await.escalations, 0);
    }
}

#[tokio::test]
async fn an_outage_makes_no_storm() {
    let record = Record::new().await;
    for receiver in [team(), lead(), on_call()] {
        record.add_receiver(receiver).await;
    }
    let episodes = [
        record.raise_for_new_patient("high", minute(0)).await,
        record.raise_for_new_patient("medium", minute(0)).await,
    ];
    // Two days later.
    for at in [2_880, 2_880, 2_881] {
        run(&record, at).await;
    }
    let [high, medium] = episodes;
    assert_eq!(
        told(&record, high).await,
        [
            telling(1, "raised", "pending"),
            telling(3, "escalated", "pending")
        ]
    );
    assert_eq!(
        told(&record, medium).await,
        [
            telling(1, "raised", "pending"),
            telling(2, "escalated", "pending")
        ]
    );
    // Whoever has not been told yet is not told again on top of it.
    run(&record, 3_000).await;
    assert_eq!(told(&record, high).await.len(), 2);
    assert_eq!(kinds(&record, high).await, ["raised", "escalated"]);
}

#[tokio::test]
async fn receivers_hear_of_their_patients_and_of_what_is_urgent_enough() {
    let record = Record::new().await;
    let practice = record.add_organisation().await;
    let all = record.add_receiver(team()).await;
    let of_practice = record
        .add_receiver(NewReceiver {
            organisation: Some(practice),
            ..team()
        })
        .await;
    let urgent = record
        .add_receiver(NewReceiver {
            lowest_severity: "high",
            ..team()
        })
        .await;
    let mut heard = Vec::new();
    for organisation in [None, Some(practice)] {
        for severity in ["high", "medium", "low", "info"] {
            let patient = record.add_patient(organisation).await;
            record.add_rule(patient, "glucose", severity, json!({})).await;
            let episode = record.raise(patient, "glucose", minute(0)).await;
            let receivers: Vec<i64> = told(&record, episode)
                .await
                .into_iter()
                .map(|told| told.0)
                .collect();
            heard.push(receivers);
        }
    }
    run(&record, 10_000).await;
    assert_eq!(
        heard,
        [
            vec![all, urgent],
            vec![all],
            vec![],
            vec![],
            vec![all, of_practice, urgent],
            vec![all, of_practice],
            vec![],
            vec![],
        ]
    );
    assert_eq!(
        record
            .one::<i64>("SELECT count(*) FROM notification JOIN episode USING (episode_id) WHERE severity IN ('low', 'info')")
            .await,
        0
    );
}

#[tokio::test]
async fn a_rule_has_an_escalation_of_its_own() {
    let record = Record::new().await;
    let (team, lead) = (
        record.add_receiver(team()).await,
        record.add_receiver(lead()).await,
    );
    let patient = record.add_patient(None).await;
    let escalation = json!({"escalation": [
        {"after_seconds": 600, "to": "team"}, {"after_seconds": 1_200, "to": "lead"},
    ]});
    record.add_rule(patient, "glucose", "low", escalation).await;
    let episode = record.raise(patient, "glucose", minute(0)).await;
    for at in [0, 9] {
        run(&record, at).await;
        assert_eq!(told(&record, episode).await, []);
    }
    for at in [10, 20, 40] {
        run(&record, at).await;
    }
    assert_eq!(
        told(&record, episode).await,
        [
            telling(team, "escalated", "pending"),
            telling(lead, "escalated", "pending")
        ]
    );
    // Who is told of something not urgent is not told of its end.
    send_all(&record).await;
    record.clear(episode, minute(50)).await;
    assert_eq!(run(&record, 51).await.ends, 1);
    assert_eq!(told(&record, episode).await.len(), 2);
}

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
async fn many_workers_do_everything_once() {
    let record = Record::new().await;
    for receiver in [team(), lead(), on_call()] {
        record.add_receiver(receiver).await;
    }
    let mut episodes = Vec::new();
    for index in 0..60 {
        let episode = record.raise_for_new_patient("high", minute(0)).await;
        if index % 3 == 0 {
            let (until, reason) = (minute(15), "Eating now".to_owned());
            record
                .act(episode, Action::Snooze { until, reason }, minute(1))
                .await;
        }
        episodes.push(episode);
    }
    send_all(&record).await;
    for at in [15, 30] {
        for outcome in join_all((0..8).map(|_| run_once(record.pool(), minute(at)))).await {
            outcome.unwrap();
        }
        send_all(&record).await;
    }
    for episode in &episodes {
        record.clear(*episode, minute(31)).await;
    }
    for outcome in join_all((0..8).map(|_| run_once(record.pool(), minute(31)))).await {
        outcome.unwrap();
    }
    for (index, episode) in episodes.into_iter().enumerate() {
        let escalated = ["escalated", "escalated"];
        let (happened, told_to): (Vec<&str>, Vec<i64>) = if index % 3 == 0 {
            // The team is told again, and its lead a quarter of an hour after the beginning without the snooze.
            (
                [&["raised", "snoozed", "snooze_ended"], &escalated[..]].concat(),
                vec![1, 2],
            )
        } else {
            ([&["raised"], &escalated[..]].concat(), vec![1, 2, 2])
        };
        assert_eq!(
            kinds(&record, episode).await,
            [happened, vec!["cleared"]].concat()
        );
        let mut told = told(&record, episode).await;
        told.retain(|(_, _, state)| state != "cancelled");
        let (ends, beginnings): (Vec<_>, Vec<_>) = told.iter().partition(|(_, kind, _)| kind == "cleared");
        let receivers = |told: Vec<&(i64, String, String)>| -> Vec<i64> {
            told.into_iter().map(|(receiver, ..)| *receiver).collect()
        };
        assert_eq!(receivers(beginnings), told_to);
        assert_eq!(receivers(ends), [1, 2]);
    }
}

/// A lane that writes episodes holds the lock of the transitions' numbers, and waits for rows.
#[tokio::test]
async fn a_lane_at_work_is_no_deadlock() {
    let record = Record::new().await;
    record.add_receiver(team()).await;
    let mut episodes = Vec::new();
    for _ in 0..2 {
        episodes.push(record.raise_for_new_patient("high", minute(0)).await);
    }
    let mut lane = record.pool().begin().await.unwrap();
    let write = async |lane: &mut sqlx::PgConnection, episode: EpisodeId| {
        sqlx::query("UPDATE episode SET latest_value = 2.4 WHERE episode_id = $1")
            .bind(episode.0)
            .execute(&mut *lane)
            .await
            .unwrap();
        sqlx::query("INSERT INTO episode_transition (episode_id, kind, at) VALUES ($1, 'amended', now())")
            .bind(episode.0)
            .execute(&mut *lane)
            .await
            .unwrap();
    };
    write(&mut lane, episodes[0]).await;
    let running = run_once(record.pool(), minute(15));
    let going_on = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sqlx::query("SET LOCAL lock_timeout = '500ms'")
            .execute(&mut *lane)
            .await
            .unwrap();
        write(&mut lane, episodes[1]).await;
        lane.commit().await.unwrap();
    };
    let (done, ()) = tokio::join!(running, going_on);
    assert_eq!(done.unwrap().escalations, 2);
}

const CODE: &str = "glucose-silent";

/// Adds a patient whose glucose is expected every ten minutes, and who is silent after twice that.
async fn add_watched(record: &Record) -> PatientId {
    let patient = record.add_patient(None).await;
    let condition =
        json!({"kind": "silence", "metric": "glucose", "expected_every_seconds": 600, "times": 2});
    record
        .add_rule(patient, CODE, "medium", json!({"condition": condition}))
        .await;
    patient
}

/// Stores readings of glucose, as a lane does.
async fn measure(record: &Record, patient: PatientId, minutes: &[i64]) {
    let row = |at: &i64| BatchRow {
        part: 0,
        patient,
        metric: Metric::Glucose,
        at: minute(*at),
        device: DeviceId(10_001),
        value: 6.0,
        context: Context::default(),
        received_at: minute(*at),
    };
    let mut batch: Vec<BatchRow> = minutes.iter().map(row).collect();
    let (mut transaction, _) = Gate::enter(record.pool()).await.unwrap();
    insert_batch(&mut transaction, &mut batch).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Runs the timers every minute.
async fn run_through(record: &Record, minutes: std::ops::RangeInclusive<i64>) -> u64 {
    let mut silences = 0;
    for at in minutes {
        silences += run(record, at).await.silences;
    }
    silences
}

#[tokio::test]
async fn who_measures_nothing_any_more_is_found_silent_once() {
    let record = Record::new().await;
    let team = record.add_receiver(team()).await;
    let (patient, measuring) = (add_watched(&record).await, add_watched(&record).await);
    measure(&record, patient, &[1, 5, 12]).await;
    measure(&record, measuring, &[1, 5, 12, 19, 27, 36, 48, 60, 75, 90]).await;
    let mut connection = record.pool().acquire().await.unwrap();
    let version = Gate::version(&mut connection).await.unwrap();
    assert_eq!(run_through(&record, 0..=32).await, 0);
    assert_eq!(Gate::version(&mut connection).await.unwrap(), version);
    assert_eq!(run_through(&record, 33..=50).await, 1);

    let row: (i64, String, String, bool, f64, f64, Value) = sqlx::query_as(
        "SELECT patient_id, status, severity, late, onset_value, latest_figure, detail FROM episode
         WHERE onset_at = latest_at AND latest_at = worst_at AND raised_at = onset_at + interval '21 minutes'",
    )
    .fetch_one(record.pool())
    .await
    .unwrap();
    let expected = (
        patient.0,
        "raised",
        "medium",
        false,
        6.0,
        1_260.0,
        json!({"last_at": minute(12)}),
    );
    assert_eq!(
        (row.0, row.1.as_str(), row.2.as_str(), row.3, row.4, row.5, row.6),
        expected
    );
    assert_eq!(
        told(&record, EpisodeId(1)).await,
        [telling(team, "raised", "pending")]
    );
    assert_eq!(kinds(&record, EpisodeId(1)).await, ["raised"]);
    // The lanes hear of it, and of nobody else.
    let changes = homeward_store::GateChanges::since(&mut connection, version)
        .await
        .unwrap();
    assert_eq!(changes.patients, [patient]);

    // Once a lane has cleared it, the next silence is the next episode.
    measure(&record, patient, &[51]).await;
    record.clear(EpisodeId(1), minute(51)).await;
    assert_eq!(run_through(&record, 51..=71).await, 0);
    assert_eq!(run_through(&record, 72..=90).await, 1);
}

#[tokio::test]
async fn who_never_measured_is_silent_from_the_beginning_of_the_plan() {
    let record = Record::new().await;
    add_watched(&record).await;
    assert_eq!(run_through(&record, 0..=20).await, 0);
    assert_eq!(run_through(&record, 21..=25).await, 1);
    let row: (DateTime<Utc>, f64, Value) =
        sqlx::query_as("SELECT onset_at, onset_value, detail FROM episode")
            .fetch_one(record.pool())
            .await
            .unwrap();
    assert_eq!(row, (minute(0), 0.0, json!({"last_at": null})));
}

#[tokio::test]
async fn a_reading_entered_in_error_does_not_count() {
    let record = Record::new().await;
    let patient = add_watched(&record).await;
    measure(&record, patient, &[1, 15]).await;
    sqlx::query("UPDATE reading SET entered_in_error = true WHERE time = $1")
        .bind(minute(15))
        .execute(record.pool())
        .await
        .unwrap();
    assert_eq!(run_through(&record, 0..=21).await, 0);
    assert_eq!(run_through(&record, 22..=22).await, 1);
}

/// It was we who did not listen: devices first get the time to send what they measured.
#[tokio::test]
async fn after_an_outage_nobody_is_silent_who_only_was_not_heard() {
    let record = Record::new().await;
    let (patient, silent) = (add_watched(&record).await, add_watched(&record).await);
    measure(&record, patient, &[1]).await;
    run_through(&record, 0..=10).await;
    // Away until 200; then the device sends what it has.
    assert_eq!(run(&record, 200).await.silences, 0);
    measure(&record, patient, &[30, 100, 199, 200]).await;
    assert_eq!(run_through(&record, 201..=205).await, 0);
    assert_eq!(run_through(&record, 206..=210).await, 1);
    let of: i64 = record.one("SELECT patient_id FROM episode").await;
    assert_eq!(of, silent.0);
}

#[tokio::test]
async fn many_workers_find_a_silence_once_and_a_rule_that_ends_is_watched_no_more() {
    let record = Record::new().await;
    let mut patients = Vec::new();
    for _ in 0..20 {
        patients.push(add_watched(&record).await);
    }
    run_through(&record, 0..=20).await;
    // This one's plan is changed, that one's ends.
    let condition =
        json!({"kind": "silence", "metric": "glucose", "expected_every_seconds": 600, "times": 9});
    record
        .add_rule(patients[0], CODE, "low", json!({"condition": condition}))
        .await;
    sqlx::query("UPDATE care_plan_rule SET valid_until = $2 WHERE patient_id = $1")
        .bind(patients[1].0)
        .bind(minute(20))
        .execute(record.pool())
        .await
        .unwrap();
    let now = minute(20) + TimeDelta::seconds(30);
    let mut silences = 0;
    for outcome in join_all((0..8).map(|_| run_once(record.pool(), now))).await {
        silences += outcome.unwrap().silences;
    }
    assert_eq!(silences, 18);
    assert_eq!(record.one::<i64>("SELECT count(*) FROM episode").await, 18);
    assert_eq!(record.one::<i64>("SELECT count(*) FROM silence_watch").await, 19);
}
