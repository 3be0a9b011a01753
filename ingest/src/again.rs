//! Messages that were refused, and that somebody wants tried once more.

use chrono::{DateTime, Utc};
use homeward_store::rejected::{Fault, forget_wish, note_replayed, wished_replays};
use homeward_store::{Error, PgPool};

use crate::entrance::{Entrance, NotTaken};
use crate::message::Outcome;

/// How many are loaded at once: each may have 64 KiB.
const AT_ONCE: i64 = 100;

/// Tries all that is to be tried once more, one after the other, and notes what became of each. One of which that is not
/// known is left for the next time, and the others get on; where the lanes have too much to do, all that is left is. To be
/// called every second or so.
pub async fn run_once(pool: &PgPool, entrance: &Entrance, now: DateTime<Utc>) -> Result<(), Error> {
    let mut tried = 0;
    loop {
        let connected = pool.acquire().await;
        let mut connection = connected.map_err(|source| Error::new("connect to the record", source))?;
        let wished = wished_replays(&mut connection, tried, AT_ONCE).await?;
        drop(connection);
        if wished.is_empty() {
            return Ok(());
        }
        for (message, by) in wished {
            tried = message.id;
            let replayed = entrance.replay(
                message.device,
                message.topic,
                message.payload,
                message.received_at,
            );
            match replayed.await {
                Ok(outcome) => note(pool, message.id, &outcome, &by, now).await?,
                Err(NotTaken::Unknown) => tracing::warn!(
                    rejected_message_id = message.id,
                    device_id = %message.device,
                    "what became of a message that was tried once more is not known; it is tried again"
                ),
                Err(NotTaken::Busy) => {
                    tracing::info!(
                        rejected_message_id = message.id,
                        "messages that are to be tried once more wait until there is room"
                    );
                    return Ok(());
                }
            }
        }
    }
}

/// Notes what became of a message. Should this fail, it is tried yet again, which stores nothing twice.
async fn note(pool: &PgPool, id: i64, outcome: &Outcome, by: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let left: Vec<Fault> = outcome.rejected.iter().map(Fault::from).collect();
    let failed = |source| Error::new("note what was tried once more", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    note_replayed(&mut transaction, id, &left, by, now).await?;
    forget_wish(&mut transaction, id).await?;
    transaction.commit().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use homeward_front::Introductions;
    use homeward_record::Clock;
    use homeward_store::testing::TestDatabase;
    use tokio::sync::mpsc;

    use super::*;
    use crate::Limits;
    use crate::broker::{Entry, Shared};
    use crate::delivery::{Delivery, Receipt};

    #[tokio::test]
    async fn one_whose_outcome_is_never_known_holds_up_no_other() {
        let database = TestDatabase::create().await;
        let pool = database.pool();
        sqlx::raw_sql(
            "INSERT INTO device (kind, secret_hash) VALUES ('cuff', sha256('secret'));
             INSERT INTO rejected_message (device_id, received_at, topic, payload, reasons, digest)
             SELECT 10001, '2026-11-26Z', '', sent::bytea, '[]', sha256(sent::bytea)
             FROM UNNEST(ARRAY['lost', 'a', 'b']) WITH ORDINALITY AS messages (sent, place) ORDER BY place;
             INSERT INTO replay_wish SELECT rejected_message_id, 'somebody' FROM rejected_message",
        )
        .execute(pool)
        .await
        .unwrap();
        let (deliver, mut deliveries) = mpsc::channel::<Delivery>(8);
        let entry = Entry {
            introductions: Introductions::new(false),
            device_certificates: false,
        };
        let shared = Shared::new(Limits::default(), entry, Clock::System, deliver);
        let entrance = Entrance::new(Arc::new(shared));
        let answer = async move {
            let mut seen = Vec::new();
            while let Some(delivery) = deliveries.recv().await {
                if let (Receipt::Caller(caller), true) = (delivery.receipt, delivery.payload != "lost") {
                    caller.try_send(Outcome::default()).unwrap();
                }
                seen.push(delivery.payload);
            }
            seen
        };
        let run = async move {
            run_once(pool, &entrance, Clock::System.now()).await.unwrap();
            drop(entrance);
        };
        let (seen, ()) = tokio::join!(answer, run);
        assert_eq!(seen, ["lost", "a", "b"]);
        let waiting: Vec<i64> = sqlx::query_scalar("SELECT rejected_message_id FROM replay_wish")
            .fetch_all(pool)
            .await
            .unwrap();
        assert_eq!(waiting, [1]);
    }
}
