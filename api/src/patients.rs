//! Patients: finding them, who they are, and which teams look after them.

pub(crate) mod change;
pub(crate) mod enrolments;
pub(crate) mod register;
pub(crate) mod search;
pub(crate) mod show;
#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use homeward_record::PatientId;
use homeward_store::patients::{Person, kind_of_organisation};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::error::ApiError;

/// Who a patient is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Patient {
    id: PatientId,
    nhs_number: String,
    name: String,
    born: NaiveDate,
    practice: Option<Organisation>,
}

/// An organisation by its number and its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Organisation {
    id: i64,
    name: String,
}

impl From<Person> for Patient {
    fn from(person: Person) -> Patient {
        Patient {
            id: person.id,
            nhs_number: person.nhs_number,
            name: person.name,
            born: person.born,
            practice: person.practice.map(|(id, name)| Organisation { id, name }),
        }
    }
}

/// Refuses an organisation that is not of the kind that a parameter wants.
pub(crate) async fn require_kind(
    connection: &mut PgConnection,
    parameter: &str,
    organisation: i64,
    kind: &str,
) -> Result<(), ApiError> {
    let found = kind_of_organisation(connection, organisation).await?;
    if found.as_deref() == Some(kind) {
        return Ok(());
    }
    let kind = kind.replace('_', " ");
    Err(ApiError::parameter(
        parameter,
        format!("there is no {kind} {organisation}"),
    ))
}
