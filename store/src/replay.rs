//! The history of many patients at once, and the plans that they have: what a dry run of rules reads.
//!
//! The readings of a patient's month lie in thousands of pages, of which each holds those of a hundred patients.
//! So readings are read for many patients and a short time, rather than for one patient and all of the time: over
//! 8.6 million readings of 1,000 patients that took a fifth of the time. A binary `COPY` of the same rows was
//! faster by a quarter: not worth decoding them by hand.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use homeward_record::{DeviceId, Metric, PatientId};
use serde_json::Value;
use sqlx::PgConnection;

use crate::Error;

/// A reading as rules judge it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplayedReading {
    /// Whose it is.
    pub patient: PatientId,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// What was measured.
    pub metric: Metric,
    /// What measured it.
    pub device: DeviceId,
    /// The value, in the metric's stored unit.
    pub value: f64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
}

/// The readings of these patients and metrics that were measured from `from` until before `until`, without those
/// that were entered in error: ordered by patient, time, metric and device. `None` if there are more than `most`.
pub async fn replay(
    connection: &mut PgConnection,
    patients: &[PatientId],
    metrics: &[Metric],
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    most: usize,
) -> Result<Option<Vec<ReplayedReading>>, Error> {
    let failed = |source| Error::new("read the history of patients", source);
    let patients: Vec<i64> = patients.iter().map(|patient| patient.0).collect();
    let metrics: Vec<i16> = metrics.iter().map(|metric| metric.code()).collect();
    // Sorted here: the server would have to put so many rows on disk for it.
    let mut rows = sqlx::query!(
        "SELECT patient_id, time, metric, device_id, value, received_at
         FROM reading
         WHERE patient_id = ANY ($1) AND metric = ANY ($2) AND time >= $3 AND time < $4 AND NOT entered_in_error
         LIMIT $5",
        &patients,
        &metrics,
        from,
        until,
        i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1)
    )
    .fetch(connection);
    let mut readings = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let Some(metric) = Metric::from_code(row.metric) else {
            continue;
        };
        readings.push(ReplayedReading {
            patient: PatientId(row.patient_id),
            at: row.time,
            metric,
            device: DeviceId(row.device_id),
            value: row.value,
            received_at: row.received_at,
        });
    }
    if readings.len() > most {
        return Ok(None);
    }
    readings.sort_unstable_by_key(|reading| (reading.patient, reading.at, reading.metric, reading.device));
    Ok(Some(readings))
}

/// The version of a rule that is in force in a patient's care plan.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrentRule {
    /// Whose care plan it belongs to.
    pub patient: PatientId,
    /// Names the rule across its versions.
    pub code: String,
    /// The programme from which it was taken; empty for a rule of the patient's own.
    pub programme: String,
    /// The rule itself.
    pub definition: Value,
}

/// The rules that are in force in the plans of these patients at a time, by patient and code. Of a rule that is changed
/// until a day, that is the change, and not what comes after it.
pub async fn current_rules(
    connection: &mut PgConnection,
    patients: &[PatientId],
    at: DateTime<Utc>,
) -> Result<Vec<CurrentRule>, Error> {
    let patients: Vec<i64> = patients.iter().map(|patient| patient.0).collect();
    let rows = sqlx::query!(
        "SELECT patient_id, code, programme, definition FROM care_plan_rule
         WHERE patient_id = ANY ($1) AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2)
         ORDER BY patient_id, code",
        &patients,
        at
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read care plans", source))?;
    let rules = rows.into_iter().map(|row| CurrentRule {
        patient: PatientId(row.patient_id),
        code: row.code,
        programme: row.programme,
        definition: row.definition,
    });
    Ok(rules.collect())
}

