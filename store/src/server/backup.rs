//! A second copy of a private server's data, in a folder that should be on another disk or machine: whole copies, and
//! the log as it is written, from which a copy is brought to any later moment.
//!
//! ```text
//! <backup folder>/20261126T130000.123Z/   a generation: an unbroken log, and copies of the server that wrote it
//!     server                              which server that is
//!     log/                                segments of its log; the newest is not full yet (`.partial`)
//!     copy-20261126T130005.456Z/          a copy, by when it was made
//! ```
//!
//! A new generation begins where the log cannot be followed from the one before: after a restore, or when the folder
//! was away for longer than the server keeps its log for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use homeward_record::Clock;
use sqlx::PgConnection;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::account::Account;
use super::folders::{make_private, sync_folder};
use super::install::Programs;
use super::{ADMINISTRATOR, Access, PORT, ServerError, run};

/// The server keeps its log for the slot of this name until it is in the backup folder.
const SLOT: &str = "homeward_backup";

/// By this name the program that receives the log is known to the server.
pub(super) const RECEIVER: &str = "pg_receivewal";

/// How often a copy is made: the longer, the more log has to be replayed by a restore.
const COPY_EVERY: TimeDelta = TimeDelta::hours(24);

/// How long to wait before another one is begun after one that failed, as it does where there is no room for it.
const COPY_AGAIN: Duration = Duration::from_secs(3600);

/// How many copies are kept; the log is kept from the oldest of them on.
const COPIES_KEPT: usize = 2;

/// How long to wait before the log is followed again after that failed.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);

/// How often to say again that the same failure lasts.
const REMIND_EVERY: Duration = Duration::from_secs(60);

/// How names say when something began.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%S%.3fZ";

const COPY_PREFIX: &str = "copy-";
const UNFINISHED: &str = "copy.unfinished";
const IDENTITY: &str = "server";
/// Is there from the beginning of a copy until it is whole.
const BEGUN: &str = "copy.begun";

/// Where the second copy is, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The folder. It has to be there: a folder in place of a disk that is not mounted would be on the first one.
    pub folder: PathBuf,
    /// Whether a commit waits until it is in the second copy too, and a start until there is one. Then nothing is ever
    /// lost with the first, and nothing is committed while the second is away.
    pub synchronous: bool,
}

/// How the second copy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupState {
    /// When the newest whole copy was made.
    pub newest_copy: Option<DateTime<Utc>>,
    /// How many bytes of log are not in the second copy yet; none: nobody follows it.
    pub behind: Option<i64>,
}

/// Makes whole copies of a running server.
#[derive(Clone, Debug)]
pub struct Copies {
    programs: Programs,
    account: Account,
    access: Access,
    folder: PathBuf,
}

/// Follows the log of a running server for as long as this is kept.
#[derive(Debug)]
pub(super) struct Follower {
    _task: JoinSet<()>,
    /// Whether the server is about to stop.
    ends: Arc<AtomicBool>,
}

impl Follower {
    /// The server is about to stop: that its log ends is no failure, and nobody follows it again.
    pub(super) fn expect_the_end(&self) {
        self.ends.store(true, Ordering::Release);
    }
}

impl Copies {
    pub(super) async fn of(
        programs: &Programs,
        account: &Account,
        access: &Access,
        folder: &Path,
    ) -> Result<Copies, ServerError> {
        let folder =
            fs::canonicalize(folder).map_err(|source| ServerError::folder("find", folder, source))?;
        if !account.can_use(&folder).await? {
            return Err(ServerError::Unreachable {
                path: folder,
                user: account.name.clone(),
            });
        }
        Ok(Copies {
            programs: programs.clone(),
            account: account.clone(),
            access: access.clone(),
            folder,
        })
    }

