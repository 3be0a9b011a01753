//! A private PostgreSQL server with TimescaleDB, in a data folder: where the record is kept when Homeward
//! is given no `DATABASE_URL`.
//!
//! The server runs the installed server programs on files below the data folder:
//!
//! ```text
//! <data folder>/postgresql.lock   held while a Homeward uses the folder
//! <data folder>/postgresql/       the server's own, closed to everybody else
//!     data/                       the cluster
//!     socket/                     its unix socket; the server listens nowhere else
//!     server.log, server.log.1    its log
//! ```
//!
//! PostgreSQL refuses to run as root. Under root, `postgresql/` belongs to the `postgres` user, who runs
//! the server; where that user cannot reach it (below `/root`, say) it is a link to a folder in
//! `/var/lib/homeward`.
//!
//! The server survives a Homeward that is killed; the next start takes it over. Linux only: what runs in a
//! folder is read from `/proc`.

mod account;
mod backup;
mod error;
mod folders;
mod install;
mod restore;
mod settings;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use account::Account;
use backup::Follower;
pub use backup::{Backup, BackupState, Copies};
pub use error::ServerError;
use folders::Folders;
use install::Programs;
pub use restore::{Restored, restore};

/// The role that Homeward works as. It owns its database and may create others.
const ROLE: &str = "homeward";

/// The database that is always there.
const DATABASE: &str = "homeward";

/// The server's folder in the data folder.
const HOME: &str = "postgresql";

/// The role that administers the server.
const ADMINISTRATOR: &str = "postgres";

/// Part of the socket's name; nothing listens on a network port.
const PORT: u16 = 5432;

/// How long a server may take to start, which includes replaying its log after a crash, and to stop.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a server that runs may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the folder may be in use by a Homeward that is just ending. A process that it was starting at that
/// moment holds the lock too, until the new program runs.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a server that starts or stops is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// PostgreSQL's code for something that does not exist.
const UNDEFINED_OBJECT: &str = "42704";

/// How a private server differs from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Whether commits reach the disk. Only tests, whose data is thrown away, turn it off.
    pub fsync: bool,
    /// How many workers TimescaleDB may run. Its scheduler takes one in each database and keeps that
    /// database from being cloned: tests that clone set 0.
    pub max_background_workers: u16,
    /// How many connections the server takes.
    pub max_connections: u16,
    /// Whether there is a second copy of what it holds, and where.
    pub backup: Option<Backup>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            fsync: true,
            max_background_workers: 4,
            max_connections: 100,
            backup: None,
        }
    }
}

/// The way in for a server's administrator.
#[derive(Clone, Debug)]
struct Access {
    socket: PathBuf,
}

/// A private PostgreSQL server that runs.
///
/// Stop it with [`LocalServer::stop`]. When it is dropped it is told to stop, without waiting for it.
#[derive(Debug)]
pub struct LocalServer {
    programs: Programs,
    account: Account,
    folders: Folders,
    backup: Option<(Copies, Follower)>,
    /// `None` once the server is stopped.
    lock: Option<File>,
}

impl LocalServer {
    /// Starts the server whose data is in `data_dir`, and makes it on first use: a cluster with the role
    /// and the database `homeward`, and TimescaleDB in it. A server that still runs there, because the
    /// Homeward before was killed, is taken over.
    pub async fn start(data_dir: &Path, options: ServerOptions) -> Result<Self, ServerError> {
        let (data_dir, lock) = lock_patiently(data_dir).await?;
        let home = data_dir.join(HOME);
        let current = Account::current().await?;
        let account = current.for_server(&home).await?;
        let folders = Folders::ensure(&home, &account).await?;
        let programs = Programs::find(folders.release()?).await?;
        let mut server = Self {
            programs,
            account,
            folders,
            backup: None,
            lock: Some(lock),
        };

        if !server.folders.data.exists() {
            server.initialise(&options).await?;
        }
        let changed = server.write_settings(&current, &options)?;
        server.bring_up(changed).await?;
        if let Some(Backup { folder, .. }) = &options.backup {
            // Before anything is committed, which may have to wait for it.
            let copies = Copies::of(&server.programs, &server.account, &server.access(), folder).await?;
            let follower = copies.follow().await?;
            server.backup = Some((copies, follower));
        }
        server.provision().await?;
        if let (
            Some(copies),
            Some(Backup {
                synchronous: true, ..
            }),
        ) = (server.copies(), &options.backup)
        {
            copies.make_first().await?;
        }
        Ok(server)
    }

    /// The URL of a database of the server, for the role `homeward`. The database `homeward` is always
    /// there.
    pub fn database_url(&self, database: &str) -> String {
        url(&self.folders.socket, database)
    }

    /// What makes whole copies of it, if there is to be a second copy.
    pub fn copies(&self) -> Option<&Copies> {
        self.backup.as_ref().map(|(copies, _)| copies)
    }

