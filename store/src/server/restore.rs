//! Making a private server from the second copy of another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::account::Account;
use super::backup::Source;
use super::folders::Folders;
use super::install::Programs;
use super::{
    HOME, LocalServer, POLL_INTERVAL, ServerError, ServerOptions, backup, lock_patiently, run, settings,
};

/// By this file PostgreSQL knows that a copy has to be brought to a later moment, until that is done.
const SIGNAL: &str = "recovery.signal";

/// What the server's log says when the last change has been done again, before its time.
const LAST_CHANGE: &str = "last completed transaction was at log time ";

/// What a restore brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The copy that it began with.
    pub copy: PathBuf,
    /// When the last change was committed that was done again from the log, in the server's words; none if the log had
    /// nothing newer than the copy.
    pub until: Option<String>,
    /// Since when a newer second copy was begun that was not whole yet: what was committed after that is not here.
    pub unreached: Option<DateTime<Utc>>,
}

/// Makes the server of `data_dir`, which must have none, from the second copy in `folder`: as it was at `until`, or as
/// late as the log goes. `progress` hears from time to time how far it has come.
///
/// # Errors
///
/// When there is a record already, no copy, or the copy or the log cannot be used.
pub async fn restore(
    data_dir: &Path,
    folder: &Path,
    until: Option<DateTime<Utc>>,
    progress: impl Fn(&str),
) -> Result<Restored, ServerError> {
    let (data_dir, lock) = lock_patiently(data_dir).await?;
    let folder = fs::canonicalize(folder).map_err(|source| ServerError::NoBackupFolder {
        path: folder.to_owned(),
        source,
    })?;
    let home = data_dir.join(HOME);
    let current = Account::current().await?;
    let account = current.for_server(&home).await?;
    let folders = Folders::ensure(&home, &account).await?;
    if folders.data.exists() && !folders.data.join(SIGNAL).exists() {
        return Err(ServerError::Taken { path: folders.data });
    }
    let Some(Source { copy, log, unreached }) = backup::find(&folder, until)? else {
        return Err(ServerError::NoCopy { path: folder });
    };
    let release = fs::read_to_string(copy.join("PG_VERSION")).ok();
    let programs = Programs::find(release.and_then(|release| release.trim().parse().ok())).await?;
    let server = LocalServer {
        programs,
        account,
        folders,
        backup: None,
        lock: Some(lock),
    };

    if !server.folders.processes()?.is_empty() {
        // That of a restore whose Homeward was killed. When it ended by itself, it would take the new one's socket along.
        server.shut_down("immediate").await?;
    }
    progress(&format!("copying {}", copy.display()));
    server.put_into_place(&copy).await?;
    let options = ServerOptions::default();
    server.write_settings(&current, &options)?;
    let conf =
        settings::homeward_conf(&server.folders.socket, &options) + &settings::recovery_conf(&log, until);
    server
        .folders
        .write_settings("homeward.conf", &conf, &server.account)?;
    let said = server.replay(&progress).await?;
    server.write_settings(&current, &options)?;
    server.stop().await?;
    let until = said
        .lines()
        .find_map(|line| Some(line.split_once(LAST_CHANGE)?.1.trim().to_owned()));
    Ok(Restored {
        copy,
        until,
        unreached,
    })
}

impl LocalServer {
    /// Copies a copy to where the cluster belongs. What an interrupted restore left there is no record.
    async fn put_into_place(&self, copy: &Path) -> Result<(), ServerError> {
        let data = &self.folders.data;
        match fs::remove_dir_all(data) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(ServerError::folder("remove", data, source));
            }
            _ => {}
        }
        let unfinished = self.folders.unfinished()?;
        let mut command = self.account.command(Path::new("cp"));
        command
            .arg("--archive")
            .arg(copy)
            .arg(&unfinished)
            .kill_on_drop(true);
        run(command, "copy the copy").await?;
        let signal = unfinished.join(SIGNAL);
        let mut command = self.account.command(Path::new("touch"));
        command.arg(&signal);
        run(command, "say that it is a copy").await?;
        fs::rename(&unfinished, data).map_err(|source| ServerError::folder("put into place", data, source))
    }

    /// Starts the server and waits until it has done all again that the log says. Answers what it logged meanwhile.
    async fn replay(&self, progress: &impl Fn(&str)) -> Result<String, ServerError> {
        self.folders.forget_killed()?;
        let log_start = self.folders.begin_log()?;
        let mut command = self.pg_ctl("start");
        command.arg("--log").arg(&self.folders.log);
        let failed = || ServerError::Failed {
            operation: "bring the copy to that moment",
            output: self.folders.log_tail(log_start),
        };
        if let Err(error) = run(command, "start PostgreSQL").await {
            return Err(match error {
                ServerError::Failed { .. } => failed(),
                error => error,
            });
        }
        let mut told = String::new();
        // It lets nobody in before it is done.
        while self.connect("postgres").await.is_err() {
            if !self.is_running()? {
                return Err(failed());
            }
            let tail = self.folders.log_tail(log_start);
            if let Some((_, file)) = tail.rsplit_once("restored log file \"")
                && let Some((segment, _)) = file.split_once('"')
                && segment != told
            {
                progress(&format!("doing again what the log says: {segment}"));
                told = segment.to_owned();
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(self.folders.log_since(log_start))
    }
}