    /// Follows the log from now on, in the newest generation or a new one.
    pub(super) async fn follow(&self) -> Result<Follower, ServerError> {
        let mut log = self.continue_or_begin().await?;
        let copies = self.clone();
        let mut task = JoinSet::new();
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        task.spawn(async move {
            let mut told: Option<(String, Instant)> = None;
            loop {
                let mut error = copies.receive(&log).await;
                if ended.load(Ordering::Acquire) {
                    return;
                }
                sleep(FOLLOW_AGAIN).await;
                // Where it cannot be followed from where it was, this begins anew.
                match copies.continue_or_begin().await {
                    Ok(found) => log = found,
                    Err(failure) => error = failure,
                }
                let said = error.to_string();
                if told
                    .as_ref()
                    .is_none_or(|(last, at)| *last != said || at.elapsed() >= REMIND_EVERY)
                {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "the second copy of the record is not kept up; it is tried again"
                    );
                    told = Some((said, Instant::now()));
                }
            }
        });
        Ok(Follower { _task: task, ends })
    }

    /// Makes a copy if it is time for one, and removes what is older than needed.
    pub async fn make_if_due(&self, now: DateTime<Utc>) -> Result<(), ServerError> {
        let Some(generation) = generations(&self.folder)?.pop() else {
            return Ok(());
        };
        let newest = copies(&generation)?.pop();
        let due = newest.as_ref().is_none_or(|(at, _)| now - *at >= COPY_EVERY);
        if due && !failed_just_now(&generation) {
            self.make(&generation, newest.is_none()).await?;
            self.prune(&generation).await?;
        }
        Ok(())
    }

    /// Makes the first copy of a generation, if there is none: until then nothing can be brought back from its log.
    pub(super) async fn make_first(&self) -> Result<(), ServerError> {
        match generations(&self.folder)?.pop() {
            Some(generation) if copies(&generation)?.is_empty() => self.make(&generation, true).await,
            _ => Ok(()),
        }
    }

    /// How the second copy stands.
    pub async fn state(&self) -> Result<BackupState, ServerError> {
        let newest_copy = match generations(&self.folder)?.pop() {
            Some(generation) => copies(&generation)?.pop().map(|(at, _)| at),
            None => None,
        };
        let mut connection = self.access.connect("postgres").await?;
        let behind = sqlx::query_scalar(
            "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn)::bigint
             FROM pg_stat_replication WHERE application_name = $1 AND flush_lsn IS NOT NULL",
        )
        .bind(RECEIVER)
        .fetch_optional(&mut connection)
        .await
        .map_err(|source| sql("look how far the second copy is behind", source))?;
        Ok(BackupState { newest_copy, behind })
    }

    /// The folder of the log that can be followed from where it is, or of a new one.
    async fn continue_or_begin(&self) -> Result<PathBuf, ServerError> {
        let mut connection = self.access.connect("postgres").await?;
        let identity: String = sqlx::query_scalar(
            "SELECT system_identifier || ' ' || timeline_id FROM pg_control_system(), pg_control_checkpoint()",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(|source| sql("say who it is", source))?;
        let slot = slot(&mut connection).await?;
        if let Some(generation) = generations(&self.folder)?.pop()
            && fs::read_to_string(generation.join(IDENTITY)).is_ok_and(|of| of == identity)
            && slot.as_deref().is_some_and(|status| status != "lost")
        {
            return Ok(generation.join("log"));
        }
        if slot.is_some() {
            let dropped = sqlx::query("SELECT pg_drop_replication_slot($1)")
                .bind(SLOT)
                .execute(&mut connection)
                .await;
            dropped.map_err(|source| sql("forget what the second copy had", source))?;
        }
        let generation = self
            .folder
            .join(Clock::System.now().format(TIME_FORMAT).to_string());
        let log = generation.join("log");
        for folder in [&generation, &log] {
            make_private(folder, &self.account)?;
        }
        let named = generation.join(IDENTITY);
        fs::write(&named, identity).map_err(|source| ServerError::folder("write", &named, source))?;
        sync_folder(&generation)?;
        sync_folder(&self.folder)?;
        // Last: without it the generation is not taken for one that can be continued.
        let created = sqlx::query("SELECT pg_create_physical_replication_slot($1, true)")
            .bind(SLOT)
            .execute(&mut connection)
            .await;
        created.map_err(|source| sql("keep its log for the second copy", source))?;
        tracing::info!(folder = %generation.display(), "a new second copy of the record begins");
        Ok(log)
    }

    /// Receives the log until that fails, and answers why.
    async fn receive(&self, log: &Path) -> ServerError {
        let mut command = self.program(RECEIVER);
        command
            .arg("--directory")
            .arg(log)
            .args(["--slot", SLOT, "--synchronous", "--no-loop"])
            // A Homeward that is killed leaves it, and the next one ends it: see `slot`.
            .kill_on_drop(true);
        match run(command, "follow its log for the second copy").await {
            Ok(()) => ServerError::Failed {
                operation: "follow its log for the second copy",
                output: "it was told to stop".to_owned(),
            },
            Err(error) => error,
        }
    }

    async fn make(&self, generation: &Path, at_once: bool) -> Result<(), ServerError> {
        let unfinished = generation.join(UNFINISHED);
        let begun = generation.join(BEGUN);
        remove(&unfinished)?;
        fs::write(&begun, "").map_err(|source| ServerError::folder("write", &begun, source))?;
        tracing::info!("copying the record");
        let mut command = self.program("pg_basebackup");
        command
            .arg("--pgdata")
            .arg(&unfinished)
            .args(["--wal-method", "stream"])
            // Later ones take their time, so that readings are stored meanwhile as fast as ever.
            .args(["--checkpoint", if at_once { "fast" } else { "spread" }])
            .kill_on_drop(true);
        run(command, "copy the record").await?;
        let made = Clock::System.now();
        let mut command = self.account.command(&self.programs.path("pg_verifybackup"));
        command.arg("--quiet").arg(&unfinished).kill_on_drop(true);
        run(command, "read the copy of the record").await?;
        // It can be brought to any moment after this one.
        let name = format!("{COPY_PREFIX}{}", made.format(TIME_FORMAT));
        let copy = generation.join(&name);
        fs::rename(&unfinished, &copy)
            .map_err(|source| ServerError::folder("put into place", &copy, source))?;
        fs::remove_file(&begun).map_err(|source| ServerError::folder("remove", &begun, source))?;
        sync_folder(generation)?;
        tracing::info!(name, "the record is copied");
        Ok(())
    }

    /// Removes the copies that are not needed any more, the log before them, and the generations before this one.
    async fn prune(&self, generation: &Path) -> Result<(), ServerError> {
        let mut kept = copies(generation)?;
        let surplus = kept.len().saturating_sub(COPIES_KEPT);
        for (_, copy) in kept.drain(..surplus) {
            remove(&copy)?;
        }
        if let Some((_, oldest)) = kept.first()
            && let Some(segment) = first_segment(oldest)
        {
            let mut command = self.account.command(&self.programs.path("pg_archivecleanup"));
            command.arg(generation.join("log")).arg(segment);
            run(command, "remove log that is not needed any more").await?;
        }
        if kept.len() < COPIES_KEPT {
            // Until there are enough of this generation, what was before is worth keeping.
            return Ok(());
        }
        for former in generations(&self.folder)? {
            if former != generation {
                remove(&former)?;
            }
        }
        Ok(())
    }

    /// One of the server's clients, with what it needs to connect.
    fn program(&self, name: &str) -> Command {
        let mut command = self.account.command(&self.programs.path(name));
        command
            .arg("--host")
            .arg(&self.access.socket)
            .args([
                "--port",
                &PORT.to_string(),
                "--username",
                ADMINISTRATOR,
                "--no-password",
            ])
            .stdout(Stdio::null());
        command
    }
}

