//! Glucose at every edge of its ranges, in both units (International Consensus on Time in Range, 2019).
//!
//! The consensus gives the edges as whole numbers in mg/dL and with one decimal in mmol/L. A value means the
//! same in both, though 70 mg/dL is stored as 3.884961 mmol/L.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde_json::{Value, json};

use crate::Programme;
use crate::testing::{Judged, judge, minute};

type Reading = (Metric, DateTime<Utc>, f64);

/// What is stored of a value in mg/dL, in the arithmetic of the consensus.
fn mg_per_dl(value: f64) -> f64 {
    (value / 18.0182 * 1e6).round() / 1e6
}

fn glucose(minutes: i64, value: f64) -> Reading {
    (Metric::Glucose, minute(minutes), value)
}

/// A limit of glucose as a rule that one reading raises.
fn threshold(limit: Value) -> Value {
    let mut limit = limit;
    limit["metric"] = json!("glucose");
    json!({"kind": "threshold", "limits": [limit]})
}

fn is_raised(condition: Value, values: &[f64]) -> bool {
    let readings: Vec<Reading> = (0..)
        .zip(values)
        .map(|(number, value)| glucose(5 * number, *value))
        .collect();
    !judge(condition, &readings).is_empty()
}

/// The ranges of the consensus.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Range {
    VeryLow,
    Low,
    In,
    High,
    VeryHigh,
}

use Range::{High, In, Low, VeryHigh, VeryLow};

/// The edges: of each the value in mmol/L, that in mg/dL, and their range.
const EDGES: [(f64, f64, Range); 8] = [
    (2.9, 53.0, VeryLow),
    (3.0, 54.0, Low),
    (3.8, 69.0, Low),
    (3.9, 70.0, In),
    (10.0, 180.0, In),
    (10.1, 181.0, High),
    (13.9, 250.0, High),
    (14.0, 251.0, VeryHigh),
];

/// Every edge in both units, as stored.
fn edges() -> impl Iterator<Item = (f64, Range)> {
    EDGES
        .into_iter()
        .flat_map(|(mmol_per_l, mg, range)| [(mmol_per_l, range), (mg_per_dl(mg), range)])
}

#[test]
fn limits_of_single_readings() {
    for (value, range) in edges() {
        let limits = [
            (json!({"below": 3.0}), range == VeryLow),
            (json!({"below": 3.9}), matches!(range, VeryLow | Low)),
            (json!({"above": 10.0}), matches!(range, High | VeryHigh)),
            (json!({"above": 13.9}), range == VeryHigh),
        ];
        for (limit, expected) in limits {
            let raised = is_raised(threshold(limit.clone()), &[value]);
            assert_eq!(raised, expected, "{value} mmol/L, {limit}");
        }
    }
}

#[test]
fn a_limit_converted_from_mg_per_dl_means_the_same() {
    for (value, range) in edges() {
        let limits = [
            (json!({"below": mg_per_dl(54.0)}), range == VeryLow),
            (json!({"below": mg_per_dl(70.0)}), matches!(range, VeryLow | Low)),
            (
                json!({"above": mg_per_dl(180.0)}),
                matches!(range, High | VeryHigh),
            ),
            (json!({"above": mg_per_dl(250.0)}), range == VeryHigh),
        ];
        for (limit, expected) in limits {
            let raised = is_raised(threshold(limit.clone()), &[value]);
            assert_eq!(raised, expected, "{value} mmol/L, {limit}");
        }
    }
}

#[test]
fn limits_that_the_number_itself_breaches() {
    for (limit, breaching, not) in [
        (
            json!({"at_most": 3.9}),
            [3.9, mg_per_dl(70.0)],
            [4.0, mg_per_dl(71.0)],
        ),
        (
            json!({"at_least": 10.0}),
            [10.0, mg_per_dl(180.0)],
            [9.9, mg_per_dl(179.0)],
        ),
    ] {
        for value in breaching {
            assert!(is_raised(threshold(limit.clone()), &[value]), "{value} {limit}");
        }
        for value in not {
            assert!(!is_raised(threshold(limit.clone()), &[value]), "{value} {limit}");
        }
    }
}

