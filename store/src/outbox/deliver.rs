use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{EpisodeId, PatientId};
use sqlx::PgConnection;

use crate::Error;

/// The time over which the messages to a receiver are counted.
const COUNTED: TimeDelta = TimeDelta::hours(1);

/// Somebody who is told of alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its number.
    pub id: i64,
    /// How it is told.
    pub channel: Channel,
    /// Where: a URL, or an address of e-mail.
    pub address: String,
    /// The most messages within an hour.
    pub hourly_limit: u32,
}

/// How a receiver is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Channel {
    /// By a POST request, which a secret signs that both sides know.
    Webhook {
        /// As the record has it: [`crate::secrets`] opens it.
        sealed: Vec<u8>,
    },
    /// By e-mail.
    Email,
}

impl fmt::Debug for Channel {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channel::Webhook { .. } => "Webhook",
            Channel::Email => "Email",
        })
    }
}

/// What was sent to a receiver in the last hour, and what is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages that were sent within the hour, and those that are being sent.
    pub sent: u32,
    /// When the first of them was sent.
    pub first_at: Option<DateTime<Utc>>,
    /// When the last of them was sent.
    pub last_at: Option<DateTime<Utc>>,
    /// Messages that are due.
    pub due: u32,
    /// How many of them are digests, which were tried before.
    pub digests: u32,
}

/// One message to a receiver: a notification, or a digest of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its number, the same with each attempt.
    pub id: i64,
    /// `raised`, `escalated`, `cleared` or `digest`.
    pub kind: String,
    /// How often it was tried, this time included.
    pub attempts: u32,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// What it tells of: one alert, or those of a digest, the most urgent first.
    pub alerts: Vec<Alert>,
}

/// What a message tells of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The episode.
    pub episode: EpisodeId,
    /// Whose it is.
    pub patient: PatientId,
    /// `high`, `medium`, `low` or `info`.
    pub severity: String,
    /// `raised`, `escalated` or `cleared`.
    pub kind: String,
    /// When that happened.
    pub at: DateTime<Utc>,
}

