//! `Patient/{id}/$everything`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{link, ward};

#[tokio::test]
async fn a_passport_has_all_of_one_patient() {
    let (app, ..) = ward().await;
    let passport = app.get("/fhir/R4/Patient/1001/$everything").await.json();
    let kinds: Vec<&str> = passport["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["resourceType"].as_str().unwrap())
        .collect();
    let count = |kind| kinds.iter().filter(|found| **found == kind).count();
    assert_eq!(
        [
            "Composition",
            "Patient",
            "Device",
            "DeviceUseStatement",
            "CarePlan",
            "DetectedIssue",
            "Observation"
        ]
        .map(count),
        [1, 1, 1, 1, 1, 1, 9 + 1]
    );
    let since = app
        .get("/fhir/R4/Patient/1001/$everything?start=2026-11-22")
        .await
        .json();
    assert_eq!(since["entry"].as_array().unwrap().len(), 7 + 5);
    assert_eq!(
        app.get("/fhir/R4/Patient/1001/$everything?start=now")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_long_passport_comes_in_pages_that_append_to_the_first() {
    let (app, ..) = ward().await;
    let body = json!({"metric": "heart_rate", "at": "2026-11-22T08:00:00Z", "device": 10001, "reason": "the neighbour's"});
    app.post_json("/api/v1/patients/1001/readings/entered-in-error", &body)
        .await;
    let mut path = "/fhir/R4/Patient/1001/$everything?_count=4".to_owned();
    let (mut documents, mut kinds, mut observations) = (Vec::new(), Vec::new(), BTreeSet::new());
    loop {
        let page = app.get(&path).await.json();
        let resources: Vec<&Value> = page["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| &entry["resource"])
            .collect();
        let of = |kind: &str| resources.iter().filter(|one| one["resourceType"] == kind).count();
        kinds.push(["Device", "CarePlan", "DetectedIssue", "Provenance", "Observation"].map(of));
        let found = resources
            .iter()
            .filter(|one| one["resourceType"] == "Observation");
        observations.extend(found.map(|one| one["id"].as_str().unwrap().to_owned()));
        documents.push((
            page["identifier"]["value"].clone(),
            resources[0]["relatesTo"].clone(),
        ));
        match page["link"].is_array() {
            true => path = link(&page, "next").unwrap(),
            false => break,
        }
    }
    // With the first page there is a score that some of the readings come to.
    assert_eq!(kinds, [[1, 1, 1, 1, 4 + 1], [1, 0, 0, 0, 4], [1, 0, 0, 0, 1]]);
    assert_eq!(observations.len(), 9 + 1);
    let first = &documents[0].0;
    assert_eq!(documents[0].1, Value::Null);
    for (document, appended) in &documents[1..] {
        assert_ne!(document, first);
        assert_eq!(appended[0]["code"], "appends");
        assert_eq!(appended[0]["targetIdentifier"]["value"], *first);
    }
    for wrong in ["x", "1.1.1~x", "1.1.1"] {
        let path = format!("/fhir/R4/Patient/1001/$everything?_after={wrong}");
        assert_eq!(app.get(&path).await.status, 400, "{wrong}");
    }
}
