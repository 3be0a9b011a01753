//! `GET /patients/{patient}`: what matters of a patient today, why the reader may see it, and what was written down.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::access::{Basis, basis_for};

use super::notes::{Written, latest};
use crate::access::{Action, Exchange, does};
use crate::error::ApiError;
use crate::pages::{Assets, Who, page};
use crate::request::Path;
use crate::series::unknown;
use crate::share::{Section, Summary, sections};

#[derive(Template)]
#[template(path = "pages/patient/show.html")]
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

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let acts_as = &exchange.principal().acts_as;
    let mut connection = exchange.connection().await;
    let summary = Summary::of(&mut connection, patient, exchange.now()).await?;
    let summary = summary.ok_or_else(|| unknown(patient))?;
    let basis = basis_for(&mut connection, acts_as.id, patient, exchange.now()).await?;
    let notes = latest(&mut connection, patient).await?;
    let template = Shown {
        assets: Assets::here(),
        who: Who::of(&exchange),
        patient,
        name: summary.patient.name.clone(),
        why: in_words(basis),
        sections: sections(&summary),
        may_write: does(acts_as.role, Action::WriteNotes) && basis != Some(Basis::BreakGlass),
        may_see_log: does(acts_as.role, Action::ReadAccessLog),
        notes,
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
