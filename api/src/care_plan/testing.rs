//! A patient on a programme, and readings that are judged.

use std::collections::HashSet;

use axum::http::Method;
use chrono::{DateTime, Utc};
use homeward_alerts::judging::Plans;
use homeward_alerts::plans::copy_programme;
use homeward_alerts::{Observation, Programme};
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::Gate;
use serde_json::{Value, json};

use crate::testing::{Answer, TestApp, at};

const DEVICE: DeviceId = DeviceId(7);

/// An instant of the day of the tests, on which it is noon.
pub(super) fn today(time: &str) -> DateTime<Utc> {
    at(&format!("2026-11-22T{time}:00Z"))
}

/// An interface with a patient who has been on this programme since the beginning of the month.
pub(crate) async fn on(programme: &str) -> (TestApp, PatientId) {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let mut connection = app.pool().acquire().await.unwrap();
    let programme = Programme::named(programme).unwrap();
    let since = at("2026-11-01T09:00:00Z");
    copy_programme(
        &mut connection,
        &[patient],
        programme,
        ("Dr Ng", "enrolment"),
        since,
    )
    .await
    .unwrap();
    (app, patient)
}

/// The rule of a programme as a plan has it.
pub(super) fn definition(programme: &str, code: &str) -> Value {
    let rules = &Programme::named(programme).unwrap().rules;
    let rule = rules.iter().find(|rule| rule.code == code).unwrap();
    serde_json::to_value(&rule.definition).unwrap()
}

/// Glucose below this, at once.
pub(super) fn glucose_below(limit: f64) -> Value {
    json!({
        "name": "Glucose low", "severity": "medium", "guidance": "Measure again.", "source": "The patient's own.",
        "condition": {"kind": "threshold", "limits": [{"metric": "glucose", "below": limit}]},
    })
}

/// Stores values of glucose that were measured and arrived at these times of the day, and has them judged.
pub(crate) async fn judge(app: &TestApp, patient: PatientId, values: &[(&str, f64)]) {
    for (time, value) in values {
        let at = today(time);
        let reading = (Metric::Glucose, at, *value);
        let mut plans = Plans::default();
        let (mut transaction, _) = Gate::enter(app.pool()).await.unwrap();
        let patients = HashSet::from([patient]);
        plans.load(&mut transaction, patients).await.unwrap();
        transaction.commit().await.unwrap();
        app.store(patient, DEVICE, &[reading]).await;
        let observation = Observation {
            metric: Metric::Glucose,
            at,
            value: *value,
            device: DEVICE,
            received_at: at + chrono::TimeDelta::seconds(2),
        };
        let (mut transaction, _) = Gate::enter(app.pool()).await.unwrap();
        plans
            .judge(&mut transaction, [(patient, observation)], at)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
}

/// The rules of the plan, or all of their versions.
pub(super) async fn plan(app: &TestApp, patient: PatientId, history: bool) -> Vec<Value> {
    let path = format!("/api/v1/patients/{patient}/care-plan?history={history}");
    let answer = app.get(&path).await.json();
    answer["rules"].as_array().unwrap().clone()
}

pub(super) async fn put(app: &TestApp, patient: PatientId, code: &str, body: &Value) -> Answer {
    let path = format!("/api/v1/patients/{patient}/care-plan/{code}");
    app.send_json(Method::PUT, &path, body).await
}

pub(super) async fn delete(app: &TestApp, patient: PatientId, code: &str, body: &Value) -> Answer {
    let path = format!("/api/v1/patients/{patient}/care-plan/{code}");
    app.send_json(Method::DELETE, &path, body).await
}
