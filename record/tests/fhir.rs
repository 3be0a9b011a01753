//! Every resource that is written, judged by two validators of FHIR R4 that share no code with it or each
//! other: the npm package `fhir` (which knows the value sets) and the Python package `fhirkit` (which knows
//! every element and the spelling of every primitive). `scripts/test-tools.sh` installs them.
#![cfg(test)]

mod validators;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_record::fhir::*;
use homeward_record::{
    Circumstances, Context, DeviceId, EpisodeId, Metric, NhsNumber, PatientId, Reading, RuleId,
};
use serde_json::{Value, json};

use validators::{Validator, faults};

const PATIENT: PatientId = PatientId(1001);
const BASE: &str = "https://homeward.example/fhir/R4";

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_334_460, 123_456_000).unwrap() + TimeDelta::minutes(minute)
}

/// A reading of each metric, of some with all that can be said of it.
fn readings() -> Vec<Reading> {
    let mut readings: Vec<_> = Metric::ALL
        .into_iter()
        .map(|metric| Reading {
            metric,
            at: at(0),
            value: match metric {
                Metric::Diastolic => 84.0,
                Metric::Glucose => 6.1,
                Metric::IrregularPulse | Metric::Consciousness => 1.0,
                Metric::BodyTemperature => 36.6,
                _ => 97.0,
            },
            context: Context {
                from: (metric == Metric::Steps).then(|| at(-60)),
                ..Context::default()
            },
        })
        .collect();
    let said = Circumstances {
        posture: Some("sitting".into()),
        site: Some("left upper arm".into()),
        activity: Some("at rest".into()),
        sleep: Some("on waking".into()),
        meal: Some("before lunch".into()),
        oxygen_delivery: Some("nasal cannula".into()),
    };
    // A pressure without its other half, and glucose of all samples.
    let lone = |metric, value, minute, context| Reading {
        metric,
        at: at(minute),
        value,
        context,
    };
    let context = Context {
        cautions: vec!["body_moved".into(), "cuff_loose".into()],
        circumstances: Some(Box::new(said)),
        ..Context::default()
    };
    readings.push(lone(Metric::Systolic, 120.0, 1, context.clone()));
    readings.push(lone(Metric::IrregularPulse, 0.0, 2, context));
    let samples = ["interstitial", "capillary_blood", "venous_plasma", "blood"];
    for (minute, sample) in (3..).zip(samples) {
        let context = Context {
            sample: Some(sample.into()),
            meal: Some("fasting".into()),
            ..Context::default()
        };
        readings.push(lone(Metric::Glucose, 3.2, minute, context));
    }
    readings
}

fn all_observations() -> Vec<Value> {
    let readings = readings();
    let interpretations = [
        None,
        Some(Interpretation::Normal),
        Some(Interpretation::High),
        Some(Interpretation::CriticallyHigh),
        Some(Interpretation::Low),
        Some(Interpretation::CriticallyLow),
    ];
    let observed: Vec<_> = readings
        .iter()
        .zip(interpretations.iter().cycle())
        .map(|(reading, interpretation)| Observed {
            patient: PATIENT,
            device: DeviceId(17),
            reading,
            received_at: at(9),
            interpretation: *interpretation,
            status: match reading.metric {
                Metric::BodyWeight => Status::EnteredInError,
                _ => Status::Final,
            },
        })
        .collect();
    let mut resources = observations(&observed);
    resources.extend(kept_observations(&observed));
    let from = ["1001-17-5-1795334460123456".parse().unwrap()];
    for (over, mean) in [(true, (Some(134.5), Some(84.25))), (false, (None, Some(84.25)))] {
        resources.push(home_average(&HomeAverage {
            patient: PATIENT,
            period: (at(-10_000), at(0)),
            over,
            mean,
            from: &from,
            sufficiency: "Six days of at least two readings each: enough.",
        }));
    }
    for (scores, scale_two) in [
        ([Some(0); 7], false),
        ([Some(3), None, Some(2), Some(0), Some(1), None, Some(0)], true),
    ] {
        resources.push(news2(&News2Score {
            patient: PATIENT,
            at: at(0),
            scores,
            scale_two,
            from: if scale_two { &from } else { &[] },
        }));
    }
    resources
}

