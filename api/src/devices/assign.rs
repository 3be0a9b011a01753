//! `POST /api/v1/devices/{device}/assignments`: gives a device to a patient.
//!
//! The body is `{"patient": 1001, "from": "2026-11-22T08:00:00Z"}`; without `from`, from now on. Whom it measured until
//! then it measures no longer; readings that are stored stay where they are. A period that is over does not change
//! (409). Answers with the periods in which devices measure the patient.

use axum::Json;
use chrono::{DateTime, SubsecRound, Utc};
use homeward_record::{DeviceId, PatientId};
use homeward_store::admin::{assign_device, list_devices};
use homeward_store::patients::find_device;
use serde::Deserialize;
use utoipa::ToSchema;

use super::list::Listed;
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Body, Path, Query};
use crate::series::require_patient;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    patient: PatientId,
    from: Option<DateTime<Utc>>,
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(Assignment { patient, from }): Body<Assignment>,
) -> Result<Json<Listed>, ApiError> {
    let device: DeviceId = path.value("device")?;
    assign(&exchange, device, patient, from).await?;
    let devices = list_devices(&mut *exchange.connection().await, patient).await?;
    Ok(Json(Listed { patient, devices }))
}

/// Gives a device to a patient, in the caller's name. Whoever it measured until then sees that in their log too. Who sees
/// either of them for a stated reason alone gives and takes nothing.
pub(crate) async fn assign(
    exchange: &Exchange,
    device: DeviceId,
    patient: PatientId,
    from: Option<DateTime<Utc>>,
) -> Result<(), ApiError> {
    let from = from.map_or(exchange.now(), |from| from.trunc_subsecs(6));
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let before = find_device(&mut connection, device, exchange.now()).await?;
    let before = before
        .filter(|before| before.current)
        .map(|before| before.patient);
    drop(connection);
    exchange.require_each(before.into_iter().chain([patient])).await?;
    let mut connection = exchange.connection().await;
    Ok(assign_device(&mut connection, device, patient, from).await?)
}
