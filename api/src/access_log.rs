//! `GET /api/v1/patients/{patient}/access-log`: who has seen or changed a patient's record, the latest first.
//!
//! For the patient, whoever the patient has named, and privacy officers. Parameters: `only` (`others`: without the
//! patient's own, `break_glass`: those for which somebody broke the glass, `refused`), `limit` (1 to 500; 50), `after`
//! (the `next` of the page before, which is `null` on the last). Each entry says it in one sentence, and in fields: who,
//! in which role and organisation, what, the reason on file then (`self`, `proxy`, `registration`, `enrolment`,
//! `break_glass`, `share`; or `none`: refused, or not a matter of a relationship), the reason that was stated, and from where.

use axum::Json;
use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_store::access::Role;
use homeward_store::audit::{Access, AccessFilter, AccessesOnly, accesses};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Exchange, in_words};
use crate::error::ApiError;
use crate::request::{Limit, Path, Query, choose, parsed};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    only: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    limit: Option<Limit<50, 500>>,
    #[serde(default, deserialize_with = "parsed")]
    after: Option<i64>,
}

/// The kinds of accesses, by their names.
pub(crate) const ONLY: [(&str, AccessesOnly); 3] = [
    ("others", AccessesOnly::Others),
    ("break_glass", AccessesOnly::BreakGlass),
    ("refused", AccessesOnly::Refused),
];

#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    patient: PatientId,
    entries: Vec<Entry>,
    /// What `after` has to be for the next page.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Entry {
    id: i64,
    at: DateTime<Utc>,
    text: String,
    who: String,
    role: Option<String>,
    organisation: Option<String>,
    action: String,
    done: bool,
    basis: String,
    reason: Option<String>,
    origin: Option<String>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let limit = parameters.limit.unwrap_or_default();
    let only = parameters.only.as_deref();
    let filter = AccessFilter {
        before: parameters.after,
        only: only.map(|only| choose("only", only, &ONLY)).transpose()?,
    };
    let mut connection = exchange.connection().await;
    let mut found = accesses(&mut connection, patient, filter, limit.and_one()).await?;
    let next = limit.cut(&mut found).map(|last| last.sequence.to_string());
    Ok(Json(Page {
        patient,
        entries: found.into_iter().map(entry).collect(),
        next,
    }))
}

fn entry(access: Access) -> Entry {
    Entry {
        id: access.sequence,
        at: access.at,
        text: sentence(&access),
        who: access.actor,
        role: access.role,
        organisation: access.organisation,
        action: access.action,
        done: access.done,
        basis: access.basis,
        reason: access.reason,
        origin: access.origin,
    }
}

/// What happened, as one says it to the patient.
pub(crate) fn sentence(access: &Access) -> String {
    let role = access.role.as_deref().and_then(|role| role.parse().ok());
    let who = match (role.map(role_in_words), &access.organisation) {
        (Some(role), Some(organisation)) => format!("{} ({role}, {organisation})", access.actor),
        (Some(role), None) => format!("{} ({role})", access.actor),
        (None, _) => access.actor.clone(),
    };
    let (did, tried) = in_words(&access.action);
    if !access.done {
        let why = why_refused(&access.action, &access.basis);
        return format!("{who} tried to {tried}, and was refused: {why}.");
    }
    let why = match access.basis.as_str() {
        "self" => "you, signed in yourself".to_owned(),
        "proxy" => "you named them to see your record".to_owned(),
        "registration" => "you are registered with them".to_owned(),
        "enrolment" => "they look after you at home".to_owned(),
        "break_glass" => "they stated a reason to open your record".to_owned(),
        "share" => "they had the link and the code from you".to_owned(),
        _ if access.action.starts_with("research_") => "you have not opted out of research".to_owned(),
        // Without a relationship: what their role is there for.
        _ => match role {
            Some(Role::PrivacyOfficer) => "they look after who looks at records".to_owned(),
            Some(Role::Administrator) => "they look after people and devices".to_owned(),
            // The command line of the server.
            None => "they run this service".to_owned(),
            _ => "they looked after you until then".to_owned(),
        },
    };
    match &access.reason {
        Some(reason) => format!("{who} {did}: {reason}. Why they may: {why}."),
        None => format!("{who} {did}. Why they may: {why}."),
    }
}

/// Why somebody was refused a record.
pub(crate) fn why_refused(action: &str, basis: &str) -> &'static str {
    match basis {
        _ if action == "open_share" => "the code was wrong",
        _ if action == "break_glass" => "the date of birth was wrong",
        "none" => "there was no reason on file",
        _ => "their role or their reason does not cover it",
    }
}

/// The same words as a sentence begins.
pub(crate) fn capital(words: &str) -> String {
    let mut words = words.to_owned();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

pub(crate) fn role_in_words(role: Role) -> &'static str {
    match role {
        Role::Patient => "patient",
        Role::CareTeamMember => "care team",
        Role::CareTeamLead => "care team lead",
        Role::GpClinician => "doctor or nurse",
        Role::GpManager => "practice manager",
        Role::PrivacyOfficer => "privacy officer",
        Role::Administrator => "administrator",
        Role::Integrator => "computer program",
    }
}
