//! The keys that seal secrets of the record.

use anyhow::{Context, Result};
use homeward_store::PgPool;
use homeward_store::secrets::{Keyring, Sealed, any_sealed, seal_all};

use crate::config::Settings;

/// The keys as they are configured, with which all secrets of the record are sealed; it has to have its schema. Makes a key
/// file where there is none, unless something is sealed: then the one that is missing has to come back.
pub(crate) async fn make_ready(settings: &Settings, pool: &PgPool) -> Result<Keyring> {
    let Some(file) = settings.key_file() else {
        let keys = Keyring::empty();
        let sealed = seal(pool, &keys).await?;
        if sealed.open > 0 {
            tracing::warn!(
                secrets = sealed.open,
                "secrets of second factors and webhooks stand in the database as they are: name a key_file"
            );
        }
        return Ok(keys);
    };
    let is_there = file.try_exists();
    if !is_there.with_context(|| format!("could not look for the key file {} (key_file)", file.display()))? {
        let mut connection = pool
            .acquire()
            .await
            .context("could not look for sealed secrets")?;
        match any_sealed(&mut connection).await? {
            // What is wrong is told with how much is sealed by what.
            true => drop(seal(pool, &Keyring::without(&file)).await?),
            false => Keyring::create(&file)?,
        }
    }
    let keys = Keyring::load(&file).context("secrets cannot be sealed (key_file)")?;
    seal(pool, &keys).await?;
    Ok(keys)
}

/// Seals what is not sealed, or by an older key.
pub(crate) async fn seal(pool: &PgPool, keys: &Keyring) -> Result<Sealed> {
    let sealed = seal_all(pool, keys).await.context(
        "secrets of the record cannot be opened: put the key file back with which they were sealed (key_file)",
    )?;
    if sealed.secrets > 0 {
        tracing::info!(secrets = sealed.secrets, "secrets were sealed");
    }
    for whose in &sealed.broken {
        tracing::error!(%whose, "a secret does not open: it was sealed for another, or changed since");
    }
    Ok(sealed)
}
