//! The way by which a reading that comes over HTTP reaches the record: the same as that of a device's message. Whoever
//! starts the interface hands it in, since ingest is not known here.

use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeward_record::decode::Rejection;
use homeward_record::{DeviceId, PatientId};

/// A FHIR Observation on its way into the record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What measured it.
    pub device: DeviceId,
    /// Whom it must have measured then: else nothing is stored.
    pub patient: PatientId,
    /// The bytes, as they came.
    pub payload: Vec<u8>,
}

/// What a device sent earlier and was refused, on its way into the record once more.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What sent it.
    pub device: DeviceId,
    /// The topic, as it was sent.
    pub topic: String,
    /// All of its bytes.
    pub payload: Vec<u8>,
    /// When it came first: its times are judged by that.
    pub first_received_at: DateTime<Utc>,
}

/// What became of it, once that is committed.
#[derive(Clone, Debug, Default)]
pub struct Entered {
    /// How many readings were new.
    pub stored: u64,
    /// How many the record had before.
    pub stored_earlier: u64,
    /// What was refused, and why.
    pub rejected: Vec<Rejection>,
}

/// Why it is not known to be in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEntered {
    /// There is no room at present, or the process is being stopped. It is not.
    Busy,
    /// It was not committed in time. It is not, unless the record was lost in the middle of its commit; sent again, it is
    /// stored once.
    Unknown,
}

/// What comes out of it.
pub type Entering = Pin<Box<dyn Future<Output = Result<Entered, NotEntered>> + Send>>;

/// Takes an Observation to the lane of its patient.
pub type Enter = Arc<dyn Fn(Entry) -> Entering + Send + Sync>;

/// Takes a message that was refused to the lanes of its patients.
pub type Replay = Arc<dyn Fn(Replayed) -> Entering + Send + Sync>;
