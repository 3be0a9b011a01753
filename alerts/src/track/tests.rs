use homeward_record::Metric::{Glucose, HeartRate, Steps};
use serde_json::json;

use super::*;
use crate::checkpoints::LONGEST;
use crate::testing::{delayed, minute, rule};

fn below(limit: f64) -> Definition {
    rule(json!({"kind": "threshold", "limits": [{"metric": "glucose", "below": limit}]}))
}

fn version(id: i64, from: i64, until: Option<i64>, definition: Definition) -> Version {
    Version {
        id,
        from: minute(from),
        until: until.map(minute),
        definition,
    }
}

fn glucose(minutes: i64, value: f64) -> Observation {
    delayed(Glucose, minutes, value, 1)
}

/// The version, onset and end of episodes, in minutes.
fn told(judged: &Judged) -> Vec<(i64, i64, Option<i64>)> {
    let minutes = |at: DateTime<Utc>| (at - minute(0)).num_minutes();
    let episodes = judged.episodes.iter();
    episodes
        .map(|e| (e.version, minutes(e.onset.at), e.cleared_at.map(minutes)))
        .collect()
}

#[test]
fn a_change_of_the_plan_judges_what_arrives_from_then_on() {
    let versions = vec![
        version(1, -600, Some(100), below(3.0)),
        version(2, 100, None, below(4.0)),
    ];
    let mut track = Track::new(versions, Vec::new());
    let before = [glucose(0, 5.0), glucose(50, 3.5), glucose(90, 3.5)];
    assert_eq!(told(&track.judge(&before)), []);
    assert_eq!(told(&track.judge(&[glucose(110, 3.5)])), [(2, 110, None)]);

    // One from between turns up late: what came before the change is judged as it was then, and this one by
    // the present version, since it arrives now.
    let late = delayed(Glucose, 60, 3.6, 100);
    let Some(Again::After(after)) = track.go_back(&[late]) else {
        panic!("within the allowed lateness")
    };
    let mut again = vec![before[0], before[1], late, before[2], glucose(110, 3.5)];
    again.retain(|observation| observation.at > after);
    assert_eq!(told(&track.judge(&again)), [(2, 60, Some(90)), (2, 110, None)]);
}

#[test]
fn a_version_that_has_another_condition_goes_on_with_the_open_episode() {
    let high = rule(
        json!({"kind": "repeated", "times": 2, "of": 3, "within_seconds": 86_400,
        "limits": [{"metric": "glucose", "above": 10.0}]}),
    );
    let versions = vec![
        version(1, -600, Some(100), below(3.0)),
        version(2, 100, None, high),
    ];
    let mut track = Track::new(versions, Vec::new());
    assert_eq!(told(&track.judge(&[glucose(50, 2.0)])), [(1, 50, None)]);
    assert_eq!(told(&track.judge(&[glucose(110, 2.0)])), [(1, 50, Some(110))]);
}

#[test]
fn a_rule_that_was_taken_out_judges_nothing() {
    let mut track = Track::new(vec![version(1, -600, Some(100), below(3.0))], Vec::new());
    assert_eq!(told(&track.judge(&[glucose(110, 2.0)])), []);
}

#[test]
fn what_was_open_ends_when_the_rule_is_taken_out_whether_it_comes_back_or_not() {
    let out = vec![version(1, -600, Some(100), below(3.0))];
    let back = [&out[..], &[version(2, 200, None, below(3.0))]].concat();
    let replaced = [&out[..], &[version(2, 100, None, below(3.0))]].concat();
    // Nothing arrives while it is out, or something does.
    let (none, some) = ([].as_slice(), [glucose(150, 2.0)]);
    for (versions, meanwhile, expected) in [
        (&out, none, vec![(1, 50, Some(100))]),
        (&back, none, vec![(1, 50, Some(100)), (2, 210, None)]),
        (&back, &some, vec![(1, 50, Some(100)), (2, 210, None)]),
        (&replaced, none, vec![(1, 50, None)]),
    ] {
        let mut track = Track::new(versions.clone(), Vec::new());
        let readings = [&[glucose(50, 2.0)], meanwhile, &[glucose(210, 2.0)]].concat();
        assert_eq!(told(&track.judge(&readings)), expected);
        let late = delayed(Glucose, 40, 2.0, 1);
        let Some(Again::After(_)) = track.go_back(&[late]) else {
            panic!("within the allowed lateness")
        };
        let again = [&[late], &readings[..]].concat();
        let mut earlier = expected.clone();
        earlier[0].1 = 40;
        assert_eq!(told(&track.judge(&again)), earlier);
    }
}

#[test]
fn a_new_rule_raises_nothing_for_what_was_there_before_it_and_knows_it() {
    let twice = rule(
        json!({"kind": "repeated", "times": 2, "of": 3, "within_seconds": 86_400,
        "limits": [{"metric": "glucose", "below": 3.0}]}),
    );
    let mut track = Track::new(vec![version(1, 0, None, twice)], Vec::new());
    assert_eq!(track.resume_after(), minute(-24 * 60));
    let before = [glucose(-60, 2.0), glucose(-50, 2.0), glucose(-40, 5.0)];
    assert_eq!(told(&track.judge(&before)), []);
    assert_eq!(told(&track.judge(&[glucose(10, 2.0)])), [(1, -50, None)]);
}

