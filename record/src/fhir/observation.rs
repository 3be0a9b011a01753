//! The Observation: what a device measured.

mod elements;
mod id;
mod read;
mod write;

pub(super) use self::elements::no_modifiers;
pub use self::id::{ObservationId, ParseObservationIdError};
pub(super) use self::read::read;
pub use self::write::{
    Interpretation, OBSERVATION_CATEGORY, Observed, Status, category_of, kept_observations, observations,
};
use super::{build, codes};

/// Extension of this product, for what FHIR has no element for: doubts of the device and circumstances. Its
/// sub-extensions are texts named after the fields of [`crate::Context`] and [`crate::Circumstances`].
const READING_CONTEXT: &str = "https://homeward.example/fhir/StructureDefinition/reading-context";

/// What a part of our extension says.
const CAUTION: &str = "caution";
