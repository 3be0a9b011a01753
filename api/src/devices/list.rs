//! `GET /api/v1/patients/{patient}/devices`: the devices that measure a patient or have, in the order of their periods.
//!
//! Answers `{"patient": 1001, "devices": […]}`, each with `device_id`, `kind`, `utc_offset_minutes`, from when until when
//! it measures the patient (`until` null: still), and when it was revoked.

use axum::Json;
use homeward_record::PatientId;
use homeward_store::admin::{ListedDevice, list_devices};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Path, Query};

#[derive(Serialize, ToSchema)]
pub(crate) struct Listed {
    pub(super) patient: PatientId,
    pub(super) devices: Vec<ListedDevice>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Listed>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let devices = list_devices(&mut *exchange.connection().await, patient).await?;
    Ok(Json(Listed { patient, devices }))
}
