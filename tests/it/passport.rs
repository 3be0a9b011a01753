//! A patient's passport, from one record into another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::PatientId;
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::*;

/// A patient of one record, with the token of a team that may see them.
struct Seen<'s> {
    server: &'s Server,
    token: String,
    patient: PatientId,
}

impl Seen<'_> {
    async fn get(&self, path: &str) -> Value {
        let answer = self.server.get(path, &self.token).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    async fn send(&self, method: Method, path: &str, body: Value) {
        let authorization = format!("Bearer {}", self.token);
        let headers = [("authorization", authorization.as_str())];
        let answer = self.server.send(method, path, &headers, &body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
    }

    /// The pages of the passport, as files.
    async fn passport(&self, folder: &TempDir, count: usize) -> Vec<PathBuf> {
        let mut path = format!("/fhir/R4/Patient/{}/$everything?_count={count}", self.patient);
        let mut files = Vec::new();
        loop {
            let page = self.get(&path).await;
            let file = folder.path().join(format!("page-{}.json", files.len()));
            std::fs::write(&file, page.to_string()).unwrap();
            files.push(file);
            let Some(next) = page["link"][0]["url"].as_str() else {
                return files;
            };
            path = next[next.find("/fhir/").unwrap()..].to_owned();
        }
    }

    /// What the kinds of devices are, by their numbers.
    async fn kinds(&self) -> BTreeMap<i64, String> {
        let kinds: Vec<(i64, String)> = sqlx::query_as(
            "SELECT device_id, kind FROM device JOIN device_assignment USING (device_id) WHERE patient_id = $1",
        )
        .bind(self.patient.0)
        .fetch_all(&self.server.pool)
        .await
        .unwrap();
        kinds.into_iter().collect()
    }

    /// All that the interface says of the patient up to a time, without what numbers things have in this record.
    async fn all(&self, now: DateTime<Utc>) -> BTreeMap<String, Value> {
        let of_patient = format!("/api/v1/patients/{}", self.patient);
        let window = |days| format!("from={}&to={}", stamp(now - TimeDelta::days(days)), stamp(now));
        let mut said = BTreeMap::new();
        for (kind, bucket, days) in [
            ("glucose", "raw", 10),
            ("glucose", "1h", 10),
            ("glucose", "1d", 30),
            ("blood_pressure", "1h", 30),
            ("heart_rate", "raw", 10),
        ] {
            let path = format!("{of_patient}/trends/{kind}?bucket={bucket}&{}", window(days));
            said.insert(format!("trend {kind} {bucket}"), self.get(&path).await);
        }
        for (name, days) in [
            ("glucose-summary", 10),
            ("blood-pressure-summary", 28),
            ("news2", 2),
        ] {
            let path = format!("{of_patient}/{name}?{}", window(days));
            said.insert(name.to_owned(), self.get(&path).await);
        }
        let plan = self.get(&format!("{of_patient}/care-plan?history=true")).await;
        said.insert("plan".to_owned(), plan);
        let mut after = String::new();
        for page in 0.. {
            let path = format!("{of_patient}/readings?limit=1000&{}{after}", window(30));
            let readings = self.get(&path).await;
            said.insert(format!("readings {page}"), readings["readings"].clone());
            match readings["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let listed = self
            .get(&format!("/api/v1/alerts?patient={}&limit=500", self.patient))
            .await;
        for (place, alert) in listed["alerts"].as_array().unwrap().iter().enumerate() {
            let path = format!("/api/v1/alerts/{}", alert["id"]);
            said.insert(format!("alert {place}"), self.get(&path).await);
        }
        let kinds = self.kinds().await;
        said.values_mut().for_each(|value| forget_numbers(value, &kinds));
        said
    }
}

/// Leaves out numbers of the record, and names devices by their kinds.
fn forget_numbers(value: &mut Value, kinds: &BTreeMap<i64, String>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "id" | "patient" | "next"));
            if let Some(device) = fields.get_mut("device")
                && let Some(number) = device.as_i64()
            {
                *device = kinds[&number].clone().into();
            }
            fields.values_mut().for_each(|value| forget_numbers(value, kinds));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| forget_numbers(value, kinds)),
        _ => {}
    }
}

fn pressure(at: DateTime<Utc>, systolic: f64, diastolic: f64) -> Value {
    json!({"type": "blood_pressure", "at": stamp(at), "systolic": systolic, "diastolic": diastolic, "pulse": 71,
        "irregular_pulse": false})
}

async fn publish(device: &Device, readings: &[Value]) {
    let mut client = device.connect_v5().await;
    for some in readings.chunks(200) {
        assert_eq!(
            client.upload(&device.topic("readings"), upload(some)).await,
            STORED
        );
    }
}

