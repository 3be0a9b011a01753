//! `GET /patients/{patient}`: what matters of a patient today, why the reader may see it, and what was written down.
//! `POST /patients/{patient}/notes` writes something down.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::access::{Basis, basis_for};
use homeward_store::notes::{NewNote, notes_of, write_note};

use super::form::Form;
use super::view::{Assets, Who, page, see};
use crate::access::{Action, Exchange, does};
use crate::access_log::role_in_words;
use crate::alerts::act::{TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;
use crate::series::{require_patient, unknown};
use crate::share::{Section, Summary, sections};

/// The most notes that the page shows.
const MOST_NOTES: i64 = 20;

#[derive(Template)]
#[template(path = "pages/patient.html")]
struct Shown {
    assets: Assets,
    who: Option<Who>,
    patient: PatientId,
    name: String,
    /// Why the reader may see this.
    why: &'static str,
    sections: Vec<Section>,
    /// Whether the reader may read notes at all, and write them.
    may_write: bool,
    may_see_log: bool,
    notes: Vec<Written>,
}

struct Written {
    text: String,
    by: String,
    at: String,
    replaced: bool,
}

pub(crate) async fn get(State(_): State<App>, exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let acts_as = &exchange.principal().acts_as;
    let mut connection = exchange.connection().await;
    let summary = Summary::of(&mut connection, patient, exchange.now()).await?;
    let summary = summary.ok_or_else(|| unknown(patient))?;
    let basis = basis_for(&mut connection, acts_as.id, patient, exchange.now()).await?;
    let notes = notes_of(&mut connection, patient, None, MOST_NOTES).await?;
    let notes = notes.into_iter().map(|note| Written {
        by: match note.role.parse().map(role_in_words) {
            Ok(role) => format!("{} ({role})", note.author),
            Err(_) => note.author,
        },
        at: note.written_at.format("%-d %B %Y, %H:%M UTC").to_string(),
        text: note.text,
        replaced: note.replaced_by.is_some(),
    });
    let template = Shown {
        assets: Assets::here(),
        who: Who::of(&exchange),
        patient,
        name: summary.patient.name.clone(),
        why: in_words(basis),
        sections: sections(&summary),
        may_write: does(acts_as.role, Action::WriteNotes) && basis != Some(Basis::BreakGlass),
        may_see_log: does(acts_as.role, Action::ReadAccessLog),
        notes: notes.collect(),
    };
    Ok(page(StatusCode::OK, &template))
}

fn in_words(basis: Option<Basis>) -> &'static str {
    match basis {
        Some(Basis::Own) => "This is your own record.",
        Some(Basis::Proxy) => "The patient has named you to see this. The patient sees that you have looked.",
        Some(Basis::Registration) => {
            "You may see this because the patient is registered with your practice. The patient sees that you have looked."
        }
        Some(Basis::Enrolment) => {
            "You may see this because your team looks after the patient. The patient sees that you have looked."
        }
        Some(Basis::BreakGlass) => {
            "You may see this because you stated a reason, which is being looked into. The patient sees that you have looked."
        }
        None => "",
    }
}

/// `POST /patients/{patient}/notes`.
pub(crate) async fn note(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let text = text("text", form.text("text"), TEXT_LENGTH)?;
    let new = NewNote {
        patient,
        text: &text,
        replaces: None,
    };
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let by = (exchange.actor(), &exchange.principal().acts_as);
    let written = write_note(&mut connection, &new, by, exchange.now()).await;
    written.map_err(|error| ApiError::Conflict(error.to_string()))?;
    Ok(see(&format!("/patients/{patient}")))
}
