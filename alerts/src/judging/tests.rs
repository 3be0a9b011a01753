use std::collections::HashSet;

use homeward_record::Metric::{BodyWeight, Glucose, Spo2};
use homeward_record::{Context, DeviceId, Metric};
use homeward_store::{BatchRow, Gate, insert_batch};
use serde_json::{Value, json};

use super::*;
use crate::fixture::{Record, minute};

const DEVICE: DeviceId = DeviceId(10_001);
const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;
const CODE: &str = "rule";

/// A record with one patient who has one rule.
async fn with_rule(condition: Value) -> (Record, PatientId) {
    let record = Record::new().await;
    record.add_receiver(crate::fixture::team()).await;
    let patient = record.add_patient(None).await;
    sqlx::query("INSERT INTO device (device_id, kind, secret_hash) OVERRIDING SYSTEM VALUE VALUES ($1, 'cgm', sha256(''))")
        .bind(DEVICE.0)
        .execute(record.pool())
        .await
        .unwrap();
    record
        .add_rule(patient, CODE, "high", json!({ "condition": condition }))
        .await;
    (record, patient)
}

async fn below(metric: &str, limit: f64) -> (Record, PatientId) {
    with_rule(json!({"kind": "threshold", "limits": [{"metric": metric, "below": limit}]})).await
}

/// Stores a batch that arrives at a minute, and has it judged, as a lane does that has just taken over.
async fn deliver(record: &Record, patient: PatientId, metric: Metric, arrival: i64, readings: &[(i64, f64)]) {
    let row = |(at, value): &(i64, f64)| BatchRow {
        part: 0,
        patient,
        metric,
        at: minute(*at),
        device: DEVICE,
        value: *value,
        context: Context::default(),
        received_at: minute(arrival),
    };
    let mut rows: Vec<_> = readings.iter().map(row).collect();
    let (mut transaction, _) = Gate::enter(record.pool()).await.unwrap();
    let mut plans = Plans::default();
    plans
        .load(&mut transaction, HashSet::from([patient]))
        .await
        .unwrap();
    insert_batch(&mut transaction, &mut rows).await.unwrap();
    let new = rows.iter().map(|row| {
        let observation = Observation {
            metric,
            at: row.at,
            value: row.value,
            device: row.device,
            received_at: row.received_at,
        };
        (patient, observation)
    });
    plans.judge(&mut transaction, new, minute(arrival)).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Delivers readings of one value, each when it is measured.
async fn measure(
    record: &Record,
    patient: PatientId,
    metric: Metric,
    minutes: impl IntoIterator<Item = i64>,
    value: f64,
) {
    for at in minutes {
        deliver(record, patient, metric, at, &[(at, value)]).await;
    }
}

async fn correct(record: &Record, patient: PatientId, metric: Metric, at: i64, now: i64) {
    let place = ReadingPlace {
        at: minute(at),
        metric,
        device: DEVICE,
    };
    let by = ("ward 3", "a typo");
    let marked = enter_in_error(&mut *record.connection().await, patient, place, by, minute(now)).await;
    assert!(marked.unwrap(), "there is such a reading");
}

/// Onset, worst value, end (in minutes), and whether it was withdrawn, of each episode in the order of time.
async fn episodes(record: &Record) -> Vec<(i64, f64, Option<i64>, bool)> {
    type Row = (DateTime<Utc>, f64, Option<DateTime<Utc>>, bool);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT onset_at, worst_value, ended_at, withdrawn_at IS NOT NULL FROM episode ORDER BY onset_at, episode_id",
    )
    .fetch_all(record.pool())
    .await
    .unwrap();
    let minutes = |at: DateTime<Utc>| (at - minute(0)).num_minutes();
    rows.into_iter()
        .map(|(onset, worst, end, withdrawn)| (minutes(onset), worst, end.map(minutes), withdrawn))
        .collect()
}

async fn pages(record: &Record) -> usize {
    record.notifications().await.len()
}

#[tokio::test]
async fn a_live_reading_counts_in_a_batch_with_a_backlog_of_more_than_a_day() {
    let (record, patient) = below("glucose", 3.0).await;
    let now = 4 * DAY;
    measure(&record, patient, Glucose, (0..=now).step_by(6 * 60), 5.0).await;
    // One from 30 hours ago, one from 5 hours ago, and one from now.
    let backlog = [
        (now - 30 * HOUR, 5.5),
        (now - 29 * HOUR, 2.8),
        (now - 5 * HOUR, 2.9),
        (now + 5, 2.5),
    ];
    deliver(&record, patient, Glucose, now + 5, &backlog).await;
    let expected = [
        (now - 29 * HOUR, 2.8, Some(now - 24 * HOUR), false),
        (now - 5 * HOUR, 2.9, Some(now), false),
        (now + 5, 2.5, None, false),
    ];
    assert_eq!(episodes(&record).await, expected);
    assert_eq!(pages(&record).await, 1);
    deliver(&record, patient, Glucose, now + 10, &[(now + 10, 5.0)]).await;
    assert_eq!(episodes(&record).await[2].2, Some(now + 10));
}

