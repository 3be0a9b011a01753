//! Accounts: who signs in, with what, and which roles they hold.
//!
//! Whoever signs in is nobody yet, so all of this works on connections that see the whole record, except for what
//! [`crate::sessions`] says.

mod list;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::PatientId;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;
use crate::access::{HeldRole, Role};
use crate::admin::{AdminError, secret_hash};

pub use list::{AccountFilter, ListedAccount, list_accounts};

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
    /// The secret of its second factor, of 20 bytes.
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

/// The names of those who work for an organisation: the ones whose business an alert of its patients can be.
pub async fn colleagues(
    connection: &mut PgConnection,
    organisation: i64,
    now: DateTime<Utc>,
) -> Result<Vec<String>, Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT name FROM held_role JOIN account USING (account_id)
         WHERE held_role.organisation_id = $1 AND role IN ('care_team_member', 'care_team_lead', 'gp_clinician')
             AND (ended_at IS NULL OR ended_at > $2) AND disabled_at IS NULL
         ORDER BY name",
        organisation,
        now
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list those who work for an organisation", source))
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

/// Notes the secret of a second factor that is shown to the owner of an account.
pub async fn offer_second_factor(
    connection: &mut PgConnection,
    account: i64,
    secret: &[u8; 20],
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE account SET second_factor_offer = $2 WHERE account_id = $1",
        account,
        secret
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

/// A role that an account holds, as its owner reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountRole {
    /// Its number.
    pub id: i64,
    /// The role.
    pub role: Role,
    /// Where.
    pub organisation: Option<i64>,
    /// The organisation's name.
    pub organisation_name: Option<String>,
    /// Who the patient is, of one who is a patient.
    pub patient: Option<PatientId>,
}

/// The roles that an account holds, in the order in which they were granted.
pub async fn roles_of(
    connection: &mut PgConnection,
    account: i64,
    now: DateTime<Utc>,
) -> Result<Vec<AccountRole>, Error> {
    let mut roles = roles_of_each(connection, &[account], now).await?;
    Ok(roles.remove(&account).unwrap_or_default())
}

/// The same of several accounts, by their numbers.
async fn roles_of_each(
    connection: &mut PgConnection,
    accounts: &[i64],
    now: DateTime<Utc>,
) -> Result<HashMap<i64, Vec<AccountRole>>, Error> {
    let failed = |source| Error::new("look up the roles of accounts", source);
    let rows = sqlx::query!(
        r#"SELECT account_id AS "account!", held_role_id, role, organisation_id,
             organisation.name AS "organisation_name?", patient_id
           FROM held_role LEFT JOIN organisation USING (organisation_id)
           WHERE account_id = ANY ($1) AND (ended_at IS NULL OR ended_at > $2) ORDER BY held_role_id"#,
        accounts,
        now
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let read = |role: String| {
        role.parse()
            .map_err(|error: String| failed(sqlx::Error::Decode(error.into())))
    };
    let mut roles: HashMap<i64, Vec<AccountRole>> = HashMap::new();
    for row in rows {
        roles.entry(row.account).or_default().push(AccountRole {
            id: row.held_role_id,
            role: read(row.role)?,
            organisation: row.organisation_id,
            organisation_name: row.organisation_name,
            patient: row.patient_id.map(PatientId),
        });
    }
    Ok(roles)
}

impl From<&AccountRole> for HeldRole {
    fn from(role: &AccountRole) -> HeldRole {
        HeldRole {
            id: role.id,
            role: role.role,
            organisation: role.organisation,
            patient: role.patient,
        }
    }
}

/// Names an account that may see a patient's record, where it is in the role of a patient. Answers with the number; who
/// is named already goes on to be.
pub async fn name_proxy(
    connection: &mut PgConnection,
    patient: PatientId,
    account: i64,
    by: &str,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let failed = |source| Error::new("name a proxy", source);
    sqlx::query!(
        "INSERT INTO proxy (patient_id, account_id, named_at, named_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id, patient_id) WHERE ended_at IS NULL DO NOTHING",
        patient.0,
        account,
        now,
        by
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query_scalar!(
        "SELECT proxy_id FROM proxy WHERE patient_id = $1 AND account_id = $2 AND ended_at IS NULL",
        patient.0,
        account
    )
    .fetch_one(connection)
    .await
    .map_err(failed)
}

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
