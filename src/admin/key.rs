//! The keys that seal secrets of the record.

use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use homeward_record::Clock;
use homeward_store::PgPool;
use homeward_store::secrets::{Forgotten, Keyring, forget_key, key_uses, lock_keys};
use serde_json::{Value, json};

use super::note;
use crate::config::Settings;
use crate::keys;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// How many secrets each key has sealed
    List,
    /// Give up what a key has sealed that is lost for good. Accounts whose second factor that was are refused until they are
    /// taken again (`account enable`), once it is sure who their owners are; webhooks are told nothing more
    Forget {
        /// Its number, which `key list` tells
        key: u32,
    },
    /// Add a key to the key file, and seal all secrets anew with it. The other keys stay, for backups; take their lines out
    /// when no backup needs them
    Rotate,
}

/// Does it with a pool of two connections: one keeps others from rotating meanwhile.
pub(super) async fn run(pool: &PgPool, settings: &Settings, command: KeyCommand) -> Result<Value> {
    match command {
        KeyCommand::List => {
            let mut connection = pool.acquire().await.context("could not connect")?;
            let uses = key_uses(&mut connection).await?;
            let uses = uses
                .iter()
                .map(|used| json!({"key": used.key, "secrets": used.secrets}));
            Ok(json!({"key_file": settings.key_file(), "sealed_by": uses.collect::<Vec<_>>()}))
        }
        KeyCommand::Forget { key } => {
            let file = settings.key_file().filter(|file| file.exists());
            let known = file.as_deref().map(Keyring::load).transpose()?;
            ensure!(
                known.is_none_or(|keys| !keys.has(key)),
                "key {key} is in the key file: nothing that it has sealed is lost"
            );
            let mut transaction = pool.begin().await.context("could not begin a transaction")?;
            lock_keys(&mut transaction).await?;
            let now = Clock::System.now();
            let forgotten = forget_key(&mut transaction, key, now).await?;
            note(&mut transaction, "forget_key", &format!("key {key}"), &[], now).await?;
            transaction
                .commit()
                .await
                .context("could not commit the change")?;
            let Forgotten { accounts, receivers } = forgotten;
            Ok(json!({"key": key, "accounts_refused": accounts, "webhooks_disabled": receivers}))
        }
        KeyCommand::Rotate => {
            let file = settings.key_file();
            let file = file.context("no key file is named (key_file)")?;
            let mut turn = pool.begin().await.context("could not begin a transaction")?;
            lock_keys(&mut turn).await?;
            keys::make_ready(settings, pool).await?;
            let key = Keyring::add_key(&file)?;
            let sealed = keys::seal(pool, &Keyring::load(&file)?).await?;
            let broken: Vec<_> = sealed.broken.iter().map(ToString::to_string).collect();
            Ok(json!({"key": key, "sealed": sealed.secrets, "broken": broken}))
        }
    }
}
