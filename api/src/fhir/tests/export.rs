//! Bulk export.

use axum::http::{Method, Request, StatusCode};
use chrono::TimeDelta;
use homeward_record::Metric;
use homeward_store::access::Role;
use homeward_store::admin::add_organisation;
use serde_json::Value;

use super::validators::{Validator, faults};
use super::{told, ward};
use crate::testing::{Answer, TOKEN, TestApp, now};

async fn ask(app: &TestApp, token: &str, path: &str) -> Answer {
    let request = Request::get(path)
        .header("Authorization", format!("Bearer {token}"))
        .header("Prefer", "respond-async");
    app.send(request).await
}

/// Where an export tells how far it is.
fn place(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let place = answer.headers["content-location"].to_str().unwrap();
    place.strip_prefix("https://homeward.example").unwrap().to_owned()
}

/// The manifest, and how often one had to ask.
async fn finish(app: &TestApp, token: &str, place: &str) -> (Value, Vec<String>) {
    let mut progress = Vec::new();
    loop {
        let answer = app.send_as(token, &Method::GET, place, None).await;
        if answer.status == StatusCode::OK {
            assert!(answer.headers["expires"].to_str().unwrap().ends_with("GMT"));
            return (answer.json(), progress);
        }
        assert_eq!(answer.status, 202, "{}", answer.body);
        assert_eq!(answer.headers["retry-after"], "1");
        progress.push(answer.headers["x-progress"].to_str().unwrap().to_owned());
    }
}

/// The lines of a file of the manifest, which has as many as it says.
async fn lines(app: &TestApp, token: &str, manifest: &Value, kind: &str) -> Vec<Value> {
    let output = manifest["output"].as_array().unwrap();
    let Some(file) = output.iter().find(|file| file["type"] == kind) else {
        return Vec::new();
    };
    let url = file["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://homeward.example")
        .unwrap();
    let answer = app.send_as(token, &Method::GET, url, None).await;
    assert_eq!(answer.headers["content-type"], "application/fhir+ndjson");
    let lines: Vec<Value> = answer
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(file["count"], lines.len(), "{kind}");
    lines
}

#[tokio::test]
async fn an_export_has_all_whom_the_caller_may_see_and_nobody_else() {
    let (app, patient, cuff) = ward().await;
    let others = add_organisation(&mut *app.connection().await, "care_team", "South")
        .await
        .unwrap();
    let unseen = app.add_patient_of(None, Some(others)).await;
    let second = app.add_patient().await;
    let monitor = app.add_device(second).await;
    app.store(
        second,
        monitor,
        &[(Metric::HeartRate, now() - TimeDelta::minutes(1), 71.0)],
    )
    .await;
    app.store(
        unseen,
        cuff,
        &[(Metric::HeartRate, now() - TimeDelta::minutes(1), 72.0)],
    )
    .await;
    sqlx::query("UPDATE reading SET received_at = time + interval '2 s'")
        .execute(app.pool())
        .await
        .unwrap();
    let begun = ask(&app, TOKEN, "/fhir/R4/Patient/$export").await;
    let place = place(&begun);
    let (manifest, progress) = finish(&app, TOKEN, &place).await;
    assert_eq!(progress, ["1 of 2 patients", "2 of 2 patients"]);
    assert_eq!(
        manifest["request"],
        "https://homeward.example/fhir/R4/Patient/$export"
    );
    assert_eq!(manifest["requiresAccessToken"], true);
    let mut all = Vec::new();
    for (kind, number) in [
        ("Patient", 2),
        ("Device", 2),
        ("Observation", 9 + 1),
        ("Flag", 1),
        ("DetectedIssue", 1),
        ("CarePlan", 1),
    ] {
        let found = lines(&app, TOKEN, &manifest, kind).await;
        assert_eq!(found.len(), number, "{kind}");
        assert!(found.iter().all(|resource| resource["resourceType"] == kind));
        all.extend(found);
    }
    assert!(
        all.iter()
            .all(|resource| !resource.to_string().contains(&format!("Patient/{unseen}")))
    );
    for validator in [Validator::fhir(), Validator::fhirkit()] {
        assert_eq!(faults(&validator, &all), "", "{}", validator.program.display());
    }
    // Who shares no longer is left out of what is fetched from then on.
    sqlx::query(
        "INSERT INTO sharing_choice (patient_id, organisation_id, shared, effective_from, made_by, made_at)
         SELECT $1, organisation_id, false, $2, 'Ada', $2 FROM organisation WHERE is_default",
    )
    .bind(patient.0)
    .bind(now())
    .execute(app.pool())
    .await
    .unwrap();
    let url = manifest["output"][0]["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://homeward.example")
        .unwrap();
    let answer = app.send_as(TOKEN, &Method::GET, url, None).await;
    assert_eq!(answer.body.lines().count(), 1);
    // It is in the log of each patient.
    let logged: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_event WHERE action = 'export' AND patients @> ARRAY[$1]",
    )
    .bind(second.0)
    .fetch_one(app.pool())
    .await
    .unwrap();
    assert!(logged > 1, "{logged}");
}

