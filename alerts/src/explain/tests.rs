use Metric::{
    BodyTemperature, BodyWeight, Consciousness, Diastolic, Glucose, HeartRate, IrregularPulse,
    RespiratoryRate, Spo2, Steps, SupplementalOxygen, Systolic,
};
use serde_json::json;

use super::*;
use crate::Observation;
use crate::testing::{blood_pressure_crisis, delayed, episodes, minute, point, rule};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// The sentences of the episodes that the engine makes of readings: metric, minute of the morning, value.
fn told(condition: Value, readings: &[(Metric, i64, f64)]) -> Vec<String> {
    let definition = rule(condition);
    let observation = |&(metric, minute, value): &_| delayed(metric, minute, value, 0);
    let readings: Vec<Observation> = readings.iter().map(observation).collect();
    let episodes = episodes(&definition, readings);
    let sentence = |episode: &Episode| explain(&definition, &About::from(episode));
    episodes.iter().map(sentence).collect()
}

/// The sentences and what is expected.
fn check(condition: Value, readings: &[(Metric, i64, f64)], expected: &[&str]) {
    assert_eq!(told(condition.clone(), readings), expected, "{condition}");
}

/// The sentence about such marks, each at a minute of the morning.
fn of_marks(definition: &Definition, marks: [(Metric, i64, f64); 3]) -> String {
    let [onset, latest, worst] = marks.map(|(metric, at, value)| Mark::of(point(metric, at, value), None));
    let about = About {
        onset,
        latest,
        worst,
        detail: None,
        cleared_at: None,
    };
    explain(definition, &about)
}

#[test]
fn threshold() {
    let low = || json!({"kind": "threshold", "limits": [{"metric": "glucose", "below": 3.0, "clear": 3.9}]});
    check(
        low(),
        &[(Glucose, 5, 2.7)],
        &["Glucose 2.7 mmol/L, below 3.0 mmol/L since 08:05 GMT."],
    );
    check(
        low(),
        &[(Glucose, 5, 2.7), (Glucose, 10, 2.0), (Glucose, 15, 2.9)],
        &["Glucose 2.9 mmol/L, below 3.0 mmol/L since 08:05 GMT; lowest 2.0 mmol/L at 08:10 GMT."],
    );
    check(
        low(),
        &[
            (Glucose, 5, 2.7),
            (Glucose, 40, 3.9),
            (Glucose, 50, 2.8),
            (Glucose, 20 * HOUR, 5.0),
        ],
        &[
            "Glucose 2.7 mmol/L, below 3.0 mmol/L from 08:05 to 08:40 GMT.",
            "Glucose 2.8 mmol/L, below 3.0 mmol/L from 08:50 GMT to 04:00 GMT on 23 November.",
        ],
    );
    check(
        low(),
        &[(Glucose, -10 * HOUR, 2.7), (Glucose, 5, 2.94)],
        &[
            "Glucose 2.9 mmol/L, below 3.0 mmol/L since 22:00 GMT on 21 November; lowest 2.7 mmol/L at 22:00 GMT on \
             21 November.",
        ],
    );
    check(
        low(),
        &[(Glucose, -365 * DAY, 2.7), (Glucose, 5, 2.7)],
        &["Glucose 2.7 mmol/L, below 3.0 mmol/L since 08:00 GMT on 22 November 2025."],
    );
    // Of two metrics, and of two sides of one.
    check(
        json!({"kind": "threshold", "limits": [
            {"metric": "spo2", "at_most": 92}, {"metric": "heart_rate", "above": 130},
            {"metric": "heart_rate", "below": 40}]}),
        &[(Spo2, 0, 84.0), (HeartRate, 5, 38.0), (HeartRate, 10, 140.0)],
        &[
            "Heart rate 140 beats a minute, above 130 beats a minute; outside the limits since 08:00 GMT; lowest oxygen \
             saturation 84 % at 08:00 GMT.",
        ],
    );
    check(
        json!({"kind": "threshold", "limits": [{"metric": "consciousness", "at_least": 1}]}),
        &[(Consciousness, 5, 3.0), (Consciousness, 6, 1.0)],
        &[
            "Level of consciousness 1 (new confusion), at or above 1 (new confusion) since 08:05 GMT; highest 3 \
             (responds to pain) at 08:05 GMT.",
        ],
    );
    check(
        json!({"kind": "threshold", "limits": [{"metric": "irregular_pulse", "above": 0}]}),
        &[(IrregularPulse, 5, 1.0)],
        &["Irregular pulse since 08:05 GMT."],
    );
    check(
        json!({"kind": "threshold", "limits": [{"metric": "supplemental_oxygen", "above": 0}]}),
        &[(SupplementalOxygen, 5, 0.5)],
        &["Supplemental oxygen 0.5 L/min, above 0.0 L/min since 08:05 GMT."],
    );
}

