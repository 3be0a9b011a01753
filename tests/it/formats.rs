//! The wire formats, as far as the topic tells them apart: Bluetooth, Open mHealth, FHIR.

use std::path::Path;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use homeward_record::Metric;
use serde_json::{Value, json};

use crate::harness::*;
use crate::replay::table::samples;

/// The date and time of a Bluetooth characteristic, in the device's local time.
fn date_time(at: DateTime<Utc>) -> Vec<u8> {
    let byte = |number: u32| u8::try_from(number).unwrap();
    let mut bytes = u16::try_from(at.year()).unwrap().to_le_bytes().to_vec();
    bytes.extend([
        byte(at.month()),
        byte(at.day()),
        byte(at.hour()),
        byte(at.minute()),
        byte(at.second()),
    ]);
    bytes
}

#[tokio::test]
async fn bluetooth_characteristics_are_stored_as_what_they_measure() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = server.add_patient(&[]).await;
    // A cuff whose clock shows British Summer Time.
    let cuff = server.enrol_with(patient, "cuff", &["--utc-offset", "60"]).await;

    let at = chrono::SubsecRound::trunc_subsecs(minutes_ago(3), 0);
    let local = date_time(at + TimeDelta::hours(1));
    let captured = at.timestamp_millis();
    let uploads = [
        // 134/84 mm[Hg], mean 93, time, pulse 71.
        (
            "gatt/2a35".to_owned(),
            [&[0x06, 134, 0, 84, 0, 93, 0][..], &local, &[71, 0]].concat(),
        ),
        // 36.6 °C, 97 % with a pulse of 72, 70.02 kg: no time of their own.
        (
            format!("gatt/2a1c/{captured}"),
            vec![0x00, 0x6e, 0x01, 0x00, 0xff],
        ),
        (
            format!("gatt/2A5E/{}", captured + 1_000),
            vec![0x00, 97, 0, 72, 0],
        ),
        (format!("gatt/2a9d/{captured}"), vec![0x00, 0xb4, 0x36]),
    ];
    for version in Version::BOTH {
        let mut client = cuff.connect(version).await;
        for (topic, payload) in &uploads {
            let reason = client.upload(&cuff.topic(topic), payload.clone()).await;
            // The second round brings nothing new.
            assert_eq!(
                reason,
                if version == Version::V5 {
                    STORED_EARLIER
                } else {
                    STORED
                },
                "{topic}"
            );
        }
    }
    let readings = server.readings(&cuff).await;
    let stored: Vec<_> = readings
        .iter()
        .map(|reading| {
            (
                Metric::from_code(reading.metric).unwrap(),
                (reading.time - at).num_seconds(),
                reading.value,
            )
        })
        .collect();
    assert_eq!(
        stored,
        [
            (Metric::HeartRate, 0, 71.0),
            (Metric::BodyTemperature, 0, 36.6),
            (Metric::Systolic, 0, 134.0),
            (Metric::Diastolic, 0, 84.0),
            (Metric::BodyWeight, 0, 70.02),
            (Metric::HeartRate, 1, 72.0),
            (Metric::Spo2, 1, 97.0),
        ]
        .map(|(metric, seconds, value)| (metric, seconds, value))
    );
    assert!(server.rejected(&cuff).await.is_empty());
}

/// A heart rate as an Open mHealth document.
fn omh_heart_rate(at: DateTime<Utc>, value: u32) -> Value {
    json!({
        "heart_rate": {"value": value, "unit": "beats/min"},
        "effective_time_frame": {"date_time": stamp(at)},
    })
}

/// A FHIR Observation of one quantity.
fn fhir_quantity(at: DateTime<Utc>, loinc: &str, value: f64, unit: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "effectiveDateTime": stamp(at),
        "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": unit},
    })
}

/// A FHIR blood pressure, mm\[Hg\].
fn fhir_pressure(at: DateTime<Utc>, systolic: u32, diastolic: u32) -> Value {
    let component = |loinc: &str, value: u32| {
        json!({
            "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
            "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
        })
    };
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "effectiveDateTime": stamp(at),
        "component": [component("8480-6", systolic), component("8462-4", diastolic)],
    })
}

fn bytes(json: &Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

#[tokio::test]
async fn open_mhealth_and_fhir_are_stored_once_whatever_the_format() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let at = minutes_ago(3);
    for version in Version::BOTH {
        let mut client = watch.connect(version).await;
        let (stored, again) = match version {
            Version::V4 => (STORED, STORED),
            Version::V5 => (STORED_EARLIER, STORED_EARLIER),
        };
        let omh = bytes(&omh_heart_rate(at, 72));
        assert_eq!(client.upload(&watch.topic("omh"), omh).await, stored);
        // The same reading in another format is the same reading.
        let fhir = bytes(&fhir_quantity(at, "8867-4", 72.0, "/min"));
        assert_eq!(client.upload(&watch.topic("fhir"), fhir).await, again);
        let next = at + TimeDelta::seconds(1);
        let fhir = bytes(&fhir_quantity(next, "2708-6", 97.0, "%"));
        assert_eq!(client.upload(&watch.topic("fhir"), fhir).await, stored);
    }
    let stored: Vec<_> = server
        .readings(&watch)
        .await
        .iter()
        .map(|reading| (Metric::from_code(reading.metric).unwrap(), reading.value))
        .collect();
    assert_eq!(stored, [(Metric::HeartRate, 72.0), (Metric::Spo2, 97.0)]);
    assert!(server.rejected(&watch).await.is_empty());
}

