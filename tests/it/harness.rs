//! What the end-to-end tests stand on.
//!
//! ```ignore
//! let database = TestDatabase::create().await;
//! let server = Server::start(&database).await;
//! let watch = server.enrol("watch").await;
//! let mut client = watch.connect(Version::V5).await;
//! let reason = client.upload(&watch.topic("readings"), upload(&[heart_rate(minutes_ago(1), 72)])).await;
//! assert_eq!(reason, STORED);
//! assert_eq!(server.readings(&watch).await.len(), 1);
//! ```
//!
//! Nothing here sleeps for a set time: everything waits for an event, up to [`PATIENCE`].

mod client;
mod device;
mod gate;
mod http;
mod packet;
mod record;
mod server;
mod witness;

use std::time::{Duration, Instant};

pub(crate) use homeward_store::testing::TestDatabase;

pub(crate) use self::client::Client;
pub(crate) use self::device::*;
pub(crate) use self::http::{Answer, ask_at, send_at};
pub(crate) use self::packet::*;
pub(crate) use self::record::*;
pub(crate) use self::server::Server;
pub(crate) use self::witness::Witness;

/// How long a test waits for an event. Far longer than anything takes, also on a machine that compiles.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often something is looked at again that does not announce itself.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until `look` answers something, and answers that.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "this did not happen: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Waits for what must come within [`PATIENCE`].
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("this did not happen: {what}"),
    }
}
