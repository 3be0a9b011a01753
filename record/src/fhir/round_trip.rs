//! Readings written as Observations and read again.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Interpretation, Observed, Status, observations};
use crate::decode::DecodeContext;
use crate::decode::properties::{check_decode, context, samples};
use crate::{Circumstances, Context, DeviceId, Metric, PatientId, PayloadKind, Reading};

fn written(readings: &[Reading]) -> Vec<Json> {
    let observed: Vec<_> = readings
        .iter()
        .map(|reading| Observed {
            patient: PatientId(1001),
            device: DeviceId(17),
            reading,
            received_at: context().received_at,
            interpretation: Some(Interpretation::High),
            status: Status::Final,
        })
        .collect();
    observations(&observed)
}

/// What comes back, of all Observations in one Bundle.
fn back(resources: &[Json]) -> Vec<Reading> {
    let entries: Vec<_> = resources
        .iter()
        .map(|resource| json!({"resource": resource}))
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
    let context = DecodeContext {
        retention: TimeDelta::days(7_305),
        ..context()
    };
    let upload = check_decode(PayloadKind::Fhir, bundle.to_string().as_bytes(), &context);
    assert_eq!(upload.rejected, [], "{bundle}");
    upload.readings
}

fn sorted(mut readings: Vec<Reading>) -> Vec<Reading> {
    readings.sort_by_key(|reading| (reading.at, reading.metric));
    readings
}

#[test]
fn what_was_read_of_a_sample_comes_back() {
    let Some(folder) = samples() else { return };
    let context = DecodeContext {
        retention: TimeDelta::days(7_305),
        ..context()
    };
    let mut count = 0;
    for file in std::fs::read_dir(folder.join("phd")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let json: Json = serde_json::from_str(&text).unwrap();
        let upload = check_decode(PayloadKind::Fhir, json.to_string().as_bytes(), &context);
        count += upload.readings.len();
        if !upload.readings.is_empty() {
            assert_eq!(back(&written(&upload.readings)), sorted(upload.readings));
        }
    }
    assert_eq!(count, 24 + 2 + 1 + 1 + 1 + 1);
}

fn word(choices: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop::sample::select(choices).prop_map(String::from))
}

fn circumstances() -> impl Strategy<Value = Option<Box<Circumstances>>> {
    (
        word(&["sitting", "lying down"]),
        word(&["left upper arm", "oral"]),
        word(&["at rest"]),
        word(&["on waking"]),
        word(&["before lunch"]),
        word(&["nasal cannula"]),
    )
        .prop_map(|(posture, site, activity, sleep, meal, oxygen_delivery)| {
            let said = Circumstances {
                posture,
                site,
                activity,
                sleep,
                meal,
                oxygen_delivery,
            };
            (said != Circumstances::default()).then(|| Box::new(said))
        })
}

/// The readings of one measurement at this time.
fn measurement(at: DateTime<Utc>) -> impl Strategy<Value = Vec<Reading>> {
    let cautions = prop::sample::subsequence(vec!["body_moved", "cuff_loose", "poor_signal"], 0..=3);
    let kinds = prop::sample::select(vec![0, 1, 2]);
    let said = (cautions, circumstances(), prop::option::of(1i64..300));
    let glucose = (
        word(&[
            "capillary_blood",
            "venous_plasma",
            "interstitial",
            "blood",
            "plasma",
        ]),
        word(&["before", "after", "fasting", "casual", "bedtime"]),
    );
    let numbers = (
        any::<prop::sample::Index>(),
        0.0..1.0f64,
        0.0..1.0f64,
        any::<Option<bool>>(),
    );
    (kinds, said, glucose, numbers).prop_map(
        move |(kind, (cautions, circumstances, lasts), (sample, meal), (which, one, other, irregular))| {
            let cautions: Vec<String> = cautions.into_iter().map(Into::into).collect();
            let from = lasts.map(|seconds| at - TimeDelta::seconds(seconds));
            let base = Context {
                from,
                cautions,
                circumstances,
                ..Context::default()
            };
            let reading = |metric: Metric, part: f64, context: &Context| {
                let (low, high) = (*metric.plausible().start(), *metric.plausible().end());
                let value = low + (high - low) * part;
                let whole = [Metric::Steps, Metric::Consciousness, Metric::IrregularPulse];
                Reading {
                    metric,
                    at,
                    value: if whole.contains(&metric) {
                        value.round()
                    } else {
                        value
                    },
                    context: context.clone(),
                }
            };
            match kind {
                0 => {
                    let pressure = |metric, value| Reading {
                        value,
                        ..reading(metric, 0.0, &base)
                    };
                    let mut all = vec![
                        pressure(Metric::Systolic, 140.0 + 100.0 * one),
                        pressure(Metric::Diastolic, 30.0 + 100.0 * other),
                    ];
                    all.extend(
                        irregular
                            .map(|seen| reading(Metric::IrregularPulse, f64::from(u8::from(seen)), &base)),
                    );
                    all
                }
                1 => {
                    let context = Context { sample, meal, ..base };
                    vec![reading(Metric::Glucose, one, &context)]
                }
                _ => {
                    let singles = [
                        Metric::HeartRate,
                        Metric::Spo2,
                        Metric::RespiratoryRate,
                        Metric::BodyTemperature,
                        Metric::BodyWeight,
                        Metric::Steps,
                        Metric::Consciousness,
                        Metric::SupplementalOxygen,
                        Metric::IrregularPulse,
                    ];
                    let metric = singles[which.index(singles.len())];
                    let mut context = base;
                    if metric == Metric::Steps && context.from.is_none() {
                        context.from = Some(at - TimeDelta::hours(1));
                    }
                    vec![reading(metric, one, &context)]
                }
            }
        },
    )
}

