//! The secrets that the record has.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{Keyring, SecretError, Whose, key_of, sealed_by};
use crate::Error;
use crate::sessions::end_sessions_of;

/// How many rows are sealed in one transaction.
const BATCH: i64 = 200;

/// How many of a kind are opened to see whether the keys are those of this record. One that does not open may have been
/// changed; if none does, it is the keys.
const TRIED: i64 = 20;

/// How many secrets a key has sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key; none: they are not sealed.
    pub key: Option<u32>,
    /// How many.
    pub secrets: i64,
}

/// What has sealed the secrets of the record.
pub async fn key_uses(connection: &mut PgConnection) -> Result<Vec<KeyUse>, Error> {
    let rows = sqlx::query!(
        r#"SELECT head AS "head!", count(*) AS "secrets!" FROM (
             SELECT substring(second_factor FOR 8) AS head FROM account WHERE second_factor IS NOT NULL
             UNION ALL
             SELECT substring(second_factor_offer FOR 8) FROM account WHERE second_factor_offer IS NOT NULL
             UNION ALL
             SELECT substring(secret FOR 8) FROM receiver WHERE secret IS NOT NULL
           ) AS kept GROUP BY head"#
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("see what has sealed secrets", source))?;
    let mut uses: Vec<KeyUse> = Vec::new();
    for row in rows {
        let key = key_of(&row.head);
        match uses.iter_mut().find(|known| known.key == key) {
            Some(known) => known.secrets += row.secrets,
            None => uses.push(KeyUse {
                key,
                secrets: row.secrets,
            }),
        }
    }
    uses.sort_by_key(|used| used.key);
    Ok(uses)
}

/// Whether the record has a secret that is sealed.
pub async fn any_sealed(connection: &mut PgConnection) -> Result<bool, Error> {
    let uses = key_uses(connection).await?;
    Ok(uses.iter().any(|used| used.key.is_some()))
}

/// Who lost something with a key that is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The accounts that had a second factor, and are refused until somebody who knows their owners takes them again.
    pub accounts: usize,
    /// The webhooks that nothing is sent to any more.
    pub receivers: usize,
}