    /// Whether the server is there. It may still let nobody in, while it recovers from the death of one of its
    /// processes.
    pub fn is_running(&self) -> Result<bool, ServerError> {
        let processes = self.folders.processes()?;
        Ok(self
            .folders
            .postmaster()
            .is_some_and(|postmaster| processes.contains(&postmaster)))
    }

    /// Stops the server: open transactions are rolled back, and what is committed is written into place.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        let _held_until_stopped = self.lock.take();
        self.shut_down("fast").await
    }

    /// Stops the server as a crash does: the next start finds what is committed in the log.
    pub async fn stop_immediately(mut self) -> Result<(), ServerError> {
        let _held_until_stopped = self.lock.take();
        self.shut_down("immediate").await
    }

    /// Makes the cluster, under another name until it is whole.
    async fn initialise(&self, options: &ServerOptions) -> Result<(), ServerError> {
        let data = &self.folders.data;
        tracing::info!(folder = %data.display(), "making a PostgreSQL cluster");
        let unfinished = self.folders.unfinished()?;
        let mut command = self.account.command(&self.programs.path("initdb"));
        command
            .arg("--pgdata")
            .arg(&unfinished)
            .arg("--username")
            .arg(ADMINISTRATOR);
        command.args([
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--auth=peer",
        ]);
        if !options.fsync {
            command.arg("--no-sync");
        }
        run(command, "make a PostgreSQL cluster").await?;

        // What initdb found out about the machine stays in postgresql.conf; ours comes after it.
        let main = unfinished.join("postgresql.conf");
        let appended = File::options().append(true).open(&main);
        appended
            .and_then(|mut file| file.write_all(settings::INCLUDE.as_bytes()))
            .map_err(|source| ServerError::folder("write", &main, source))?;
        fs::rename(&unfinished, data).map_err(|source| ServerError::folder("put into place", data, source))
    }

    /// Writes the settings files and says whether any of them was different.
    fn write_settings(&self, current: &Account, options: &ServerOptions) -> Result<bool, ServerError> {
        let mut changed = false;
        for (name, content) in [
            (
                "homeward.conf",
                settings::homeward_conf(&self.folders.socket, options),
            ),
            ("pg_hba.conf", settings::pg_hba_conf()),
            (
                "pg_ident.conf",
                settings::pg_ident_conf(&[current, &self.account]),
            ),
        ] {
            changed |= self.folders.write_settings(name, &content, &self.account)?;
        }
        Ok(changed)
    }

    /// Starts the server, or takes over the one that runs already; that one is started again when the
    /// settings changed since.
    async fn bring_up(&self, settings_changed: bool) -> Result<(), ServerError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let postmaster = self.folders.postmaster();
            let running = self.is_running()?;
            if self.folders.processes()?.is_empty() {
                return self.launch(postmaster.is_some()).await;
            } else if running && settings_changed {
                self.shut_down("fast").await?;
            } else if running && self.connect("postgres").await.is_ok() {
                tracing::info!(
                    pid = postmaster,
                    "took over the PostgreSQL server that was running already"
                );
                return Ok(());
            } else if Instant::now() >= deadline {
                return Err(ServerError::NotReady {
                    log: self.folders.log.clone(),
                });
            }
            // It starts or stops, or workers of a killed server have yet to notice that it is gone.
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Starts the server where none runs; the one before `crashed`, or did not.
    async fn launch(&self, crashed: bool) -> Result<(), ServerError> {
        if crashed {
            tracing::warn!("the PostgreSQL server was not stopped properly; it recovers from its log");
        }
        self.folders.forget_killed()?;
        let log_start = self.folders.begin_log()?;
        let mut command = self.pg_ctl("start");
        command.arg("--log").arg(&self.folders.log);
        match run(command, "start PostgreSQL").await {
            Err(ServerError::Failed { operation, output }) => {
                let output = format!("{output}\n{}", self.folders.log_tail(log_start))
                    .trim()
                    .to_owned();
                Err(ServerError::Failed { operation, output })
            }
            outcome => outcome,
        }
    }

    async fn shut_down(&self, mode: &str) -> Result<(), ServerError> {
        if let Some((_, follower)) = &self.backup {
            follower.expect_the_end();
        }
        let mut command = self.pg_ctl("stop");
        command.arg("--mode").arg(mode);
        run(command, "stop PostgreSQL").await
    }

    /// `pg_ctl`, told to wait until it is done.
    fn pg_ctl(&self, action: &str) -> Command {
        let mut command = self.account.command(&self.programs.path("pg_ctl"));
        command.arg(action).arg("--pgdata").arg(&self.folders.data);
        command
            .arg("--silent")
            .arg("--wait")
            .arg("--timeout")
            .arg(PATIENCE.as_secs().to_string());
        command
    }

    /// Makes what the cluster lacks: roles, database and extension. Brings the extension to the release that
    /// is installed.
    async fn provision(&self) -> Result<(), ServerError> {
        let mut cluster = self.connect("postgres").await?;
        let role = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward')";
        if !query(&mut cluster, "look for its role", role).await? {
            execute(
                &mut cluster,
                "create its role",
                "CREATE ROLE homeward LOGIN CREATEDB",
            )
            .await?;
        }
        // Homeward itself may make no roles: see the migrations for what this one is.
        let role = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_api')";
        if !query(&mut cluster, "look for the role of requests", role).await? {
            execute(
                &mut cluster,
                "create the role of requests",
                "CREATE ROLE homeward_api NOLOGIN ROLE homeward",
            )
            .await?;
        }
        let database = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'homeward')";
        if !query(&mut cluster, "look for its database", database).await? {
            execute(
                &mut cluster,
                "create its database",
                "CREATE DATABASE homeward OWNER homeward",
            )
            .await?;
        }
        // The update must be the first statement of its connection: any other loads the release that the
        // database was made with, and an upgrade of the package may have removed that one's library.
        let mut homeward = self.connect(DATABASE).await?;
        match execute(
            &mut homeward,
            "update TimescaleDB",
            "ALTER EXTENSION timescaledb UPDATE",
        )
        .await
        {
            Err(error) if is_undefined_object(&error) => {
                execute(
                    &mut homeward,
                    "install TimescaleDB",
                    "CREATE EXTENSION timescaledb",
                )
                .await
            }
            outcome => outcome,
        }
    }

    /// Connects as the administrator.
    async fn connect(&self, database: &str) -> Result<PgConnection, ServerError> {
        self.access().connect(database).await
    }

    fn access(&self) -> Access {
        Access {
            socket: self.folders.socket.clone(),
        }
    }
}

