//! Every clinical number of the programmes stands here once more, so that none changes unnoticed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Programme;
use crate::Severity::{self, High, Low, Medium};

const HYPERTENSION: [&str; 2] = ["hypertension", "hypertension-over-80"];
const DIABETES: [&str; 4] = [
    "diabetes-type-1",
    "diabetes-type-2",
    "diabetes-older",
    "diabetes-pregnancy",
];

#[test]
fn the_numbers_are_those_of_the_clinical_notes() {
    let mut expected: BTreeMap<(&str, &str), (Severity, Value)> = BTreeMap::new();
    for (programmes, code, severity, mut condition) in [heart(), glucose(), acute()].concat() {
        numbers_as_floats(&mut condition);
        for programme in programmes {
            let row = (severity, condition.clone());
            assert_eq!(
                expected.insert((programme, code), row),
                None,
                "{programme} {code}"
            );
        }
    }
    let programmes = Programme::names().map(|name| Programme::named(name).unwrap());
    let rules = programmes.flat_map(|p| p.rules.iter().map(|rule| (p.name.as_str(), rule)));
    for (programme, rule) in rules {
        let row = expected.remove(&(programme, rule.code.as_str()));
        let (severity, condition) = row.unwrap_or_else(|| panic!("no row for {programme} {}", rule.code));
        assert_eq!(rule.definition.severity, severity, "{programme} {}", rule.code);
        assert_eq!(
            stated(&rule.definition.condition),
            condition,
            "{programme} {}",
            rule.code
        );
    }
    assert!(expected.is_empty(), "no rule for {:?}", expected.keys());
}

/// What the rule of a programme says, as JSON, without what is this product's choice in every kind: where and
/// when it clears.
fn stated(condition: &crate::Condition) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.retain(|name, _| {
                    !["clear", "clear_total", "clear_after_seconds"].contains(&name.as_str())
                });
                object.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut json = serde_json::to_value(condition).unwrap();
    strip(&mut json);
    numbers_as_floats(&mut json);
    json
}

fn numbers_as_floats(value: &mut Value) {
    match value {
        Value::Object(object) => object.values_mut().for_each(numbers_as_floats),
        Value::Array(values) => values.iter_mut().for_each(numbers_as_floats),
        Value::Number(number) => *value = json!(number.as_f64()),
        _ => {}
    }
}

/// A row: the programmes that have a rule, its severity, and what it states.
type Row = (&'static [&'static str], &'static str, Severity, Value);

fn row(programmes: &'static [&'static str], code: &'static str, severity: Severity, condition: Value) -> Row {
    (programmes, code, severity, condition)
}

fn limits(limits: Value) -> Value {
    json!({"kind": "threshold", "limits": limits})
}

fn silence(metric: &str, expected_every_hours: f64, times: u32) -> Value {
    json!({
        "kind": "silence",
        "metric": metric,
        "expected_every_seconds": 3_600.0 * expected_every_hours,
        "times": times,
    })
}

fn early_warning(scale: u32, more: Value) -> Value {
    let mut condition = json!({"kind": "news2", "scale": scale, "window_seconds": 900});
    condition
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    condition
}

fn home_average(systolic: u32, diastolic: u32) -> Value {
    json!({
        "kind": "home_average",
        "limits": [
            {"metric": "systolic", "at_least": systolic},
            {"metric": "diastolic", "at_least": diastolic},
        ],
        "days": 7,
        "min_days": 4,
        "zone": "Europe/London",
    })
}

fn time_in_range(figures: Value) -> Value {
    json!({
        "kind": "time_in_range",
        "metric": "glucose",
        "figures": figures,
        "days": 14,
        "min_active_percent": 70,
        "interval_seconds": 300,
        "zone": "Europe/London",
    })
}

fn sustained_glucose(limit: Value, seconds: u32, max_gap_minutes: u32) -> Value {
    json!({
        "kind": "sustained",
        "limits": [limit],
        "for_seconds": seconds,
        "max_gap_seconds": 60 * max_gap_minutes,
    })
}

/// Blood pressure, weight and heart: NICE NG136 and this product's clinical notes.
fn heart() -> Vec<Row> {
    const WITH_HEART_FAILURE: [&str; 3] = ["hypertension", "hypertension-over-80", "heart-failure"];
    let pulse = json!({
        "kind": "sustained",
        "limits": [{"metric": "heart_rate", "above": 120}, {"metric": "heart_rate", "below": 40}],
        "for_seconds": 600,
        "max_gap_seconds": 900,
        "unless": {"metric": "steps", "above": 0, "within_seconds": 600},
    });
    let irregular = json!({
        "kind": "repeated",
        "limits": [{"metric": "irregular_pulse", "at_least": 1}],
        "times": 2,
        "of": 3,
        "within_seconds": 604_800,
    });
    // Four hours more than 3 and 7 days.
    let weight = json!({
        "kind": "change",
        "changes": [
            {"metric": "body_weight", "rise": 2, "within_seconds": 3 * 86_400 + 14_400},
            {"metric": "body_weight", "rise": 3, "within_seconds": 7 * 86_400 + 14_400},
        ],
    });
    let crisis =
        limits(json!([{"metric": "systolic", "at_least": 180}, {"metric": "diastolic", "at_least": 120}]));
    vec![
        row(&WITH_HEART_FAILURE, "blood-pressure-crisis", High, crisis),
        row(&HYPERTENSION, "home-average-high", Medium, home_average(150, 95)),
        row(
            &["hypertension"],
            "home-average-above-target",
            Low,
            home_average(135, 85),
        ),
        row(
            &["hypertension-over-80"],
            "home-average-above-target",
            Low,
            home_average(145, 85),
        ),
        row(&HYPERTENSION, "irregular-pulse", Medium, irregular),
        row(&WITH_HEART_FAILURE, "resting-heart-rate", Medium, pulse),
        row(&["heart-failure"], "weight-gain", Medium, weight),
        row(
            &HYPERTENSION,
            "blood-pressure-silent",
            Low,
            silence("systolic", 15.0, 2),
        ),
        row(
            &HYPERTENSION,
            "blood-pressure-silent-long",
            Medium,
            silence("systolic", 15.0, 4),
        ),
        row(
            &["heart-failure"],
            "weight-silent",
            Low,
            silence("body_weight", 26.0, 2),
        ),
        row(
            &["heart-failure"],
            "weight-silent-long",
            Medium,
            silence("body_weight", 26.0, 4),
        ),
    ]
}

