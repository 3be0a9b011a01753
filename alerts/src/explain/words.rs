//! Metrics and numbers as people say them.

use homeward_record::Metric;

use crate::{Bound, Limit, Side};

/// The metric at the beginning of a sentence.
pub(super) fn subject(metric: Metric) -> &'static str {
    match metric {
        Metric::HeartRate => "Heart rate",
        Metric::Spo2 => "Oxygen saturation",
        Metric::RespiratoryRate => "Respiratory rate",
        Metric::BodyTemperature => "Temperature",
        Metric::Systolic => "Systolic blood pressure",
        Metric::Diastolic => "Diastolic blood pressure",
        Metric::Glucose => "Glucose",
        Metric::Steps => "Activity",
        Metric::BodyWeight => "Weight",
        Metric::Consciousness => "Level of consciousness",
        Metric::SupplementalOxygen => "Supplemental oxygen",
        Metric::IrregularPulse => "Irregular pulse",
    }
}

/// The metric within a sentence.
pub(super) fn noun(metric: Metric) -> String {
    subject(metric).to_lowercase()
}

/// A value with its unit, rounded as the metric is usually told where that is `honest`, and less where not:
/// 2.96 is below 3.0, and "3.0" would not be.
pub(super) fn quantity(metric: Metric, value: f64, honest: impl Fn(f64) -> bool) -> String {
    let text = number(value, decimals(metric), honest);
    match (metric, state(metric, value)) {
        // What a cuff saw is no number to people.
        (Metric::IrregularPulse, Some(state)) => state.to_owned(),
        (_, Some(state)) => format!("{text} ({state})"),
        (_, None) => text + unit(metric),
    }
}

/// A value of which nothing may be rounded away, such as a limit, with its unit.
pub(super) fn exact(metric: Metric, value: f64) -> String {
    quantity(metric, value, |told| told == value)
}

/// [`exact`] without the unit.
pub(super) fn exact_number(metric: Metric, value: f64) -> String {
    number(value, decimals(metric), |told| told == value)
}

/// An amount by which a metric differs, with its unit.
pub(super) fn amount(metric: Metric, value: f64, honest: impl Fn(f64) -> bool) -> String {
    number(value, decimals(metric), honest) + unit(metric)
}

/// A bound, such as "at or above 180 mmHg".
pub(super) fn bound(metric: Metric, bound: Bound) -> String {
    format!("{} {}", beyond(bound), exact(metric, bound.value()))
}

/// Where a value breaches it.
pub(super) fn beyond(bound: Bound) -> &'static str {
    match bound {
        Bound::Below(_) => "below",
        Bound::AtMost(_) => "at or below",
        Bound::AtLeast(_) => "at or above",
        Bound::Above(_) => "above",
    }
}

/// What the worst value beyond a limit is.
pub(super) fn extreme(limit: &Limit) -> &'static str {
    match limit.bound.side() {
        Side::Low => "lowest",
        Side::High => "highest",
    }
}

/// A percentage, rounded to a whole one where that is `honest`.
pub(super) fn percent(value: f64, honest: impl Fn(f64) -> bool) -> String {
    number(value, 0, honest) + " %"
}

/// A number with the usual decimals, or with as many more as it takes to be `honest`.
pub(super) fn number(value: f64, usual: usize, honest: impl Fn(f64) -> bool) -> String {
    /// What no reading has, and would take more digits than anybody reads.
    const MOST: f64 = 1e9;
    const LEAST: f64 = 1e-6;
    /// What the record keeps of a converted value.
    const DECIMALS: usize = 6;
    if value.abs() < MOST {
        let rounded = (usual..=DECIMALS).map(|decimals| format!("{value:.decimals$}"));
        if let Some(text) = rounded.into_iter().find(|text| text.parse().is_ok_and(&honest)) {
            return text;
        }
    }
    match value.abs() {
        MOST.. => format!("{value:.3e}"),
        LEAST..MOST => format!("{value}"),
        _ => format!("{value:e}"),
    }
}

/// A count with its thousands apart: 3,980.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "a, b and c".
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn decimals(metric: Metric) -> usize {
    match metric {
        Metric::BodyTemperature | Metric::Glucose | Metric::BodyWeight | Metric::SupplementalOxygen => 1,
        _ => 0,
    }
}

pub(super) fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::HeartRate => " beats a minute",
        Metric::Spo2 => " %",
        Metric::RespiratoryRate => " breaths a minute",
        Metric::BodyTemperature => " °C",
        Metric::Systolic | Metric::Diastolic => " mmHg",
        Metric::Glucose => " mmol/L",
        Metric::Steps => " steps",
        Metric::BodyWeight => " kg",
        Metric::Consciousness | Metric::IrregularPulse => "",
        Metric::SupplementalOxygen => " L/min",
    }
}

/// What a value of a scale without a unit stands for.
fn state(metric: Metric, value: f64) -> Option<&'static str> {
    /// ACVPU, as [`Metric::Consciousness`] numbers it.
    const CONSCIOUSNESS: [&str; 5] = [
        "alert",
        "new confusion",
        "responds to voice",
        "responds to pain",
        "unresponsive",
    ];
    let states: &[&str] = match metric {
        Metric::Consciousness => &CONSCIOUSNESS,
        Metric::IrregularPulse => &["not seen", "seen"],
        _ => return None,
    };
    let mut numbered = (0_u8..).zip(states);
    numbered
        .find(|(number, _)| f64::from(*number) == value)
        .map(|(_, state)| *state)
}
