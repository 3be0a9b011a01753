//! What there is, and that two validators of others find nothing wrong with it.

use std::collections::BTreeSet;

use axum::http::{Method, Request};
use homeward_store::access::Role;
use serde_json::{Value, json};

use super::validators::{Validator, faults};
use super::{BASE, LOINC, ward};
use crate::fhir::metadata::SERVED;
use crate::routes::api_routes;
use crate::testing::TestApp;

#[tokio::test]
async fn the_capability_statement_says_what_there_is() {
    let app = TestApp::start().await;
    let answer = app.send(Request::get("/fhir/R4/metadata")).await;
    assert_eq!(answer.headers["content-type"], "application/fhir+json");
    assert_eq!(answer.json()["implementation"]["url"], BASE);
    let mut said = BTreeSet::new();
    for served in &SERVED {
        for interaction in served.interactions {
            said.insert(match *interaction {
                "read" => format!("{}/{{}}", served.name),
                _ => served.name.to_owned(),
            });
        }
        for (operation, _) in served.operations {
            said.insert(match *operation {
                "everything" => format!("{}/{{}}/${operation}", served.name),
                "export" if served.name == "Group" => format!("Group/{{}}/${operation}"),
                _ => format!("{}/${operation}", served.name),
            });
        }
    }
    let nameless = |path: &str| {
        let parts: Vec<&str> = path
            .split('/')
            .map(|part| if part.starts_with('{') { "{}" } else { part })
            .collect();
        parts.join("/")
    };
    let routes = api_routes();
    let served: BTreeSet<String> = routes
        .iter()
        .filter_map(|route| route.path.strip_prefix("/fhir/R4/"))
        // Where an export goes on is told by its beginning.
        .filter(|path| !path.starts_with("$export-"))
        .map(nameless)
        .collect();
    assert_eq!(said, served);
}

#[tokio::test]
async fn two_validators_find_nothing_wrong_with_any_answer() {
    let (app, patient, _) = ward().await;
    let (measured, _) = super::summaries::measured(&app).await;
    app.post("/api/v1/alerts/1/acknowledge").await.json();
    let body = json!({"metric": "heart_rate", "at": "2026-11-22T08:00:00Z", "device": 10001, "reason": "the neighbour's"});
    app.post_json("/api/v1/patients/1001/readings/entered-in-error", &body)
        .await;
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    super::consent::choose(&app, &token).await;
    let mut answers = Vec::new();
    for path in ["Observation?code=96607-7,1104051000000101", "$everything"] {
        let path = match path.strip_prefix('$') {
            Some(operation) => format!("/fhir/R4/Patient/{measured}/${operation}?_count=5"),
            None => format!("/fhir/R4/{path}&patient={measured}&_include=Observation:device"),
        };
        let resource = app.get(&path).await.json();
        let entries = resource["entry"].as_array().cloned().unwrap_or_default();
        answers.extend(entries.iter().map(|entry| entry["resource"].clone()));
        answers.push(resource);
    }
    for path in [
        "metadata",
        "Patient/1001",
        "Patient?name=ada",
        "Patient/1001/$everything",
        "Observation?patient=1001&_include=Observation:device",
        "Observation?patient=1001&_count=1",
        "Observation?patient=7777",
        "Observation/1001-10001-5-1795334400000000",
        "Observation/$lastn?patient=1001",
        "Observation/$stats?patient=1001&code=http://loinc.org|",
        "Observation/$stats?patient=7777&code=8867-4",
        "Device/10001",
        "Device?patient=1001",
        "Device/homeward",
        "DeviceMetric?source=Device/10001",
        "DeviceMetric/10001-1",
        "Provenance?target=Observation/1001-10001-1-1795334400000000",
        "Provenance?patient=1001",
        "Flag?patient=1001",
        "DetectedIssue?patient=1001",
        "CarePlan?patient=1001",
        "Consent?patient=1001",
        "Consent/sharing-1",
        "AuditEvent?patient=1001",
        "Observation/x",
        "Observation",
    ] {
        let path = format!("/fhir/R4/{path}");
        let answer = app.send_as(&token, &Method::GET, &path, None).await;
        let resource: Value = serde_json::from_str(&answer.body).unwrap();
        answers.push(resource.clone());
        let entries = resource["entry"].as_array().cloned().unwrap_or_default();
        answers.extend(entries.iter().map(|entry| entry["resource"].clone()));
    }
    assert!(
        answers
            .iter()
            .any(|resource| resource["code"]["coding"][0]["system"] == LOINC)
    );
    for validator in [Validator::fhir(), Validator::fhirkit()] {
        assert_eq!(
            faults(&validator, &answers),
            "",
            "{}",
            validator.program.display()
        );
    }
}
