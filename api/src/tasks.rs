//! Tasks: what a team has to do for its patients, until when, and whose business it is.

pub(crate) mod add;
pub(crate) mod change;
pub(crate) mod end;
pub(crate) mod list;
pub(crate) mod show;
#[cfg(test)]
mod tests;
pub(crate) mod workload;

use chrono::{DateTime, Utc};
use homeward_store::access::Somebody;
use homeward_store::tasks::{Changed, Task, TaskChange, change_task};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::{TEXT_LENGTH, text};
use crate::assignee::Assignee;
use crate::error::ApiError;
use crate::etag::Tagged;
use crate::request::Path;

impl From<Task> for Tagged<Task> {
    fn from(task: Task) -> Tagged<Task> {
        Tagged {
            version: task.version,
            body: task,
        }
    }
}

/// What is said of a task: `{"text": "Call about the cuff", "due_at": "2026-11-24T17:00:00Z", "assigned_to": 501}`;
/// `assigned_to` may be left out, or null: it is nobody's business yet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    text: String,
    due_at: DateTime<Utc>,
    assigned_to: Option<Assignee>,
}

impl Said {
    /// The same, where it makes sense.
    fn checked(self) -> Result<Said, ApiError> {
        Ok(Said {
            text: text("text", &self.text, TEXT_LENGTH)?,
            due_at: self.due_at,
            assigned_to: self.assigned_to.map(|to| to.checked("assigned_to")).transpose()?,
        })
    }

    /// Whose business it is to be. A name that the task has already means whoever has it.
    async fn assignee(
        &self,
        exchange: &Exchange,
        known: Option<&Task>,
    ) -> Result<Option<Somebody>, ApiError> {
        let Some(to) = &self.assigned_to else {
            return Ok(None);
        };
        let has_it = known.and_then(Task::assignee);
        match (to, has_it) {
            (Assignee::Name(name), Some(has_it)) if *name == has_it.name => Ok(Some(has_it)),
            _ => to.find(exchange).await.map(Some),
        }
    }
}

/// The organisation of the caller: without one there are no tasks.
fn team(exchange: &Exchange) -> Result<i64, ApiError> {
    let organisation = exchange.principal().acts_as.organisation;
    organisation.ok_or(ApiError::Forbidden("tasks are those of an organisation"))
}

/// Changes the task of the path, and answers with it.
async fn change_of(
    exchange: &Exchange,
    path: &Path,
    version: Option<i32>,
    change: &TaskChange<'_>,
) -> Result<Tagged<Task>, ApiError> {
    let id: i64 = path.value("task")?;
    let mut connection = exchange.connection().await;
    let by = (exchange.actor(), exchange.now());
    let changed = change_task(&mut connection, id, version, change, by).await?;
    drop(connection);
    match changed {
        Changed::Task(task) => {
            exchange.require_each([task.patient]).await?;
            Ok(Tagged::from(*task))
        }
        Changed::Unknown => Err(unknown(id)),
        Changed::OtherVersion => Err(ApiError::OtherVersion),
        Changed::Ended => Err(ApiError::Conflict("the task has ended".to_owned())),
    }
}

fn unknown(task: i64) -> ApiError {
    ApiError::NotFound(format!("there is no task {task}"))
}
