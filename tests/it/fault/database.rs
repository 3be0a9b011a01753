//! A database server of the test's own, which it may stop.

use std::os::unix::fs::PermissionsExt;

use homeward_store::PgPool;
use homeward_store::server::{LocalServer, ServerOptions};
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server};

/// Nothing survives the machine's end here, so nothing has to reach its disk; what a server writes outlives
/// the server's own end all the same.
const OPTIONS: ServerOptions = ServerOptions {
    backup: None,
    fsync: false,
    max_background_workers: 0,
    max_connections: 60,
};

/// Connections of the test itself.
const POOL_SIZE: u32 = 6;

/// A PostgreSQL server in a folder of its own.
pub(crate) struct PrivateDatabase {
    /// None while it is stopped.
    server: Option<LocalServer>,
    url: String,
    pool: PgPool,
    folder: TempDir,
}

impl PrivateDatabase {
    pub(crate) async fn start() -> PrivateDatabase {
        // In /tmp, and open to the postgres user where the tests run as root.
        let folder = tempfile::Builder::new()
            .prefix("homeward-fault-")
            .tempdir_in("/tmp")
            .unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let server = LocalServer::start(folder.path(), OPTIONS).await.unwrap();
        let url = server.database_url("homeward");
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .acquire_timeout(PATIENCE)
            .connect_lazy(&url)
            .unwrap();
        PrivateDatabase {
            server: Some(server),
            url,
            pool,
            folder,
        }
    }

    /// Starts the process on this database.
    pub(crate) async fn serve(&self, settings: &[(&str, &str)]) -> Server {
        Server::start_on(&self.url, self.pool.clone(), settings).await
    }

    /// Stops as it is told to: whoever is connected is thrown out, and what is under way is rolled back.
    pub(crate) async fn stop(&mut self) {
        let server = self.server.take().expect("it runs");
        server.stop().await.unwrap();
    }

    /// Stops as a crash does.
    pub(crate) async fn crash(&mut self) {
        let server = self.server.take().expect("it runs");
        server.stop_immediately().await.unwrap();
    }

    /// Starts it again.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.server.is_none(), "it runs");
        self.server = Some(LocalServer::start(self.folder.path(), OPTIONS).await.unwrap());
    }

    /// Stops it for good.
    pub(crate) async fn close(mut self) {
        self.pool.close().await;
        self.stop().await;
    }
}