#[test]
fn blood_pressure_is_told_as_people_say_it() {
    let crisis = blood_pressure_crisis();
    let check = |marks, expected: &str| assert_eq!(of_marks(&crisis, marks), expected);
    check(
        [(Systolic, 20, 180.0099); 3],
        "Systolic blood pressure 180 mmHg, at or above 180 mmHg since 08:20 GMT.",
    );
    check(
        [
            (Systolic, 20, 192.0),
            (Systolic, 30, 184.0),
            (Systolic, 25, 196.0),
        ],
        "Systolic blood pressure 184 mmHg, at or above 180 mmHg since 08:20 GMT; highest 196 mmHg at 08:25 GMT.",
    );
    // Both numbers of one measurement.
    check(
        [
            (Systolic, 20, 182.0),
            (Diastolic, 20, 130.0),
            (Diastolic, 20, 130.0),
        ],
        "Blood pressure 182/130 mmHg, at or above 180/120 mmHg since 08:20 GMT.",
    );
    check(
        [
            (Diastolic, 20, 126.0),
            (Diastolic, 20, 126.0),
            (Systolic, 20, 192.0),
        ],
        "Blood pressure 192/126 mmHg, at or above 180/120 mmHg since 08:20 GMT.",
    );
    check(
        [
            (Systolic, 20, 182.0),
            (Diastolic, 20, 130.0),
            (Diastolic, 10, 140.0),
        ],
        "Blood pressure 182/130 mmHg, at or above 180/120 mmHg since 08:20 GMT; highest 140 mmHg at 08:10 GMT.",
    );
    // Now one and now the other.
    check(
        [
            (Systolic, 20, 192.0),
            (Diastolic, 30, 126.0),
            (Systolic, 25, 196.0),
        ],
        "Blood pressure at or above 180/120 mmHg since 08:20 GMT: latest diastolic 126 mmHg, highest systolic 196 mmHg \
         at 08:25 GMT.",
    );
    check(
        [
            (Diastolic, 20, 121.0),
            (Systolic, 30, 184.0),
            (Systolic, 30, 184.0),
        ],
        "Blood pressure at or above 180/120 mmHg since 08:20 GMT: latest systolic 184 mmHg.",
    );
    check(
        [
            (Diastolic, 20, 121.0),
            (Diastolic, 30, 122.0),
            (Systolic, 25, 184.0),
        ],
        "Diastolic blood pressure 122 mmHg, at or above 120 mmHg since 08:20 GMT; highest systolic 184 mmHg at \
         08:25 GMT.",
    );
    check(
        [(Systolic, 20, 150.0); 3],
        "Systolic blood pressure 150 mmHg at 08:20 GMT.",
    );
}

