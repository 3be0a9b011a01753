use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value as Json, json};

use super::{
    DEVICE_IDENTIFIER, DeviceUse, Kept, KeptCorrection, ReadPassport, device_use, keep, keep_device,
    read_passport,
};
use crate::decode::DecodeContext;
use crate::fhir::{
    Activity, Device, Observed, Origin, Source, Status, device, kept_observations, provenance,
};
use crate::{Circumstances, Context, DeviceId, Metric, PatientId, Reading};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_795_334_460_123_456).unwrap() + TimeDelta::minutes(minute)
}

fn read(entries: &[Json]) -> Result<ReadPassport, String> {
    let entries: Vec<Json> = entries
        .iter()
        .map(|resource| json!({"resource": resource}))
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "document", "identifier": {"value": "urn:uuid:1"}, "entry": entries});
    read_text(&bundle.to_string())
}

fn read_text(text: &str) -> Result<ReadPassport, String> {
    let context = DecodeContext {
        received_at: at(60),
        retention: TimeDelta::days(7_305),
        utc_offset: TimeDelta::zero(),
    };
    read_passport(text.as_bytes(), &context).map_err(|error| error.to_string())
}

fn ada() -> Json {
    json!({
        "resourceType": "Patient", "id": "ada", "birthDate": "1956-03-01",
        "identifier": [
            {"system": "http://example.org", "value": "7"},
            {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "999 000 0018"},
        ],
        "name": [{"use": "old", "text": "Ada Miller"}, {"given": ["Ada", "M"], "family": "Example"}],
    })
}

fn heart_rate(value: f64) -> Json {
    json!({
        "resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/ada"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "2026-11-22T08:00:00Z",
        "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": "/min"},
    })
}

/// Readings of which FHIR alone would not tell all: a pressure without its other, words that no code has.
fn odd() -> Vec<Reading> {
    let reading = |metric, value, context| Reading {
        metric,
        at: at(0),
        value,
        context,
    };
    let said = Context {
        from: Some(at(-1)),
        sample: Some("tears".to_owned()),
        meal: Some("second breakfast".to_owned()),
        cautions: vec!["cold".to_owned()],
        circumstances: Some(Box::new(Circumstances {
            site: Some("a".repeat(80)),
            ..Circumstances::default()
        })),
    };
    vec![
        reading(Metric::HeartRate, 71.300_000_000_000_01, Context::default()),
        reading(Metric::Systolic, 134.0, Context::default()),
        reading(Metric::Glucose, 0.1 + 5.7, said),
        reading(Metric::Consciousness, 1.0, Context::default()),
        reading(Metric::IrregularPulse, 1.0, Context::default()),
    ]
}

fn written(readings: &[Reading], status: Status) -> Vec<Json> {
    let observed: Vec<_> = readings
        .iter()
        .zip(0..)
        .map(|(reading, minute)| Observed {
            patient: PatientId(1001),
            device: DeviceId(17),
            reading,
            received_at: at(minute),
            interpretation: None,
            status,
        })
        .collect();
    let mut resources = kept_observations(&observed);
    for resource in &mut resources {
        resource["subject"] = json!({"reference": "Patient/ada"});
    }
    resources
}

fn cuff() -> Json {
    let mut cuff = device(&Device {
        id: DeviceId(17),
        kind: "cuff",
        patient: None,
        revoked_at: Some(at(5)),
    });
    keep_device(
        &mut cuff,
        &[(DEVICE_IDENTIFIER.to_owned(), "u.17".to_owned())],
        -60,
    );
    cuff
}