#[test]
fn the_range_of_pregnancy() {
    for (value, below, above) in [
        (3.4, true, false),
        (mg_per_dl(62.0), true, false),
        (3.5, false, false),
        (mg_per_dl(63.0), false, false),
        (7.8, false, false),
        (mg_per_dl(140.0), false, false),
        (7.9, false, true),
        (mg_per_dl(141.0), false, true),
    ] {
        assert_eq!(
            is_raised(threshold(json!({"below": 3.5})), &[value]),
            below,
            "{value}"
        );
        assert_eq!(
            is_raised(threshold(json!({"above": 7.8})), &[value]),
            above,
            "{value}"
        );
    }
}

#[test]
fn values_that_clear() {
    let cleared = |limit: &Value, first: f64, then: f64| -> bool {
        let readings = [glucose(0, first), glucose(5, then)];
        let episodes = judge(threshold(limit.clone()), &readings);
        assert_eq!(episodes.len(), 1);
        episodes[0].cleared_at == Some(minute(5))
    };
    let low = json!({"below": 3.0, "clear": 3.9});
    for (value, range) in edges() {
        assert_eq!(
            cleared(&low, 2.5, value),
            !matches!(range, VeryLow | Low),
            "{value}"
        );
    }
    let high = json!({"above": 13.9, "clear": 10.0});
    for (value, range) in edges() {
        let back = matches!(range, VeryLow | Low | In);
        assert_eq!(cleared(&high, 16.0, value), back, "{value}");
    }
    // A limit that clears at its own number.
    let same = json!({"above": 13.9, "clear": 13.9});
    for (value, range) in edges() {
        assert_eq!(cleared(&same, 16.0, value), range != VeryHigh, "{value}");
    }
}

#[test]
fn a_sustained_low_in_both_units() {
    let rule = json!({
        "kind": "sustained",
        "limits": [{"metric": "glucose", "below": 3.9}],
        "for_seconds": 900,
        "max_gap_seconds": 1800,
    });
    for (value, range) in edges() {
        let low = matches!(range, VeryLow | Low);
        assert_eq!(
            is_raised(rule.clone(), &[value; 4]),
            low,
            "{value} for 15 minutes"
        );
        assert!(!is_raised(rule.clone(), &[value; 3]), "{value} for 10 minutes");
    }
    // One value of 70 mg/dL is in range, and the count begins anew.
    let [low, back] = [mg_per_dl(69.0), mg_per_dl(70.0)];
    assert!(!is_raised(rule.clone(), &[low, low, low, back, low, low, low]));
    assert!(is_raised(rule, &[low, low, low, back, low, low, low, low]));
}

#[test]
fn what_a_meter_measures_is_enough_where_patients_use_meters() {
    // Before dinner and two hours after; a low, and another test when it should have gone.
    let high = [glucose(0, 16.5), glucose(130, 16.0)];
    let low = [glucose(0, 3.5), glucose(40, 3.6)];
    for (programme, expected) in [
        ("diabetes-type-1", false),
        ("diabetes-type-2", true),
        ("diabetes-older", true),
        ("diabetes-pregnancy", false),
    ] {
        for (code, readings) in [("glucose-very-high", &high), ("glucose-low", &low)] {
            let rules = &Programme::named(programme).unwrap().rules;
            let rule = rules.iter().find(|rule| rule.code == code).unwrap();
            let condition = serde_json::to_value(&rule.definition.condition).unwrap();
            let raised = !judge(condition, readings).is_empty();
            assert_eq!(raised, expected, "{code} of {programme}");
        }
    }
}

