//! `GET /api/v1/patients/{patient}/care-plan?history`: the rules that are in force, or with `history=true` all
//! versions of all rules that the plan has had.
//!
//! Answers `{"patient": 1001, "rules": […]}`, by code and version. Each has its `id`, which alerts name, `code` and
//! `version`, the `programme` from which it was taken (null: made for the patient), whether it is `always_on`, the
//! whole `definition` with its guidance and source, `author` and `reason`, and since when and until when it is valid.
//! `removal` says who took the rule out of the plan, and why.

use axum::Json;
use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_store::plans::{PlanVersion, load_versions};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Path, Query, parsed};
use crate::series::require_patient;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    history: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CarePlan {
    patient: PatientId,
    rules: Vec<PlanVersion>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<CarePlan>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    if parameters.history == Some(true) {
        let rules = load_versions(&mut connection, patient, None).await?;
        return Ok(Json(CarePlan { patient, rules }));
    }
    Ok(Json(in_force(&mut connection, patient, exchange.now()).await?))
}

/// The rules that are in force.
pub(super) async fn in_force(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<CarePlan, ApiError> {
    let mut rules = load_versions(connection, patient, None).await?;
    rules.retain(|version| version.is_in_force(now));
    Ok(CarePlan { patient, rules })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::care_plan::testing::{definition, on, plan};

    #[tokio::test]
    async fn a_plan_tells_where_each_rule_comes_from() {
        let (app, patient) = on("heart-failure").await;
        let rules = plan(&app, patient, false).await;
        let codes: Vec<&str> = rules.iter().map(|rule| rule["code"].as_str().unwrap()).collect();
        assert!(codes.is_sorted(), "{codes:?}");
        assert_eq!(codes.len(), 7);
        let weight = rules.iter().find(|rule| rule["code"] == "weight-gain").unwrap();
        assert_eq!(
            *weight,
            json!({
                "id": weight["id"], "code": "weight-gain", "version": 1, "programme": "heart-failure",
                "always_on": false, "definition": definition("heart-failure", "weight-gain"), "author": "Dr Ng",
                "reason": "enrolment", "valid_from": "2026-11-01T09:00:00Z", "valid_until": null, "removal": null,
            })
        );
        assert!(weight["definition"]["guidance"].is_string() && weight["definition"]["source"].is_string());
        assert_eq!(plan(&app, patient, true).await, rules);
    }

    #[tokio::test]
    async fn a_plan_may_be_empty_and_a_patient_unknown() {
        let (app, _) = on("heart-failure").await;
        let other = app.add_patient().await;
        let empty = app.get(&format!("/api/v1/patients/{other}/care-plan")).await;
        assert_eq!(empty.json(), json!({"patient": other, "rules": []}));
        for (path, status) in [
            ("/api/v1/patients/7/care-plan", 404),
            ("/api/v1/patients/x/care-plan", 400),
            ("/api/v1/patients/1001/care-plan?history=all", 400),
            ("/api/v1/patients/1001/care-plan?versions=all", 400),
        ] {
            assert_eq!(app.get(path).await.status, status, "{path}");
        }
    }
}
