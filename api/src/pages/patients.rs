//! `GET /patients`: finds a patient among those whom the reader may see.
//!
//! Parameter: `query`, an NHS number, or how each part of a name begins. Somebody whom the reader has no reason to see is
//! not found, and the page says what one can do then.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::{NhsNumber, PatientId};
use homeward_store::patients::{Person, PersonFilter, find_people};
use serde::Deserialize;
use utoipa::IntoParams;

use super::patient::head::{born, spaced};
use super::view::{Who, page};
use crate::access::{Action, Exchange};
use crate::alerts::act::{NAME_LENGTH, text};
use crate::error::ApiError;
use crate::request::{Limit, Query, parsed};

/// How many the page shows: whoever is not among them is better looked for by a longer name.
const MOST: Limit<50, 50> = Limit(50);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    query: Option<String>,
}

#[derive(Template)]
#[template(path = "pages/patients.html")]
struct Patients {
    who: Option<Who>,
    query: String,
    /// What was wrong with what was typed.
    wrong: Option<String>,
    /// None before anything was asked for.
    found: Option<Vec<Row>>,
    more: bool,
    may_break_glass: bool,
}

struct Row {
    patient: PatientId,
    name: String,
    born: String,
    nhs_number: String,
    practice: String,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let query = parameters.query.unwrap_or_default().trim().to_owned();
    let mut template = Patients {
        who: Who::of(&exchange),
        wrong: None,
        found: None,
        more: false,
        may_break_glass: exchange.includes(Action::BreakGlass),
        query,
    };
    if template.query.is_empty() {
        return Ok(page(StatusCode::OK, &template));
    }
    let filter = match filter(&template.query) {
        Ok(filter) => filter,
        Err(wrong) => {
            template.wrong = Some(wrong);
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
    };
    let mut people = find_people(&mut *exchange.connection().await, &filter, MOST.and_one()).await?;
    template.more = MOST.cut(&mut people).is_some();
    exchange.note_patients(people.iter().map(|person| person.id));
    let row = |person: Person| Row {
        patient: person.id,
        born: born(&person, exchange.now()),
        nhs_number: spaced(&person.nhs_number),
        practice: person.practice.map_or_else(String::new, |(_, name)| name),
        name: person.name,
    };
    template.found = Some(people.into_iter().map(row).collect());
    Ok(page(StatusCode::OK, &template))
}

/// By number where it has digits, else by name.
fn filter(query: &str) -> Result<PersonFilter, String> {
    if query.contains(|c: char| c.is_ascii_digit()) {
        let number: NhsNumber = query.parse().map_err(|error| format!("{error}"))?;
        return Ok(PersonFilter {
            nhs_numbers: Some(vec![number.as_str().to_owned()]),
            ..PersonFilter::default()
        });
    }
    let name = text("query", query, NAME_LENGTH).map_err(|error| error.to_string())?;
    Ok(PersonFilter {
        names: name
            .split_whitespace()
            .map(|word| vec![word.to_owned()])
            .collect(),
        ..PersonFilter::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::TestApp;

    #[tokio::test]
    async fn patients_are_found_by_number_and_by_name() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let number: String = sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = $1")
            .bind(patient.0)
            .fetch_one(app.pool())
            .await
            .unwrap();
        let link = format!("href=\"/patients/{patient}\"");
        for (query, status, told) in [
            (number.as_str(), 200, link.as_str()),
            ("ada", 200, &link),
            ("Sim+Ada", 200, &link),
            ("Nobody", 200, "None of your patients"),
            ("9990000000", 422, "There is a problem"),
            ("", 200, "Find a patient"),
        ] {
            let answer = app.get(&format!("/patients?query={query}")).await;
            assert_eq!(answer.status, status, "{query}: {}", answer.body);
            assert!(answer.body.contains(told), "{query}: {}", answer.body);
        }
    }
}
