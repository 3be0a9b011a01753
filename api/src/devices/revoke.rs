//! `POST /api/v1/devices/{device}/revoke`: lets a device in no more.
//!
//! Its connection ends, and it never connects again; what it has measured stays. Doing it again changes nothing.
//! Answers `{"device": 10001, "revoked_at": …}`, with the time of the first revocation.

use axum::Json;
use chrono::{DateTime, Utc};
use homeward_record::DeviceId;
use homeward_store::admin::revoke_device;
use homeward_store::patients::find_device;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Path, Query};

#[derive(Serialize, ToSchema)]
pub(crate) struct Revoked {
    device: DeviceId,
    revoked_at: DateTime<Utc>,
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Revoked>, ApiError> {
    let device: DeviceId = path.value("device")?;
    let revoked_at = revoke(&exchange, device).await?;
    Ok(Json(Revoked { device, revoked_at }))
}

/// Lets a device in no more, in the caller's name. Answers when that was done first. Who sees the patient whom it measures
/// for a stated reason alone takes nothing away.
pub(crate) async fn revoke(exchange: &Exchange, device: DeviceId) -> Result<DateTime<Utc>, ApiError> {
    let mut connection = exchange.connection().await;
    let revoked_at = revoke_device(&mut connection, device, exchange.now()).await?;
    let measured = find_device(&mut connection, device, exchange.now()).await?;
    drop(connection);
    match measured {
        Some(measured) if measured.current => exchange.require_each([measured.patient]).await?,
        measured => exchange.note_patients(measured.map(|device| device.patient)),
    }
    Ok(revoked_at)
}
