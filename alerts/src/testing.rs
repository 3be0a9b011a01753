//! Rules, readings and a shorthand for effects, for this crate's tests.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde_json::{Value, json};

use crate::{Definition, Effect, Observation, Point, Programme, RuleState, step};

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

pub(crate) fn glucose_very_low() -> Definition {
    of_programme("diabetes", "glucose-very-low")
}

pub(crate) fn glucose_low() -> Definition {
    of_programme("diabetes", "glucose-low")
}

pub(crate) fn blood_pressure_crisis() -> Definition {
    of_programme("hypertension", "blood-pressure-crisis")
}

/// Judges readings one after the other, and compares the shorthand of what each does.
pub(crate) fn check(rule: &Definition, series: &[(Observation, &str)]) {
    let mut state = RuleState::default();
    for (index, (observation, expected)) in series.iter().enumerate() {
        let effects;
        (state, effects) = step(rule, state, observation);
        assert_eq!(shorthand(&effects), *expected, "reading {index}: {observation:?}");
    }
}

/// The effects of one reading in a line such as `continue 5=2.8 worst 0=2.7; became current 5=2.8`, where
/// `5=2.8` is the value 2.8 measured at 08:05.
pub(crate) fn shorthand(effects: &[Effect]) -> String {
    let at = |at: DateTime<Utc>| (at - minute(0)).num_minutes();
    let p = |point: &Point| format!("{}={}", at(point.at), point.value);
    let texts = effects.iter().map(|effect| match effect {
        Effect::Raise {
            onset,
            point,
            worst,
            late,
        } => {
            let late = if *late { " late" } else { "" };
            format!("raise{late} {} by {} worst {}", p(onset), p(point), p(worst))
        }
        Effect::Continue { latest, worst } => format!("continue {} worst {}", p(latest), p(worst)),
        Effect::BecameCurrent { point } => format!("became current {}", p(point)),
        Effect::Clear { at } => format!("clear {}", p(at)),
        Effect::Late { onset, latest, worst } => {
            format!("late {} to {} worst {}", p(onset), p(latest), p(worst))
        }
        Effect::LateContinue {
            onset_at,
            latest,
            worst,
        } => {
            format!("late of {} to {} worst {}", at(*onset_at), p(latest), p(worst))
        }
    });
    texts.collect::<Vec<_>>().join("; ")
}
