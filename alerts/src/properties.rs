//! What holds of the engine for every rule and every series of readings.

use homeward_record::Metric;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::oracle::{self, Episode};
use crate::testing::{delayed, minute, rule};
use crate::{Definition, Effect, LATE_AFTER, Observation, Point, RuleState, step};

/// Rules over glucose and blood pressure, whose numbers the readings of [`series`] straddle.
fn any_rule() -> impl Strategy<Value = Definition> {
    let limits = prop_oneof![
        Just(json!([{"metric": "glucose", "below": 4, "clear": 5}])),
        Just(json!([{"metric": "glucose", "at_least": 6}])),
        Just(json!([
            {"metric": "glucose", "at_most": 3, "clear": 4},
            {"metric": "glucose", "above": 6, "clear": 6},
        ])),
        Just(json!([
            {"metric": "systolic", "at_least": 60, "clear": 50},
            {"metric": "diastolic", "above": 40},
        ])),
        Just(json!([{"metric": "glucose", "below": 4}, {"metric": "systolic", "at_least": 60}])),
    ];
    let minutes = |range: std::ops::Range<u32>| range.prop_map(|minutes| minutes * 60);
    (
        limits,
        any::<bool>(),
        minutes(1..60),
        minutes(1..45),
        prop_oneof![Just(0), minutes(1..40)],
    )
        .prop_map(|(limits, sustained, hold, max_gap, clear_after)| {
            rule(if sustained {
                json!({
                    "kind": "sustained", "limits": limits, "for_seconds": hold,
                    "max_gap_seconds": max_gap, "clear_after_seconds": clear_after,
                })
            } else {
                json!({"kind": "threshold", "limits": limits, "clear_after_seconds": clear_after})
            })
        })
}

/// Up to 60 readings, each so many minutes after the one before: in order if `steps` has none below zero.
/// Values of glucose are 2 to 7 and of pressure 30 to 70; they persist, so that spans come about.
fn series(steps: std::ops::Range<i64>) -> impl Strategy<Value = Vec<Observation>> {
    let metric = prop_oneof![
        3 => Just(Metric::Glucose),
        2 => Just(Metric::Systolic),
        2 => Just(Metric::Diastolic),
    ];
    let reading = (metric, steps, 2..=7_i32, 0..40_i64, 0..4_u8);
    proptest::collection::vec(reading, 0..60).prop_map(|readings| {
        let mut at = 0;
        let mut level = 4;
        let mut series = Vec::new();
        for (metric, step, new_level, delay, change) in readings {
            at += step;
            level = if change == 0 { new_level } else { level };
            let value = match metric {
                Metric::Glucose => f64::from(level),
                _ => f64::from(level) * 10.0,
            };
            series.push(delayed(metric, at, value, delay));
        }
        series
    })
}

fn in_order() -> impl Strategy<Value = Vec<Observation>> {
    series(0..25)
}

fn in_any_order() -> impl Strategy<Value = Vec<Observation>> {
    series(-40..60)
}

fn effects(rule: &Definition, series: &[Observation]) -> Vec<Vec<Effect>> {
    let mut state = RuleState::default();
    let mut all = Vec::new();
    for observation in series {
        let effects;
        (state, effects) = step(rule, state, observation);
        all.push(effects);
    }
    all
}

/// The episodes that effects on a series in order make, with every effect where it may be.
fn episodes(rule: &Definition, series: &[Observation], effects: &[Vec<Effect>]) -> Vec<Episode> {
    let number = |point: &Point| {
        let is_it = |observation: &Observation| observation.point() == *point;
        series.iter().position(is_it).expect("a reading of the series")
    };
    let mut episodes: Vec<Episode> = Vec::new();
    for (n, effect) in effects
        .iter()
        .enumerate()
        .flat_map(|(n, all)| all.iter().map(move |e| (n, e)))
    {
        let last = episodes.last_mut();
        match effect {
            Effect::Raise {
                onset, point, worst, ..
            } => {
                assert!(last.is_none_or(|last| last.cleared.is_some()), "two open at once");
                assert_eq!(series[n].point(), *point);
                episodes.push(Episode {
                    onset: number(onset),
                    raised: n,
                    latest: n,
                    worst: oracle::excess(rule, worst),
                    cleared: None,
                });
            }
            Effect::Continue { latest, worst } => {
                let last = last
                    .filter(|last| last.cleared.is_none())
                    .expect("an open episode");
                assert_eq!(series[n].point(), *latest);
                last.latest = n;
                last.worst = oracle::excess(rule, worst);
            }
            Effect::Clear { at } => {
                let last = last
                    .filter(|last| last.cleared.is_none())
                    .expect("an open episode");
                assert_eq!(series[n].point(), *at);
                last.cleared = Some(n);
            }
            Effect::BecameCurrent { .. } => {}
            Effect::Late { .. } | Effect::LateContinue { .. } => panic!("nothing was overtaken"),
        }
    }
    episodes
}

