//! Conditions of every kind: those of clinical programmes, and nasty ones.

use serde_json::{Value, json};

/// Every kind that this oracle knows.
pub(crate) const KINDS: [&str; 8] = [
    "threshold",
    "sustained",
    "repeated",
    "change",
    "rate",
    "home_average",
    "time_in_range",
    "news2",
];

const DAY: u32 = 86_400;

/// Some conditions of a kind.
///
/// # Panics
///
/// On a kind that is not one of [`KINDS`].
pub(crate) fn conditions(kind: &str) -> Vec<Value> {
    let mut conditions = match kind {
        "threshold" => threshold(),
        "sustained" => sustained(),
        "repeated" => repeated(),
        "change" => change(),
        "rate" => rate(),
        "home_average" => home_average(),
        "time_in_range" => time_in_range(),
        "news2" => news2(),
        _ => panic!("no conditions of the kind {kind}"),
    };
    for condition in &mut conditions {
        condition["kind"] = json!(kind);
    }
    conditions
}

fn threshold() -> Vec<Value> {
    vec![
        json!({"limits": [{"metric": "glucose", "below": 3.0, "clear": 3.9}]}),
        // The same, in mg/dL as it is stored.
        json!({"limits": [{"metric": "glucose", "below": 2.996_970, "clear": 3.884_961}]}),
        json!({"limits": [
            {"metric": "systolic", "at_least": 180, "clear": 175},
            {"metric": "diastolic", "at_least": 120, "clear": 115}]}),
        json!({"limits": [{"metric": "spo2", "at_most": 92}]}),
        json!({"limits": [
            {"metric": "glucose", "below": 3.9, "clear": 4.4},
            {"metric": "glucose", "above": 13.9, "clear": 10.0},
            {"metric": "spo2", "at_most": 91, "clear": 93}],
            "clear_after_seconds": 900}),
        json!({"limits": [{"metric": "glucose", "above": 10.0, "clear": 10.0}], "clear_after_seconds": 601}),
    ]
}

fn sustained() -> Vec<Value> {
    let steps = json!({"metric": "steps", "above": 0, "within_seconds": 600});
    vec![
        json!({"limits": [{"metric": "glucose", "below": 3.9, "clear": 3.9}],
            "for_seconds": 900, "max_gap_seconds": 1800, "clear_after_seconds": 900}),
        json!({"limits": [{"metric": "glucose", "above": 13.9}],
            "for_seconds": 7200, "max_gap_seconds": 1800, "clear_after_seconds": 900}),
        json!({"limits": [{"metric": "heart_rate", "above": 120}, {"metric": "heart_rate", "below": 40}],
            "for_seconds": 600, "max_gap_seconds": 300, "unless": steps}),
        json!({"limits": [
            {"metric": "heart_rate", "above": 120, "clear": 110},
            {"metric": "glucose", "at_least": 10.0, "clear": 9.5}],
            "for_seconds": 900, "max_gap_seconds": 600, "unless": steps, "clear_after_seconds": 1800}),
        // Readings five minutes apart, with a little jitter, are just near enough or just not.
        json!({"limits": [{"metric": "glucose", "at_most": 3.8, "clear": 4.4}],
            "for_seconds": 600, "max_gap_seconds": 300}),
        json!({"limits": [{"metric": "heart_rate", "at_least": 120, "clear": 119}],
            "for_seconds": 0, "max_gap_seconds": 60, "clear_after_seconds": 240,
            "unless": {"metric": "steps", "at_least": 80, "within_seconds": 1}}),
    ]
}

fn repeated() -> Vec<Value> {
    let irregular = json!({"metric": "irregular_pulse", "at_least": 1});
    vec![
        json!({"limits": [irregular], "times": 2, "of": 3, "within_seconds": 2 * DAY}),
        json!({"limits": [irregular], "times": 3, "of": 6, "within_seconds": 7 * DAY,
            "clear_after_seconds": DAY}),
        json!({"limits": [{"metric": "glucose", "below": 3.9, "clear": 4.4}],
            "times": 2, "of": 3, "within_seconds": 900}),
        json!({"limits": [
            {"metric": "systolic", "at_least": 150, "clear": 145},
            {"metric": "diastolic", "at_least": 95, "clear": 90}],
            "times": 3, "of": 4, "within_seconds": DAY}),
        // Every other reading, in a window that just holds two.
        json!({"limits": [{"metric": "glucose", "above": 13.9}],
            "times": 2, "of": 2, "within_seconds": 300, "clear_after_seconds": 300}),
    ]
}

