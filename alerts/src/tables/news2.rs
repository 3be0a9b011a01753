//! The National Early Warning Score 2 at every edge of its chart (Royal College of Physicians, 2017).
//!
//! The chart's scores stand here once more, written down from the chart, not taken from the engine.

use chrono::{DateTime, Utc};
use homeward_record::Metric;
use serde_json::{Value, json};

use crate::testing::{judge, minute};

pub(super) type Reading = (Metric, DateTime<Utc>, f64);

/// Readings that score 0 on a scale.
pub(super) fn healthy(scale: u8, at: DateTime<Utc>) -> Vec<Reading> {
    let spo2 = if scale == 1 { 97.0 } else { 90.0 };
    [
        (Metric::RespiratoryRate, 16.0),
        (Metric::Spo2, spo2),
        (Metric::SupplementalOxygen, 0.0),
        (Metric::Systolic, 120.0),
        (Metric::HeartRate, 70.0),
        (Metric::Consciousness, 0.0),
        (Metric::BodyTemperature, 37.0),
    ]
    .map(|(metric, value)| (metric, at, value))
    .to_vec()
}

/// The same with other values for some parameters.
pub(super) fn vitals(scale: u8, at: DateTime<Utc>, changes: &[(Metric, f64)]) -> Vec<Reading> {
    let mut readings = healthy(scale, at);
    for (metric, value) in changes {
        let reading = readings.iter_mut().find(|(of, ..)| of == metric).unwrap();
        reading.2 = *value;
    }
    readings
}

/// A rule with these bounds.
pub(super) fn rule(scale: u8, more: &Value) -> Value {
    let mut condition = json!({"kind": "news2", "scale": scale, "window_seconds": 900});
    let fields = condition.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    condition
}

/// The total that a set of readings has, through a rule that raises from 1 on.
fn total(scale: u8, readings: &[Reading]) -> f64 {
    let episodes = judge(rule(scale, &json!({"total_at_least": 1})), readings);
    match episodes.as_slice() {
        [] => 0.0,
        [episode] => episode.figure.unwrap(),
        _ => panic!("one moment made {} episodes", episodes.len()),
    }
}

/// Checks the sub-score at each value of one parameter, the other six being at 0.
fn check(scales: &[u8], metric: Metric, edges: &[(f64, f64)]) {
    for scale in scales {
        for (value, score) in edges {
            let readings = vitals(*scale, minute(0), &[(metric, *value)]);
            assert_eq!(
                total(*scale, &readings),
                *score,
                "{metric} {value} on scale {scale}"
            );
        }
    }
}

#[test]
fn respirations() {
    let edges = [
        (2.0, 3.0),
        (8.0, 3.0),
        (9.0, 1.0),
        (11.0, 1.0),
        (12.0, 0.0),
        (20.0, 0.0),
        (21.0, 2.0),
        (24.0, 2.0),
        (25.0, 3.0),
        (80.0, 3.0),
    ];
    check(&[1, 2], Metric::RespiratoryRate, &edges);
}

#[test]
fn saturation_on_scale_1() {
    let edges = [
        (40.0, 3.0),
        (91.0, 3.0),
        (92.0, 2.0),
        (93.0, 2.0),
        (94.0, 1.0),
        (95.0, 1.0),
        (96.0, 0.0),
        (100.0, 0.0),
    ];
    check(&[1], Metric::Spo2, &edges);
    // Oxygen scores for itself and changes nothing in this scale.
    for (value, score) in edges {
        let readings = [(Metric::Spo2, value), (Metric::SupplementalOxygen, 2.0)];
        let readings = vitals(1, minute(0), &readings);
        assert_eq!(total(1, &readings), score + 2.0, "{value} % on oxygen");
    }
}

#[test]
fn saturation_on_scale_2() {
    let low = [
        (40.0, 3.0),
        (83.0, 3.0),
        (84.0, 2.0),
        (85.0, 2.0),
        (86.0, 1.0),
        (87.0, 1.0),
        (88.0, 0.0),
        (92.0, 0.0),
    ];
    check(&[2], Metric::Spo2, &low);
    let on_air = [93.0, 94.0, 95.0, 96.0, 97.0, 100.0].map(|value| (value, 0.0));
    check(&[2], Metric::Spo2, &on_air);
    let on_oxygen = [
        (93.0, 1.0),
        (94.0, 1.0),
        (95.0, 2.0),
        (96.0, 2.0),
        (97.0, 3.0),
        (100.0, 3.0),
    ];
    for (value, score) in low.into_iter().chain(on_oxygen) {
        let readings = [(Metric::Spo2, value), (Metric::SupplementalOxygen, 2.0)];
        let readings = vitals(2, minute(0), &readings);
        assert_eq!(total(2, &readings), score + 2.0, "{value} % on oxygen");
    }
}

#[test]
fn air_or_oxygen() {
    // A quarter of a litre a minute is oxygen, however it would be rounded.
    let edges = [(0.0, 0.0), (0.25, 2.0), (0.5, 2.0), (1.0, 2.0), (80.0, 2.0)];
    check(&[1, 2], Metric::SupplementalOxygen, &edges);
}