#[test]
fn what_has_a_part_of_its_window_alone_raises_nothing_when_a_rule_starts_anew() {
    let rising = rule(
        json!({"kind": "rate", "metric": "glucose", "rise_per_minute": 0.1, "over_seconds": 1200,
        "min_span_seconds": 600, "toward": 10.0, "ahead_seconds": 600}),
    );
    let readings = [
        glucose(10, 8.6),
        glucose(20, 8.2),
        glucose(30, 9.2),
        glucose(40, 9.3),
    ];
    let mut track = Track::new(vec![version(1, -600, None, rising)], Vec::new());
    assert_eq!(told(&track.judge(&readings)), []);
    // One of the 31st minute was in error. From there, 20 minutes back there is no reading of the tenth.
    assert_eq!(judge_anew(&mut track, 31, &readings), (3, Vec::new()));
}

/// Judges readings anew from just before a minute. Answers how many were judged, and the episodes.
fn judge_anew(track: &mut Track, from: i64, readings: &[Observation]) -> (usize, Vec<Episode>) {
    let before = minute(from) - TimeDelta::microseconds(1);
    let Again::Anew(after, since) = track.start_anew(before) else {
        panic!("it starts anew")
    };
    let own: Vec<_> = readings
        .iter()
        .filter(|reading| reading.at > after)
        .copied()
        .collect();
    (own.len(), track.judge_again(&own, Some(since)))
}

#[test]
fn a_run_that_was_none_is_not_gone_on_with_when_a_rule_starts_anew() {
    let at_rest = rule(
        json!({"kind": "sustained", "for_seconds": 900, "max_gap_seconds": 600, "clear_after_seconds": 1800,
        "limits": [{"metric": "heart_rate", "above": 120.0, "clear": 110.0}],
        "unless": {"metric": "steps", "above": 0.0, "within_seconds": 600}}),
    );
    // Steps just before the part of the past that is judged forbid the first eight minutes of its run, so that it was
    // none of a quarter of an hour.
    let heart_rate = |minutes, value| delayed(HeartRate, minutes, value, 0);
    let mut readings: Vec<_> = (1..=17).map(|minutes| heart_rate(minutes, 130.0)).collect();
    readings.insert(0, delayed(Steps, -1, 30.0, 0));
    readings.extend([
        heart_rate(18, 100.0),
        heart_rate(37, 130.0),
        heart_rate(41, 100.0),
    ]);
    let mut track = Track::new(vec![version(1, -600, None, at_rest)], Vec::new());
    assert_eq!(track.judge(&readings).episodes, []);
    assert_eq!(judge_anew(&mut track, 35, &readings), (20, Vec::new()));
    // What is remembered of before rests on that part alone: nothing is judged again with it.
    let again = track.go_back(&[heart_rate(30, 130.0)]);
    assert!(matches!(again, Some(Again::Apart(..))), "{again:?}");
    let again = track.go_back(&[heart_rate(36, 130.0)]);
    assert!(matches!(again, Some(Again::After(_))), "{again:?}");
}

#[test]
fn a_run_of_breaches_is_judged_anew_with_what_forbade_the_first_of_them() {
    let at_rest = rule(
        json!({"kind": "sustained", "for_seconds": 600, "max_gap_seconds": 300,
        "limits": [{"metric": "heart_rate", "above": 120.0}],
        "unless": {"metric": "steps", "above": 0.0, "within_seconds": 600}}),
    );
    // Steps in the eighth minute: a fast heart is one at rest from the nineteenth on.
    let mut readings: Vec<_> = (0..40)
        .map(|minute| delayed(HeartRate, minute, 130.0, 0))
        .collect();
    readings.insert(8, delayed(Steps, 8, 20.0, 0));
    readings.sort_by_key(Observation::key);
    let mut track = Track::new(vec![version(1, -600, None, at_rest)], Vec::new());
    let plain = track.judge(&readings).episodes;
    assert_eq!(plain.len(), 1);

    assert_eq!(judge_anew(&mut track, 24, &readings).1, plain);
}

#[test]
fn checkpoints_stay_few_and_reach_back_a_day() {
    let mut track = Track::new(vec![version(1, -600, None, below(3.0))], Vec::new());
    for day in 0..10 {
        for minutes in 0..24 * 60 {
            track.judge(&[glucose(day * 24 * 60 + minutes, 5.0)]);
        }
        let checkpoints = track.checkpoints();
        let latest = track.latest.unwrap();
        assert!(checkpoints.len() <= 12, "{} checkpoints", checkpoints.len());
        assert!(latest - checkpoints[0].at >= ALLOWED_LATENESS);
        assert!(latest - checkpoints.last().unwrap().at <= LONGEST);
        assert!(checkpoints.is_sorted_by_key(|checkpoint| checkpoint.at));
    }
}

#[test]
fn what_comes_after_more_than_a_day_is_judged_apart() {
    let mut track = Track::new(vec![version(1, -600, None, below(3.0))], Vec::new());
    let week: Vec<_> = (0..7 * 24).map(|hour| glucose(hour * 60, 5.0)).collect();
    assert_eq!(told(&track.judge(&week)), []);
    let before = track.clone();
    let late = delayed(Glucose, 90, 2.0, 9_000);
    let Some(Again::Apart(after, until)) = track.go_back(&[late]) else {
        panic!("beyond the allowed lateness")
    };
    assert!(after < late.at && until > late.at);
    let around = [week[1], late, week[2], week[3]];
    let episodes = track.judge_apart(&around, &[late]);
    assert_eq!((episodes.len(), episodes[0].cleared_at), (1, Some(week[2].at)));
    assert_eq!(track.memory(), before.memory());
    assert_eq!(track.checkpoints(), before.checkpoints());
}
