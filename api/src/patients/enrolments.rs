//! `GET /api/v1/patients/{patient}/enrolments`: the teams that look after a patient, or have.
//! `PUT /api/v1/patients/{patient}/enrolments/{team}`: enrols the patient with a team, which sees the record from then on.
//! `DELETE /api/v1/patients/{patient}/enrolments/{team}`: ends that: from then on the team sees nothing.
//!
//! A patient who is enrolled there stays so; one who is not cannot be taken out (404). A lead may end what is their own
//! team's; whoever enrols patients must be an administrator, since it is what lets a team in.

use axum::Json;
use homeward_record::PatientId;
use homeward_store::access::{Role, end_enrolment, enrol};
use homeward_store::patients::{Enrolment, enrolments_of};
use serde::Serialize;
use utoipa::ToSchema;

use super::require_kind;
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Path, Query};
use crate::series::require_patient;

#[derive(Serialize, ToSchema)]
pub(crate) struct Listed {
    patient: PatientId,
    enrolments: Vec<Enrolment>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Listed>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    require_patient(&mut *exchange.connection().await, patient).await?;
    listed(&exchange, patient).await
}

pub(crate) async fn put(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Listed>, ApiError> {
    let (patient, team): (PatientId, i64) = (path.value("patient")?, path.value("team")?);
    begin(&exchange, patient, team).await?;
    listed(&exchange, patient).await
}

/// Enrols a patient with a team, in the caller's name.
pub(crate) async fn begin(exchange: &Exchange, patient: PatientId, team: i64) -> Result<(), ApiError> {
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    require_kind(&mut connection, "team", team, "care_team").await?;
    enrol(
        &mut connection,
        &[patient],
        team,
        exchange.actor(),
        exchange.now(),
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Listed>, ApiError> {
    let (patient, team): (PatientId, i64) = (path.value("patient")?, path.value("team")?);
    let enrolments = end(&exchange, patient, team).await?;
    Ok(Json(Listed { patient, enrolments }))
}

/// Ends an enrolment, in the caller's name. Answers all of the patient's, this one ended.
pub(crate) async fn end(
    exchange: &Exchange,
    patient: PatientId,
    team: i64,
) -> Result<Vec<Enrolment>, ApiError> {
    let acts_as = &exchange.principal().acts_as;
    if acts_as.role != Role::Administrator && acts_as.organisation != Some(team) {
        return Err(ApiError::Forbidden(
            "a lead ends the enrolments of their own team",
        ));
    }
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    // Read before it ends: whoever leads the team sees nothing of the patient afterwards.
    let mut enrolments = enrolments_of(&mut connection, patient).await?;
    let ended = end_enrolment(&mut connection, patient, team, exchange.actor(), exchange.now()).await?;
    if !ended {
        let what = format!("the patient is not enrolled with team {team}");
        return Err(ApiError::NotFound(what));
    }
    for enrolment in &mut enrolments {
        if enrolment.organisation == team && enrolment.ended_at.is_none() {
            enrolment.ended_at = Some(exchange.now());
            enrolment.ended_by = Some(exchange.actor().to_owned());
        }
    }
    Ok(enrolments)
}

async fn listed(exchange: &Exchange, patient: PatientId) -> Result<Json<Listed>, ApiError> {
    let enrolments = enrolments_of(&mut *exchange.connection().await, patient).await?;
    Ok(Json(Listed { patient, enrolments }))
}
