//! Messages of which a part or the whole could not be stored: kept with all bytes and the reasons, and taken to the lanes
//! once more when what was wrong has been set right.

mod wishes;

use chrono::{DateTime, Utc};
use homeward_record::DeviceId;
use homeward_record::decode::{Reason, Rejection};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::Error;

pub use wishes::{count_wishes, forget_wish, wish_replays, wished_replays};

/// A message of which a part or the whole was refused.
#[derive(Clone, Debug)]
pub struct RejectedMessage<'a> {
    /// What sent it.
    pub device: DeviceId,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// The topic, as it was sent.
    pub topic: &'a str,
    /// All of its bytes.
    pub payload: &'a [u8],
    /// The reasons: an array of [`homeward_record::decode::Rejection`].
    pub reasons: serde_json::Value,
}

/// Keeps rejected messages. Of one that is kept already, as another part of it was refused too, the reasons are added; one
/// that was sent again changes nothing: its reasons would never end if they name when it came.
pub async fn insert_rejected(
    connection: &mut PgConnection,
    messages: &[RejectedMessage<'_>],
) -> Result<(), Error> {
    for message in messages {
        let digest = Sha256::new()
            .chain_update(message.topic)
            .chain_update([0])
            .chain_update(message.payload)
            .finalize();
        sqlx::query!(
            "INSERT INTO rejected_message (device_id, received_at, topic, payload, reasons, digest)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (device_id, digest) DO UPDATE SET reasons = rejected_message.reasons || excluded.reasons
             WHERE rejected_message.received_at = excluded.received_at
                 AND NOT rejected_message.reasons @> excluded.reasons",
            message.device.0,
            message.received_at,
            message.topic,
            message.payload,
            message.reasons,
            digest.as_slice(),
        )
        .execute(&mut *connection)
        .await
        .map_err(|source| Error::new("keep a rejected message", source))?;
    }
    Ok(())
}

/// What was wrong with a message, and where: what is known of it without the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Position of the measurement in the message, from 0; absent where the whole message was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// What kind of fault it is.
    pub reason: Reason,
}

impl From<&Rejection> for Fault {
    fn from(rejection: &Rejection) -> Fault {
        Fault {
            index: rejection.index,
            reason: rejection.reason,
        }
    }
}

/// Which rejected messages to list; what is not given is not asked.
#[derive(Clone, Debug, Default)]
pub struct RejectedFilter {
    /// Those of this device.
    pub device: Option<DeviceId>,
    /// Those with a fault of this kind.
    pub reason: Option<Reason>,
    /// Those of which something is still missing in the record; else all.
    pub still: bool,
    /// Those before this one, in the order of the list.
    pub before: Option<i64>,
    /// Those with these numbers.
    pub ids: Option<Vec<i64>>,
}

/// A rejected message, without its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedRejected {
    /// Its number.
    pub id: i64,
    /// What sent it.
    pub device: DeviceId,
    /// What kind of device that is.
    pub kind: String,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// The topic, as it was sent.
    pub topic: String,
    /// What is wrong with it, as of the last time that it was looked at; nothing: all of it is in the record.
    pub faults: Vec<Fault>,
    /// When it was last taken to the lanes once more, and by whom.
    pub replayed: Option<(DateTime<Utc>, String)>,
}

