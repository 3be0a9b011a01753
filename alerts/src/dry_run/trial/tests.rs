use serde_json::json;

use super::*;
use crate::testing::{delayed, minute, rule};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

fn low(code: &str, below: f64) -> TrialRule {
    let limits = json!([{"metric": "glucose", "below": below}]);
    TrialRule {
        code: code.into(),
        definition: Arc::new(rule(json!({"kind": "threshold", "limits": limits}))),
    }
}

fn glucose(minutes: i64, value: f64) -> Observation {
    delayed(Metric::Glucose, minutes, value, 1)
}

/// The outcome of a history that is judged at once, with the time beginning at minute 0.
fn outcome(proposed: &[TrialRule], current: &[TrialRule], history: &[Observation]) -> Outcome {
    let mut trial = Trial::new(PatientId(1), proposed, current, minute(0));
    trial.judge(history);
    trial.outcome()
}

/// When episodes were raised and cleared, in minutes, and whether they are in both.
fn episodes(tried: Option<&Tried>) -> Vec<(i64, Option<i64>, bool)> {
    let minutes = |at: DateTime<Utc>| (at - minute(0)).num_minutes();
    let tried = tried.unwrap();
    tried
        .episodes
        .iter()
        .map(|TriedEpisode { episode, in_both }| {
            let cleared = episode.cleared_at.map(minutes);
            (minutes(episode.met_at), cleared, *in_both)
        })
        .collect()
}

#[test]
fn only_what_is_raised_within_the_time_counts() {
    let rules = [low("low", 3.9)];
    let lasting = [(-2 * HOUR, 3.5), (5, 3.4), (10, 5.0), (20, 3.6)];
    let history = lasting.map(|(minutes, value)| glucose(minutes, value));
    let outcome = outcome(&rules, &[], &history);
    assert_eq!(episodes(outcome.rules[0].proposed.as_ref()), [(20, None, false)]);
    assert_eq!(outcome.readings, 4);
    assert_eq!(outcome.rules[0].current, None);
}

#[test]
fn what_another_rule_looks_back_at_changes_nothing() {
    let rise = json!({
        "kind": "change", "changes": [{"metric": "glucose", "rise": 30.0, "within_seconds": 604_800}],
    });
    let rise = TrialRule {
        code: "rise".into(),
        definition: Arc::new(rule(rise)),
    };
    let trial = Trial::new(PatientId(1), &[low("low", 3.9)], &[], minute(0));
    assert_eq!(trial.read_from(), minute(-DAY));
    let trial = Trial::new(
        PatientId(1),
        &[low("low", 3.9)],
        std::slice::from_ref(&rise),
        minute(0),
    );
    assert_eq!(trial.read_from(), minute(-7 * DAY));
    // By what is read for the other rule alone, the episode has begun before the time.
    let history = [(-DAY - 1, 3.5), (5, 3.5)].map(|(minutes, value)| glucose(minutes, value));
    let outcome = outcome(&[low("low", 3.9)], &[rise], &history);
    assert_eq!(episodes(outcome.rules[0].proposed.as_ref()), [(5, None, false)]);
}

#[test]
fn episodes_of_one_code_that_overlap_are_in_both_plans() {
    let (proposed, current) = ([low("low", 3.9), low("new", 3.9)], [low("low", 3.0)]);
    let history = [
        // The present plan has this one too, later and shorter.
        (0, 3.8),
        (5, 2.8),
        (10, 3.2),
        (15, 2.9),
        (20, 5.0),
        // This one it has not.
        (60, 3.5),
        (65, 5.0),
    ];
    let history = history.map(|(minutes, value)| glucose(minutes, value));
    let outcome = outcome(&proposed, &current, &history);
    let [low, new] = &outcome.rules[..] else {
        panic!("two codes");
    };
    let expected = [(0, Some(20), true), (60, Some(65), false)];
    assert_eq!(episodes(low.proposed.as_ref()), expected);
    let expected = [(5, Some(10), true), (15, Some(20), true)];
    assert_eq!(episodes(low.current.as_ref()), expected);
    let expected = [(0, Some(20), false), (60, Some(65), false)];
    assert_eq!(episodes(new.proposed.as_ref()), expected);
    assert_eq!((&*new.code, &new.current), ("new", &None));
}

#[test]
fn an_episode_that_the_other_plan_raised_before_the_time_is_in_both() {
    let history = [(-10, 3.5), (5, 2.5), (10, 5.0)];
    let history = history.map(|(minutes, value)| glucose(minutes, value));
    let outcome = outcome(&[low("low", 3.0)], &[low("low", 3.9)], &history);
    let rule = &outcome.rules[0];
    assert_eq!(episodes(rule.proposed.as_ref()), [(5, Some(10), true)]);
    assert_eq!(episodes(rule.current.as_ref()), []);
}

