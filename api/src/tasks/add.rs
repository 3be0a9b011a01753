//! `POST /api/v1/tasks`: writes down what the caller's team has to do for a patient.
//!
//! The body is `{"patient": 1001, "alert": 17, "text": "Call about the cuff", "due_at": "2026-11-24T17:00:00Z",
//! "assigned_to": 501}`; `alert`, one of the patient's, and `assigned_to` may be left out. It is assigned to somebody of the team
//! who works on alerts and tasks, by the number of an account or by a name that one of them alone has (else 422). Answers 201
//! with the task, and where it is.

use chrono::{DateTime, Utc};
use homeward_record::{EpisodeId, PatientId};
use homeward_store::tasks::{NewTask, Task, TaskText, add_task};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Said, team};
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::assignee::Assignee;
use crate::error::ApiError;
use crate::etag::Tagged;
use crate::openapi::Created;
use crate::request::{Body, Query};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Added {
    patient: PatientId,
    alert: Option<EpisodeId>,
    text: String,
    due_at: DateTime<Utc>,
    assigned_to: Option<Assignee>,
}

pub(crate) async fn post(
    exchange: Exchange,
    Query(NoParameters {}): Query<NoParameters>,
    Body(added): Body<Added>,
) -> Result<Created<Tagged<Task>>, ApiError> {
    let organisation = team(&exchange)?;
    let said = Said {
        text: added.text,
        due_at: added.due_at,
        assigned_to: added.assigned_to,
    };
    let said = said.checked()?;
    exchange.require(added.patient).await?;
    let assigned_to = said.assignee(&exchange, None).await?;
    let new = NewTask {
        patient: added.patient,
        organisation,
        alert: added.alert,
        said: TaskText {
            text: &said.text,
            due_at: said.due_at,
            assigned_to: assigned_to.as_ref(),
        },
    };
    let mut connection = exchange.connection().await;
    let task = add_task(&mut connection, &new, exchange.actor(), exchange.now()).await?;
    let task = task.ok_or_else(|| ApiError::parameter("alert", "there is no such alert of this patient"))?;
    Ok(Created {
        location: Some(format!("/api/v1/tasks/{}", task.id)),
        body: Tagged::from(task),
    })
}
