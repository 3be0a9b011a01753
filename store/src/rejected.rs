use chrono::{DateTime, Utc};
use homeward_record::DeviceId;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::Error;

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

/// Keeps rejected messages. One that was kept before changes nothing.
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
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
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
