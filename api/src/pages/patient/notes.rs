//! What was written down about a patient, as pages show it. `POST /patients/{patient}/notes` writes something down.

use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::notes::{NewNote, Note, notes_of, write_note};
use sqlx::PgConnection;

use crate::access::Exchange;
use crate::access_log::role_in_words;
use crate::alerts::act::{TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::pages::Form;
use crate::pages::moment::Moment;
use crate::pages::view::see;
use crate::request::Path;
use crate::series::require_patient;

/// The most notes that a page shows.
const MOST_NOTES: i64 = 20;

/// A note as it is shown.
pub(in crate::pages) struct Written {
    pub(in crate::pages) text: String,
    pub(in crate::pages) by: String,
    pub(in crate::pages) at: Moment,
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
        by: match note.role.parse().map(role_in_words) {
            Ok(role) => format!("{} ({role})", note.author),
            Err(_) => note.author,
        },
        at: Moment::new(note.written_at),
        text: note.text,
        replaced: note.replaced_by.is_some(),
    }
}

pub(crate) async fn post(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
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
