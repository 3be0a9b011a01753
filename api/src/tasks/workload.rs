//! `GET /api/v1/tasks/workload`: how much the caller's team has to do, and has done in the last seven days.
//!
//! Answers `{"done_since": …, "outstanding": 7, "overdue": 2, "done": 12, "people": […]}`, with the same three numbers
//! for each name to which tasks are assigned; `assigned_to` null: nobody's business yet.

use axum::Json;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_store::tasks::{Workload, workload};
use serde::Serialize;
use utoipa::ToSchema;

use super::team;
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::Query;

/// A week of work: what teams look back on.
const LOOKS_BACK: TimeDelta = TimeDelta::days(7);

#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    done_since: DateTime<Utc>,
    outstanding: i64,
    overdue: i64,
    done: i64,
    people: Vec<Workload>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Answer>, ApiError> {
    team(&exchange)?;
    let done_since = exchange.now() - LOOKS_BACK;
    let people = workload(&mut *exchange.connection().await, done_since, exchange.now()).await?;
    let sum = |of: fn(&Workload) -> i64| people.iter().map(of).sum();
    Ok(Json(Answer {
        done_since,
        outstanding: sum(|person| person.outstanding),
        overdue: sum(|person| person.overdue),
        done: sum(|person| person.done),
        people,
    }))
}
