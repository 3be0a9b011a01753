//! `GET /fhir/R4/AuditEvent?patient`: who has seen or changed a patient's record, the latest first. For the patient and
//! for privacy officers.

use axum::extract::State;
use homeward_record::PatientId;
use homeward_record::fhir::{self, AccessKind, AccessReason};
use homeward_store::audit::{Access, AccessFilter, accesses};
use serde_json::Value as Json;

use super::answer::{Found, Resource, page};
use super::parameters::Search;
use crate::access::{Exchange, in_words};
use crate::error::ApiError;
use crate::routes::App;

/// Its search parameters, with their types.
pub(super) const PARAMETERS: [(&str, &str); 1] = [("patient", "reference")];

/// `GET /fhir/R4/AuditEvent`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&PARAMETERS.map(|(name, _)| name))?;
    let count = search.count(50, 500)?;
    let before: Option<i64> = search.place()?;
    let found = match search.visible_patient(&exchange, &["patient"]).await? {
        Some(patient) => {
            let limit = i64::try_from(count).unwrap_or(i64::MAX);
            let mut connection = exchange.connection().await;
            let filter = AccessFilter { before, only: None };
            let mut rows = accesses(&mut connection, patient, filter, limit + 1).await?;
            let more = rows.len() > count;
            rows.truncate(count);
            Found {
                matches: rows.iter().map(|row| resource(patient, row)).collect(),
                included: Vec::new(),
                next: rows.last().filter(|_| more).map(|last| last.sequence.to_string()),
            }
        }
        None => Found::nothing(),
    };
    Ok(page(&app, "AuditEvent", &search, found))
}

fn resource(patient: PatientId, row: &Access) -> Json {
    let kind = match row.action.as_str() {
        "break_glass" => AccessKind::Create,
        "try_rules" | "open_share" | "research_sums" | "research_rows" => AccessKind::Read,
        name if name.starts_with("read_") => AccessKind::Read,
        _ => AccessKind::Update,
    };
    let reason = match row.basis.as_str() {
        "self" | "proxy" | "share" => AccessReason::Own,
        "registration" | "enrolment" => AccessReason::Care,
        _ if row.action.starts_with("research_") => {
            AccessReason::Research(row.reason.as_deref().unwrap_or("research"))
        }
        "break_glass" => AccessReason::BreakGlass(row.reason.as_deref().unwrap_or("break-glass")),
        _ => AccessReason::Administration,
    };
    fhir::audit_event(&fhir::Access {
        id: row.sequence,
        at: row.at,
        kind,
        who: &row.actor,
        role: row.role.as_deref().unwrap_or("unknown"),
        organisation: row.organisation.as_deref(),
        patient: Some(patient),
        what: match (in_words(&row.action), row.done) {
            ((did, _), true) => did,
            ((_, tried), false) => tried,
        },
        reason,
        from_address: row.origin.as_deref(),
        allowed: row.done,
    })
}