#[tokio::test]
async fn what_comes_too_late_does_not_reopen_what_is_over() {
    let (record, patient) = below("spo2", 92.0).await;
    let now = 4 * DAY;
    let (from, until) = (now - 30 * HOUR, now - 20 * HOUR);
    measure(&record, patient, Spo2, (2 * DAY..from).step_by(60), 96.0).await;
    measure(&record, patient, Spo2, (from..until).step_by(60), 90.0).await;
    measure(&record, patient, Spo2, (until..=now).step_by(60), 96.0).await;
    let before = episodes(&record).await;
    assert_eq!(before, [(from, 90.0, Some(until), false)]);
    let told = pages(&record).await;
    // From within yesterday's episode, which lasted beyond what can be judged with it.
    deliver(&record, patient, Spo2, now, &[(from + 30, 89.0)]).await;
    assert_eq!(episodes(&record).await, before);
    // From long before it, and nothing between the two says that it was over.
    let alone = 2 * DAY - 26 * HOUR;
    deliver(&record, patient, Spo2, now, &[(alone, 89.0)]).await;
    assert_eq!(episodes(&record).await[1..], before);
    assert_eq!(episodes(&record).await[0].0, alone);
    assert_eq!(pages(&record).await, told);
}

#[tokio::test]
async fn what_is_open_is_left_as_it_is_by_what_comes_too_late() {
    let (record, patient) = below("spo2", 92.0).await;
    let now = 3 * DAY;
    measure(&record, patient, Spo2, (0..=now).step_by(60), 90.0).await;
    deliver(&record, patient, Spo2, now, &[(DAY + 15, 85.0)]).await;
    assert_eq!(episodes(&record).await, [(0, 90.0, None, false)]);
    measure(&record, patient, Spo2, [now + 60], 90.0).await;
    assert_eq!(episodes(&record).await, [(0, 90.0, None, false)]);
}

#[tokio::test]
async fn nothing_rests_on_a_reading_of_days_ago_once_it_is_entered_in_error() {
    let condition = json!({"kind": "change", "changes": [
        {"metric": "body_weight", "rise": 2.0, "within_seconds": 7 * 24 * 3600, "clear": 1.0},
    ]});
    let (record, patient) = with_rule(condition).await;
    measure(&record, patient, BodyWeight, [0, DAY, 2 * DAY], 80.0).await;
    // A typo: all that follows is far more than that.
    measure(&record, patient, BodyWeight, [3 * DAY], 70.0).await;
    measure(&record, patient, BodyWeight, [4 * DAY, 5 * DAY], 80.0).await;
    assert_eq!(episodes(&record).await, [(3 * DAY, 80.0, None, false)]);
    let told = pages(&record).await;
    correct(&record, patient, BodyWeight, 3 * DAY, 5 * DAY + 60).await;
    let [withdrawn] = episodes(&record).await[..] else {
        panic!("one episode")
    };
    assert!(withdrawn.3, "{withdrawn:?}");
    measure(&record, patient, BodyWeight, [6 * DAY, 7 * DAY], 80.0).await;
    assert_eq!(episodes(&record).await, [withdrawn]);
    assert_eq!(pages(&record).await, told);
}

#[tokio::test]
async fn a_harmless_reading_of_days_ago_takes_no_episode_with_it() {
    let (record, patient) = below("glucose", 3.0).await;
    let now = 5 * DAY;
    measure(&record, patient, Glucose, [0], 2.0).await;
    measure(&record, patient, Glucose, [60, DAY, DAY + 60], 5.0).await;
    // Open since two days and a half; a reading between keeps it so.
    measure(&record, patient, Glucose, (2 * DAY + 720..=now).step_by(360), 2.2).await;
    deliver(&record, patient, Glucose, 3 * DAY + 5, &[(3 * DAY + 5, 2.9)]).await;
    let before = episodes(&record).await;
    assert_eq!(
        before,
        [(0, 2.0, Some(60), false), (2 * DAY + 720, 2.2, None, false)]
    );
    let told = pages(&record).await;
    for harmless in [DAY, 3 * DAY + 5] {
        correct(&record, patient, Glucose, harmless, now).await;
        assert_eq!(episodes(&record).await, before);
    }
    // That which ended the first one: it ended with the next.
    correct(&record, patient, Glucose, 60, now).await;
    assert_eq!(episodes(&record).await[0], (0, 2.0, Some(DAY + 60), false));
    measure(&record, patient, Glucose, [now + 5], 5.0).await;
    assert_eq!(
        episodes(&record).await[1],
        (2 * DAY + 720, 2.2, Some(now + 5), false)
    );
    assert_eq!(pages(&record).await, told);
}