impl Access {
    async fn connect(&self, database: &str) -> Result<PgConnection, ServerError> {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.socket)
            .port(PORT)
            .ssl_mode(PgSslMode::Disable)
            .username(ADMINISTRATOR)
            .database(database)
            .options([("client_min_messages", "warning")]);
        let connected = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await;
        connected
            .unwrap_or_else(|_elapsed| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
            .map_err(|source| ServerError::Sql {
                operation: "let us in",
                source,
            })
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let mut command = self.pg_ctl("stop");
            command
                .args(["--mode", "fast", "--no-wait"])
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // Nobody is left to tell: the next start finds the server, running or not.
            let _ = command.as_std_mut().status();
        }
    }
}

/// Runs a server program to its end.
async fn run(mut command: Command, operation: &'static str) -> Result<(), ServerError> {
    let program = command.as_std().get_program().to_owned();
    let output = command.stdin(Stdio::null()).output().await;
    let output = output.map_err(|source| ServerError::program(program, source))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ServerError::Failed {
        operation,
        output: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

async fn execute(
    connection: &mut PgConnection,
    operation: &'static str,
    statement: &'static str,
) -> Result<(), ServerError> {
    let outcome = sqlx::raw_sql(statement).execute(connection).await;
    outcome
        .map(|_done| ())
        .map_err(|source| ServerError::Sql { operation, source })
}

async fn query(
    connection: &mut PgConnection,
    operation: &'static str,
    question: &'static str,
) -> Result<bool, ServerError> {
    let answer = sqlx::query_scalar(question).fetch_one(connection).await;
    answer.map_err(|source| ServerError::Sql { operation, source })
}

fn is_undefined_object(error: &ServerError) -> bool {
    let ServerError::Sql {
        source: sqlx::Error::Database(error),
        ..
    } = error
    else {
        return false;
    };
    error.code().is_some_and(|code| code == UNDEFINED_OBJECT)
}

/// The URL of a database of the server that another Homeward runs in `data_dir`, as
/// [`LocalServer::database_url`] has it there. `None` when there has never been one.
pub fn url_in(data_dir: &Path, database: &str) -> Option<String> {
    let home = fs::canonicalize(data_dir.join(HOME)).ok()?;
    Some(url(&folders::socket_folder(&home), database))
}

fn url(socket: &Path, database: &str) -> String {
    let socket = percent_encode(socket.as_os_str().as_encoded_bytes());
    format!(
        "postgres://{ROLE}@{socket}:{PORT}/{}",
        percent_encode(database.as_bytes())
    )
}

/// Encodes what a URL would otherwise read as its own syntax.
fn percent_encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

async fn lock_patiently(data_dir: &Path) -> Result<(PathBuf, File), ServerError> {
    let give_up = Instant::now() + LOCK_TIMEOUT;
    loop {
        match folders::lock(data_dir) {
            Err(ServerError::InUse { .. }) if Instant::now() < give_up => {
                sleep(POLL_INTERVAL).await;
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests;
