//! `POST /api/v1/patients`: puts a patient into the record.
//!
//! The body is `{"nhs_number": "999 000 0018", "name": "Ada Example", "born": "1956-03-01", "practice": 102, "team": 101}`.
//! `practice`, the GP practice where the patient is registered, may be left out; `team` is the care team that looks
//! after them. Answers 201 with the patient, and where that is; 409 where the number is in the record already.

use chrono::NaiveDate;
use homeward_record::{NhsNumber, PatientId};
use homeward_store::admin::{NewPatient, add_patients};
use serde::Deserialize;
use utoipa::ToSchema;

use super::require_kind;
use super::show::{Shown, show};
use crate::access::Exchange;
use crate::alerts::act::{NAME_LENGTH, NoParameters, text};
use crate::error::ApiError;
use crate::etag::Tagged;
use crate::openapi::Created;
use crate::request::{Body, Query};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registered {
    pub(crate) nhs_number: NhsNumber,
    pub(crate) name: String,
    pub(crate) born: NaiveDate,
    pub(crate) practice: Option<i64>,
    pub(crate) team: i64,
}

pub(crate) async fn post(
    exchange: Exchange,
    Query(NoParameters {}): Query<NoParameters>,
    Body(registered): Body<Registered>,
) -> Result<Created<Tagged<Shown>>, ApiError> {
    let patient = register(&exchange, &registered).await?;
    Ok(Created {
        location: Some(format!("/api/v1/patients/{patient}")),
        body: show(&exchange, &mut *exchange.connection().await, patient).await?,
    })
}

/// Puts a patient into the record, in the caller's name.
pub(crate) async fn register(exchange: &Exchange, registered: &Registered) -> Result<PatientId, ApiError> {
    let name = text("name", &registered.name, NAME_LENGTH)?;
    require_born(registered.born, exchange)?;
    let mut connection = exchange.connection().await;
    require_kind(&mut connection, "team", registered.team, "care_team").await?;
    if let Some(practice) = registered.practice {
        require_kind(&mut connection, "practice", practice, "gp_practice").await?;
    }
    let new = NewPatient {
        nhs_number: &registered.nhs_number,
        name: &name,
        born: registered.born,
        organisation: registered.practice,
        team: Some(registered.team),
    };
    let patient = add_patients(&mut connection, &[new]).await?[0];
    exchange.note_patients([patient]);
    Ok(patient)
}

/// Nobody is in the record who is not born yet.
pub(crate) fn require_born(born: NaiveDate, exchange: &Exchange) -> Result<(), ApiError> {
    // A day ahead of UTC, it may be tomorrow already.
    let tomorrow = exchange.now().date_naive().succ_opt();
    if tomorrow.is_some_and(|tomorrow| born > tomorrow) {
        return Err(ApiError::parameter("born", "the date of birth is in the future"));
    }
    Ok(())
}