/// The patients in whose plans rules of a programme are in force at a time, by number.
pub async fn patients_on(
    connection: &mut PgConnection,
    programme: &str,
    at: DateTime<Utc>,
) -> Result<Vec<PatientId>, Error> {
    let patients = sqlx::query_scalar!(
        "SELECT DISTINCT patient_id FROM care_plan_rule
         WHERE programme = $1 AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2)
         ORDER BY patient_id",
        programme,
        at
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("look up who is on a programme", source))?;
    Ok(patients.into_iter().map(PatientId).collect())
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeDelta};
    use homeward_record::{Context, NhsNumber};
    use serde_json::json;

    use super::*;
    use crate::admin::{NewPatient, NewRule, add_patients, set_rules};
    use crate::testing::TestDatabase;
    use crate::{BatchRow, insert_batch};

    fn minute(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
    }

    fn row(patient: i64, minutes: i64, metric: Metric, device: i64) -> BatchRow {
        BatchRow {
            part: 0,
            patient: PatientId(patient),
            metric,
            at: minute(minutes),
            device: DeviceId(device),
            value: 5.5,
            context: Context::default(),
            received_at: minute(minutes + 1),
        }
    }

    #[tokio::test]
    async fn history_comes_in_the_order_in_which_it_is_judged() {
        let database = TestDatabase::create().await;
        let mut connection = database.pool().acquire().await.unwrap();
        let mut batch = vec![
            row(2, 0, Metric::Glucose, 1),
            row(1, 5, Metric::Glucose, 2),
            row(1, 5, Metric::Glucose, 1),
            row(1, 5, Metric::HeartRate, 3),
            row(1, 0, Metric::Glucose, 1),
            // Not asked for: another patient, another metric, before and after the time, in error.
            row(3, 5, Metric::Glucose, 1),
            row(1, 5, Metric::Steps, 1),
            row(1, -1, Metric::Glucose, 1),
            row(1, 10, Metric::Glucose, 1),
            row(2, 9, Metric::Glucose, 1),
        ];
        insert_batch(&mut connection, &mut batch).await.unwrap();
        sqlx::query("UPDATE reading SET entered_in_error = true WHERE patient_id = 2 AND time = $1")
            .bind(minute(9))
            .execute(&mut *connection)
            .await
            .unwrap();
        let patients = [PatientId(2), PatientId(1)];
        let metrics = [Metric::Glucose, Metric::HeartRate];
        let times = (minute(0), minute(10));
        let read = replay(&mut connection, &patients, &metrics, times, 5)
            .await
            .unwrap();
        let found: Vec<_> = read
            .unwrap()
            .iter()
            .map(|r| (r.patient.0, r.at, r.metric, r.device.0))
            .collect();
        assert_eq!(
            found,
            [
                (1, minute(0), Metric::Glucose, 1),
                (1, minute(5), Metric::HeartRate, 3),
                (1, minute(5), Metric::Glucose, 1),
                (1, minute(5), Metric::Glucose, 2),
                (2, minute(0), Metric::Glucose, 1),
            ]
        );
        let too_many = replay(&mut connection, &patients, &metrics, times, 4).await;
        assert_eq!(too_many.unwrap(), None);
    }

    #[tokio::test]
    async fn plans_are_those_of_now() {
        let database = TestDatabase::create().await;
        let mut connection = database.pool().acquire().await.unwrap();
        let numbers: Vec<_> = (999_000_000..).filter_map(NhsNumber::from_stem).take(3).collect();
        let new: Vec<_> = numbers
            .iter()
            .map(|nhs_number| NewPatient {
                nhs_number,
                name: "Ada Simulated",
                born: NaiveDate::default(),
                organisation: None,
                team: None,
            })
            .collect();
        let patients = add_patients(&mut connection, &new).await.unwrap();
        let (first, second) = (json!({"n": 1}), json!({"n": 2}));
        let rule = |patient, code, programme, definition| NewRule {
            patient,
            code,
            programme,
            definition,
            always_on: false,
        };
        let rules = [
            rule(patients[0], "low", "diabetes", &first),
            rule(patients[0], "crisis", "hypertension", &first),
            rule(patients[1], "crisis", "hypertension", &first),
            rule(patients[2], "low", "diabetes", &first),
        ];
        let (early, late) = (minute(0), minute(1));
        set_rules(&mut connection, &rules, "a test", "enrolment", early)
            .await
            .unwrap();
        let changed = [rule(patients[0], "low", "diabetes", &second)];
        set_rules(&mut connection, &changed, "a test", "a change", late)
            .await
            .unwrap();
        sqlx::query("UPDATE care_plan_rule SET valid_until = $2 WHERE patient_id = $1")
            .bind(patients[2].0)
            .bind(late)
            .execute(&mut *connection)
            .await
            .unwrap();

        let on = patients_on(&mut connection, "diabetes", late).await.unwrap();
        assert_eq!(on, [patients[0]]);
        // What is to come is not in force, and what ends then still is.
        let to_come = [rule(patients[1], "crisis", "heart-failure", &second)];
        set_rules(&mut connection, &to_come, "a test", "for a time", minute(5))
            .await
            .unwrap();
        let on = patients_on(&mut connection, "heart-failure", late).await.unwrap();
        assert_eq!(on, []);
        let current = current_rules(&mut connection, &patients[..2], late)
            .await
            .unwrap();
        let found: Vec<_> = current
            .iter()
            .map(|r| (r.patient, r.code.as_str(), r.programme.as_str(), &r.definition))
            .collect();
        assert_eq!(
            found,
            [
                (patients[0], "crisis", "hypertension", &first),
                (patients[0], "low", "diabetes", &second),
                (patients[1], "crisis", "hypertension", &first),
            ]
        );
    }
}