/// A day of hourly values, and the first value of the next day, in which it is judged.
fn day_of(values: impl IntoIterator<Item = f64>, apart: TimeDelta) -> Vec<Reading> {
    let midnight = minute(0) - TimeDelta::hours(8);
    let mut readings: Vec<Reading> = (0..)
        .zip(values)
        .map(|(number, value)| (Metric::Glucose, midnight + apart * number, value))
        .collect();
    readings.push((Metric::Glucose, midnight + TimeDelta::days(1), 5.5));
    readings
}

fn share(figure: Value, interval: TimeDelta) -> Value {
    json!({
        "kind": "time_in_range",
        "metric": "glucose",
        "figures": [figure],
        "days": 1,
        "min_active_percent": 70,
        "interval_seconds": interval.num_seconds(),
        "zone": "Europe/London",
    })
}

fn shares(figure: &Value, readings: &[Reading], interval: TimeDelta) -> Vec<Judged> {
    judge(share(figure.clone(), interval), readings)
}

#[test]
fn shares_of_a_day_count_every_edge_where_it_belongs() {
    let hour = TimeDelta::hours(1);
    for (value, range) in edges() {
        let readings = day_of([value; 24], hour);
        let figures = [
            (json!({"below": 3.0, "over_percent": 50}), range == VeryLow),
            (
                json!({"below": 3.9, "over_percent": 50}),
                matches!(range, VeryLow | Low),
            ),
            (
                json!({"above": 10.0, "over_percent": 50}),
                matches!(range, High | VeryHigh),
            ),
            (json!({"above": 13.9, "over_percent": 50}), range == VeryHigh),
        ];
        for (figure, expected) in figures {
            let found: Vec<_> = shares(&figure, &readings, hour)
                .iter()
                .map(|e| e.figure)
                .collect();
            let all = if expected { vec![Some(100.0)] } else { vec![] };
            assert_eq!(found, all, "{value} {figure}");
        }
        let in_range = json!({"from": 3.9, "to": 10.0, "under_percent": 50});
        let found: Vec<_> = shares(&in_range, &readings, hour)
            .iter()
            .map(|e| e.figure)
            .collect();
        let none = if range == In { vec![] } else { vec![Some(0.0)] };
        assert_eq!(found, none, "{value} in range");
    }
}

#[test]
fn a_share_at_its_target_is_not_told() {
    // A hundred values in a day, so that each is one percent.
    let interval = TimeDelta::seconds(864);
    let mixed = |low: usize, rest: f64| {
        let values = (0..100).map(move |number| if number < low { mg_per_dl(69.0) } else { rest });
        day_of(values, interval)
    };
    for (figure, at_target, beyond) in [
        (json!({"below": 3.9, "over_percent": 4}), 4, 5),
        (json!({"below": 3.9, "over_percent": 1}), 1, 2),
        (json!({"from": 3.9, "to": 10.0, "under_percent": 70}), 30, 31),
        (json!({"from": 3.9, "to": 10.0, "under_percent": 50}), 50, 51),
    ] {
        assert_eq!(
            shares(&figure, &mixed(at_target, 6.0), interval).len(),
            0,
            "{figure}"
        );
        let episodes = shares(&figure, &mixed(beyond, 6.0), interval);
        assert_eq!(episodes.len(), 1, "{figure}");
        let percent = if figure.get("below").is_some() {
            beyond as f64
        } else {
            100.0 - beyond as f64
        };
        assert_eq!(episodes[0].figure, Some(percent), "{figure}");
    }
}

#[test]
fn a_share_needs_70_percent_of_the_values() {
    let interval = TimeDelta::seconds(864);
    let figure = json!({"below": 3.9, "over_percent": 4});
    for (values, judged) in [(69, 0), (70, 1), (100, 1)] {
        let readings = day_of(std::iter::repeat_n(3.0, values), interval);
        assert_eq!(
            shares(&figure, &readings, interval).len(),
            judged,
            "{values} of 100 values"
        );
    }
}