/// Glucose: International Consensus on Time in Range, 2019, and this product's clinical notes.
fn glucose() -> Vec<Row> {
    const WITH_SENSOR: [&str; 2] = ["diabetes-type-1", "diabetes-pregnancy"];
    const WITH_ANY: [&str; 2] = ["diabetes-type-2", "diabetes-older"];
    const ADULTS: [&str; 2] = ["diabetes-type-1", "diabetes-type-2"];
    let below = |number: f64| json!({"metric": "glucose", "below": number});
    let falling = json!({
        "kind": "rate",
        "metric": "glucose",
        "fall_per_minute": 0.17,
        "over_seconds": 960,
        "min_span_seconds": 540,
        "toward": 4.4,
        "ahead_seconds": 900,
    });
    let adult = json!([
        {"from": 3.9, "to": 10.0, "under_percent": 70},
        {"below": 3.9, "over_percent": 4},
        {"below": 3.0, "over_percent": 1},
        {"above": 10.0, "over_percent": 25},
        {"above": 13.9, "over_percent": 5},
    ]);
    let older = json!([
        {"from": 3.9, "to": 10.0, "under_percent": 50},
        {"below": 3.9, "over_percent": 1},
        {"above": 13.9, "over_percent": 10},
    ]);
    let pregnancy = json!([
        {"from": 3.5, "to": 7.8, "under_percent": 70},
        {"below": 3.5, "over_percent": 4},
        {"below": 3.0, "over_percent": 1},
        {"above": 7.8, "over_percent": 25},
    ]);
    let very_high = |gap| sustained_glucose(json!({"metric": "glucose", "above": 13.9}), 7_200, gap);
    vec![
        row(&DIABETES, "glucose-very-low", High, limits(json!([below(3.0)]))),
        row(&WITH_SENSOR, "glucose-falling-fast", High, falling),
        row(
            &["diabetes-type-1"],
            "glucose-low",
            Medium,
            sustained_glucose(below(3.9), 900, 30),
        ),
        row(
            &["diabetes-pregnancy"],
            "glucose-low",
            Medium,
            sustained_glucose(below(3.5), 900, 30),
        ),
        row(
            &WITH_ANY,
            "glucose-low",
            Medium,
            sustained_glucose(below(3.9), 900, 60),
        ),
        row(&WITH_SENSOR, "glucose-very-high", Medium, very_high(30)),
        row(&WITH_ANY, "glucose-very-high", Medium, very_high(240)),
        row(&ADULTS, "glucose-time-in-range", Low, time_in_range(adult)),
        row(
            &["diabetes-older"],
            "glucose-time-in-range",
            Low,
            time_in_range(older),
        ),
        row(
            &["diabetes-pregnancy"],
            "glucose-time-in-range",
            Low,
            time_in_range(pregnancy),
        ),
        row(&WITH_SENSOR, "glucose-silent", Low, silence("glucose", 3.0, 2)),
        row(
            &WITH_SENSOR,
            "glucose-silent-long",
            Medium,
            silence("glucose", 3.0, 4),
        ),
        row(&WITH_ANY, "glucose-silent", Low, silence("glucose", 12.0, 2)),
        row(
            &WITH_ANY,
            "glucose-silent-long",
            Medium,
            silence("glucose", 12.0, 4),
        ),
    ]
}

/// Acute illness: National Early Warning Score 2 (Royal College of Physicians, 2017) and this product's
/// clinical notes.
fn acute() -> Vec<Row> {
    const WITH_SATURATION: [&str; 2] = ["virtual-ward", "heart-failure"];
    let emergency = json!({"total_at_least": 7});
    let urgent = json!({"total_at_least": 5, "single_at_least": 3});
    let saturation = |number: u32| limits(json!([{"metric": "spo2", "at_most": number}]));
    vec![
        row(
            &["virtual-ward"],
            "early-warning-score-high",
            High,
            early_warning(1, emergency.clone()),
        ),
        row(
            &["copd"],
            "early-warning-score-high",
            High,
            early_warning(2, emergency),
        ),
        row(
            &["virtual-ward"],
            "early-warning-score-medium",
            Medium,
            early_warning(1, urgent.clone()),
        ),
        row(
            &["copd"],
            "early-warning-score-medium",
            Medium,
            early_warning(2, urgent),
        ),
        row(
            &WITH_SATURATION,
            "oxygen-saturation-very-low",
            High,
            saturation(92),
        ),
        row(&WITH_SATURATION, "oxygen-saturation-low", Medium, saturation(94)),
        row(
            &["virtual-ward"],
            "observations-silent",
            Low,
            silence("spo2", 6.0, 2),
        ),
        row(
            &["virtual-ward"],
            "observations-silent-long",
            Medium,
            silence("spo2", 6.0, 4),
        ),
        row(&["copd"], "observations-silent", Low, silence("spo2", 15.0, 2)),
        row(
            &["copd"],
            "observations-silent-long",
            Medium,
            silence("spo2", 15.0, 4),
        ),
    ]
}
