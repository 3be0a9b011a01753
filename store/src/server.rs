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
mod error;
mod folders;
mod install;
mod settings;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use account::Account;
pub use error::ServerError;
use folders::Folders;
use install::Programs;

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

/// How often a server that starts or stops is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// PostgreSQL's code for something that does not exist.
const UNDEFINED_OBJECT: &str = "42704";

/// How a private server differs from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Whether commits reach the disk. Only tests, whose data is thrown away, turn it off.
    pub fsync: bool,
    /// How many workers TimescaleDB may run. Its scheduler takes one in each database and keeps that
    /// database from being cloned: tests that clone set 0.
    pub max_background_workers: u16,
    /// How many connections the server takes.
    pub max_connections: u16,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            fsync: true,
            max_background_workers: 4,
            max_connections: 100,
        }
    }
}

/// A private PostgreSQL server that runs.
///
/// Stop it with [`LocalServer::stop`]. When it is dropped it is told to stop, without waiting for it.
#[derive(Debug)]
pub struct LocalServer {
    programs: Programs,
    account: Account,
    folders: Folders,
    /// `None` once the server is stopped.
    lock: Option<File>,
}

impl LocalServer {
    /// Starts the server whose data is in `data_dir`, and makes it on first use: a cluster with the role
    /// and the database `homeward`, and TimescaleDB in it. A server that still runs there, because the
    /// Homeward before was killed, is taken over.
    pub async fn start(data_dir: &Path, options: ServerOptions) -> Result<Self, ServerError> {
        let (data_dir, lock) = folders::lock(data_dir)?;
        let home = data_dir.join(HOME);
        let current = Account::current().await?;
        let account = current.for_server(&home).await?;
        let folders = Folders::ensure(&home, &account).await?;
        let programs = Programs::find(folders.release()?).await?;
        let server = Self {
            programs,
            account,
            folders,
            lock: Some(lock),
        };

        if !server.folders.data.exists() {
            server.initialise(&options).await?;
        }
        let changed = server.write_settings(&current, &options)?;
        server.bring_up(changed).await?;
        server.provision().await?;
        Ok(server)
    }

    /// The URL of a database of the server, for the role `homeward`. The database `homeward` is always
    /// there.
    pub fn database_url(&self, database: &str) -> String {
        url(&self.folders.socket, database)
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
            let processes = self.folders.processes()?;
            let running = postmaster.is_some_and(|pid| processes.contains(&pid));
            if processes.is_empty() {
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

    /// Makes what the cluster lacks: role, database and extension. Brings the extension to the release that
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
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.folders.socket)
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const QUICK: ServerOptions = ServerOptions {
        fsync: false,
        max_background_workers: 0,
        max_connections: 20,
    };

    /// A data folder in /tmp, which the `postgres` user can reach, unlike root's own temporary folder.
    fn data_folder() -> TempDir {
        let folder = tempfile::Builder::new()
            .prefix("homeward-server-")
            .tempdir_in("/tmp")
            .unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).unwrap();
        folder
    }

    async fn start(folder: &TempDir) -> LocalServer {
        LocalServer::start(folder.path(), QUICK).await.unwrap()
    }

    async fn connect(server: &LocalServer) -> PgConnection {
        PgConnection::connect(&server.database_url("homeward"))
            .await
            .unwrap()
    }

    async fn store_a_row(server: &LocalServer) {
        let mut connection = connect(server).await;
        sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
            .execute(&mut connection)
            .await
            .unwrap();
    }

    async fn stored_rows(server: &LocalServer) -> Vec<i32> {
        sqlx::query_scalar("SELECT n FROM kept")
            .fetch_all(&mut connect(server).await)
            .await
            .unwrap()
    }

    /// What a killed Homeward leaves: the server runs, and nobody holds the folder.
    fn abandon(mut server: LocalServer) {
        server.lock = None;
    }

