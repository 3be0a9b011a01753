//! How often it was tried to sign in, by name or from an address, whether or not anybody has that name.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::Error;
use crate::admin::secret_hash;

/// How often it was tried within a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How often, this one included.
    pub count: i32,
    /// When the window ends.
    pub until: DateTime<Utc>,
}

/// Counts an attempt before it is made, so that attempts side by side are as many as attempts one by one. The window
/// begins with its first attempt.
pub async fn count_attempt(
    connection: &mut PgConnection,
    subject: &str,
    lasts: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Attempts, Error> {
    let failed = |source| Error::new("count an attempt to sign in", source);
    // What is over goes, so that the table is no longer than what was tried within the longest window.
    sqlx::query!(
        "DELETE FROM sign_in_attempt WHERE subject IN (
             SELECT subject FROM sign_in_attempt WHERE window_ends <= $1 LIMIT 1000 FOR UPDATE SKIP LOCKED)",
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query_as!(
        Attempts,
        "INSERT INTO sign_in_attempt AS known (subject, attempts, window_ends) VALUES ($1, 1, $2)
         ON CONFLICT (subject) DO UPDATE SET
             attempts = CASE WHEN known.window_ends <= $3 THEN 1 ELSE known.attempts + 1 END,
             window_ends = CASE WHEN known.window_ends <= $3 THEN $2 ELSE known.window_ends END
         RETURNING attempts AS count, window_ends AS until",
        &secret_hash(subject),
        now + lasts,
        now
    )
    .fetch_one(connection)
    .await
    .map_err(failed)
}

/// Takes an attempt back: it was a good one.
pub async fn forgive_attempt(connection: &mut PgConnection, subject: &str) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE sign_in_attempt SET attempts = attempts - 1 WHERE subject = $1",
        &secret_hash(subject)
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("count an attempt to sign in", source))?;
    Ok(())
}
