//! Forgetting what is older than the record is to be kept.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use crate::Error;

/// How many changes of the gate are kept. A writer's cache that is further behind than this begins anew,
/// which costs it one load of what it uses.
const KEPT_GATE_CHANGES: i64 = 10_000;

/// What [`run_once`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Chunks of readings, each of a week.
    pub chunks: u64,
    /// Rejected messages.
    pub rejected_messages: u64,
    /// Changes of the gate.
    pub gate_changes: u64,
}

/// Removes what is older than `retention`. To be called every hour or so.
///
/// Readings go by whole chunks, so the last of them go up to a week later; their rollups go with them.
///
/// # Errors
///
/// When the database fails, and when a long query keeps a chunk from being dropped; the next call goes on.
pub async fn run_once(pool: &PgPool, now: DateTime<Utc>, retention: TimeDelta) -> Result<Removed, Error> {
    let cutoff = now - retention;
    Ok(Removed {
        chunks: drop_readings(pool, cutoff).await?,
        rejected_messages: delete_rejected(pool, cutoff).await?,
        gate_changes: prune_gate_changes(pool).await?,
    })
}

async fn drop_readings(pool: &PgPool, cutoff: DateTime<Utc>) -> Result<u64, Error> {
    let failed = |source| Error::new("drop old readings", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    let chunks = drop_chunks(&mut transaction, cutoff).await.map_err(failed)?;
    if chunks > 0 {
        delete_rollups(&mut transaction, cutoff).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(chunks)
}

async fn drop_chunks(connection: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    // Whoever waits for a chunk's lock makes all queries of the chunk wait behind it.
    sqlx::query!("SET LOCAL lock_timeout = '3s'")
        .execute(&mut *connection)
        .await?;
    // No rollup may be written that was computed from readings before they were dropped.
    sqlx::query!("SELECT pg_advisory_xact_lock(7462, 3)")
        .execute(&mut *connection)
        .await?;
    let dropped = sqlx::query!("SELECT drop_chunks('reading', $1::timestamptz)", cutoff)
        .fetch_all(connection)
        .await?;
    Ok(dropped.len() as u64)
}

/// Deletes the rollups of what was dropped: of all that is before the oldest chunk there is.
async fn delete_rollups(connection: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let oldest_kept = sqlx::query_scalar!(
        "SELECT min(range_start) FROM timescaledb_information.chunks
         WHERE hypertable_schema = current_schema AND hypertable_name = 'reading'"
    )
    .fetch_one(&mut *connection)
    .await?
    .unwrap_or(cutoff);
    sqlx::query!("DELETE FROM reading_hourly WHERE bucket < $1", oldest_kept)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM reading_daily WHERE bucket < $1", oldest_kept)
        .execute(connection)
        .await?;
    Ok(())
}

async fn delete_rejected(pool: &PgPool, cutoff: DateTime<Utc>) -> Result<u64, Error> {
    sqlx::query!("DELETE FROM rejected_message WHERE received_at < $1", cutoff)
        .execute(pool)
        .await
        .map(|done| done.rows_affected())
        .map_err(|source| Error::new("delete old rejected messages", source))
}

async fn prune_gate_changes(pool: &PgPool) -> Result<u64, Error> {
    sqlx::query!(
        "DELETE FROM gate_change WHERE version <= (SELECT version FROM gate) - $1",
        KEPT_GATE_CHANGES
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
    .map_err(|source| Error::new("prune the gate's changes", source))
}