#[test]
fn sustained() {
    let low = |hold| {
        json!({"kind": "sustained", "limits": [{"metric": "glucose", "below": 3.9}], "for_seconds": hold,
            "max_gap_seconds": 1800})
    };
    let series = [(Glucose, 5, 3.4), (Glucose, 20, 3.1), (Glucose, 40, 3.4)];
    check(
        low(900),
        &series,
        &[
            "Glucose 3.4 mmol/L, below 3.9 mmol/L for 35 minutes, since 08:05 GMT; lowest 3.1 mmol/L at 08:20 GMT.",
        ],
    );
    let over = [&series[..], &[(Glucose, 50, 4.0)]].concat();
    check(
        low(900),
        &over,
        &["Glucose 3.4 mmol/L, below 3.9 mmol/L from 08:05 to 08:50 GMT; lowest 3.1 mmol/L at 08:20 GMT."],
    );
    let resting = |metric| {
        json!({"kind": "sustained", "limits": [{"metric": "heart_rate", "above": 120}], "for_seconds": 600,
            "max_gap_seconds": 3600, "unless": {"metric": metric, "above": 0, "within_seconds": 600}})
    };
    let racing = [
        (HeartRate, -HOUR, 131.0),
        (Steps, 0, 0.0),
        (HeartRate, 0, 131.0),
        (HeartRate, 90, 131.0),
    ];
    for (metric, subject) in [
        ("steps", "Heart rate at rest"),
        ("supplemental_oxygen", "Heart rate"),
    ] {
        let expected = format!(
            "{subject} 131 beats a minute, above 120 beats a minute for 2 hours 30 minutes, since 07:00 GMT."
        );
        check(resting(metric), &racing, &[&expected]);
    }
}

#[test]
fn repeated() {
    let irregular = |times, of| {
        json!({"kind": "repeated", "limits": [{"metric": "irregular_pulse", "at_least": 1}], "times": times, "of": of,
            "within_seconds": 604_800, "clear_after_seconds": 1})
    };
    let seen = [
        (IrregularPulse, -DAY, 1.0),
        (IrregularPulse, 0, 0.0),
        (IrregularPulse, 10, 1.0),
    ];
    check(
        irregular(2, 3),
        &seen,
        &[
            "Irregular pulse in at least 2 of the last 3 measurements, first at 08:00 GMT on 21 November; the latest at \
             08:10 GMT.",
        ],
    );
    check(
        irregular(1, 1),
        &seen[..1],
        &["Irregular pulse in the last measurement, first at 08:00 GMT."],
    );
    check(
        json!({"kind": "repeated", "limits": [{"metric": "heart_rate", "above": 120}], "times": 2, "of": 2,
            "within_seconds": 3600}),
        &[
            (HeartRate, 0, 140.0),
            (HeartRate, 5, 131.0),
            (HeartRate, 10, 90.0),
        ],
        &[
            "Heart rate above 120 beats a minute in all of the last 2 measurements, first at 08:00 GMT; the latest \
             131 beats a minute at 08:05 GMT; highest 140 beats a minute at 08:00 GMT; over since 08:10 GMT.",
        ],
    );
}

#[test]
fn change() {
    let gain = || {
        json!({"kind": "change", "changes": [
            {"metric": "body_weight", "rise": 2.0, "within_seconds": 259_200, "clear": 1.0},
            {"metric": "body_weight", "rise": 3.0, "within_seconds": 619_200}]})
    };
    check(
        gain(),
        &[(BodyWeight, -3 * DAY, 81.9), (BodyWeight, 0, 84.3)],
        &["Weight 84.3 kg, 2.4 kg more than the 81.9 kg of 19 November (limit 2.0 kg in 3 days)."],
    );
    check(
        gain(),
        &[
            (BodyWeight, -6 * DAY, 81.0),
            (BodyWeight, -3 * DAY, 82.0),
            (BodyWeight, 0, 84.0),
        ],
        // Both limits: 2.0 of 2.0 and 3.0 of 3.0; the first wins a tie, the earlier reading is the onset.
        &[
            "Weight 84.0 kg, 2.0 kg more than the 82.0 kg of 19 November (limit 2.0 kg in 3 days); rising since \
             16 November.",
        ],
    );
    check(
        gain(),
        &[
            (BodyWeight, 0, 80.0),
            (BodyWeight, HOUR, 84.0),
            (BodyWeight, 2 * HOUR, 82.5),
        ],
        &[
            "Weight 82.5 kg, 2.5 kg more than the 80.0 kg of 08:00 GMT (limit 2.0 kg in 3 days); greatest rise 4.0 kg, \
             to 84.0 kg at 09:00 GMT.",
        ],
    );
    check(
        json!({"kind": "change", "changes": [{"metric": "systolic", "fall": 30.5, "within_seconds": 5400}]}),
        &[(Systolic, 0, 150.0), (Systolic, 60, 119.5), (Systolic, 70, 149.0)],
        &[
            "Systolic blood pressure 120 mmHg, 30.5 mmHg less than the 150 mmHg of 08:00 GMT (limit 30.5 mmHg in 1 hour \
             30 minutes); over since 09:10 GMT.",
        ],
    );
}

