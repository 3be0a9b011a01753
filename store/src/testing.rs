//! Test databases: each test gets an empty, migrated database of its own.
//!
//! Migrating takes seconds, cloning a migrated template a tenth of one. So the first test that runs
//! against a server migrates a template, named after the hash of the migrations, and all others clone it.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};

/// The environment variable that names the test server: a URL to its maintenance database, by a role
/// that may create databases.
pub const TEST_DATABASE_URL: &str = "HOMEWARD_TEST_DATABASE_URL";

/// A key of PostgreSQL's advisory locks: whoever holds it may create or replace the template.
const TEMPLATE_LOCK: i64 = 0x686f_6d65_7761_7264;

/// Enough for what one test does at once, few enough that tests in parallel stay within the server's 200.
const POOL_SIZE: u32 = 8;

/// A machine that also compiles may be slow to answer; a test that waits longer than this hangs.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// A database of one test. It is dropped with the value, or by [`TestDatabase::close`].
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    options: PgConnectOptions,
    maintenance: PgConnectOptions,
    pool: PgPool,
    dropped: bool,
}

impl TestDatabase {
    /// Creates an empty, migrated database.
    ///
    /// # Panics
    ///
    /// When `HOMEWARD_TEST_DATABASE_URL` is not set, or its server does not do what is asked.
    pub async fn create() -> Self {
        let Ok(url) = std::env::var(TEST_DATABASE_URL) else {
            panic!(
                "{TEST_DATABASE_URL} is not set, so there is no database to test with. Run `make test`, or \
                 `scripts/with-postgres.sh cargo test -p …`."
            );
        };
        let maintenance = PgConnectOptions::from_str(&url)
            .unwrap_or_else(|error| panic!("{TEST_DATABASE_URL} is not a database URL: {error}"));
        let mut connection = PgConnection::connect_with(&maintenance)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to the server of {TEST_DATABASE_URL}: {error}"));

        let template = ensure_template(&mut connection, &maintenance).await;
        let name = unique_name();
        execute(
            &mut connection,
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await;
        // The server would drop the connection of a vanished client too, only later.
        let _ = connection.close().await;

        let options = maintenance.clone().database(&name);
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.clone());
        Self {
            name,
            options,
            maintenance,
            pool,
            dropped: false,
        }
    }

    /// The database's URL, for a process or a pool of the test's own.
    pub fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    /// A pool of connections to the database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A pool of connections that see only whom a request lets them see, as the interface has.
    pub fn pool_for_requests(&self) -> PgPool {
        let options = self.options.clone().options(crate::REQUESTS);
        PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options)
    }

    /// Closes the pool and drops the database, whoever is still connected to it.
    pub async fn close(mut self) {
        self.pool.close().await;
        drop_database(&self.maintenance, &self.name).await;
        self.dropped = true;
    }
}

impl Drop for TestDatabase {
    /// Hundreds of tests would otherwise fill the disk. A test drops its database in the middle of its
    /// runtime, where nothing can be awaited, so a thread with a runtime of its own does it.
    fn drop(&mut self) {
        if self.dropped {
            return;
        }
        let (maintenance, name) = (self.maintenance.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(drop_database(&maintenance, &name));
            }
        });
        let _ = dropping.join();
    }
}

/// Makes sure that the template of the present migrations exists, and returns its name.
async fn ensure_template(connection: &mut PgConnection, maintenance: &PgConnectOptions) -> String {
    let template = format!("homeward_template_{}", migrations_hash());
    if exists(connection, &template).await {
        return template;
    }
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *connection)
        .await
        .expect("PostgreSQL grants an advisory lock");
    if !exists(connection, &template).await {
        // Only a finished template gets the name that others look for.
        let unfinished = format!("{template}_unfinished");
        execute(
            connection,
            format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)"),
        )
        .await;
        execute(connection, format!("CREATE DATABASE {unfinished}")).await;
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(maintenance.clone().database(&unfinished));
        crate::migrate(&pool)
            .await
            .unwrap_or_else(|error| panic!("the migrations fail: {error}"));
        pool.close().await;
        execute(
            connection,
            format!("ALTER DATABASE {unfinished} RENAME TO {template}"),
        )
        .await;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *connection)
        .await
        .expect("PostgreSQL releases an advisory lock");
    template
}

/// A short hash of what the migrations do.
fn migrations_hash() -> String {
    let mut hash = Sha256::new();
    for migration in sqlx::migrate!().iter() {
        hash.update(migration.version.to_be_bytes());
        hash.update(&migration.checksum);
    }
    hash.finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A name that no database has, had, or will have.
fn unique_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let nanoseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_nanos());
    let process = std::process::id();
    format!(
        "homeward_test_{process}_{nanoseconds}_{}",
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

async fn exists(connection: &mut PgConnection, database: &str) -> bool {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(database)
        .fetch_one(connection)
        .await
        .expect("PostgreSQL lists its databases")
}

/// Runs a statement that takes no parameters because it names a database. All names are made here.
async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement.clone()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Drops a database as well as it can: what is left goes with the test server.
async fn drop_database(maintenance: &PgConnectOptions, name: &str) {
    if let Ok(mut connection) = PgConnection::connect_with(maintenance).await {
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let _ = sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await;
        let _ = connection.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_test_database_is_migrated_its_own_and_gone_afterwards() {
        let (one, other) = tokio::join!(TestDatabase::create(), TestDatabase::create());
        sqlx::query("CREATE TABLE only_here ()")
            .execute(one.pool())
            .await
            .unwrap();
        let (tables, foreign): (i64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE relname = 'reading' AND relkind = 'r'), count(*) FILTER (WHERE relname = 'only_here')
             FROM pg_class",
        )
        .fetch_one(other.pool())
        .await
        .unwrap();
        assert_eq!((tables, foreign), (1, 0));

        let mut maintenance = PgConnection::connect_with(&one.maintenance).await.unwrap();
        let (closed, dropped) = (one.name.clone(), other.name.clone());
        one.close().await;
        drop(other);
        assert!(!exists(&mut maintenance, &closed).await);
        assert!(!exists(&mut maintenance, &dropped).await);
    }

    #[tokio::test]
    async fn the_url_leads_to_the_same_database() {
        let database = TestDatabase::create().await;
        let mut connection = PgConnection::connect(&database.url()).await.unwrap();
        let name: String = sqlx::query_scalar("SELECT current_database()")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(name, database.name);
    }
}
