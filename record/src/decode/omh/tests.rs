use std::collections::BTreeSet;
use std::path::Path;

use chrono::TimeDelta;
use insta::assert_snapshot;

use super::*;
use crate::decode::properties::{check_decode, context, samples, show};
use crate::{PayloadKind, decode};

/// Samples are from 2013 on; the record keeps 20 years.
fn of_samples() -> DecodeContext {
    DecodeContext {
        retention: TimeDelta::days(7_305),
        ..context()
    }
}

fn outcome(payload: &[u8]) -> String {
    show(&check_decode(PayloadKind::Omh, payload, &of_samples()))
}

fn read_text(payload: &str) -> String {
    outcome(payload.as_bytes())
}

/// The outcome of each sample of one verdict, by its name.
fn outcomes(folder: &Path, verdict: &str) -> String {
    let mut lines = BTreeSet::new();
    for kind in std::fs::read_dir(folder.join("omh")).unwrap() {
        let kind = kind.unwrap();
        for file in std::fs::read_dir(kind.path().join(verdict)).unwrap() {
            let file = file.unwrap();
            let payload = std::fs::read(file.path()).unwrap();
            let (kind, file) = (kind.file_name(), file.file_name());
            let name = file.to_string_lossy().trim_end_matches(".json").to_owned();
            // Of a refusal, reason and field.
            let outcome = outcome(&payload);
            let brief = outcome.split(": ").next().unwrap();
            lines.insert(format!("{}/{name}: {brief}", kind.to_string_lossy()));
        }
    }
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

#[test]
fn every_sample_that_must_pass_is_read() {
    let Some(folder) = samples() else { return };
    assert_snapshot!(outcomes(&folder, "shouldPass"), @r#"
    blood-glucose/with-date-time-time-frame: 2013-02-05T07:25:00+00:00 glucose=5.272447
    blood-glucose/with-descriptive-statistic: not_measured descriptive_statistic
    blood-glucose/with-everything: not_measured descriptive_statistic
    blood-glucose/with-temporal-relationship-to-meal: 2013-02-05T07:25:00+00:00 glucose=5.272447 {"meal":"fasting"}
    blood-glucose/with-temporal-relationship-to-sleep: 2013-02-05T20:25:00+00:00 glucose=5.272447 {"circumstances":{"sleep":"before sleeping"}}
    blood-pressure/blood-pressure-only: 2020-02-05T15:25:00+00:00 systolic=115 diastolic=60
    blood-pressure/with-descriptive-statistic: not_measured descriptive_statistic
    blood-pressure/with-posture-and-location: 2020-02-05T15:25:00+00:00 systolic=140 diastolic=60 {"circumstances":{"posture":"sitting","site":"left upper arm"}}
    blood-pressure/with-posture-location-relation: 2020-02-05T15:25:00+00:00 systolic=125 diastolic=60 {"circumstances":{"posture":"sitting","site":"left wrist","activity":"at rest"}}
    body-temperature/basal-temperature: 2023-02-05T06:25:00+00:00 body_temperature=35.833333 {"circumstances":{"sleep":"on waking"}}
    body-temperature/valid-temperature-with-statistic: not_measured descriptive_statistic
    body-temperature/valid-temperature: 2023-02-05T06:25:00+00:00 body_temperature=36.111111 {"circumstances":{"site":"forehead"}}
    body-weight/body-weight-only: 2020-02-05T17:45:00+00:00 body_weight=50
    body-weight/with-descriptive-statistic: not_measured descriptive_statistic
    heart-rate/with-descriptive-statistic: not_measured descriptive_statistic
    heart-rate/with-temporal-relationship-to-sleep: 2020-02-05T15:25:00+00:00 heart_rate=67.5 {"circumstances":{"sleep":"on waking"}}
    oxygen-saturation/saturation-only: 2013-02-05T15:25:00+00:00 spo2=95
    oxygen-saturation/saturation-with-statistics: not_measured descriptive_statistic
    oxygen-saturation/with-oxygen: 2013-02-05T07:25:00+00:00 spo2=95 supplemental_oxygen=2.5 {"circumstances":{"oxygen_delivery":"nasal cannula"}}
    respiratory-rate/respiratory-rate-only: 2020-02-05T15:25:00+00:00 respiratory_rate=12
    respiratory-rate/with-statistic: not_measured descriptive_statistic
    respiratory-rate/with-temporal-relationship-to-physical-activity: 2020-02-05T15:25:00+00:00 respiratory_rate=11 {"circumstances":{"activity":"at rest"}}
    step-count/valid-step-count: 2016-02-05T07:25:00+00:00 steps=10600 {"from":"2016-02-05T06:25:00Z"}
    step-count/with-average: not_measured descriptive_statistic
    step-count/with-maximum: not_measured descriptive_statistic
    step-count/with-session: not_measured descriptive_statistic
    "#);
}

#[test]
fn every_sample_that_must_fail_is_refused_with_its_field() {
    let Some(folder) = samples() else { return };
    assert_snapshot!(outcomes(&folder, "shouldFail"), @r#"
    blood-glucose/empty-document: unsupported holds no measurement that this version takes
    blood-glucose/invalid-descriptive-statistic: invalid_field descriptive_statistic
    blood-glucose/invalid-specimen-source: invalid_field specimen_source
    blood-glucose/invalid-temporal-relationship-to-meal: invalid_field temporal_relationship_to_meal
    blood-glucose/invalid-temporal-relationship-to-sleep: invalid_field temporal_relationship_to_sleep
    blood-glucose/invalid-time-interval: no_time effective_time_frame.time_interval
    blood-glucose/missing-time-frame: no_time effective_time_frame
    blood-pressure/empty-document: unsupported holds no measurement that this version takes
    blood-pressure/invalid-pa-value: invalid_field temporal_relationship_to_physical_activity
    blood-pressure/invalid-unit: invalid_unit systolic_blood_pressure.unit
    body-temperature/empty-document: unsupported holds no measurement that this version takes
    body-temperature/invalid-unit: invalid_unit body_temperature.unit
    body-temperature/missing-effective-time-frame: no_time effective_time_frame
    body-weight/empty-document: unsupported holds no measurement that this version takes
    body-weight/invalid-descriptive-statistic: invalid_field descriptive_statistic
    body-weight/invalid-time-frame: invalid_field effective_time_frame.start_date_time
    body-weight/invalid-time-interval: no_time effective_time_frame.time_interval
    body-weight/invalid-unit: invalid_unit body_weight.unit
    body-weight/missing-body-weight-unit: invalid_field body_weight.unit
    body-weight/missing-body-weight-value: invalid_field body_weight.value
    heart-rate/empty-document: unsupported holds no measurement that this version takes
    heart-rate/incorrect-unit: invalid_unit heart_rate.unit
    heart-rate/missing-effective-time-frame: no_time effective_time_frame
    oxygen-saturation/invalid-oxygen-unit: invalid_unit supplemental_oxygen_flow_rate.unit
    oxygen-saturation/invalid-unit: invalid_unit oxygen_saturation.unit
    oxygen-saturation/missing-effective-time-frame: no_time effective_time_frame
    respiratory-rate/empty-document: unsupported holds no measurement that this version takes
    respiratory-rate/invalid-respiratory-rate: invalid_unit respiratory_rate.unit
    step-count/empty-document: unsupported holds no measurement that this version takes
    step-count/invalid-unit-step-count: invalid_unit step_count.unit
    step-count/step-count-only: no_time effective_time_frame
    step-count/string-step-count-value: invalid_field step_count.value
    step-count/with-date-time: invalid_field effective_time_frame.date_time
    "#);
}

#[test]
fn a_whole_data_point() {
    let point = |schema: &str, modality: &str| {
        format!(
            r#"{{"header": {{"id": "243c773b", "creation_date_time": "2026-11-22T08:00:10Z",
                 "schema_id": {{"namespace": "omh", "name": "{schema}", "version": "2.0"}},
                 "acquisition_provenance": {{"source_name": "app", "modality": "{modality}"}}}},
                 "body": {{"heart_rate": {{"value": 72, "unit": "beats/min"}},
                 "effective_time_frame": {{"date_time": "2026-11-22T08:00:05Z"}}}}}}"#
        )
    };
    let header = |text: &str| format!(r#"{{"header": {text}, "body": {{"heart_rate": {{}}}}}}"#);
    assert_snapshot!(read_text(&point("heart-rate", "sensed")), @"2026-11-22T08:00:05+00:00 heart_rate=72");
    assert_snapshot!(read_text(&point("heart-rate", "self-reported")), @r#"2026-11-22T08:00:05+00:00 heart_rate=72 {"cautions":["self_reported"]}"#);
    assert_snapshot!(read_text(&point("body-weight", "sensed")), @r#"invalid_field header.schema_id.name: is "body-weight", but the body is a heart-rate"#);
    assert_snapshot!(read_text(&point("heart-rate", "guessed")), @r#"invalid_field header.acquisition_provenance.modality: "guessed" is not one of sensed, self-reported"#);
    assert_snapshot!(read_text(&header("7")), @"invalid_field body.heart_rate.unit: is missing");
    assert_snapshot!(read_text(r#"{"header": {}}"#), @"invalid_field body: is missing");
    assert_snapshot!(read_text(r#"{"body": {}}"#), @"invalid_field header: is missing");
    assert_snapshot!(read_text(r#"{"header": {}, "body": {}, "more": 1}"#), @"invalid_field more: is no field of a data point");
}

/// A heart rate with these other fields.
fn heart_rate(value: &str, fields: &str) -> String {
    read_text(&format!(
        r#"{{"heart_rate": {{"value": {value}, "unit": "beats/min"}}, {fields}}}"#
    ))
}

#[test]
fn times_and_intervals() {
    let interval = |fields: &str| {
        heart_rate(
            "72",
            &format!(r#""effective_time_frame": {{"time_interval": {{{fields}}}}}"#),
        )
    };
    let at = |time: &str| {
        heart_rate(
            "72",
            &format!(r#""effective_time_frame": {{"date_time": "{time}"}}"#),
        )
    };
    let start = r#""start_date_time": "2026-11-22T08:00:00Z""#;
    let end = r#""end_date_time": "2026-11-22T08:01:00+00:00""#;
    let lasts = |value: &str, unit: &str| format!(r#""duration": {{"value": {value}, "unit": "{unit}"}}"#);

    assert_snapshot!(interval(&format!("{start}, {end}")), @r#"2026-11-22T08:01:00+00:00 heart_rate=72 {"from":"2026-11-22T08:00:00Z"}"#);
    assert_snapshot!(interval(&format!("{start}, {}", lasts("30", "sec"))), @r#"2026-11-22T08:00:30+00:00 heart_rate=72 {"from":"2026-11-22T08:00:00Z"}"#);
    assert_snapshot!(interval(&format!("{}, {end}", lasts("0.5", "min"))), @r#"2026-11-22T08:01:00+00:00 heart_rate=72 {"from":"2026-11-22T08:00:30Z"}"#);
    assert_snapshot!(interval(&format!("{start}, {}", lasts("6", "min"))), @"not_measured effective_time_frame.time_interval: covers more than 5 minutes: a summary, and no measurement");
    assert_snapshot!(interval(&format!("{start}, {}", lasts("1", "Mo"))), @r#"invalid_unit effective_time_frame.time_interval.duration.unit: "Mo" is not one of ms, sec, min, h, d, wk"#);
    assert_snapshot!(interval(&format!("{start}, {}", lasts("1e300", "wk"))), @"invalid_field effective_time_frame.time_interval.duration: is no duration of a measurement");
    assert_snapshot!(interval(&format!("{start}, {}", lasts("-1", "sec"))), @"invalid_field effective_time_frame.time_interval.duration: is no duration of a measurement");
    assert_snapshot!(interval(&format!("{start}, {}", lasts("0", "sec"))), @"invalid_field effective_time_frame.time_interval: the interval has to begin before it ends");
    assert_snapshot!(interval(start), @"no_time effective_time_frame.time_interval: has to have two of start_date_time, end_date_time and duration");
    assert_snapshot!(interval(r#""date": "2026-11-22", "part_of_day": "morning""#), @"no_time effective_time_frame.time_interval.part_of_day: a part of a day is no time of a measurement");
    assert_snapshot!(at("2026-11-22T08:00:05"), @r#"no_time effective_time_frame.date_time: "2026-11-22T08:00:05" has no offset: end it with Z or, say, +01:00"#);
    assert_snapshot!(at("2026-11-22"), @r#"invalid_field effective_time_frame.date_time: "2026-11-22" is not an RFC 3339 time like 2026-11-22T08:00:05Z"#);
    assert_snapshot!(at("2026-11-22T09:00:05Z"), @"in_future effective_time_frame.date_time: 2026-11-22T09:00:05Z is more than 5 minutes after the message arrived: is the device's clock wrong?");
    assert_snapshot!(at("2006-11-20T08:00:05Z"), @"too_old effective_time_frame.date_time: 2006-11-20T08:00:05Z is further back than the 7305 days for which readings are kept");
}

#[test]
fn what_is_wrong_with_a_value() {
    let frame = r#""effective_time_frame": {"date_time": "2026-11-22T08:00:05Z"}"#;
    let with = |value: &str, more: &str| heart_rate(value, &format!("{frame}{more}"));
    assert_snapshot!(with("400", ""), @"implausible heart_rate.value: 400 /min is outside the plausible 20 to 300");
    assert_snapshot!(with("null", ""), @"invalid_field heart_rate.value: is missing");
    assert_snapshot!(with("[72]", ""), @"invalid_field heart_rate.value: has to be a number, without quotes");
    assert_snapshot!(with("72", r#", "descriptive_statistc": "average""#), @"invalid_field descriptive_statistc: is no field of a heart-rate");
    assert_snapshot!(with("72", r#", "body_weight": {}"#), @"invalid_field is both a body-weight and a heart-rate");
    let glucose = |specimen: &str| {
        read_text(&format!(
            r#"{{"blood_glucose": {{"value": 5.1, "unit": "mmol/L"}}, {frame}, "specimen_source": "{specimen}"}}"#
        ))
    };
    assert_snapshot!(glucose("interstitial fluid"), @r#"2026-11-22T08:00:05+00:00 glucose=5.1 {"sample":"interstitial"}"#);
    assert_snapshot!(glucose("tears"), @"unsupported specimen_source: tears has glucose of another range than blood, which rules would misjudge");
    let pressure = |systolic: u16, diastolic: &str| {
        read_text(&format!(
            r#"{{"systolic_blood_pressure": {{"value": {systolic}, "unit": "mmHg"}}, {diastolic} {frame}}}"#
        ))
    };
    assert_snapshot!(pressure(120, ""), @"invalid_field diastolic_blood_pressure: is missing");
    let diastolic = r#""diastolic_blood_pressure": {"value": 80, "unit": "mmHg"},"#;
    assert_snapshot!(pressure(70, diastolic), @"implausible diastolic_blood_pressure.value: 80 mm[Hg] is not below the systolic 70 mm[Hg]");
    // The two are one measurement: neither is taken without the other.
    assert_snapshot!(pressure(400, diastolic), @"implausible systolic_blood_pressure.value: 400 mm[Hg] is outside the plausible 40 to 300");
}

#[test]
fn a_message_is_bounded() {
    let long = format!(r#"{{"{}": 1}}"#, "x".repeat(60_000));
    let upload = decode::decode(PayloadKind::Omh, long.as_bytes(), &context());
    assert!(upload.rejected[0].detail.len() < 400);
}