#[test]
fn rate() {
    let falling = || {
        json!({"kind": "rate", "metric": "glucose", "fall_per_minute": 0.17, "over_seconds": 960,
            "min_span_seconds": 540, "toward": 4.4, "ahead_seconds": 1200})
    };
    check(
        falling(),
        &[(Glucose, 2, 7.2), (Glucose, 12, 5.1)],
        &[
            "Glucose 5.1 mmol/L and falling by 0.21 mmol/L a minute since 08:02 GMT (limit 0.17); at this rate below \
             4.4 mmol/L within 20 minutes.",
        ],
    );
    check(
        falling(),
        &[
            (Glucose, 2, 8.1),
            (Glucose, 12, 5.1),
            (Glucose, 22, 3.3),
            (Glucose, 32, 3.3),
        ],
        &[
            "Glucose 3.3 mmol/L and falling since 08:02 GMT, now by 0.18 mmol/L a minute (limit 0.17); already below \
             4.4 mmol/L; fastest fall 0.30 mmol/L a minute at 08:12 GMT; over since 08:32 GMT.",
        ],
    );
    check(
        json!({"kind": "rate", "metric": "heart_rate", "rise_per_minute": 2.5, "over_seconds": 960,
            "min_span_seconds": 540, "toward": 150, "ahead_seconds": 600}),
        &[(HeartRate, 0, 100.0), (HeartRate, 10, 130.0)],
        &[
            "Heart rate 130 beats a minute and rising by 3.00 a minute since 08:00 GMT (limit 2.50); at \
             this rate above 150 beats a minute within 10 minutes.",
        ],
    );
}

#[test]
fn home_average() {
    let target = || {
        json!({"kind": "home_average", "limits": [{"metric": "systolic", "at_least": 135},
            {"metric": "diastolic", "at_least": 85}], "days": 7, "min_days": 4, "zone": "Europe/London"})
    };
    let mut readings = Vec::new();
    for day in 0..5 {
        for minute in [0, 2, 12 * HOUR] {
            readings.push((Systolic, day * DAY + minute, 142.0));
            readings.push((Diastolic, day * DAY + minute, 80.0));
        }
    }
    check(
        target(),
        &readings,
        &[
            "Average home systolic blood pressure 142 mmHg over 12 readings on 4 days after the first, at or above \
             135 mmHg since 23 November.",
        ],
    );
    let sparse = [(0, 150.0), (1, 160.0), (2, 150.0), (3, 139.0), (3, 135.0)];
    let sparse = (0_i64..)
        .zip(sparse)
        .map(|(minute, (day, value))| (Systolic, day * DAY + minute, value));
    check(
        target(),
        &sparse.collect::<Vec<_>>(),
        &[
            "Average home systolic blood pressure 146 mmHg over 4 readings on 3 days after the first, at or above \
             135 mmHg since 23 November; 2 of these days have fewer than two readings; highest average 150 mmHg on \
             25 November.",
        ],
    );
    let two_days = json!({"kind": "home_average", "limits": [{"metric": "diastolic", "at_least": 85}], "days": 2,
        "min_days": 2, "zone": "Europe/London"});
    check(
        two_days,
        // Half an hour after midnight of a June night in London.
        &[
            (Diastolic, -172 * DAY, 84.0),
            (Diastolic, -172 * DAY + 15 * HOUR + 30, 85.2),
        ],
        &[
            "Average home diastolic blood pressure 85 mmHg over 1 reading on 1 day after the first, at or above 85 mmHg \
             since 4 June; 1 of these days has fewer than two readings.",
        ],
    );
}

