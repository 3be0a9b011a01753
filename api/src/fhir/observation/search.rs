//! `GET /fhir/R4/Observation?patient&code&category&date&status&_sort&_count&_include=Observation:device`.
//!
//! By `date`, an interval (of steps) is found by its end. A pressure's own code is in a component and found by none:
//! ask for the panel. `_sort` is `date` or `-date` (the default: the latest first).

use axum::extract::State;
use homeward_record::DeviceId;
use homeward_store::patients::devices_of;

use super::{Filter, Place, list};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::fhir::answer::{Found, Resource, page};
use crate::fhir::device;
use crate::fhir::parameters::{Search, alternatives};
use crate::routes::App;

/// Its search parameters, with their types.
pub(in crate::fhir) const PARAMETERS: [(&str, &str); 6] = [
    ("patient", "reference"),
    ("subject", "reference"),
    ("code", "token"),
    ("category", "token"),
    ("date", "date"),
    ("status", "token"),
];

/// What `_include` takes.
pub(in crate::fhir) const INCLUDE: &str = "Observation:device";

/// `GET /fhir/R4/Observation`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let [patient, subject, code, category, date, status] = PARAMETERS.map(|(name, _)| name);
    let known = [
        patient, subject, code, category, date, status, "_sort", "_include",
    ];
    let search = search.take(&known)?;
    let count = search.count(100, 1_000)?;
    let filter = Filter::read(&search)?;
    let backwards = match search.one("_sort")? {
        None | Some("-date") => true,
        Some("date") => false,
        Some(_) => return Err(ApiError::parameter("_sort", "expected date or -date")),
    };
    let mut include = false;
    for asked in search.all("_include").flat_map(alternatives) {
        match asked.as_str() {
            INCLUDE | "Observation:device:Device" => include = true,
            _ => return Err(ApiError::parameter("_include", format!("expected {INCLUDE}"))),
        }
    }
    let after: Option<Place> = search.place()?;
    let patient = search.patient(&["patient", "subject"])?;
    let patient = match patient {
        Some(patient) if exchange.turn_to(patient).await? => patient,
        _ => return Ok(page(&app, "Observation", &search, Found::nothing())),
    };
    let mut connection = exchange.connection().await;
    let listed = list(&mut connection, patient, &filter, backwards, after, count).await?;
    let used: Vec<DeviceId> = listed.observations.iter().map(|(device, _)| *device).collect();
    let devices = match include {
        true => devices_of(&mut connection, patient, exchange.now()).await?,
        false => Vec::new(),
    };
    let devices = devices.iter().filter(|device| used.contains(&device.id));
    let found = Found {
        included: devices.map(device::resource).collect(),
        matches: listed
            .observations
            .into_iter()
            .map(|(_, observation)| observation)
            .collect(),
        next: listed.next.map(Place::text),
    };
    Ok(page(&app, "Observation", &search, found))
}