/// Rejected messages, the latest first; at most `limit` of them.
pub async fn list_rejected(
    connection: &mut PgConnection,
    filter: &RejectedFilter,
    limit: i64,
) -> Result<Vec<ListedRejected>, Error> {
    let failed = |source| Error::new("list rejected messages", source);
    let rows = sqlx::query!(
        r#"SELECT rejected_message_id, rejected_message.device_id, kind, received_at, topic,
             COALESCE(faults_left, faults) AS "faults!", replayed_at, replayed_by
           FROM rejected_message JOIN device ON device.device_id = rejected_message.device_id
           WHERE (NOT $1 OR COALESCE(faults_left, faults) <> '[]')
             AND ($2::bigint IS NULL OR rejected_message.device_id = $2)
             AND ($3::jsonb IS NULL OR COALESCE(faults_left, faults) @> $3)
             AND ($4::bigint IS NULL OR rejected_message_id < $4)
             AND ($5::bigint[] IS NULL OR rejected_message_id = ANY ($5))
           ORDER BY rejected_message_id DESC LIMIT $6"#,
        filter.still,
        filter.device.map(|device| device.0),
        filter.reason.map(|reason| json!([{"reason": reason}])),
        filter.before,
        filter.ids.as_deref(),
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let listed = rows.into_iter().map(|row| {
        Ok(ListedRejected {
            id: row.rejected_message_id,
            device: DeviceId(row.device_id),
            kind: row.kind,
            received_at: row.received_at,
            topic: row.topic,
            faults: serde_json::from_value(row.faults)
                .map_err(|error| failed(sqlx::Error::Decode(error.into())))?,
            replayed: row.replayed_at.zip(row.replayed_by),
        })
    });
    listed.collect()
}

/// How many messages there are of which something is still missing in the record.
pub async fn count_rejected(connection: &mut PgConnection) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM rejected_message WHERE COALESCE(faults_left, faults) <> '[]'"#
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("count rejected messages", source))
}

/// A rejected message with its bytes: what the lanes need, and nobody's request reads.
#[derive(Clone, Debug)]
pub struct KeptMessage {
    /// Its number.
    pub id: i64,
    /// What sent it.
    pub device: DeviceId,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// The topic, as it was sent.
    pub topic: String,
    /// All of its bytes.
    pub payload: Vec<u8>,
}

/// These messages with their bytes, in the order in which they arrived. On a connection that sees the whole record.
pub async fn load_rejected(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<KeptMessage>, Error> {
    sqlx::query_as!(
        KeptMessage,
        "SELECT rejected_message_id AS id, device_id AS device, received_at, topic, payload
         FROM rejected_message WHERE rejected_message_id = ANY ($1) ORDER BY rejected_message_id",
        ids
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("load rejected messages", source))
}

/// Notes that a message was taken to the lanes once more, by whom, and what is still wrong with it.
pub async fn note_replayed(
    connection: &mut PgConnection,
    id: i64,
    left: &[Fault],
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE rejected_message SET replayed_at = $2, replayed_by = $3, faults_left = $4
         WHERE rejected_message_id = $1",
        id,
        now,
        by,
        json!(left)
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("note that a message was replayed", source))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn the_reasons_of_all_refused_parts_are_kept_and_those_of_one_sent_again_only_once() {
        let database = TestDatabase::create().await;
        let mut connection = database.pool().acquire().await.unwrap();
        sqlx::query("INSERT INTO device (kind, secret_hash) VALUES ('cuff', sha256('secret'))")
            .execute(&mut *connection)
            .await
            .unwrap();
        let first: DateTime<Utc> = "2026-11-26T12:00:00.123456Z".parse().unwrap();
        let again = first + chrono::TimeDelta::seconds(1);
        let unassigned = |index, detail| Rejection::new(Some(index), Reason::NotAssigned, detail);
        let unstorable = Rejection::new(None, Reason::Unstorable, "not storable");
        for (received_at, rejected) in [
            (first, vec![unassigned(0, "at noon")]),
            (first, vec![unstorable.clone()]),
            // What a transaction wrote whose end was not heard of.
            (first, vec![unstorable.clone()]),
            (again, vec![unassigned(0, "a second later")]),
        ] {
            let message = RejectedMessage {
                device: DeviceId(10_001),
                received_at,
                topic: "v1/devices/10001/readings",
                payload: b"[]",
                reasons: json!(rejected),
            };
            insert_rejected(&mut connection, &[message]).await.unwrap();
        }
        let (reasons, faults): (serde_json::Value, serde_json::Value) =
            sqlx::query_as("SELECT reasons, faults FROM rejected_message")
                .fetch_one(&mut *connection)
                .await
                .unwrap();
        assert_eq!(reasons, json!([unassigned(0, "at noon"), unstorable]));
        assert_eq!(
            faults,
            json!([{"index": 0, "reason": "not_assigned"}, {"reason": "unstorable"}])
        );
    }
}
