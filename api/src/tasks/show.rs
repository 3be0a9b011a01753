//! `GET /api/v1/tasks/{task}`: a task, with its version as ETag.

use homeward_store::tasks::{Task, find_task};

use super::unknown;
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::etag::Tagged;
use crate::request::{Path, Query};

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Tagged<Task>, ApiError> {
    let task = find(&exchange, &path).await?;
    exchange.note_patients([task.patient]);
    Ok(Tagged::from(task))
}

/// The task of the path.
pub(super) async fn find(exchange: &Exchange, path: &Path) -> Result<Task, ApiError> {
    let id: i64 = path.value("task")?;
    let found = find_task(&mut *exchange.connection().await, id).await?;
    found.ok_or_else(|| unknown(id))
}
