//! What readings come to, as Observations.

use chrono::TimeDelta;
use homeward_record::{DeviceId, Metric, PatientId};
use serde_json::Value;

use super::{ids, link};
use crate::testing::{TestApp, at, now};

/// A patient with two courses at home, of which the second runs, and with a NEWS2 set; the first cuff.
pub(super) async fn measured(app: &TestApp) -> (PatientId, DeviceId) {
    let patient = app.add_patient().await;
    let cuff = app.add_device(patient).await;
    for day in [2, 3, 4, 5, 18, 19, 20, 21] {
        for hour in [8, 20] {
            let at = at(&format!("2026-11-{day:02}T{hour:02}:00:00Z"));
            let pressures = [
                (Metric::Systolic, at, 130.0 + f64::from(day)),
                (Metric::Diastolic, at, 84.0),
            ];
            app.store(patient, cuff, &pressures).await;
        }
    }
    let ago = |minutes| now() - TimeDelta::minutes(minutes);
    let set = [
        (Metric::RespiratoryRate, ago(30), 22.0),
        (Metric::Spo2, ago(30), 95.0),
        (Metric::SupplementalOxygen, ago(30), 0.0),
        (Metric::HeartRate, ago(29), 95.0),
        (Metric::Consciousness, ago(29), 0.0),
        (Metric::BodyTemperature, ago(28), 37.0),
    ];
    app.store(patient, cuff, &set).await;
    (patient, cuff)
}

#[tokio::test]
async fn averages_at_home_are_found_by_their_codes_with_what_they_rest_on() {
    let app = TestApp::start().await;
    let (patient, _) = measured(&app).await;
    for query in [
        "code=96607-7",
        "code=http://snomed.info/sct|413606001",
        "combo-code=413605002",
    ] {
        let path = format!("/fhir/R4/Observation?patient={patient}&{query}&_include=Observation:device");
        let found = app.get(&path).await.json();
        let entries = found["entry"].as_array().unwrap();
        let told: Vec<String> = entries[..2]
            .iter()
            .map(|entry| {
                let resource = &entry["resource"];
                let mean = |part: usize| &resource["component"][part]["valueQuantity"]["value"];
                let (status, end) = (&resource["status"], &resource["effectivePeriod"]["end"]);
                let from = resource["derivedFrom"].as_array().unwrap().len();
                format!("{status} {end} {} {} {from}", mean(0), mean(1))
            })
            .collect();
        // The first day is in no average.
        assert_eq!(
            told,
            [
                r#""preliminary" "2026-11-21T20:00:00Z" 150.0 84.0 6"#,
                r#""final" "2026-11-05T20:00:00Z" 134.0 84.0 6"#,
            ],
            "{query}"
        );
        assert_eq!(entries[2]["resource"]["id"], "homeward");
    }
    let path = format!("/fhir/R4/Observation?patient={patient}&code=96607-7&status=final&date=2026-11-05");
    let found = app.get(&path).await.json();
    let average = &found["entry"][0]["resource"];
    assert_eq!(ids(&found).len(), 1);
    let one = app
        .get(&format!("/fhir/R4/Observation/{}", ids(&found)[0]))
        .await
        .json();
    assert_eq!(one, *average);
    for from in average["derivedFrom"].as_array().unwrap() {
        let path = format!("/fhir/R4/{}", from["reference"].as_str().unwrap());
        assert_eq!(app.get(&path).await.status, 200, "{path}");
    }
    assert_eq!(
        app.get("/fhir/R4/Device/homeward").await.json()["deviceName"][0]["name"],
        "Homeward"
    );
    // The measured pressures have other codes.
    let path = format!("/fhir/R4/Observation?patient={patient}&combo-code=8480-6&_count=1000");
    assert_eq!(ids(&app.get(&path).await.json()).len(), 16);
}

#[tokio::test]
async fn a_score_has_its_parts_and_says_what_is_missing() {
    let app = TestApp::start().await;
    let (patient, cuff) = measured(&app).await;
    let path = format!("/fhir/R4/Observation?patient={patient}&code=1104051000000101&_count=1");
    let found = app.get(&path).await.json();
    let score = &found["entry"][0]["resource"];
    assert_eq!(score["dataAbsentReason"]["coding"][0]["code"], "unknown");
    let parts: Vec<String> = score["component"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| match &part["valueQuantity"]["value"] {
            Value::Null => part["dataAbsentReason"]["coding"][0]["code"].to_string(),
            points => points.to_string(),
        })
        .collect();
    assert_eq!(parts, ["2", "1", "0", "\"unknown\"", "1", "0", "0"]);
    assert_eq!(score["derivedFrom"].as_array().unwrap().len(), 6);
    let pressures = [
        (Metric::Systolic, now() - TimeDelta::minutes(27), 120.0),
        (Metric::Diastolic, now() - TimeDelta::minutes(27), 80.0),
    ];
    app.store(patient, cuff, &pressures).await;
    let found = app.get(&path).await.json();
    let score = &found["entry"][0]["resource"];
    assert_eq!(score["valueQuantity"]["value"], 4);
    for from in score["derivedFrom"].as_array().unwrap() {
        let path = format!("/fhir/R4/{}", from["reference"].as_str().unwrap());
        assert_eq!(app.get(&path).await.status, 200, "{path}");
    }
    let one = app
        .get(&format!("/fhir/R4/Observation/{}", ids(&found)[0]))
        .await
        .json();
    assert_eq!(one, *score);
    let survey = app
        .get(&format!(
            "/fhir/R4/Observation?patient={patient}&category=survey&date=ge2026-11-22"
        ))
        .await
        .json();
    assert!(ids(&survey).contains(&ids(&found)[0]));
    for unknown in [
        "-news2-1795334400000000",
        "-home-average-1795334400000000",
        "-news2-1",
    ] {
        let path = format!("/fhir/R4/Observation/{patient}{unknown}");
        assert_eq!(app.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn pages_have_readings_and_what_they_come_to_in_their_order() {
    let app = TestApp::start().await;
    let (patient, _) = measured(&app).await;
    let query = "code=85354-9,96607-7,1104051000000101";
    for (sort, count) in [("date", 3), ("-date", 3), ("date", 1), ("-date", 5)] {
        let path =
            |count| format!("/fhir/R4/Observation?patient={patient}&{query}&_sort={sort}&_count={count}");
        let all = app.get(&path(1_000)).await.json();
        assert_eq!(link(&all, "next"), None);
        let (all, mut found) = (ids(&all), Vec::new());
        let mut next = Some(path(count));
        while let Some(path) = next {
            let page = app.get(&path).await.json();
            assert!(ids(&page).len() <= count);
            found.extend(ids(&page));
            next = link(&page, "next");
        }
        assert_eq!(found, all, "{sort} {count}");
        assert_eq!(all.iter().filter(|id| id.contains("home-average")).count(), 2);
        assert!(all.iter().any(|id| id.contains("news2")));
    }
}
