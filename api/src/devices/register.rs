//! `POST /api/v1/devices`: registers a device of a patient.
//!
//! The body is `{"patient": 1001, "kind": "cuff", "from": "2026-11-22T08:00:00Z", "utc_offset_minutes": 0}`; without `from`
//! it measures the patient from now on, and `utc_offset_minutes`, how far the device's own clock face is ahead of UTC,
//! is 0 where it is left out. Answers 201 with what has to be typed into the device: the secret is shown here and never
//! again.

use axum::Json;
use chrono::{DateTime, SubsecRound, Utc};
use homeward_record::{DeviceId, PatientId};
use homeward_store::admin::{NewDevice, add_devices};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Exchange, ShownOnce};
use crate::alerts::act::{NAME_LENGTH, NoParameters, text};
use crate::error::ApiError;
use crate::openapi::Created;
use crate::request::{Body, Query};
use crate::series::require_patient;
use crate::sign_in::random_text;

/// The clock faces that there are on Earth are within 14 hours of UTC; 18 hours is what ISO 8601 allows.
const FARTHEST_FROM_UTC: i32 = 18 * 60;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registered {
    patient: PatientId,
    kind: String,
    from: Option<DateTime<Utc>>,
    #[serde(default)]
    utc_offset_minutes: i32,
}

/// What has to be typed into a device.
#[derive(Serialize, ToSchema)]
pub(crate) struct Credentials {
    device: DeviceId,
    username: String,
    client_id: String,
    secret: String,
    readings_topic: String,
    errors_topic: String,
}

pub(crate) async fn post(
    exchange: Exchange,
    Query(NoParameters {}): Query<NoParameters>,
    Body(registered): Body<Registered>,
) -> Result<Created<ShownOnce<Json<Credentials>>>, ApiError> {
    let kind = text("kind", &registered.kind, NAME_LENGTH)?;
    if registered.utc_offset_minutes.abs() > FARTHEST_FROM_UTC {
        let detail = format!("expected minutes from -{FARTHEST_FROM_UTC} to {FARTHEST_FROM_UTC}");
        return Err(ApiError::parameter("utc_offset_minutes", detail));
    }
    exchange.require(registered.patient).await?;
    let secret = random_text();
    let new = NewDevice {
        kind: &kind,
        secret: &secret,
        utc_offset_minutes: registered.utc_offset_minutes,
        patient: registered.patient,
        from: registered
            .from
            .map_or(exchange.now(), |from| from.trunc_subsecs(6)),
    };
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, registered.patient).await?;
    let device = add_devices(&mut connection, &[new]).await?[0];
    let credentials = Credentials {
        device,
        username: device.to_string(),
        client_id: device.to_string(),
        secret,
        readings_topic: format!("v1/devices/{device}/readings"),
        errors_topic: format!("v1/devices/{device}/errors"),
    };
    Ok(Created {
        location: None,
        body: ShownOnce(Json(credentials)),
    })
}
