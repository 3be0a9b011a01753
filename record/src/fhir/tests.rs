use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::PayloadKind;
use crate::decode::DecodeContext;
use crate::decode::properties::{check_decode, context, samples, show};

fn outcome(payload: &[u8]) -> String {
    let context = DecodeContext {
        retention: TimeDelta::days(7_305),
        ..context()
    };
    show(&check_decode(PayloadKind::Fhir, payload, &context))
}

fn read(resource: &Value) -> String {
    outcome(resource.to_string().as_bytes())
}

#[test]
fn every_sample_of_the_personal_health_devices() {
    let Some(folder) = samples() else { return };
    let sample = |name: &str| outcome(&std::fs::read(folder.join("phd").join(name)).unwrap());
    assert_snapshot!(sample("compound-numeric-blood-pressure.json"), @"2018-11-11T16:38:15+00:00 systolic=116 diastolic=71");
    assert_snapshot!(sample("compound-observation-glucose.json"), @r#"2018-11-11T16:38:15+00:00 glucose=6.3 {"sample":"capillary_blood","meal":"after"}"#);
    assert_snapshot!(sample("glucose-observation.json"), @r#"2025-01-09T00:07:48+00:00 glucose=5.494445 {"sample":"plasma"}"#);
    assert_snapshot!(sample("numeric-spotnumeric.json"), @"2018-11-13T22:59:03+00:00 heart_rate=48");
    assert_snapshot!(sample("temperature-observation.json"), @"2025-01-09T00:07:48+00:00 body_temperature=36.5");
    assert_snapshot!(sample("numeric-observation-not-a-number.json"), @r#"not_measured dataAbsentReason: the device has no number here: "not-a-number" of "http://terminology.hl7.org/CodeSystem/da"… ("Not a Number (NaN)")"#);
}

#[test]
fn a_transaction_of_a_personal_health_device_is_taken_entry_by_entry() {
    let Some(folder) = samples() else { return };
    let text = std::fs::read_to_string(folder.join("phd/bundle-continuousnonin.json")).unwrap();
    // The file is laid out for people, and larger than a message may be; what it says is not.
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let upload = check_decode(
        PayloadKind::Fhir,
        bundle.to_string().as_bytes(),
        &DecodeContext {
            retention: TimeDelta::days(7_305),
            ..context()
        },
    );
    let count = |name: &str| {
        let named = |reading: &&crate::Reading| reading.metric.name() == name;
        upload.readings.iter().filter(named).count()
    };
    assert_eq!(
        (count("spo2"), count("heart_rate"), upload.readings.len()),
        (12, 12, 24)
    );
    // The battery, the quality of the signal and the status of the device are no readings of a patient.
    assert_eq!(upload.rejected.len(), 23);
    assert_snapshot!(upload.rejected[0].detail, @r#"entry[0].resource.code: "67996" of "urn:iso:std:iso:11073:10101" ("MDC_ATTR_VAL_BATT_CHARGE") is no measurement that this version takes"#);
    assert_snapshot!(upload.rejected[22].detail, @r#"entry[46].resource.dataAbsentReason: the device has no number here: "not-a-number" of "http://terminology.hl7.org/CodeSystem/da"… ("Not a Number (NaN)")"#);
    let unsupported = upload
        .rejected
        .iter()
        .filter(|r| r.reason == crate::decode::Reason::Unsupported);
    assert_eq!(unsupported.count(), 22);
}

/// A heart rate, with some elements changed; `null` takes one out.
fn heart_rate(changes: Value) -> Value {
    let mut resource = json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/somebody"},
        "effectiveDateTime": "2026-11-22T08:00:05Z",
        "valueQuantity": {"value": 72, "system": "http://unitsofmeasure.org", "code": "/min"},
    });
    for (name, value) in changes.as_object().unwrap() {
        resource[name] = value.clone();
    }
    resource
}

fn changed(changes: Value) -> String {
    read(&heart_rate(changes))
}

#[test]
fn what_fhir_lets_pass() {
    let expected = "2026-11-22T08:00:05+00:00 heart_rate=72";
    let table = [
        json!({}),
        json!({"extension": [{"url": "http://example.org/unknown", "valueString": "x"}]}),
        json!({"_status": {"extension": []}, "text": {"status": "empty", "div": "<div/>"}, "contained": [{"resourceType": "Device"}]}),
        json!({"effectiveDateTime": null, "effectiveInstant": "2026-11-22T09:00:05+01:00"}),
        json!({"valueQuantity": {"value": 72.0, "unit": "bpm", "system": "http://unitsofmeasure.org", "code": "{beats}/min"}}),
        json!({"code": {"coding": [{"system": "http://example.org", "code": "hr"}, {"code": "no system"},
               {"system": "urn:iso:std:iso:11073:10101", "code": "149530"},
               {"system": "http://snomed.info/sct", "code": "364075005"}]}}),
        json!({"component": [{"code": {"text": "something"}, "valueString": "x"}]}),
        json!({"modifierExtension": []}),
        json!({"interpretation": [{"text": "normal"}], "referenceRange": [{"text": "60 to 100"}]}),
    ];
    for changes in table {
        assert_eq!(changed(changes.clone()), expected, "{changes}");
    }
}

#[test]
fn what_could_be_taken_for_what_it_is_not() {
    let quantity = |value: Value| {
        let mut all = json!({"value": 72, "system": "http://unitsofmeasure.org", "code": "/min"});
        for (name, value) in value.as_object().unwrap() {
            all[name] = value.clone();
        }
        changed(json!({"valueQuantity": all}))
    };
    let status = |status: &str| changed(json!({"status": status}));
    assert_snapshot!(quantity(json!({"comparator": "<"})), @r#"not_measured valueQuantity.comparator: "<" says that the number is a limit, and not what was measured"#);
    assert_snapshot!(quantity(json!({"code": null})), @"invalid_unit valueQuantity.code: is missing");
    assert_snapshot!(quantity(json!({"system": null})), @"invalid_unit valueQuantity.system: has to be http://unitsofmeasure.org: a unit without its code could be any");
    assert_snapshot!(quantity(json!({"code": "/s"})), @r#"invalid_unit valueQuantity.code: "/s" is not a unit of heart_rate that is taken: /min is, for one"#);
    assert_snapshot!(quantity(json!({"value": "72"})), @"invalid_field valueQuantity.value: has to be a number, without quotes");
    assert_snapshot!(quantity(json!({"valu": 72})), @"invalid_field valueQuantity.valu: is no field of a Quantity");
    assert_snapshot!(quantity(json!({"value": 720})), @"implausible valueQuantity.value: 720 /min is outside the plausible 20 to 300");

    assert_snapshot!(status("preliminary"), @"not_measured status: preliminary: send the final one");
    assert_snapshot!(status("amended"), @"not_measured status: a stored reading is never changed: have it marked as entered in error, and send the right one with its own time");
    assert_snapshot!(status("entered-in-error"), @"not_measured status: readings are marked as entered in error in the record, not by their device");
    assert_snapshot!(status("cancelled"), @"not_measured status: says that nothing was measured");
    assert_snapshot!(status("done"), @r#"invalid_field status: "done" is no status of an Observation"#);
    assert_snapshot!(changed(json!({"status": null})), @"invalid_field status: is missing");

    let modifier = json!([{"url": "http://example.org/not", "valueBoolean": true}]);
    assert_snapshot!(changed(json!({"modifierExtension": modifier})), @r#"unsupported modifierExtension[0].url: "http://example.org/not" may change what the resource says, and is not known"#);
    assert_snapshot!(changed(json!({"component": [{"code": {}, "modifierExtension": modifier}]})), @r#"unsupported component[0].modifierExtension[0].url: "http://example.org/not" may change what the resource says, and is not known"#);
    assert_snapshot!(changed(json!({"implicitRules": "http://example.org"})), @"unsupported implicitRules: the resource follows rules of its own, which this version does not know");
    assert_snapshot!(changed(json!({"focus": [{"reference": "Patient/child"}]})), @"unsupported focus: the Observation is about something else than the patient");
    assert_snapshot!(changed(json!({"valueQuanity": 1})), @"invalid_field valueQuanity: is no field of an R4 Observation");
    assert_snapshot!(changed(json!({"valueString": "72"})), @"invalid_field valueString: is given beside valueQuantity; there may be only one");
    assert_snapshot!(changed(json!({"dataAbsentReason": {"text": "x"}})), @"invalid_field dataAbsentReason: cannot be said of an Observation that has a value");
    assert_snapshot!(changed(json!({"valueQuantity": null, "valueString": "72"})), @"invalid_field valueString: the value has to be a valueQuantity");
    assert_snapshot!(changed(json!({"valueQuantity": null})), @"invalid_field value: is missing, and so is dataAbsentReason");
    let waveform = json!({"origin": {"value": 0}, "period": 10, "dimensions": 1, "data": "1 2 3"});
    assert_snapshot!(changed(json!({"valueQuantity": null, "valueSampledData": waveform})), @"unsupported valueSampledData: a waveform is no measurement of one time, which this version takes alone");
    let code = |codes: &[(&str, &str)]| {
        let codings: Vec<_> = codes
            .iter()
            .map(|(s, c)| json!({"system": s, "code": c}))
            .collect();
        changed(json!({"code": {"coding": codings}}))
    };
    assert_snapshot!(code(&[("http://loinc.org", "8867-4"), ("http://loinc.org", "2708-6")]), @"invalid_field code.coding[1]: means something else than the codings before it");
    assert_snapshot!(code(&[("http://loinc.org", "718-7")]), @r#"unsupported code: "718-7" of "http://loinc.org" is no measurement that this version takes"#);
    assert_snapshot!(code(&[("http://snomed.info/sct", "8867-4")]), @r#"unsupported code: "8867-4" of "http://snomed.info/sct" is no measurement that this version takes"#);
    assert_snapshot!(code(&[("urn:iso:std:iso:11073:10101", "160208")]), @"control_solution valueQuantity: a control solution was measured, not the patient");

    assert_snapshot!(changed(json!({"effectiveDateTime": null})), @"no_time effective: is missing: a reading needs its time");
    assert_snapshot!(changed(json!({"effectiveDateTime": "2026-11-22"})), @r#"no_time effectiveDateTime: "2026-11-22" has no time of day"#);
    assert_snapshot!(changed(json!({"effectiveDateTime": "2026"})), @r#"no_time effectiveDateTime: "2026" has no time of day"#);
    assert_snapshot!(changed(json!({"effectiveDateTime": "2026-11-22T08:00:05"})), @r#"no_time effectiveDateTime: "2026-11-22T08:00:05" has no offset: end it with Z or, say, +01:00"#);
    let period = |start: &str, end: &str| {
        changed(json!({"effectiveDateTime": null, "effectivePeriod": {"start": start, "end": end}}))
    };
    assert_snapshot!(period("2026-11-22T08:00:00Z", "2026-11-22T08:00:30Z"), @r#"2026-11-22T08:00:30+00:00 heart_rate=72 {"from":"2026-11-22T08:00:00Z"}"#);
    assert_snapshot!(period("2026-11-21T08:00:00Z", "2026-11-22T08:00:00Z"), @"not_measured effectivePeriod: covers more than 5 minutes: a summary, and no measurement");
    assert_snapshot!(period("2026-11-22T08:00:00Z", "2026-11-22T08:00:00Z"), @"invalid_field effectivePeriod: the period has to begin before it ends");
}

/// A quantity in UCUM.
fn quantity(value: f64, code: &str) -> Value {
    json!({"value": value, "system": "http://unitsofmeasure.org", "code": code})
}

fn component(system: &str, code: &str, element: &str, value: Value) -> Value {
    json!({"code": {"coding": [{"system": system, "code": code}]}, element: value})
}

#[test]
fn a_blood_pressure_is_a_panel() {
    let loinc = "http://loinc.org";
    let bits = "http://hl7.org/fhir/uv/phd/CodeSystem/ASN1ToHL7";
    let panel = |components: &[Value]| {
        changed(json!({
            "code": {"coding": [{"system": loinc, "code": "85354-9"}]},
            "valueQuantity": null,
            "component": components,
        }))
    };
    let systolic = component(loinc, "8480-6", "valueQuantity", quantity(16.0, "kPa"));
    let diastolic = component(loinc, "8462-4", "valueQuantity", quantity(80.0, "mm[Hg]"));
    let pulse = component(loinc, "8867-4", "valueQuantity", quantity(70.0, "/min"));
    let absent = |code: &str| component(loinc, code, "dataAbsentReason", json!({"text": "error"}));
    let irregular = component(bits, "8410608.2", "valueBoolean", json!(true));
    let yes = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0136", "code": "Y"}]});
    let moved = component(bits, "8410608.0", "valueCodeableConcept", yes);
    let both = [systolic.clone(), diastolic.clone()];

    assert_snapshot!(panel(&both), @"2026-11-22T08:00:05+00:00 systolic=120.00992 diastolic=80");
    assert_snapshot!(panel(&[&both[..], &[pulse, irregular, moved]].concat()), @r#"2026-11-22T08:00:05+00:00 systolic=120.00992 diastolic=80 heart_rate=70 irregular_pulse=1 {"cautions":["body_moved"]}"#);
    assert_snapshot!(panel(&[&both[..], &[absent("8867-4")]].concat()), @"2026-11-22T08:00:05+00:00 systolic=120.00992 diastolic=80");
    assert_snapshot!(panel(&[systolic.clone(), absent("8462-4")]), @r#"not_measured component[1].dataAbsentReason: the device has no number here: "error""#);
    assert_snapshot!(panel(std::slice::from_ref(&systolic)), @"invalid_field component: has a systolic and no diastolic pressure");
    assert_snapshot!(panel(&[diastolic]), @"invalid_field component: has a diastolic and no systolic pressure");
    assert_snapshot!(panel(&[]), @"invalid_field component: has neither a systolic nor a diastolic pressure");
    assert_snapshot!(panel(&[&both[..], &[systolic]].concat()), @"invalid_field component[2].valueQuantity: the Observation gives another systolic before this one");
    assert_snapshot!(changed(json!({"code": {"coding": [{"system": loinc, "code": "85354-9"}]}})), @"invalid_field valueQuantity: a blood pressure has its numbers in components");
    // A pressure alone is no measurement, and a code that is not known may be an average of many.
    assert_snapshot!(changed(json!({"code": {"coding": [{"system": loinc, "code": "8480-6"}]}, "valueQuantity": quantity(120.0, "mm[Hg]")})), @"invalid_field component: has a systolic and no diastolic pressure");
    assert_snapshot!(changed(json!({"code": {"coding": [{"system": loinc, "code": "96607-7"}]}, "valueQuantity": null, "component": both})), @r#"unsupported code: "96607-7" of "http://loinc.org" is no measurement that this version takes"#);
}

#[test]
fn the_other_metrics() {
    let loinc = "http://loinc.org";
    let of = |code: &str, changes: Value| {
        let mut all = json!({"code": {"coding": [{"system": loinc, "code": code}]}});
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        changed(all)
    };
    let period = json!({"start": "2026-11-22T07:00:00Z", "end": "2026-11-22T08:00:00Z"});
    let steps = |value: f64| {
        of(
            "55423-8",
            json!({"valueQuantity": quantity(value, "{steps}"), "effectivePeriod": period, "effectiveDateTime": null}),
        )
    };
    assert_snapshot!(steps(812.0), @r#"2026-11-22T08:00:00+00:00 steps=812 {"from":"2026-11-22T07:00:00Z"}"#);
    assert_snapshot!(steps(0.5), @"invalid_field valueQuantity.value: 0.5 is not a whole number of steps");
    assert_snapshot!(of("55423-8", json!({"valueQuantity": quantity(812.0, "1")})), @"invalid_field effectiveDateTime: steps are counted in a period (effectivePeriod), not at a time");
    assert_snapshot!(of("29463-7", json!({"valueQuantity": quantity(70_250.0, "g")})), @"2026-11-22T08:00:05+00:00 body_weight=70.25");
    assert_snapshot!(of("8310-5", json!({"valueQuantity": quantity(100.4, "[degF]"), "bodySite": {"text": "oral"}})), @r#"2026-11-22T08:00:05+00:00 body_temperature=38 {"circumstances":{"site":"oral"}}"#);
    assert_snapshot!(of("3151-8", json!({"valueQuantity": quantity(2.0, "L/min")})), @"2026-11-22T08:00:05+00:00 supplemental_oxygen=2");
    let level = |code: &str| {
        changed(json!({
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1104441000000107"}]},
            "valueQuantity": null,
            "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
        }))
    };
    assert_snapshot!(level("130987000"), @"2026-11-22T08:00:05+00:00 consciousness=1");
    assert_snapshot!(level("1"), @r#"invalid_field valueCodeableConcept: "1" of "http://snomed.info/sct" is no level of consciousness"#);
}

#[test]
fn bundles() {
    let bundle = |kind: &str, entries: &[Value]| {
        read(&json!({"resourceType": "Bundle", "type": kind, "entry": entries}))
    };
    let entry = |resource: Value| json!({"resource": resource});
    let asked = |method: &str| json!({"resource": heart_rate(json!({})), "request": {"method": method, "url": "Observation"}});
    let other = heart_rate(json!({"status": "preliminary"}));
    assert_snapshot!(bundle("collection", &[entry(heart_rate(json!({})))]), @"2026-11-22T08:00:05+00:00 heart_rate=72");
    assert_snapshot!(bundle("transaction", &[asked("POST"), entry(other)]), @"2026-11-22T08:00:05+00:00 heart_rate=72[1] not_measured entry[1].resource.status: preliminary: send the final one");
    assert_snapshot!(bundle("batch", &[asked("PUT")]), @r#"[0] unsupported entry[0].request.method: "PUT" is not taken: an Observation is created by POST, and a stored one is never changed"#);
    assert_snapshot!(bundle("batch", &[entry(json!({"resourceType": "Patient"}))]), @r#"[0] unsupported entry[0].resource.resourceType: "Patient" is not an Observation"#);
    assert_snapshot!(bundle("batch", &[json!({})]), @"[0] invalid_field entry[0].resource: is missing");
    assert_snapshot!(bundle("batch", &[json!(7)]), @"[0] invalid_field entry[0]: has to be an object");
    let again = heart_rate(json!({"valueQuantity": quantity(73.0, "/min")}));
    assert_snapshot!(bundle("batch", &[asked("POST"), entry(again)]), @"2026-11-22T08:00:05+00:00 heart_rate=72[1] invalid_field entry[1].resource.valueQuantity.value: the message gives another heart_rate for the same time before this one");
    assert_snapshot!(bundle("batch", &[]), @"invalid_field entry: holds no resource");
    assert_snapshot!(bundle("history", &[asked("POST")]), @r#"invalid_field type: "history" is not one of transaction, batch, collection"#);
    assert_snapshot!(bundle("batch", &vec![json!({}); 1_001]), @"too_large entry: holds 1001; the most is 1000");
    assert_snapshot!(read(&json!({"resourceType": "Patient"})), @r#"unsupported resourceType: "Patient" is neither an Observation nor a Bundle"#);
    assert_snapshot!(read(&json!({})), @"invalid_field resourceType: is missing");
    let deep = format!(
        r#"{{"resourceType":"Observation","extension":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert_snapshot!(outcome(deep.as_bytes()), @"malformed the message cannot be read: recursion limit exceeded at line 1 column 169");
}
