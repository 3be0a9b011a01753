//! The FHIR interface as its callers see it.

#[path = "../../../record/tests/validators/mod.rs"]
mod validators;

use std::collections::BTreeSet;

use axum::http::{Method, Request};
use chrono::TimeDelta;
use homeward_record::{Context, DeviceId, Metric, PatientId};
use homeward_store::BatchRow;
use homeward_store::access::Role;
use insta::assert_snapshot;
use serde_json::{Value, json};

use self::validators::{Validator, faults};
use super::metadata::SERVED;
use crate::routes::api_routes;
use crate::testing::{Answer, TOKEN, TestApp, at, now};

const BASE: &str = "https://homeward.example/fhir/R4";
const LOINC: &str = "http://loinc.org";

/// A patient with a cuff, readings of several kinds, a rule and an episode.
async fn ward() -> (TestApp, PatientId, DeviceId) {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let cuff = app.add_device(patient).await;
    let rule = app.add_rule(patient).await;
    let row = |metric, at, value, sample: Option<&str>| BatchRow {
        part: 0,
        patient,
        metric,
        at,
        device: cuff,
        value,
        context: Context {
            sample: sample.map(str::to_owned),
            ..Context::default()
        },
        received_at: now() + TimeDelta::seconds(1),
    };
    let morning = at("2026-11-22T08:00:00Z");
    let ago = |minutes| now() - TimeDelta::minutes(minutes);
    app.store_rows(vec![
        row(Metric::Systolic, morning, 134.0, None),
        row(Metric::Diastolic, morning, 84.0, None),
        row(Metric::HeartRate, morning, 71.0, None),
        row(Metric::IrregularPulse, morning, 0.0, None),
        row(Metric::HeartRate, at("2026-11-21T08:00:00Z"), 65.0, None),
        row(Metric::Glucose, ago(10), 2.8, Some("interstitial")),
        row(Metric::Glucose, ago(7), 2.4, Some("interstitial")),
        row(Metric::Glucose, ago(5), 2.6, Some("interstitial")),
        row(
            Metric::Glucose,
            at("2026-11-20T08:00:00Z"),
            6.1,
            Some("capillary_blood"),
        ),
        row(Metric::BodyWeight, at("2026-11-19T08:00:00Z"), 70.0, None),
        row(Metric::Consciousness, at("2026-11-19T09:00:00Z"), 0.0, None),
    ])
    .await;
    app.raise(patient, rule, "high", false).await;
    (app, patient, cuff)
}

/// The identifiers of what a search has found, or names and numbers of it.
fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
        .collect()
}

fn link(bundle: &Value, relation: &str) -> Option<String> {
    let links = bundle["link"].as_array().unwrap();
    let found = links.iter().find(|link| link["relation"] == relation)?;
    let url = found["url"].as_str().unwrap();
    Some(url.strip_prefix("https://homeward.example").unwrap().to_owned())
}

/// Status, code and text of what went wrong.
fn told(answer: &Answer) -> String {
    let outcome: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
    assert_eq!(answer.headers["content-type"], "application/fhir+json");
    let issue = &outcome["issue"][0];
    format!(
        "{} {} {}",
        answer.status.as_u16(),
        issue["code"].as_str().unwrap(),
        issue["diagnostics"].as_str().unwrap()
    )
}

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
    let (app, ..) = ward().await;
    app.post("/api/v1/alerts/1/acknowledge").await.json();
    app.post_json("/api/v1/alerts/1/comment", &json!({"text": "Called"}))
        .await
        .json();
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
    assert_eq!(done, ["acknowledged", "comment: Called"]);
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

#[tokio::test]
async fn what_is_not_known_is_left_out_or_refused_as_one_prefers() {
    let (app, ..) = ward().await;
    let path = "/fhir/R4/Observation?patient=1001&colour=red&code=8867-4&_format=json";
    let found = app.get(path).await.json();
    assert_eq!(
        link(&found, "self").unwrap(),
        "/fhir/R4/Observation?patient=1001&code=8867-4&_format=json"
    );
    assert_eq!(ids(&found).len(), 2);
    let strict = Request::get(path)
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("Prefer", "return=minimal, handling=strict");
    assert_snapshot!(told(&app.send(strict).await), @"400 invalid colour: there is no such parameter; there are patient, subject, code, category, date, status, _sort, _include");
}