proptest! {
    #[test]
    fn readings_come_back(parts in prop::collection::vec(measurement(context().received_at), 1..8)) {
        // Each measurement at a time of its own.
        let mut readings = Vec::new();
        for (index, part) in parts.into_iter().enumerate() {
            let earlier = TimeDelta::microseconds(i64::try_from(index).unwrap() * 1_000_000_007);
            readings.extend(part.into_iter().map(|reading| Reading {
                at: reading.at - earlier,
                context: Context { from: reading.context.from.map(|from| from - earlier), ..reading.context.clone() },
                ..reading
            }));
        }
        let resources = written(&readings);
        let ids: std::collections::HashSet<_> = resources.iter().map(|resource| resource["id"].as_str().unwrap()).collect();
        prop_assert_eq!(ids.len(), resources.len());
        prop_assert_eq!(sorted(back(&resources)), sorted(readings));
    }

    /// An element that is lost or of another type refuses the Observation, or leaves the reading as it was.
    #[test]
    fn a_broken_observation_is_no_other_reading(
        part in measurement(context().received_at),
        which in any::<prop::sample::Index>(),
        broken in prop::sample::select(vec![Json::Null, json!(7), json!("x"), json!([]), json!({}), json!([{}])]),
    ) {
        let mut resource = written(&part).remove(0);
        let names: Vec<String> = resource.as_object().unwrap().keys().cloned().collect();
        resource[which.get(&names).as_str()] = broken;
        let upload = check_decode(PayloadKind::Fhir, resource.to_string().as_bytes(), &context());
        for reading in &upload.readings {
            let same = |one: &&Reading| (one.metric, one.at, one.value) == (reading.metric, reading.at, reading.value);
            prop_assert!(part.iter().any(|one| same(&one)), "{reading:?}");
        }
    }
}

#[test]
fn what_an_observation_looks_like() {
    let at: DateTime<Utc> = "2026-11-22T08:01:00Z".parse().unwrap();
    let reading = |metric, value| Reading {
        metric,
        at,
        value,
        context: Context::default(),
    };
    let readings = [reading(Metric::Diastolic, 84.0), reading(Metric::HeartRate, 71.0)];
    let mut observed: Vec<_> = readings
        .iter()
        .map(|reading| Observed {
            patient: PatientId(1001),
            device: DeviceId(17),
            reading,
            received_at: at + TimeDelta::seconds(3),
            interpretation: None,
            status: Status::Final,
        })
        .collect();
    observed[1].status = Status::EnteredInError;
    let resources = observations(&observed);
    let lines: Vec<_> = resources.iter().map(Json::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"category":[{"coding":[{"code":"vital-signs","system":"http://terminology.hl7.org/CodeSystem/observation-category"}]}],"code":{"coding":[{"code":"85354-9","display":"Blood pressure panel with all children optional","system":"http://loinc.org"},{"code":"75367002","display":"Blood pressure","system":"http://snomed.info/sct"}],"text":"Blood pressure"},"component":[{"code":{"coding":[{"code":"8480-6","display":"Systolic blood pressure","system":"http://loinc.org"},{"code":"72313002","display":"Systolic arterial pressure","system":"http://snomed.info/sct"}],"text":"Systolic blood pressure"},"dataAbsentReason":{"coding":[{"code":"unknown","display":"Unknown","system":"http://terminology.hl7.org/CodeSystem/data-absent-reason"}]}},{"code":{"coding":[{"code":"8462-4","display":"Diastolic blood pressure","system":"http://loinc.org"},{"code":"1091811000000102","display":"Diastolic arterial pressure","system":"http://snomed.info/sct"}],"text":"Diastolic blood pressure"},"valueQuantity":{"code":"mm[Hg]","system":"http://unitsofmeasure.org","unit":"mm[Hg]","value":84.0}}],"device":{"reference":"Device/17"},"effectiveDateTime":"2026-11-22T08:01:00Z","id":"1001-17-6-1795334460000000","issued":"2026-11-22T08:01:03Z","resourceType":"Observation","status":"final","subject":{"reference":"Patient/1001"}}
    {"category":[{"coding":[{"code":"vital-signs","system":"http://terminology.hl7.org/CodeSystem/observation-category"}]}],"code":{"coding":[{"code":"8867-4","display":"Heart rate","system":"http://loinc.org"},{"code":"364075005","display":"Heart rate","system":"http://snomed.info/sct"}],"text":"Heart rate"},"device":{"reference":"Device/17"},"effectiveDateTime":"2026-11-22T08:01:00Z","id":"1001-17-1-1795334460000000","issued":"2026-11-22T08:01:03Z","resourceType":"Observation","status":"entered-in-error","subject":{"reference":"Patient/1001"},"valueQuantity":{"code":"/min","system":"http://unitsofmeasure.org","unit":"/min","value":71.0}}
    "#);
}