    async fn kill(pid: u32) {
        let status = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    #[tokio::test]
    async fn a_new_folder_gets_a_server_with_timescaledb_that_keeps_what_it_is_given() {
        let folder = data_folder();
        let server = start(&folder).await;
        let (role, superuser, extensions): (String, String, i64) = sqlx::query_as(
            "SELECT current_user::text, current_setting('is_superuser'),
                (SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb')",
        )
        .fetch_one(&mut connect(&server).await)
        .await
        .unwrap();
        assert_eq!(
            (role.as_str(), superuser.as_str(), extensions),
            ("homeward", "off", 1)
        );
        store_a_row(&server).await;
        server.stop().await.unwrap();

        let server = start(&folder).await;
        assert_eq!(stored_rows(&server).await, [7]);
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn only_the_socket_leads_to_the_server_and_only_by_the_account_of_the_operating_system() {
        let folder = data_folder();
        let server = start(&folder).await;
        let mut administrator = server.connect("postgres").await.unwrap();
        let addresses: String = sqlx::query_scalar("SHOW listen_addresses")
            .fetch_one(&mut administrator)
            .await
            .unwrap();
        assert_eq!(addresses, "");
        let rules: Vec<(String, String)> =
            sqlx::query_as("SELECT type, auth_method FROM pg_hba_file_rules GROUP BY 1, 2")
                .fetch_all(&mut administrator)
                .await
                .unwrap();
        assert_eq!(rules, [("local".to_owned(), "peer".to_owned())]);
        let home = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&server.folders.socket).unwrap());
        assert_eq!(home & 0o077, 0, "the socket's folder is closed to others");
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_running_server_is_taken_over_from_a_killed_homeward() {
        let folder = data_folder();
        let server = start(&folder).await;
        let before = server.folders.postmaster();
        store_a_row(&server).await;
        abandon(server);

        let server = start(&folder).await;
        assert!(before.is_some());
        assert_eq!(server.folders.postmaster(), before);
        assert_eq!(stored_rows(&server).await, [7]);
        abandon(server);

        let other = ServerOptions {
            max_connections: 30,
            ..QUICK
        };
        let server = LocalServer::start(folder.path(), other).await.unwrap();
        let connections: String = sqlx::query_scalar("SHOW max_connections")
            .fetch_one(&mut connect(&server).await)
            .await
            .unwrap();
        assert_eq!(connections, "30", "other settings take effect");
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_killed_server_recovers_though_its_process_number_is_another_process_now() {
        let folder = data_folder();
        let server = start(&folder).await;
        store_a_row(&server).await;
        kill(server.folders.postmaster().unwrap()).await;
        // The server's account owns a process with this number, so PostgreSQL alone would not start.
        let mut sleeper = server.account.command(Path::new("sleep"));
        sleeper
            .arg("600")
            .kill_on_drop(true)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut sleeper = sleeper.spawn().unwrap();
        let pid_file = server.folders.data.join("postmaster.pid");
        let content = fs::read_to_string(&pid_file).unwrap();
        let (_, rest) = content.split_once('\n').unwrap();
        fs::write(&pid_file, format!("{}\n{rest}", sleeper.id().unwrap())).unwrap();
        abandon(server);

        let server = start(&folder).await;
        assert_eq!(stored_rows(&server).await, [7]);
        sleeper.kill().await.unwrap();
        server.stop_immediately().await.unwrap();

        let server = start(&folder).await;
        assert_eq!(stored_rows(&server).await, [7]);
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_has_one_homeward_at_a_time() {
        let folder = data_folder();
        let server = start(&folder).await;
        let second = LocalServer::start(folder.path(), QUICK).await;
        assert!(matches!(second, Err(ServerError::InUse { .. })), "{second:?}");
        assert_eq!(
            url_in(folder.path(), DATABASE),
            Some(server.database_url(DATABASE))
        );
        assert_eq!(url_in(&folder.path().join("elsewhere"), DATABASE), None);
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_with_a_long_name_works() {
        let folder = data_folder();
        let deep = folder.path().join("a folder with a ' in its name, ".repeat(5));
        let server = LocalServer::start(&deep, QUICK).await.unwrap();
        connect(&server).await;
        let socket = server.folders.socket.clone();
        server.stop().await.unwrap();
        fs::remove_dir(socket).unwrap();
    }

    #[tokio::test]
    async fn a_folder_that_is_closed_to_others_works_for_root_too() {
        let folder = data_folder();
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder.path(), closed).unwrap();
        let server = start(&folder).await;
        let home = fs::canonicalize(folder.path().join("postgresql")).unwrap();
        store_a_row(&server).await;
        server.stop().await.unwrap();

        let server = start(&folder).await;
        assert_eq!(stored_rows(&server).await, [7]);
        server.stop().await.unwrap();
        fs::remove_dir_all(home).unwrap();
    }

    #[tokio::test]
    async fn a_failed_start_tells_what_postgresql_says() {
        let folder = data_folder();
        start(&folder).await.stop().await.unwrap();
        fs::write(
            folder.path().join("postgresql/data/postgresql.conf"),
            "work_mem = 'plenty'\n",
        )
        .unwrap();
        let error = LocalServer::start(folder.path(), QUICK).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("could not start PostgreSQL"), "{text}");
        assert!(text.contains("work_mem"), "{text}");
    }

    #[tokio::test]
    async fn a_dropped_server_stops() {
        let folder = data_folder();
        let server = start(&folder).await;
        let data = server.folders.data.clone();
        drop(server);
        for _ in 0..100 {
            if !data.join("postmaster.pid").exists() {
                return;
            }
            sleep(POLL_INTERVAL).await;
        }
        panic!("the server still runs");
    }
}
