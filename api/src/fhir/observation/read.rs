//! `GET /fhir/R4/Observation/{id}`.

use chrono::TimeDelta;
use homeward_record::fhir::{ObservationId, SummaryId};
use homeward_store::observations::readings_at;

use super::interpret::Limits;
use super::{summaries, told};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::fhir::answer::{Resource, no_such};
use crate::fhir::parameters::{Search, always};
use crate::request::Path;

/// `GET /fhir/R4/Observation/{observation}`.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    if let Ok(id) = path.text("observation").parse() {
        return read_summary(&exchange, id).await;
    }
    let id: ObservationId = path.value("observation").map_err(|_| no_such("Observation"))?;
    let (first, last) = always();
    if id.at < first || id.at >= last || !exchange.turn_to(id.patient).await? {
        return Err(no_such("Observation"));
    }
    let mut connection = exchange.connection().await;
    let mut readings = readings_at(&mut connection, id.patient, &[id.at]).await?;
    readings.retain(|reading| reading.device == id.device);
    let limits = Limits::load(&mut connection, id.patient).await?;
    let observations = told(id.patient, &readings, &limits, false);
    let found = observations.into_iter().find(|(found, _)| *found == id);
    let (_, observation) = found.ok_or_else(|| no_such("Observation"))?;
    Ok(Resource(observation))
}

/// What readings come to.
async fn read_summary(exchange: &Exchange, id: SummaryId) -> Result<Resource, ApiError> {
    let (SummaryId::HomeAverage(patient, at) | SummaryId::News2(patient, at)) = id;
    let (first, last) = always();
    // A day at both ends is for what lies around a moment.
    let is_time = first + TimeDelta::days(1) <= at && at < last - TimeDelta::days(1);
    if !is_time || !exchange.turn_to(patient).await? {
        return Err(no_such("Observation"));
    }
    let found = summaries::read(&mut *exchange.connection().await, id, exchange.now()).await?;
    found.map(Resource).ok_or_else(|| no_such("Observation"))
}
