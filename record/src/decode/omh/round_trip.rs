//! Documents written out again: nothing that they say is lost.

use chrono::{DateTime, SecondsFormat, Utc};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::body::{Body, Kind};
use super::read;
use super::time::TimeFrame;
use crate::decode::json;
use crate::decode::json::Node;
use crate::decode::properties::{check_decode, context, samples};
use crate::{Circumstances, Context, Metric, PayloadKind, Reading};

fn parse(document: &str) -> Body {
    let json = json::Json::parse(document.as_bytes()).unwrap();
    read(&Node::top(&json)).unwrap()
}

/// The fields and units of a metric.
fn field(metric: Metric) -> (&'static str, &'static str) {
    match metric {
        Metric::Glucose => ("blood_glucose", "mmol/L"),
        Metric::Systolic => ("systolic_blood_pressure", "mmHg"),
        Metric::Diastolic => ("diastolic_blood_pressure", "mmHg"),
        Metric::BodyTemperature => ("body_temperature", "C"),
        Metric::BodyWeight => ("body_weight", "kg"),
        Metric::HeartRate => ("heart_rate", "beats/min"),
        Metric::Spo2 => ("oxygen_saturation", "%"),
        Metric::SupplementalOxygen => ("supplemental_oxygen_flow_rate", "L/min"),
        Metric::RespiratoryRate => ("respiratory_rate", "breaths/min"),
        Metric::Steps => ("step_count", "steps"),
        Metric::Consciousness | Metric::IrregularPulse => panic!("no document holds it"),
    }
}

/// The document of a measurement.
fn document(values: &[(Metric, f64)], time: &TimeFrame, context: &Context) -> Json {
    let stamp = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut document = json!({});
    for (metric, value) in values {
        let (name, unit) = field(*metric);
        document[name] = json!({"value": value, "unit": unit});
    }
    document["effective_time_frame"] = match time {
        TimeFrame::At(at) => json!({"date_time": stamp(*at)}),
        TimeFrame::Interval(start, end) => {
            json!({"time_interval": {"start_date_time": stamp(*start), "end_date_time": stamp(*end)}})
        }
        TimeFrame::PartOfDay => json!({"time_interval": {"date": "2026-11-22", "part_of_day": "night"}}),
    };
    let said = context.circumstances.as_deref().cloned().unwrap_or_default();
    let plain = context.meal.as_deref().map(|meal| match meal {
        "before" => "before meal",
        "after" => "after meal",
        other => other,
    });
    let sample = context.sample.as_deref().map(|sample| match sample {
        "capillary_blood" => "capillary blood",
        _ => "interstitial fluid",
    });
    let fields = [
        ("specimen_source", sample),
        ("temporal_relationship_to_meal", said.meal.as_deref().or(plain)),
        ("temporal_relationship_to_sleep", said.sleep.as_deref()),
        (
            "temporal_relationship_to_physical_activity",
            said.activity.as_deref(),
        ),
        ("body_posture", said.posture.as_deref()),
        ("measurement_location", said.site.as_deref()),
        (
            "oxygen_therapy_mode_of_administration",
            said.oxygen_delivery.as_deref(),
        ),
    ];
    for (name, text) in fields {
        if let Some(text) = text {
            document[name] = text.into();
        }
    }
    document
}

/// The document of a whole body, statistic and all.
fn of_body(body: &Body) -> Json {
    let values: Vec<_> = body
        .values()
        .iter()
        .map(|value| (value.metric, value.value))
        .collect();
    let mut written = document(&values, &body.time, &body.context);
    if let Some(statistic) = body.statistic {
        written["descriptive_statistic"] = statistic.into();
    }
    if let Some(denominator) = &body.denominator {
        written["descriptive_statistic_denominator"] = denominator.as_str().into();
    }
    written
}

/// The document of what the record has of a measurement.
fn of_readings(readings: &[Reading]) -> Json {
    let values: Vec<_> = readings
        .iter()
        .map(|reading| (reading.metric, reading.value))
        .collect();
    let first = &readings[0];
    let time = match first.context.from {
        Some(from) => TimeFrame::Interval(from, first.at),
        None => TimeFrame::At(first.at),
    };
    document(&values, &time, &first.context)
}

#[test]
fn every_sample_that_must_pass_comes_back_as_it_was() {
    let Some(folder) = samples() else { return };
    let context = crate::decode::DecodeContext {
        retention: chrono::TimeDelta::days(7_305),
        ..context()
    };
    let mut seen = (0, 0);
    for kind in std::fs::read_dir(folder.join("omh")).unwrap() {
        for file in std::fs::read_dir(kind.unwrap().path().join("shouldPass")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let body = parse(&text);
            let written = of_body(&body);
            assert_eq!(parse(&written.to_string()), body, "{text}");
            // Field by field, but for units and the notation of times.
            let given: Json = serde_json::from_str(&text).unwrap();
            for (name, value) in given.as_object().unwrap() {
                let implied = ["system", "measurement_method"].contains(&name.as_str());
                if value.is_string() && !implied {
                    assert_eq!(written[name], *value, "{name} of {text}");
                }
                assert!(implied || written.get(name).is_some(), "{name} of {text}");
            }
            seen.0 += 1;
            // What the record has of it says as much.
            let upload = check_decode(PayloadKind::Omh, text.as_bytes(), &context);
            if body.statistic.is_none() {
                assert_eq!(of_readings(&upload.readings), written);
                seen.1 += 1;
            }
        }
    }
    assert_eq!(seen, (26, 15));
}

