//! `POST /api/v1/patients/{patient}/care-plan`: puts a programme's rules into a patient's plan.
//!
//! The body is `{"programme": "hypertension", "reason": "referred by Dr Ng"}`. A plan may be made of several programmes; a
//! rule of the same code that the plan has becomes its former version. What arrives from now on is judged by the plan.
//! Answers with the rules in force.

use axum::Json;
use homeward_alerts::Programme;
use homeward_alerts::plans::copy_programme;
use homeward_record::PatientId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::{CarePlan, in_force};
use crate::access::Exchange;
use crate::alerts::act::{NoParameters, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::request::{Body, Path, Query};
use crate::series::require_patient;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begun {
    programme: String,
    reason: String,
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(begun): Body<Begun>,
) -> Result<Json<CarePlan>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let reason = text("reason", &begun.reason, TEXT_LENGTH)?;
    let programme = named(&begun.programme)?;
    begin(&exchange, patient, programme, &reason).await?;
    let mut connection = exchange.connection().await;
    Ok(Json(in_force(&mut connection, patient, exchange.now()).await?))
}

/// The programme of this name.
pub(crate) fn named(name: &str) -> Result<&'static Programme, ApiError> {
    Programme::named(name).ok_or_else(|| {
        let names: Vec<&str> = Programme::names().collect();
        ApiError::parameter("programme", format!("{name:?} is none of {}", names.join(", ")))
    })
}

/// Puts a programme's rules into a patient's plan, in the caller's name.
pub(crate) async fn begin(
    exchange: &Exchange,
    patient: PatientId,
    programme: &Programme,
    reason: &str,
) -> Result<(), ApiError> {
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let by = (exchange.actor(), reason);
    copy_programme(&mut connection, &[patient], programme, by, exchange.now()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{TOKEN_NAME, TestApp};

    #[tokio::test]
    async fn a_plan_begins_with_a_programme_and_goes_on_with_another() {
        let app = TestApp::start().await;
        app.add_patient().await;
        let path = "/api/v1/patients/1001/care-plan";
        let begin = async |programme: &str| {
            let body = json!({"programme": programme, "reason": "referred"});
            app.post_json(path, &body).await
        };
        let hypertension = begin("hypertension").await.json();
        let rules = hypertension["rules"].as_array().unwrap();
        assert!(!rules.is_empty());
        for rule in rules {
            assert_eq!(
                (&rule["programme"], &rule["author"], &rule["reason"]),
                (&json!("hypertension"), &json!(TOKEN_NAME), &json!("referred"))
            );
        }
        let both = begin("diabetes-type-2").await.json();
        let programmes: Vec<&Value> = both["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| &rule["programme"])
            .collect();
        assert!(programmes.contains(&&json!("diabetes-type-2")));
        assert_eq!(app.get(path).await.json(), both);

        let unknown = begin("gout").await;
        assert_eq!(unknown.status, 400);
        assert!(unknown.body.contains("hypertension"), "{}", unknown.body);
        let nobody = json!({"programme": "hypertension", "reason": "referred"});
        let nobody = app.post_json("/api/v1/patients/7777/care-plan", &nobody).await;
        assert_eq!(nobody.status, 404);
    }
}
