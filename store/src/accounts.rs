//! Accounts: who signs in, with what, and which roles they hold.
//!
//! Whoever signs in is nobody yet, so all of this works on connections that see the whole record, except for what
//! [`crate::sessions`] says.

mod attempts;
mod identities;
mod list;
mod roles;
mod second_factor;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Error;
use crate::admin::AdminError;

pub use attempts::{Attempts, count_attempt, forgive_attempt};
pub use identities::{find_account_of_identity, link_identity, unlink_identities};
pub use list::{AccountFilter, ListedAccount, list_accounts};
pub use roles::{AccountRole, Colleague, colleagues, name_proxy, roles_of};
pub use second_factor::{offer_second_factor, remove_second_factor, take_second_factor, use_code};

/// An account that is added.
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    /// What is typed to sign in, in lower case.
    pub sign_in_name: &'a str,
    /// The person's name, by which the record knows who did what.
    pub name: &'a str,
    /// A PHC string; `None`: signs in through an identity provider alone.
    pub password_hash: Option<&'a str>,
    /// Until when the password is good, if its owner has not chosen it.
    pub initial_password_until: Option<DateTime<Utc>>,
}

/// A sign-in name as the record has it: in lower case, of letters, digits and what addresses of e-mail have.
///
/// # Errors
///
/// When it is empty, too long, or of anything else.
pub fn sign_in_name(name: &str) -> Result<String, &'static str> {
    let name = name.trim().to_lowercase();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(fits) {
        return Err("expected up to 100 letters, digits, and . _ - + @");
    }
    Ok(name)
}

/// Adds an account and answers with its number.
pub async fn add_account(
    connection: &mut PgConnection,
    new: &NewAccount<'_>,
    now: DateTime<Utc>,
) -> Result<i64, AdminError> {
    let added = sqlx::query_scalar!(
        "INSERT INTO account (sign_in_name, name, password_hash, initial_password_until, created_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (sign_in_name) DO NOTHING RETURNING account_id",
        new.sign_in_name,
        new.name,
        new.password_hash,
        new.initial_password_until,
        now
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("add the account", source))?;
    added.ok_or_else(|| AdminError::SignInNameTaken(new.sign_in_name.to_owned()))
}

/// What decides whether somebody may sign in.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its number.
    pub id: i64,
    /// What is typed to sign in.
    pub sign_in_name: String,
    /// The person's name.
    pub name: String,
    /// A PHC string, if the account has a password.
    pub password_hash: Option<String>,
    /// Until when the password is good, if its owner has not chosen it.
    pub initial_password_until: Option<DateTime<Utc>>,
    /// Since when it is refused.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Until when it is refused for wrong passwords.
    pub locked_until: Option<DateTime<Utc>>,
    /// The secret of its second factor, as the record has it: [`crate::secrets`] opens it.
    pub second_factor: Option<Vec<u8>>,
    /// One that was shown, for which no code has come yet.
    pub second_factor_offer: Option<Vec<u8>>,
}

impl Account {
    /// Why it is refused at present, whatever the password, in words for the log.
    pub fn obstacle(&self, now: DateTime<Utc>) -> Option<&'static str> {
        if self.disabled_at.is_some() {
            return Some("the account is disabled");
        }
        if self.locked_until.is_some_and(|until| until > now) {
            return Some("the account is locked");
        }
        if self.initial_password_until.is_some_and(|until| until <= now) {
            return Some("the first password is over");
        }
        None
    }
}

/// The account with this name, which stays as it is until the transaction ends.
pub async fn find_account(
    connection: &mut PgConnection,
    sign_in_name: &str,
) -> Result<Option<Account>, Error> {
    sqlx::query_as!(
        Account,
        "SELECT account_id AS id, sign_in_name, name, password_hash, initial_password_until, disabled_at, locked_until,
             second_factor, second_factor_offer
         FROM account WHERE sign_in_name = $1 FOR UPDATE",
        sign_in_name
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up an account", source))
}

/// Counts a wrong password, and locks the account from the `most`th in a row on: each further one locks it again. One
/// that is locked is left as it is. The statement is the same for a name that nobody has.
pub async fn note_wrong_password(
    connection: &mut PgConnection,
    sign_in_name: &str,
    most: i32,
    lock_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE account SET failed_attempts = failed_attempts + 1,
             locked_until = CASE WHEN failed_attempts + 1 >= $2 THEN $3 ELSE locked_until END
         WHERE sign_in_name = $1 AND (locked_until IS NULL OR locked_until <= $4)",
        sign_in_name,
        most,
        lock_until,
        now
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("count a wrong password", source))?;
    Ok(())
}

