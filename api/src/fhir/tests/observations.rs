//! Observations: read, search, `$lastn` and `$stats`.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use homeward_record::{DeviceId, Metric};
use serde_json::{Value, json};

use super::{BASE, ids, link, ward};
use crate::testing::{TestApp, now};

#[tokio::test]
async fn a_blood_pressure_is_found_as_a_panel_with_its_device() {
    let (app, ..) = ward().await;
    let query = "?patient=1001&code=http://loinc.org|85354-9&_include=Observation:device";
    let answer = app.get(&format!("/fhir/R4/Observation{query}")).await;
    assert_eq!(answer.headers["content-type"], "application/fhir+json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let found = answer.json();
    assert_eq!(
        link(&found, "self").unwrap(),
        format!("/fhir/R4/Observation{}", query.replace('|', "%7C"))
    );
    let entries = found["entry"].as_array().unwrap();
    let modes: Vec<&Value> = entries.iter().map(|entry| &entry["search"]["mode"]).collect();
    assert_eq!(modes, ["match", "include"]);
    let panel = &entries[0]["resource"];
    assert_eq!(
        entries[0]["fullUrl"],
        format!("{BASE}/Observation/1001-10001-5-1795334400000000")
    );
    assert_eq!(panel["effectiveDateTime"], "2026-11-22T08:00:00Z");
    let parts: Vec<String> = panel["component"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| {
            let value = [&part["valueQuantity"]["value"], &part["valueBoolean"]];
            let value = value.into_iter().find(|value| !value.is_null()).unwrap();
            format!("{} {value}", part["code"]["coding"][0]["code"].as_str().unwrap())
        })
        .collect();
    assert_eq!(parts, ["8480-6 134.0", "8462-4 84.0", "8410608.2 false"]);
    assert_eq!(panel["device"]["reference"], "Device/10001");
    assert_eq!(entries[1]["resource"]["id"], "10001");
    let one = app
        .get("/fhir/R4/Observation/1001-10001-5-1795334400000000")
        .await;
    assert_eq!(one.json(), *panel);
}

#[tokio::test]
async fn a_search_finds_what_it_asks_for() {
    let (app, ..) = ward().await;
    let (latest, glucose) = ("7-1795348500", "7-1795348380 7-1795348200");
    let morning = "1-1795334400 5-1795334400";
    for (query, expected) in [
        (
            "",
            format!("{latest} {glucose} {morning} 1-1795248000 7-1795161600 10-1795078800 9-1795075200"),
        ),
        ("&code=8867-4", "1-1795334400 1-1795248000".to_owned()),
        (
            "&code=http://loinc.org|8867-4,http://loinc.org|29463-7",
            "1-1795334400 1-1795248000 9-1795075200".to_owned(),
        ),
        ("&code=http://snomed.info/sct|8867-4", String::new()),
        ("&code=8480-6", String::new()),
        ("&code=99504-3", format!("{latest} {glucose}")),
        ("&code=15074-8", "7-1795161600".to_owned()),
        ("&code=99504-3&code=15074-8", String::new()),
        ("&category=laboratory", format!("{latest} {glucose} 7-1795161600")),
        (
            "&category=vital-signs&code=http://loinc.org|",
            format!("{morning} 1-1795248000 9-1795075200"),
        ),
        (
            "&category=http://terminology.hl7.org/CodeSystem/observation-category|exam",
            "10-1795078800".to_owned(),
        ),
        ("&date=2026-11-22", format!("{latest} {glucose} {morning}")),
        (
            "&date=ge2026-11-20&date=lt2026-11-22",
            "1-1795248000 7-1795161600".to_owned(),
        ),
        (
            "&date=le2026-11-19&_sort=date",
            "9-1795075200 10-1795078800".to_owned(),
        ),
        ("&date=gt2026-11-22T11:53:00Z", latest.to_owned()),
        ("&status=entered-in-error", String::new()),
        ("&status=final&_count=1", latest.to_owned()),
    ] {
        let found = app
            .get(&format!("/fhir/R4/Observation?patient=1001{query}"))
            .await
            .json();
        let short: Vec<String> = ids(&found)
            .iter()
            .map(|id| {
                let id = id.strip_prefix("1001-10001-").unwrap();
                id.strip_suffix("000000").unwrap().to_owned()
            })
            .collect();
        assert_eq!(short.join(" "), expected, "{query}");
    }
}

#[tokio::test]
async fn values_are_interpreted_by_the_patient_s_own_plan() {
    let (app, ..) = ward().await;
    let found = app
        .get("/fhir/R4/Observation?subject=Patient/1001&category=laboratory,vital-signs&_sort=date")
        .await
        .json();
    let judged: Vec<String> = found["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let resource = &entry["resource"];
            let code = &resource["interpretation"][0]["coding"][0]["code"];
            format!("{} {code}", resource["code"]["text"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "Body weight null",
        r#"Glucose "N""#,
        "Heart rate null",
        "Heart rate null",
        "Blood pressure null",
        r#"Glucose "LL""#,
        r#"Glucose "LL""#,
        r#"Glucose "LL""#,
    ];
    assert_eq!(judged, expected);
}

#[tokio::test]
async fn pages_lead_through_all_observations_once() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    for minute in 0..12 {
        for device in [1, 2] {
            let at = now() - TimeDelta::minutes(minute / 2 * 2 + 1);
            let device = DeviceId(device + minute % 2 * 2);
            let readings = [
                (Metric::Systolic, at, 120.0),
                (Metric::Diastolic, at, 80.0),
                (Metric::HeartRate, at, 70.0),
                (Metric::Spo2, at, 97.0),
            ];
            app.store(patient, device, &readings).await;
        }
    }
    for (query, number) in [("", 72), ("&code=85354-9", 24), ("&code=2708-6", 24)] {
        let mut orders = Vec::new();
        for sort in ["date", "-date"] {
            let mut path = format!("/fhir/R4/Observation?patient=1001&_sort={sort}&_count=5{query}");
            let mut found = Vec::new();
            loop {
                let page = app.get(&path).await.json();
                assert!(ids(&page).len() <= 5);
                found.extend(page["entry"].as_array().unwrap().iter().map(|entry| {
                    let resource = &entry["resource"];
                    let time = resource["effectiveDateTime"].as_str().unwrap().to_owned();
                    (time, resource["id"].as_str().unwrap().to_owned())
                }));
                match link(&page, "next") {
                    Some(next) => path = next,
                    None => break,
                }
            }
            let times: Vec<_> = found.iter().map(|(time, _)| time.clone()).collect();
            assert!(if sort == "date" {
                times.is_sorted()
            } else {
                times.iter().rev().is_sorted()
            });
            assert_eq!(found.len(), number, "{query} {sort}");
            orders.push(found.into_iter().collect::<BTreeSet<_>>());
        }
        assert_eq!(orders[0].len(), number, "each once");
        assert_eq!(orders[0], orders[1]);
    }
    // A page as long as all there is leads nowhere.
    let all = app
        .get("/fhir/R4/Observation?patient=1001&_count=72")
        .await
        .json();
    assert_eq!((ids(&all).len(), link(&all, "next")), (72, None));
}

#[tokio::test]
async fn the_latest_of_each_kind_and_figures() {
    let (app, ..) = ward().await;
    let latest = app.get("/fhir/R4/Observation/$lastn?patient=1001").await.json();
    assert_eq!(ids(&latest).len(), 5, "{latest}");
    let glucose = app
        .get("/fhir/R4/Observation/$lastn?patient=1001&max=2&code=99504-3")
        .await
        .json();
    assert_eq!(
        ids(&glucose),
        ["1001-10001-7-1795348500000000", "1001-10001-7-1795348380000000"]
    );

    let figures = app
        .get("/fhir/R4/Observation/$stats?subject=Patient/1001&code=http://loinc.org|99504-3&statistic=average,count,minimum,maximum,std-dev&period=2026-11-01/2026-11-22")
        .await
        .json();
    let observation = &figures["parameter"][0]["resource"];
    let numbers: Vec<String> = observation["component"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| {
            let code = part["code"]["coding"][0]["code"].as_str().unwrap();
            let value = part["valueQuantity"]["value"].as_f64().unwrap();
            format!(
                "{code} {value:.4} {}",
                part["valueQuantity"]["unit"].as_str().unwrap()
            )
        })
        .collect();
    // 2.8, 2.4 and 2.6, without the one of capillary blood.
    let expected = [
        "average 2.6000 mmol/L",
        "count 3.0000 1",
        "minimum 2.4000 mmol/L",
        "maximum 2.8000 mmol/L",
        "std-dev 0.2000 mmol/L",
    ];
    assert_eq!(numbers, expected);
    let panel = app
        .get("/fhir/R4/Observation/$stats?patient=1001&code=85354-9&statistic=average&duration=24")
        .await
        .json();
    let means: Vec<&Value> = panel["parameter"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["resource"]["component"][0]["valueQuantity"]["value"])
        .collect();
    assert_eq!(means, [&json!(134.0), &json!(84.0)]);
    let none = app
        .get("/fhir/R4/Observation/$stats?patient=1001&code=8867-4&statistic=std-dev&period=2020/2021")
        .await
        .json();
    let deviation = &none["parameter"][0]["resource"]["component"][0];
    assert_eq!(
        deviation["dataAbsentReason"]["coding"][0]["code"],
        "not-applicable"
    );
}

#[tokio::test]
async fn a_reading_that_was_entered_in_error_says_so_and_counts_for_nothing() {
    let (app, ..) = ward().await;
    let body = json!({"metric": "heart_rate", "at": "2026-11-22T08:00:00Z", "device": 10001, "reason": "the neighbour's"});
    let marked = app
        .post_json("/api/v1/patients/1001/readings/entered-in-error", &body)
        .await;
    assert!(marked.status.is_success(), "{}", marked.body);
    let path = "/fhir/R4/Observation/1001-10001-1-1795334400000000";
    assert_eq!(app.get(path).await.json()["status"], "entered-in-error");
    let wrong = app
        .get("/fhir/R4/Observation?patient=1001&status=entered-in-error")
        .await
        .json();
    assert_eq!(ids(&wrong).len(), 1);
    let latest = app
        .get("/fhir/R4/Observation/$lastn?patient=1001&code=8867-4")
        .await
        .json();
    assert_eq!(latest["entry"][0]["resource"]["valueQuantity"]["value"], 65.0);
}
