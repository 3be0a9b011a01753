use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use homeward_record::decode::Reason;
use homeward_record::{DeviceId, PatientId};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::broker::Connection;
use crate::message::Outcome;

/// One message from a device, on its way from whichever broker took it to the record. Nothing behind this
/// type knows which broker that was.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What sent it, proven by its credential.
    pub(crate) device: DeviceId,
    /// Whom it must have measured, where the sender says so: a reading of somebody else's is refused.
    pub(crate) subject: Option<PatientId>,
    /// The topic, as it was sent.
    pub(crate) topic: String,
    /// The bytes.
    pub(crate) payload: Bytes,
    /// When it arrived.
    pub(crate) received_at: DateTime<Utc>,
    /// When it came for the first time, by which its times are plausible or not: earlier than `received_at` for one that
    /// was refused then and is tried once more.
    pub(crate) first_received_at: DateTime<Utc>,
    /// Why none of it may be stored, where that is known before it is read.
    pub(crate) refused: Option<Reason>,
    /// Whom to tell of the outcome.
    pub(crate) receipt: Receipt,
    /// Its share of the bytes in flight, given back when the message is done with.
    pub(crate) _share: OwnedSemaphorePermit,
}

/// Where the outcome of a message goes.
#[derive(Clone, Debug)]
pub(crate) enum Receipt {
    /// To a device.
    Device {
        /// The connection that brought the message. It may have ended since: then nobody is told.
        connection: Arc<Connection>,
        /// The packet identifier to acknowledge; none for a message of QoS 0.
        packet: Option<u16>,
    },
    /// To somebody in this process who waits for it, with room for the one outcome.
    Caller(mpsc::Sender<Outcome>),
}

impl Receipt {
    /// Whether the message is still to be stored: a caller who has stopped waiting has said that it is not.
    pub(crate) fn is_wanted(&self) -> bool {
        match self {
            Receipt::Device { .. } => true,
            Receipt::Caller(caller) => !caller.is_closed(),
        }
    }

    /// The packet identifier.
    pub(crate) fn packet(&self) -> Option<u16> {
        match self {
            Receipt::Device { packet, .. } => *packet,
            Receipt::Caller(_) => None,
        }
    }
}
