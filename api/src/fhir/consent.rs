//! `GET /fhir/R4/Consent/{id}` and `Consent?patient`: what a patient has chosen about sharing with organisations and about
//! research, each choice for as long as it holds, the latest first. `sharing-{number}` and `research-{number}` name them.

use axum::extract::State;
use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_record::fhir::{self, DataUse};
use homeward_store::choices::{
    Choices, ResearchSource, research_of, sharing_of, whose_research_choice, whose_sharing_choice,
};
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::answer::{Found, Resource, no_such, page};
use super::parameters::Search;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// Its search parameters, with their types.
pub(super) const PARAMETERS: [(&str, &str); 1] = [("patient", "reference")];

/// `GET /fhir/R4/Consent/{consent}`.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    let id = path.text("consent");
    let missing = || no_such("Consent");
    let (kind, number) = id.split_once('-').ok_or_else(missing)?;
    let number: i64 = number.parse().map_err(|_| missing())?;
    let whose = {
        let mut connection = exchange.connection().await;
        match kind {
            "sharing" => whose_sharing_choice(&mut connection, number).await?,
            "research" => whose_research_choice(&mut connection, number).await?,
            _ => None,
        }
    };
    let patient = whose.ok_or_else(missing)?;
    if !exchange.turn_to(patient).await? {
        return Err(missing());
    }
    let all = all_of(&mut *exchange.connection().await, patient, exchange.now()).await?;
    let found = all.into_iter().find(|consent| consent["id"] == id);
    found.map(Resource).ok_or_else(missing)
}

/// `GET /fhir/R4/Consent`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&PARAMETERS.map(|(name, _)| name))?;
    let found = match search.visible_patient(&exchange, &["patient"]).await? {
        Some(patient) => all_of(&mut *exchange.connection().await, patient, exchange.now()).await?,
        None => Vec::new(),
    };
    Ok(page(&app, "Consent", &search, Found::all(found)))
}

/// The Consents of a patient.
pub(super) async fn all_of(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<Json>, ApiError> {
    let mut consents = Vec::new();
    for sharing in sharing_of(connection, patient, now).await? {
        let usage = DataUse::Sharing(sharing.organisation, &sharing.name);
        consents.extend(resources(
            patient,
            usage,
            "the patient's own choice",
            &sharing.choices,
            now,
        ));
    }
    for source in ResearchSource::ALL {
        let basis = match source {
            ResearchSource::Patient => "the patient's own choice",
            ResearchSource::NationalDataOptOut => "national data opt-out",
        };
        let choices = research_of(connection, patient, source).await?;
        consents.extend(resources(patient, DataUse::Research, basis, &choices, now));
    }
    Ok(consents)
}

fn resources(
    patient: PatientId,
    usage: DataUse<'_>,
    basis: &str,
    choices: &Choices,
    now: DateTime<Utc>,
) -> Vec<Json> {
    let kind = match usage {
        DataUse::Sharing(..) => "sharing",
        DataUse::Research => "research",
    };
    let resource = |(choice, until): (&homeward_store::choices::Choice, Option<DateTime<Utc>>)| {
        fhir::consent(&fhir::Consent {
            id: &format!("{kind}-{}", choice.id),
            patient,
            usage,
            permitted: choice.allowed,
            from: choice.from,
            until,
            is_over: until.is_some_and(|until| until <= now),
            recorded_at: choice.made_at,
            basis,
        })
    };
    choices.periods().map(resource).collect()
}
