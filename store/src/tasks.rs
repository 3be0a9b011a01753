//! What teams have to do for their patients.

use chrono::{DateTime, Utc};
use homeward_record::{EpisodeId, PatientId};
use serde::Serialize;
use sqlx::{PgConnection, QueryBuilder};
use utoipa::ToSchema;

use crate::Error;
use crate::access::Somebody;
use crate::assigned::Assigned;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// It is still to be done.
    Outstanding,
    /// It was done.
    Done,
    /// It need not be done any more.
    Cancelled,
}

impl TaskStatus {
    /// Every status.
    pub const ALL: [TaskStatus; 3] = [TaskStatus::Outstanding, TaskStatus::Done, TaskStatus::Cancelled];

    /// The name in the record and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Outstanding => "outstanding",
            TaskStatus::Done => "done",
            TaskStatus::Cancelled => "cancelled",
        }
    }
}

/// A task of a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Task {
    /// Its number.
    pub id: i64,
    /// For whom it is.
    pub patient: PatientId,
    /// The team whose task it is.
    pub organisation: i64,
    /// The alert from which it came.
    pub alert: Option<i64>,
    /// What is to be done.
    pub text: String,
    /// Until when.
    pub due_at: DateTime<Utc>,
    /// Whose business it is, by name.
    pub assigned_to: Option<String>,
    /// Whose account that is; null where it is a program's business, or where only the name is known.
    pub assigned_to_account: Option<i64>,
    /// As what it is theirs.
    #[serde(skip)]
    pub assigned_role: Option<i64>,
    /// When it was written down.
    pub created_at: DateTime<Utc>,
    /// Who did so, by name.
    pub created_by: String,
    /// Whose account that is; null for a program, or where only the name is known.
    pub created_by_account: Option<i64>,
    /// Counts its changes.
    pub version: i32,
    /// `outstanding`, `done` or `cancelled`.
    pub status: String,
    /// When it was done or cancelled.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who did so, by name.
    pub ended_by: Option<String>,
    /// Whose account that is, as above.
    pub ended_by_account: Option<i64>,
    /// What came of it.
    pub outcome: Option<String>,
}

/// A task to be written down.
#[derive(Clone, Copy, Debug)]
pub struct NewTask<'a> {
    /// For whom it is.
    pub patient: PatientId,
    /// The team whose task it is.
    pub organisation: i64,
    /// The alert from which it came; one of this patient.
    pub alert: Option<EpisodeId>,
    /// What is to be done, until when, and whose business it is.
    pub said: TaskText<'a>,
}

/// What can be changed of a task.
#[derive(Clone, Copy, Debug)]
pub struct TaskText<'a> {
    /// What is to be done; not empty.
    pub text: &'a str,
    /// Until when.
    pub due_at: DateTime<Utc>,
    /// Whose business it is.
    pub assigned_to: Option<&'a Somebody>,
}

/// Which tasks to list.
#[derive(Clone, Debug)]
pub struct TaskFilter {
    /// Those that stand so.
    pub status: TaskStatus,
    /// Those for one patient.
    pub patient: Option<PatientId>,
    /// Those that are one person's business.
    pub assigned: Option<Assigned>,
    /// Those that are due before then.
    pub due_before: Option<DateTime<Utc>>,
    /// Those after this place in the list: the time by which it is ordered, and a task's number.
    pub after: Option<(DateTime<Utc>, i64)>,
}

