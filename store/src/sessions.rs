//! Who is signed in.
//!
//! A session is known by 256 random bits, which the browser has in a cookie and the record as a hash. Whoever answers a
//! request looks it up on the request's own connection, before anybody acts on it.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::PatientId;
use sqlx::PgConnection;

use crate::Error;
use crate::access::HeldRole;
use crate::admin::secret_hash;

/// A session is over when nobody has used it for so long: OWASP ASVS 4, 3.3.2, at level 2.
pub const IDLE_TIMEOUT: TimeDelta = TimeDelta::minutes(30);

/// However much it is used, a session is over after so long (the same): a shift, from the first to the last minute.
pub const LONGEST: TimeDelta = TimeDelta::hours(12);

/// That a session is used is noted so often, and no oftener: reads should not cost a write. It may end so much before it
/// has been idle for [`IDLE_TIMEOUT`].
const NOTED_AFTER: TimeDelta = TimeDelta::minutes(1);

/// A session that begins.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// What only the browser knows.
    pub secret: &'a str,
    /// What requests that change something have to bring along.
    pub csrf_token: &'a str,
    /// Whose.
    pub account: i64,
    /// What it acts as, if that is picked.
    pub held_role: Option<i64>,
    /// It begins with a password that its owner has not chosen.
    pub first_password: bool,
    /// When it is over at the latest.
    pub expires_at: DateTime<Utc>,
}

/// Begins a session, and takes away what is long over.
pub async fn begin_session(
    connection: &mut PgConnection,
    new: &NewSession<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let failed = |source| Error::new("begin a session", source);
    sqlx::query!(
        "DELETE FROM sign_in_session WHERE session_hash IN (
             SELECT session_hash FROM sign_in_session WHERE expires_at <= $1 LIMIT 1000 FOR UPDATE SKIP LOCKED)",
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "INSERT INTO sign_in_session (session_hash, account_id, held_role_id, csrf_token, created_at, last_used_at,
             expires_at, by_first_password)
         VALUES ($1, $2, $3, $4, $5, $5, $6, $7)",
        &secret_hash(new.secret),
        new.account,
        new.held_role,
        new.csrf_token,
        now,
        new.expires_at,
        new.first_password
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// By whose word somebody signed in who showed no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// The identity provider, as the configuration calls it.
    pub provider: String,
    /// Its ID token, sealed for the account.
    pub id_token: Vec<u8>,
}

/// Notes by whose word a session began, for when it ends.
pub async fn note_through(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    through: &Through,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE sign_in_session SET provider = $2, id_token = $3 WHERE session_hash = $1",
        hash,
        through.provider,
        through.id_token
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("note the provider of a session", source))?;
    Ok(())
}

/// By whose word a session began that has not ended.
pub async fn find_through(connection: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<Through>, Error> {
    sqlx::query_as!(
        Through,
        r#"SELECT provider AS "provider!", id_token AS "id_token!" FROM sign_in_session
           WHERE session_hash = $1 AND ended_at IS NULL AND provider IS NOT NULL"#,
        hash
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up the provider of a session", source))
}

/// A session that is good.
#[derive(Clone, Debug)]
pub struct Session {
    /// By what the record knows it.
    pub hash: [u8; 32],
    /// Whose account.
    pub account: i64,
    /// What its owner types to sign in.
    pub sign_in_name: String,
    /// The person's name.
    pub name: String,
    /// What it acts as; `None`: no role is picked, or the one that was has ended.
    pub acts_as: Option<HeldRole>,
    /// What requests that change something have to bring along.
    pub csrf_token: String,
    /// It began with a password that its owner has not chosen, and no other is chosen yet.
    pub first_password: bool,
    /// The account needs a code beside its password.
    pub second_factor: bool,
    /// When it was last noted that it is used.
    pub last_used_at: DateTime<Utc>,
    /// When it is over at the latest.
    pub expires_at: DateTime<Utc>,
}

impl Session {
    /// Whether it has to be noted that it is used.
    pub fn is_to_note(&self, now: DateTime<Utc>) -> bool {
        now - self.last_used_at >= NOTED_AFTER
    }
}

/// The session that this secret is of, unless it is over or its account disabled.
pub async fn find_session(
    connection: &mut PgConnection,
    secret: &str,
    now: DateTime<Utc>,
) -> Result<Option<Session>, Error> {
    let failed = |source| Error::new("look up a session", source);
    let hash = secret_hash(secret);
    let row = sqlx::query!(
        r#"SELECT session.account_id, sign_in_name, account.name, csrf_token, last_used_at, expires_at,
             by_first_password AND initial_password_until IS NOT NULL AS "first_password!",
             second_factor_since IS NOT NULL AS "second_factor!", held_role.held_role_id AS "held_role?",
             held_role.role AS "role?", held_role.organisation_id, held_role.patient_id
           FROM sign_in_session AS session JOIN account USING (account_id)
           LEFT JOIN held_role ON held_role.held_role_id = session.held_role_id
               AND (held_role.ended_at IS NULL OR held_role.ended_at > $2)
           WHERE session_hash = $1 AND session.ended_at IS NULL AND expires_at > $2 AND last_used_at > $3
               AND disabled_at IS NULL"#,
        &hash,
        now,
        now - IDLE_TIMEOUT
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let acts_as = match (row.held_role, row.role) {
        (Some(id), Some(role)) => Some(HeldRole {
            id,
            account: Some(row.account_id),
            role: role
                .parse()
                .map_err(|error: String| failed(sqlx::Error::Decode(error.into())))?,
            organisation: row.organisation_id,
            patient: row.patient_id.map(PatientId),
        }),
        _ => None,
    };
    Ok(Some(Session {
        hash,
        account: row.account_id,
        sign_in_name: row.sign_in_name,
        name: row.name,
        acts_as,
        csrf_token: row.csrf_token,
        first_password: row.first_password,
        second_factor: row.second_factor,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
    }))
}

/// Whether a session is still good, in the role that it had: it may have ended since it was found.
pub async fn session_is_good(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    held_role: i64,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM sign_in_session AS session JOIN account USING (account_id)
             JOIN held_role ON held_role.held_role_id = session.held_role_id
             WHERE session_hash = $1 AND session.held_role_id = $2 AND session.ended_at IS NULL AND expires_at > $3
                 AND last_used_at > $4 AND disabled_at IS NULL
                 AND (held_role.ended_at IS NULL OR held_role.ended_at > $3)) AS "good!""#,
        hash,
        held_role,
        now,
        now - IDLE_TIMEOUT
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up a session", source))
}

/// Notes that a session is used.
pub async fn note_use(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE sign_in_session SET last_used_at = $2 WHERE session_hash = $1 AND last_used_at < $2",
        hash,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("note that a session is used", source))?;
    Ok(())
}

/// Ends a session. Answers whether there was one that had not ended.
pub async fn end_session(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let ended = sqlx::query!(
        "UPDATE sign_in_session SET ended_at = $2, provider = NULL, id_token = NULL
         WHERE session_hash = $1 AND ended_at IS NULL",
        hash,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("end a session", source))?;
    Ok(ended.rows_affected() > 0)
}

/// Ends the sessions of an account, but one that goes on.
pub async fn end_sessions_of(
    connection: &mut PgConnection,
    account: i64,
    but: Option<&[u8; 32]>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE sign_in_session SET ended_at = $3, provider = NULL, id_token = NULL
         WHERE account_id = $1 AND session_hash IS DISTINCT FROM $2 AND ended_at IS NULL",
        account,
        but.map(|hash| &hash[..]),
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("end the sessions of an account", source))?;
    Ok(())
}