fn people_and_devices() -> Vec<Value> {
    let nhs_number: NhsNumber = "9990000018".parse().unwrap();
    let of = |verification, practice| {
        patient(&Patient {
            id: PATIENT,
            nhs_number: &nhs_number,
            verification,
            name: "Ada Example",
            born: NaiveDate::from_ymd_opt(1956, 3, 1).unwrap(),
            practice,
        })
    };
    let mut resources = vec![
        this_software("0.1.0"),
        of(Verification::NotTraced, None),
        of(Verification::Verified, Some((101, "Green Lane Surgery"))),
    ];
    for (patient, revoked_at) in [(Some(PATIENT), None), (None, Some(at(5)))] {
        let cuff = Device {
            id: DeviceId(17),
            kind: "cuff",
            patient,
            revoked_at,
        };
        resources.push(device(&cuff));
        let mut known = device(&cuff);
        let identifier = (DEVICE_IDENTIFIER.to_owned(), "0b3c8f0e.17".to_owned());
        keep_device(&mut known, &[identifier], -60);
        resources.push(known);
        resources.push(device_use(&DeviceUse {
            patient: PATIENT,
            device: cuff.id,
            from: at(0),
            until: revoked_at,
        }));
        resources.extend(Metric::ALL.map(|metric| device_metric(&cuff, metric)));
    }
    resources
}

fn episodes() -> Vec<Value> {
    let evidence = ["1001-17-7-1795334460123456".to_owned()];
    let actions = [EpisodeAction {
        what: "acknowledged",
        by: "Nurse Example",
        at: at(3),
    }];
    let states = [
        (EpisodeState::Open, Urgency::High),
        (EpisodeState::Closed, Urgency::Medium),
        (EpisodeState::Withdrawn, Urgency::Low),
        (EpisodeState::Open, Urgency::Info),
    ];
    let mut resources = Vec::new();
    for (state, urgency) in states {
        let told = state == EpisodeState::Closed;
        let episode = Episode {
            id: EpisodeId(5),
            patient: PATIENT,
            code: "glucose-very-low",
            sentence: "Glucose was below 3.0 mmol/L.",
            urgency,
            state,
            onset_at: at(0),
            ended_at: told.then(|| at(30)),
            evidence: if told { &evidence } else { &[] },
            actions: if told { &actions } else { &[] },
        };
        resources.extend([flag(&episode), detected_issue(&episode)]);
    }
    resources
}

fn care() -> Vec<Value> {
    let rules = [PlannedRule {
        id: RuleId(9),
        sentence: "Glucose below 3.0 mmol/L is told at once.",
        since: at(0),
        until: Some(at(10_000)),
    }];
    let mut resources = Vec::new();
    for rules in [&rules[..], &[]] {
        resources.push(care_plan(&CarePlan {
            patient: PATIENT,
            since: at(0),
            rules,
        }));
    }
    for (usage, permitted, until) in [
        (DataUse::Research, false, None),
        (DataUse::Sharing(101, "Green Lane Surgery"), true, Some(at(7))),
    ] {
        resources.push(consent(&Consent {
            id: "sharing-3",
            patient: PATIENT,
            usage,
            permitted,
            from: at(0),
            until,
            is_over: until.is_some(),
            recorded_at: at(1),
            basis: "the patient's own choice",
        }));
    }
    resources
}

fn audit() -> Vec<Value> {
    let reasons = [
        (AccessKind::Read, AccessReason::Care),
        (AccessKind::Create, AccessReason::Own),
        (
            AccessKind::Update,
            AccessReason::BreakGlass("unconscious on arrival"),
        ),
        (AccessKind::Delete, AccessReason::Administration),
        (
            AccessKind::Read,
            AccessReason::Research("how pulses change with age"),
        ),
    ];
    let mut resources = Vec::new();
    for (kind, reason) in reasons {
        let full = kind == AccessKind::Read;
        resources.push(audit_event(&Access {
            id: 12,
            at: at(0),
            kind,
            who: "Nurse Example",
            role: "care team member",
            organisation: full.then_some("Community team east"),
            patient: full.then_some(PATIENT),
            what: "trends of glucose",
            reason,
            from_address: full.then_some("192.0.2.7"),
            allowed: full,
        }));
    }
    let targets = ["Observation/1001-17-7-1795334460123456".to_owned()];
    for source in [
        Source::Device(DeviceId(17)),
        Source::Person("Nurse Example"),
        Source::Import("another record"),
    ] {
        for activity in [
            Activity::Created,
            Activity::Changed,
            Activity::Ended,
            Activity::Nullified,
        ] {
            resources.push(provenance(&Origin {
                id: "1001-17",
                targets: &targets,
                recorded_at: at(0),
                activity,
                reason: (activity == Activity::Nullified).then_some("the neighbour's"),
                sources: &[source],
            }));
        }
    }
    resources
}

