//! Who measures nothing any more is found silent.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use homeward_record::{Context, DeviceId, EpisodeId, Metric, PatientId};
use homeward_store::{BatchRow, Gate, GateChanges, insert_batch};
use serde_json::{Value, json};

use super::{kinds, run, telling, told};
use crate::fixture::{Record, minute, team};
use crate::timers::run_once;

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
    let changes = GateChanges::since(&mut connection, version).await.unwrap();
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
