//! Finding the PostgreSQL server programs that are installed on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::ServerError;

/// The oldest PostgreSQL release that Homeward works with.
const MIN_MAJOR: u32 = 15;

/// Where distributions put server programs, one folder a release.
const RELEASE_FOLDERS: [(&str, &str, &str); 2] =
    [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin")];

/// The programs of one installed PostgreSQL release.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds the newest release that has TimescaleDB, or the release `major` when the data folder was
    /// made by that one: a release does not read another's data.
    pub(super) async fn find(major: Option<u32>) -> Result<Self, ServerError> {
        let mut newest: Option<(u32, Self)> = None;
        for folder in candidate_folders().await {
            let programs = Self { folder };
            let Some(release) = programs.usable_release().await else {
                continue;
            };
            let wanted = major.map_or(release >= MIN_MAJOR, |major| release == major);
            if wanted && newest.as_ref().is_none_or(|(found, _)| release > *found) {
                newest = Some((release, programs));
            }
        }
        match (newest, major) {
            (Some((_, programs)), _) => Ok(programs),
            (None, None) => Err(ServerError::NotInstalled { minimum: MIN_MAJOR }),
            (None, Some(major)) => Err(ServerError::ReleaseNotInstalled { major }),
        }
    }

    /// The path of a program.
    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// The release, if all that is needed is there: the server programs, and TimescaleDB for it.
    async fn usable_release(&self) -> Option<u32> {
        for program in ["initdb", "pg_ctl", "postgres"] {
            if !self.path(program).is_file() {
                return None;
            }
        }
        let version = output_of(&self.path("postgres"), "--version").await?;
        let share = output_of(&self.path("pg_config"), "--sharedir").await?;
        let has_timescaledb = Path::new(&share).join("extension/timescaledb.control").is_file();
        has_timescaledb.then(|| release_in(&version))?
    }
}

/// Folders that may hold server programs: the usual places, and what `pg_config` and PATH say.
async fn candidate_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (parent, prefix, suffix) in RELEASE_FOLDERS {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        let releases = entries.flatten().filter(|entry| {
            entry
                .file_name()
                .to_str()
                .and_then(|name| name.strip_prefix(prefix))
                .is_some_and(|release| release.parse::<u32>().is_ok())
        });
        folders.extend(releases.map(|entry| entry.path().join(suffix)));
    }
    if let Some(folder) = output_of(Path::new("pg_config"), "--bindir").await {
        folders.push(PathBuf::from(folder));
    }
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path).filter(|folder| folder.join("postgres").is_file()));
    }
    folders
}

/// What a program prints when asked `argument`, or `None` when it cannot be run or fails.
async fn output_of(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program)
        .arg(argument)
        .stderr(Stdio::null())
        .output()
        .await
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The release in a line such as `postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)`.
fn release_in(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    number
        .split(|character: char| !character.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_releases() {
        for (line, release) in [
            ("postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)", Some(15)),
            ("postgres (PostgreSQL) 17.5", Some(17)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres", None),
        ] {
            assert_eq!(release_in(line), release, "{line}");
        }
    }
}
