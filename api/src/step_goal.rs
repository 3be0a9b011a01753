//! `GET /api/v1/patients/{patient}/step-goal`: how many steps a week a patient wants to take, and how that goes.
//! `PUT` sets the goal, `{"steps_a_week": 35000}` (1,000 to 350,000); `DELETE` ends it. Both answer what `GET` does.
//!
//! A week is one of the patient's calendar (Europe/London), from Monday on; so are its days. `goal` is null where there is
//! none. `this_week` has all seven days, those to come with `steps` null; `earlier_weeks` the eight before it, the latest
//! first, each with the goal at its end. Of several devices that count steps, the one that counted most in an hour is taken
//! for it.
//!
//! Whoever may see the patient sees the goal; only the patient sets it. A goal is for those who want one: nobody is told
//! that one was missed.

pub(crate) mod change;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use axum::Json;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use homeward_alerts::Zone;
use homeward_record::PatientId;
use homeward_store::steps::{StepGoal, step_goals_of, steps_by_day};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Path, Query, zone};
use crate::series::require_patient;

/// How many weeks before this one are told.
const EARLIER_WEEKS: i64 = 8;

/// What pages say of steps.
pub(crate) const OF_SEVERAL_DEVICES: &str =
    "Where several devices count steps, the one with the most in an hour is taken.";

/// What a patient wants, and how it goes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct View {
    pub(crate) patient: PatientId,
    /// The goal that holds.
    pub(crate) goal: Option<StepGoal>,
    pub(crate) this_week: StepWeek,
    /// The latest first.
    pub(crate) earlier_weeks: Vec<StepWeek>,
    /// Every change, the latest first.
    pub(crate) history: Vec<StepGoal>,
}

/// A week of steps.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct StepWeek {
    /// Its Monday.
    pub(crate) monday: NaiveDate,
    /// All of its steps.
    pub(crate) steps: i64,
    /// The goal at its end, or now.
    pub(crate) steps_a_week: Option<i32>,
    /// Whether there are as many; none without a goal.
    pub(crate) reached: Option<bool>,
    /// Its days, from Monday on.
    pub(crate) days: Vec<StepDay>,
}

/// A day of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct StepDay {
    pub(crate) date: NaiveDate,
    /// None where the day is to come.
    pub(crate) steps: Option<i64>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<View>, ApiError> {
    let patient = path.value("patient")?;
    require_patient(&mut *exchange.connection().await, patient).await?;
    answer(&exchange, patient).await
}

/// What a patient wants, and how it goes, as it stands after a change too.
async fn answer(exchange: &Exchange, patient: PatientId) -> Result<Json<View>, ApiError> {
    let mut connection = exchange.connection().await;
    view(&mut connection, patient, exchange.now()).await.map(Json)
}

/// What a patient wants, and how it goes at a time.
pub(crate) async fn view(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<View, ApiError> {
    let zone = zone(None)?;
    let history = step_goals_of(connection, patient).await?;
    let today = zone.date(now);
    let monday = today - TimeDelta::days(today.weekday().num_days_from_monday().into());
    let first = monday - TimeDelta::weeks(EARLIER_WEEKS);
    let window = (zone.beginning(first), zone.beginning(today + TimeDelta::days(1)));
    let counted = steps_by_day(connection, patient, &zone.to_string(), window).await?;
    let counted = counted.into_iter().map(|day| (day.date, day.steps)).collect();
    let week = |weeks_ago| {
        let monday = monday - TimeDelta::weeks(weeks_ago);
        week(monday, today, &counted, goal_at_end(&history, monday, zone))
    };
    Ok(View {
        patient,
        goal: history
            .first()
            .filter(|goal| goal.steps_a_week.is_some())
            .cloned(),
        this_week: week(0),
        earlier_weeks: (1..=EARLIER_WEEKS).map(week).collect(),
        history,
    })
}

/// What the patient wanted when a week ended, or wants now.
fn goal_at_end(history: &[StepGoal], monday: NaiveDate, zone: Zone) -> Option<i32> {
    let end = zone.beginning(monday + TimeDelta::weeks(1));
    let held = history.iter().find(|goal| goal.made_at < end);
    held.and_then(|goal| goal.steps_a_week)
}

fn week(
    monday: NaiveDate,
    today: NaiveDate,
    counted: &BTreeMap<NaiveDate, i64>,
    steps_a_week: Option<i32>,
) -> StepWeek {
    let day = |date: NaiveDate| StepDay {
        date,
        steps: (date <= today).then(|| counted.get(&date).copied().unwrap_or(0)),
    };
    let days: Vec<StepDay> = monday.iter_days().take(7).map(day).collect();
    let steps = days.iter().filter_map(|day| day.steps).sum();
    StepWeek {
        monday,
        steps,
        steps_a_week,
        reached: steps_a_week.map(|goal| steps >= i64::from(goal)),
        days,
    }
}
