//! What patients have chosen.

use axum::http::Method;
use homeward_store::access::Role;
use serde_json::{Value, json};

use super::ward;
use crate::testing::TestApp;

/// Has the patient stop sharing with the team from tomorrow on, and opt out of research.
pub(super) async fn choose(app: &TestApp, token: &str) {
    let team: i64 = sqlx::query_scalar("SELECT organisation_id FROM organisation WHERE is_default")
        .fetch_one(app.pool())
        .await
        .unwrap();
    for (path, body) in [
        (
            format!("sharing/{team}"),
            json!({"shared": false, "from": "2026-11-23T12:00:00Z"}),
        ),
        (
            format!("sharing/{team}"),
            json!({"shared": true, "from": "2026-11-24T12:00:00Z"}),
        ),
        ("research".to_owned(), json!({"opted_out": true})),
    ] {
        let path = format!("/api/v1/patients/1001/choices/{path}");
        app.send_as(token, &Method::PUT, &path, Some(&body)).await.json();
    }
}

#[tokio::test]
async fn what_the_patient_chose_is_a_consent_for_as_long_as_it_holds() {
    let (app, patient, _) = ward().await;
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    choose(&app, &token).await;
    let found = app.get("/fhir/R4/Consent?patient=1001").await.json();
    let told: Vec<String> = found["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let consent = &entry["resource"];
            let provision = &consent["provision"];
            let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            [
                &consent["id"],
                &consent["status"],
                &consent["scope"]["coding"][0]["code"],
                &provision["type"],
                &provision["period"]["start"],
                &provision["period"]["end"],
            ]
            .map(word)
            .join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "sharing-2 active patient-privacy permit 2026-11-24T12:00:00Z -",
            "sharing-1 active patient-privacy deny 2026-11-23T12:00:00Z 2026-11-24T12:00:00Z",
            "research-1 active research deny 2026-11-22T12:00:00Z -",
        ]
    );
    let one = app.get("/fhir/R4/Consent/sharing-1").await.json();
    assert_eq!(one, found["entry"][1]["resource"]);
}
