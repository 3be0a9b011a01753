//! `POST /api/v1/patients/{patient}/readings/entered-in-error`: says that a reading is not one.
//!
//! The body is `{"metric": "body_weight", "at": "2026-11-22T08:01:00Z", "device": 10001, "reason": "weighed with
//! shoes"}`, as the list of readings has it. The reading stays in the list, marked, and counts for nothing any
//! more: trends are computed without it, and the patient's rules judge again as if it had never been. An alert
//! that rested on it is withdrawn, visibly; one that began or ended with it is amended. Doing it again changes
//! nothing.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use homeward_alerts::judging::enter_in_error;
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::history::{ReadingPlace, has_reading};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::{NoParameters, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::request::{Body, Path, Query};
use crate::series::require_patient;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Correction {
    metric: Metric,
    at: DateTime<Utc>,
    device: DeviceId,
    reason: String,
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(correction): Body<Correction>,
) -> Result<StatusCode, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let reason = text("reason", &correction.reason, TEXT_LENGTH)?;
    let place = ReadingPlace {
        at: correction.at,
        metric: correction.metric,
        device: correction.device,
    };
    require_patient(&mut *exchange.connection().await, patient).await?;
    correct(&exchange, patient, place, &reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Marks a reading of a patient as entered in error, in the caller's name.
pub(crate) async fn correct(
    exchange: &Exchange,
    patient: PatientId,
    place: ReadingPlace,
    reason: &str,
) -> Result<(), ApiError> {
    let mut connection = exchange.connection().await;
    if !has_reading(&mut connection, patient, place).await? {
        let ReadingPlace { at, metric, device } = place;
        let what = format!("there is no reading of {metric} at {at} by device {device}");
        return Err(ApiError::NotFound(what));
    }
    let by = (exchange.actor(), reason);
    enter_in_error(&mut connection, patient, place, by, exchange.now()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use homeward_alerts::Observation;
    use homeward_alerts::judging::Plans;
    use homeward_record::Metric::Glucose;
    use homeward_store::Gate;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{TestApp, at};

    const DEVICE: DeviceId = DeviceId(7);

    /// Stores values of glucose, five minutes apart, and has them judged.
    async fn judge(app: &TestApp, patient: PatientId, values: &[f64]) {
        let start = at("2026-11-22T08:00:00Z");
        let minutes = |n: usize| chrono::TimeDelta::minutes(5 * i64::try_from(n).unwrap());
        let observations = values.iter().enumerate().map(|(n, value)| Observation {
            metric: Glucose,
            at: start + minutes(n),
            value: *value,
            device: DEVICE,
            received_at: start + minutes(n),
        });
        let observations: Vec<_> = observations.collect();
        let (mut transaction, _) = Gate::enter(app.pool()).await.unwrap();
        let mut plans = Plans::default();
        plans
            .load(&mut transaction, HashSet::from([patient]))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let readings: Vec<_> = observations.iter().map(|o| (o.metric, o.at, o.value)).collect();
        app.store(patient, DEVICE, &readings).await;
        let (mut transaction, _) = Gate::enter(app.pool()).await.unwrap();
        let new = observations.into_iter().map(|observation| (patient, observation));
        plans
            .judge(&mut transaction, new, at("2026-11-22T09:00:00Z"))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    fn body(at: &str) -> Value {
        json!({"metric": "glucose", "at": at, "device": DEVICE, "reason": "control solution"})
    }

    async fn setting() -> (TestApp, PatientId, String) {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        app.add_rule(patient).await;
        sqlx::query("UPDATE care_plan_rule SET valid_from = '2026-01-01'")
            .execute(app.pool())
            .await
            .unwrap();
        sqlx::query("INSERT INTO device (device_id, kind, secret_hash) OVERRIDING SYSTEM VALUE VALUES (7, 'cgm', sha256(''))")
            .execute(app.pool())
            .await
            .unwrap();
        let path = format!("/api/v1/patients/{patient}/readings/entered-in-error");
        (app, patient, path)
    }

    #[tokio::test]
    async fn an_alert_that_rested_on_the_reading_is_withdrawn_visibly() {
        let (app, patient, path) = setting().await;
        judge(&app, patient, &[5.0, 2.5, 5.0, 5.1]).await;
        assert_eq!(app.get("/api/v1/alerts/1").await.json()["status"], "cleared");

        let answer = app.post_json(&path, &body("2026-11-22T08:05:00Z")).await;
        assert_eq!(answer.status, 204, "{}", answer.show());
        let alert = app.get("/api/v1/alerts/1").await.json();
        assert_eq!(alert["status"], "closed");
        assert!(alert["withdrawn_at"].is_string(), "{alert}");
        let kinds: Vec<_> = app
            .happenings(1)
            .await
            .into_iter()
            .map(|(kind, _)| kind)
            .collect();
        assert_eq!(kinds, ["raised", "cleared", "withdrawn"]);

        let list = format!(
            "/api/v1/patients/{patient}/readings?type=glucose&from=2026-11-22T00:00:00Z&to=2026-11-23T00:00:00Z"
        );
        let readings = app.get(&list).await.json();
        let marks: Vec<_> = readings["readings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["entered_in_error"])
            .collect();
        assert_eq!(marks, [&json!(null), &json!(null), &json!(true), &json!(null)]);
        let trend = format!(
            "/api/v1/patients/{patient}/trends/glucose?from=2026-11-22T08:00:00Z&to=2026-11-22T09:00:00Z&bucket=1h"
        );
        let trend = app.get(&trend).await.json();
        assert_eq!(trend["series"][0]["points"][0]["min"], 5.0, "{trend}");

        // Again: nothing changes.
        assert_eq!(
            app.post_json(&path, &body("2026-11-22T08:05:00Z")).await.status,
            204
        );
        assert_eq!(app.happenings(1).await.len(), 3);
    }

    #[tokio::test]
    async fn an_alert_that_has_other_readings_is_amended() {
        let (app, patient, path) = setting().await;
        judge(&app, patient, &[5.0, 2.5, 2.7, 2.6]).await;
        assert_eq!(
            app.post_json(&path, &body("2026-11-22T08:05:00Z")).await.status,
            204
        );
        let alert = app.get("/api/v1/alerts/1").await.json();
        assert_eq!(alert["status"], "raised");
        assert_eq!(
            (&alert["onset"]["value"], &alert["worst"]["value"]),
            (&json!(2.7), &json!(2.6))
        );
        let kinds: Vec<_> = app
            .happenings(1)
            .await
            .into_iter()
            .map(|(kind, _)| kind)
            .collect();
        assert_eq!(kinds, ["raised", "amended"]);
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        let (app, patient, path) = setting().await;
        let nowhere = app.post_json(&path, &body("2026-11-22T08:05:00Z")).await;
        assert_eq!(nowhere.status, 404);
        judge(&app, patient, &[5.0]).await;
        let mut without_reason = body("2026-11-22T08:00:00Z");
        without_reason["reason"] = json!(" ");
        assert_eq!(app.post_json(&path, &without_reason).await.status, 400);
        let other = "/api/v1/patients/99/readings/entered-in-error";
        let other = app.post_json(other, &body("2026-11-22T08:00:00Z")).await;
        assert_eq!(other.status, 404);
    }
}
