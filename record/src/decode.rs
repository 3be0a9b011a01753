//! From the bytes of a message to readings: pure functions, one for each wire format.
//!
//! A message is rejected whole only where it cannot be read at all; otherwise each reading stands for
//! itself: what is right is kept, and what is wrong is named with its reason.

mod battery;
pub(crate) mod collect;
mod gatt;
pub(crate) mod json;
mod native;
pub(crate) mod omh;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod properties;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use self::battery::{BATTERY_LEVEL, battery_level};
use self::collect::{Fault, quote, whole_microseconds};
use self::json::Node;
use crate::{PayloadKind, Reading, fhir};

/// What came out of one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Upload {
    /// The readings to store, in the order of the message.
    pub readings: Vec<Reading>,
    /// The measurements that were refused.
    pub rejected: Vec<Rejection>,
}

/// One measurement of a message that was refused, or the whole message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejection {
    /// Position of the measurement in the message, from 0; absent where the whole message was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// What kind of fault it is, for programs.
    pub reason: Reason,
    /// What was wrong and where, in plain English, for people. Holds no measured value of a patient other
    /// than the offending one.
    pub detail: String,
}

/// Why a measurement or a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The payload cannot be read as what its topic says.
    Malformed,
    /// More bytes or readings than one message may have.
    TooLarge,
    /// A format or measurement type that this version does not take.
    Unsupported,
    /// A field is missing, of the wrong type or not one of the values it may have.
    InvalidField,
    /// The unit is not one of those that the type may have.
    InvalidUnit,
    /// Outside what a living person can have ([`crate::Metric::plausible`]).
    Implausible,
    /// No time, or one without offset.
    NoTime,
    /// Further in the future than a device's clock may be wrong.
    InFuture,
    /// Older than the record keeps readings.
    TooOld,
    /// The device itself says that this is no measurement: a special value, a demonstration, a test.
    NotMeasured,
    /// A control solution was measured, not a patient.
    ControlSolution,
    /// The device was assigned to no patient when it measured.
    NotAssigned,
    /// The topic is not one that this device may publish to.
    NotAuthorized,
    /// The store could not take it, though it was well-formed.
    Unstorable,
}

/// What a decoder has to know beside the bytes.
#[derive(Clone, Copy, Debug)]
pub struct DecodeContext {
    /// When the message arrived.
    pub received_at: DateTime<Utc>,
    /// For how long the record keeps readings: nothing older is taken.
    pub retention: TimeDelta,
    /// What the device's local time is ahead of UTC, for formats whose times carry no offset.
    pub utc_offset: TimeDelta,
}

/// How far a device's clock may run ahead before its readings are refused (design: 5 minutes).
pub const MAX_CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(5);
/// The most readings that one message may carry.
pub const MAX_READINGS: usize = 1_000;
/// The most bytes that one message's payload may have.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// The most bytes that [`Rejection::detail`] has. Enough for any sentence of this crate; a fault at the edge
/// cannot blow up what is stored and reported about it.
pub const MAX_DETAIL: usize = 400;

impl Rejection {
    /// A refusal, its detail cut to [`MAX_DETAIL`] bytes and cleared of control characters.
    pub fn new(index: Option<usize>, reason: Reason, detail: impl Into<String>) -> Rejection {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL - "…".len()));
            detail.push('…');
        }
        if detail.contains(char::is_control) {
            detail.retain(|c| !c.is_control());
        }
        Rejection {
            index,
            reason,
            detail,
        }
    }
}

impl Upload {
    /// The whole message refused.
    pub(crate) fn refused(reason: Reason, detail: impl Into<String>) -> Upload {
        Upload {
            readings: Vec::new(),
            rejected: vec![Rejection::new(None, reason, detail)],
        }
    }
}

/// Reads one message. Never panics, whatever the bytes, and never returns an upload with neither readings
/// nor rejections: every message ends somewhere.
pub fn decode(kind: PayloadKind, payload: &[u8], context: &DecodeContext) -> Upload {
    if payload.len() > MAX_PAYLOAD {
        let detail = format!(
            "the payload has {} bytes; the most is {MAX_PAYLOAD}",
            payload.len()
        );
        return Upload::refused(Reason::TooLarge, detail);
    }
    match kind {
        PayloadKind::Readings => native::decode(payload, context),
        PayloadKind::Gatt {
            characteristic,
            captured,
        } => gatt::decode(characteristic, captured, payload, context),
        PayloadKind::Omh => omh::decode(payload, context),
        PayloadKind::Fhir => fhir::decode(payload, context),
    }
}

/// An RFC 3339 time, in whole microseconds.
pub(crate) fn rfc3339(node: &Node<'_>) -> Result<DateTime<Utc>, Fault> {
    parse_time(node.text()?).map_err(|(reason, text)| node.fault(reason, text))
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, (Reason, String)> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(whole_microseconds(time.to_utc())),
        Err(_) if NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").is_ok() => {
            let text = format!("{} has no offset: end it with Z or, say, +01:00", quote(text));
            Err((Reason::NoTime, text))
        }
        Err(_) => {
            let text = format!(
                "{} is not an RFC 3339 time like 2026-11-22T08:00:05Z",
                quote(text)
            );
            Err((Reason::InvalidField, text))
        }
    }
}