#[test]
fn systolic_pressure() {
    let edges = [
        (40.0, 3.0),
        (90.0, 3.0),
        (91.0, 2.0),
        (100.0, 2.0),
        (101.0, 1.0),
        (110.0, 1.0),
        (111.0, 0.0),
        (219.0, 0.0),
        (220.0, 3.0),
        (300.0, 3.0),
    ];
    check(&[1, 2], Metric::Systolic, &edges);
}

#[test]
fn pulse() {
    let edges = [
        (20.0, 3.0),
        (40.0, 3.0),
        (41.0, 1.0),
        (50.0, 1.0),
        (51.0, 0.0),
        (90.0, 0.0),
        (91.0, 1.0),
        (110.0, 1.0),
        (111.0, 2.0),
        (130.0, 2.0),
        (131.0, 3.0),
        (300.0, 3.0),
    ];
    check(&[1, 2], Metric::HeartRate, &edges);
}

#[test]
fn consciousness() {
    // Alert, new confusion, voice, pain, unresponsive.
    let edges = [(0.0, 0.0), (1.0, 3.0), (2.0, 3.0), (3.0, 3.0), (4.0, 3.0)];
    check(&[1, 2], Metric::Consciousness, &edges);
}

#[test]
fn temperature() {
    let edges = [
        (25.0, 3.0),
        (35.0, 3.0),
        (35.1, 1.0),
        (36.0, 1.0),
        (36.1, 0.0),
        (38.0, 0.0),
        (38.1, 1.0),
        (39.0, 1.0),
        (39.1, 2.0),
        (45.0, 2.0),
    ];
    check(&[1, 2], Metric::BodyTemperature, &edges);
}

#[test]
fn values_between_the_numbers_of_the_chart_are_rounded_half_up() {
    check(
        &[1, 2],
        Metric::RespiratoryRate,
        &[(8.4, 3.0), (8.5, 1.0), (20.4, 0.0), (20.5, 2.0), (24.5, 3.0)],
    );
    check(&[1], Metric::Spo2, &[(91.4, 3.0), (91.5, 2.0), (95.5, 0.0)]);
    check(&[2], Metric::Spo2, &[(83.4, 3.0), (83.5, 2.0), (87.5, 0.0)]);
    check(
        &[1, 2],
        Metric::Systolic,
        &[(90.4, 3.0), (90.5, 2.0), (110.5, 0.0), (219.5, 3.0)],
    );
    check(
        &[1, 2],
        Metric::HeartRate,
        &[(40.4, 3.0), (40.5, 1.0), (50.5, 0.0), (130.5, 3.0)],
    );
    check(
        &[1, 2],
        Metric::BodyTemperature,
        &[
            (35.04, 3.0),
            (35.05, 1.0),
            (36.05, 0.0),
            (38.04, 0.0),
            (38.05, 1.0),
            (39.05, 2.0),
            // 100.4 and 100.5 degrees Fahrenheit as they are stored.
            (38.0, 0.0),
            (38.055556, 1.0),
        ],
    );
}

#[test]
fn totals_of_the_response_bands() {
    use Metric::{BodyTemperature, Consciousness, HeartRate, RespiratoryRate, SupplementalOxygen, Systolic};
    type Changes<'a> = &'a [(Metric, f64)];
    // The changes, their total, and whether rules from 5 on, from 7 on and for a single 3 raise.
    let table: [(Changes<'_>, f64, [bool; 3]); 8] = [
        (&[(HeartRate, 95.0)], 1.0, [false, false, false]),
        (
            &[(RespiratoryRate, 21.0), (SupplementalOxygen, 1.0)],
            4.0,
            [false, false, false],
        ),
        (&[(RespiratoryRate, 25.0)], 3.0, [false, false, true]),
        (
            &[
                (RespiratoryRate, 21.0),
                (SupplementalOxygen, 1.0),
                (HeartRate, 95.0),
            ],
            5.0,
            [true, false, false],
        ),
        (
            &[
                (RespiratoryRate, 21.0),
                (SupplementalOxygen, 1.0),
                (HeartRate, 120.0),
            ],
            6.0,
            [true, false, false],
        ),
        (
            &[(RespiratoryRate, 25.0), (Consciousness, 1.0)],
            6.0,
            [true, false, true],
        ),
        (
            &[
                (RespiratoryRate, 21.0),
                (SupplementalOxygen, 1.0),
                (HeartRate, 120.0),
                (BodyTemperature, 38.5),
            ],
            7.0,
            [true, true, false],
        ),
        (
            &[
                (RespiratoryRate, 25.0),
                (Metric::Spo2, 91.0),
                (SupplementalOxygen, 1.0),
                (Systolic, 90.0),
                (HeartRate, 131.0),
                (Consciousness, 4.0),
                (BodyTemperature, 35.0),
            ],
            20.0,
            [true, true, true],
        ),
    ];
    let rules = [
        json!({"total_at_least": 5}),
        json!({"total_at_least": 7}),
        json!({"single_at_least": 3}),
    ];
    for (changes, sum, expected) in table {
        let readings = vitals(1, minute(0), changes);
        assert_eq!(total(1, &readings), sum, "{changes:?}");
        for (more, expected) in rules.iter().zip(expected) {
            let episodes = judge(rule(1, more), &readings);
            assert_eq!(!episodes.is_empty(), expected, "{changes:?} {more}");
        }
    }
}
