//! `GET /fhir/R4/DeviceMetric/{id}` and `DeviceMetric?source&type`: what each device has measured of a patient.
//!
//! `source` is a Device; `source.patient` stands for the devices of a patient, and so does `patient`, which R4 does not
//! have here.

use axum::extract::State;
use homeward_record::fhir::{self, coded};
use homeward_record::{DeviceId, Metric};
use homeward_store::patients::{AssignedDevice, devices_of, find_device, metrics_of};
use serde_json::Value as Json;

use super::answer::{Found, Resource, no_such, page};
use super::parameters::{Search, Token};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// Its search parameters, with their types.
pub(super) const PARAMETERS: [(&str, &str); 3] = [
    ("source", "reference"),
    ("type", "token"),
    ("patient", "reference"),
];

/// A chained one.
const OF_PATIENT: &str = "source.patient";

/// `GET /fhir/R4/DeviceMetric/{device_metric}`: device and metric.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    let none = || no_such("DeviceMetric");
    let text = path.text("device_metric");
    let (device, metric) = text.split_once('-').ok_or_else(none)?;
    let id: DeviceId = device.parse().map_err(|_| none())?;
    let metric = metric.parse().ok().and_then(Metric::from_code).ok_or_else(none)?;
    let found = find_device(&mut *exchange.connection().await, id, exchange.now()).await?;
    let device = found.ok_or_else(none)?;
    if !exchange.turn_to(device.patient).await? {
        return Err(none());
    }
    let measured = metrics_of(&mut *exchange.connection().await, device.patient, id).await?;
    let resource = resource(&device, metric);
    match measured.contains(&metric) && resource["id"] == text {
        true => Ok(Resource(resource)),
        false => Err(none()),
    }
}

/// `GET /fhir/R4/DeviceMetric`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let known = [PARAMETERS[0].0, PARAMETERS[1].0, PARAMETERS[2].0, OF_PATIENT];
    let search = search.take(&known)?;
    let mut metrics = Metric::ALL.to_vec();
    for value in search.all("type") {
        let tokens = Token::list(value);
        let of = |token: &Token| coded(token.system.as_deref(), token.code.as_deref()).metrics;
        let wanted: Vec<Metric> = tokens.iter().flat_map(of).collect();
        metrics.retain(|metric| wanted.contains(metric));
    }
    let mut found = Vec::new();
    for device in devices(&exchange, &search).await? {
        let measured = metrics_of(&mut *exchange.connection().await, device.patient, device.id).await?;
        let wanted = measured.into_iter().filter(|metric| metrics.contains(metric));
        found.extend(wanted.map(|metric| resource(&device, metric)));
    }
    Ok(page(&app, "DeviceMetric", &search, Found::all(found)))
}

/// The devices that a search names; none of a patient whom the caller may not see.
async fn devices(exchange: &Exchange, search: &Search) -> Result<Vec<AssignedDevice>, ApiError> {
    if let Some(source) = search.one("source")? {
        let id = source.rsplit_once("Device/").map_or(source, |(_, id)| id);
        let Ok(id) = id.parse() else {
            return Ok(Vec::new());
        };
        let found = find_device(&mut *exchange.connection().await, id, exchange.now()).await?;
        return match found {
            Some(device) if exchange.turn_to(device.patient).await? => Ok(vec![device]),
            _ => Ok(Vec::new()),
        };
    }
    if search.one(OF_PATIENT)?.is_none() && search.one("patient")?.is_none() {
        let text = "a search is about one device, or those of one patient: source= or source.patient=";
        return Err(ApiError::parameter("source", text));
    }
    match search.visible_patient(exchange, &[OF_PATIENT, "patient"]).await? {
        Some(patient) => Ok(devices_of(&mut *exchange.connection().await, patient, exchange.now()).await?),
        None => Ok(Vec::new()),
    }
}

fn resource(device: &AssignedDevice, metric: Metric) -> Json {
    let told = fhir::Device {
        id: device.id,
        kind: &device.kind,
        patient: device.current.then_some(device.patient),
        revoked_at: device.revoked_at,
    };
    fhir::device_metric(&told, metric)
}
