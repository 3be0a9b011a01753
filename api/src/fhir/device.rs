//! `GET /fhir/R4/Device/{id}` and `Device?patient`: what measures a patient now.

use axum::extract::State;
use chrono::{DateTime, Utc};
use homeward_record::fhir;
use homeward_record::{DeviceId, PatientId};
use homeward_store::patients::{AssignedDevice, devices_of, find_device};
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::answer::{Found, Resource, no_such, page};
use super::parameters::Search;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// Its search parameters, with their types.
pub(super) const PARAMETERS: [(&str, &str); 1] = [("patient", "reference")];

/// `GET /fhir/R4/Device/{device}`: of a device that measures a patient whom the caller may see, or did so last; or
/// `homeward`, this software.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    let ours = this_software();
    if ours["id"] == path.text("device") {
        return Ok(Resource(ours));
    }
    let id: DeviceId = path.value("device").map_err(|_| no_such("Device"))?;
    let found = find_device(&mut *exchange.connection().await, id, exchange.now()).await?;
    let device = found.ok_or_else(|| no_such("Device"))?;
    match exchange.turn_to(device.patient).await? {
        true => Ok(Resource(resource(&device))),
        false => Err(no_such("Device")),
    }
}

/// `GET /fhir/R4/Device`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&PARAMETERS.map(|(name, _)| name))?;
    let found = match search.visible_patient(&exchange, &["patient"]).await? {
        Some(patient) => current(&mut *exchange.connection().await, patient, exchange.now()).await?,
        None => Vec::new(),
    };
    let found = found.iter().map(resource).collect();
    Ok(page(&app, "Device", &search, Found::all(found)))
}

/// The devices that measure a patient at a time.
pub(super) async fn current(
    connection: &mut PgConnection,
    patient: PatientId,
    at: DateTime<Utc>,
) -> Result<Vec<AssignedDevice>, ApiError> {
    let mut devices = devices_of(connection, patient, at).await?;
    devices.retain(|device| device.current);
    Ok(devices)
}

/// The Device resource. Whom it measured before is not said.
pub(super) fn resource(device: &AssignedDevice) -> Json {
    fhir::device(&fhir::Device {
        id: device.id,
        kind: &device.kind,
        patient: device.current.then_some(device.patient),
        revoked_at: device.revoked_at,
    })
}

/// What works Observations out.
pub(super) fn this_software() -> Json {
    fhir::this_software(env!("CARGO_PKG_VERSION"))
}
