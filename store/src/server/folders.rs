//! The server's files: where they are, whose they are, and which processes use them.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown, lchown, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::account::Account;
use super::{PORT, ServerError};

/// The longest path of a unix socket that the kernel takes, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// Where root's servers live whose account cannot reach the data folder.
const FALLBACK_FOLDER: &str = "/var/lib/homeward";

/// A log of this size is set aside at the next start, in place of the one before.
const MAX_LOG_BYTES: u64 = 10 * 1024 * 1024;

/// How much of the log goes into an error: the last dozen lines or so.
const LOG_TAIL_BYTES: u64 = 2_000;

/// Where the server's files are. All paths are absolute, and without links.
#[derive(Debug)]
pub(super) struct Folders {
    /// The folder that belongs to the server's account.
    home: PathBuf,
    /// The cluster.
    pub(super) data: PathBuf,
    /// The folder of the socket.
    pub(super) socket: PathBuf,
    /// The server's log.
    pub(super) log: PathBuf,
}

impl Folders {
    /// Makes sure that the folders exist and that `account` can use them. `home` need not exist.
    pub(super) async fn ensure(home: &Path, account: &Account) -> Result<Self, ServerError> {
        if fs::symlink_metadata(home).is_err() {
            make_home(home, account).await?;
        }
        let home = fs::canonicalize(home).map_err(|source| ServerError::folder("find", home, source))?;
        if !account.can_use(&home).await? {
            return Err(ServerError::Unreachable {
                path: home,
                user: account.name.clone(),
            });
        }
        let socket = socket_folder(&home);
        make_private(&socket, account)?;
        Ok(Self {
            data: home.join("data"),
            log: home.join("server.log"),
            socket,
            home,
        })
    }

    /// Where a cluster is made before it is put into place, empty.
    pub(super) fn unfinished(&self) -> Result<PathBuf, ServerError> {
        let unfinished = self.home.join("data.unfinished");
        match fs::remove_dir_all(&unfinished) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ServerError::folder("remove", &unfinished, source))
            }
            _ => Ok(unfinished),
        }
    }

    /// The PostgreSQL release that made the cluster; `None` when there is no cluster yet.
    pub(super) fn release(&self) -> Result<Option<u32>, ServerError> {
        let path = self.data.join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(release) => {
                let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
                let release = release.trim().parse().map_err(invalid);
                release
                    .map(Some)
                    .map_err(|source| ServerError::folder("understand", &path, source))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.data.exists() => Ok(None),
            Err(source) => Err(ServerError::folder("read", &path, source)),
        }
    }

    /// Replaces a settings file of the cluster as a whole, and says whether it was different.
    pub(super) fn write_settings(
        &self,
        name: &str,
        content: &str,
        account: &Account,
    ) -> Result<bool, ServerError> {
        let path = self.data.join(name);
        if fs::read(&path).is_ok_and(|present| present == content.as_bytes()) {
            return Ok(false);
        }
        let written = path.with_extension("new");
        let write = || {
            let _ = fs::remove_file(&written);
            let mut file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&written)?;
            fchown(&file, Some(account.uid), Some(account.gid))?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            fs::rename(&written, &path)
        };
        write()
            .map(|()| true)
            .map_err(|source| ServerError::folder("write", &path, source))
    }

    /// The process that `postmaster.pid` says runs the server. Stale when the server was killed; the
    /// number may then be another process's.
    pub(super) fn postmaster(&self) -> Option<u32> {
        let content = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        content.lines().next()?.trim().parse().ok()
    }

    /// Removes what a killed server left, by which PostgreSQL would take it for running when its process
    /// number has become another process's, or is not given back yet.
    pub(super) fn forget_killed(&self) -> Result<(), ServerError> {
        let socket = self.socket.join(socket_name());
        let socket_lock = self.socket.join(format!("{}.lock", socket_name()));
        for path in [self.data.join("postmaster.pid"), socket, socket_lock] {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(ServerError::folder("remove", &path, source));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The PostgreSQL processes that work in the cluster: all of a server's have it as their working
    /// folder.
    pub(super) fn processes(&self) -> Result<Vec<u32>, ServerError> {
        let all = fs::read_dir("/proc")
            .map_err(|source| ServerError::folder("list the processes in", Path::new("/proc"), source))?;
        let mut processes = Vec::new();
        for entry in all.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let process = entry.path();
            // A process may end between the two looks, and others' are closed to us.
            if fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == self.data)
                && fs::read(process.join("comm")).is_ok_and(|name| name.starts_with(b"postgres"))
            {
                processes.push(pid);
            }
        }
        Ok(processes)
    }

    /// Sets a long log aside, and returns where the next start's entries begin.
    pub(super) fn begin_log(&self) -> Result<u64, ServerError> {
        let bytes = fs::metadata(&self.log).map_or(0, |log| log.len());
        if bytes <= MAX_LOG_BYTES {
            return Ok(bytes);
        }
        fs::rename(&self.log, self.log.with_extension("log.1"))
            .map_err(|source| ServerError::folder("set aside", &self.log, source))?;
        Ok(0)
    }

    /// The end of the log, from `start` on at the earliest; empty when it cannot be read.
    pub(super) fn log_tail(&self, start: u64) -> String {
        let end = fs::metadata(&self.log).map_or(0, |log| log.len());
        self.log_since(start.max(end.saturating_sub(LOG_TAIL_BYTES)))
    }

    /// The log from `start` on; empty when it cannot be read.
    pub(super) fn log_since(&self, start: u64) -> String {
        let read = || {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(start))?;
            let mut rest = Vec::new();
            file.read_to_end(&mut rest)?;
            io::Result::Ok(String::from_utf8_lossy(&rest).into_owned())
        };
        read().unwrap_or_default()
    }
}

