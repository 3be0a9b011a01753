//! Observations that are posted.

use axum::http::{Method, Request};
use homeward_store::access::Role;
use serde_json::{Value, json};

use super::{BASE, told, ward};
use crate::entering::{Entering, NotEntered};
use crate::testing::{Answer, TOKEN, TestApp, at, now};

const PATH: &str = "/fhir/R4/Observation";

fn heart_rate(value: f64) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/1001"},
        "device": {"reference": "Device/10001"},
        "effectiveDateTime": "2026-11-22T11:00:00Z",
        "valueQuantity": {"value": value, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    })
}

async fn post_if(app: &TestApp, condition: &str, body: &Value) -> Answer {
    let request = Request::post(PATH)
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("If-None-Exist", condition);
    app.send_with(request, body).await
}

fn location(answer: &Answer) -> &str {
    answer.headers["location"].to_str().unwrap()
}

#[tokio::test]
async fn what_is_posted_is_there_and_the_same_again_changes_nothing() {
    let (app, ..) = ward().await;
    let first = app.post_json(PATH, &heart_rate(72.0)).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let id = "1001-10001-1-1795345200000000";
    assert_eq!(location(&first), format!("{BASE}/Observation/{id}"));
    let resource: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(app.get(&format!("{PATH}/{id}")).await.json(), resource);
    let again = app.post_json(PATH, &heart_rate(72.0)).await;
    assert_eq!((again.status.as_u16(), location(&again)), (200, location(&first)));
    let other = app.post_json(PATH, &heart_rate(73.0)).await;
    assert_eq!(
        told(&other),
        "409 conflict the record has another value of this device and time, and a stored reading is never changed"
    );
    let source = app
        .get(&format!("/fhir/R4/Provenance?target=Observation/{id}"))
        .await
        .json();
    assert_eq!(
        source["entry"][0]["resource"]["agent"][0]["who"]["display"],
        "ward 3"
    );
    let request = Request::post(PATH)
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("Prefer", "return=minimal");
    let quiet = app.send_with(request, &heart_rate(72.0)).await;
    assert_eq!((quiet.status.as_u16(), quiet.body.as_str()), (200, ""));
}

