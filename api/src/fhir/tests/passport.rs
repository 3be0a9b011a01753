//! `Patient/{id}/$everything`.

use super::ward;

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
            "CarePlan",
            "DetectedIssue",
            "Observation"
        ]
        .map(count),
        [1, 1, 1, 1, 1, 9]
    );
    let since = app
        .get("/fhir/R4/Patient/1001/$everything?start=2026-11-22")
        .await
        .json();
    assert_eq!(since["entry"].as_array().unwrap().len(), 5 + 5);
    assert_eq!(
        app.get("/fhir/R4/Patient/1001/$everything?start=now")
            .await
            .status,
        400
    );
}
