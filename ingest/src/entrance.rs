//! A way into the intake for readings that come from no broker: over HTTP, into the same process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use homeward_record::{DeviceId, PatientId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::broker::Shared;
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
        let Entrance(shared) = self;
        if shared.is_draining() {
            return Err(NotTaken::Busy);
        }
        let topic = format!("v1/devices/{device}/fhir");
        let share = shared.share_of_bytes(topic.len() + payload.len());
        // When the receiver is gone, the lane knows that nobody wants it stored any more.
        let (told, mut outcome) = mpsc::channel(1);
        let delivery = Delivery {
            device,
            subject: Some(patient),
            topic,
            payload: Bytes::from(payload),
            received_at: shared.clock.now(),
            refused: None,
            receipt: Receipt::Caller(told),
            _share: share.ok_or(NotTaken::Busy)?,
        };
        shared.intake.try_send(delivery).map_err(|_| NotTaken::Busy)?;
        let committed = timeout(COMMIT_WITHIN, outcome.recv()).await;
        committed.ok().flatten().ok_or(NotTaken::Unknown)
    }
}
