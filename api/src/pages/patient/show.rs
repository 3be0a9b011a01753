//! `GET /patients/{patient}`: what matters of a patient today, and what was written down. Patients see [`own::home`].

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::access::Role;

use super::head::Head;
use super::notes::{Written, latest};
use crate::access::{Action, Exchange};
use crate::error::ApiError;
use crate::pages::{Who, own, page};
use crate::request::Path;
use crate::series::unknown;
use crate::share::{Section, Summary, sections};

#[derive(Template)]
#[template(path = "pages/patient/show.html")]
struct Shown {
    who: Option<Who>,
    head: Head,
    sections: Vec<Section>,
    /// Whether the reader may write notes.
    may_write: bool,
    notes: Vec<Written>,
}

pub(crate) async fn get(exchange: Exchange, path: Path, uri: Uri) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if exchange.principal().acts_as.role == Role::Patient {
        return own::home::show(&exchange, patient, &uri).await;
    }
    let head = Head::of(&exchange, patient).await?;
    let mut connection = exchange.connection().await;
    let summary = Summary::of(&mut connection, patient, exchange.now()).await?;
    let summary = summary.ok_or_else(|| unknown(patient))?;
    let notes = latest(&mut connection, patient).await?;
    let template = Shown {
        who: Who::of(&exchange),
        sections: sections(&summary),
        may_write: exchange.includes(Action::WriteNotes) && !head.break_glass,
        head,
        notes,
    };
    Ok(page(StatusCode::OK, &template))
}
