//! A way into the intake for what comes from no broker: readings over HTTP, and messages that were refused before, into the
//! same process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, PatientId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::broker::{Shared, refusal};
use crate::delivery::{Delivery, Receipt};
use crate::message::Outcome;

/// How long a caller waits for the commit: shorter than a request may take, so that it can say how it went.
const COMMIT_WITHIN: Duration = Duration::from_secs(7);

/// Takes messages for the intake, within the same bounds as the broker.
#[derive(Clone)]
pub struct Entrance(Arc<Shared>);

/// Why a message is not known to be in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// There is no room, or the process stops. It is not.
    Busy,
    /// It was not committed in time. It is not, unless the database was lost in the middle of its commit.
    Unknown,
}

/// What is handed in.
struct Message {
    device: DeviceId,
    subject: Option<PatientId>,
    topic: String,
    payload: Vec<u8>,
    first_received_at: DateTime<Utc>,
}

impl Entrance {
    pub(crate) fn new(shared: Arc<Shared>) -> Entrance {
        Entrance(shared)
    }

    /// Hands in a FHIR Observation in the name of a device, which must have measured this patient, and answers what became
    /// of it once that is committed.
    pub async fn enter(
        &self,
        device: DeviceId,
        patient: PatientId,
        payload: Vec<u8>,
    ) -> Result<Outcome, NotTaken> {
        let now = self.0.clock.now();
        let message = Message {
            device,
            subject: Some(patient),
            topic: format!("v1/devices/{device}/fhir"),
            payload,
            first_received_at: now,
        };
        self.take(message, now).await
    }

    /// Hands in once more what a device sent earlier and was refused, and answers what became of it. Its times are judged by
    /// when it came first, so that a clock that was ahead then is not believed now; its readings are late.
    pub async fn replay(
        &self,
        device: DeviceId,
        topic: String,
        payload: Vec<u8>,
        first_received_at: DateTime<Utc>,
    ) -> Result<Outcome, NotTaken> {
        let message = Message {
            device,
            subject: None,
            topic,
            payload,
            first_received_at,
        };
        self.take(message, self.0.clock.now()).await
    }

    async fn take(&self, message: Message, now: DateTime<Utc>) -> Result<Outcome, NotTaken> {
        let Entrance(shared) = self;
        if shared.is_draining() {
            return Err(NotTaken::Busy);
        }
        let share = shared.share_of_bytes(message.topic.len() + message.payload.len());
        // When the receiver is gone, the lane knows that nobody wants it stored any more.
        let (told, mut outcome) = mpsc::channel(1);
        let delivery = Delivery {
            device: message.device,
            subject: message.subject,
            refused: refusal(message.device, message.topic.as_bytes(), &message.payload),
            topic: message.topic,
            payload: Bytes::from(message.payload),
            received_at: now,
            first_received_at: message.first_received_at,
            receipt: Receipt::Caller(told),
            _share: share.ok_or(NotTaken::Busy)?,
        };
        shared.intake.try_send(delivery).map_err(|_| NotTaken::Busy)?;
        let committed = timeout(COMMIT_WITHIN, outcome.recv()).await;
        committed.ok().flatten().ok_or(NotTaken::Unknown)
    }
}