/// Forgets wrong passwords: a right one has come.
pub async fn note_right_password(connection: &mut PgConnection, account: i64) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE account SET failed_attempts = 0, locked_until = NULL WHERE account_id = $1",
        account
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("note a right password", source))?;
    Ok(())
}

/// Gives an account another password, with the time until which it is good if its owner has not chosen it, and forgets
/// wrong ones. Answers with the sign-in name.
pub async fn set_password(
    connection: &mut PgConnection,
    account: i64,
    password_hash: &str,
    initial_until: Option<DateTime<Utc>>,
) -> Result<String, AdminError> {
    let name = sqlx::query_scalar!(
        "UPDATE account SET password_hash = $2, initial_password_until = $3, failed_attempts = 0, locked_until = NULL
         WHERE account_id = $1 RETURNING sign_in_name",
        account,
        password_hash,
        initial_until
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("set a password", source))?;
    name.ok_or(unknown(account))
}

/// Refuses an account from now on; whoever is signed in with it is signed out. Answers since when it has been refused.
pub async fn disable_account(
    connection: &mut PgConnection,
    account: i64,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, AdminError> {
    let disabled = sqlx::query_scalar!(
        r#"UPDATE account SET disabled_at = COALESCE(disabled_at, $2) WHERE account_id = $1
           RETURNING disabled_at AS "disabled_at!""#,
        account,
        now
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(|source| Error::new("disable the account", source))?;
    let disabled = disabled.ok_or(unknown(account))?;
    crate::sessions::end_sessions_of(connection, account, None, now).await?;
    Ok(disabled)
}

/// Takes an account again that was refused. Answers whether it was.
pub async fn enable_account(connection: &mut PgConnection, account: i64) -> Result<bool, AdminError> {
    let failed = |source| Error::new("enable the account", source);
    let disabled = sqlx::query_scalar!(
        r#"SELECT disabled_at IS NOT NULL AS "disabled!" FROM account WHERE account_id = $1 FOR UPDATE"#,
        account
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?
    .ok_or(unknown(account))?;
    sqlx::query!(
        "UPDATE account SET disabled_at = NULL WHERE account_id = $1",
        account
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(disabled)
}

/// Takes an account that is locked for wrong passwords. Answers whether it was.
pub async fn unlock_account(
    connection: &mut PgConnection,
    account: i64,
    now: DateTime<Utc>,
) -> Result<bool, AdminError> {
    let failed = |source| Error::new("unlock the account", source);
    let locked = sqlx::query_scalar!(
        r#"SELECT locked_until > $2 AS "locked?" FROM account WHERE account_id = $1 FOR UPDATE"#,
        account,
        now
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?
    .ok_or(unknown(account))?;
    note_right_password(connection, account).await?;
    Ok(locked == Some(true))
}

/// Makes sure that an account is in the record.
pub async fn require_account(connection: &mut PgConnection, account: i64) -> Result<(), AdminError> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM account WHERE account_id = $1) AS "known!""#,
        account
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up an account", source))?;
    known.then_some(()).ok_or(unknown(account))
}

fn unknown(account: i64) -> AdminError {
    AdminError::Unknown {
        what: "account",
        id: account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_names_are_in_lower_case() {
        for (name, expected) in [
            ("Dr.Ng", Some("dr.ng")),
            (" ward_3+night@example.org ", Some("ward_3+night@example.org")),
            ("", None),
            ("dr ng", None),
            ("naïve", None),
        ] {
            assert_eq!(sign_in_name(name).ok().as_deref(), expected, "{name:?}");
        }
    }
}
