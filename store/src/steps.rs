//! How many steps patients take a day, and how many a week they want to.
//!
//! A telephone and a watch count the same steps: as Apple Health and Google Fit do, one of them is taken for each part of
//! the day. Here it is the one that counted most in an hour.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{DeviceId, Metric, PatientId};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;
use crate::rollup::hour_of;
use crate::summary::WindowReading;

/// The most changes of a goal that are read, the latest first: nobody changes it more often within the weeks that are
/// shown.
const MOST_GOALS: i64 = 100;

/// What a patient wants from a time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StepGoal {
    /// So many steps a week; none: no goal any more.
    pub steps_a_week: Option<i32>,
    /// Since when.
    pub made_at: DateTime<Utc>,
    /// Who said so.
    pub made_by: String,
}

/// What a patient has wanted, the latest first.
pub async fn step_goals_of(
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<Vec<StepGoal>, Error> {
    sqlx::query_as!(
        StepGoal,
        "SELECT steps_a_week, made_at, made_by FROM step_goal WHERE patient_id = $1 ORDER BY step_goal_id DESC LIMIT $2",
        patient.0,
        MOST_GOALS
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read a step goal", source))
}

/// Sets a patient's goal, or ends it. What is so already stays as it is.
pub async fn set_step_goal(
    connection: &mut PgConnection,
    patient: PatientId,
    steps_a_week: Option<i32>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO step_goal (patient_id, steps_a_week, made_at, made_by)
         SELECT $1::bigint, $2::integer, $3::timestamptz, $4::text
         WHERE $2 IS DISTINCT FROM (SELECT latest.steps_a_week FROM step_goal AS latest
             WHERE latest.patient_id = $1 ORDER BY latest.step_goal_id DESC LIMIT 1)",
        patient.0,
        steps_a_week,
        now,
        by
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("set a step goal", source))?;
    Ok(())
}

/// The steps of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayOfSteps {
    /// The day of the patient's calendar.
    pub date: NaiveDate,
    /// How many.
    pub steps: i64,
}

/// A patient's steps by the days of a time zone (its IANA name), counted in intervals that end after `from` and no later
/// than `until`, which are full hours. Days without any are left out. An interval that ends at midnight is of the day
/// before.
pub async fn steps_by_day(
    connection: &mut PgConnection,
    patient: PatientId,
    zone: &str,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<DayOfSteps>, Error> {
    // All clocks of the world are whole quarters of an hour apart.
    sqlx::query_as!(
        DayOfSteps,
        r#"
        SELECT (bucket AT TIME ZONE $3::text)::date AS "date!", round(sum(sum))::bigint AS "steps!"
        FROM summed_up($1, $2, $4, $5, INTERVAL '15 minutes')
        GROUP BY 1
        ORDER BY 1
        "#,
        patient.0,
        Metric::Steps.code(),
        zone,
        from,
        until
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("count steps by day", source))
}

/// The readings of steps among these that count: of each hour those of the device that counted most in it.
pub fn those_that_count(readings: &[WindowReading]) -> Vec<&WindowReading> {
    let hour = |reading: &WindowReading| hour_of(Metric::Steps, reading.at);
    let steps = || {
        readings
            .iter()
            .filter(|reading| reading.metric == Metric::Steps && !reading.entered_in_error)
    };
    let mut counts: BTreeMap<(DateTime<Utc>, DeviceId), f64> = BTreeMap::new();
    for reading in steps() {
        *counts.entry((hour(reading), reading.device)).or_default() += reading.value;
    }
    let mut most: BTreeMap<DateTime<Utc>, (DeviceId, f64)> = BTreeMap::new();
    for ((hour, device), count) in counts {
        let of_hour = most.entry(hour).or_insert((device, count));
        if count > of_hour.1 {
            *of_hour = (device, count);
        }
    }
    steps()
        .filter(|reading| most[&hour(reading)].0 == reading.device)
        .collect()
}