#[tokio::test]
async fn an_export_is_of_what_is_asked_for_and_allowed() {
    let (app, ..) = ward().await;
    app.add_patient().await;
    sqlx::query("UPDATE reading SET received_at = time + interval '2 s'")
        .execute(app.pool())
        .await
        .unwrap();
    let team: i64 = sqlx::query_scalar("SELECT organisation_id FROM organisation WHERE is_default")
        .fetch_one(app.pool())
        .await
        .unwrap();
    sqlx::query("UPDATE care_plan_rule SET programme = 'diabetes-type-1'")
        .execute(app.pool())
        .await
        .unwrap();
    for (path, patients, observations) in [
        ("Patient/$export?_type=Patient,Observation".to_owned(), 2, 9),
        (format!("Group/{team}/$export?_type=Patient,Observation"), 2, 9),
        (
            "Group/diabetes-type-1/$export?_type=Patient&_type=Observation".to_owned(),
            1,
            9,
        ),
        ("Group/hypertension/$export".to_owned(), 0, 0),
        ("Group/7777/$export".to_owned(), 0, 0),
        (
            "Patient/$export?_since=2026-11-22T00:00:00Z&_outputFormat=ndjson".to_owned(),
            2,
            5,
        ),
    ] {
        let place = place(&ask(&app, TOKEN, &format!("/fhir/R4/{path}")).await);
        let (manifest, _) = finish(&app, TOKEN, &place).await;
        let found = (
            lines(&app, TOKEN, &manifest, "Patient").await.len(),
            lines(&app, TOKEN, &manifest, "Observation").await.len(),
        );
        assert_eq!(found, (patients, observations), "{path}");
    }
    sqlx::query("UPDATE api_token SET scopes = '{system/Patient.read,system/Observation.rs}'")
        .execute(app.pool())
        .await
        .unwrap();
    let place = place(&ask(&app, TOKEN, "/fhir/R4/Patient/$export").await);
    let (manifest, _) = finish(&app, TOKEN, &place).await;
    let types: Vec<&Value> = manifest["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["type"])
        .collect();
    assert_eq!(types, ["Patient", "Observation"]);
    for (path, expected) in [
        (
            "Patient/$export?_type=Flag",
            "403 forbidden the token is not for this: its scopes do not include a type",
        ),
        (
            "Patient/$export?_type=Medication",
            "400 invalid _type: \"Medication\" is none of Patient, Device, Observation, Flag, DetectedIssue, CarePlan",
        ),
        (
            "Patient/$export?_since=yesterday",
            "400 invalid _since: expected a time with offset",
        ),
        (
            "Patient/$export?_outputFormat=csv",
            "400 invalid _outputFormat: expected application/fhir+ndjson",
        ),
        ("Group/asthma/$export", "404 not-found there is no such Group"),
    ] {
        assert_eq!(
            told(&ask(&app, TOKEN, &format!("/fhir/R4/{path}")).await),
            expected
        );
    }
    let at_once = app.get("/fhir/R4/Patient/$export").await;
    assert_eq!(
        told(&at_once),
        "400 invalid Prefer: an export takes time: expected respond-async"
    );
}

#[tokio::test]
async fn an_export_is_its_caller_s_one_at_a_time_and_for_a_time() {
    let (app, ..) = ward().await;
    let team: i64 = sqlx::query_scalar("SELECT organisation_id FROM organisation WHERE is_default")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let other = app.token_of(Role::Integrator, Some(team), None).await;
    let first = place(&ask(&app, TOKEN, "/fhir/R4/Patient/$export").await);
    let second = ask(&app, TOKEN, "/fhir/R4/Patient/$export").await;
    assert_eq!(
        (
            second.status.as_u16(),
            second.headers["retry-after"].to_str().unwrap()
        ),
        (429, "30")
    );
    place(&ask(&app, &other, "/fhir/R4/Patient/$export").await);
    assert_eq!(app.send_as(&other, &Method::GET, &first, None).await.status, 404);
    assert_eq!(
        app.send_as(&other, &Method::DELETE, &first, None).await.status,
        404
    );
    let unfinished = first.replace("$export-status", "$export-file") + "/Patient";
    assert_eq!(app.get(&unfinished).await.status, 404);

    assert_eq!(
        app.send_as(TOKEN, &Method::DELETE, &first, None).await.status,
        202
    );
    assert_eq!(app.get(&first).await.status, 404);
    let third = place(&ask(&app, TOKEN, "/fhir/R4/Patient/$export").await);
    sqlx::query("UPDATE bulk_export SET expires_at = $1")
        .bind(now())
        .execute(app.pool())
        .await
        .unwrap();
    assert_eq!(app.get(&third).await.status, 404);
    // One that has expired is in nobody's way.
    place(&ask(&app, TOKEN, "/fhir/R4/Patient/$export").await);
}
