//! `GET /api/v1/patients/{patient}`: who a patient is, on which programmes, who looks after them, and why the caller may
//! see that. Its version is the ETag.

use homeward_record::PatientId;
use homeward_store::access::basis_for;
use homeward_store::patients::{Enrolment, enrolments_of, find_person, programmes_of};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::Patient;
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::etag::Tagged;
use crate::request::{Path, Query};
use crate::series::unknown;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    #[serde(flatten)]
    patient: Patient,
    /// The programmes of the care plan; none for those who read nothing clinical.
    programmes: Vec<String>,
    enrolments: Vec<Enrolment>,
    /// `self`, `proxy`, `registration`, `enrolment` or `break_glass`; none for those who look after people and devices.
    basis: Option<&'static str>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Tagged<Shown>, ApiError> {
    let patient = path.value("patient")?;
    show(&exchange, &mut *exchange.connection().await, patient).await
}

/// What is shown of a patient.
pub(super) async fn show(
    exchange: &Exchange,
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<Tagged<Shown>, ApiError> {
    let person = find_person(connection, patient).await?;
    let person = person.ok_or_else(|| unknown(patient))?;
    let held_role = exchange.principal().acts_as.id;
    let basis = basis_for(connection, held_role, patient, exchange.now()).await?;
    Ok(Tagged {
        version: person.version,
        body: Shown {
            patient: Patient::from(person),
            programmes: programmes_of(connection, patient, exchange.now()).await?,
            enrolments: enrolments_of(connection, patient).await?,
            basis: basis.map(homeward_store::access::Basis::as_str),
        },
    })
}