/// A change of a task that is outstanding.
#[derive(Clone, Copy, Debug)]
pub enum TaskChange<'a> {
    /// Says it anew.
    Say(TaskText<'a>),
    /// Ends it: as done or as cancelled, with what came of it.
    End(TaskStatus, Option<&'a str>),
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was made, and this is the task now.
    Task(Box<Task>),
    /// There is no such task.
    Unknown,
    /// The task is in another version than the one that was named.
    OtherVersion,
    /// It has ended.
    Ended,
}

impl Task {
    /// Whose business it is.
    pub fn assignee(&self) -> Option<Somebody> {
        Somebody::of(
            self.assigned_to.clone(),
            self.assigned_role,
            self.assigned_to_account,
        )
    }
}

/// Writes a task down in the name of whoever acts, and answers with it; `None`: the alert is not one of this patient.
pub async fn add_task(
    connection: &mut PgConnection,
    new: &NewTask<'_>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Option<Task>, Error> {
    let failed = |source| Error::new("write a task down", source);
    let added = sqlx::query_scalar!(
        "INSERT INTO task (patient_id, organisation_id, episode_id, text, due_at, assigned_to, assigned_role_id,
             created_at, created_by)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
         WHERE $3::bigint IS NULL OR EXISTS (SELECT FROM episode WHERE episode_id = $3 AND patient_id = $1)
         RETURNING task_id",
        new.patient.0,
        new.organisation,
        new.alert.map(|alert| alert.0),
        new.said.text,
        new.said.due_at,
        new.said.assigned_to.map(|to| &*to.name),
        new.said.assigned_to.and_then(|to| to.held_role),
        now,
        by
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    match added {
        Some(added) => find_task(connection, added).await,
        None => Ok(None),
    }
}

/// One task; `None` when there is none of this number.
pub async fn find_task(connection: &mut PgConnection, task: i64) -> Result<Option<Task>, Error> {
    Ok(load(connection, &[task]).await?.pop())
}

/// Lists tasks: outstanding ones by when they are due, others from the one that ended last.
pub async fn list_tasks(
    connection: &mut PgConnection,
    filter: &TaskFilter,
    limit: i64,
) -> Result<Vec<Task>, Error> {
    let (at, beyond, order) = match filter.status {
        TaskStatus::Outstanding => ("due_at", ">", "ASC"),
        TaskStatus::Done | TaskStatus::Cancelled => ("ended_at", "<", "DESC"),
    };
    // As text: only so does the planner see which of the indexes it is.
    let mut query = QueryBuilder::new(format!(
        "SELECT task_id FROM task WHERE status = '{}'",
        filter.status.as_str()
    ));
    if let Some(patient) = filter.patient {
        query.push(" AND patient_id = ").push_bind(patient.0);
    }
    if let Some(assigned) = &filter.assigned {
        assigned.restrict(&mut query);
    }
    if let Some(due_before) = filter.due_before {
        query.push(" AND due_at < ").push_bind(due_before);
    }
    if let Some((after_at, after_id)) = filter.after {
        query.push(format!(" AND ({at}, task_id) {beyond} ("));
        query.push_bind(after_at).push(", ").push_bind(after_id).push(")");
    }
    query.push(format!(" ORDER BY {at} {order}, task_id {order} LIMIT "));
    let found: Vec<i64> = query
        .push_bind(limit)
        .build_query_scalar()
        .fetch_all(&mut *connection)
        .await
        .map_err(|source| Error::new("list tasks", source))?;
    load(connection, &found).await
}

/// Changes a task, if it is in the version that the caller has read.
pub async fn change_task(
    connection: &mut PgConnection,
    task: i64,
    version: Option<i32>,
    change: &TaskChange<'_>,
    (by, now): (&str, DateTime<Utc>),
) -> Result<Changed, Error> {
    let failed = |source| Error::new("change a task", source);
    let locked = sqlx::query!(
        "SELECT version, status FROM task WHERE task_id = $1 FOR UPDATE",
        task
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    match locked {
        None => return Ok(Changed::Unknown),
        Some(found) if version.is_some_and(|version| version != found.version) => {
            return Ok(Changed::OtherVersion);
        }
        Some(found) if found.status != TaskStatus::Outstanding.as_str() => return Ok(Changed::Ended),
        Some(_) => {}
    }
    match change {
        TaskChange::Say(said) => {
            sqlx::query!(
                "UPDATE task SET text = $2, due_at = $3, assigned_to = $4, assigned_role_id = $5, version = version + 1
                 WHERE task_id = $1",
                task,
                said.text,
                said.due_at,
                said.assigned_to.map(|to| &*to.name),
                said.assigned_to.and_then(|to| to.held_role)
            )
            .execute(&mut *connection)
            .await
        }
        TaskChange::End(status, outcome) => {
            sqlx::query!(
                "UPDATE task SET status = $2, outcome = $3, ended_at = $4, ended_by = $5, ended_role_id = acting_role(),
                     version = version + 1
                 WHERE task_id = $1",
                task,
                status.as_str(),
                *outcome,
                now,
                by
            )
            .execute(&mut *connection)
            .await
        }
    }
    .map_err(failed)?;
    let changed = find_task(connection, task).await?;
    Ok(changed.map_or(Changed::Unknown, |task| Changed::Task(Box::new(task))))
}

/// How much a team has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Workload {
    /// Whose business it is, by name; `None`: nobody's yet.
    pub assigned_to: Option<String>,
    /// Whose account that is, as tasks say it.
    pub assigned_to_account: Option<i64>,
    /// Tasks that are still to be done.
    pub outstanding: i64,
    /// Those of them that should have been.
    pub overdue: i64,
    /// Tasks that were done since the time that was asked for.
    pub done: i64,
}

/// How much there is to do for each person, and how much was done since a time: by name, what is nobody's business last.
pub async fn workload(
    connection: &mut PgConnection,
    done_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Workload>, Error> {
    sqlx::query_as!(
        Workload,
        r#"SELECT assigned_to, account_id AS "assigned_to_account?", count(*) FILTER (WHERE status = 'outstanding') AS "outstanding!",
             count(*) FILTER (WHERE status = 'outstanding' AND due_at < $2) AS "overdue!",
             count(*) FILTER (WHERE status = 'done') AS "done!"
         FROM task LEFT JOIN held_role ON held_role_id = assigned_role_id
         WHERE status = 'outstanding' OR (status = 'done' AND task.ended_at >= $1)
         GROUP BY assigned_to, account_id ORDER BY assigned_to NULLS LAST, account_id NULLS LAST"#,
        done_since,
        now
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("count tasks", source))
}

/// The tasks of these numbers, in their order.
async fn load(connection: &mut PgConnection, tasks: &[i64]) -> Result<Vec<Task>, Error> {
    sqlx::query_as!(
        Task,
        r#"SELECT task_id AS id, patient_id AS patient, organisation_id AS organisation, episode_id AS alert, text,
             due_at, assigned_to, assigned_role_id AS assigned_role,
             (SELECT account_id FROM held_role WHERE held_role_id = assigned_role_id) AS assigned_to_account,
             created_at, created_by,
             (SELECT account_id FROM held_role WHERE held_role_id = created_role_id) AS created_by_account,
             version, status, ended_at, ended_by,
             (SELECT account_id FROM held_role WHERE held_role_id = ended_role_id) AS ended_by_account, outcome
         FROM task JOIN UNNEST($1::bigint[]) WITH ORDINALITY AS asked (task_id, place) USING (task_id)
         ORDER BY place"#,
        tasks
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("load tasks", source))
}