#[tokio::test]
async fn with_the_puback_of_a_bundle_are_its_readings_and_the_alert_they_raise() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let cuff = server.enrol_on("hypertension", "cuff").await;
    let mut client = cuff.connect_v5().await;
    client.subscribe(&[&cuff.topic("errors")]).await;
    let at = minutes_ago(2);
    let mut limit = fhir_quantity(at, "8867-4", 40.0, "/min");
    limit["valueQuantity"]["comparator"] = "<".into();
    let bundle = json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": fhir_pressure(at, 191, 126), "request": {"method": "POST", "url": "Observation"}},
            {"resource": limit, "request": {"method": "POST", "url": "Observation"}},
        ],
    });
    let topic = cuff.topic("fhir");
    assert_eq!(client.upload(&topic, bytes(&bundle)).await, STORED);

    assert_eq!(server.count_readings(cuff.id).await, 2);
    let episodes = server.episodes(cuff.patient).await;
    assert_eq!(episodes.len(), 1, "{episodes:?}");
    assert_eq!(episodes[0].code, "blood-pressure-crisis");
    // What is wrong with it is told, and kept with the bytes.
    let (_, report) = client.message().await;
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(
        (&report["stored"], &report["rejected"][0]["index"]),
        (&2.into(), &1.into())
    );
    let rejected = server.rejected(&cuff).await;
    assert_eq!(rejected[0].reasons(), ["not_measured"]);
    assert_eq!(
        (&rejected[0].topic, &rejected[0].payload),
        (&topic, &bytes(&bundle))
    );
    let detail = rejected[0].reasons[0]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("entry[1].resource.valueQuantity.comparator: "),
        "{detail}"
    );
}

#[tokio::test]
async fn a_summary_is_refused_and_kept_and_raises_nothing() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let cgm = server.enrol_on("diabetes-type-1", "cgm").await;
    let mut client = cgm.connect_v5().await;
    // The lowest glucose of a day: no rule may take it for one that was measured at its end.
    let summary = json!({
        "blood_glucose": {"value": 2.5, "unit": "mmol/L"},
        "effective_time_frame": {"time_interval": {
            "start_date_time": stamp(minutes_ago(24 * 60)), "end_date_time": stamp(minutes_ago(1)),
        }},
        "descriptive_statistic": "minimum",
    });
    let reason = client.upload(&cgm.topic("omh"), bytes(&summary)).await;
    assert_eq!(reason, PAYLOAD_INVALID);
    assert_eq!(server.count_readings(cgm.id).await, 0);
    assert!(server.episodes(cgm.patient).await.is_empty());
    let rejected = server.rejected(&cgm).await;
    assert_eq!(rejected[0].reasons(), ["not_measured"]);
    assert_eq!(rejected[0].payload, bytes(&summary));
}

/// Every time of a document, so much later.
fn later(json: &mut Value, by: TimeDelta) {
    match json {
        Value::String(text) => {
            if let Ok(at) = DateTime::parse_from_rfc3339(text) {
                *text = (at + by).to_rfc3339();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| later(item, by)),
        Value::Object(fields) => fields.values_mut().for_each(|field| later(field, by)),
        _ => {}
    }
}

/// The JSON files of a folder of samples, in the order of their names.
fn sample_files(folder: &Path) -> Vec<(String, Value)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.display().to_string(), serde_json::from_str(&text).unwrap())
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[tokio::test]
async fn the_samples_of_others_end_in_readings_or_refusals() {
    let Some(folder) = samples() else { return };
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let mut verdicts = Vec::new();
    for kind in std::fs::read_dir(folder.join("omh")).unwrap() {
        let kind = kind.unwrap().path();
        for (verdict, passes) in [("shouldPass", true), ("shouldFail", false)] {
            for (name, document) in sample_files(&kind.join(verdict)) {
                let summary = document.get("descriptive_statistic").is_some();
                verdicts.push(("omh", name, document, usize::from(passes && !summary)));
            }
        }
    }
    for (name, mut resource) in sample_files(&folder.join("phd")) {
        let readings = match name.rsplit('/').next().unwrap() {
            "bundle-continuousnonin.json" => {
                // Of 2018: within what the record keeps.
                later(&mut resource, TimeDelta::days(365));
                24
            }
            "numeric-observation-not-a-number.json" => 0,
            _ => 1,
        };
        verdicts.push(("fhir", name, resource, readings));
    }
    for (topic, name, document, readings) in verdicts {
        // A device of its own for each, so that their times do not meet.
        let device = server.enrol("gateway").await;
        let mut client = device.connect_v5().await;
        let reason = client.upload(&device.topic(topic), bytes(&document)).await;
        let stored = server.readings(&device).await;
        match readings {
            0 => assert_eq!((reason, stored.len()), (PAYLOAD_INVALID, 0), "{name}"),
            // A blood pressure is two, and oxygen may come with a saturation.
            1 => assert!(
                reason == STORED && (1..=2).contains(&stored.len()),
                "{name}: {stored:?}"
            ),
            more => assert_eq!((reason, stored.len()), (STORED, more), "{name}"),
        }
        let refused = server.rejected(&device).await;
        let partly = name.ends_with("continuousnonin.json");
        assert_eq!(refused.is_empty(), readings > 0 && !partly, "{name}: {refused:?}");
    }
}
