//! Forgetting what is older than the record is to be kept.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use crate::Error;
use crate::idempotency::KEPT_FOR;

/// How many changes of the gate are kept. A writer's cache that is further behind than this begins anew,
/// which costs it one load of what it uses.
const KEPT_GATE_CHANGES: i64 = 10_000;

/// For how long after it was sent or given up a notification can be looked at, by whoever asks what was told and when. The
/// log of the episode keeps for ever that somebody was told.
pub const NOTIFICATIONS_KEPT_FOR: TimeDelta = TimeDelta::days(90);

/// How many notifications go in one transaction.
const NOTIFICATIONS_AT_ONCE: i64 = 10_000;

/// What [`run_once`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Chunks of readings, each of a week.
    pub chunks: u64,
    /// Rejected messages.
    pub rejected_messages: u64,
    /// Changes of the gate.
    pub gate_changes: u64,
    /// Answers to requests that named a key.
    pub kept_answers: u64,
    /// Notifications.
    pub notifications: u64,
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
        kept_answers: delete_kept_answers(pool, now - KEPT_FOR).await?,
        notifications: delete_notifications(pool, now - NOTIFICATIONS_KEPT_FOR, NOTIFICATIONS_AT_ONCE)
            .await?,
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

async fn delete_kept_answers(pool: &PgPool, cutoff: DateTime<Utc>) -> Result<u64, Error> {
    sqlx::query!("DELETE FROM idempotent_request WHERE at < $1", cutoff)
        .execute(pool)
        .await
        .map(|done| done.rows_affected())
        .map_err(|source| Error::new("delete kept answers", source))
}

