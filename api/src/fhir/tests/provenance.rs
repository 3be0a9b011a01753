//! Where Observations and care plans come from, and what devices measure.

use axum::http::Method;
use chrono::TimeDelta;
use homeward_store::access::Role;
use serde_json::{Value, json};

use super::{ids, told, ward};
use crate::testing::now;

fn agents(provenance: &Value) -> Vec<String> {
    let agents = provenance["agent"].as_array().unwrap();
    let who = |agent: &Value| {
        let who = &agent["who"];
        let name = who["reference"].as_str().or(who["display"].as_str());
        format!(
            "{} {}",
            agent["type"]["coding"][0]["code"].as_str().unwrap(),
            name.unwrap()
        )
    };
    agents.iter().map(who).collect()
}

#[tokio::test]
async fn an_observation_tells_what_measured_it_and_who_marked_it() {
    let (app, ..) = ward().await;
    let panel = "1001-10001-5-1795334400000000";
    let path = format!("/fhir/R4/Provenance?target=Observation/{panel}");
    let found = app.get(&path).await.json();
    assert_eq!(ids(&found), [format!("observation-{panel}")]);
    assert_eq!(agents(&found["entry"][0]["resource"]), ["author Device/10001"]);
    for metric in ["systolic", "diastolic", "irregular_pulse"] {
        let body = json!({"metric": metric, "at": "2026-11-22T08:00:00Z", "device": 10001, "reason": "the neighbour's"});
        let marked = app
            .post_json("/api/v1/patients/1001/readings/entered-in-error", &body)
            .await;
        assert!(marked.status.is_success(), "{}", marked.body);
    }
    let found = app.get(&path).await.json();
    let expected = [
        format!("observation-{panel}"),
        "correction-1001-1".to_owned(),
        "correction-1001-2".to_owned(),
        "correction-1001-3".to_owned(),
    ];
    assert_eq!(ids(&found), expected);
    let correction = &found["entry"][1]["resource"];
    assert_eq!(agents(correction), ["author ward 3"]);
    assert_eq!(correction["reason"][0]["text"], "the neighbour's");
    for (id, entry) in ids(&found).iter().zip(found["entry"].as_array().unwrap()) {
        assert_eq!(
            app.get(&format!("/fhir/R4/Provenance/{id}")).await.json(),
            entry["resource"]
        );
    }
    let none = app
        .get("/fhir/R4/Provenance?target=Observation/1001-10001-5-1795334400000001")
        .await
        .json();
    assert_eq!(ids(&none), [""; 0]);
}

#[tokio::test]
async fn a_care_plan_tells_who_made_it() {
    let (app, ..) = ward().await;
    let shown = app.get("/api/v1/patients/1001/care-plan").await.json();
    let mut definition = shown["rules"][0]["definition"].clone();
    definition["guidance"] = "Call.".into();
    let path = "/api/v1/patients/1001/care-plan/glucose-very-low";
    let body = json!({"version": 1, "definition": definition, "reason": "lives alone"});
    let adjusted = app.send_json(Method::PUT, path, &body).await;
    assert!(adjusted.status.is_success(), "{}", adjusted.body);
    let body = json!({"version": 2, "reason": "has moved"});
    let removed = app.send_json(Method::DELETE, path, &body).await;
    assert!(removed.status.is_success(), "{}", removed.body);
    for query in [
        "target=CarePlan/1001",
        "patient=1001",
        "target=CarePlan/1001&patient=Patient/1001",
    ] {
        let found = app.get(&format!("/fhir/R4/Provenance?{query}")).await.json();
        let told: Vec<String> = found["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let resource = &entry["resource"];
                let did = resource["activity"]["coding"][0]["code"].as_str().unwrap();
                format!(
                    "{did} {} {}",
                    agents(resource).join(","),
                    resource["reason"][0]["text"]
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                r#"CREATE author a test "to have a rule""#,
                r#"UPDATE author ward 3 "lives alone""#,
                r#"DELETE author ward 3 "has moved""#,
            ],
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_comes_after_a_change_for_a_time_was_made_with_it() {
    let (app, ..) = ward().await;
    let shown = app.get("/api/v1/patients/1001/care-plan").await.json();
    let body = json!({"version": 1, "definition": shown["rules"][0]["definition"], "reason": "a fast",
        "valid_until": now() + TimeDelta::days(2)});
    let path = "/api/v1/patients/1001/care-plan/glucose-very-low";
    assert_eq!(app.send_json(Method::PUT, path, &body).await.status, 200);
    // As it stands some minutes later.
    let made_at = now() - TimeDelta::minutes(5);
    sqlx::query("UPDATE care_plan_rule SET made_at = $1 WHERE version > 1")
        .bind(made_at)
        .execute(app.pool())
        .await
        .unwrap();
    let found = app.get("/fhir/R4/Provenance?target=CarePlan/1001").await.json();
    let entries = found["entry"].as_array().unwrap();
    let recorded: Vec<&Value> = entries
        .iter()
        .map(|entry| &entry["resource"]["recorded"])
        .collect();
    assert_eq!(recorded[1..], [&json!(made_at), &json!(made_at)]);
}

#[tokio::test]
async fn a_device_s_metrics_are_those_that_it_has_measured_of_the_patient() {
    let (app, _, cuff) = ward().await;
    let expected = [
        "10001-1", "10001-5", "10001-6", "10001-7", "10001-9", "10001-10", "10001-12",
    ];
    for query in [
        "source=Device/10001",
        "source.patient=1001",
        "patient=Patient/1001",
    ] {
        let found = app.get(&format!("/fhir/R4/DeviceMetric?{query}")).await.json();
        assert_eq!(ids(&found), expected, "{query}");
    }
    let found = app
        .get("/fhir/R4/DeviceMetric?source=10001&type=http://loinc.org|8867-4")
        .await
        .json();
    assert_eq!(ids(&found), ["10001-1"]);
    assert_eq!(
        app.get("/fhir/R4/DeviceMetric/10001-1").await.json(),
        found["entry"][0]["resource"]
    );
    for unknown in ["10001-2", "10001-01", "10001", "7-1"] {
        let answer = app.get(&format!("/fhir/R4/DeviceMetric/{unknown}")).await;
        assert_eq!(
            told(&answer),
            "404 not-found there is no such DeviceMetric",
            "{unknown}"
        );
    }
    assert_eq!(app.get("/fhir/R4/DeviceMetric").await.status, 400);

    // Whoever may see the second patient of a device alone hears nothing of the first.
    let team = homeward_store::admin::add_organisation(&mut *app.connection().await, "care_team", "South")
        .await
        .unwrap();
    let other = app.add_patient_of(None, Some(team)).await;
    let since = now() - TimeDelta::hours(1);
    homeward_store::admin::assign_device(&mut *app.connection().await, cuff, other, since)
        .await
        .unwrap();
    let token = app.token_of(Role::CareTeamMember, Some(team), None).await;
    for path in [
        "DeviceMetric?source=10001",
        "DeviceMetric?patient=1001",
        "Provenance?target=CarePlan/1001",
    ] {
        let answer = app
            .send_as(&token, &Method::GET, &format!("/fhir/R4/{path}"), None)
            .await;
        assert_eq!(ids(&answer.json()), [""; 0], "{path}");
    }
}
