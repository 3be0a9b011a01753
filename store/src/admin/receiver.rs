use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{AdminError, Kind, require};
use crate::Error;
use crate::secrets::{Keyring, Whose};

/// Somebody who is to be told of alerts.
#[derive(Clone, Debug)]
pub struct NewReceiver<'a> {
    /// Who it is; not empty.
    pub name: &'a str,
    /// `team`, `lead` or `on_call`: at which levels of an escalation it is told.
    pub role: &'a str,
    /// It hears of the patients who are registered there; without one, of all.
    pub organisation: Option<i64>,
    /// A webhook's secret; without one, it gets e-mail.
    pub secret: Option<&'a str>,
    /// The URL of the webhook, or the address of e-mail.
    pub address: &'a str,
    /// It hears of alerts of this severity and of more urgent ones: `high`, `medium`, `low` or `info`.
    pub lowest_severity: &'a str,
    /// The most messages within an hour, above zero.
    pub hourly_limit: i32,
}

/// A receiver as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedReceiver {
    /// Its number.
    pub receiver_id: i64,
    /// Who it is.
    pub name: String,
    /// At which levels of an escalation it is told.
    pub role: String,
    /// Of whose patients it hears; `None`: of all.
    pub organisation_id: Option<i64>,
    /// `webhook` or `email`.
    pub channel: String,
    /// The URL of the webhook, or the address of e-mail.
    pub address: String,
    /// It hears of alerts of this severity and of more urgent ones.
    pub lowest_severity: String,
    /// The most messages within an hour.
    pub hourly_limit: i32,
    /// Since when it is told nothing any more.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// Adds a receiver and answers with its number.
pub async fn add_receiver(
    connection: &mut PgConnection,
    keys: &Keyring,
    new: &NewReceiver<'_>,
) -> Result<i64, AdminError> {
    require(connection, Kind::Organisation, new.organisation.as_slice()).await?;
    let failed = |source| Error::new("add the receiver", source);
    // Its secret is sealed for its number.
    let receiver = sqlx::query_scalar!(
        r#"SELECT nextval(pg_get_serial_sequence('receiver', 'receiver_id')) AS "receiver!""#
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let sealed = new
        .secret
        .map(|secret| keys.seal(Whose::WebhookOf(receiver), secret.as_bytes()));
    sqlx::query!(
        "INSERT INTO receiver (receiver_id, name, role, organisation_id, channel, address, secret, lowest_severity,
             hourly_limit)
         OVERRIDING SYSTEM VALUE
         VALUES ($1, $2, $3, $4, CASE WHEN $6::bytea IS NULL THEN 'email' ELSE 'webhook' END, $5, $6, $7, $8)",
        receiver,
        new.name,
        new.role,
        new.organisation,
        new.address,
        sealed,
        new.lowest_severity,
        new.hourly_limit
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(receiver)
}

/// All receivers, in the order in which they were added.
pub async fn list_receivers(connection: &mut PgConnection) -> Result<Vec<ListedReceiver>, AdminError> {
    sqlx::query_as!(
        ListedReceiver,
        "SELECT receiver_id, name, role, organisation_id, channel, address, lowest_severity, hourly_limit, disabled_at
         FROM receiver ORDER BY receiver_id"
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list receivers", source).into())
}

/// Tells a receiver nothing any more, also not what waits to be told, and answers with the time of its first
/// disabling.
pub async fn disable_receiver(
    connection: &mut PgConnection,
    receiver: i64,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, AdminError> {
    let failed = |source| Error::new("disable the receiver", source);
    let disabled_at = sqlx::query_scalar!(
        r#"UPDATE receiver SET disabled_at = COALESCE(disabled_at, $2) WHERE receiver_id = $1
           RETURNING disabled_at AS "disabled_at!""#,
        receiver,
        now
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?
    .ok_or(AdminError::Unknown {
        what: "receiver",
        id: receiver,
    })?;
    sqlx::query!(
        "UPDATE notification SET state = 'cancelled' WHERE receiver_id = $1 AND state = 'pending'",
        receiver
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(disabled_at)
}
