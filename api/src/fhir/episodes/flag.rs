//! `GET /fhir/R4/Flag/{id}` and `Flag?patient&status`.

use axum::extract::State;
use homeward_store::alerts::EpisodeStatus;

use super::super::answer::{Resource, page};
use super::super::parameters::{Search, Token};
use super::Form;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// Its search parameters, with their types. (`status` is of FHIR R5, and of this product.)
pub(in crate::fhir) const PARAMETERS: [(&str, &str); 3] = [
    ("patient", "reference"),
    ("subject", "reference"),
    ("status", "token"),
];

/// `GET /fhir/R4/Flag/{alert}`.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    super::read(&exchange, &path, Form::Flag).await.map(Resource)
}

/// `GET /fhir/R4/Flag`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&PARAMETERS.map(|(name, _)| name))?;
    let mut statuses = EpisodeStatus::ALL.to_vec();
    for value in search.all("status") {
        let tokens = Token::list(value);
        statuses.retain(|status| {
            let codes: &[&str] = match status {
                // Of those, the withdrawn ones are `entered-in-error`.
                EpisodeStatus::Closed => &["inactive", "entered-in-error"],
                _ => &["active"],
            };
            let system = "http://hl7.org/fhir/flag-status";
            codes
                .iter()
                .any(|code| tokens.iter().any(|token| token.fits(system, code)))
        });
    }
    let mut found = super::search(&exchange, &search, &statuses, Form::Flag).await?;
    found.matches.retain(|flag| {
        let status = flag["status"].as_str().unwrap_or_default();
        search.all("status").all(|value| {
            let tokens = Token::list(value);
            tokens
                .iter()
                .any(|token| token.fits("http://hl7.org/fhir/flag-status", status))
        })
    });
    Ok(page(&app, "Flag", &search, found))
}