/// Gives up what this key has sealed, for when it is lost for good. Nobody gets in with a password alone because of it:
/// whoever had a second factor is refused, and signed out, until the account is taken again.
pub async fn forget_key(
    connection: &mut PgConnection,
    key: u32,
    now: DateTime<Utc>,
) -> Result<Forgotten, Error> {
    let failed = |source| Error::new("give up what a key has sealed", source);
    let head = sealed_by(key);
    let accounts = sqlx::query_scalar!(
        "UPDATE account SET disabled_at = COALESCE(disabled_at, $2), second_factor = NULL, second_factor_since = NULL,
             second_factor_step = NULL, second_factor_offer = NULL
         WHERE substring(second_factor FOR 8) = $1 RETURNING account_id",
        head,
        now
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    for account in &accounts {
        end_sessions_of(connection, *account, None, now).await?;
    }
    sqlx::query!(
        "UPDATE account SET second_factor_offer = NULL WHERE substring(second_factor_offer FOR 8) = $1",
        head
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    // A webhook has to have a secret: one that nobody knows.
    let unknown: [u8; 32] = rand::random();
    let receivers = sqlx::query!(
        "UPDATE receiver SET disabled_at = COALESCE(disabled_at, $2), secret = $3
         WHERE substring(secret FOR 8) = $1",
        head,
        now,
        &unknown[..]
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(Forgotten {
        accounts: accounts.len(),
        receivers: usize::try_from(receivers.rows_affected()).unwrap_or(usize::MAX),
    })
}

/// Keeps others from changing the keys until the transaction ends.
pub async fn lock_keys(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(7464, 1)")
        .execute(connection)
        .await
        .map_err(|source| Error::new("wait for whoever changes the keys", source))?;
    Ok(())
}

/// What became of sealing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// How many secrets were sealed.
    pub secrets: u64,
    /// Those that do not open, and stay as they are.
    pub broken: Vec<Whose>,
    /// How many are still as they are, since there is no key.
    pub open: i64,
}

/// Seals with the present key all that is not sealed, or by an older one. It may end between any two batches: what is not
/// done then opens as before, and is done the next time.
///
/// # Errors
///
/// When a key is not there with which something is sealed.
pub async fn seal_all(pool: &PgPool, keys: &Keyring) -> Result<Sealed, Error> {
    let uses = key_uses(&mut *connect(pool).await?).await?;
    for used in &uses {
        if let Some(key) = used.key.filter(|key| keys.key(*key).is_none()) {
            let (secrets, file) = (used.secrets, keys.0.file.clone());
            return Err(SecretError::Missing { secrets, key, file }.into());
        }
    }
    if none_opens(&mut *connect(pool).await?, keys).await? {
        return Err(SecretError::Foreign(keys.0.file.clone()).into());
    }
    let Some((current, _)) = keys.current() else {
        let open = uses.iter().find(|used| used.key.is_none());
        return Ok(Sealed {
            open: open.map_or(0, |open| open.secrets),
            ..Sealed::default()
        });
    };
    let present = sealed_by(current);
    let mut sealed = Sealed::default();
    let mut after = 0;
    while let Some(last) = seal_accounts(pool, (keys, &present), after, &mut sealed).await? {
        after = last;
    }
    after = 0;
    while let Some(last) = seal_receivers(pool, (keys, &present), after, &mut sealed).await? {
        after = last;
    }
    Ok(sealed)
}

/// Whether there are sealed secrets, and none of the latest opens.
async fn none_opens(connection: &mut PgConnection, keys: &Keyring) -> Result<bool, Error> {
    let rows = sqlx::query!(
        r#"(SELECT true AS "of_account!", account_id AS "id!", second_factor AS "kept!" FROM account
             WHERE second_factor IS NOT NULL ORDER BY account_id DESC LIMIT $1)
           UNION ALL
           (SELECT false, receiver_id, secret FROM receiver WHERE secret IS NOT NULL ORDER BY receiver_id DESC LIMIT $1)"#,
        TRIED
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("try the keys of secrets", source))?;
    let opened = rows.iter().filter(|row| key_of(&row.kept).is_some()).map(|row| {
        let whose = match row.of_account {
            true => Whose::SecondFactorOf(row.id),
            false => Whose::WebhookOf(row.id),
        };
        keys.open(whose, &row.kept).is_ok()
    });
    let opened: Vec<bool> = opened.collect();
    Ok(!opened.is_empty() && !opened.contains(&true))
}

async fn connect(pool: &PgPool) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Error> {
    let connected = pool.acquire().await;
    connected.map_err(|source| Error::new("connect to the record", source))
}

/// Seals the second factors of some accounts after the one of this number. Answers the last of them; none: there are no more.
async fn seal_accounts(
    pool: &PgPool,
    (keys, present): (&Keyring, &[u8]),
    after: i64,
    sealed: &mut Sealed,
) -> Result<Option<i64>, Error> {
    let failed = |source| Error::new("seal second factors", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    let rows = sqlx::query!(
        "SELECT account_id, second_factor, second_factor_offer FROM account
         WHERE account_id > $3
             AND (substring(second_factor FOR 4) <> substring($1::bytea FOR 4) OR substring(second_factor FOR 8) < $1
                 OR substring(second_factor_offer FOR 4) <> substring($1 FOR 4)
                 OR substring(second_factor_offer FOR 8) < $1)
         ORDER BY account_id LIMIT $2 FOR UPDATE",
        present,
        BATCH,
        after
    )
    .fetch_all(&mut *transaction)
    .await
    .map_err(failed)?;
    let last = rows.last().map(|row| row.account_id);
    for row in rows {
        let whose = Whose::SecondFactorOf(row.account_id);
        let mut anew =
            |kept: Option<Vec<u8>>| kept.map(|kept| seal_anew(keys, whose, kept, sealed)).transpose();
        let (factor, offer) = (anew(row.second_factor)?, anew(row.second_factor_offer)?);
        sqlx::query!(
            "UPDATE account SET second_factor = $2, second_factor_offer = $3 WHERE account_id = $1",
            row.account_id,
            factor,
            offer
        )
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(last)
}

/// The same for receivers.
async fn seal_receivers(
    pool: &PgPool,
    (keys, present): (&Keyring, &[u8]),
    after: i64,
    sealed: &mut Sealed,
) -> Result<Option<i64>, Error> {
    let failed = |source| Error::new("seal the secrets of webhooks", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    let rows = sqlx::query!(
        r#"SELECT receiver_id, secret AS "secret!" FROM receiver
           WHERE receiver_id > $3
               AND (substring(secret FOR 4) <> substring($1::bytea FOR 4) OR substring(secret FOR 8) < $1)
           ORDER BY receiver_id LIMIT $2 FOR UPDATE"#,
        present,
        BATCH,
        after
    )
    .fetch_all(&mut *transaction)
    .await
    .map_err(failed)?;
    let last = rows.last().map(|row| row.receiver_id);
    for row in rows {
        let secret = seal_anew(keys, Whose::WebhookOf(row.receiver_id), row.secret, sealed)?;
        sqlx::query!(
            "UPDATE receiver SET secret = $2 WHERE receiver_id = $1",
            row.receiver_id,
            secret
        )
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(last)
}

/// Seals a secret with the present key. One that does not open stays as it is: nobody but its owner is to suffer from it.
fn seal_anew(keys: &Keyring, whose: Whose, kept: Vec<u8>, sealed: &mut Sealed) -> Result<Vec<u8>, Error> {
    match keys.open(whose, &kept) {
        Ok(secret) => {
            sealed.secrets += 1;
            Ok(keys.seal(whose, &secret))
        }
        Err(SecretError::Broken(_)) => {
            sealed.broken.push(whose);
            Ok(kept)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
