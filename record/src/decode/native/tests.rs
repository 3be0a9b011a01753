use chrono::{DateTime, TimeDelta, Utc};
use insta::assert_snapshot;

use super::*;
use crate::decode::properties::context;
use crate::decode::{MAX_DETAIL, MAX_PAYLOAD, Rejection};
use crate::{Context, Metric, PayloadKind, Reading, decode};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn read(payload: &str) -> Upload {
    decode::decode(PayloadKind::Readings, payload.as_bytes(), &context())
}

/// The outcome of a message that holds this one measurement.
fn read_one(item: &str) -> Upload {
    read(&format!(r#"{{"readings": [{item}]}}"#))
}

/// Metric and value of each reading of the one measurement.
fn values(item: &str) -> Vec<(Metric, f64)> {
    let upload = read_one(item);
    assert_eq!(upload.rejected, [], "{item}");
    upload
        .readings
        .iter()
        .map(|reading| (reading.metric, reading.value))
        .collect()
}

#[test]
fn the_example_of_the_design() {
    let upload = read(
        r#"{"readings": [
          {"type": "heart_rate", "at": "2026-11-22T08:00:05Z", "value": 72},
          {"type": "blood_pressure", "at": "2026-11-22T08:01:00+00:00", "systolic": 134, "diastolic": 84,
           "pulse": 71, "irregular_pulse": false},
          {"type": "glucose", "at": "2026-11-22T08:05:00Z", "value": 6.1, "unit": "mmol/L",
           "sample": "interstitial", "meal": "before"},
          {"type": "steps", "from": "2026-11-22T07:00:00Z", "at": "2026-11-22T08:00:00Z", "value": 812}
        ]}"#,
    );
    let reading = |metric, time, value, context| Reading {
        metric,
        at: at(time),
        value,
        context,
    };
    let none = Context::default;
    let glucose = Context {
        sample: Some("interstitial".into()),
        meal: Some("before".into()),
        ..none()
    };
    let steps = Context {
        from: Some(at("2026-11-22T07:00:00Z")),
        ..none()
    };
    let expected = [
        reading(Metric::HeartRate, "2026-11-22T08:00:05Z", 72.0, none()),
        reading(Metric::Systolic, "2026-11-22T08:01:00Z", 134.0, none()),
        reading(Metric::Diastolic, "2026-11-22T08:01:00Z", 84.0, none()),
        reading(Metric::HeartRate, "2026-11-22T08:01:00Z", 71.0, none()),
        reading(Metric::IrregularPulse, "2026-11-22T08:01:00Z", 0.0, none()),
        reading(Metric::Glucose, "2026-11-22T08:05:00Z", 6.1, glucose),
        reading(Metric::Steps, "2026-11-22T08:00:00Z", 812.0, steps),
    ];
    assert_eq!(upload.readings, expected);
    assert_eq!(upload.rejected, []);
}

