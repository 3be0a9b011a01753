//! Messages that were refused, and that somebody wants tried once more.

use chrono::{DateTime, Utc};
use homeward_store::rejected::{Fault, forget_wish, note_replayed, wished_replays};
use homeward_store::{Error, PgPool};

use crate::entrance::Entrance;

/// How many are loaded at once: each may have 64 KiB.
const AT_ONCE: i64 = 100;

/// Tries all that is to be tried once more, one after the other, and notes what became of each. It stops where the lanes
/// have too much to do; what is left is for the next time. To be called every second or so.
pub async fn run_once(pool: &PgPool, entrance: &Entrance, now: DateTime<Utc>) -> Result<(), Error> {
    loop {
        let connected = pool.acquire().await;
        let mut connection = connected.map_err(|source| Error::new("connect to the record", source))?;
        let wished = wished_replays(&mut connection, AT_ONCE).await?;
        drop(connection);
        if wished.is_empty() {
            return Ok(());
        }
        for (message, by) in wished {
            let tried = entrance.replay(
                message.device,
                message.topic,
                message.payload,
                message.received_at,
            );
            let Ok(outcome) = tried.await else {
                return Ok(());
            };
            let left: Vec<Fault> = outcome.rejected.iter().map(Fault::from).collect();
            // Should this fail, it is tried yet again, which stores nothing twice.
            let failed = |source| Error::new("note what was tried once more", source);
            let mut transaction = pool.begin().await.map_err(failed)?;
            note_replayed(&mut transaction, message.id, &left, &by, now).await?;
            forget_wish(&mut transaction, message.id).await?;
            transaction.commit().await.map_err(failed)?;
        }
    }
}
