//! `PUT /api/v1/tasks/{task}`: says anew what is to be done, until when, and whose business it is.
//!
//! The body is that of a new task without patient and alert; a name that the task has already stays as it is.
//! `If-Match` names the version that the caller has read: when somebody else has changed the task since, the answer
//! is 412 and nothing changes. A task that has ended does not change (409).

use homeward_store::tasks::{Task, TaskChange, TaskText};

use super::show::find;
use super::{Said, change_of};
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::etag::{IfMatch, Tagged};
use crate::request::{Body, Path, Query};

pub(crate) async fn put(
    exchange: Exchange,
    path: Path,
    IfMatch(version): IfMatch,
    Query(NoParameters {}): Query<NoParameters>,
    Body(said): Body<Said>,
) -> Result<Tagged<Task>, ApiError> {
    let said = said.checked()?;
    let known = find(&exchange, &path).await?;
    let assigned_to = said.assignee(&exchange, Some(&known)).await?;
    let change = TaskChange::Say(TaskText {
        text: &said.text,
        due_at: said.due_at,
        assigned_to: assigned_to.as_ref(),
    });
    change_of(&exchange, &path, version, &change).await
}
