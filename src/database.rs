//! The database that a command works with: the one it is told, or a private server in the data folder.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use homeward_store::PgPool;
use homeward_store::server::{self, Copies, LocalServer, ServerError};
use tokio::time::{Instant, sleep, timeout};

use crate::config::Settings;
use crate::explain::explain;
use crate::lifecycle::Lifecycle;

/// The database of the private server.
const NAME: &str = "homeward";

/// Held by an administration command for as long as it works: it may have started the private server, which
/// then is not a second Homeward.
const TURN_FILE: &str = "administration.lock";

/// How often something that will pass is looked at again.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How long an administration command waits for its turn, and for a private server that another process is
/// starting.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long connections may take to be given back at the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

const UNUSABLE: &str = "the database URL cannot be used";
const CANNOT_STOP: &str = "could not stop the private database server";

/// How often a database that is away is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How often to see whether the private server is still there.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// How often to say that it is still away.
const REMIND_INTERVAL: Duration = Duration::from_secs(30);

/// A database to work with. Close it, also after an error: a private server that was started for it runs
/// until then.
#[derive(Debug)]
pub(crate) struct Database {
    url: String,
    private: Option<LocalServer>,
    /// Closed before the private server stops.
    pools: Mutex<Vec<PgPool>>,
    /// Kept for its lock.
    _turn: Option<File>,
}

impl Database {
    /// For a service, which has the data folder to itself.
    pub(crate) async fn for_service(settings: &Settings, lifecycle: &Lifecycle) -> Result<Database> {
        if let Some(url) = &settings.database_url {
            if settings.backup_folder().is_some() {
                bail!(
                    "[backup] is for the private server: the database of DATABASE_URL has its own way to be copied"
                );
            }
            return Ok(Database::new(url.clone(), None, None));
        }
        let data_dir = &settings.data_dir;
        let mut seen_without_command = false;
        loop {
            match LocalServer::start(data_dir, settings.server_options()).await {
                Ok(server) => return Ok(Database::private(server, None)),
                // An administration command is at work: it is done in a moment.
                Err(ServerError::InUse { .. }) if take_turn(data_dir)?.is_none() => {
                    seen_without_command = false
                }
                // Or it was done just now.
                Err(ServerError::InUse { .. }) if !seen_without_command => seen_without_command = true,
                Err(error) => return Err(error).context("could not start the private database server"),
            }
            pause(lifecycle).await?;
        }
    }

    /// For an administration command, which shares a private server with the service that runs it, if one
    /// does. Commands that use the data folder take turns: so none stops the server while another works.
    pub(crate) async fn for_command(settings: &Settings, lifecycle: &Lifecycle) -> Result<Database> {
        if let Some(url) = &settings.database_url {
            return Ok(Database::new(url.clone(), None, None));
        }
        let data_dir = &settings.data_dir;
        fs::create_dir_all(data_dir)
            .with_context(|| format!("could not create the data folder {}", data_dir.display()))?;
        let deadline = Instant::now() + PATIENCE;
        let turn = loop {
            match take_turn(data_dir)? {
                Some(turn) => break turn,
                None if Instant::now() < deadline => pause(lifecycle).await?,
                None => bail!("another command works in the data folder {}", data_dir.display()),
            }
        };
        loop {
            match LocalServer::start(data_dir, settings.server_options()).await {
                Ok(server) => return Ok(Database::private(server, Some(turn))),
                Err(ServerError::InUse { .. }) => {}
                Err(error) => return Err(error).context("could not start the private database server"),
            }
            // A running service has it, or one that is starting or stopping.
            if let Some(url) = server::url_in(data_dir, NAME)
                && homeward_store::probe(&url).await.is_ok()
            {
                return Ok(Database::new(url, None, Some(turn)));
            }
            if Instant::now() >= deadline {
                bail!("the private database server of the Homeward that is running is not ready");
            }
            pause(lifecycle).await?;
        }
    }

    fn new(url: String, private: Option<LocalServer>, turn: Option<File>) -> Database {
        Database {
            url,
            private,
            pools: Mutex::default(),
            _turn: turn,
        }
    }

    fn private(server: LocalServer, turn: Option<File>) -> Database {
        Database::new(server.database_url(NAME), Some(server), turn)
    }

    /// What makes whole copies of the private server, if there is to be a second copy of it.
    pub(crate) fn copies(&self) -> Option<Copies> {
        self.private.as_ref()?.copies().cloned()
    }

