//! Where a demo keeps its record.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use homeward_store::server::{LocalServer, ServerOptions};

/// How the temporary folders begin; the number of the process follows.
const PREFIX: &str = "homeward-demo-";

/// Others may pass through, since the server below may run as another user, and see nothing.
const MODE: u32 = 0o711;

/// The data folder of a demo.
pub(super) enum Folder {
    /// The user's own, which stays.
    Kept(PathBuf),
    /// One that goes with the demo.
    Temporary(PathBuf),
}

impl Folder {
    /// The folder that the user named, or a temporary one.
    pub(super) async fn open(named: Option<PathBuf>) -> Result<Folder> {
        if let Some(path) = named {
            return Ok(Folder::Kept(path));
        }
        let path = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        let create = || DirBuilder::new().mode(MODE).create(&path);
        let created = match create() {
            // Of a process that had the same number.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                remove_abandoned(&path).await;
                create()
            }
            created => created,
        };
        created.with_context(|| format!("could not create {}", path.display()))?;
        remove_all_abandoned(&path).await;
        Ok(Folder::Temporary(path))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Folder::Kept(path) | Folder::Temporary(path) => path,
        }
    }

    /// Removes a temporary folder. Its server must be stopped.
    pub(super) fn close(self) -> Result<()> {
        match self {
            Folder::Kept(_) => Ok(()),
            Folder::Temporary(path) => {
                fs::remove_dir_all(&path).with_context(|| format!("could not remove {}", path.display()))
            }
        }
    }
}

/// Removes what demos left that were killed and could not clean up, with the servers that may still run there.
/// `own` is this demo's folder.
async fn remove_all_abandoned(own: &Path) {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    let Ok(user) = fs::metadata(own).map(|own| own.uid()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|pid| pid.parse::<u32>().ok());
        let Some(process) = process else { continue };
        // Anybody can put a folder or a link of this name into the folder for temporary files.
        let ours = entry
            .metadata()
            .is_ok_and(|found| found.is_dir() && found.uid() == user);
        if ours && entry.path() != own && !Path::new("/proc").join(process.to_string()).exists() {
            remove_abandoned(&entry.path()).await;
        }
    }
}

async fn remove_abandoned(path: &Path) {
    let removed = async {
        // A server that still runs is taken over by a start, and so can be stopped.
        if path.join("postgresql/data/postmaster.pid").exists() {
            LocalServer::start(path, ServerOptions::default())
                .await?
                .stop_immediately()
                .await?;
        }
        anyhow::Ok(fs::remove_dir_all(path)?)
    };
    if let Err(error) = removed.await {
        let error = crate::explain::explain(&error);
        tracing::warn!(folder = %path.display(), error, "could not remove what a killed demo left");
    }
}
