//! The keys that seal secrets of the record.

use anyhow::{Context, Result};
use clap::Subcommand;
use homeward_store::PgPool;
use homeward_store::secrets::{Keyring, key_uses, lock_keys};
use serde_json::{Value, json};

use crate::config::Settings;
use crate::keys;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// How many secrets each key has sealed
    List,
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
