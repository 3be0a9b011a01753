//! How the record is: what somebody who runs it looks at.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Error;

/// Figures of the record and of what keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// How many bytes it takes.
    pub bytes: i64,
    /// Connections to the database server, of everybody.
    pub connections: i64,
    /// How many it allows.
    pub most_connections: i64,
    /// The beginning of the oldest week of readings.
    pub oldest: Option<DateTime<Utc>>,
    /// Until when hours are rolled up.
    pub rolled_up_until: DateTime<Utc>,
    /// When timers ran last.
    pub timers_ran_at: Option<DateTime<Utc>>,
    /// Notifications that wait to be sent though it is time.
    pub notifications_due: i64,
    /// Since when the first of them has.
    pub due_since: Option<DateTime<Utc>>,
    /// Notifications of the last day that nobody could be sent.
    pub notifications_failed: i64,
    /// Devices that were heard of within the last day.
    pub devices_heard: i64,
    /// Devices that are with somebody.
    pub devices_out: i64,
}

/// Reads them, as of now. On a connection that sees the whole record.
pub async fn figures(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Figures, Error> {
    sqlx::query_as!(
        Figures,
        r#"SELECT pg_database_size(current_database()) AS "bytes!",
             (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS "connections!",
             current_setting('max_connections')::bigint AS "most_connections!",
             (SELECT min(range_start) FROM timescaledb_information.chunks
                 WHERE hypertable_schema = current_schema AND hypertable_name = 'reading') AS oldest,
             (SELECT rolled_up_until FROM gate) AS "rolled_up_until!",
             (SELECT last_at FROM timer_run) AS timers_ran_at,
             (SELECT count(*) FROM notification WHERE state = 'pending' AND digest_id IS NULL
                 AND next_attempt_at <= $1) AS "notifications_due!",
             (SELECT min(next_attempt_at) FROM notification WHERE state = 'pending' AND digest_id IS NULL
                 AND next_attempt_at <= $1) AS due_since,
             (SELECT count(*) FROM notification WHERE state = 'failed'
                 AND next_attempt_at > $1 - interval '1 day') AS "notifications_failed!",
             (SELECT count(*) FROM device_contact WHERE last_at > $1 - interval '1 day') AS "devices_heard!",
             (SELECT count(DISTINCT device_id) FROM device_assignment JOIN device USING (device_id)
                 WHERE valid_during @> $1 AND revoked_at IS NULL AND kind <> 'manual') AS "devices_out!""#,
        now
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("read how the record is", source))
}
