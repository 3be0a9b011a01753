//! Early warning scores with a parameter missing: "at least so much", which raises and never clears.

use homeward_record::Metric;
use serde_json::{Value, json};

use super::news2::{Reading, healthy, rule, vitals};
use crate::testing::{Judged, judge, minute};

/// The parameters in the order of the chart, with a value of each that scores.
const SCORING: [(Metric, f64); 7] = [
    (Metric::RespiratoryRate, 21.0),
    (Metric::Spo2, 93.0),
    (Metric::SupplementalOxygen, 2.0),
    (Metric::Systolic, 95.0),
    (Metric::HeartRate, 115.0),
    (Metric::Consciousness, 1.0),
    (Metric::BodyTemperature, 39.5),
];

fn without(metrics: &[Metric], mut readings: Vec<Reading>) -> Vec<Reading> {
    readings.retain(|(metric, ..)| !metrics.contains(metric));
    readings
}

fn detail(episode: &Judged) -> &Value {
    episode.detail.as_ref().unwrap()
}

fn missing(episode: &Judged) -> Vec<String> {
    serde_json::from_value(detail(episode)["missing"].clone()).unwrap()
}

/// The only episode of a rule that raises from this total on.
fn only(scale: u8, total_at_least: u8, readings: &[Reading]) -> Judged {
    let mut episodes = judge(rule(scale, &json!({"total_at_least": total_at_least})), readings);
    assert_eq!(episodes.len(), 1);
    episodes.remove(0)
}

#[test]
fn a_complete_score_says_its_parts() {
    let episode = only(1, 7, &vitals(1, minute(0), &SCORING));
    assert_eq!(episode.figure, Some(15.0));
    assert_eq!(
        detail(&episode),
        &json!({
            "scale": 1,
            "scores": {
                "respiratory_rate": 2,
                "spo2": 2,
                "supplemental_oxygen": 2,
                "systolic": 2,
                "heart_rate": 2,
                "consciousness": 3,
                "body_temperature": 2,
            },
            "missing": [],
        })
    );
    assert_eq!(episode.latest.metric, Metric::Consciousness, "the highest score");
}

#[test]
fn each_missing_parameter_scores_nothing_and_is_named() {
    for (metric, _) in SCORING {
        let readings = without(&[metric], vitals(1, minute(0), &SCORING));
        let episode = only(1, 7, &readings);
        let lost = if metric == Metric::Consciousness { 3.0 } else { 2.0 };
        assert_eq!(episode.figure, Some(15.0 - lost), "without {metric}");
        assert_eq!(missing(&episode), [metric.name()]);
        assert_eq!(detail(&episode)["scores"].get(metric.name()), None);
    }
}

#[test]
fn at_least_so_much_does_not_clear() {
    for (absent, _) in SCORING {
        let mut readings = vitals(1, minute(0), &SCORING);
        // An hour later all is well, as far as is known.
        readings.extend(without(&[absent], healthy(1, minute(60))));
        assert_eq!(only(1, 7, &readings).cleared_at, None, "without {absent}");
        readings.extend(healthy(1, minute(120)));
        assert_eq!(only(1, 7, &readings).cleared_at, Some(minute(120)));
    }
}

#[test]
fn sets_whose_values_come_one_by_one_clear_with_heart_rates_alone_in_between() {
    // Seven values a minute apart, from each of these minutes: at 08:00, 14:00 and 15:10.
    let set = |values: &[Reading], from| -> Vec<Reading> {
        let with_minutes = values.iter().zip(from..);
        with_minutes
            .map(|((metric, _, value), minutes)| (*metric, minute(minutes), *value))
            .collect()
    };
    let ill = vitals(1, minute(0), &SCORING);
    let well = healthy(1, minute(0));
    let mut hourly = rule(1, &json!({"total_at_least": 7, "clear_total": 5}));
    hourly["clear_after_seconds"] = json!(3600);
    for (heart_rate, cleared) in [
        // Complete at 14:06, and an hour later, at 15:16, again.
        (70.0, Some(minute(436))),
        // A heart rate that scores 3 is not above the total at which it clears.
        (131.0, Some(minute(436))),
    ] {
        let mut readings = set(&ill, 0);
        readings.extend(set(&well, 360));
        let between = (375..430).step_by(5);
        readings.extend(between.map(|minutes| (Metric::HeartRate, minute(minutes), heart_rate)));
        readings.extend(set(&well, 430));
        let episodes = judge(hourly.clone(), &readings);
        assert_eq!(episodes.len(), 1);
        assert_eq!(episodes[0].cleared_at, cleared, "heart rate {heart_rate}");
    }
}

#[test]
fn an_incomplete_score_above_the_total_at_which_it_clears_begins_the_time_anew() {
    let mut hourly = rule(1, &json!({"total_at_least": 7, "clear_total": 2}));
    hourly["clear_after_seconds"] = json!(3600);
    let mut readings = vitals(1, minute(0), &SCORING);
    readings.extend(healthy(1, minute(60)));
    readings.push((Metric::HeartRate, minute(90), 131.0));
    readings.extend(healthy(1, minute(120)));
    assert_eq!(judge(hourly.clone(), &readings)[0].cleared_at, None);
    readings.extend(healthy(1, minute(180)));
    assert_eq!(judge(hourly, &readings)[0].cleared_at, Some(minute(180)));
}