/// A patient with two devices, a plan that was changed, and alerts in every state; and the sensor.
async fn lived<'s>(server: &'s Server, now: DateTime<Utc>) -> (Seen<'s>, Device) {
    let token = server.add_token("ward 3").await;
    let patient = server.add_patient(&["diabetes-type-1", "hypertension"]).await;
    let (sensor, cuff) = (
        server.enrol_for(patient, "cgm").await,
        server.enrol_for(patient, "cuff").await,
    );
    let seen = Seen {
        server,
        token,
        patient,
    };
    // A rule of the patient's own, before and after.
    let plan = format!("/api/v1/patients/{patient}/care-plan");
    let shown = seen.get(&plan).await;
    let rules = shown["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["code"] == "glucose-low").unwrap();
    let body = json!({"version": 1, "definition": rule["definition"], "reason": "feels nothing"});
    seen.send(Method::PUT, &format!("{plan}/glucose-low"), body).await;
    let hyper = rules
        .iter()
        .find(|rule| rule["code"] == "blood-pressure-crisis")
        .unwrap();
    let body = json!({"version": 1, "definition": hyper["definition"], "reason": "for a test"});
    seen.send(
        Method::PUT,
        &format!("{plan}/own-rule"),
        json!({"definition": hyper["definition"], "reason": "added"}),
    )
    .await;
    seen.send(
        Method::DELETE,
        &format!("{plan}/own-rule"),
        json!({"version": 1, "reason": "not needed"}),
    )
    .await;
    seen.send(Method::PUT, &format!("{plan}/blood-pressure-crisis"), body)
        .await;

    let ago = |minutes| now - TimeDelta::minutes(minutes);
    let level = |minutes: i64| match minutes {
        // Twice low, and low again now.
        2_000..=2_040 => 2.7,
        700..=760 => 2.5,
        1..=5 => 2.8,
        _ => 6.0 + f64::from(u8::try_from(minutes % 17).unwrap()) / 7.0,
    };
    let series: Vec<Value> = (1..600)
        .rev()
        .map(|step| glucose(ago(step * 5), level(step * 5)))
        .collect();
    publish(&sensor, &series).await;
    let mut course = Vec::new();
    for day in (0..7).rev() {
        for hour in [1, 13] {
            let at = ago(day * 1_440 + hour * 60);
            course.push(pressure(at, 130.0 + f64::from(u8::try_from(day).unwrap()), 84.5));
        }
    }
    course.push(pressure(ago(30), 191.0, 100.0));
    publish(&cuff, &course).await;
    let vitals = [
        json!({"type": "respiratory_rate", "at": stamp(ago(20)), "value": 22}),
        json!({"type": "spo2", "at": stamp(ago(20)), "value": 95}),
        json!({"type": "supplemental_oxygen", "at": stamp(ago(20)), "value": 0}),
        json!({"type": "consciousness", "at": stamp(ago(20)), "value": "A"}),
        json!({"type": "body_temperature", "at": stamp(ago(20)), "value": 38.3}),
        heart_rate(ago(20), 95),
        pressure(ago(19), 150.0, 90.0),
    ];
    publish(&cuff, &vitals).await;
    let alerts = seen.get(&format!("/api/v1/alerts?patient={patient}")).await;
    let alerts: Vec<(i64, String, String)> = alerts["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                alert["id"].as_i64().unwrap(),
                text(&alert["rule"]["code"]),
                text(&alert["status"]),
            )
        })
        .collect();
    let work = async |id: i64, what: &str, body: Value| {
        seen.send(Method::POST, &format!("/api/v1/alerts/{id}/{what}"), body)
            .await;
    };
    let open = alerts.iter().find(|(.., status)| status == "raised").unwrap().0;
    work(open, "assign", json!({"to": "ward 3"})).await;
    work(open, "comment", json!({"text": "Called, no answer"})).await;
    work(open, "acknowledge", json!({})).await;
    let over = alerts
        .iter()
        .rev()
        .find(|(.., status)| status == "cleared")
        .unwrap()
        .0;
    work(over, "acknowledge", json!({})).await;
    // A reading that never was, and the alert with it.
    let wrong =
        json!({"metric": "systolic", "at": stamp(ago(30)), "device": cuff.id, "reason": "the neighbour's"});
    seen.send(
        Method::POST,
        &format!("/api/v1/patients/{patient}/readings/entered-in-error"),
        wrong,
    )
    .await;
    (seen, sensor)
}

