//! `GET /api/v1/tasks`: the tasks of the caller's team.
//!
//! Parameters: `status` (`outstanding`, `done` or `cancelled`; `outstanding`), `patient`, `assigned_to` (the number of an
//! account, or a name as it was written down),
//! `mine` (`true`: those that are the caller's business), `due_before`, `limit` (1 to 500; 50), `after` (the `next` of
//! the page before, which is `null` on the last). What is outstanding is in the order in which it is due; what has
//! ended, from the latest.

use std::str::FromStr;

use axum::Json;
use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_store::assigned::Assigned;
use homeward_store::tasks::{Task, TaskFilter, TaskStatus, list_tasks};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::team;
use crate::access::Exchange;
use crate::assignee::assigned_to;
use crate::error::ApiError;
use crate::request::{Instant, Limit, Query, choose, parsed};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    status: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    patient: Option<PatientId>,
    /// The number of an account, or a name as it was written down.
    #[serde(default, deserialize_with = "parsed")]
    assigned_to: Option<String>,
    /// Those that are the caller's business.
    #[serde(default, deserialize_with = "parsed")]
    mine: Option<bool>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    due_before: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    limit: Option<Limit<50, 500>>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    after: Option<Place>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    tasks: Vec<Task>,
    /// What `after` has to be for the next page.
    next: Option<String>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, ApiError> {
    team(&exchange)?;
    let statuses = TaskStatus::ALL.map(|status| (status.as_str(), status));
    let status = parameters.status.as_deref().unwrap_or("outstanding");
    let mine = parameters.mine.unwrap_or_default();
    if mine && parameters.assigned_to.is_some() {
        let detail = "mine and assigned_to exclude each other";
        return Err(ApiError::parameter("mine", detail));
    }
    let filter = TaskFilter {
        status: choose("status", status, &statuses)?,
        patient: parameters.patient,
        assigned: match mine {
            true => Some(Assigned::ToWhoeverActs(exchange.actor().to_owned())),
            false => parameters.assigned_to.as_deref().map(assigned_to),
        },
        due_before: parameters.due_before.map(|Instant(at)| at),
        after: parameters.after.map(|Place(at, task)| (at, task)),
    };
    if let Some(patient) = filter.patient {
        exchange.require(patient).await?;
    }
    let limit = parameters.limit.unwrap_or_default();
    let mut tasks = list_tasks(&mut *exchange.connection().await, &filter, limit.and_one()).await?;
    let next = limit.cut(&mut tasks).map(|last| {
        let at = last.ended_at.unwrap_or(last.due_at);
        format!("{}-{}", at.timestamp_micros(), last.id)
    });
    exchange.note_patients(tasks.iter().map(|task| task.patient));
    Ok(Json(Page { tasks, next }))
}

/// A place in the list, as callers hand it back: opaque to them.
struct Place(DateTime<Utc>, i64);

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Place, &'static str> {
        let place = text.rsplit_once('-').and_then(|(at, task)| {
            let at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
            Some(Place(at, task.parse().ok()?))
        });
        place.ok_or("expected the next of an earlier page")
    }
}
