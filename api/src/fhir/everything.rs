//! `GET /fhir/R4/Patient/{id}/$everything?start&end`: the patient passport, a document that another supplier can take
//! over. `start` and `end`, FHIR dates, limit the readings; all else is there as it stands.

use axum::extract::State;
use homeward_record::PatientId;
use homeward_record::fhir::{self, Passport};
use homeward_store::patients::{devices_of, new_uuid};

use super::answer::{Resource, no_such, root};
use super::parameters::{Search, always, date_span};
use super::{care_plan, consent, device, episodes, observation, patient};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// The most readings in one passport: each takes some kilobytes while it is written, and the whole is in memory. A sensor
/// that measures every five minutes fills it in ten weeks; a longer record takes several passports, each with its time.
const MOST_READINGS: usize = 20_000;

/// The most episodes, by the same reason.
const MOST_EPISODES: usize = 5_000;

/// `GET /fhir/R4/Patient/{patient}/$everything`.
pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&["start", "end"])?;
    let patient: PatientId = path.value("patient").map_err(|_| no_such("Patient"))?;
    let span = |name: &str| -> Result<_, ApiError> {
        let text = search.one(name)?;
        let read = |text| date_span(text).ok_or_else(|| ApiError::parameter(name, "expected a date"));
        text.map(read).transpose()
    };
    let (first, last) = always();
    let window = (
        span("start")?.map_or(first, |(from, _)| from),
        span("end")?.map_or(last, |(_, until)| until),
    );
    let plan = care_plan::load(&exchange, patient).await?;
    let now = exchange.now();
    let mut connection = exchange.connection().await;
    let person = patient::load(&mut connection, patient).await?;
    let devices = devices_of(&mut connection, patient, now).await?;
    let issues = episodes::issues_of(&mut connection, patient, MOST_EPISODES + 1).await?;
    let readings = observation::all_of(&mut connection, patient, window, MOST_READINGS).await?;
    let readings = readings.filter(|_| issues.len() <= MOST_EPISODES).ok_or_else(|| {
        ApiError::TooMuch(format!(
            "a passport holds {MOST_READINGS} readings and {MOST_EPISODES} alerts at most: name a shorter time by start and end"
        ))
    })?;
    let consents = consent::all_of(&mut connection, patient, now).await?;
    let base = root(&app);
    Ok(Resource(fhir::passport(Passport {
        uuid: &new_uuid(&mut connection).await?,
        patient,
        at: now,
        author: "Homeward",
        base: &base,
        sections: vec![
            ("Patient", vec![person]),
            ("Devices", devices.iter().map(device::resource).collect()),
            ("Care plan", plan.into_iter().collect()),
            ("Choices", consents),
            ("Alerts", issues),
            ("Readings", readings),
        ],
    })))
}