#[test]
fn time_in_range() {
    let target = |figures: Value| {
        json!({"kind": "time_in_range", "metric": "glucose", "figures": figures, "days": 14,
            "min_active_percent": 98, "interval_seconds": 300, "zone": "Europe/London"})
    };
    let in_range = json!({"from": 3.9, "to": 10.0, "under_percent": 70});
    let low = json!({"below": 3.0, "over_percent": 1});
    // Fourteen days of 284 readings, and the one that has them judged.
    let series = |high: i64| -> Vec<_> {
        let reading = |n: i64| {
            let value = if n % 284 < high { 12.0 } else { 7.0 };
            (Glucose, (n / 284 - 14) * DAY - 8 * HOUR + 5 * (n % 284), value)
        };
        (0..14 * 284).map(reading).chain([(Glucose, 0, 7.0)]).collect()
    };
    for figures in [json!([in_range]), json!([low, in_range])] {
        check(
            target(figures),
            &series(111),
            &[
                "61 % of 3,976 glucose readings of the 14 days before 22 November between 3.9 and 10.0 mmol/L, under 70 % \
                 (sensor active 99 %); off target since 22 November.",
            ],
        );
    }
    check(
        target(json!([{"above": 10.0, "over_percent": 30.2, "clear": 25}])),
        &series(86),
        &[
            "30.3 % of 3,976 glucose readings of the 14 days before 22 November above 10.0 mmol/L, over 30.2 % (sensor \
             active 99 %); off target since 22 November.",
        ],
    );
}

#[test]
fn news2() {
    let score = |scale| json!({"kind": "news2", "scale": scale, "total_at_least": 5, "single_at_least": 3, "window_seconds": 900});
    let healthy = [
        (HeartRate, 5, 72.0),
        (Spo2, 5, 97.0),
        (BodyTemperature, 5, 36.8),
        (Systolic, 5, 125.0),
        (Consciousness, 5, 0.0),
    ];
    let with = |more: &[(Metric, i64, f64)]| [&healthy[..], more].concat();
    check(
        score(1),
        &with(&[(RespiratoryRate, 5, 8.0), (SupplementalOxygen, 5, 2.0)]),
        &["NEWS2 5 (respirations 3, air or oxygen 2), 5 or more since 08:05 GMT."],
    );
    check(
        score(1),
        &[
            (RespiratoryRate, 5, 22.0),
            (Spo2, 5, 91.0),
            (HeartRate, 5, 95.0),
            (SupplementalOxygen, 5, 0.0),
        ],
        &[
            "NEWS2 at least 6 (respirations 2, oxygen saturation 3, pulse 1; without systolic blood pressure, \
             consciousness and temperature), 5 or more since 08:05 GMT.",
        ],
    );
    check(
        score(1),
        &[(Consciousness, 5, 1.0)],
        &[
            "NEWS2 at least 3 (consciousness 3; without respirations, oxygen saturation, air or oxygen, systolic blood \
             pressure, pulse and temperature), 3 in one parameter since 08:05 GMT.",
        ],
    );
    check(
        score(2),
        &with(&[
            (RespiratoryRate, 5, 25.0),
            (SupplementalOxygen, 5, 2.0),
            (RespiratoryRate, 10, 22.0),
            (RespiratoryRate, 30, 18.0),
            (SupplementalOxygen, 30, 0.0),
        ]),
        &[
            "NEWS2 on scale 2 7 (respirations 2, oxygen saturation 3, air or oxygen 2), 5 or more since 08:05 GMT; \
             highest 8 at 08:05 GMT.",
        ],
    );
}

