//! The work on episodes: what people do about them, and what time does.
//!
//! Whoever writes transitions holds the lock of their numbers, (7462, 2), until the end, and a lane may hold it
//! when it comes to wait for an episode. So everything here takes that lock first, and then never waits for an
//! episode.

mod action;
mod time;

use std::time::Duration;

use chrono::{DateTime, Utc};
use homeward_record::EpisodeId;
use sqlx::{Connection, PgConnection};

use crate::Error;
use crate::access::Somebody;
use crate::alerts::{Episode, load_episodes, unknown};
use crate::outbox::cancel;
use action::{Standing, Step};

pub use action::{Action, Refusal};
pub use time::{Escalated, Escalating, Telling, announce_ends, end_snoozes, escalate};

/// How often, and after which pause, [`act`] tries to get hold of an episode that a lane is writing: a lane's
/// transaction takes milliseconds.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// What became of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done, by this call or by an earlier one, and the episode stands so.
    Done(Box<Episode>),
    /// It is not possible as the episode stands.
    Refused(Refusal),
    /// There is no such episode.
    Unknown,
    /// The episode was being written for all of some seconds.
    Busy,
}

/// Does something about an episode on behalf of whoever acts ([`crate::access::act_as`]), under the name `actor`, and records
/// it. While a lane is writing the episode,
/// everything is let go and tried anew. Within a transaction it is done once that commits; the locks of an attempt
/// are let go all the same.
pub async fn act(
    connection: &mut PgConnection,
    episode: EpisodeId,
    action: &Action,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Outcome, Error> {
    for _ in 0..ATTEMPTS {
        match try_to_act(connection, episode, action, actor, now).await? {
            Outcome::Busy => tokio::time::sleep(PAUSE).await,
            outcome => return Ok(outcome),
        }
    }
    Ok(Outcome::Busy)
}

async fn try_to_act(
    connection: &mut PgConnection,
    episode: EpisodeId,
    action: &Action,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Outcome, Error> {
    let failed = |source| Error::new("change an episode", source);
    let mut transaction = connection.begin().await.map_err(failed)?;
    lock_transitions(&mut transaction).await?;
    let standing = lock_episode(&mut transaction, episode, (action.kind(), actor))
        .await
        .map_err(failed)?;
    let is_free = standing.is_some();
    if let Some(standing) = standing {
        match standing.after(action, now) {
            Ok((_, steps)) if steps.is_empty() => {}
            Ok((standing, steps)) => write(&mut transaction, episode, &standing, &steps, actor, now)
                .await
                .map_err(failed)?,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        }
        if matches!(action, Action::Acknowledge | Action::Snooze { .. }) {
            cancel(&mut transaction, &[episode.0], now).await?;
        }
    }
    let episode = load_episodes(&mut transaction, &[episode.0]).await?.pop();
    let outcome = match episode {
        None => Outcome::Unknown,
        Some(_) if !is_free => Outcome::Busy,
        Some(episode) => Outcome::Done(Box::new(episode)),
    };
    match outcome {
        Outcome::Done(_) => transaction.commit().await.map_err(failed)?,
        // Also within a transaction this lets go of the lock.
        _ => transaction.rollback().await.map_err(failed)?,
    }
    Ok(outcome)
}

/// Takes the lock of the transitions' numbers.
pub(crate) async fn lock_transitions(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(7462, 2)")
        .execute(connection)
        .await
        .map(drop)
        .map_err(|source| Error::new("take the lock of transitions", source))
}

/// Where the work on an episode stands that nobody else changes until the transaction ends; `None` when
/// somebody is changing it, or there is none. `kind` says of which transitions the last one matters, and whether it was
/// `actor` who made it.
async fn lock_episode(
    connection: &mut PgConnection,
    episode: EpisodeId,
    (kind, actor): (&str, &str),
) -> Result<Option<Standing>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT status, severity, always_on, acknowledged_at, assigned_to, assigned_role_id,
             (SELECT account_id FROM held_role WHERE held_role_id = assigned_role_id) AS assigned_account,
             snoozed_until, escalates_from, escalate_at
         FROM episode JOIN care_plan_rule USING (rule_id)
         WHERE episode_id = $1
         FOR NO KEY UPDATE OF episode SKIP LOCKED",
        episode.0
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let last = sqlx::query!(
        r#"SELECT COALESCE(actor = $3 AND held_role_id IS NOT DISTINCT FROM acting_role(), false) AS "by_the_same!", detail
           FROM episode_transition WHERE episode_id = $1 AND kind = $2
           ORDER BY transition_id DESC LIMIT 1"#,
        episode.0,
        kind,
        actor
    )
    .fetch_optional(connection)
    .await?;
    Ok(Some(Standing {
        status: row.status.parse().map_err(|()| unknown("status"))?,
        severity: row.severity,
        always_on: row.always_on,
        acknowledged_at: row.acknowledged_at,
        assigned_to: Somebody::of(row.assigned_to, row.assigned_role_id, row.assigned_account),
        snoozed_until: row.snoozed_until,
        escalates_from: row.escalates_from,
        escalate_at: row.escalate_at,
        last: last.map(|last| (last.by_the_same, last.detail)),
    }))
}

async fn write(
    connection: &mut PgConnection,
    episode: EpisodeId,
    standing: &Standing,
    steps: &[Step],
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE episode SET status = $2, acknowledged_at = $3, assigned_to = $4, assigned_role_id = $5,
             snoozed_until = $6, escalates_from = $7, escalate_at = $8
         WHERE episode_id = $1",
        episode.0,
        standing.status.as_str(),
        standing.acknowledged_at,
        standing.assigned_to.as_ref().map(|to| &*to.name),
        standing.assigned_to.as_ref().and_then(|to| to.held_role),
        standing.snoozed_until,
        standing.escalates_from,
        standing.escalate_at
    )
    .execute(&mut *connection)
    .await?;
    let details: Vec<_> = steps.iter().map(|step| step.detail.clone()).collect();
    sqlx::query!(
        "INSERT INTO episode_transition (episode_id, kind, at, actor, held_role_id, detail)
         SELECT $1, kind, $4, $5, acting_role(), detail FROM UNNEST($2::text[], $3::jsonb[]) AS step (kind, detail)",
        episode.0,
        &steps.iter().map(|step| step.kind.to_owned()).collect::<Vec<_>>(),
        &details as &[Option<serde_json::Value>],
        now,
        actor
    )
    .execute(connection)
    .await?;
    Ok(())
}
