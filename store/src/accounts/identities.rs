//! Accounts by the identities that identity providers know their owners by.

use sqlx::PgConnection;

use super::{Account, require_account};
use crate::Error;
use crate::admin::AdminError;

/// The account that an identity provider knows by this subject, which stays as it is until the transaction ends.
pub async fn find_account_of_identity(
    connection: &mut PgConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<Account>, Error> {
    sqlx::query_as!(
        Account,
        "SELECT account_id AS id, sign_in_name, name, password_hash, initial_password_until, disabled_at, locked_until,
             second_factor, second_factor_offer
         FROM account
         WHERE account_id = (SELECT account_id FROM account_identity WHERE issuer = $1 AND subject = $2) FOR UPDATE",
        issuer,
        subject
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up the account of an identity", source))
}

/// Notes that an identity provider knows the owner of an account by this subject. Answers with the account that had
/// the identity before, if it was another.
pub async fn link_identity(
    connection: &mut PgConnection,
    account: i64,
    (issuer, subject): (&str, &str),
) -> Result<Option<i64>, AdminError> {
    require_account(connection, account).await?;
    let failed = |source| Error::new("link an identity", source);
    let before = sqlx::query_scalar!(
        "SELECT account_id FROM account_identity WHERE issuer = $1 AND subject = $2 FOR UPDATE",
        issuer,
        subject
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "INSERT INTO account_identity (issuer, subject, account_id) VALUES ($1, $2, $3)
         ON CONFLICT (issuer, subject) DO UPDATE SET account_id = EXCLUDED.account_id",
        issuer,
        subject,
        account
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(before.filter(|before| *before != account))
}

/// Forgets the identities of an account at a provider, and answers how many there were.
pub async fn unlink_identities(
    connection: &mut PgConnection,
    account: i64,
    issuer: &str,
) -> Result<u64, AdminError> {
    require_account(connection, account).await?;
    let forgotten = sqlx::query!(
        "DELETE FROM account_identity WHERE account_id = $1 AND issuer = $2",
        account,
        issuer
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("forget identities", source))?;
    Ok(forgotten.rows_affected())
}
