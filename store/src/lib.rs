//! The patient record in TimescaleDB.
//!
//! All SQL of Homeward lives in this crate. Functions take a connection, and the caller owns the
//! transaction; a function that spans several statements says what its transaction must guarantee.

mod error;
mod gate;
mod judged;
mod probe;
mod readings;
mod rules;
mod schema;

pub mod access;
pub mod accounts;
pub mod admin;
pub mod alerts;
pub mod assigned;
pub mod audit;
pub mod break_glass;
pub mod choices;
pub mod corrections;
pub mod devices;
pub mod episodes;
pub mod exports;
pub mod health;
pub mod history;
pub mod idempotency;
pub mod notes;
pub mod observations;
pub mod opt_out;
pub mod outbox;
pub mod passport;
pub mod patients;
pub mod plans;
pub mod posted;
pub mod practice;
pub mod rejected;
pub mod replay;
pub mod research;
pub mod retention;
pub mod rollup;
pub mod secrets;
pub mod server;
pub mod sessions;
pub mod shares;
pub mod silence;
pub mod steps;
pub mod summary;
pub mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tokens;
pub mod trends;

use std::time::Duration;

pub use error::{Error, Fault, fault_of};
pub use gate::{Gate, GateChanges};
pub use homeward_record::Point;
pub use judged::{
    EpisodeFacts, EpisodeWrite, JudgedEpisode, Marked, Touchable, load_touchable, write_episodes,
};
pub use probe::probe;
pub use readings::{BatchRow, insert_batch, mark_dirty};
pub use rejected::{RejectedMessage, insert_rejected};
pub use rules::{
    OpenSilence, Plan, PlanRule, RuleVersion, Span, StoredReading, load_plans, load_spans, save_plan_states,
};
pub use schema::schema_is_current;
pub use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// How long a caller waits for a free connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How every connection behaves when the other side falls silent: a database host that vanishes without a
/// word is noticed in about a minute, and so is, by the database, a Homeward that vanishes in a transaction.
const SILENCE: [(&str, &str); 5] = [
    ("idle_in_transaction_session_timeout", "60s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "60s"),
];

/// Statements here are short: to compile one, which PostgreSQL does to those that it takes for long, can take seconds.
const SHORT_STATEMENTS: [(&str, &str); 1] = [("jit", "off")];

/// What makes a connection one of requests: its role, and that `reading` is the view of what the role may see.
const REQUESTS: [(&str, &str); 2] = [("role", "homeward_api"), ("search_path", "request,public")];

/// Opens a pool of at most `size` connections. Connects when first used, so that it also succeeds while
/// the database is away.
pub fn connect(database_url: &str, size: u32) -> Result<PgPool, Error> {
    Ok(pool(options(database_url)?, size))
}

/// The same for what answers people's and programs' requests: its connections have the role `homeward_api`, and so
/// see only whom [`access::act_as`] lets them see. Before that, nobody.
pub fn connect_for_requests(database_url: &str, size: u32) -> Result<PgPool, Error> {
    Ok(pool(options(database_url)?.options(REQUESTS), size))
}

fn options(database_url: &str) -> Result<PgConnectOptions, Error> {
    let options = database_url.parse::<PgConnectOptions>();
    let options = options.map_err(|source| Error::new("read the database URL", source))?;
    Ok(options.options(SILENCE).options(SHORT_STATEMENTS))
}

fn pool(options: PgConnectOptions, size: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options)
}

/// Brings the schema to this version. Forward only, and safe when several processes start at once.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    sqlx::migrate!().run(pool).await
}

/// The version of the schema to which [`migrate`] brings the database.
pub fn schema_version() -> i64 {
    sqlx::migrate!()
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}