/// A receiver for whom a message is due, locked until the transaction ends; `None` when there is none that
/// nobody else sees to. So messages to a receiver are counted by one worker at a time.
pub async fn lock_receiver(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<Receiver>, Error> {
    let row = sqlx::query!(
        r#"
        SELECT receiver_id, secret, address, hourly_limit FROM receiver CROSS JOIN LATERAL (
            SELECT next_attempt_at FROM notification
            WHERE notification.receiver_id = receiver.receiver_id AND state = 'pending' AND digest_id IS NULL
                AND next_attempt_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
            ORDER BY next_attempt_at LIMIT 1
        ) AS due
        WHERE disabled_at IS NULL
        ORDER BY due.next_attempt_at, receiver_id
        LIMIT 1
        FOR NO KEY UPDATE OF receiver SKIP LOCKED
        "#,
        now
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("find a receiver", source))?;
    Ok(row.map(|row| Receiver {
        id: row.receiver_id,
        channel: match row.secret {
            Some(sealed) => Channel::Webhook { sealed },
            None => Channel::Email,
        },
        address: row.address,
        hourly_limit: row.hourly_limit.unsigned_abs(),
    }))
}

/// Cancels what a receiver need not be told any more: that an episode began that is over, taken up, snoozed or
/// withdrawn meanwhile, and that one ended that was reopened.
pub async fn cancel_unsettled(
    connection: &mut PgConnection,
    receiver: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let failed = |source| Error::new("cancel notifications", source);
    sqlx::query!(
        "UPDATE notification SET state = 'cancelled' FROM episode
         WHERE receiver_id = $1 AND state = 'pending' AND (leased_until IS NULL OR leased_until <= $2)
             AND episode.episode_id = notification.episode_id
             AND CASE kind WHEN 'cleared' THEN cleared_at IS NULL
                 ELSE status <> 'raised' OR snoozed_until > $2 END",
        receiver,
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "UPDATE notification SET state = 'cancelled'
         WHERE receiver_id = $1 AND state = 'pending' AND kind = 'digest'
             AND (leased_until IS NULL OR leased_until <= $2)
             AND NOT EXISTS (SELECT FROM notification AS told
                 WHERE told.digest_id = notification.notification_id AND told.state = 'pending')",
        receiver,
        now
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// How much was sent to a receiver lately, and how much is due.
pub async fn usage(connection: &mut PgConnection, receiver: i64, now: DateTime<Utc>) -> Result<Usage, Error> {
    let row = sqlx::query!(
        r#"
        WITH sent AS (
            SELECT sent_at AS at FROM notification
            WHERE receiver_id = $1 AND state = 'sent' AND digest_id IS NULL AND sent_at > $2
            UNION ALL
            SELECT $3 FROM notification
            WHERE receiver_id = $1 AND state = 'pending' AND digest_id IS NULL AND leased_until > $3
        ), due AS (
            SELECT kind FROM notification
            WHERE receiver_id = $1 AND state = 'pending' AND digest_id IS NULL AND next_attempt_at <= $3
                AND (leased_until IS NULL OR leased_until <= $3)
        )
        SELECT count(*) AS "sent!", min(at) AS first_at, max(at) AS last_at,
            (SELECT count(*) FROM due) AS "due!", (SELECT count(*) FROM due WHERE kind = 'digest') AS "digests!"
        FROM sent
        "#,
        receiver,
        now - COUNTED,
        now
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("count messages", source))?;
    Ok(Usage {
        sent: u32::try_from(row.sent).unwrap_or(u32::MAX),
        first_at: row.first_at,
        last_at: row.last_at,
        due: u32::try_from(row.due).unwrap_or(u32::MAX),
        digests: u32::try_from(row.digests).unwrap_or(u32::MAX),
    })
}

/// Takes messages of a receiver that are due, digests and then the most urgent first: nobody else sends them before
/// `leased_until`. What is not marked by then, because whoever took it died, is due again.
pub async fn claim(
    connection: &mut PgConnection,
    receiver: i64,
    limit: u32,
    leased_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Message>, Error> {
    let ids = sqlx::query_scalar!(
        "UPDATE notification SET attempts = attempts + 1, leased_until = $3
         WHERE state = 'pending' AND notification_id IN (
             SELECT notification_id FROM notification LEFT JOIN episode USING (episode_id)
             WHERE receiver_id = $1 AND state = 'pending' AND digest_id IS NULL AND next_attempt_at <= $2
                 AND (leased_until IS NULL OR leased_until <= $2)
             ORDER BY array_position(ARRAY['high', 'medium', 'low', 'info'], severity) NULLS FIRST,
                 notification_id
             LIMIT $4)
         RETURNING notification_id",
        receiver,
        now,
        leased_until,
        i64::from(limit)
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|source| Error::new("take notifications", source))?;
    sqlx::query!(
        "UPDATE notification SET leased_until = $2 WHERE digest_id = ANY ($1) AND state = 'pending'",
        &ids,
        leased_until
    )
    .execute(&mut *connection)
    .await
    .map_err(|source| Error::new("take digests", source))?;
    load(connection, &ids).await
}

/// Takes all that is due for a receiver and no digest already, at most `limit` alerts, as one message; none where
/// there is nothing.
pub async fn claim_digest(
    connection: &mut PgConnection,
    receiver: i64,
    limit: u32,
    leased_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Message>, Error> {
    let failed = |source| Error::new("write a digest", source);
    let digest = sqlx::query_scalar!(
        "INSERT INTO notification (receiver_id, kind, attempts, next_attempt_at, leased_until, created_at)
         SELECT $1, 'digest', 1, $2, $3, $2 WHERE EXISTS (
             SELECT FROM notification
             WHERE receiver_id = $1 AND state = 'pending' AND digest_id IS NULL AND next_attempt_at <= $2
                 AND (leased_until IS NULL OR leased_until <= $2) AND kind <> 'digest')
         RETURNING notification_id",
        receiver,
        now,
        leased_until
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let Some(digest) = digest else {
        return Ok(Vec::new());
    };
    sqlx::query!(
        "UPDATE notification SET digest_id = $5, leased_until = $3
         WHERE state = 'pending' AND notification_id IN (
             SELECT notification_id FROM notification JOIN episode USING (episode_id)
             WHERE receiver_id = $1 AND state = 'pending' AND digest_id IS NULL AND next_attempt_at <= $2
                 AND (leased_until IS NULL OR leased_until <= $2)
             ORDER BY array_position(ARRAY['high', 'medium', 'low', 'info'], severity), notification_id
             LIMIT $4)",
        receiver,
        now,
        leased_until,
        i64::from(limit),
        digest
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    load(connection, &[digest]).await
}

async fn load(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Message>, Error> {
    let failed = |source| Error::new("load notifications", source);
    let messages = sqlx::query!(
        "SELECT notification_id, kind, attempts, created_at FROM notification
         WHERE notification_id = ANY ($1) ORDER BY notification_id",
        ids
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let alerts = sqlx::query!(
        r#"
        SELECT COALESCE(digest_id, notification_id) AS "message!", episode_id AS "episode!", patient_id, severity,
            kind, at
        FROM notification JOIN episode USING (episode_id)
            JOIN (SELECT transition_id, at FROM episode_transition) AS told USING (transition_id)
        WHERE notification_id = ANY ($1) OR digest_id = ANY ($1) AND state = 'pending'
        ORDER BY array_position(ARRAY['high', 'medium', 'low', 'info'], severity), notification_id
        "#,
        ids
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let of_message = |id: i64| {
        let alerts = alerts.iter().filter(move |row| row.message == id);
        alerts.map(|row| Alert {
            episode: EpisodeId(row.episode),
            patient: PatientId(row.patient_id),
            severity: row.severity.clone(),
            kind: row.kind.clone(),
            at: row.at,
        })
    };
    let message = messages.into_iter().map(|row| Message {
        alerts: of_message(row.notification_id).collect(),
        id: row.notification_id,
        kind: row.kind,
        attempts: row.attempts.unsigned_abs(),
        created_at: row.created_at,
    });
    Ok(message.collect())
}

/// Lets all that is due for a receiver wait until `until`.
pub async fn postpone(
    connection: &mut PgConnection,
    receiver: i64,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE notification SET next_attempt_at = $2
         WHERE receiver_id = $1 AND state = 'pending' AND digest_id IS NULL AND next_attempt_at <= $3
             AND (leased_until IS NULL OR leased_until <= $3)",
        receiver,
        until,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("postpone notifications", source))?;
    Ok(())
}

/// Records that a message was sent, and with a digest all that it tells.
pub async fn mark_sent(connection: &mut PgConnection, message: i64, now: DateTime<Utc>) -> Result<(), Error> {
    // Also one that was cancelled while it was on its way.
    sqlx::query!(
        "UPDATE notification SET state = 'sent', sent_at = $2, leased_until = NULL, last_error = NULL
         WHERE (notification_id = $1 OR digest_id = $1)
             AND (state = 'pending' OR state = 'cancelled' AND leased_until IS NOT NULL)",
        message,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("mark a notification as sent", source))?;
    Ok(())
}

/// Records that a message could not be sent, and why; it is tried again at `again_at`, or given up.
pub async fn mark_failed(
    connection: &mut PgConnection,
    message: i64,
    error: &str,
    again_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE notification SET last_error = $2, leased_until = NULL,
             state = CASE WHEN $3::timestamptz IS NULL THEN 'failed' ELSE state END,
             next_attempt_at = COALESCE($3, next_attempt_at)
         WHERE (notification_id = $1 OR digest_id = $1) AND state = 'pending'",
        message,
        error,
        again_at
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("mark a notification as failed", source))?;
    Ok(())
}
