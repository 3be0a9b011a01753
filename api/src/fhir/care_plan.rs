//! `GET /fhir/R4/CarePlan/{id}` and `CarePlan?patient`: the rules in force. A patient has one plan, which has the
//! patient's number.

use axum::extract::State;
use homeward_alerts::Definition;
use homeward_record::PatientId;
use homeward_record::fhir::{self, PlannedRule};
use homeward_store::plans::{PlanVersion, load_versions};
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::answer::{Found, Resource, no_such, page};
use super::parameters::Search;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// Its search parameters, with their types.
pub(super) const PARAMETERS: [(&str, &str); 2] = [("patient", "reference"), ("subject", "reference")];

/// `GET /fhir/R4/CarePlan/{patient}`.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    let patient = path.value("patient").map_err(|_| no_such("CarePlan"))?;
    let plan = load(&exchange, patient).await?;
    plan.map(Resource).ok_or_else(|| no_such("CarePlan"))
}

/// `GET /fhir/R4/CarePlan`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&PARAMETERS.map(|(name, _)| name))?;
    let found = match search.visible_patient(&exchange, &["patient", "subject"]).await? {
        Some(patient) => load(&exchange, patient).await?,
        None => None,
    };
    let found = Found::all(found.into_iter().collect());
    Ok(page(&app, "CarePlan", &search, found))
}

/// The CarePlan of a patient who has, or had, a plan.
pub(super) async fn load(exchange: &Exchange, patient: PatientId) -> Result<Option<Json>, ApiError> {
    of(&mut *exchange.connection().await, patient, exchange.now()).await
}

/// The same, as it stands at a time.
pub(super) async fn of(
    connection: &mut PgConnection,
    patient: PatientId,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Option<Json>, ApiError> {
    let versions = load_versions(connection, patient, None).await?;
    Ok(resource(patient, &versions, now))
}

fn resource(
    patient: PatientId,
    versions: &[PlanVersion],
    now: chrono::DateTime<chrono::Utc>,
) -> Option<Json> {
    let since = versions.iter().map(|version| version.valid_from).min()?;
    let in_force: Vec<&PlanVersion> = versions
        .iter()
        .filter(|version| version.is_in_force(now))
        .collect();
    let sentences: Vec<String> = in_force.iter().map(|version| sentence(version)).collect();
    let rules: Vec<PlannedRule<'_>> = in_force
        .iter()
        .zip(&sentences)
        .map(|(version, sentence)| PlannedRule {
            id: version.rule,
            sentence,
            since: version.valid_from,
            until: version.valid_until,
        })
        .collect();
    Some(fhir::care_plan(&fhir::CarePlan {
        patient,
        since,
        rules: &rules,
    }))
}

/// What a rule watches for, and what to do then.
fn sentence(version: &PlanVersion) -> String {
    match Definition::parse(&version.definition) {
        Ok(definition) => format!("{}: {}", definition.name, definition.guidance),
        // A rule that this version of the code cannot read has its code.
        Err(_) => version.code.clone(),
    }
}
