//! `GET /fhir/R4/Patient/{id}` and `Patient?identifier&name&_id`, within whom the caller may see.

use axum::extract::State;
use homeward_record::fhir::{self, NHS_NUMBER, Verification};
use homeward_record::{NhsNumber, PatientId};
use homeward_store::Error;
use homeward_store::patients::{Person, PersonFilter, find_people};
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::answer::{Found, Resource, no_such, page};
use super::parameters::{Search, Token, alternatives};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// Its search parameters, with their types.
pub(super) const PARAMETERS: [(&str, &str); 3] =
    [("_id", "token"), ("identifier", "token"), ("name", "string")];

/// `GET /fhir/R4/Patient/{patient}`.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    let patient = path.value("patient").map_err(|_| no_such("Patient"))?;
    let mut connection = exchange.connection().await;
    Ok(Resource(load(&mut connection, patient).await?))
}

/// The Patient resource of somebody whom the caller may see.
pub(super) async fn load(connection: &mut PgConnection, patient: PatientId) -> Result<Json, ApiError> {
    let filter = PersonFilter {
        ids: Some(vec![patient.0]),
        ..PersonFilter::default()
    };
    let found = find_people(connection, &filter, 1).await?;
    resource(found.first().ok_or_else(|| no_such("Patient"))?)
}

/// `GET /fhir/R4/Patient`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&PARAMETERS.map(|(name, _)| name))?;
    let count = search.count(50, 500)?;
    let filter = PersonFilter {
        ids: all_of(search.all("_id").map(|value| {
            let numbers = alternatives(value);
            numbers.iter().filter_map(|text| text.parse().ok()).collect()
        })),
        nhs_numbers: all_of(search.all("identifier").map(|value| {
            let tokens = Token::list(value).into_iter();
            let ours =
                tokens.filter(|token| token.system.as_deref().is_none_or(|system| system == NHS_NUMBER));
            ours.filter_map(|token| token.code).collect()
        })),
        names: search
            .all("name")
            .map(alternatives)
            .filter(|list| !list.is_empty())
            .collect(),
        after: search.place()?,
    };
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let mut found = find_people(&mut *exchange.connection().await, &filter, limit + 1).await?;
    let more = found.len() > count;
    found.truncate(count);
    exchange.note_patients(found.iter().map(|person| person.id));
    let matches: Result<Vec<Json>, ApiError> = found.iter().map(resource).collect();
    let found = Found {
        matches: matches?,
        included: Vec::new(),
        next: found.last().filter(|_| more).map(|last| last.id.to_string()),
    };
    Ok(page(&app, "Patient", &search, found))
}

/// What is in each of the lists; `None` without a list.
fn all_of<T: PartialEq>(lists: impl Iterator<Item = Vec<T>>) -> Option<Vec<T>> {
    lists.reduce(|mut common, list| {
        common.retain(|value| list.contains(value));
        common
    })
}

fn resource(person: &Person) -> Result<Json, ApiError> {
    let number = person.nhs_number.parse::<NhsNumber>();
    let nhs_number = number.map_err(|wrong| {
        let cause = sqlx::Error::Decode(wrong.to_string().into());
        ApiError::Store(Error::new("read an NHS number", cause))
    })?;
    Ok(fhir::patient(&fhir::Patient {
        id: person.id,
        nhs_number: &nhs_number,
        // Nobody here asks the Personal Demographics Service.
        verification: Verification::NotTraced,
        name: &person.name,
        born: person.born,
        practice: person.practice.as_ref().map(|(id, name)| (*id, name.as_str())),
    }))
}
