//! Patient, Device and DeviceMetric: who is measured, and with what.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value as Json, json};

use super::build::{coding, concept, instant, reference, set};
use super::codes::{UCUM, code_of};
use crate::{DeviceId, Metric, NhsNumber, PatientId};

/// The system of NHS numbers.
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
const VERIFICATION_EXTENSION: &str =
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus";
const VERIFICATION: &str = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus";

/// A patient of the record.
#[derive(Clone, Debug)]
pub struct Patient<'r> {
    /// The record's own identifier.
    pub id: PatientId,
    /// The NHS number.
    pub nhs_number: &'r NhsNumber,
    /// Whether the number was traced.
    pub verification: Verification,
    /// The name, as one text.
    pub name: &'r str,
    /// The date of birth.
    pub born: NaiveDate,
    /// The GP practice where the patient is registered: its identifier and name.
    pub practice: Option<(i64, &'r str)>,
}

/// What is known of an NHS number beside its check digit (UK Core NHSNumberVerificationStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Traced in the Personal Demographics Service, and found to be this person's.
    Verified,
    /// Not traced: it was entered, and its check digit fits.
    NotTraced,
}

/// The Patient resource, with the NHS number as UK Core has it.
pub fn patient(patient: &Patient<'_>) -> Json {
    let (code, display) = match patient.verification {
        Verification::Verified => ("number-present-and-verified", "Number present and verified"),
        Verification::NotTraced => ("number-present-but-not-traced", "Number present but not traced"),
    };
    let mut resource = json!({
        "resourceType": "Patient",
        "id": patient.id.to_string(),
        "identifier": [{
            "extension": [{
                "url": VERIFICATION_EXTENSION,
                "valueCodeableConcept": concept(VERIFICATION, code, display),
            }],
            "system": NHS_NUMBER,
            "value": patient.nhs_number.as_str(),
        }],
        "active": true,
        "name": [{"use": "usual", "text": patient.name}],
        "birthDate": patient.born.to_string(),
    });
    let practice = patient.practice.map(|(id, name)| {
        let mut practice = reference("Organization", id);
        practice["display"] = name.into();
        json!([practice])
    });
    set(&mut resource, "generalPractitioner", practice);
    resource
}

/// A device of the record.
#[derive(Clone, Debug)]
pub struct Device<'r> {
    /// Its identifier.
    pub id: DeviceId,
    /// What it is: `cuff`, `cgm`, …
    pub kind: &'r str,
    /// Whom it measures now.
    pub patient: Option<PatientId>,
    /// Since when it may not connect any more.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The Device resource.
pub fn device(device: &Device<'_>) -> Json {
    let status = match device.revoked_at {
        None => "active",
        Some(_) => "inactive",
    };
    let mut resource = json!({
        "resourceType": "Device",
        "id": device.id.to_string(),
        "status": status,
        "type": {"text": device.kind},
    });
    let patient = device.patient.map(|id| reference("Patient", id));
    set(&mut resource, "patient", patient);
    let note = device
        .revoked_at
        .map(|at| json!([{"time": instant(at), "text": "Its credential was revoked."}]));
    set(&mut resource, "note", note);
    resource
}

/// The identifier of the Device that this software is: what works Observations out.
pub(super) const THIS_SOFTWARE: &str = "homeward";

/// The Device resource of this software.
pub fn this_software(version: &str) -> Json {
    json!({
        "resourceType": "Device",
        "id": THIS_SOFTWARE,
        "status": "active",
        "deviceName": [{"name": "Homeward", "type": "user-friendly-name"}],
        "type": {"text": "Software that works readings out"},
        "version": [{"value": version}],
    })
}

/// The DeviceMetric resource: that a device measures this metric.
pub fn device_metric(device: &Device<'_>, metric: Metric) -> Json {
    let status = match device.revoked_at {
        None => "on",
        Some(_) => "off",
    };
    json!({
        "resourceType": "DeviceMetric",
        "id": format!("{}-{}", device.id, metric.code()),
        "type": code_of(metric, None),
        "unit": {"coding": [coding(UCUM, metric.unit(), metric.unit())]},
        "source": reference("Device", device.id),
        "operationalStatus": status,
        "category": "measurement",
    })
}
