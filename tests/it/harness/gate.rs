//! Keeping the server from committing, for as long as a test wants.

use std::str::FromStr;

use homeward_store::testing::TEST_DATABASE_URL;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres};

use super::eventually;
use super::server::Server;

/// The gate's lock, held exclusively: no lane gets into a transaction.
pub(crate) struct HeldGate {
    holder: PoolConnection<Postgres>,
    pool: PgPool,
}

impl Server {
    /// Closes the gate through which every writer of readings goes. Waits for those that are inside.
    pub(crate) async fn hold_gate(&self) -> HeldGate {
        let mut holder = self.pool.acquire().await.unwrap();
        sqlx::query("SELECT pg_advisory_lock(7462, 1)")
            .execute(&mut *holder)
            .await
            .unwrap();
        HeldGate {
            holder,
            pool: self.pool.clone(),
        }
    }

    /// Waits until a lane stands before the gate with messages in its hands. Answers the server's database
    /// connections that do.
    pub(crate) async fn lanes_at_gate(&self) -> Vec<i32> {
        waiting(&self.pool).await
    }
}

impl HeldGate {
    /// Waits until a lane stands before the gate with messages in its hands.
    pub(crate) async fn lane_waits(&self) {
        waiting(&self.pool).await;
    }

    /// Opens the gate.
    pub(crate) async fn release(self) {
        // Not back into the pool: whatever else the connection holds goes with it.
        self.holder.detach().close().await.unwrap();
    }
}

/// A database that lets nobody in.
pub(crate) struct LostDatabase {
    name: String,
    maintenance: PgConnection,
}

impl Server {
    /// Ends every connection to the database and lets no new one in.
    pub(crate) async fn lose_database(&self) -> LostDatabase {
        let url = std::env::var(TEST_DATABASE_URL).unwrap();
        let options = PgConnectOptions::from_str(&url).unwrap();
        let mut maintenance = PgConnection::connect_with(&options).await.unwrap();
        let name: String = sqlx::query_scalar("SELECT current_database()")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        allow_connections(&mut maintenance, &name, false).await;
        sqlx::query("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1")
            .bind(&name)
            .execute(&mut maintenance)
            .await
            .unwrap();
        LostDatabase { name, maintenance }
    }
}

impl LostDatabase {
    /// Lets connections in again.
    pub(crate) async fn bring_back(mut self) {
        allow_connections(&mut self.maintenance, &self.name, true).await;
        self.maintenance.close().await.unwrap();
    }
}

async fn allow_connections(maintenance: &mut PgConnection, name: &str, allow: bool) {
    let change = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {allow}");
    sqlx::query(AssertSqlSafe(change))
        .execute(maintenance)
        .await
        .unwrap();
}

async fn waiting(pool: &PgPool) -> Vec<i32> {
    eventually("a lane waits at the gate", async || {
        let pids: Vec<i32> = sqlx::query_scalar(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 7462 AND objid = 1
                 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        (!pids.is_empty()).then_some(pids)
    })
    .await
}
