//! `GET /fhir/R4/Observation?patient&code&combo-code&category&date&status&_sort&_count&_include=Observation:device`.
//!
//! By `date`, an interval (of steps) is found by its end. A pressure's own code is in a component: `code` does not find
//! it, and `combo-code` does. `_sort` is `date` or `-date` (the default: the latest first). What readings come to is
//! there where a code or a category of it is asked for: see [`super::summaries`].

use axum::extract::State;
use homeward_store::patients::devices_of;

use super::filter::Filter;
use super::{Place, list, summaries};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::fhir::answer::{Found, Resource, page};
use crate::fhir::device;
use crate::fhir::parameters::{Search, alternatives};
use crate::routes::App;

/// Its search parameters, with their types.
pub(in crate::fhir) const PARAMETERS: [(&str, &str); 7] = [
    ("patient", "reference"),
    ("subject", "reference"),
    ("code", "token"),
    ("combo-code", "token"),
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
    let named = PARAMETERS.iter().map(|(name, _)| *name);
    let known: Vec<&str> = named.chain(["_sort", "_include"]).collect();
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
    let patient = search.visible_patient(&exchange, &["patient", "subject"]).await?;
    let Some(patient) = patient else {
        return Ok(page(&app, "Observation", &search, Found::nothing()));
    };
    let mut connection = exchange.connection().await;
    let mut listed = list(&mut connection, patient, &filter, backwards, after, count).await?;
    if !filter.summaries.is_empty() {
        let page = (backwards, after, count);
        let now = exchange.now();
        listed = summaries::put_among(listed, &mut connection, patient, &filter, now, page).await?;
    }
    let used: Vec<i64> = listed
        .observations
        .iter()
        .map(|(place, _)| place.device)
        .collect();
    let devices = match include {
        true => devices_of(&mut connection, patient, exchange.now()).await?,
        false => Vec::new(),
    };
    let devices = devices.iter().filter(|device| used.contains(&device.id.0));
    let ours = (include && used.contains(&0)).then(device::this_software);
    let found = Found {
        included: devices.map(device::resource).chain(ours).collect(),
        matches: listed
            .observations
            .into_iter()
            .map(|(_, observation)| observation)
            .collect(),
        next: listed.next.map(Place::text),
    };
    Ok(page(&app, "Observation", &search, found))
}