#[test]
fn silence() {
    let silence =
        rule(json!({"kind": "silence", "metric": "glucose", "expected_every_seconds": 10_800, "times": 2}));
    let told = |figure, cleared_at, detail: Option<&Value>| {
        let last = Mark::of(point(Glucose, -170, 6.2), figure);
        let about = About {
            onset: last,
            latest: last,
            worst: last,
            detail,
            cleared_at,
        };
        explain(&silence, &about)
    };
    let check = |figure, cleared_at, expected: &str| {
        assert_eq!(told(figure, cleared_at, None), expected);
        let detail = json!({"last_at": minute(-170)});
        assert_eq!(told(figure, cleared_at, Some(&detail)), expected);
    };
    let open = "No glucose reading for 6 hours, expected every 3 hours; the last at 05:10 GMT.";
    check(Some(21_600.0), None, open);
    check(Some(21_642.5), None, open);
    check(None, None, open);
    check(
        Some(108_000.0),
        None,
        "No glucose reading for 30 hours, expected every 3 hours; the last at 05:10 GMT on 22 November.",
    );
    check(
        Some(21_600.0),
        Some(minute(4 * HOUR + 30)),
        "No glucose reading for 7 hours 20 minutes, expected every 3 hours; from 05:10 to 12:30 GMT.",
    );
    assert_eq!(
        told(Some(21_600.0), None, Some(&json!({"last_at": null}))),
        "No glucose reading for 6 hours, expected every 3 hours; none since the rule began at 05:10 GMT."
    );
}

#[test]
fn an_old_episode_without_detail_says_less() {
    let check = |condition: Value, latest: (Metric, f64, Option<f64>), expected: &str| {
        let (metric, value, figure) = latest;
        let at = |minute| Mark::of(point(metric, minute, value), figure);
        let about = About {
            onset: at(0),
            latest: at(15),
            worst: at(15),
            detail: None,
            cleared_at: None,
        };
        assert_eq!(explain(&rule(condition), &about), expected);
    };
    let change = |metric| json!({"metric": metric, "rise": 2.0, "within_seconds": 3600});
    check(
        json!({"kind": "change", "changes": [change("body_weight"), change("glucose")]}),
        (BodyWeight, 84.3, Some(2.4)),
        "Weight 84.3 kg, 2.4 kg more than before (limit 2.0 kg in 1 hour); rising since 08:00 GMT.",
    );
    check(
        json!({"kind": "change", "changes": [change("body_weight"), change("body_weight")]}),
        (BodyWeight, 84.3, Some(2.4)),
        "Weight 84.3 kg at 08:15 GMT.",
    );
    check(
        json!({"kind": "rate", "metric": "glucose", "fall_per_minute": 0.17, "over_seconds": 960,
            "min_span_seconds": 540, "toward": 4.4, "ahead_seconds": 1200}),
        (Glucose, 5.1, Some(0.2)),
        "Glucose 5.1 mmol/L and falling by 0.20 mmol/L a minute since 08:00 GMT (limit 0.17); at this rate below \
         4.4 mmol/L within 20 minutes.",
    );
    check(
        json!({"kind": "home_average", "limits": [{"metric": "systolic", "at_least": 135}], "days": 7, "min_days": 4,
            "zone": "Europe/London"}),
        (Systolic, 150.0, Some(134.9995)),
        "Systolic blood pressure 150 mmHg at 08:15 GMT.",
    );
    check(
        json!({"kind": "home_average", "limits": [{"metric": "systolic", "above": 135}], "days": 7, "min_days": 4,
            "zone": "Europe/London"}),
        (Systolic, 150.0, Some(135.25)),
        "Average home systolic blood pressure 135.2 mmHg, above 135 mmHg since 22 November.",
    );
    check(
        json!({"kind": "time_in_range", "metric": "glucose", "figures": [{"below": 3.0, "over_percent": 1}],
            "days": 1, "min_active_percent": 70, "interval_seconds": 300, "zone": "Europe/London"}),
        (Glucose, 6.0, Some(1.5)),
        "2 % of the glucose readings of the day before 22 November below 3.0 mmol/L, over 1 %; off target since \
         22 November.",
    );
    check(
        json!({"kind": "news2", "scale": 1, "total_at_least": 5}),
        (HeartRate, 140.0, Some(6.0)),
        "NEWS2 at least 6, 5 or more since 08:00 GMT.",
    );
    check(
        json!({"kind": "news2", "scale": 1, "total_at_least": 5}),
        (HeartRate, 140.0, None),
        "Heart rate 140 beats a minute at 08:15 GMT.",
    );
    check(
        json!({"kind": "threshold", "limits": [{"metric": "glucose", "below": 3.0}]}),
        (IrregularPulse, 1.0, None),
        "Irregular pulse at 08:15 GMT.",
    );
}