/// Makes the data folder if need be, and takes it for this process. Returns its path without links, and
/// the lock, which is released when the file is closed, however this process ends.
pub(super) fn lock(data_dir: &Path) -> Result<(PathBuf, File), ServerError> {
    fs::create_dir_all(data_dir).map_err(|source| ServerError::folder("create", data_dir, source))?;
    let data_dir =
        fs::canonicalize(data_dir).map_err(|source| ServerError::folder("find", data_dir, source))?;
    let path = data_dir.join("postgresql.lock");
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| ServerError::folder("open", &path, source))?;
    match lock.try_lock() {
        Ok(()) => Ok((data_dir, lock)),
        Err(TryLockError::WouldBlock) => Err(ServerError::InUse { path: data_dir }),
        Err(TryLockError::Error(source)) => Err(ServerError::folder("lock", &path, source)),
    }
}

/// Makes the server's folder, or a link to it where the account cannot reach the place itself.
async fn make_home(home: &Path, account: &Account) -> Result<(), ServerError> {
    make_private(home, account)?;
    if account.can_use(home).await? {
        return Ok(());
    }
    fs::remove_dir(home).map_err(|source| ServerError::folder("remove", home, source))?;
    let elsewhere = make_fallback(account)?;
    symlink(&elsewhere, home).map_err(|source| ServerError::folder("create", home, source))?;
    tracing::warn!(
        user = account.name,
        folder = %elsewhere.display(),
        "the user who runs PostgreSQL cannot reach the data folder; the database is kept elsewhere"
    );
    Ok(())
}

/// Makes a folder for a server where every account can reach it. It is never one that exists: what
/// another data folder's server left there is not this one's.
fn make_fallback(account: &Account) -> Result<PathBuf, ServerError> {
    let parent = Path::new(FALLBACK_FOLDER);
    fs::create_dir_all(parent).map_err(|source| ServerError::folder("create", parent, source))?;
    for number in 1_u32.. {
        let folder = parent.join(format!("postgresql-{number}"));
        if fs::symlink_metadata(&folder).is_err() {
            make_private(&folder, account)?;
            return Ok(folder);
        }
    }
    Err(ServerError::folder(
        "make a folder in",
        parent,
        io::ErrorKind::AlreadyExists.into(),
    ))
}

/// Makes a folder that only `account` (and root) can enter, or makes sure that an existing one is such.
pub(super) fn make_private(folder: &Path, account: &Account) -> Result<(), ServerError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => lchown(folder, Some(account.uid), Some(account.gid))
            .map_err(|source| ServerError::folder("hand over", folder, source)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A folder in /tmp may have been put there by somebody else.
            let found = fs::symlink_metadata(folder)
                .map_err(|source| ServerError::folder("look at", folder, source))?;
            if found.is_dir() && found.uid() == account.uid && found.mode() & 0o077 == 0 {
                return Ok(());
            }
            let source = io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "it is not a folder of the user {} that is closed to others",
                    account.name
                ),
            );
            Err(ServerError::folder("use", folder, source))
        }
        Err(source) => Err(ServerError::folder("create", folder, source)),
    }
}

/// Has what a folder lists reach the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), ServerError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| ServerError::folder("write", folder, source))
}

/// The name that PostgreSQL gives its socket.
fn socket_name() -> String {
    format!(".s.PGSQL.{PORT}")
}

/// The folder of the socket: in the server's own, unless the path would be too long for a socket.
pub(super) fn socket_folder(home: &Path) -> PathBuf {
    let folder = home.join("socket");
    let socket = folder.join(socket_name());
    if socket.as_os_str().len() <= MAX_SOCKET_PATH {
        return folder;
    }
    let hash = Sha256::digest(home.as_os_str().as_encoded_bytes());
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Path::new("/tmp").join(format!("homeward-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_moves_where_its_path_would_be_too_long() {
        assert_eq!(
            socket_folder(Path::new("/data/postgresql")),
            Path::new("/data/postgresql/socket")
        );
        let deep = PathBuf::from("/").join("d".repeat(90));
        let folder = socket_folder(&deep);
        assert!(folder.starts_with("/tmp"), "{}", folder.display());
        assert_eq!(folder, socket_folder(&deep), "every start finds the same folder");
        assert_ne!(folder, socket_folder(&deep.join("other")));
    }
}
