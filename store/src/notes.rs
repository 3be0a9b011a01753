//! What people write down about patients.

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;
use crate::access::HeldRole;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Note {
    /// Its number. A later one was written later.
    pub id: i64,
    /// About whom.
    pub patient: PatientId,
    /// What it says.
    pub text: String,
    /// When it was written.
    pub written_at: DateTime<Utc>,
    /// Who wrote it.
    pub author: String,
    /// What they were then.
    pub role: String,
    /// The name of their organisation.
    pub organisation: Option<String>,
    /// The note in whose place it stands.
    pub replaces: Option<i64>,
    /// The note that stands in its place.
    pub replaced_by: Option<i64>,
}

/// A note to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewNote<'a> {
    /// About whom.
    pub patient: PatientId,
    /// What it says; not empty.
    pub text: &'a str,
    /// The note in whose place it is to stand.
    pub replaces: Option<i64>,
}

/// Why a note was not written.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The note in whose place it was to stand is not one of this patient.
    #[error("there is no note {0} about this patient")]
    Unknown(i64),
    /// Another stands in that place already.
    #[error("note {0} was replaced already, by note {1}")]
    Replaced(i64, i64),
    /// The record could not be changed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Writes a note, and answers with it.
pub async fn write_note(
    connection: &mut PgConnection,
    new: &NewNote<'_>,
    (author, acts_as): (&str, &HeldRole),
    now: DateTime<Utc>,
) -> Result<Note, NoteError> {
    let failed = |source| Error::new("write a note", source);
    if let Some(replaced) = new.replaces {
        let former = load(connection, new.patient, Some(replaced), None, 1)
            .await?
            .pop();
        match former {
            None => return Err(NoteError::Unknown(replaced)),
            Some(Note {
                replaced_by: Some(by),
                ..
            }) => return Err(NoteError::Replaced(replaced, by)),
            Some(_) => {}
        }
    }
    let written = sqlx::query_scalar!(
        "INSERT INTO note (patient_id, replaces, text, written_at, author, held_role_id, role, organisation_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (replaces) DO NOTHING RETURNING note_id",
        new.patient.0,
        new.replaces,
        new.text,
        now,
        author,
        acts_as.id,
        acts_as.role.as_str(),
        acts_as.organisation
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let Some(written) = written else {
        // Somebody was quicker, between the look and the writing.
        let replaced = new.replaces.unwrap_or_default();
        let former = load(connection, new.patient, Some(replaced), None, 1)
            .await?
            .pop();
        let by = former.and_then(|former| former.replaced_by).unwrap_or_default();
        return Err(NoteError::Replaced(replaced, by));
    };
    let note = load(connection, new.patient, Some(written), None, 1).await?.pop();
    Ok(note.ok_or_else(|| failed(sqlx::Error::RowNotFound))?)
}

/// The notes about a patient, the latest first; those before one of them, if it is given.
pub async fn notes_of(
    connection: &mut PgConnection,
    patient: PatientId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Note>, Error> {
    load(connection, patient, None, before, limit).await
}

async fn load(
    connection: &mut PgConnection,
    patient: PatientId,
    one: Option<i64>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Note>, Error> {
    sqlx::query_as!(
        Note,
        r#"SELECT note_id AS id, patient_id AS patient, text, written_at, author, role,
             (SELECT name FROM organisation WHERE organisation.organisation_id = note.organisation_id) AS organisation,
             replaces, (SELECT later.note_id FROM note AS later WHERE later.replaces = note.note_id) AS replaced_by
         FROM note
         WHERE patient_id = $1 AND ($2::bigint IS NULL OR note_id = $2) AND ($3::bigint IS NULL OR note_id < $3)
         ORDER BY note_id DESC LIMIT $4"#,
        patient.0,
        one,
        before,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("load notes", source))
}
