use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use homeward_record::DeviceId;
use homeward_record::decode::Reason;
use tokio::sync::OwnedSemaphorePermit;

use crate::broker::Connection;

/// One message from a device, on its way from whichever broker took it to the record. Nothing behind this
/// type knows which broker that was.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What sent it, proven by its credential.
    pub(crate) device: DeviceId,
    /// The topic, as it was sent.
    pub(crate) topic: String,
    /// The bytes.
    pub(crate) payload: Bytes,
    /// When it arrived.
    pub(crate) received_at: DateTime<Utc>,
    /// Why none of it may be stored, where that is known before it is read.
    pub(crate) refused: Option<Reason>,
    /// Whom to tell of the outcome.
    pub(crate) receipt: Receipt,
    /// Its share of the bytes in flight, given back when the message is done with.
    pub(crate) _share: OwnedSemaphorePermit,
}

/// Where the outcome of a message goes.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    /// The connection that brought the message. It may have ended since: then nobody is told.
    pub(crate) connection: Arc<Connection>,
    /// The packet identifier to acknowledge; none for a message of QoS 0.
    pub(crate) packet: Option<u16>,
}
