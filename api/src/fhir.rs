//! FHIR R4 under `/fhir/R4`: the record for other systems. `GET /fhir/R4/metadata` says what there is.
//!
//! | interaction | answers |
//! |---|---|
//! | `GET metadata` | the CapabilityStatement; the one that needs no token |
//! | `GET Patient/{id}`, `Patient?identifier&name&_id` | who a patient is |
//! | `GET Patient/{id}/$everything?start&end` | the patient passport: a document with the whole record |
//! | `GET Observation/{id}`, `Observation?patient&code&category&date&status` | readings; blood pressure as a panel |
//! | `GET Observation/$lastn?patient&max`, `Observation/$stats?subject&code&statistic&period` | the latest, and figures |
//! | `POST Observation` | a reading enters the record, as over MQTT |
//! | `GET Device/{id}`, `Device?patient` | what measures a patient |
//! | `GET DeviceMetric/{id}`, `DeviceMetric?source&type` | what of |
//! | `GET Flag/{id}`, `Flag?patient`, `DetectedIssue/{id}`, `DetectedIssue?patient` | episodes |
//! | `GET CarePlan/{id}`, `CarePlan?patient` | the rules in force |
//! | `GET Provenance/{id}`, `Provenance?target&patient` | who or what made Observations and care plans |
//! | `GET Consent/{id}`, `Consent?patient` | what the patient has chosen about sharing and research |
//! | `GET Patient/$export`, `Group/{id}/$export` | the records of many patients, as lines of JSON: see [`export`] |
//! | `GET AuditEvent?patient` | who has seen or changed the record |
//!
//! A search is about one patient, but for those of patients, which find whom the caller may see. Who may not see a
//! patient gets what one gets of a patient who does not exist: an empty Bundle. Errors are OperationOutcomes. Unknown
//! search parameters are left out of the search and of its self link, or refused where the request says
//! `Prefer: handling=strict`.

mod answer;
pub(crate) mod audit_event;
pub(crate) mod care_plan;
pub(crate) mod consent;
pub(crate) mod device;
pub(crate) mod device_metric;
mod episodes;
pub(crate) mod everything;
pub(crate) mod export;
pub(crate) mod metadata;
pub(crate) mod observation;
mod parameters;
pub(crate) mod patient;
pub(crate) mod provenance;
#[cfg(test)]
mod tests;

pub(crate) use answer::Resource;
pub(crate) use parameters::Search;

pub(crate) use answer::outcomes;
pub(crate) use episodes::{detected_issue, flag};