#[tokio::test]
async fn a_patient_who_is_taken_over_has_the_same_trends_alerts_and_summaries() {
    let (one, other) = (TestDatabase::create().await, TestDatabase::create().await);
    let (from, to) = (Server::start(&one).await, Server::start(&other).await);
    // Numbers there and here are not the same.
    to.enrol_on("heart-failure", "watch").await;
    let start = now();
    let (there, sensor) = lived(&from, start).await;
    let folder = TempDir::new().unwrap();
    let files = there.passport(&folder, 200).await;
    assert!(files.len() > 2, "{}", files.len());
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let arguments = [&["import"], &names[..]].concat();
    let taken = to.cli(&arguments).await;
    let taken = taken["files"].as_array().unwrap();
    assert_eq!(taken[0]["new_patient"], true, "{}", taken[0]);
    let here = Seen {
        server: &to,
        token: to.add_token("ward 4").await,
        patient: PatientId(taken[0]["patient_id"].as_i64().unwrap()),
    };
    assert_ne!(here.patient, there.patient);
    let end = now();
    let (said, expected) = (here.all(end).await, there.all(end).await);
    assert_eq!(
        said.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (what, value) in &expected {
        assert_eq!(said[what], *value, "{what}");
    }
    let statuses: Vec<String> = expected
        .iter()
        .filter(|(what, _)| what.starts_with("alert "))
        .map(|(_, alert)| format!("{} {}", alert["status"], alert["withdrawn_at"].is_null()))
        .collect();
    for status in [
        r#""raised" true"#,
        r#""acknowledged" true"#,
        r#""closed" true"#,
        r#""closed" false"#,
    ] {
        assert!(
            statuses.iter().any(|found| found == status),
            "{status}: {statuses:?}"
        );
    }
    let told: i64 = sqlx::query_scalar("SELECT count(*) FROM notification WHERE episode_id IN (SELECT episode_id FROM episode WHERE patient_id = $1)")
        .bind(here.patient.0)
        .fetch_one(&to.pool)
        .await
        .unwrap();
    assert_eq!(told, 0, "nobody is paged");

    // Once more changes nothing.
    let again = to.cli(&arguments).await;
    assert!(
        again["files"]
            .as_array()
            .unwrap()
            .iter()
            .all(|file| file["taken_over_before"] == true)
    );
    assert_eq!(here.all(end).await, said);

    // What comes next is judged alike: the sensor goes on in both.
    sqlx::query("UPDATE device SET secret_hash = $1 WHERE kind = 'cgm'")
        .bind(&homeward_store::admin::secret_hash(&sensor.secret)[..])
        .execute(&to.pool)
        .await
        .unwrap();
    let kinds = here.kinds().await;
    let number = kinds.iter().find(|(_, kind)| *kind == "cgm").unwrap().0;
    let moved = Device {
        id: homeward_record::DeviceId(*number),
        broker: to.mqtt,
        patient: here.patient,
        ..sensor.clone()
    };
    let next = [glucose(now(), 6.5)];
    for device in [&sensor, &moved] {
        publish(device, &next).await;
    }
    let stand = |said: BTreeMap<String, Value>| -> Vec<String> {
        let alerts = said.into_iter().filter(|(what, _)| what.starts_with("alert "));
        let told = |alert: Value| {
            let kinds: Vec<String> = alert["transitions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|transition| transition["kind"].to_string())
                .collect();
            format!(
                "{} {} {} {kinds:?}",
                alert["rule"]["code"], alert["status"], alert["ended_at"]
            )
        };
        alerts.map(|(_, alert)| told(alert)).collect()
    };
    let end = now();
    assert_eq!(stand(here.all(end).await), stand(there.all(end).await));
    to.cli(&["audit", "verify"]).await;
}

#[tokio::test]
async fn who_is_there_already_is_left_alone_unless_readings_are_to_be_merged() {
    let (one, other) = (TestDatabase::create().await, TestDatabase::create().await);
    let (from, to) = (Server::start(&one).await, Server::start(&other).await);
    let token = from.add_token("ward 3").await;
    let sensor = from.enrol_on("diabetes-type-1", "cgm").await;
    publish(
        &sensor,
        &[glucose(minutes_ago(60), 2.5), glucose(minutes_ago(5), 2.6)],
    )
    .await;
    let there = Seen {
        server: &from,
        token,
        patient: sensor.patient,
    };
    let folder = TempDir::new().unwrap();
    let file = there.passport(&folder, 200).await.remove(0);
    let file = file.to_str().unwrap();
    let number: String = sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = $1")
        .bind(sensor.patient.0)
        .fetch_one(&from.pool)
        .await
        .unwrap();
    let add = [
        "patient",
        "add",
        "--nhs-number",
        &number,
        "--name",
        "A Patient",
        "--plan",
        "diabetes-type-1",
        "--born",
    ];
    let added = to.cli(&[&add[..], &["1948-07-05"]].concat()).await;
    let said = to.cli_fails(&["import", file]).await;
    assert!(said.contains("is in the record already. With --merge"), "{said}");

    let taken = &to.cli(&["import", "--merge", file]).await["files"][0];
    assert_eq!(taken["readings"], json!({"stored": 2, "stored_earlier": 0}));
    assert_eq!(
        (&taken["rules"], &taken["alerts"], &taken["new_patient"]),
        (&json!(0), &json!(0), &json!(false))
    );
    let left: Vec<&str> = taken["left_out"]["first"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| left["resource"].as_str().unwrap())
        .collect();
    assert!(
        left.contains(&"CarePlan") && left.contains(&"DetectedIssue"),
        "{left:?}"
    );
    let patient = PatientId(added["patient_id"].as_i64().unwrap());
    let episodes = to.episodes(patient).await;
    assert!(
        !episodes.is_empty() && episodes.iter().all(|episode| episode.late),
        "{episodes:?}"
    );
    let told: i64 = sqlx::query_scalar("SELECT count(*) FROM notification")
        .fetch_one(&to.pool)
        .await
        .unwrap();
    assert_eq!(told, 0);

    // A later passport of the same patient adds what is new to it, by the same device.
    publish(&sensor, &[glucose(minutes_ago(1), 2.7)]).await;
    let file = there.passport(&folder, 200).await.remove(0);
    let taken = &to.cli(&["import", "--merge", file.to_str().unwrap()]).await["files"][0];
    assert_eq!(taken["readings"], json!({"stored": 1, "stored_earlier": 2}));
    assert_eq!(taken["devices"], 0);

    // Into the record that it came from nothing comes twice.
    let own = &from.cli(&["import", "--merge", file.to_str().unwrap()]).await["files"][0];
    assert_eq!(own["readings"], json!({"stored": 0, "stored_earlier": 3}));
    assert_eq!(own["devices"], 0);

    let log: Vec<(String, Vec<i64>)> = sqlx::query_as(
        "SELECT action, patients FROM audit_event WHERE action = 'import_passport' ORDER BY sequence",
    )
    .fetch_all(&to.pool)
    .await
    .unwrap();
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|(_, patients)| *patients == [patient.0]));
}

