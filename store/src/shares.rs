//! What patients share with whoever has a link and its code: a summary, for a time, until it is revoked.
//!
//! A share is used in two steps. [`try_share`] counts the try, says whose summary it is, and lets the log name the share as
//! the reason on file. Then [`show`] lets another transaction see that patient: one that is read only, since the database
//! shows a share's patient in no other.

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;
use crate::audit::hex;

/// What somebody shows who wants to see a shared summary, as hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Of the secret in the link.
    pub secret_hash: [u8; 32],
    /// Of the secret and the code.
    pub code_hash: [u8; 32],
}

/// A share that is made.
#[derive(Clone, Copy, Debug)]
pub struct NewShare<'a> {
    /// Whose summary.
    pub patient: PatientId,
    /// What opens it.
    pub opened_by: Shown,
    /// For whom, as the patient notes it.
    pub made_for: Option<&'a str>,
    /// Who makes it.
    pub by: &'a str,
    /// Until when it can be opened.
    pub expires_at: DateTime<Utc>,
    /// How many wrong codes end it.
    pub most_wrong_codes: i32,
}

/// A share, without what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SharedSummary {
    /// Its number.
    pub id: i64,
    /// For whom, as the patient noted it.
    pub made_for: Option<String>,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// Until when it can be opened.
    pub expires_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// How often it was opened.
    pub uses: i32,
    /// When that was last.
    pub last_used_at: Option<DateTime<Utc>>,
    /// How many wrong codes were tried.
    pub wrong_codes: i32,
    /// Whether it can be opened now.
    pub open: bool,
}

/// Makes a share, and answers with its number.
pub async fn add_share(
    connection: &mut PgConnection,
    new: &NewShare<'_>,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    sqlx::query_scalar!(
        "INSERT INTO passport_share (patient_id, secret_hash, code_hash, made_by, made_at, expires_at, most_wrong_codes,
             made_for)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING passport_share_id",
        new.patient.0,
        &new.opened_by.secret_hash[..],
        &new.opened_by.code_hash[..],
        new.by,
        now,
        new.expires_at,
        new.most_wrong_codes,
        new.made_for
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("share a summary", source))
}

/// A patient's shares, the latest first; all of them, or the one of this number.
pub async fn shares_of(
    connection: &mut PgConnection,
    patient: PatientId,
    share: Option<i64>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<SharedSummary>, Error> {
    sqlx::query_as!(
        SharedSummary,
        r#"SELECT passport_share_id AS id, made_for, made_by, made_at, expires_at, revoked_at, uses, last_used_at,
             wrong_codes,
             revoked_at IS NULL AND expires_at > $3 AND wrong_codes < most_wrong_codes AS "open!"
         FROM passport_share WHERE patient_id = $1 AND ($2::bigint IS NULL OR passport_share_id = $2)
         ORDER BY passport_share_id DESC LIMIT $4"#,
        patient.0,
        share,
        now,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list shared summaries", source))
}

/// Somebody tried to open a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Opening {
    /// Which.
    #[serde(skip)]
    pub share: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, as they said.
    pub by: String,
    /// The code was right; else nothing was shown.
    pub opened: bool,
}

/// Who opened a patient's shares or tried to, by the log of reads and changes, the latest first.
pub async fn openings_of(
    connection: &mut PgConnection,
    patient: PatientId,
    limit: i64,
) -> Result<Vec<Opening>, Error> {
    sqlx::query_as!(
        Opening,
        r#"SELECT COALESCE(substring(target FROM '^shared summary ([0-9]+)$')::bigint, 0) AS "share!", at, actor AS by,
             outcome = 'done' AS "opened!"
         FROM audit_event WHERE patients @> ARRAY[$1::bigint] AND action = 'open_share'
         ORDER BY sequence DESC LIMIT $2"#,
        patient.0,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read who opened shared summaries", source))
}

/// Revokes a patient's share, for good. One that was revoked earlier stays so.
pub async fn revoke_share(
    connection: &mut PgConnection,
    patient: PatientId,
    share: i64,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE passport_share SET revoked_at = $4, revoked_by = $3
         WHERE passport_share_id = $2 AND patient_id = $1 AND revoked_at IS NULL",
        patient.0,
        share,
        by,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("revoke a shared summary", source))?;
    Ok(())
}

/// Whether a link leads anywhere.
pub async fn share_is_open(
    connection: &mut PgConnection,
    secret_hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT share_is_open($1, $2) AS "open!""#,
        &secret_hash[..],
        now
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up a shared summary", source))
}

/// A link that leads somewhere, with a code that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The share's number.
    pub share: i64,
    /// Whose summary it is.
    pub patient: PatientId,
    /// Whether the code is right.
    pub is_right: bool,
    /// How many wrong codes are left.
    pub tries_left: i32,
}

/// Tries a code; `None` where the link leads nowhere, whatever the reason. For the rest of the transaction a right one is
/// the reason on file.
pub async fn try_share(
    connection: &mut PgConnection,
    shown: &Shown,
    now: DateTime<Utc>,
) -> Result<Option<Tried>, Error> {
    let row = sqlx::query!(
        r#"SELECT share AS "share!", whose AS "whose!", is_right AS "is_right!", tries_left AS "tries_left!"
         FROM try_share($1, $2, $3)"#,
        &shown.secret_hash[..],
        &shown.code_hash[..],
        now
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(|source| Error::new("try the code of a shared summary", source))?;
    name_share(connection, shown, now).await?;
    Ok(row.map(|row| Tried {
        share: row.share,
        patient: PatientId(row.whose),
        is_right: row.is_right,
        tries_left: row.tries_left,
    }))
}

/// Lets the rest of the transaction see the patient of a share and nobody else, and change nothing.
pub async fn show(connection: &mut PgConnection, shown: &Shown, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!("SELECT set_config('transaction_read_only', 'on', true) AS read_only")
        .fetch_one(&mut *connection)
        .await
        .map_err(|source| Error::new("begin to show a summary", source))?;
    name_share(connection, shown, now).await
}

async fn name_share(connection: &mut PgConnection, shown: &Shown, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "SELECT set_config('homeward.share', $1, true) AS share, set_config('homeward.now', $2, true) AS now",
        format!("{}:{}", hex(&shown.secret_hash), hex(&shown.code_hash)),
        now.to_rfc3339()
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("name a shared summary", source))?;
    Ok(())
}
