//! `PUT /api/v1/patients/{patient}/step-goal` sets how many steps a week a patient wants to take, `DELETE` ends that.

use std::ops::RangeInclusive;

use axum::Json;
use homeward_record::PatientId;
use homeward_store::steps::set_step_goal;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{View, answer};
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Body, Path, Query};
use crate::series::require_patient;

/// What may be wanted: from a short walk a week to what is a slip of the finger beyond. This product's choice.
const STEPS_A_WEEK: RangeInclusive<i32> = 1_000..=350_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    steps_a_week: i32,
}

pub(crate) async fn put(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(asked): Body<Asked>,
) -> Result<Json<View>, ApiError> {
    let patient = path.value("patient")?;
    set(&exchange, patient, Some(asked.steps_a_week)).await?;
    answer(&exchange, patient).await
}

pub(crate) async fn delete(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<View>, ApiError> {
    let patient = path.value("patient")?;
    set(&exchange, patient, None).await?;
    answer(&exchange, patient).await
}

/// Sets the goal in the caller's name, or ends it.
pub(crate) async fn set(
    exchange: &Exchange,
    patient: PatientId,
    steps_a_week: Option<i32>,
) -> Result<(), ApiError> {
    if steps_a_week.is_some_and(|steps| !STEPS_A_WEEK.contains(&steps)) {
        let detail = "a goal is 1,000 to 350,000 steps a week";
        return Err(ApiError::parameter("steps_a_week", detail));
    }
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let by = exchange.actor();
    set_step_goal(&mut connection, patient, steps_a_week, by, exchange.now()).await?;
    Ok(())
}
