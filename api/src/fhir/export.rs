//! Bulk export (HL7 FHIR Bulk Data Access): the records of many patients, as lines of JSON.
//!
//! | interaction | answers |
//! |---|---|
//! | `GET Patient/$export`, `Group/{id}/$export` with `Prefer: respond-async` | 202, and in `Content-Location` where to ask how far it is |
//! | `GET $export-status/{id}` | 202 with `X-Progress` and `Retry-After`, or the manifest |
//! | `GET $export-file/{id}/{type}` | the resources of a type, one a line |
//! | `DELETE $export-status/{id}` | ends it |
//!
//! `_type` names types, `_since` leaves out what was there before (readings by their arrival, alerts by what happened to
//! them; patients, devices and plans are always there). A Group is the number of an organisation, or the name of a
//! programme. Each caller has one export at work at a time.
//!
//! There are no files. The export is a row of the record, with the patients whom the caller could see when it began; each
//! question how far it is counts on for a while, so it goes on after a restart where it was. What is fetched is read from
//! the record patient by patient: so memory is bounded whatever the export is of, nothing of a patient lies about, and whom
//! the caller may see no longer is left out.

pub(crate) mod file;
pub(crate) mod kick_off;
pub(crate) mod status;

use homeward_store::exports::{Export, find};

use super::answer::no_such;
use crate::access::{Action, Exchange};
use crate::error::ApiError;
use crate::request::Path;

/// What lines of JSON are called.
const NDJSON: &str = "application/fhir+ndjson";

/// A type of resource that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Patient,
    Device,
    Observation,
    Flag,
    DetectedIssue,
    CarePlan,
}

impl Type {
    const ALL: [Type; 6] = [
        Type::Patient,
        Type::Device,
        Type::Observation,
        Type::Flag,
        Type::DetectedIssue,
        Type::CarePlan,
    ];

    fn name(self) -> &'static str {
        match self {
            Type::Patient => "Patient",
            Type::Device => "Device",
            Type::Observation => "Observation",
            Type::Flag => "Flag",
            Type::DetectedIssue => "DetectedIssue",
            Type::CarePlan => "CarePlan",
        }
    }

    fn named(name: &str) -> Option<Type> {
        Type::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What somebody who reads it does.
    fn action(self) -> Action {
        match self {
            Type::Patient => Action::ReadPatient,
            Type::Device => Action::ReadDevices,
            Type::Observation => Action::ReadReadings,
            Type::Flag => Action::ReadFlags,
            Type::DetectedIssue => Action::ReadAlerts,
            Type::CarePlan => Action::ReadCarePlan,
        }
    }
}

/// The export that a path names.
async fn named(exchange: &Exchange, path: &Path) -> Result<Export, ApiError> {
    let role = exchange.principal().acts_as.id;
    let mut connection = exchange.connection().await;
    let found = find(&mut connection, path.text("export"), role, exchange.now()).await?;
    found.ok_or_else(|| no_such("export"))
}