#[tokio::test]
async fn a_bundle_of_another_supplier_gives_what_is_known_and_a_malformed_one_nothing() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = json!({
        "resourceType": "Patient", "id": "p", "birthDate": "1956-03-01", "name": [{"given": ["Ada"], "family": "Example"}],
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}],
    });
    let observation = |value: f64, minutes: i64| {
        json!({
            "resourceType": "Observation", "status": "final", "subject": {"reference": "urn:uuid:p"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "effectiveDateTime": stamp(minutes_ago(minutes)),
            "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": "/min"},
        })
    };
    let bundle = |resources: &[Value]| {
        let entries: Vec<Value> = resources
            .iter()
            .zip(["urn:uuid:p", "urn:uuid:a", "urn:uuid:b", "urn:uuid:c"])
            .map(|(resource, url)| json!({"fullUrl": url, "resource": resource}))
            .collect();
        json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
    };
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("bundle.json");
    let path = file.to_str().unwrap();
    let write = |value: &Value| std::fs::write(&file, value.to_string()).unwrap();

    let mut broken = observation(70.0, 1);
    broken["extension"] = json!([{
        "url": "https://homeward.example/fhir/StructureDefinition/stored-reading", "valueString": "{}"}]);
    write(&bundle(&[patient.clone(), observation(71.0, 10), broken]));
    let said = server.cli_fails(&["import", path]).await;
    assert!(said.contains("entry[2] (Observation): missing field"), "{said}");
    let people: i64 = sqlx::query_scalar("SELECT count(*) FROM patient")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(people, 0);

    let medication = json!({"resourceType": "MedicationStatement"});
    write(&bundle(&[
        patient.clone(),
        observation(71.0, 10),
        observation(500.0, 9),
        medication,
    ]));
    let taken = &server.cli(&["import", path]).await["files"][0];
    assert_eq!(taken["readings"], json!({"stored": 1, "stored_earlier": 0}));
    let left: Vec<String> = taken["left_out"]["first"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| format!("{} {}", left["entry"], left["resource"].as_str().unwrap()))
        .collect();
    assert_eq!(left, ["2 Observation", "3 MedicationStatement"]);
    let again = &server.cli(&["import", path]).await["files"][0];
    assert_eq!(again["taken_over_before"], true);

    let said = server.cli_fails(&["import", "/nowhere.json"]).await;
    assert!(said.contains("nothing of /nowhere.json was taken over"), "{said}");
}