#[test]
fn a_passport_comes_back_exactly() {
    let mut plan = json!({"resourceType": "CarePlan"});
    keep(&mut plan, Kept::Rule, &json!({"code": "a"}));
    keep(&mut plan, Kept::Rule, &json!({"code": "b"}));
    keep(&mut plan, Kept::Memory, &json!({"a": []}));
    let mut issue = json!({"resourceType": "DetectedIssue"});
    keep(&mut issue, Kept::Episode, &json!({"code": "a"}));
    let correction = KeptCorrection {
        metric: Metric::HeartRate,
        measured_at: at(0),
        author: "Dr Ng".to_owned(),
        reason: "the neighbour's".to_owned(),
        at: at(9),
    };
    let mut marked = provenance(&Origin {
        id: "1",
        targets: &["Observation/1001-17-1-1795334460123456".to_owned()],
        recorded_at: at(9),
        activity: Activity::Nullified,
        reason: None,
        sources: &[Source::Person("Dr Ng")],
    });
    keep(&mut marked, Kept::Correction, &correction);
    let used = DeviceUse {
        patient: PatientId(1001),
        device: DeviceId(17),
        from: at(-10),
        until: Some(at(10)),
    };
    let composition = json!({"resourceType": "Composition", "author": [{"display": "Homeward"}],
        "relatesTo": [{"code": "appends", "targetIdentifier": {"value": "urn:uuid:0"}}]});
    let readings = odd();
    let mut entries = vec![composition, ada(), cuff(), device_use(&used), plan, issue, marked];
    entries.extend(written(&readings, Status::EnteredInError));
    let passport = read(&entries).unwrap();
    assert_eq!(passport.patient.nhs_number.as_str(), "9990000018");
    assert_eq!(passport.patient.name, "Ada M Example");
    assert_eq!(passport.document.as_deref(), Some("urn:uuid:1"));
    assert_eq!(passport.continues.as_deref(), Some("urn:uuid:0"));
    let cuff = &passport.devices[0];
    assert_eq!(
        (cuff.kind.as_str(), cuff.utc_offset_minutes, cuff.revoked_at),
        ("cuff", -60, Some(at(5)))
    );
    assert_eq!(cuff.uses, [(at(-10), Some(at(10)))]);
    assert_eq!(
        cuff.identifiers,
        [(DEVICE_IDENTIFIER.to_owned(), "u.17".to_owned())]
    );
    assert_eq!(
        passport.rules,
        [
            (4, r#"{"code":"a"}"#.to_owned()),
            (4, r#"{"code":"b"}"#.to_owned())
        ]
    );
    assert_eq!(passport.memory.as_deref(), Some(r#"{"a":[]}"#));
    assert_eq!(passport.episodes.len(), 1);
    assert_eq!(passport.corrections[0].kept, correction);
    let mut back: Vec<_> = passport
        .readings
        .iter()
        .map(|read| {
            (
                read.received_at,
                read.reading.clone(),
                read.entered_in_error,
                read.device,
            )
        })
        .collect();
    back.sort_by_key(|(received_at, ..)| *received_at);
    let expected: Vec<_> = readings
        .into_iter()
        .zip(0..)
        .map(|(reading, minute)| (Some(at(minute)), reading, true, 0))
        .collect();
    assert_eq!(back, expected);
    assert_eq!(passport.left_out, []);
}

#[test]
fn another_supplier_s_bundle_gives_what_is_known_and_says_what_is_not() {
    let mut amended = heart_rate(72.0);
    amended["status"] = "amended".into();
    amended["device"] = json!({"reference": "Device/w"});
    let mut wrong = heart_rate(400.0);
    wrong["id"] = "x".into();
    let mut other = heart_rate(71.0);
    other["subject"] = json!({"reference": "Patient/bob"});
    let mut unsaid = heart_rate(73.0);
    unsaid["status"] = "entered-in-error".into();
    let mut sum = heart_rate(74.0);
    sum["derivedFrom"] = json!([{"reference": "Observation/1"}]);
    let watch = json!({"resourceType": "Device", "id": "w", "modelNumber": "Watch 3",
        "identifier": [{"system": "http://example.org/serial", "value": "A17"}]});
    let medication = json!({"resourceType": "MedicationStatement"});
    let plan = json!({"resourceType": "CarePlan"});
    let mut research = json!({"resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/ada"},
        "scope": {"coding": [{"code": "research"}]}, "dateTime": "2026-11-01T00:00:00Z",
        "provision": {"type": "deny"}});
    let denied = research.clone();
    research["scope"]["coding"][0]["code"] = "patient-privacy".into();
    let entries = [
        ada(),
        watch,
        amended,
        wrong,
        other,
        unsaid,
        sum,
        medication,
        plan,
        denied,
        research,
    ];
    let passport = read(&entries).unwrap();
    let readings: Vec<_> = passport
        .readings
        .iter()
        .map(|read| {
            (
                read.entry,
                read.device,
                read.reading.value,
                read.received_at,
                read.entered_in_error,
            )
        })
        .collect();
    assert_eq!(readings, [(2, 0, 72.0, None, false), (5, 1, 73.0, None, true)]);
    assert_eq!(
        passport.opted_out.unwrap().to_rfc3339(),
        "2026-11-01T00:00:00+00:00"
    );
    assert_eq!(passport.devices[0].kind, "Watch 3");
    assert_eq!(
        (
            passport.devices[1].kind.as_str(),
            passport.devices[1].identifiers.len()
        ),
        ("not said", 0)
    );
    let left: Vec<_> = passport
        .left_out
        .iter()
        .map(|left| format!("{} {}: {}", left.entry, left.kind, left.why))
        .collect();
    assert_eq!(
        left,
        [
            "3 Observation: valueQuantity.value: 400 /min is outside the plausible 20 to 300",
            "4 Observation: is about somebody or something else than the Patient of the Bundle",
            "6 Observation: is worked out from other Observations",
            "7 MedicationStatement: is of no type that is taken over",
            "8 CarePlan: says nothing by which readings could be judged here",
            "10 Consent: is a choice that the patient has to make here",
        ]
    );
}

#[test]
fn what_is_malformed_is_named() {
    let without = |field: &str| {
        let mut patient = ada();
        patient.as_object_mut().unwrap().remove(field);
        patient
    };
    let mut changed = written(&odd()[..1], Status::Final).remove(0);
    changed["valueQuantity"]["value"] = 70.into();
    let mut moved = written(&odd()[..1], Status::Final).remove(0);
    moved["effectiveDateTime"] = "2026-11-22T08:00:00Z".into();
    let mut broken = heart_rate(70.0);
    keep(&mut broken, Kept::Reading, &json!({"metric": "mood"}));
    let mut number = ada();
    number["identifier"][1]["value"] = "9990000019".into();
    for (entries, expected) in [
        (vec![], "the file: it has no Patient: whose is it?"),
        (
            vec![ada(), ada()],
            "entry[1] (Patient): is another Patient: a passport is of one",
        ),
        (
            vec![without("identifier")],
            "entry[0] (Patient): has no identifier of the system https://fhir.nhs.uk/Id/nhs-number",
        ),
        (
            vec![without("birthDate")],
            "entry[0] (Patient): birthDate: expected a whole date, as 1948-07-05",
        ),
        (vec![without("name")], "entry[0] (Patient): has no name"),
        (
            vec![number],
            "entry[0] (Patient): the NHS number's check digit does not fit: is one digit mistyped, or are two swapped?",
        ),
        (
            vec![ada(), changed],
            "entry[1] (Observation): the kept value is another than that of the Observation",
        ),
        (
            vec![ada(), moved],
            "entry[1] (Observation): the kept time is another than the effective one",
        ),
        (
            vec![ada(), json!({"resourceType": "Device"})],
            "entry[1] (Device): has neither an identifier nor an id",
        ),
    ] {
        assert_eq!(read(&entries).unwrap_err(), expected);
    }
    let told = read(&[ada(), broken]).unwrap_err();
    assert!(
        told.starts_with("entry[1] (Observation): unknown variant `mood`"),
        "{told}"
    );
    for (text, expected) in [
        (
            "{",
            "the file: it is no Bundle of JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            r#"{"resourceType": "Patient"}"#,
            "the file: it is a Patient, and no Bundle",
        ),
        (
            r#"{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}, {}]}"#,
            "entry[1] (entry): has no resource",
        ),
        (
            r#"{"resourceType": "Bundle", "entry": [{"resource": 7}]}"#,
            "entry[0] (entry): invalid type: integer `7`, expected struct ResourceOutline at line 1 column 1",
        ),
    ] {
        assert_eq!(read_text(text).unwrap_err(), expected);
    }
}
