//! The operating-system account that the server runs as.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tokio::process::Command;

use super::ServerError;

/// Who runs the server in root's place. The server packages of every distribution make this user.
const SERVER_USER: &str = "postgres";

/// An account of this machine.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether this process is root and becomes the account for what it does with the server.
    switch: bool,
}

impl Account {
    /// The account of this process.
    pub(super) async fn current() -> Result<Self, ServerError> {
        let uid = read_output("id", &["-u"]).await?;
        Self::look_up(&uid).await
    }

    /// The account that runs the server for `self`, which is the account of this process: itself, except
    /// that PostgreSQL refuses to run as root. Root takes the owner of `home`, the server's folder, or
    /// the `postgres` user when there is no folder yet.
    pub(super) async fn for_server(&self, home: &Path) -> Result<Self, ServerError> {
        if self.uid != 0 {
            return Ok(self.clone());
        }
        let owner = match std::fs::metadata(home) {
            Ok(folder) if folder.uid() != 0 => folder.uid().to_string(),
            Ok(_) => SERVER_USER.to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => SERVER_USER.to_owned(),
            Err(source) => return Err(ServerError::folder("look at", home, source)),
        };
        let account = Self::look_up(&owner).await?;
        Ok(Self {
            switch: true,
            ..account
        })
    }

    /// A command that runs as this account, with none of the caller's `PG…` settings.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C.UTF-8").current_dir("/");
        if self.switch {
            // This also gives up root's supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether the account can reach and fill `folder`: it may lie below one that is closed to it.
    pub(super) async fn can_use(&self, folder: &Path) -> Result<bool, ServerError> {
        let mut command = self.command(Path::new("test"));
        let status = command
            .arg("-w")
            .arg(folder)
            .arg("-a")
            .arg("-x")
            .arg(folder)
            .status()
            .await;
        status
            .map(|status| status.success())
            .map_err(|source| ServerError::program("test", source))
    }

    /// Reads an account, given its name or number, from the system's user database.
    async fn look_up(user: &str) -> Result<Self, ServerError> {
        let line = read_output("getent", &["passwd", user]).await?;
        let fields: Vec<&str> = line.split(':').collect();
        if let [name, _, uid, gid, ..] = fields[..]
            && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
        {
            return Ok(Self {
                name: name.to_owned(),
                uid,
                gid,
                switch: false,
            });
        }
        Err(ServerError::NoAccount {
            user: user.to_owned(),
        })
    }
}

/// What a program prints; nothing when it fails, as `getent` does for what it does not find.
async fn read_output(program: &'static str, arguments: &[&str]) -> Result<String, ServerError> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.map_err(|source| ServerError::program(program, source))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