/// The times of episodes, since readings alike at one time cannot be told apart.
fn by_times(series: &[Observation], episodes: Vec<Episode>) -> Vec<Value> {
    let at = |n: usize| (series[n].at - minute(0)).num_minutes();
    let times = episodes.into_iter().map(|episode| {
        json!({
            "onset": at(episode.onset), "raised": episode.raised, "latest": at(episode.latest),
            "worst": episode.worst, "cleared": episode.cleared,
        })
    });
    times.collect()
}

fn seconds_of(rule: &Definition) -> i64 {
    match serde_json::to_value(&rule.condition).unwrap().get("for_seconds") {
        Some(seconds) => seconds.as_i64().unwrap(),
        None => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_oracle_agrees_on_episodes(rule in any_rule(), series in in_order()) {
        let effects = effects(&rule, &series);
        let found = by_times(&series, episodes(&rule, &series, &effects));
        prop_assert_eq!(found, by_times(&series, oracle::episodes(&rule, &series)));
    }

    #[test]
    fn episodes_open_and_clear_in_turn(rule in any_rule(), series in in_any_order()) {
        let mut open: Option<bool> = None;
        let mut late_onset = None;
        for (observation, effects) in series.iter().zip(effects(&rule, &series)) {
            let on_time = observation.received_at - observation.at <= LATE_AFTER;
            for effect in effects {
                match effect {
                    Effect::Raise { late, .. } => {
                        prop_assert_eq!(open, None, "two open at once");
                        prop_assert_eq!(late, !on_time);
                        open = Some(late);
                    }
                    Effect::Continue { .. } => prop_assert!(open.is_some()),
                    Effect::BecameCurrent { .. } => {
                        prop_assert_eq!(open, Some(true), "once, and of a late episode");
                        prop_assert!(on_time);
                        open = Some(false);
                    }
                    Effect::Clear { .. } => prop_assert!(open.take().is_some()),
                    Effect::Late { onset, .. } => late_onset = Some(onset.at),
                    Effect::LateContinue { onset_at, .. } => prop_assert_eq!(late_onset, Some(onset_at)),
                }
            }
        }
    }

    #[test]
    fn nothing_fires_before_its_duration(rule in any_rule(), series in in_any_order()) {
        let hold = seconds_of(&rule);
        for effect in effects(&rule, &series).into_iter().flatten() {
            if let Effect::Raise { onset, point: latest, .. } | Effect::Late { onset, latest, .. } = effect {
                prop_assert!((latest.at - onset.at).num_seconds() >= hold, "{onset:?} {latest:?}");
            }
        }
    }

    #[test]
    fn nothing_fires_across_a_gap(hold in 1..60_u32, beyond in 1..60_i64, series in in_order()) {
        // Every reading is further from the one before it than the rule allows.
        let gap = i64::from(hold);
        let rule = rule(json!({
            "kind": "sustained", "limits": [{"metric": "glucose", "below": 6}, {"metric": "systolic", "above": 40}],
            "for_seconds": hold * 60, "max_gap_seconds": gap * 60,
        }));
        let sparse: Vec<Observation> = series
            .iter()
            .zip(0..)
            .map(|(observation, n)| delayed(observation.metric, n * (gap + beyond), observation.value, 1))
            .collect();
        prop_assert!(effects(&rule, &sparse).iter().all(Vec::is_empty));
    }

    #[test]
    fn a_state_can_be_dropped_at_any_point(
        rule in any_rule(),
        series in in_any_order(),
        drops in proptest::collection::vec(0..4_u8, 60),
    ) {
        let undisturbed = effects(&rule, &series);
        let metrics = rule.metrics();
        let mut saved: Option<String> = None;
        let mut latest = None;
        let mut state = RuleState::default();
        let mut before = state.clone();
        for ((observation, expected), drop) in series.iter().zip(undisturbed).zip(drops) {
            let effects;
            (state, effects) = step(&rule, state, observation);
            prop_assert_eq!(effects, expected);
            if metrics.contains(&observation.metric) {
                latest = latest.max(Some(observation.at));
            }
            // A batch ends here, and in some cases the worker as well.
            if drop <= 1 {
                if state.needs_saving(&before) {
                    saved = Some(serde_json::to_string(&state).unwrap());
                }
                if drop == 0 {
                    let json = saved.as_ref().map(|saved| serde_json::from_str(saved).unwrap());
                    let resumed = RuleState::resume(json, latest).unwrap();
                    prop_assert_eq!(&resumed, &state);
                    state = resumed;
                }
                before = state.clone();
            }
        }
    }
}

#[test]
fn an_ordinary_reading_needs_no_saving() {
    let rule = crate::testing::glucose_low();
    let mut state = RuleState::default();
    for n in 0..10 {
        let before = state.clone();
        let effects;
        (state, effects) = step(&rule, state, &delayed(Metric::Glucose, n * 5, 5.0, 1));
        assert_eq!(effects, []);
        assert!(!state.needs_saving(&before));
    }
    assert_ne!(state, RuleState::default(), "it remembers the latest time");
    assert_eq!(serde_json::to_string(&state).unwrap(), "{}");
}

#[test]
fn a_state_that_cannot_be_read_is_an_error() {
    let error = RuleState::resume(Some(json!({"opened": true})), None).unwrap_err();
    assert_eq!(error.to_string(), "the saved state of a rule could not be read");
}
