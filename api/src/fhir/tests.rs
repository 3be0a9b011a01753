//! The FHIR interface as its callers see it, a file for each kind of question.

mod access;
mod capabilities;
mod consent;
mod create;
mod export;
mod observations;
mod passport;
mod people;
mod provenance;
mod refusals;
mod summaries;
#[path = "../../../record/tests/validators/mod.rs"]
mod validators;

use chrono::TimeDelta;
use homeward_record::{Context, DeviceId, Metric, PatientId};
use homeward_store::BatchRow;
use serde_json::Value;

use crate::testing::{Answer, TestApp, at, now};

const BASE: &str = "https://homeward.example/fhir/R4";
const LOINC: &str = "http://loinc.org";

/// A patient with a cuff, readings of several kinds, a rule and an episode.
async fn ward() -> (TestApp, PatientId, DeviceId) {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let cuff = app.add_device(patient).await;
    let rule = app.add_rule(patient).await;
    let row = |metric, at, value, sample: Option<&str>| BatchRow {
        part: 0,
        patient,
        metric,
        at,
        device: cuff,
        value,
        context: Context {
            sample: sample.map(str::to_owned),
            ..Context::default()
        },
        received_at: now() + TimeDelta::seconds(1),
    };
    let morning = at("2026-11-22T08:00:00Z");
    let ago = |minutes| now() - TimeDelta::minutes(minutes);
    app.store_rows(vec![
        row(Metric::Systolic, morning, 134.0, None),
        row(Metric::Diastolic, morning, 84.0, None),
        row(Metric::HeartRate, morning, 71.0, None),
        row(Metric::IrregularPulse, morning, 0.0, None),
        row(Metric::HeartRate, at("2026-11-21T08:00:00Z"), 65.0, None),
        row(Metric::Glucose, ago(10), 2.8, Some("interstitial")),
        row(Metric::Glucose, ago(7), 2.4, Some("interstitial")),
        row(Metric::Glucose, ago(5), 2.6, Some("interstitial")),
        row(
            Metric::Glucose,
            at("2026-11-20T08:00:00Z"),
            6.1,
            Some("capillary_blood"),
        ),
        row(Metric::BodyWeight, at("2026-11-19T08:00:00Z"), 70.0, None),
        row(Metric::Consciousness, at("2026-11-19T09:00:00Z"), 0.0, None),
    ])
    .await;
    app.raise(patient, rule, "high", false).await;
    (app, patient, cuff)
}

/// The identifiers of what a search has found, or names and numbers of it.
fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
        .collect()
}

fn link(bundle: &Value, relation: &str) -> Option<String> {
    let links = bundle["link"].as_array().unwrap();
    let found = links.iter().find(|link| link["relation"] == relation)?;
    let url = found["url"].as_str().unwrap();
    Some(url.strip_prefix("https://homeward.example").unwrap().to_owned())
}

/// Status, code and text of what went wrong.
fn told(answer: &Answer) -> String {
    let outcome: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
    assert_eq!(answer.headers["content-type"], "application/fhir+json");
    let issue = &outcome["issue"][0];
    format!(
        "{} {} {}",
        answer.status.as_u16(),
        issue["code"].as_str().unwrap(),
        issue["diagnostics"].as_str().unwrap()
    )
}
