//! The patient passport: what FHIR has no element for, and reading one back.
//!
//! A passport is a document of plain R4 resources that any supplier can read. So that another Homeward can take a
//! patient over exactly, its resources carry extensions of this product. Each is a JSON object in a `valueString`:
//!
//! | extension | on | holds |
//! |---|---|---|
//! | `…/stored-reading` | Observation, one for each of its readings | [`KeptReading`]: the number as it is stored, when it arrived, what the device said |
//! | `…/care-plan-rule` | CarePlan, one for each version of each rule | the version as the record has it: code, number, definition, author, reason, times |
//! | `…/rule-memory` | CarePlan | what the rules remember between readings: JSON that only Homeward reads |
//! | `…/episode` | DetectedIssue | the episode as the record has it, with all that happened to it |
//! | `…/correction` | Provenance of a reading that was entered in error | [`KeptCorrection`]: who marked it, why and when |
//! | `…/utc-offset-minutes` | Device | a whole number (`valueInteger`): how far its clock face is ahead of UTC |
//!
//! where `…` is `https://homeward.example/fhir/StructureDefinition`. A device is known elsewhere by the identifier of
//! the system [`DEVICE_IDENTIFIER`], whose value names the record and the device in it; the periods in which it measured
//! the patient are DeviceUseStatements.
//!
//! [`read_passport`] reads such a document, a page of one, and the Bundles of other suppliers as far as they say what
//! this product knows.

mod bundle;
mod observations;
mod people;
mod read;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

pub use self::read::{
    LeftOut, PassportError, ReadCorrection, ReadDevice, ReadPassport, ReadPatient, ReadReading, read_passport,
};
use super::build::{instant, reference};
use crate::{Context, DeviceId, Metric, PatientId};

/// The system of the identifiers by which devices of a Homeward are known elsewhere: `{record's UUID}.{device}`.
pub const DEVICE_IDENTIFIER: &str = "https://homeward.example/fhir/Id/device";

const UTC_OFFSET: &str = "https://homeward.example/fhir/StructureDefinition/utc-offset-minutes";

/// What a resource carries exactly, beside what FHIR has elements for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A reading, with an Observation.
    Reading,
    /// A version of a rule, with a CarePlan.
    Rule,
    /// What the rules remember, with a CarePlan.
    Memory,
    /// An episode, with a DetectedIssue.
    Episode,
    /// Who marked a reading as entered in error, with a Provenance.
    Correction,
}

impl Kept {
    fn url(self) -> &'static str {
        match self {
            Kept::Reading => "https://homeward.example/fhir/StructureDefinition/stored-reading",
            Kept::Rule => "https://homeward.example/fhir/StructureDefinition/care-plan-rule",
            Kept::Memory => "https://homeward.example/fhir/StructureDefinition/rule-memory",
            Kept::Episode => "https://homeward.example/fhir/StructureDefinition/episode",
            Kept::Correction => "https://homeward.example/fhir/StructureDefinition/correction",
        }
    }
}

/// A reading as the record has it. Whose it is, and of which device, its Observation says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptReading {
    /// What was measured.
    pub metric: Metric,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// The value in [`Metric::unit`].
    pub value: f64,
    /// When the record received it.
    pub received_at: DateTime<Utc>,
    /// What else the device said.
    #[serde(default, skip_serializing_if = "Context::is_empty")]
    pub context: Context,
}

/// Who marked a reading as entered in error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptCorrection {
    /// What was measured.
    pub metric: Metric,
    /// When it was measured.
    pub measured_at: DateTime<Utc>,
    /// Who marked it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Has a resource carry something exactly.
pub fn keep(resource: &mut Json, kept: Kept, what: &impl Serialize) {
    let text = serde_json::to_string(what).expect("what is kept is plain data");
    extend(resource, json!({"url": kept.url(), "valueString": text}));
}

/// Has a Device say by what it is known elsewhere, and what it takes to read its clock.
pub fn keep_device(device: &mut Json, identifiers: &[(String, String)], utc_offset_minutes: i32) {
    let identifiers: Vec<_> = identifiers
        .iter()
        .map(|(system, value)| json!({"system": system, "value": value}))
        .collect();
    device["identifier"] = identifiers.into();
    extend(
        device,
        json!({"url": UTC_OFFSET, "valueInteger": utc_offset_minutes}),
    );
}

fn extend(resource: &mut Json, extension: Json) {
    match resource["extension"].as_array_mut() {
        Some(extensions) => extensions.push(extension),
        None => resource["extension"] = json!([extension]),
    }
}

/// A period in which a device measures a patient.
#[derive(Clone, Copy, Debug)]
pub struct DeviceUse {
    /// Whom.
    pub patient: PatientId,
    /// What.
    pub device: DeviceId,
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until when; none while it lasts.
    pub until: Option<DateTime<Utc>>,
}

/// The DeviceUseStatement resource.
pub fn device_use(of: &DeviceUse) -> Json {
    let mut period = json!({"start": instant(of.from)});
    if let Some(until) = of.until {
        period["end"] = instant(until).into();
    }
    json!({
        "resourceType": "DeviceUseStatement",
        "id": format!("{}-{}", of.device, of.from.timestamp_micros()),
        "status": if of.until.is_none() { "active" } else { "completed" },
        "subject": reference("Patient", of.patient),
        "timingPeriod": period,
        "device": reference("Device", of.device),
    })
}

/// What extensions of a resource keep.
fn kept_in(resource: &Json, kept: Kept) -> impl Iterator<Item = &str> {
    let extensions = resource["extension"].as_array().into_iter().flatten();
    extensions
        .filter(move |extension| extension["url"] == kept.url())
        .filter_map(|extension| extension["valueString"].as_str())
}