fn word(choices: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop::sample::select(choices).prop_map(String::from))
}

fn measurement() -> impl Strategy<Value = (Vec<(Metric, f64)>, Context)> {
    let metrics = [
        Metric::HeartRate,
        Metric::RespiratoryRate,
        Metric::BodyTemperature,
        Metric::BodyWeight,
    ];
    let plain = prop::sample::select(metrics.to_vec())
        .prop_flat_map(|metric| (Just(metric), metric.plausible()))
        .prop_map(|number| (vec![number], Context::default()));
    let pressure = (
        120.0..300.0f64,
        20.0..119.0f64,
        word(&["sitting", "standing"]),
        word(&["left upper arm", "right wrist"]),
        word(&["at rest", "after exercise"]),
    )
        .prop_map(|(systolic, diastolic, posture, site, activity)| {
            let said = Circumstances {
                posture,
                site,
                activity,
                ..Circumstances::default()
            };
            let context = Context {
                circumstances: (said != Circumstances::default()).then(|| Box::new(said)),
                ..Context::default()
            };
            (
                vec![(Metric::Systolic, systolic), (Metric::Diastolic, diastolic)],
                context,
            )
        });
    let glucose = (
        Metric::Glucose.plausible(),
        word(&["capillary_blood", "interstitial"]),
        word(&["before", "after", "fasting"]),
        word(&["on waking"]),
    )
        .prop_map(|(value, sample, meal, sleep)| {
            let said = Circumstances {
                sleep,
                ..Circumstances::default()
            };
            let context = Context {
                sample,
                meal,
                circumstances: (said != Circumstances::default()).then(|| Box::new(said)),
                ..Context::default()
            };
            (vec![(Metric::Glucose, value)], context)
        });
    let oxygen = (40.0..=100.0f64, prop::option::of(0.0..=80.0f64)).prop_map(|(saturation, flow)| {
        let mut values = vec![(Metric::Spo2, saturation)];
        values.extend(flow.map(|flow| (Metric::SupplementalOxygen, flow)));
        (values, Context::default())
    });
    prop_oneof![plain, pressure, glucose, oxygen]
}

proptest! {
    #[test]
    fn what_is_written_is_read((values, said) in measurement(), seconds in 0i64..86_400, lasts in 0i64..300) {
        let end = context().received_at - chrono::TimeDelta::seconds(seconds);
        let time = match lasts {
            0 => TimeFrame::At(end),
            lasts => TimeFrame::Interval(end - chrono::TimeDelta::seconds(lasts), end),
        };
        let written = document(&values, &time, &said);
        let upload = check_decode(PayloadKind::Omh, written.to_string().as_bytes(), &context());
        prop_assert_eq!(&upload.rejected, &[], "{}", &written);
        let read: Vec<_> = upload.readings.iter().map(|reading| (reading.metric, reading.value)).collect();
        prop_assert_eq!(&read, &values);
        prop_assert_eq!(of_readings(&upload.readings), written);
    }

    /// Any field left out of a document, or of another type, refuses it or leaves out no more than it said.
    #[test]
    fn a_broken_document_is_no_other_reading((values, said) in measurement(), which in any::<prop::sample::Index>(), broken in prop::sample::select(vec![Json::Null, json!(7), json!("x"), json!([]), json!({})])) {
        let at = TimeFrame::At(context().received_at);
        let mut written = document(&values, &at, &said);
        let names: Vec<String> = written.as_object().unwrap().keys().cloned().collect();
        written[which.get(&names).as_str()] = broken;
        let upload = check_decode(PayloadKind::Omh, written.to_string().as_bytes(), &context());
        for reading in &upload.readings {
            prop_assert!(values.contains(&(reading.metric, reading.value)));
        }
    }

    #[test]
    fn steps_are_of_an_interval(count in 0u32..=100_000, minutes in 1i64..1_440) {
        let end = context().received_at;
        let time = TimeFrame::Interval(end - chrono::TimeDelta::minutes(minutes), end);
        let written = document(&[(Metric::Steps, count.into())], &time, &Context::default());
        let body = parse(&written.to_string());
        prop_assert_eq!(body.kind, Kind::StepCount);
        let upload = check_decode(PayloadKind::Omh, written.to_string().as_bytes(), &context());
        prop_assert_eq!(of_readings(&upload.readings), written);
    }
}
