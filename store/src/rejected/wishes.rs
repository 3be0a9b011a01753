//! Rejected messages that somebody at the command line wants tried once more, by the process that takes readings.

use homeward_record::DeviceId;
use sqlx::PgConnection;

use super::KeptMessage;
use crate::Error;

/// Notes that somebody wants these messages tried once more. What is wanted already goes on to be.
pub async fn wish_replays(connection: &mut PgConnection, ids: &[i64], by: &str) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO replay_wish (rejected_message_id, wished_by) SELECT UNNEST($1::bigint[]), $2
         ON CONFLICT DO NOTHING",
        ids,
        by
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("ask for messages to be tried once more", source))?;
    Ok(())
}

/// The first messages after this one that are to be tried once more, each with who wants it; at most `limit` of them.
pub async fn wished_replays(
    connection: &mut PgConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<(KeptMessage, String)>, Error> {
    let rows = sqlx::query!(
        "SELECT rejected_message_id, device_id, received_at, topic, payload, wished_by
         FROM replay_wish JOIN rejected_message USING (rejected_message_id)
         WHERE rejected_message_id > $1 ORDER BY rejected_message_id LIMIT $2",
        after,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("look for messages that are to be tried once more", source))?;
    let wished = rows.into_iter().map(|row| {
        let message = KeptMessage {
            id: row.rejected_message_id,
            device: DeviceId(row.device_id),
            received_at: row.received_at,
            topic: row.topic,
            payload: row.payload,
        };
        (message, row.wished_by)
    });
    Ok(wished.collect())
}

/// Forgets that a message was to be tried once more: it was.
pub async fn forget_wish(connection: &mut PgConnection, id: i64) -> Result<(), Error> {
    sqlx::query!("DELETE FROM replay_wish WHERE rejected_message_id = $1", id)
        .execute(connection)
        .await
        .map_err(|source| Error::new("forget that a message was to be tried once more", source))?;
    Ok(())
}

/// How many of these messages nobody has tried once more yet.
pub async fn count_wishes(connection: &mut PgConnection, ids: &[i64]) -> Result<usize, Error> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM replay_wish WHERE rejected_message_id = ANY ($1)"#,
        ids
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("count messages that are to be tried once more", source))?;
    Ok(usize::try_from(count).unwrap_or(0))
}