#[tokio::test]
async fn nothing_is_created_where_the_condition_is_met() {
    let (app, ..) = ward().await;
    let condition = "identifier=http%3A%2F%2Fexample.org%2Fid%7C17";
    let mut body = heart_rate(72.0);
    body["identifier"] = json!([{"system": "http://example.org/other", "value": "a"}]);
    let first = post_if(&app, condition, &body).await;
    assert_eq!(first.status, 201, "{}", first.body);
    // Another time and another value, and the same identifier: that one is there.
    body["effectiveDateTime"] = "2026-11-22T11:01:00Z".into();
    for condition in [
        condition,
        "identifier=http://example.org/id|17",
        "identifier=http://example.org/other|a",
    ] {
        let again = post_if(&app, condition, &body).await;
        assert_eq!(
            (again.status.as_u16(), location(&again)),
            (200, location(&first)),
            "{condition}"
        );
    }
    let other = post_if(&app, "identifier=http://example.org/id|18", &body).await;
    assert_eq!(other.status, 201);
    for wrong in [
        "identifier=17",
        "identifier=|17",
        "code=8867-4",
        "identifier=a|1&identifier=b|2",
        "",
    ] {
        assert_eq!(post_if(&app, wrong, &body).await.status, 400, "{wrong}");
    }
    // What is refused is not remembered.
    let mut implausible = heart_rate(900.0);
    implausible["effectiveDateTime"] = "2026-11-22T11:02:00Z".into();
    let refused = post_if(&app, "identifier=http://example.org/id|19", &implausible).await;
    assert_eq!(refused.status, 422);
    implausible["valueQuantity"]["value"] = 90.into();
    assert_eq!(
        post_if(&app, "identifier=http://example.org/id|19", &implausible)
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_reading_without_a_device_is_of_one_that_stands_for_it() {
    let (app, ..) = ward().await;
    let mut body = heart_rate(72.0);
    body.as_object_mut().unwrap().remove("device");
    let number: String = sqlx::query_scalar("SELECT nhs_number FROM patient")
        .fetch_one(app.pool())
        .await
        .unwrap();
    body["subject"] = json!({"identifier": {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}});
    let mut devices = Vec::new();
    for minute in ["11:00", "11:01"] {
        body["effectiveDateTime"] = format!("2026-11-22T{minute}:00Z").into();
        let posted = app.post_json(PATH, &body).await;
        assert_eq!(posted.status, 201, "{}", posted.body);
        let resource: Value = serde_json::from_str(&posted.body).unwrap();
        devices.push(resource["device"]["reference"].as_str().unwrap().to_owned());
    }
    assert_eq!(devices, ["Device/10002", "Device/10002"]);
    let device = app.get("/fhir/R4/Device/10002").await.json();
    assert_eq!(device["type"]["text"], "manual");
    // Another organisation has another.
    let practice =
        homeward_store::admin::add_organisation(&mut *app.connection().await, "gp_practice", "High Street")
            .await
            .unwrap();
    sqlx::query("UPDATE patient SET organisation_id = $1")
        .bind(practice)
        .execute(app.pool())
        .await
        .unwrap();
    let token = app.token_of(Role::GpClinician, Some(practice), None).await;
    let posted = app.send_as(&token, &Method::POST, PATH, Some(&body)).await;
    assert_eq!(posted.status, 201, "{}", posted.body);
    assert!(posted.body.contains("Device/10003"), "{}", posted.body);
}

#[tokio::test]
async fn what_is_refused_says_why_and_leaves_nothing() {
    let (app, _, cuff) = ward().await;
    let with = |field: &str, value: Value| {
        let mut body = heart_rate(72.0);
        body[field] = value;
        body
    };
    for (body, expected) in [
        (
            json!({"resourceType": "Patient"}),
            "400 structure resourceType: expected an Observation",
        ),
        (
            with("status", "preliminary".into()),
            "422 business-rule status: preliminary: send the final one",
        ),
        (
            heart_rate(400.0),
            "422 business-rule valueQuantity.value: 400 /min is outside the plausible 20 to 300",
        ),
        (
            with("colour", "red".into()),
            "400 structure colour: is no field of an R4 Observation",
        ),
        (
            with("subject", json!({"reference": "Patient/7777"})),
            "422 business-rule subject: there is no such Patient",
        ),
        (
            with("subject", Value::Null),
            "422 business-rule subject: expected a reference to a Patient, or an identifier of https://fhir.nhs.uk/Id/nhs-number",
        ),
        (
            with("device", json!({"reference": "Device/7"})),
            "422 business-rule device: there is no such Device of this patient",
        ),
        (
            with("effectiveDateTime", "2026-10-01T11:00:00Z".into()),
            "422 business-rule the device was assigned to no patient",
        ),
    ] {
        let answer = app.post_json(PATH, &body).await;
        assert_eq!(told(&answer), expected);
    }
    homeward_store::admin::revoke_device(&mut *app.connection().await, cuff, now())
        .await
        .unwrap();
    let answer = app.post_json(PATH, &heart_rate(72.0)).await;
    assert_eq!(
        told(&answer),
        "422 business-rule device: it was revoked, and measures nobody"
    );
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM reading WHERE time = $1")
        .bind(at("2026-11-22T11:00:00Z"))
        .fetch_one(app.pool())
        .await
        .unwrap();
    assert_eq!(stored, 0);
    for scopes in [vec!["system/Observation.read"], vec!["system/Patient.*"]] {
        sqlx::query("UPDATE api_token SET scopes = $1")
            .bind(
                scopes
                    .iter()
                    .map(|scope| (*scope).to_owned())
                    .collect::<Vec<String>>(),
            )
            .execute(app.pool())
            .await
            .unwrap();
        assert_eq!(
            app.post_json(PATH, &heart_rate(72.0)).await.status,
            403,
            "{scopes:?}"
        );
    }
}

#[tokio::test]
async fn two_at_once_are_one() {
    let (app, ..) = ward().await;
    let mut other = heart_rate(72.0);
    other["effectiveDateTime"] = "2026-11-22T11:05:00Z".into();
    let bodies = [heart_rate(72.0), other];
    let condition = "identifier=http://example.org/id|17";
    let posts = (0..8).map(|n| post_if(&app, condition, &bodies[n % 2]));
    let answers = futures_util::future::join_all(posts).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1);
    let places: std::collections::BTreeSet<&str> = answers.iter().map(location).collect();
    assert_eq!(places.len(), 1);
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM reading WHERE metric = 1 AND time >= $1")
        .bind(at("2026-11-22T11:00:00Z"))
        .fetch_one(app.pool())
        .await
        .unwrap();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn where_there_is_no_room_callers_come_again() {
    for (not, text) in [
        (
            NotEntered::Busy,
            "there is no room for readings at present; nothing was stored",
        ),
        (
            NotEntered::Unknown,
            "the reading was not stored in time; send it again: if it is in the record all the same, it stays one",
        ),
    ] {
        let app = TestApp::start_with(|state| {
            state.enter =
                std::sync::Arc::new(move |_| -> Entering { Box::pin(std::future::ready(Err(not))) });
        })
        .await;
        let patient = app.add_patient().await;
        app.add_device(patient).await;
        let answer = post_if(&app, "identifier=http://example.org/id|17", &heart_rate(72.0)).await;
        assert_eq!(answer.headers["retry-after"], "5");
        assert_eq!(told(&answer), format!("503 throttled {text}"));
        let remembered: i64 = sqlx::query_scalar("SELECT count(*) FROM observation_identifier")
            .fetch_one(app.pool())
            .await
            .unwrap();
        assert_eq!(remembered, 0);
    }
}
