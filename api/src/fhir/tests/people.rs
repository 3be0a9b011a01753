//! Patients, their alerts, plans and devices, and who saw them.

use axum::http::Method;
use chrono::TimeDelta;
use homeward_store::access::Role;
use serde_json::{Value, json};

use super::{ids, link, ward};
use crate::testing::{TOKEN_NAME, now};

#[tokio::test]
async fn patients_are_found_by_nhs_number_and_by_name() {
    let (app, ..) = ward().await;
    app.add_patient().await;
    let person = app.get("/fhir/R4/Patient/1001").await.json();
    let number = person["identifier"][0]["value"].as_str().unwrap();
    for (query, expected) in [
        (
            format!("identifier=https://fhir.nhs.uk/Id/nhs-number|{number}"),
            1,
        ),
        (format!("identifier={number}"), 1),
        (format!("identifier=http://example.org|{number}"), 0),
        (format!("identifier={number}&name=ada"), 1),
        ("name=SIM".to_owned(), 2),
        ("name=imulated".to_owned(), 0),
        ("name=a.a".to_owned(), 0),
        ("name=bob,ada".to_owned(), 2),
        ("name=bob&name=ada".to_owned(), 0),
        ("_id=1002,1003,x".to_owned(), 1),
        ("name=".to_owned(), 2),
    ] {
        let found = app.get(&format!("/fhir/R4/Patient?{query}")).await.json();
        assert_eq!(ids(&found).len(), expected, "{query}");
    }
    let first = app.get("/fhir/R4/Patient?name=ada&_count=1").await.json();
    let second = app.get(&link(&first, "next").unwrap()).await.json();
    assert_eq!(
        (ids(&first), ids(&second)),
        (vec!["1001".to_owned()], vec!["1002".to_owned()])
    );
    assert_eq!(link(&second, "next"), None);
}

#[tokio::test]
async fn episodes_are_flags_and_issues_with_their_evidence() {
    let (app, patient, _) = ward().await;
    app.post("/api/v1/alerts/1/acknowledge").await.json();
    for (what, body) in [
        ("comment", json!({"text": "Called"})),
        (
            "snooze",
            json!({"until": "2026-11-22T12:30:00Z", "reason": "Eating now"}),
        ),
        ("assign", json!({"to": TOKEN_NAME})),
    ] {
        let path = format!("/api/v1/alerts/1/{what}");
        app.post_json(&path, &body).await.json();
    }
    let issue = app.get("/fhir/R4/DetectedIssue?patient=1001").await.json();
    assert_eq!(
        issue["entry"][0]["resource"],
        app.get("/fhir/R4/DetectedIssue/1").await.json()
    );
    let found = &issue["entry"][0]["resource"];
    let text = app.get("/api/v1/alerts/1").await.json()["text"].clone();
    assert_eq!(
        [
            &found["status"],
            &found["severity"],
            &found["code"]["text"],
            &found["detail"]
        ],
        [
            &json!("preliminary"),
            &json!("high"),
            &json!("glucose-very-low"),
            &text
        ]
    );
    let done: Vec<&Value> = found["mitigation"]
        .as_array()
        .unwrap()
        .iter()
        .map(|done| &done["action"]["text"])
        .collect();
    assert_eq!(
        done,
        [
            "acknowledged",
            "comment: Called",
            "snoozed until 2026-11-22T12:30:00Z: Eating now",
            "assigned to ward 3",
        ]
    );
    // What is said of an alert the patient reads too.
    let own = app.token_of(Role::Patient, None, Some(patient)).await;
    let path = "/fhir/R4/DetectedIssue/1";
    let read = app.send_as(&own, &Method::GET, path, None).await.json();
    assert_eq!(read["mitigation"], found["mitigation"]);
    assert_eq!(found["evidence"][0]["detail"].as_array().unwrap().len(), 3);
    for evidence in issue["entry"][0]["resource"]["evidence"][0]["detail"]
        .as_array()
        .unwrap()
    {
        let path = format!("/fhir/R4/{}", evidence["reference"].as_str().unwrap());
        assert_eq!(app.get(&path).await.status, 200, "{path}");
    }
    for (query, expected) in [("", 1), ("&status=active", 1), ("&status=inactive", 0)] {
        let flags = app
            .get(&format!("/fhir/R4/Flag?patient=1001{query}"))
            .await
            .json();
        assert_eq!(ids(&flags).len(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_plan_devices_and_the_log() {
    let (app, patient, cuff) = ward().await;
    let plan = app.get("/fhir/R4/CarePlan?patient=1001").await.json();
    let activity = &plan["entry"][0]["resource"]["activity"][0]["detail"]["description"];
    assert_eq!(activity, "Glucose very low: Treat the low glucose now.");
    assert_eq!(
        app.get("/fhir/R4/CarePlan/1001").await.json(),
        plan["entry"][0]["resource"]
    );
    let devices = app.get("/fhir/R4/Device?patient=1001").await.json();
    assert_eq!(ids(&devices), [cuff.to_string()]);
    assert_eq!(
        app.get("/fhir/R4/Device/10001").await.json()["patient"]["reference"],
        "Patient/1001"
    );

    // Handed on to another patient: the first one's searches tell nothing of that one.
    let other = app.add_patient().await;
    let mut connection = app.connection().await;
    homeward_store::admin::assign_device(&mut connection, cuff, other, now() - TimeDelta::hours(1))
        .await
        .unwrap();
    assert_eq!(
        ids(&app.get("/fhir/R4/Device?patient=1001").await.json()),
        [""; 0]
    );
    let found = app
        .get("/fhir/R4/Observation?patient=1001&_count=1&_include=Observation:device")
        .await;
    assert!(found.body.contains("Device/10001") && !found.body.contains("1002"));

    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    let log = app
        .send_as(
            &token,
            &Method::GET,
            "/fhir/R4/AuditEvent?patient=1001&_count=2",
            None,
        )
        .await
        .json();
    let what: Vec<&Value> = log["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["resource"]["entity"][0]["description"])
        .collect();
    assert_eq!(
        what,
        ["looked at your readings", "looked at which devices measure you"]
    );
    assert!(link(&log, "next").is_some());
}
