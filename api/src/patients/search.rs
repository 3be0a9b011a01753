//! `GET /api/v1/patients`: the patients whom the caller may see, by number.
//!
//! Parameters: `nhs_number` (with or without spaces), `name` (how a part of the name begins, in any case), `limit`
//! (1 to 500; 50), `after` (the `next` of the page before, which is `null` on the last). Somebody whom the caller has
//! no reason to see is not found.

use axum::Json;
use homeward_record::{NhsNumber, PatientId};
use homeward_store::patients::{PersonFilter, find_people};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Patient;
use crate::access::Exchange;
use crate::alerts::act::{NAME_LENGTH, text};
use crate::error::ApiError;
use crate::request::{Limit, Query, parsed};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    nhs_number: Option<NhsNumber>,
    #[serde(default, deserialize_with = "parsed")]
    name: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    limit: Option<Limit<50, 500>>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    after: Option<PatientId>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    patients: Vec<Patient>,
    /// What `after` has to be for the next page.
    next: Option<PatientId>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, ApiError> {
    let name = parameters.name.as_deref();
    let name = name.map(|name| text("name", name, NAME_LENGTH)).transpose()?;
    let filter = PersonFilter {
        ids: None,
        nhs_numbers: parameters
            .nhs_number
            .map(|number| vec![number.as_str().to_owned()]),
        names: name.as_deref().map(words_of).unwrap_or_default(),
        after: parameters.after,
    };
    let limit = parameters.limit.unwrap_or_default();
    let mut people = find_people(&mut *exchange.connection().await, &filter, limit.and_one()).await?;
    let next = limit.cut(&mut people).map(|last| last.id);
    exchange.note_patients(people.iter().map(|person| person.id));
    Ok(Json(Page {
        patients: people.into_iter().map(Patient::from).collect(),
        next,
    }))
}

/// The words of a name as a filter has them: each of them begins a part of the name.
pub(crate) fn words_of(name: &str) -> Vec<Vec<String>> {
    name.split_whitespace()
        .map(|word| vec![word.to_owned()])
        .collect()
}
