//! `GET /fhir/R4/Observation/{id}`.

use homeward_record::fhir::ObservationId;
use homeward_store::observations::readings_at;

use super::interpret::Limits;
use super::told;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::fhir::answer::{Resource, no_such};
use crate::fhir::parameters::{Search, always};
use crate::request::Path;

/// `GET /fhir/R4/Observation/{observation}`.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    let id: ObservationId = path.value("observation").map_err(|_| no_such("Observation"))?;
    let (first, last) = always();
    if id.at < first || id.at >= last || !exchange.turn_to(id.patient).await? {
        return Err(no_such("Observation"));
    }
    let mut connection = exchange.connection().await;
    let mut readings = readings_at(&mut connection, id.patient, &[id.at]).await?;
    readings.retain(|reading| reading.device == id.device);
    let limits = Limits::load(&mut connection, id.patient).await?;
    let observations = told(id.patient, &readings, &limits);
    let found = observations.into_iter().find(|(found, _)| *found == id);
    let (_, observation) = found.ok_or_else(|| no_such("Observation"))?;
    Ok(Resource(observation))
}
