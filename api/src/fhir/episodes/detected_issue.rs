//! `GET /fhir/R4/DetectedIssue/{id}` and `DetectedIssue?patient`.

use axum::extract::State;
use homeward_store::alerts::EpisodeStatus;

use super::super::answer::{Resource, page};
use super::super::parameters::Search;
use super::Form;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// Its search parameters, with their types.
pub(in crate::fhir) const PARAMETERS: [(&str, &str); 1] = [("patient", "reference")];

/// `GET /fhir/R4/DetectedIssue/{alert}`.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    super::read(&exchange, &path, Form::DetectedIssue)
        .await
        .map(Resource)
}

/// `GET /fhir/R4/DetectedIssue`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&PARAMETERS.map(|(name, _)| name))?;
    let found = super::search(&exchange, &search, &EpisodeStatus::ALL, Form::DetectedIssue).await?;
    Ok(page(&app, "DetectedIssue", &search, found))
}
