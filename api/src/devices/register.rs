//! `POST /api/v1/devices`: registers a device of a patient.
//!
//! The body is `{"patient": 1001, "kind": "cuff", "from": "2026-11-22T08:00:00Z", "utc_offset_minutes": 0}`; without `from`
//! it measures the patient from now on, and `utc_offset_minutes`, how far the device's own clock face is ahead of UTC,
//! is 0 where it is left out. Without `patient` it enters the stock and measures nobody yet; what a lead registers is of
//! their own team's stock. `label` is what is printed on it. Answers 201 with what has to be typed into the device: the
//! secret is shown here and never again.

use axum::Json;
use chrono::{DateTime, SubsecRound, Utc};
use homeward_record::{DeviceId, PatientId};
use homeward_store::admin::{NewOfStock, add_to_stock, assign_device};
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

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registered {
    pub(crate) patient: Option<PatientId>,
    pub(crate) kind: String,
    pub(crate) label: Option<String>,
    /// Whose stock it enters.
    pub(crate) organisation: Option<i64>,
    pub(crate) from: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(crate) utc_offset_minutes: i32,
}

/// What has to be typed into a device.
#[derive(Serialize, ToSchema)]
pub(crate) struct Credentials {
    pub(crate) device: DeviceId,
    pub(crate) username: String,
    pub(crate) client_id: String,
    pub(crate) secret: String,
    pub(crate) readings_topic: String,
    pub(crate) errors_topic: String,
}

impl Credentials {
    /// All of them as one text, which a device or whoever sets it up reads from a QR code.
    pub(crate) fn as_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(crate) async fn post(
    exchange: Exchange,
    Query(NoParameters {}): Query<NoParameters>,
    Body(registered): Body<Registered>,
) -> Result<Created<ShownOnce<Json<Credentials>>>, ApiError> {
    let credentials = register(&exchange, &registered).await?;
    Ok(Created {
        location: None,
        body: ShownOnce(Json(credentials)),
    })
}

/// Registers a device in the caller's name.
pub(crate) async fn register(exchange: &Exchange, registered: &Registered) -> Result<Credentials, ApiError> {
    let kind = text("kind", &registered.kind, NAME_LENGTH)?;
    let label = registered.label.as_deref();
    let label = label.map(|label| text("label", label, NAME_LENGTH)).transpose()?;
    if registered.utc_offset_minutes.abs() > FARTHEST_FROM_UTC {
        let detail = format!("expected minutes from -{FARTHEST_FROM_UTC} to {FARTHEST_FROM_UTC}");
        return Err(ApiError::parameter("utc_offset_minutes", detail));
    }
    let own = exchange.own_team();
    if registered.organisation.is_some() && own.is_some() && registered.organisation != own {
        return Err(ApiError::Forbidden("a lead registers devices of their own team"));
    }
    if let Some(patient) = registered.patient {
        exchange.require(patient).await?;
        require_patient(&mut *exchange.connection().await, patient).await?;
    }
    let secret = random_text();
    let new = NewOfStock {
        kind: &kind,
        label: label.as_deref(),
        secret: &secret,
        utc_offset_minutes: registered.utc_offset_minutes,
        organisation: registered.organisation.or(own),
    };
    let mut connection = exchange.connection().await;
    let device = add_to_stock(&mut connection, &new).await?;
    if let Some(patient) = registered.patient {
        let from = registered
            .from
            .map_or(exchange.now(), |from| from.trunc_subsecs(6));
        assign_device(&mut connection, device, patient, from).await?;
    }
    Ok(Credentials {
        device,
        username: device.to_string(),
        client_id: device.to_string(),
        secret,
        readings_topic: format!("v1/devices/{device}/readings"),
        errors_topic: format!("v1/devices/{device}/errors"),
    })
}