/// Deletes what was sent, given up or cancelled, so many at once. What was told of an episode whose end is still to be told
/// stays: those who were told hear of the end. A digest goes after all that it told.
async fn delete_notifications(pool: &PgPool, cutoff: DateTime<Utc>, at_once: i64) -> Result<u64, Error> {
    let mut deleted = 0;
    loop {
        let done = sqlx::query!(
            "DELETE FROM notification WHERE notification_id IN (
                 SELECT notification_id FROM notification LEFT JOIN episode USING (episode_id)
                 WHERE state <> 'pending' AND COALESCE(sent_at, next_attempt_at) < $1
                     AND announced IS NOT TRUE
                     AND NOT EXISTS (SELECT FROM notification AS told
                         WHERE told.digest_id = notification.notification_id)
                 LIMIT $2)",
            cutoff,
            at_once
        )
        .execute(pool)
        .await
        .map_err(|source| Error::new("delete old notifications", source))?;
        if done.rows_affected() == 0 {
            return Ok(deleted);
        }
        deleted += done.rows_affected();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollup;
    use crate::testing::TestDatabase;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    async fn run(pool: &PgPool, statement: &'static str) {
        sqlx::raw_sql(statement).execute(pool).await.unwrap();
    }

    async fn one<T>(pool: &PgPool, query: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
    }

    #[tokio::test]
    async fn old_readings_go_with_their_rollups_and_the_others_stay() {
        let database = TestDatabase::create().await;
        let pool = database.pool();
        run(
            pool,
            "INSERT INTO patient (nhs_number, name, born) VALUES ('9990000018', 'Ada Simulated', '1950-01-01');
             UPDATE gate SET rollup_mark = '2026-01-01Z', rolled_up_until = '2026-01-01Z';
             INSERT INTO reading (patient_id, metric, time, device_id, value, received_at)
             SELECT 1001, 1, time, 1, 70, time
             FROM generate_series('2026-01-01Z'::timestamptz, '2026-02-28T23:00Z', '1 hour') AS time",
        )
        .await;
        rollup::run_once(pool, at("2026-03-01T00:10:00Z")).await.unwrap();
        assert_eq!(
            one::<i64>(pool, "SELECT count(*) FROM reading_hourly").await,
            59 * 24
        );

        let now = at("2026-03-01T00:10:00Z");
        let removed = run_once(pool, now, TimeDelta::days(30)).await.unwrap();
        assert!(removed.chunks > 0, "{removed:?}");
        let oldest: DateTime<Utc> = one(pool, "SELECT min(time) FROM reading").await;
        assert!(
            oldest <= now - TimeDelta::days(30) && oldest > now - TimeDelta::days(37),
            "{oldest}"
        );
        for oldest_rollup in [
            "SELECT min(bucket) FROM reading_hourly",
            "SELECT min(bucket) FROM reading_daily",
        ] {
            assert_eq!(one::<DateTime<Utc>>(pool, oldest_rollup).await, oldest);
        }
        let readings: i64 = one(pool, "SELECT count(*) FROM reading").await;
        assert_eq!(
            one::<i64>(pool, "SELECT sum(n)::bigint FROM reading_hourly").await,
            readings
        );
        assert_eq!(
            one::<i64>(pool, "SELECT sum(n)::bigint FROM reading_daily").await,
            readings
        );

        assert_eq!(
            run_once(pool, now, TimeDelta::days(30)).await.unwrap(),
            Removed::default()
        );
        // In the end nothing is left of a patient who sends no more.
        run_once(pool, now + TimeDelta::days(100), TimeDelta::days(30))
            .await
            .unwrap();
        for rest in [
            "SELECT count(*) FROM reading",
            "SELECT count(*) FROM reading_hourly",
            "SELECT count(*) FROM reading_daily",
        ] {
            assert_eq!(one::<i64>(pool, rest).await, 0, "{rest}");
        }
    }

    #[tokio::test]
    async fn old_rejected_messages_go() {
        let database = TestDatabase::create().await;
        let pool = database.pool();
        run(
            pool,
            "INSERT INTO device (kind, secret_hash) VALUES ('cuff', sha256('secret'));
             INSERT INTO rejected_message (device_id, received_at, topic, payload, reasons, digest)
             SELECT 10001, at, '', '', '[]', sha256(at::text::bytea)
             FROM UNNEST(ARRAY['2026-01-30Z', '2026-01-31Z', '2026-02-01Z']::timestamptz[]) AS at",
        )
        .await;
        let removed = run_once(pool, at("2026-03-02T00:00:00Z"), TimeDelta::days(30))
            .await
            .unwrap();
        assert_eq!(removed.rejected_messages, 1);
    }

    #[tokio::test]
    async fn old_notifications_go_in_steps_and_a_digest_after_all_that_it_told() {
        let database = TestDatabase::create().await;
        let pool = database.pool();
        run(
            pool,
            "INSERT INTO patient (nhs_number, name, born) VALUES ('9990000018', 'Ada Simulated', '1950-01-01');
             INSERT INTO care_plan_rule (patient_id, code, version, programme, definition, author, reason)
             VALUES (1001, 'pulse', 1, 'none', '{}', 'a test', 'a test');
             INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, cleared_at,
                 onset_at, onset_value, onset_metric, latest_at, latest_value, latest_metric,
                 worst_at, worst_value, worst_metric)
             SELECT 1001, rule_id, code, 'high', 'cleared', false, at, at, at, 1, 1, at, 1, 1, at, 1, 1
             FROM care_plan_rule CROSS JOIN (SELECT '2026-01-01Z'::timestamptz AS at) AS times;
             INSERT INTO episode_transition (episode_id, kind, at)
             SELECT 1, 'raised', '2026-01-01Z' FROM generate_series(1, 5);
             INSERT INTO receiver (name, role, channel, address, lowest_severity)
             VALUES ('ward 3', 'team', 'email', 'ward@homeward.example', 'info');
             INSERT INTO notification (receiver_id, kind, state, next_attempt_at, created_at, sent_at)
             VALUES (1, 'digest', 'sent', '2026-01-01Z', '2026-01-01Z', '2026-01-02Z');
             INSERT INTO notification
                 (receiver_id, kind, episode_id, transition_id, state, next_attempt_at, created_at, sent_at, digest_id)
             VALUES (1, 'raised', 1, 1, 'sent', '2026-01-01Z', '2026-01-01Z', '2026-01-02Z', 1),
                 (1, 'raised', 1, 2, 'sent', '2026-01-01Z', '2026-01-01Z', '2026-01-02Z', 1),
                 (1, 'raised', 1, 3, 'failed', '2026-01-01Z', '2026-01-01Z', NULL, NULL),
                 (1, 'raised', 1, 4, 'pending', '2026-01-01Z', '2026-01-01Z', NULL, NULL),
                 (1, 'raised', 1, 5, 'failed', '2026-01-03Z', '2026-01-01Z', NULL, NULL)",
        )
        .await;
        let deleted = delete_notifications(pool, at("2026-01-02T12:00:00Z"), 1).await;
        assert_eq!(deleted.unwrap(), 4);
        let left: Vec<i64> =
            sqlx::query_scalar("SELECT transition_id FROM notification ORDER BY transition_id")
                .fetch_all(pool)
                .await
                .unwrap();
        assert_eq!(left, [4, 5]);
    }

    #[tokio::test]
    async fn the_latest_changes_of_the_gate_stay() {
        let database = TestDatabase::create().await;
        let pool = database.pool();
        run(
            pool,
            "INSERT INTO gate_change (version) SELECT generate_series(2, 10007); UPDATE gate SET version = 10007",
        )
        .await;
        let removed = run_once(pool, at("2026-03-02T00:00:00Z"), TimeDelta::days(30))
            .await
            .unwrap();
        assert_eq!(removed.gate_changes, 6);
        assert_eq!(one::<i64>(pool, "SELECT min(version) FROM gate_change").await, 8);
        assert_eq!(
            one::<i64>(pool, "SELECT count(*) FROM gate_change").await,
            KEPT_GATE_CHANGES
        );
    }
}