#[test]
fn an_episode_ends_before_the_next_begins() {
    let fall =
        json!({"kind": "change", "changes": [{"metric": "glucose", "fall": 1.0, "within_seconds": 600}]});
    let fall = TrialRule {
        code: "low".into(),
        definition: Arc::new(rule(fall)),
    };
    // The fall begins with the reading at which the other episode ends.
    let history = [(0, 3.0), (5, 6.0), (10, 5.0)].map(|(minutes, value)| glucose(minutes, value));
    let outcome = outcome(&[low("low", 3.9)], &[fall], &history);
    let rule = &outcome.rules[0];
    assert_eq!(episodes(rule.proposed.as_ref()), [(0, Some(5), false)]);
    assert_eq!(episodes(rule.current.as_ref()), [(10, None, false)]);
}

#[test]
fn rules_that_differ_in_words_alone_are_judged_once() {
    let proposed = low("low", 3.9);
    let mut renamed = proposed.definition.as_ref().clone();
    renamed.name = "Another name".to_owned();
    let current = TrialRule {
        code: "low".into(),
        definition: Arc::new(renamed),
    };
    let trial = Trial::new(PatientId(1), &[proposed], &[current], minute(0));
    assert_eq!(trial.runs.len(), 1);
    let outcome = outcome(&[low("low", 3.9)], &[low("low", 3.9)], &[glucose(0, 3.0)]);
    let rule = &outcome.rules[0];
    assert_eq!(episodes(rule.proposed.as_ref()), [(0, None, true)]);
    assert_eq!(rule.proposed, rule.current);
}

#[test]
fn a_patient_day_is_a_date_with_a_reading_of_the_rules_metrics() {
    let steps = json!({"kind": "threshold", "limits": [{"metric": "steps", "above": 50}]});
    let steps = TrialRule {
        code: "steps".into(),
        definition: Arc::new(rule(steps)),
    };
    // Minute 0 is 08:00 UTC.
    let history = [
        glucose(-1, 5.0),
        glucose(0, 5.0),
        glucose(16 * HOUR - 1, 5.0),
        glucose(16 * HOUR, 5.0),
        delayed(Metric::Steps, DAY + 1, 10.0, 0),
        delayed(Metric::HeartRate, 4 * DAY, 70.0, 0),
        delayed(Metric::Steps, 5 * DAY, 10.0, 0),
        glucose(7 * DAY, 5.0),
    ];
    let outcome = outcome(&[low("low", 3.9), steps], &[low("low", 3.9)], &history);
    let days = |index: usize| outcome.rules[index].proposed.as_ref().unwrap().days;
    assert_eq!((days(0), days(1)), (3, 2));
    assert_eq!((outcome.proposed_days, outcome.current_days), (4, 3));
}

#[test]
fn silence_is_not_tried() {
    let silence = json!({"kind": "silence", "metric": "glucose", "expected_every_seconds": 300, "times": 2});
    let silence = TrialRule {
        code: "silent".into(),
        definition: Arc::new(rule(silence)),
    };
    let trial = Trial::new(PatientId(1), std::slice::from_ref(&silence), &[], minute(0));
    assert!(trial.metrics().is_empty());
    let outcome = outcome(&[silence], &[], &[]);
    assert_eq!(outcome.rules[0].proposed, None);
}

#[test]
fn parts_of_any_size_give_the_same() {
    let wave = |step: i64| glucose(step * 5 - DAY, 5.0 + 3.0 * f64::from(step as i32 % 70 - 35).sin());
    let mut history: Vec<Observation> = (0..1_000).map(wave).collect();
    history.push(Observation {
        device: homeward_record::DeviceId(2),
        ..history[500]
    });
    history.sort_by_key(Observation::key);
    let sustained = json!({
        "kind": "sustained", "limits": [{"metric": "glucose", "below": 3.9}], "for_seconds": 600,
        "max_gap_seconds": 900,
    });
    let proposed = [TrialRule {
        code: "low".into(),
        definition: Arc::new(rule(sustained)),
    }];
    let current = [low("low", 3.0)];
    let whole = outcome(&proposed, &current, &history);
    assert!(whole.rules[0].proposed.as_ref().unwrap().episodes.len() > 10);
    let all: Vec<&[Observation]> = moments(&history).collect();
    for size in [1, 7, 300] {
        let mut trial = Trial::new(PatientId(1), &proposed, &current, minute(0));
        for part in all.chunks(size) {
            trial.judge(&part.concat());
        }
        assert_eq!(trial.outcome(), whole, "{size} moments at a time");
    }
}

#[test]
fn a_rule_that_raises_without_end_is_cut_off() {
    let most = i64::try_from(MOST_EPISODES).unwrap();
    let history: Vec<_> = (0..2 * most + 2)
        .map(|n| glucose(n, if n % 2 == 0 { 3.0 } else { 5.0 }))
        .collect();
    let outcome = outcome(&[low("low", 3.9)], &[], &history);
    let tried = outcome.rules[0].proposed.as_ref().unwrap();
    assert!(tried.cut_off);
    assert_eq!(tried.episodes.len(), MOST_EPISODES);
}