fn server() -> Vec<Value> {
    let found = all_observations();
    let people = people_and_devices();
    let served = [
        ServedType {
            name: "Observation",
            interactions: &["read", "search-type", "create"],
            parameters: &[("patient", "reference"), ("code", "token"), ("date", "date")],
            operations: &[(
                "lastn",
                "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
            )],
            includes: &["Observation:device"],
        },
        ServedType {
            name: "Flag",
            interactions: &["read"],
            parameters: &[],
            operations: &[],
            includes: &[],
        },
    ];
    vec![
        searchset(Page {
            total: Some(found.len() as u64),
            links: &[
                ("self", format!("{BASE}/Observation?patient=1001")),
                ("next", format!("{BASE}/Observation?after=x")),
            ],
            base: BASE,
            matches: found.clone(),
            included: people[3..4].to_vec(),
        }),
        searchset(Page {
            total: None,
            links: &[],
            base: BASE,
            matches: Vec::new(),
            included: Vec::new(),
        }),
        collection(BASE, found.clone()),
        passport(Passport {
            uuid: "0b3c8f0e-5d1f-4a53-9d0e-1f1f6a2f7c11",
            patient: PATIENT,
            at: at(20),
            author: "Homeward",
            base: BASE,
            sections: vec![
                ("Patient", people[1..2].to_vec()),
                ("Readings", found),
                ("Alerts", Vec::new()),
            ],
            continues: Some("6d1b4a52-7f0e-4f5c-9f30-2f7e1c0b8a10"),
            next: Some(format!("{BASE}/Patient/1001/$everything?_after=x")),
        }),
        capability_statement(&Capabilities {
            version: "0.1.0",
            date: at(0),
            base: BASE,
            resources: &served,
        }),
        operation_outcome(&[
            Issue {
                code: "not-found",
                text: "There is no such patient.",
                place: None,
            },
            Issue {
                code: "invalid",
                text: "has to be a date",
                place: Some("Observation.effectiveDateTime"),
            },
        ]),
        figures(),
        statistics(&[]),
    ]
}

/// Figures over the readings of all metrics, of some by a code that was asked for.
fn figures() -> Value {
    let asked = coded(None, Some("99504-3")).coding;
    let figures =
        Statistic::ALL.map(|statistic| (statistic, (statistic != Statistic::StdDev).then_some(6.5)));
    let of = Metric::ALL.map(|metric| Statistics {
        patient: PATIENT,
        metric,
        coding: asked.as_ref().filter(|_| metric == Metric::Glucose),
        period: (at(-60), at(0)),
        figures: &figures,
    });
    statistics(&of)
}

fn all() -> Vec<Value> {
    [
        all_observations(),
        people_and_devices(),
        episodes(),
        care(),
        audit(),
        server(),
    ]
    .concat()
}

#[test]
fn two_validators_find_nothing_wrong_with_what_is_written() {
    let resources = all();
    let types: BTreeSet<_> = resources
        .iter()
        .map(|resource| resource["resourceType"].as_str().unwrap())
        .collect();
    let expected = [
        "AuditEvent",
        "Bundle",
        "CapabilityStatement",
        "CarePlan",
        "Consent",
        "DetectedIssue",
        "Device",
        "DeviceMetric",
        "DeviceUseStatement",
        "Flag",
        "Observation",
        "OperationOutcome",
        "Parameters",
        "Patient",
        "Provenance",
    ];
    assert_eq!(types, BTreeSet::from(expected));
    for validator in [Validator::fhir(), Validator::fhirkit()] {
        assert_eq!(
            faults(&validator, &resources),
            "",
            "{}",
            validator.program.display()
        );
    }
}

#[test]
fn the_validators_would_find_a_fault() {
    let status = json!({"resourceType": "Observation", "status": "done", "code": {"text": "x"}});
    let lacking = json!({"resourceType": "Flag", "status": "active", "code": {"text": "x"}});
    let unknown =
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueQuanity": {}});
    let time = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "effectiveDateTime": "yesterday"});
    for (resource, knowing) in [
        (status, vec![Validator::fhir()]),
        (lacking, vec![Validator::fhir(), Validator::fhirkit()]),
        (unknown, vec![Validator::fhir(), Validator::fhirkit()]),
        (time, vec![Validator::fhir(), Validator::fhirkit()]),
    ] {
        for validator in knowing {
            let found = faults(&validator, std::slice::from_ref(&resource));
            assert_ne!(found, "", "{resource} by {}", validator.program.display());
        }
    }
}

#[test]
fn a_summary_is_no_reading_of_a_device() {
    use homeward_record::decode::{DecodeContext, decode};
    let summaries: Vec<_> = all_observations().into_iter().rev().take(3).collect();
    let context = DecodeContext {
        received_at: at(30),
        retention: TimeDelta::days(365),
        utc_offset: TimeDelta::zero(),
    };
    for summary in summaries {
        let payload = summary.to_string();
        let upload = decode(homeward_record::PayloadKind::Fhir, payload.as_bytes(), &context);
        assert_eq!(
            (upload.readings.len(), upload.rejected.len()),
            (0, 1),
            "{payload}"
        );
    }
}