#[test]
fn every_type_and_unit() {
    let table: [(&str, &[(Metric, f64)]); 18] = [
        (
            r#""type": "heart_rate", "value": 72, "unit": "/min""#,
            &[(Metric::HeartRate, 72.0)],
        ),
        (
            r#""type": "spo2", "value": 97, "unit": "%""#,
            &[(Metric::Spo2, 97.0)],
        ),
        (
            r#""type": "respiratory_rate", "value": 14"#,
            &[(Metric::RespiratoryRate, 14.0)],
        ),
        (
            r#""type": "body_temperature", "value": 36.6"#,
            &[(Metric::BodyTemperature, 36.6)],
        ),
        (
            r#""type": "body_temperature", "value": 100.4, "unit": "[degF]""#,
            &[(Metric::BodyTemperature, 38.0)],
        ),
        (
            r#""type": "blood_pressure", "systolic": 16, "diastolic": 10.5, "unit": "kPa""#,
            &[(Metric::Systolic, 120.00992), (Metric::Diastolic, 78.75651)],
        ),
        (
            r#""type": "blood_pressure", "systolic": 120, "diastolic": 80, "irregular_pulse": true"#,
            &[
                (Metric::Systolic, 120.0),
                (Metric::Diastolic, 80.0),
                (Metric::IrregularPulse, 1.0),
            ],
        ),
        (r#""type": "glucose", "value": 5.5"#, &[(Metric::Glucose, 5.5)]),
        (
            r#""type": "glucose", "value": 126, "unit": "mg/dL", "meal": "fasting""#,
            &[(Metric::Glucose, 6.992929)],
        ),
        (
            r#""type": "steps", "from": "2026-11-22T07:00:00Z", "value": -0.0, "unit": "{steps}""#,
            &[(Metric::Steps, 0.0)],
        ),
        (
            r#""type": "body_weight", "value": 71.3, "unit": "kg""#,
            &[(Metric::BodyWeight, 71.3)],
        ),
        (
            r#""type": "body_weight", "value": 154.3, "unit": "[lb_av]""#,
            &[(Metric::BodyWeight, 69.989303)],
        ),
        (
            r#""type": "consciousness", "value": "A""#,
            &[(Metric::Consciousness, 0.0)],
        ),
        (
            r#""type": "consciousness", "value": "C""#,
            &[(Metric::Consciousness, 1.0)],
        ),
        (
            r#""type": "consciousness", "value": "U""#,
            &[(Metric::Consciousness, 4.0)],
        ),
        (
            r#""type": "supplemental_oxygen", "value": 0"#,
            &[(Metric::SupplementalOxygen, 0.0)],
        ),
        (
            r#""type": "supplemental_oxygen", "value": 2.5, "unit": "L/min""#,
            &[(Metric::SupplementalOxygen, 2.5)],
        ),
        // Absent and null are the same; a JSON text may be escaped; numbers have many spellings.
        (
            r#""ty\u0070e": "heart\u005frate", "value": 0.72e2, "unit": null, "sample": null"#,
            &[(Metric::HeartRate, 72.0)],
        ),
    ];
    for (fields, expected) in table {
        let item = format!(r#"{{"at": "2026-11-22T08:00:00Z", {fields}}}"#);
        assert_eq!(values(&item), expected, "{item}");
    }
}

#[test]
fn times_need_an_offset_and_become_whole_microseconds() {
    let table = [
        ("2026-11-22T08:00:05Z", "2026-11-22T08:00:05Z"),
        ("2026-11-22T09:00:05.5+01:00", "2026-11-22T08:00:05.5Z"),
        (
            "2026-11-21T23:00:00.1234567899-09:00",
            "2026-11-22T08:00:00.123456Z",
        ),
        ("2026-11-22t08:00:05z", "2026-11-22T08:00:05Z"),
        ("2026-11-22T07:59:60Z", "2026-11-22T08:00:00Z"),
    ];
    for (given, expected) in table {
        let upload = read_one(&format!(r#"{{"type": "spo2", "at": "{given}", "value": 97}}"#));
        assert_eq!(upload.rejected, [], "{given}");
        assert_eq!(upload.readings[0].at, at(expected), "{given}");
    }
}

/// What was refused and why, a line for each.
fn refusals(upload: &Upload) -> String {
    let line = |rejection: &Rejection| format!("{:?} {}", rejection.reason, rejection.detail);
    upload.rejected.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Why this one measurement is refused.
fn refusal(fields: &str) -> String {
    let upload = read_one(&format!("{{{fields}}}"));
    assert_eq!(upload.readings, [], "{fields}");
    assert_eq!(upload.rejected.len(), 1, "{fields}");
    assert_eq!(upload.rejected[0].index, Some(0), "{fields}");
    refusals(&upload).replace("readings[0].", "")
}

#[test]
fn a_refusal_names_the_field() {
    let heart_rate = r#""type": "heart_rate", "at": "2026-11-22T08:00:00Z""#;
    let pressure = r#""type": "blood_pressure", "at": "2026-11-22T08:00:00Z""#;
    let glucose = r#""type": "glucose", "at": "2026-11-22T08:00:00Z""#;
    let steps = r#""type": "steps", "at": "2026-11-22T08:00:00Z""#;
    let refusals = [
        r#""at": "2026-11-22T08:00:00Z", "value": 72"#.into(),
        r#""type": "pulse", "at": "2026-11-22T08:00:00Z", "value": 72"#.into(),
        r#""type": 3, "value": 72"#.into(),
        r#""type": "heart_rate", "value": 72"#.into(),
        r#""type": "heart_rate", "at": "2026-11-22T08:00:00", "value": 72"#.into(),
        r#""type": "heart_rate", "at": "yesterday", "value": 72"#.into(),
        r#""type": "heart_rate", "at": "2026-11-22T08:15:00.000001Z", "value": 72"#.into(),
        r#""type": "heart_rate", "at": "1999-11-22T08:15:00Z", "value": 72"#.into(),
        heart_rate.into(),
        format!(r#"{heart_rate}, "value": null"#),
        format!(r#"{heart_rate}, "value": "72""#),
        format!(r#"{heart_rate}, "value": [72]"#),
        format!(r#"{heart_rate}, "value": 1e999"#),
        format!(r#"{heart_rate}, "value": 1e300"#),
        format!(r#"{heart_rate}, "value": 19.9"#),
        format!(r#"{heart_rate}, "value": 72, "unit": "bpm""#),
        format!(r#"{heart_rate}, "value": 72, "value": 72"#),
        format!(r#"{heart_rate}, "value": null, "value": 72"#),
        format!(r#"{heart_rate}, "value": 72, "systolic": 120"#),
        format!(r#"{heart_rate}, "value": 72, "colour": "red""#),
        format!(r#"{heart_rate}, "value": 72, "a \u0000 colour": "red""#),
        format!(r#"{heart_rate}, "value": 72, "unit": "\ud800""#),
        format!(r#"{pressure}, "systolic": 120"#),
        format!(r#"{pressure}, "systolic": "120", "diastolic": 80"#),
        format!(r#"{pressure}, "systolic": 120, "diastolic": 80, "unit": "mmHg""#),
        format!(r#"{pressure}, "systolic": 80, "diastolic": 120"#),
        format!(r#"{pressure}, "systolic": 80, "diastolic": 80"#),
        format!(r#"{pressure}, "systolic": 50, "diastolic": 30, "unit": "kPa""#),
        format!(r#"{pressure}, "systolic": 120, "diastolic": 80, "pulse": 0"#),
        format!(r#"{pressure}, "systolic": 120, "diastolic": 80, "irregular_pulse": 1"#),
        format!(r#"{glucose}, "value": 5.5, "sample": "tears""#),
        format!(r#"{glucose}, "value": 5.5, "sample": "control_solution""#),
        format!(r#"{glucose}, "value": 5.5, "meal": "brunch""#),
        format!(r#"{steps}, "value": 812"#),
        format!(r#"{steps}, "value": 812, "from": "2026-11-22T08:00:00.0000001Z""#),
        format!(r#"{steps}, "value": 812, "from": "0001-01-01T00:00:00Z""#),
        format!(r#"{steps}, "value": 812.5, "from": "2026-11-22T07:00:00Z""#),
        r#""type": "consciousness", "at": "2026-11-22T08:00:00Z", "value": "alert""#.into(),
        r#""type": "consciousness", "at": "2026-11-22T08:00:00Z", "value": 0"#.into(),
        r#""type": "consciousness", "at": "2026-11-22T08:00:00Z", "value": "A", "unit": "1""#.into(),
    ];
    let refusals: Vec<_> = refusals.iter().map(|fields: &String| refusal(fields)).collect();
    assert_snapshot!(refusals.join("\n"), @r#"
    InvalidField type: is missing
    Unsupported type: "pulse" is not a type that this version takes
    InvalidField type: invalid type: integer `3`, expected a text
    NoTime at: is missing: a reading needs its time
    NoTime at: "2026-11-22T08:00:00" has no offset: end it with Z or, say, +01:00
    InvalidField at: "yesterday" is not an RFC 3339 time like 2026-11-22T08:00:05Z
    InFuture at: 2026-11-22T08:15:00.000001Z is more than 5 minutes after the message arrived: is the device's clock wrong?
    TooOld at: 1999-11-22T08:15:00Z is further back than the 3650 days for which readings are kept
    InvalidField value: is missing
    InvalidField value: is missing
    InvalidField value: has to be a number, without quotes
    InvalidField value: invalid type: sequence, expected a number or a text
    InvalidField value: number out of range
    Implausible value: 1e300 /min is outside the plausible 20 to 300
    Implausible value: 19.9 /min is outside the plausible 20 to 300
    InvalidUnit unit: "bpm" is not a unit of this type: expected /min
    InvalidField value: is given twice
    InvalidField value: is given twice
    InvalidField systolic: is no field of this type of reading
    InvalidField colour: is no field of a reading
    InvalidField "a \0 colour": is no field of a reading
    InvalidField unit: unexpected end of hex escape
    InvalidField diastolic: is missing
    InvalidField systolic: invalid type: string "120", expected a number
    InvalidUnit unit: "mmHg" is not a unit of this type: expected mm[Hg] or kPa
    Implausible diastolic: 120 mm[Hg] is not below the systolic 80 mm[Hg]
    Implausible diastolic: 80 mm[Hg] is not below the systolic 80 mm[Hg]
    Implausible systolic: 375.031 mm[Hg] is outside the plausible 40 to 300
    Implausible pulse: 0 /min is outside the plausible 20 to 300
    InvalidField irregular_pulse: invalid type: integer `1`, expected a boolean
    InvalidField sample: "tears" is not one of interstitial, capillary_blood, capillary_plasma, venous_blood, venous_plasma, arterial_blood, arterial_plasma, blood, plasma, control_solution
    ControlSolution sample: a control solution was measured, not the patient
    InvalidField meal: "brunch" is not one of before, after, fasting, casual, bedtime
    InvalidField from: is missing
    InvalidField from: the interval has to begin before it ends (`at`)
    TooOld from: 0001-01-01T00:00:00Z is further back than the 3650 days for which readings are kept
    InvalidField value: 812.5 is not a whole number of steps
    InvalidField value: has to be one of A, C, V, P, U, as a text
    InvalidField value: has to be one of A, C, V, P, U, as a text
    InvalidField unit: is no field of this type of reading
    "#);
}

#[test]
fn a_message_that_cannot_be_read_is_refused_whole() {
    let deep = format!(r#"{{"readings": {}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    let many = format!(r#"{{"readings": [{}{{}}]}}"#, "{},".repeat(MAX_READINGS));
    let large = format!("{}{{}}", " ".repeat(MAX_PAYLOAD));
    let messages = [
        "",
        "null",
        "{}",
        "[[]]",
        r#"{"readings": []}"#,
        r#"{"readings": {}}"#,
        r#"{"readings": null}"#,
        r#"{"readings": [{}], "readings": []}"#,
        r#"{"readings": [{}], "device": 17}"#,
        r#"{"readings": [{}"#,
        r#"{"readings": [{}]} x"#,
        r#"{"readings": [NaN]}"#,
        &many,
        &large,
    ];
    let refused: Vec<_> = messages
        .into_iter()
        .map(|message| {
            let upload = read(message);
            assert_eq!(upload.readings, [], "{message}");
            assert_eq!(upload.rejected.len(), 1, "{message}");
            assert_eq!(upload.rejected[0].index, None, "{message}");
            refusals(&upload)
        })
        .collect();
    assert_snapshot!(refused.join("\n"), @"
    Malformed the message is not a JSON object
    Malformed the message is not a JSON object
    Malformed the message cannot be read: missing field `readings` at line 1 column 2
    Malformed the message is not a JSON object
    InvalidField readings: holds no reading
    Malformed the message cannot be read: invalid type: map, expected a sequence at line 1 column 13
    Malformed the message cannot be read: invalid type: null, expected a sequence at line 1 column 17
    Malformed the message cannot be read: duplicate field `readings` at line 1 column 29
    Malformed the message cannot be read: unknown field `device`, expected `readings` at line 1 column 27
    Malformed the message cannot be read: EOF while parsing a list at line 1 column 16
    Malformed the message cannot be read: trailing characters at line 1 column 20
    Malformed the message cannot be read: expected value at line 1 column 15
    TooLarge readings: holds 1001; the most is 1000
    TooLarge the payload has 65538 bytes; the most is 65536
    ");
    // One measurement that is a tower of arrays is its own fault, not the message's.
    assert_eq!(read(&deep).rejected[0].index, Some(0));
    let upload = decode::decode(PayloadKind::Readings, b"{\"readings\": \xff}", &context());
    assert_eq!(
        upload.rejected[0].detail,
        "the payload is not UTF-8 from byte 13 on"
    );
}

#[test]
fn one_that_is_wrong_leaves_the_others() {
    let good = r#"{"type": "spo2", "at": "2026-11-22T08:00:00Z", "value": 97}"#;
    let other = r#"{"type": "heart_rate", "at": "2026-11-22T08:00:00Z", "value": 70}"#;
    for bad in [
        "{}",
        "3",
        "[]",
        "null",
        r#"["heart_rate", "2026-11-22T08:00:00Z"]"#,
        r#"{"x": 1}"#,
    ] {
        let upload = read(&format!(r#"{{"readings": [{good}, {bad}, {other}]}}"#));
        assert_eq!(upload.readings.len(), 2, "{bad}");
        assert_eq!(upload.rejected.len(), 1, "{bad}");
        assert_eq!(upload.rejected[0].index, Some(1), "{bad}");
    }
}

#[test]
fn the_most_readings_are_taken() {
    let item = |second: usize| {
        let at = at("2026-11-22T08:00:00Z") - TimeDelta::seconds(i64::try_from(second).unwrap());
        // Written tight, as a device with much to say would.
        format!(r#"{{"type":"spo2","at":"{}","value":97}}"#, at.format("%FT%TZ"))
    };
    let mut items: Vec<_> = (0..MAX_READINGS).map(item).collect();
    let upload = read(&format!(r#"{{"readings":[{}]}}"#, items.join(",")));
    assert_eq!((upload.readings.len(), upload.rejected.len()), (MAX_READINGS, 0));
    // As many, one of them wrong.
    items[500] = "0".into();
    let upload = read(&format!(r#"{{"readings":[{}]}}"#, items.join(",")));
    assert_eq!(
        (upload.readings.len(), upload.rejected.len()),
        (MAX_READINGS - 1, 1)
    );
}

#[test]
fn the_same_twice_is_once_and_a_contradiction_is_refused() {
    let item = |kind: &str, time: &str, value: u8| {
        format!(r#"{{"type": "{kind}", "at": "2026-11-22T08:0{time}Z", "value": {value}}}"#)
    };
    let pressure = r#"{"type": "blood_pressure", "at": "2026-11-22T08:05:00Z", "systolic": 120,
                       "diastolic": 80, "pulse": 70}"#;
    let items = [
        item("heart_rate", "5:00", 70),
        item("heart_rate", "5:00.0000001", 70),
        item("spo2", "5:00", 97),
        item("heart_rate", "4:00", 60),
        item("heart_rate", "5:00", 71),
        item("heart_rate", "4:00", 60),
        item("heart_rate", "4:00", 61),
        pressure.into(),
        pressure.replace("\"pulse\": 70", "\"pulse\": 90"),
    ];
    let upload = read(&format!(r#"{{"readings": [{}]}}"#, items.join(",")));
    let metrics: Vec<_> = upload.readings.iter().map(|r| (r.metric, r.value)).collect();
    let expected = [
        (Metric::HeartRate, 70.0),
        (Metric::Spo2, 97.0),
        (Metric::HeartRate, 60.0),
        (Metric::Systolic, 120.0),
        (Metric::Diastolic, 80.0),
    ];
    assert_eq!(metrics, expected);
    assert_snapshot!(refusals(&upload), @"
    InvalidField readings[4].value: the message gives another heart_rate for the same time before this one
    InvalidField readings[6].value: the message gives another heart_rate for the same time before this one
    InvalidField readings[8].pulse: the message gives another heart_rate for the same time before this one
    ");
}

#[test]
fn a_long_text_makes_no_long_detail() {
    let long = "ä".repeat(5_000);
    for item in [
        format!(r#"{{"{long}": 1}}"#),
        format!(r#"{{"type": "{long}"}}"#),
        format!(r#"{{"type": 1, "{long}": 1}}"#),
        format!(r#"{{"systolic": "{long}"}}"#),
        format!(r#"{{"type": "spo2", "at": "{long}", "value": 97}}"#),
        format!(r#""{long}""#),
    ] {
        let detail = &read_one(&item).rejected[0].detail;
        assert!(detail.len() <= MAX_DETAIL, "{detail}");
    }
}
