//! `GET /fhir/R4/metadata`: what the FHIR interface can do, for everybody.

use axum::extract::State;
use chrono::{DateTime, Utc};
use homeward_record::fhir::{self, Capabilities, ServedType};

use super::answer::{Resource, root};
use super::episodes::{detected_issue, flag};
use super::observation::search as observation;
use super::parameters::Search;
use super::{audit_event, care_plan, consent, device, device_metric, patient, provenance};
use crate::error::ApiError;
use crate::routes::App;

/// What is served. Its tests compare it with the routes.
pub(super) const SERVED: [ServedType<'static>; 11] = [
    ServedType {
        operations: &[
            (
                "everything",
                "http://hl7.org/fhir/OperationDefinition/Patient-everything",
            ),
            (
                "export",
                "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
            ),
        ],
        ..served("Patient", &["read", "search-type"], &patient::PARAMETERS)
    },
    ServedType {
        operations: &[
            (
                "lastn",
                "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
            ),
            (
                "stats",
                "http://hl7.org/fhir/OperationDefinition/Observation-stats",
            ),
        ],
        includes: &[observation::INCLUDE],
        ..served(
            "Observation",
            &["read", "search-type", "create"],
            &observation::PARAMETERS,
        )
    },
    ServedType {
        operations: &[(
            "export",
            "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export",
        )],
        ..served("Group", &[], &[])
    },
    served("Device", &["read", "search-type"], &device::PARAMETERS),
    served(
        "DeviceMetric",
        &["read", "search-type"],
        &device_metric::PARAMETERS,
    ),
    served("Flag", &["read", "search-type"], &flag::PARAMETERS),
    served(
        "DetectedIssue",
        &["read", "search-type"],
        &detected_issue::PARAMETERS,
    ),
    served("CarePlan", &["read", "search-type"], &care_plan::PARAMETERS),
    served("Consent", &["read", "search-type"], &consent::PARAMETERS),
    served("Provenance", &["read", "search-type"], &provenance::PARAMETERS),
    served("AuditEvent", &["search-type"], &audit_event::PARAMETERS),
];

const fn served(
    name: &'static str,
    interactions: &'static [&'static str],
    parameters: &'static [(&'static str, &'static str)],
) -> ServedType<'static> {
    ServedType {
        name,
        interactions,
        parameters,
        operations: &[],
        includes: &[],
    }
}

/// When this statement last changed: 27 November 2026.
const CHANGED: DateTime<Utc> =
    DateTime::from_timestamp(1_795_737_600, 0).expect("a second that the calendar has");

/// `GET /fhir/R4/metadata`.
pub(crate) async fn get(State(app): State<App>, search: Search) -> Result<Resource, ApiError> {
    search.take(&["mode"])?;
    Ok(Resource(fhir::capability_statement(&Capabilities {
        version: env!("CARGO_PKG_VERSION"),
        date: CHANGED,
        base: &root(&app),
        resources: &SERVED,
    })))
}