#[tokio::test]
async fn what_goes_wrong_is_an_outcome() {
    let (app, ..) = ward().await;
    let mut lines = String::new();
    for path in [
        "Observation",
        "Observation?patient=1001,1002",
        "Observation?patient=1001&patient=1002",
        "Observation?patient=1001&code:not=8867-4",
        "Observation?patient=1001&date=ne2026",
        "Observation?patient=1001&date=yesterday",
        "Observation?patient=1001&_sort=code",
        "Observation?patient=1001&_count=0",
        "Observation?patient=1001&_include=Observation:subject",
        "Observation?patient=1001&_after=x",
        "Observation?patient=1001&_format=xml",
        "Observation?patient=1001&code=%00",
        "Observation/x",
        "Observation/1001-10001-1-1",
        "Observation/$lastn?patient=1001&max=0",
        "Observation/$stats?patient=1001",
        "Observation/$stats?patient=1001&code=8867-4&statistic=mode",
        "Observation/$stats?patient=1001&code=8867-4&period=2026-11",
        "Patient/1002",
        "Patient/x",
        "Device/1",
        "Flag/17",
        "DetectedIssue/x",
        "CarePlan/1002",
        "Consent/sharing-1",
        "Consent/x",
        "AuditEvent?patient=1001",
        "Medication/1",
    ] {
        lines += &format!("{path}: {}\n", told(&app.get(&format!("/fhir/R4/{path}")).await));
    }
    lines += &format!("POST: {}\n", told(&app.post("/fhir/R4/Patient").await));
    let nobody = app.send(Request::get("/fhir/R4/Patient/1001")).await;
    assert_eq!(nobody.headers["www-authenticate"], r#"Bearer realm="homeward""#);
    lines += &format!("nobody: {}\n", told(&nobody));
    assert_snapshot!(lines, @r#"
    Observation: 400 invalid patient: a search is about one patient: patient=
    Observation?patient=1001,1002: 400 invalid patient: a search is about one patient
    Observation?patient=1001&patient=1002: 400 invalid patient: the parameter is given twice
    Observation?patient=1001&code:not=8867-4: 400 invalid code:not: this modifier is not known
    Observation?patient=1001&date=ne2026: 400 invalid date: expected one of eq, ge, gt, le, lt, sa and eb before the date
    Observation?patient=1001&date=yesterday: 400 invalid date: expected a date such as ge2026-11-22, or a time with offset
    Observation?patient=1001&_sort=code: 400 invalid _sort: expected date or -date
    Observation?patient=1001&_count=0: 400 invalid _count: expected a whole number from 1 on
    Observation?patient=1001&_include=Observation:subject: 400 invalid _include: expected Observation:device
    Observation?patient=1001&_after=x: 400 invalid _after: expected the next link of an earlier page
    Observation?patient=1001&_format=xml: 406 not-supported answers are application/fhir+json
    Observation?patient=1001&code=%00: 400 invalid code: has control characters in it
    Observation/x: 404 not-found there is no such Observation
    Observation/1001-10001-1-1: 404 not-found there is no such Observation
    Observation/$lastn?patient=1001&max=0: 400 invalid max: expected a whole number from 1 to 100
    Observation/$stats?patient=1001: 400 invalid code: is missing: figures are of one code, or several
    Observation/$stats?patient=1001&code=8867-4&statistic=mode: 400 invalid statistic: "mode" is none of average, maximum, minimum, count, std-dev
    Observation/$stats?patient=1001&code=8867-4&period=2026-11: 400 invalid period: expected two dates, such as 2026-11-01/2026-11-22
    Patient/1002: 404 not-found there is no patient 1002
    Patient/x: 404 not-found there is no such Patient
    Device/1: 404 not-found there is no such Device
    Flag/17: 404 not-found there is no such Flag
    DetectedIssue/x: 404 not-found there is no such DetectedIssue
    CarePlan/1002: 404 not-found there is no patient 1002
    Consent/sharing-1: 404 not-found there is no such Consent
    Consent/x: 404 not-found there is no such Consent
    AuditEvent?patient=1001: 403 forbidden nobody in your role may do this
    Medication/1: 404 not-found there is nothing at this path
    POST: 405 not-supported this path does not answer this method; the Allow header says which it does
    nobody: 401 login sign in, or send a token: Authorization: Bearer <token>
    "#);
}

/// Has the patient stop sharing with the team from tomorrow on, and opt out of research.
async fn choose(app: &TestApp, token: &str) {
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

#[tokio::test]
async fn invariant_8_a_search_tells_nothing_of_who_is_not_the_caller_s_patient() {
    let (app, ..) = ward().await;
    let (practice, others) = {
        let mut connection = app.connection().await;
        let add = homeward_store::admin::add_organisation;
        let practice = add(&mut connection, "gp_practice", "High Street").await.unwrap();
        (
            practice,
            add(&mut connection, "care_team", "South").await.unwrap(),
        )
    };
    let unknown = app.add_patient_of(None, Some(others)).await;
    app.store(unknown, DeviceId(10_001), &[(Metric::HeartRate, now(), 72.0)])
        .await;
    let patients = [
        (Role::CareTeamLead, Some(others)),
        (Role::GpClinician, Some(practice)),
        (Role::Integrator, Some(practice)),
    ];
    // The first of these looks after the second patient alone, the others after nobody.
    for (role, organisation) in patients {
        let token = app.token_of(role, organisation, None).await;
        for route in api_routes() {
            let is_search = route.path.starts_with("/fhir") && !route.path.contains('{');
            if !is_search || !crate::access::does(role, route.action) {
                continue;
            }
            let ask = async |patient: i64| {
                let path = format!("{}?patient={patient}&_id={patient}&code=8867-4", route.path);
                let answer = app.send_as(&token, &Method::GET, &path, None).await;
                (answer.status, answer.body.replace(&format!("={patient}"), "=*"))
            };
            let unseen = ask(1001).await;
            assert_eq!(unseen, ask(7777).await, "{role} {}", route.path);
            assert!(
                !unseen.1.contains("entry") && !unseen.1.contains("resource\":"),
                "{}",
                unseen.1
            );
        }
    }
    // Each try is in the patient's log, and none says that anything was seen.
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT outcome, array_to_string(bases, ' ') FROM audit_event WHERE patients @> ARRAY[1001::bigint]",
    )
    .fetch_all(app.pool())
    .await
    .unwrap();
    assert_eq!(rows, [("refused".to_owned(), "none".to_owned())]);
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say() {
    let (app, ..) = ward().await;
    for (scopes, allowed) in [
        (vec!["system/Patient.read"], vec!["Patient/1001"]),
        (
            vec!["system/Flag.rs", "user/Device.*"],
            vec!["Flag/1", "Device/10001"],
        ),
        (
            vec!["system/*.read"],
            vec![
                "Patient/1001",
                "Flag/1",
                "Device/10001",
                "Patient/1001/$everything",
            ],
        ),
    ] {
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
        for path in [
            "Patient/1001",
            "Flag/1",
            "Device/10001",
            "Patient/1001/$everything",
        ] {
            let status = app.get(&format!("/fhir/R4/{path}")).await.status.as_u16();
            let expected = if allowed.contains(&path) { 200 } else { 403 };
            assert_eq!(status, expected, "{scopes:?} {path}");
        }
    }
}

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
        .map(nameless)
        .collect();
    assert_eq!(said, served);
}

#[tokio::test]
async fn two_validators_find_nothing_wrong_with_any_answer() {
    let (app, patient, _) = ward().await;
    app.post("/api/v1/alerts/1/acknowledge").await.json();
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    choose(&app, &token).await;
    let mut answers = Vec::new();
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
