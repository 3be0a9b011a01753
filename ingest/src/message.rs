//! A message between decoding and its acknowledgement.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use homeward_record::decode::{Reason, Rejection};
use homeward_record::{ErrorReport, PatientId, Reading};

use crate::broker::{Control, Downlink, PubAckReason};
use crate::delivery::Delivery;
use crate::directory::Known;

/// A message whose parts are on their way through the lanes. Nearly always it has one part: only the
/// backlog of a device that moved from one patient to another has more.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) delivery: Delivery,
    parts_left: AtomicUsize,
    stored: AtomicU64,
    stored_earlier: AtomicU64,
    rejected: Mutex<Vec<Rejection>>,
}

/// The part of a message that one lane commits.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) message: Arc<Message>,
    /// What the readings' patients were taken from.
    pub(crate) known: Arc<Known>,
    pub(crate) readings: Vec<(PatientId, Reading)>,
    pub(crate) rejected: Vec<Rejection>,
}

/// What became of a message, once all of it is committed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many of its readings were new.
    pub stored: u64,
    /// How many the record had before.
    pub stored_earlier: u64,
    /// What was refused, and why.
    pub rejected: Vec<Rejection>,
}

impl Message {
    pub(crate) fn new(delivery: Delivery, parts: usize) -> Arc<Message> {
        Arc::new(Message {
            delivery,
            parts_left: AtomicUsize::new(parts),
            stored: AtomicU64::new(0),
            stored_earlier: AtomicU64::new(0),
            rejected: Mutex::default(),
        })
    }
}

impl Part {
    /// Notes that the part is committed. Answers the outcome of the message if it was the last.
    pub(crate) fn committed(self, stored: u64, stored_earlier: u64) -> Option<(Arc<Message>, Outcome)> {
        let message = self.message;
        message.stored.fetch_add(stored, Ordering::AcqRel);
        message.stored_earlier.fetch_add(stored_earlier, Ordering::AcqRel);
        if !self.rejected.is_empty() {
            message
                .rejected
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(self.rejected);
        }
        let last = message.parts_left.fetch_sub(1, Ordering::AcqRel) == 1;
        last.then(|| {
            let outcome = message.outcome();
            (message, outcome)
        })
    }
}

impl Message {
    fn outcome(&self) -> Outcome {
        Outcome {
            stored: self.stored.load(Ordering::Acquire),
            stored_earlier: self.stored_earlier.load(Ordering::Acquire),
            rejected: std::mem::take(&mut *self.rejected.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl Outcome {
    /// The reason of a PUBACK.
    pub(crate) fn reason(&self) -> PubAckReason {
        let refused = |rejection: &Rejection| rejection.reason == Reason::NotAuthorized;
        if self.stored > 0 {
            PubAckReason::Success
        } else if self.stored_earlier > 0 {
            // To MQTT 5 it means that nobody has learnt anything new: the record had every reading before.
            PubAckReason::NoMatchingSubscribers
        } else if self.rejected.iter().any(refused) {
            PubAckReason::NotAuthorized
        } else if !self.rejected.is_empty() {
            PubAckReason::PayloadFormatInvalid
        } else {
            PubAckReason::Success
        }
    }

    /// What a device is told beside that.
    pub(crate) fn report(&self, delivery: &Delivery) -> Option<Control> {
        if self.rejected.is_empty() {
            return None;
        }
        let report = ErrorReport::new(
            &delivery.topic,
            delivery.receipt.packet(),
            delivery.received_at,
            usize::try_from(self.stored + self.stored_earlier).unwrap_or(usize::MAX),
            &self.rejected,
        );
        let json = serde_json::to_vec(&report).expect("a report is plain data");
        Some(Control::Deliver(Downlink::Errors, json.into()))
    }
}
