//! Requests that name a key: what was answered to each, so that one that is sent twice is done once.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::PatientId;
use sqlx::PgConnection;

use crate::Error;

/// How long an answer is kept: longer than anybody tries again by themselves.
pub const KEPT_FOR: TimeDelta = TimeDelta::hours(24);

/// A request as its key and its content name it.
#[derive(Clone, Copy, Debug)]
pub struct Keyed {
    /// Who sent it.
    pub held_role: i64,
    /// SHA-256 of its key.
    pub key_hash: [u8; 32],
    /// SHA-256 of all that it says.
    pub fingerprint: [u8; 32],
}

/// What was answered to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// Headers of the answer.
    pub content_type: Option<String>,
    /// See above.
    pub location: Option<String>,
    /// See above.
    pub etag: Option<String>,
    /// Its body; `None`: it is not kept.
    pub body: Option<Vec<u8>>,
    /// Whose records it is about.
    pub patients: Vec<PatientId>,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the request is to be done, and its answer to be kept, in this transaction.
    New,
    /// The request was done before.
    Answered(KeptAnswer),
    /// Another request was done under this key.
    OfAnotherRequest,
}

/// Claims a key. Waits for another transaction that has claimed it and is still at work.
pub async fn claim(
    connection: &mut PgConnection,
    request: &Keyed,
    now: DateTime<Utc>,
) -> Result<Claim, Error> {
    let failed = |source| Error::new("claim an idempotency key", source);
    let inserted = sqlx::query!(
        "INSERT INTO idempotent_request (held_role_id, key_hash, fingerprint, at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        request.held_role,
        &request.key_hash,
        &request.fingerprint,
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if inserted.rows_affected() > 0 {
        return Ok(Claim::New);
    }
    let row = sqlx::query!(
        "SELECT fingerprint, patients, status, content_type, location, etag, body FROM idempotent_request
         WHERE held_role_id = $1 AND key_hash = $2",
        request.held_role,
        &request.key_hash
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    if row.fingerprint != request.fingerprint {
        return Ok(Claim::OfAnotherRequest);
    }
    Ok(Claim::Answered(KeptAnswer {
        status: row.status.unwrap_or_default().unsigned_abs(),
        content_type: row.content_type,
        location: row.location,
        etag: row.etag,
        body: row.body,
        patients: row.patients.into_iter().map(PatientId).collect(),
    }))
}

/// Keeps what is answered to a request whose key was claimed in this transaction.
pub async fn keep(connection: &mut PgConnection, request: &Keyed, answer: &KeptAnswer) -> Result<(), Error> {
    let patients: Vec<i64> = answer.patients.iter().map(|patient| patient.0).collect();
    sqlx::query!(
        "UPDATE idempotent_request
         SET patients = $3, status = $4, content_type = $5, location = $6, etag = $7, body = $8
         WHERE held_role_id = $1 AND key_hash = $2",
        request.held_role,
        &request.key_hash,
        &patients,
        i16::try_from(answer.status).unwrap_or_default(),
        answer.content_type.as_deref(),
        answer.location.as_deref(),
        answer.etag.as_deref(),
        answer.body.as_deref()
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("keep an answer", source))?;
    Ok(())
}
