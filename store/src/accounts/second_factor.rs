//! What an account needs beside its password: codes of a secret that its owner was shown.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Error;
use crate::secrets::{Keyring, Whose};

/// Notes the secret of a second factor that is shown to the owner of an account.
pub async fn offer_second_factor(
    connection: &mut PgConnection,
    keys: &Keyring,
    account: i64,
    secret: &[u8; 20],
) -> Result<(), Error> {
    let sealed = keys.seal(Whose::SecondFactorOf(account), secret);
    sqlx::query!(
        "UPDATE account SET second_factor_offer = $2 WHERE account_id = $1",
        account,
        sealed
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("offer a second factor", source))?;
    Ok(())
}

/// From now on an account needs a code of the secret that was offered, of which one has come for this step of time.
pub async fn take_second_factor(
    connection: &mut PgConnection,
    account: i64,
    step: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE account SET second_factor = second_factor_offer, second_factor_offer = NULL,
             second_factor_since = $3, second_factor_step = $2
         WHERE account_id = $1 AND second_factor_offer IS NOT NULL",
        account,
        step,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("take a second factor", source))?;
    Ok(())
}

/// Notes that the code of a step of time is used. Answers whether it was none before the last that was: each is good
/// once.
pub async fn use_code(connection: &mut PgConnection, account: i64, step: i64) -> Result<bool, Error> {
    let used = sqlx::query!(
        "UPDATE account SET second_factor_step = $2
         WHERE account_id = $1 AND (second_factor_step IS NULL OR second_factor_step < $2)",
        account,
        step
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("use a code", source))?;
    Ok(used.rows_affected() > 0)
}

/// From now on an account needs no code. Answers whether it did.
pub async fn remove_second_factor(connection: &mut PgConnection, account: i64) -> Result<bool, Error> {
    let removed = sqlx::query!(
        "UPDATE account SET second_factor = NULL, second_factor_since = NULL, second_factor_step = NULL,
             second_factor_offer = NULL
         WHERE account_id = $1 AND second_factor IS NOT NULL",
        account
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("remove a second factor", source))?;
    Ok(removed.rows_affected() > 0)
}