/// The state of the slot, if there is one. Who holds it by now, of a Homeward that was killed, gives it back.
async fn slot(connection: &mut PgConnection) -> Result<Option<String>, ServerError> {
    let failed = |source| sql("look what it keeps for the second copy", source);
    let release = "SELECT pg_terminate_backend(active_pid, 5000)
        FROM pg_replication_slots WHERE slot_name = $1 AND active";
    sqlx::query(release)
        .bind(SLOT)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    sqlx::query_scalar("SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1")
        .bind(SLOT)
        .fetch_optional(connection)
        .await
        .map(|found: Option<Option<String>>| found.map(Option::unwrap_or_default))
        .map_err(failed)
}

/// Where a restore begins and what it goes by.
pub(super) struct Source {
    /// The copy to begin with.
    pub(super) copy: PathBuf,
    /// The folder of the log that follows it.
    pub(super) log: PathBuf,
    /// When a newer generation began that has no copy yet: what was committed since is out of reach.
    pub(super) unreached: Option<DateTime<Utc>>,
}

/// The source of a restore to this moment, or to the end of the log.
pub(super) fn find(folder: &Path, until: Option<DateTime<Utc>>) -> Result<Option<Source>, ServerError> {
    let mut unreached = None;
    for (began, generation) in of_a_time(folder, "")?.into_iter().rev() {
        let before = |(at, _): &(DateTime<Utc>, PathBuf)| until.is_none_or(|until| *at < until);
        if let Some((_, copy)) = copies(&generation)?.into_iter().rev().find(before) {
            let log = generation.join("log");
            return Ok(Some(Source { copy, log, unreached }));
        }
        if until.is_none_or(|until| began < until) {
            unreached = Some(began);
        }
    }
    Ok(None)
}

/// The generations, the oldest first.
fn generations(folder: &Path) -> Result<Vec<PathBuf>, ServerError> {
    Ok(of_a_time(folder, "")?.into_iter().map(|(_, path)| path).collect())
}

/// The copies of a generation that are whole, the oldest first.
fn copies(generation: &Path) -> Result<Vec<(DateTime<Utc>, PathBuf)>, ServerError> {
    of_a_time(generation, COPY_PREFIX)
}

/// What is in a folder and named by a time, after this prefix, in the order of times.
fn of_a_time(folder: &Path, prefix: &str) -> Result<Vec<(DateTime<Utc>, PathBuf)>, ServerError> {
    let entries = fs::read_dir(folder).map_err(|source| ServerError::folder("list", folder, source))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| ServerError::folder("list", folder, source))?;
        let name = entry.file_name();
        let time = name.to_str().and_then(|name| name.strip_prefix(prefix));
        if let Some(Ok(time)) = time.map(|time| NaiveDateTime::parse_from_str(time, TIME_FORMAT)) {
            found.push((time.and_utc(), entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The first segment of the log that a copy needs.
fn first_segment(copy: &Path) -> Option<String> {
    let label = fs::read_to_string(copy.join("backup_label")).ok()?;
    let (_, segment) = label.lines().next()?.split_once("(file ")?;
    Some(segment.trim_end_matches(')').to_owned())
}

/// Whether a copy was begun not long ago that did not become whole.
fn failed_just_now(generation: &Path) -> bool {
    let begun = fs::metadata(generation.join(BEGUN)).and_then(|marker| marker.modified());
    begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|since| since < COPY_AGAIN))
}

fn remove(folder: &Path) -> Result<(), ServerError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ServerError::folder("remove", folder, source))
        }
        _ => Ok(()),
    }
}

fn sql(operation: &'static str, source: sqlx::Error) -> ServerError {
    ServerError::Sql { operation, source }
}
