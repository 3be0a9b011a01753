//! Domain types and wire formats of Homeward.
//!
//! Pure: no I/O, no async, and no clock but the [`Clock`] that is passed in. Everything that crosses a
//! boundary (MQTT topics and payloads, the rows of the store, the answers of the API) is spelled with the
//! types of this crate.

mod clock;
mod identifier;
mod metric;
mod reading;
mod report;
mod topic;

pub mod decode;
pub mod fhir;
pub mod unit;

pub use clock::Clock;
pub use identifier::{DeviceId, EpisodeId, NhsNumber, NhsNumberError, ParseIdError, PatientId, RuleId};
pub use metric::Metric;
pub use reading::{Circumstances, Context, Point, Reading};
pub use report::ErrorReport;
pub use topic::{DeviceTopic, PayloadKind, TopicError};
