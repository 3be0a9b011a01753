//! A care plan that healthy readings breach often, so that there is much to judge: every kind of condition,
//! over one metric and over two, with limits on one side and on both.

use serde_json::json;

use crate::judged::Rule;

pub(crate) fn rules() -> Vec<Rule> {
    let pressure = json!([
        {"metric": "systolic", "at_least": 135, "clear": 130},
        {"metric": "diastolic", "at_least": 85, "clear": 82},
    ]);
    let pulse = json!([
        {"metric": "heart_rate", "above": 90, "clear": 85},
        {"metric": "heart_rate", "at_most": 60},
    ]);
    let glucose = json!([
        {"metric": "glucose", "below": 3.9, "clear": 4.2},
        {"metric": "glucose", "above": 10.0, "clear": 9.5},
    ]);
    vec![
        Rule::new("pressure", json!({"kind": "threshold", "limits": pressure})),
        Rule::new(
            "pressure-for-hours",
            json!({
                "kind": "sustained", "limits": pressure, "for_seconds": 36_000, "max_gap_seconds": 86_400,
                "clear_after_seconds": 3_600,
            }),
        ),
        Rule::new(
            "pressure-often",
            json!({
                "kind": "repeated", "limits": pressure, "times": 2, "of": 3, "within_seconds": 604_800,
            }),
        ),
        Rule::new(
            "pressure-on-average",
            json!({
                "kind": "home_average", "limits": pressure, "days": 7, "min_days": 2, "zone": "America/New_York",
            }),
        ),
        Rule::new(
            "pulse",
            json!({"kind": "threshold", "limits": pulse, "clear_after_seconds": 30}),
        ),
        Rule::new(
            "pulse-for-a-while",
            json!({
                "kind": "sustained", "limits": pulse, "for_seconds": 20, "max_gap_seconds": 3,
                "clear_after_seconds": 10,
            }),
        ),
        Rule::new(
            "pulse-jumps",
            json!({
                "kind": "change", "changes": [{"metric": "heart_rate", "rise": 15, "within_seconds": 60, "clear": 8}],
            }),
        ),
        Rule::new(
            "early-warning",
            json!({
                "kind": "news2", "scale": 1, "total_at_least": 2, "window_seconds": 900,
            }),
        ),
        Rule::new("glucose", json!({"kind": "threshold", "limits": glucose})),
        Rule::new(
            "glucose-for-a-while",
            json!({
                "kind": "sustained", "limits": glucose, "for_seconds": 1_800, "max_gap_seconds": 900,
                "clear_after_seconds": 1_200,
            }),
        ),
        Rule::new(
            "glucose-falls",
            json!({
                "kind": "rate", "metric": "glucose", "fall_per_minute": 0.05, "over_seconds": 960,
                "min_span_seconds": 540, "toward": 7.0, "ahead_seconds": 1_200, "clear_after_seconds": 900,
            }),
        ),
        Rule::new(
            "glucose-in-range",
            json!({
                "kind": "time_in_range", "metric": "glucose", "days": 2, "min_active_percent": 70,
                "interval_seconds": 300, "zone": "America/New_York",
                "figures": [{"from": 3.9, "to": 7.8, "under_percent": 70, "clear": 75}],
            }),
        ),
    ]
}