    /// Opens a pool of at most `size` connections.
    pub(crate) fn pool(&self, size: u32) -> Result<PgPool> {
        let pool = homeward_store::connect(&self.url, size);
        Ok(self.keep(pool.context(UNUSABLE)?))
    }

    /// Opens a pool of at most `size` connections for what answers requests, which see only whom they may.
    pub(crate) fn pool_for_requests(&self, size: u32) -> Result<PgPool> {
        let pool = homeward_store::connect_for_requests(&self.url, size);
        Ok(self.keep(pool.context(UNUSABLE)?))
    }

    /// Keeps a pool, to be closed before the private server stops.
    fn keep(&self, pool: PgPool) -> PgPool {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push(pool.clone());
        pool
    }

    /// Brings the schema to this version. Fails when the database is away.
    pub(crate) async fn prepare(&self) -> Result<()> {
        homeward_store::probe(&self.url).await?;
        let pool = self.pool(1)?;
        let migrated = homeward_store::migrate(&pool).await;
        pool.close().await;
        migrated.context("could not bring the database's schema to this version")
    }

    /// The same for a service, which waits for a database that is away. `false` when the process is to stop
    /// before that is done.
    pub(crate) async fn prepare_patiently(&self, lifecycle: &Lifecycle) -> Result<bool> {
        let prepare = async {
            wait_until_there(&self.url).await?;
            self.prepare().await
        };
        tokio::select! {
            prepared = prepare => prepared.map(|()| true),
            () = lifecycle.soft().cancelled() => Ok(false),
        }
    }

    /// Resolves when the private server has died, with the error; never where there is none. Nothing would start
    /// it again, and a database elsewhere is its operator's business.
    pub(crate) async fn died(&self) -> anyhow::Error {
        let Some(server) = &self.private else {
            return std::future::pending().await;
        };
        loop {
            sleep(WATCH_INTERVAL).await;
            match server.is_running() {
                Ok(true) => {}
                Ok(false) => return anyhow!("the private database server died"),
                Err(error) => {
                    return anyhow!(error).context("could not look after the private database server");
                }
            }
        }
    }

    /// Closes the pools, and stops the private server if this started one.
    pub(crate) async fn close(self) -> Result<()> {
        self.close_pools().await;
        match self.private {
            Some(server) => server.stop().await.context(CANNOT_STOP),
            None => Ok(()),
        }
    }

    /// The same for a private server whose folder is thrown away: nothing is written into place.
    pub(crate) async fn discard(self) -> Result<()> {
        self.close_pools().await;
        match self.private {
            Some(server) => server.stop_immediately().await.context(CANNOT_STOP),
            None => Ok(()),
        }
    }

    async fn close_pools(&self) {
        let pools = std::mem::take(&mut *self.pools.lock().unwrap_or_else(PoisonError::into_inner));
        let close = async {
            for pool in pools {
                pool.close().await;
            }
        };
        // What was cut off may hold a connection.
        let _ = timeout(CLOSE_WITHIN, close).await;
    }
}

/// Waits until the database lets us in. Fails when waiting is no use.
async fn wait_until_there(url: &str) -> Result<()> {
    let mut reminded: Option<Instant> = None;
    loop {
        let error = match homeward_store::probe(url).await {
            Ok(()) if reminded.is_none() => return Ok(()),
            Ok(()) => {
                tracing::warn!("the database is there");
                return Ok(());
            }
            Err(error) if error.is_refusal() => return Err(error.into()),
            Err(error) => error,
        };
        if reminded.is_none_or(|at| at.elapsed() >= REMIND_INTERVAL) {
            let error = explain(&error.into());
            tracing::warn!(error, "waiting for the database");
            reminded = Some(Instant::now());
        }
        sleep(RETRY_INTERVAL).await;
    }
}

/// Waits a moment for something that will pass. Fails when the process is to stop.
async fn pause(lifecycle: &Lifecycle) -> Result<()> {
    tokio::select! {
        () = sleep(POLL_INTERVAL) => Ok(()),
        () = lifecycle.soft().cancelled() => bail!("interrupted"),
    }
}

/// Takes the turn of administration commands, unless another has it.
fn take_turn(data_dir: &Path) -> Result<Option<File>> {
    let path = data_dir.join(TURN_FILE);
    let opened = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = opened.with_context(|| format!("could not open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("could not lock {}", path.display()))
        }
    }
}