#[test]
fn one_reading_that_scores_is_enough_to_raise() {
    let readings = [(Metric::RespiratoryRate, minute(0), 25.0)];
    let episode = only(1, 3, &readings);
    assert_eq!(episode.figure, Some(3.0));
    assert_eq!(missing(&episode).len(), 6);
    assert_eq!(
        judge(rule(1, &json!({"single_at_least": 3})), &readings).len(),
        1,
        "a single 3 needs no other parameter"
    );
    assert_eq!(judge(rule(1, &json!({"total_at_least": 4})), &readings).len(), 0);
}

#[test]
fn a_reading_counts_for_the_window_and_no_longer() {
    for (later, expected) in [(15, Some(minute(15))), (16, None)] {
        let mut readings = vec![(Metric::RespiratoryRate, minute(0), 25.0)];
        readings.extend(without(&[Metric::RespiratoryRate], healthy(1, minute(later))));
        let latest = only(1, 3, &readings).latest.at;
        assert_eq!(latest, expected.unwrap_or(minute(0)), "after {later} minutes");
        // Without the respirations the score at that moment is incomplete, with them it is 3.
        let cleared = only(1, 3, &readings).cleared_at;
        assert_eq!(cleared, None);
    }
}

#[test]
fn of_two_readings_of_a_parameter_the_later_counts() {
    let mut readings = vec![(Metric::RespiratoryRate, minute(0), 25.0)];
    readings.extend(healthy(1, minute(5)));
    assert_eq!(only(1, 3, &readings).cleared_at, Some(minute(5)));
}

#[test]
fn parameters_may_come_one_by_one_within_the_window() {
    let one_by_one = SCORING.iter().zip(0..);
    let readings: Vec<Reading> = one_by_one
        .map(|((metric, value), minutes)| (*metric, minute(minutes), *value))
        .collect();
    let episode = only(1, 15, &readings);
    assert_eq!(episode.onset.at, minute(6));
    assert_eq!(missing(&episode), Vec::<String>::new());
    // With a window of five minutes they never stand together.
    let mut short = rule(1, &json!({"total_at_least": 15}));
    short["window_seconds"] = json!(300);
    assert_eq!(judge(short, &readings).len(), 0);
}

#[test]
fn scale_2_does_not_guess_what_a_high_saturation_means_without_oxygen_known() {
    let readings = |spo2| {
        let readings = vitals(2, minute(0), &[(Metric::Spo2, spo2), (Metric::HeartRate, 95.0)]);
        without(&[Metric::SupplementalOxygen], readings)
    };
    // From 93 % on the score is one of air or of oxygen.
    for spo2 in [93.0, 95.0, 97.0, 100.0] {
        let episode = only(2, 1, &readings(spo2));
        assert_eq!(episode.figure, Some(1.0), "{spo2} %");
        assert_eq!(missing(&episode), ["spo2", "supplemental_oxygen"], "{spo2} %");
    }
    // Below, it is the same on both.
    for (spo2, total) in [(92.0, 1.0), (88.0, 1.0), (87.0, 2.0), (85.0, 3.0), (83.0, 4.0)] {
        let episode = only(2, 1, &readings(spo2));
        assert_eq!(episode.figure, Some(total), "{spo2} %");
        assert_eq!(missing(&episode), ["supplemental_oxygen"], "{spo2} %");
    }
    // Scale 1 never asks.
    let scale_1 = without(
        &[Metric::SupplementalOxygen],
        vitals(1, minute(0), &[(Metric::Spo2, 95.0)]),
    );
    let episode = only(1, 1, &scale_1);
    assert_eq!(
        (episode.figure, missing(&episode)),
        (Some(1.0), vec!["supplemental_oxygen".into()])
    );
}

#[test]
fn scale_2_does_not_clear_on_a_high_saturation_without_oxygen_known() {
    let mut readings = vitals(2, minute(0), &SCORING);
    let unknown = without(
        &[Metric::SupplementalOxygen],
        vitals(2, minute(60), &[(Metric::Spo2, 95.0)]),
    );
    readings.extend(unknown);
    assert_eq!(only(2, 7, &readings).cleared_at, None);
    // Oxygen is said within the window: on air, 95 % scores nothing.
    readings.push((Metric::SupplementalOxygen, minute(70), 0.0));
    assert_eq!(only(2, 7, &readings).cleared_at, Some(minute(70)));
}

#[test]
fn a_total_clears_one_below_its_bound_or_where_the_rule_says() {
    let at_total = |total: u8, at| match total {
        5 => vitals(
            1,
            at,
            &[(Metric::RespiratoryRate, 21.0), (Metric::Consciousness, 1.0)],
        ),
        6 => vitals(
            1,
            at,
            &[(Metric::RespiratoryRate, 25.0), (Metric::Consciousness, 1.0)],
        ),
        _ => healthy(1, at),
    };
    let mut readings = vitals(1, minute(0), &SCORING);
    readings.extend(at_total(6, minute(60)));
    readings.extend(at_total(5, minute(120)));
    readings.extend(at_total(0, minute(180)));
    for (more, cleared) in [
        (json!({"total_at_least": 7}), 60),
        (json!({"total_at_least": 7, "clear_total": 5}), 120),
        (json!({"total_at_least": 7, "clear_total": 4}), 180),
        // Both bounds: the 3 of consciousness holds it.
        (json!({"total_at_least": 7, "single_at_least": 3}), 180),
    ] {
        let episodes = judge(rule(1, &more), &readings);
        assert_eq!(episodes.len(), 1, "{more}");
        assert_eq!(episodes[0].cleared_at, Some(minute(cleared)), "{more}");
        assert_eq!(episodes[0].worst_figure, Some(15.0), "{more}");
    }
}
