//! What can go wrong with a private server.

use std::io;
use std::path::{Path, PathBuf};

use super::PATIENCE;

/// What went wrong with a private server. Each says what was tried.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No PostgreSQL with TimescaleDB is installed.
    #[error(
        "found no PostgreSQL server, release {minimum} or newer, with TimescaleDB on this machine: run \
         scripts/setup.sh, or install PostgreSQL and its TimescaleDB extension, or set DATABASE_URL"
    )]
    NotInstalled {
        /// The oldest release that will do.
        minimum: u32,
    },
    /// The data folder was made by a release that is not installed, or no longer with TimescaleDB.
    #[error(
        "the data folder was made by PostgreSQL {major}, which is not installed with TimescaleDB: install \
         both, or convert the data with pg_upgrade"
    )]
    ReleaseNotInstalled {
        /// The release that made the data folder.
        major: u32,
    },
    /// Another Homeward uses the data folder.
    #[error("another Homeward is running with the data folder {}", path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// An account that the server needs does not exist.
    #[error("this machine has no user {user}; PostgreSQL needs a user with a name who is not root")]
    NoAccount {
        /// The name or number that was looked for.
        user: String,
    },
    /// The account that runs the server cannot use its folder.
    #[error(
        "the user {user}, who runs PostgreSQL, cannot use {}: it, or a folder above it, is closed to them",
        path.display()
    )]
    Unreachable {
        /// The server's folder.
        path: PathBuf,
        /// The account's name.
        user: String,
    },
    /// A file or folder could not be used.
    #[error("could not {operation} {}", path.display())]
    Folder {
        /// What was tried.
        operation: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program could not be run.
    #[error("could not run {}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A server program failed.
    #[error("could not {operation}; PostgreSQL says:\n{output}")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// What the program and the end of the server's log say.
        output: String,
    },
    /// The folder of the second copy is not there.
    #[error("the backup folder {} is not there: is its disk mounted?", path.display())]
    NoBackupFolder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A restore would put another record in the place of one.
    #[error("there is a record in {} already: move it away before another one is put there", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// There is no copy to begin with.
    #[error("there is no copy of a record in {} that is whole and old enough", path.display())]
    NoCopy {
        /// The backup folder.
        path: PathBuf,
    },
    /// A server that runs in the data folder neither lets us in nor goes away.
    #[error(
        "the PostgreSQL server in the data folder was not ready within {} seconds; its log is {}",
        PATIENCE.as_secs(),
        log.display()
    )]
    NotReady {
        /// The server's log.
        log: PathBuf,
    },
    /// The running server refused what was asked.
    #[error("the private PostgreSQL server could not {operation}")]
    Sql {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: sqlx::Error,
    },
}

impl ServerError {
    pub(super) fn folder(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Folder {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn program(program: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Program {
            program: program.into(),
            source,
        }
    }
}
