//! Simulated devices: a fleet of them, and the replay of recorded series.
//!
//! A simulated device does what a real one does, and knows no more: it has an id and a secret, measures a
//! patient, keeps what it measured until the broker has acknowledged it, and speaks MQTT. Nothing here
//! knows the record's database.
//!
//! - [`physiology`]: patients made of arithmetic, and what happens to them.
//! - [`profile`] and [`DETERIORATIONS`]: the patients of a demo, and what its alerts have to catch.
//! - [`fleet`]: many devices, through a period of the past and then live.
//! - [`replay`]: recorded series, published as by the devices that they came from.
//! - [`uplink`]: a device's way to the broker, with [`Faults`] on request. A [`Hook`] is told what was
//!   acknowledged, and an [`AckLog`] remembers it, so that a test can look for exactly that in the record.

mod cohort;
mod counts;
mod deterioration;
mod device;
mod faults;
mod link;
mod measurement;
mod noise;
mod outbox;
mod outcome;
mod pace;
mod plan;
mod series;

pub mod enrolment;
pub mod fleet;
pub mod physiology;
pub mod replay;
pub mod uplink;

pub use cohort::{Profile, profile};
pub use counts::{Counts, Progress};
pub use deterioration::{DETERIORATIONS, Deterioration};
pub use faults::Faults;
pub use link::{Broker, Protocol};
pub use measurement::{Consciousness, GlucoseUnit, Meal, Measured, Measurement, Message, Sample};
pub use outcome::{AckLog, Hook, Outcome};
pub use pace::Speed;
pub use plan::{Planned, Start, live_plan};
pub use series::{Recording, Series};
