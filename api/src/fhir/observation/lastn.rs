//! `GET /fhir/R4/Observation/$lastn?patient&max&code&category`: the latest Observations of each kind, one by default.
//!
//! A kind is a metric, or the blood-pressure panel; glucose of all samples is one. What is marked as entered in error is
//! none of the latest.

use axum::extract::State;
use homeward_record::Metric;

use super::filter::Filter;
use super::{PANEL, list};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::fhir::answer::{Found, Resource, page};
use crate::fhir::parameters::Search;
use crate::routes::App;

/// Of how many readings of each kind a request may ask.
const MOST: usize = 100;

/// `GET /fhir/R4/Observation/$lastn`.
pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&["patient", "subject", "max", "code", "category"])?;
    let expected = "expected a whole number from 1 to 100";
    let max = search.value::<usize>("max", expected)?.unwrap_or(1);
    if !(1..=MOST).contains(&max) {
        return Err(ApiError::parameter("max", expected));
    }
    let mut filter = Filter::read(&search)?;
    filter.entered_in_error = Some(false);
    let patient = search.visible_patient(&exchange, &["patient", "subject"]).await?;
    let Some(patient) = patient else {
        return Ok(page(&app, "Observation/$lastn", &search, Found::nothing()));
    };
    let mut connection = exchange.connection().await;
    let mut matches = Vec::new();
    // The panel goes by the first of its metrics; a cuff's word on the pulse alone is found with it.
    let kinds = Metric::ALL
        .into_iter()
        .filter(|metric| !PANEL[1..].contains(metric));
    for kind in kinds {
        let members = match kind {
            Metric::Systolic => PANEL.to_vec(),
            other => vec![other],
        };
        let mut of_kind = filter.clone();
        of_kind.metrics.retain(|metric| members.contains(metric));
        let listed = list(&mut connection, patient, &of_kind, true, None, max).await?;
        matches.extend(
            listed
                .observations
                .into_iter()
                .map(|(_, observation)| observation),
        );
    }
    Ok(page(&app, "Observation/$lastn", &search, Found::all(matches)))
}
