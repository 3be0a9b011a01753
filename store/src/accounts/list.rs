use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::roles::{AccountRole, roles_of_each};
use crate::Error;

/// Which accounts to list; what is not given is not asked.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// The one with this number.
    pub id: Option<i64>,
    /// Those in whose name or sign-in name this stands, in any case.
    pub text: Option<String>,
    /// Those after this one, in the order of the list.
    pub after: Option<i64>,
}

/// An account as an administrator sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedAccount {
    /// Its number.
    pub id: i64,
    /// What is typed to sign in.
    pub sign_in_name: String,
    /// The person's name.
    pub name: String,
    /// Since when there is the account.
    pub created_at: DateTime<Utc>,
    /// Since when it is refused.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Until when it is refused for wrong passwords.
    pub locked_until: Option<DateTime<Utc>>,
    /// Until when the password is good, if its owner has not chosen it.
    pub initial_password_until: Option<DateTime<Utc>>,
    /// Whether it needs a code beside its password.
    pub second_factor: bool,
    /// The roles that it holds.
    pub roles: Vec<AccountRole>,
}

/// Accounts, by their numbers; at most `limit` of them.
pub async fn list_accounts(
    connection: &mut PgConnection,
    filter: &AccountFilter,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ListedAccount>, Error> {
    let rows = sqlx::query!(
        r#"SELECT account_id, sign_in_name, name, created_at, disabled_at, locked_until, initial_password_until,
             second_factor_since IS NOT NULL AS "second_factor!"
           FROM account
           WHERE ($1::bigint IS NULL OR account_id = $1)
             AND ($2::text IS NULL OR strpos(lower(name), lower($2)) > 0 OR strpos(sign_in_name, lower($2)) > 0)
             AND ($3::bigint IS NULL OR account_id > $3)
           ORDER BY account_id LIMIT $4"#,
        filter.id,
        filter.text,
        filter.after,
        limit
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|source| Error::new("list accounts", source))?;
    let numbers: Vec<i64> = rows.iter().map(|row| row.account_id).collect();
    let mut roles = roles_of_each(connection, &numbers, now).await?;
    let listed = rows.into_iter().map(|row| ListedAccount {
        id: row.account_id,
        sign_in_name: row.sign_in_name,
        name: row.name,
        created_at: row.created_at,
        disabled_at: row.disabled_at,
        locked_until: row.locked_until.filter(|until| *until > now),
        initial_password_until: row.initial_password_until,
        second_factor: row.second_factor,
        roles: roles.remove(&row.account_id).unwrap_or_default(),
    });
    Ok(listed.collect())
}