fn change() -> Vec<Value> {
    vec![
        json!({"changes": [
            {"metric": "body_weight", "rise": 2, "within_seconds": 3 * DAY, "clear": 1},
            {"metric": "body_weight", "rise": 3, "within_seconds": 7 * DAY, "clear": 2}]}),
        json!({"changes": [{"metric": "body_weight", "rise": 1.5, "within_seconds": 2 * DAY}]}),
        json!({"changes": [
            {"metric": "body_weight", "rise": 1, "within_seconds": 3 * DAY, "clear": 0.4},
            {"metric": "body_weight", "fall": 1, "within_seconds": 3 * DAY, "clear": 0.4}],
            "clear_after_seconds": 2 * DAY}),
        json!({"changes": [{"metric": "glucose", "fall": 2.5, "within_seconds": 1800, "clear": 1.5}]}),
        json!({"changes": [
            {"metric": "glucose", "rise": 3, "within_seconds": 3600, "clear": 2},
            {"metric": "body_weight", "rise": 2, "within_seconds": 3 * DAY}],
            "clear_after_seconds": 600}),
        // A window that just reaches the reading before.
        json!({"changes": [{"metric": "glucose", "rise": 0.8, "within_seconds": 300}]}),
    ]
}

fn rate() -> Vec<Value> {
    let falling = |rate: f64, over: u32, span: u32, toward: f64, ahead: u32| {
        json!({"metric": "glucose", "fall_per_minute": rate, "over_seconds": over, "min_span_seconds": span,
            "toward": toward, "ahead_seconds": ahead})
    };
    let mut slow_to_clear = falling(0.11, 900, 600, 5.0, 1200);
    slow_to_clear["clear_after_seconds"] = json!(900);
    vec![
        falling(0.17, 900, 600, 4.4, 1200),
        falling(0.1, 900, 300, 3.9, 900),
        slow_to_clear,
        // Two neighbours only, and no look ahead.
        falling(0.06, 300, 300, 4.4, 0),
        json!({"metric": "glucose", "rise_per_minute": 0.1, "over_seconds": 1200, "min_span_seconds": 600,
            "toward": 10.0, "ahead_seconds": 600}),
    ]
}

fn home_average() -> Vec<Value> {
    let limits = |systolic: u32, diastolic: u32, lower: u32| {
        json!([
            {"metric": "systolic", "at_least": systolic, "clear": systolic - lower},
            {"metric": "diastolic", "at_least": diastolic, "clear": diastolic - lower}])
    };
    vec![
        json!({"limits": limits(135, 85, 0), "days": 7, "min_days": 4, "zone": "Europe/London"}),
        json!({"limits": limits(150, 95, 5), "days": 4, "min_days": 2, "zone": "Europe/London"}),
        json!({"limits": limits(135, 85, 2), "days": 4, "min_days": 3, "zone": "Pacific/Auckland",
            "clear_after_seconds": 2 * DAY}),
        json!({"limits": [{"metric": "systolic", "above": 140}], "days": 2, "min_days": 1, "zone": "UTC"}),
        json!({"limits": [{"metric": "diastolic", "at_least": 90, "clear": 84}], "days": 5, "min_days": 4,
            "zone": "America/New_York"}),
    ]
}

fn time_in_range() -> Vec<Value> {
    let condition = |days: u32, zone: &str, figures: &Value| {
        json!({"metric": "glucose", "figures": figures, "days": days, "min_active_percent": 70,
            "interval_seconds": 900, "zone": zone})
    };
    let consensus = json!([
        {"from": 3.9, "to": 10.0, "under_percent": 70},
        {"below": 3.9, "over_percent": 4},
        {"below": 3.0, "over_percent": 1},
        {"above": 10.0, "over_percent": 25},
        {"above": 13.9, "over_percent": 5}]);
    let mut nasty = condition(
        1,
        "Pacific/Auckland",
        &json!([
            {"from": 3.9, "to": 10.0, "under_percent": 50, "clear": 70},
            {"at_most": 3.8, "over_percent": 15, "clear": 5}]),
    );
    nasty["min_active_percent"] = json!(50);
    nasty["clear_after_seconds"] = json!(DAY);
    vec![
        condition(14, "Europe/London", &consensus),
        condition(
            3,
            "Europe/London",
            &json!([{"from": 3.9, "to": 10.0, "under_percent": 60, "clear": 65}]),
        ),
        condition(1, "Europe/London", &json!([{"above": 13.9, "over_percent": 15}])),
        nasty,
        condition(2, "America/New_York", &json!([{"below": 3.0, "over_percent": 0}])),
    ]
}

fn news2() -> Vec<Value> {
    vec![
        json!({"scale": 1, "total_at_least": 5, "window_seconds": 900}),
        json!({"scale": 1, "total_at_least": 7, "window_seconds": 900, "clear_total": 4}),
        json!({"scale": 1, "single_at_least": 3, "window_seconds": 900}),
        json!({"scale": 2, "total_at_least": 5, "single_at_least": 3, "window_seconds": 900, "clear_total": 2,
            "clear_after_seconds": 14_400}),
        // What is not of one moment, or nearly so, is missing.
        json!({"scale": 2, "total_at_least": 4, "window_seconds": 60}),
        json!({"scale": 1, "total_at_least": 3, "window_seconds": 14_400}),
    ]
}
