//! `POST /api/v1/tasks/{task}/done` and `…/cancel`: ends a task.
//!
//! The body is `{"outcome": "Cuff replaced"}`, what came of it, or `{}`; a task that is cancelled needs it. A task
//! that has ended does not end again (409).

use homeward_store::tasks::{Task, TaskChange, TaskStatus};
use serde::Deserialize;
use utoipa::ToSchema;

use super::change_of;
use crate::access::Exchange;
use crate::alerts::act::{NoParameters, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::etag::Tagged;
use crate::request::{Body, Path, Query};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ending {
    outcome: Option<String>,
}

pub(crate) async fn done(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(Ending { outcome }): Body<Ending>,
) -> Result<Tagged<Task>, ApiError> {
    let outcome = outcome
        .map(|outcome| text("outcome", &outcome, TEXT_LENGTH))
        .transpose()?;
    let change = TaskChange::End(TaskStatus::Done, outcome.as_deref());
    change_of(&exchange, &path, None, &change).await
}

pub(crate) async fn cancel(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(Ending { outcome }): Body<Ending>,
) -> Result<Tagged<Task>, ApiError> {
    let outcome = text("outcome", &outcome.unwrap_or_default(), TEXT_LENGTH)?;
    let change = TaskChange::End(TaskStatus::Cancelled, Some(&outcome));
    change_of(&exchange, &path, None, &change).await
}
