//! Rules, readings and their episodes, for this crate's tests.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric};
use serde_json::{Value, json};

use crate::{Definition, Episode, Memory, Observation, Outcome, Point, Programme, Rule, moments, step};

/// A minute of the morning of the tests: 08:00 and so many minutes, UTC.
pub(crate) fn minute(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_795_334_400) + TimeDelta::minutes(minutes)
}

pub(crate) fn point(metric: Metric, minutes: i64, value: f64) -> Point {
    Point {
        metric,
        at: minute(minutes),
        value,
    }
}

/// A reading that arrives so many minutes after its measurement.
pub(crate) fn delayed(metric: Metric, minutes: i64, value: f64, delay: i64) -> Observation {
    Observation {
        metric,
        at: minute(minutes),
        value,
        device: DeviceId(1),
        received_at: minute(minutes + delay),
    }
}

/// A rule with this condition.
pub(crate) fn rule(condition: Value) -> Definition {
    let json = json!({
        "name": "Test", "severity": "low", "condition": condition, "guidance": "None.", "source": "A test.",
    });
    Definition::parse(&json).unwrap()
}

fn of_programme(programme: &str, code: &str) -> Definition {
    let rules = &Programme::named(programme).unwrap().rules;
    rules
        .iter()
        .find(|rule| rule.code == code)
        .unwrap()
        .definition
        .clone()
}

pub(crate) fn blood_pressure_crisis() -> Definition {
    of_programme("hypertension", "blood-pressure-crisis")
}

/// An episode as tables state it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    pub(crate) onset: Point,
    pub(crate) latest: Point,
    pub(crate) worst: Point,
    /// Of the latest reading.
    pub(crate) figure: Option<f64>,
    pub(crate) worst_figure: Option<f64>,
    pub(crate) detail: Option<Value>,
    pub(crate) cleared_at: Option<DateTime<Utc>>,
}

/// The episodes of a rule with this condition, of readings that arrive as they are measured.
pub(crate) fn judge(condition: Value, readings: &[(Metric, DateTime<Utc>, f64)]) -> Vec<Judged> {
    let observation = |(metric, at, value): &(Metric, DateTime<Utc>, f64)| Observation {
        metric: *metric,
        at: *at,
        value: *value,
        device: DeviceId(1),
        received_at: *at,
    };
    let observations: Vec<_> = readings.iter().map(observation).collect();
    let episodes = episodes(&rule(condition), observations);
    episodes
        .into_iter()
        .map(|episode| Judged {
            onset: episode.onset.point(),
            latest: episode.latest.point(),
            worst: episode.worst.point(),
            figure: episode.latest.figure,
            worst_figure: episode.worst.figure,
            detail: episode.detail,
            cleared_at: episode.cleared_at,
        })
        .collect()
}

/// The episodes of a rule, of readings in any order.
pub(crate) fn episodes(definition: &Definition, mut observations: Vec<Observation>) -> Vec<Episode> {
    observations.sort_by_key(Observation::key);
    let mut memory = Memory::default();
    let mut episodes = Vec::new();
    let rule = Rule {
        version: 1,
        definition,
    };
    for moment in moments(&observations) {
        if let Outcome::Cleared(episode) = step(rule, &mut memory, moment, true) {
            episodes.push(episode);
        }
    }
    episodes.extend(memory.open().cloned());
    episodes
}
