//! What was written down about a patient, as pages show it. `POST /patients/{patient}/notes` writes something down, or
//! something in the place of a note that was wrong, which stays.

use askama::Template;
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::notes::{NewNote, Note, notes_of};
use sqlx::PgConnection;

use super::head::Head;
use crate::access::Exchange;
use crate::access_log::role_in_words;
use crate::alerts::act::{TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::notes::write;
use crate::pages::problems::Problems;
use crate::pages::view::see;
use crate::pages::{Form, Moment, Who, page};
use crate::request::Path;

/// The most notes that a page shows.
const MOST_NOTES: i64 = 20;

/// A note as it is shown.
pub(in crate::pages) struct Written {
    pub(in crate::pages) id: i64,
    pub(in crate::pages) text: String,
    pub(in crate::pages) by: String,
    pub(in crate::pages) at: Moment,
    /// Whether it stands in the place of another.
    pub(in crate::pages) replaces: bool,
    /// Whether another stands in its place.
    pub(in crate::pages) replaced: bool,
}

/// The latest notes about a patient, the latest first.
pub(in crate::pages) async fn latest(
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<Vec<Written>, ApiError> {
    let notes = notes_of(connection, patient, None, MOST_NOTES).await?;
    Ok(notes.into_iter().map(written).collect())
}

fn written(note: Note) -> Written {
    Written {
        id: note.id,
        by: match note.role.parse().map(role_in_words) {
            Ok(role) => format!("{} ({role})", note.author),
            Err(_) => note.author,
        },
        at: Moment::new(note.written_at),
        text: note.text,
        replaces: note.replaces.is_some(),
        replaced: note.replaced_by.is_some(),
    }
}

/// The form, once more: with what was typed, and what is wrong with it.
#[derive(Template)]
#[template(path = "pages/patient/note.html")]
struct Again<'a> {
    who: Option<Who>,
    head: Head,
    problems: Problems,
    text: &'a str,
    replaces: &'a str,
}

pub(crate) async fn post(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let (typed, replaces) = (form.text("text"), form.text("replaces"));
    let mut problems = Problems::default();
    match write_down(&exchange, patient, typed, replaces).await {
        Ok(()) => return Ok(see(&format!("/patients/{patient}#notes"))),
        Err(error) => problems.refused("text", error)?,
    }
    let template = Again {
        who: Who::of(&exchange),
        head: Head::of(&exchange, patient).await?,
        problems,
        text: typed,
        replaces,
    };
    Ok(page(template.problems.status(), &template))
}

async fn write_down(
    exchange: &Exchange,
    patient: PatientId,
    typed: &str,
    replaces: &str,
) -> Result<(), ApiError> {
    let replaces = match replaces {
        "" => None,
        number => Some(
            number
                .parse()
                .map_err(|_| ApiError::parameter("text", "there is no such note"))?,
        ),
    };
    let new = NewNote {
        patient,
        text: &text("text", typed, TEXT_LENGTH)?,
        replaces,
    };
    write(exchange, &new).await.map(drop)
}
