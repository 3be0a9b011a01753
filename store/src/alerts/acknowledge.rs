use std::time::Duration;

use chrono::{DateTime, Utc};
use homeward_record::EpisodeId;
use sqlx::{PgConnection, PgPool};

use super::{Episode, EpisodeStatus, load_episodes, unknown};
use crate::Error;

/// How often, and after which pause, [`acknowledge`] tries to get hold of an episode that a lane is writing:
/// a lane's transaction takes milliseconds.
const ACKNOWLEDGE_ATTEMPTS: u32 = 200;
const ACKNOWLEDGE_PAUSE: Duration = Duration::from_millis(10);

/// What became of the wish to acknowledge an episode.
#[derive(Clone, Debug, PartialEq)]
pub enum Acknowledgement {
    /// The episode is acknowledged, by this call or by an earlier one, and stands so.
    Done(Box<Episode>),
    /// There is no such episode.
    Unknown,
    /// The episode was being written for all of some seconds.
    Busy,
}

/// Records that `actor` has taken an episode up, unless somebody had before.
///
/// Whoever writes transitions holds the lock of their numbers until the end, and a lane may hold it when
/// it comes to wait for this episode. So this takes the lock first, and then never waits for the episode:
/// while a lane is writing it, everything is let go and tried anew.
pub async fn acknowledge(
    pool: &PgPool,
    episode: EpisodeId,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Acknowledgement, Error> {
    for _ in 0..ACKNOWLEDGE_ATTEMPTS {
        match try_acknowledge(pool, episode, actor, now).await? {
            Acknowledgement::Busy => tokio::time::sleep(ACKNOWLEDGE_PAUSE).await,
            outcome => return Ok(outcome),
        }
    }
    Ok(Acknowledgement::Busy)
}

async fn try_acknowledge(
    pool: &PgPool,
    episode: EpisodeId,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Acknowledgement, Error> {
    let failed = |source| Error::new("acknowledge an episode", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    let locked = lock_episode(&mut transaction, episode).await.map_err(failed)?;
    if let Some(status) = locked
        && let Some(next) = status.once_acknowledged()
    {
        write_acknowledgement(&mut transaction, episode, next, actor, now)
            .await
            .map_err(failed)?;
    }
    let episode = load_episodes(&mut transaction, &[episode.0]).await?.pop();
    transaction.commit().await.map_err(failed)?;
    Ok(match (episode, locked) {
        (None, _) => Acknowledgement::Unknown,
        (Some(_), None) => Acknowledgement::Busy,
        (Some(episode), Some(_)) => Acknowledgement::Done(Box::new(episode)),
    })
}

/// The status of an episode that nobody else changes until the transaction ends; `None` when somebody is
/// changing it, or there is none.
async fn lock_episode(
    connection: &mut PgConnection,
    episode: EpisodeId,
) -> Result<Option<EpisodeStatus>, sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(7462, 2)")
        .execute(&mut *connection)
        .await?;
    let status = sqlx::query_scalar!(
        "SELECT status FROM episode WHERE episode_id = $1 FOR UPDATE SKIP LOCKED",
        episode.0
    )
    .fetch_optional(connection)
    .await?;
    status
        .map(|status| status.parse())
        .transpose()
        .map_err(|()| unknown("status"))
}

async fn write_acknowledgement(
    connection: &mut PgConnection,
    episode: EpisodeId,
    next: EpisodeStatus,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE episode SET status = $2, acknowledged_at = $3 WHERE episode_id = $1",
        episode.0,
        next.as_str(),
        now
    )
    .execute(&mut *connection)
    .await?;
    let mut kinds = vec!["acknowledged".to_owned()];
    if next == EpisodeStatus::Closed {
        kinds.push("closed".to_owned());
    }
    sqlx::query!(
        "INSERT INTO episode_transition (episode_id, kind, at, actor)
         SELECT $1, kind, $3, $4 FROM UNNEST($2::text[]) AS kind",
        episode.0,
        &kinds,
        now,
        actor
    )
    .execute(connection)
    .await?;
    Ok(())
}
