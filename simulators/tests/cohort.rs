//! The patients of a demo, judged by the rules of their programmes: what happens to them is caught, and the rest
//! pages rarely.

#![cfg(test)]

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::{
    Condition, Definition, Episode, Memory, Observation, Outcome, Programme, Rule, Severity, moments, step,
};
use homeward_record::DeviceId;
use homeward_simulators::fleet::FleetConfig;
use homeward_simulators::physiology::Device;
use homeward_simulators::{DETERIORATIONS, Deterioration, profile};

/// Enough to have every profile and every deterioration.
const PATIENTS: usize = 60;
const DAYS: i64 = 14;
/// The number of the first patient of a fresh record.
const FIRST: u64 = 1001;

/// An alert of a patient.
struct Alert {
    place: usize,
    code: &'static str,
    severity: Severity,
    episode: Episode,
}

fn cohort(from: DateTime<Utc>, to: DateTime<Utc>) -> FleetConfig {
    let broker = "127.0.0.1:1".parse().unwrap();
    let numbers: Vec<u64> = (FIRST..).take(PATIENTS).collect();
    FleetConfig::new(broker, Vec::new(), from, to).with_cohort(&numbers)
}

/// All that a patient's devices measure, in the order in which rules judge it.
fn observations(config: &FleetConfig, place: usize) -> Vec<Observation> {
    let patient = config.patient(FIRST + place as u64);
    let mut observations = Vec::new();
    for (device, kind) in (1..).zip(profile(place).devices) {
        for measurement in patient.readings(Device::new(*kind), config.from, config.to) {
            observations.extend(measurement.readings().into_iter().map(|reading| Observation {
                metric: reading.metric,
                at: reading.at,
                value: reading.value,
                device: DeviceId(device),
                received_at: reading.at,
            }));
        }
    }
    observations.sort_by_key(Observation::key);
    observations
}

fn episodes(definition: &Definition, observations: &[Observation]) -> Vec<Episode> {
    let metrics = definition.metrics();
    let own: Vec<_> = observations
        .iter()
        .filter(|o| metrics.contains(&o.metric))
        .copied()
        .collect();
    let rule = Rule {
        version: 1,
        definition,
    };
    let mut memory = Memory::default();
    let mut episodes = Vec::new();
    let mut open: Option<Episode> = None;
    for moment in moments(&own) {
        match step(rule, &mut memory, moment, true) {
            Outcome::Cleared(episode) => {
                episodes.push(episode);
                open = None;
            }
            Outcome::Raised | Outcome::Continued => open = memory.open().cloned(),
            Outcome::Quiet => {}
        }
    }
    episodes.extend(open);
    episodes
}

fn alerts(config: &FleetConfig) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for place in 0..PATIENTS {
        let observations = observations(config, place);
        // A later programme replaces the rules that an earlier one has of the same code.
        let mut plan = BTreeMap::new();
        for name in profile(place).programmes {
            let programme = Programme::named(name).unwrap_or_else(|| panic!("there is no programme {name}"));
            plan.extend(
                programme
                    .rules
                    .iter()
                    .map(|rule| (rule.code.as_str(), &rule.definition)),
            );
        }
        plan.retain(|_, definition| !matches!(definition.condition, Condition::Silence(_)));
        for (code, definition) in plan {
            alerts.extend(
                episodes(definition, &observations)
                    .into_iter()
                    .map(|episode| Alert {
                        place,
                        code,
                        severity: definition.severity,
                        episode,
                    }),
            );
        }
    }
    alerts
}

#[test]
fn what_happens_to_the_patients_of_a_demo_is_caught_and_the_rest_pages_rarely() {
    // At night and in the afternoon, in different weeks.
    for end in ["2026-11-23T01:20:00Z", "2026-12-16T14:45:00Z"] {
        let to: DateTime<Utc> = end.parse().unwrap();
        let from = to - TimeDelta::days(DAYS);
        let alerts = alerts(&cohort(from, to));

        let mut counts: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
        for alert in &alerts {
            *counts.entry((alert.severity, alert.code)).or_default() += 1;
        }
        let load = alerts.len() as f64 / (PATIENTS as f64 * DAYS as f64);
        println!("until {end}: {load:.3} alerts a patient and day; {counts:#?}");
        assert!((0.1..=1.0).contains(&load), "{load} alerts a patient and day");

        let mut happened = 0;
        for deterioration in Deterioration::in_period(PATIENTS, from, to) {
            happened += 1;
            let (begin, end) = deterioration.span(to);
            for code in deterioration.caught_by {
                let caught = alerts.iter().any(|alert| {
                    let when = alert.episode.met_at;
                    alert.place == deterioration.place && alert.code == *code && begin <= when && when <= end
                });
                assert!(caught, "{code} for {deterioration:?}");
            }
        }
        assert_eq!(
            happened,
            DETERIORATIONS.len() - 1,
            "all but the silence, which takes a timer"
        );
    }
}
