//! One patient's history under a proposal and under the present plan.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId};

use crate::{Condition, Definition, Episode, Memory, Observation, Outcome as Stepped, Rule, moments, step};

/// The least history from before the time of a trial that is judged: an episode that lasts since the day before
/// is then known to have begun earlier, and so not taken for one that begins with the time.
const LEAD_IN: TimeDelta = TimeDelta::hours(24);

/// How many episodes of one rule are kept for one patient. A rule that raises more is of no use, and is not
/// judged further, so that it cannot fill the memory: three a day for nine years are fewer.
const MOST_EPISODES: usize = 10_000;

/// A rule that is tried, or one of a present plan.
#[derive(Clone, Debug)]
pub struct TrialRule {
    /// Names the rule within a plan.
    pub code: Arc<str>,
    /// What it says.
    pub definition: Arc<Definition>,
}

/// Judges one patient's history, part by part, by two sets of rules.
#[derive(Debug)]
pub struct Trial {
    patient: PatientId,
    from: DateTime<Utc>,
    readings: u64,
    /// One for each condition: rules that differ in their words alone, or not at all, are judged once.
    runs: Vec<Run>,
    proposed: Side,
    current: Side,
}

/// A set of rules.
#[derive(Debug, Default)]
struct Side {
    rules: Vec<(TrialRule, Option<usize>)>,
    /// Days with a reading of any of the metrics that its rules look at.
    days: Days,
}

/// A condition along a patient's history.
#[derive(Debug)]
struct Run {
    definition: Arc<Definition>,
    /// It judges nothing from before, whatever else is read for others.
    from: DateTime<Utc>,
    memory: Memory,
    episodes: Vec<Episode>,
    days: Days,
}

/// Counts the days of UTC with a reading of some metrics.
#[derive(Debug, Default)]
struct Days {
    metrics: Vec<Metric>,
    last: Option<i64>,
    n: u64,
}

/// What a trial found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whose history it was.
    pub patient: PatientId,
    /// How many readings were judged, those from before the time included.
    pub readings: u64,
    /// The days (UTC) with a reading of a metric that any of the proposed rules looks at.
    pub proposed_days: u64,
    /// The days with a reading of a metric that any of the present rules looks at.
    pub current_days: u64,
    /// For each code in one of the sets, in the order of the codes.
    pub rules: Vec<RuleOutcome>,
}

/// What a trial found of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleOutcome {
    /// Its code.
    pub code: Arc<str>,
    /// By the proposal; none where that has no such rule, or one that cannot be tried.
    pub proposed: Option<Tried>,
    /// By the present plan.
    pub current: Option<Tried>,
}

/// What a definition made of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The definition.
    pub definition: Arc<Definition>,
    /// The days (UTC) with a reading of a metric that it looks at.
    pub days: u64,
    /// The episodes that it raised within the time, in their order.
    pub episodes: Vec<TriedEpisode>,
    /// It raised so many that it was not judged to the end.
    pub cut_off: bool,
}

/// An episode of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TriedEpisode {
    /// The episode.
    pub episode: Episode,
    /// The other definition of the code has an episode that overlaps it in time.
    pub in_both: bool,
}

/// Whether readings alone can tell what a rule would have done.
pub(super) fn can_be_tried(definition: &Definition) -> bool {
    !matches!(definition.condition, Condition::Silence(_))
}

impl Trial {
    /// A trial of rules on a patient's history from `from` on, beside those that the patient has at present. A
    /// code stands once in each.
    pub fn new(
        patient: PatientId,
        proposed: &[TrialRule],
        current: &[TrialRule],
        from: DateTime<Utc>,
    ) -> Trial {
        let mut runs: Vec<Run> = Vec::new();
        let mut side = |rules: &[TrialRule]| {
            let mut side = Side::default();
            for rule in rules {
                let run = can_be_tried(&rule.definition).then(|| {
                    side.days.metrics.extend(rule.definition.metrics());
                    Run::of(&mut runs, &rule.definition, from)
                });
                side.rules.push((rule.clone(), run));
            }
            side
        };
        Trial {
            patient,
            from,
            readings: 0,
            proposed: side(proposed),
            current: side(current),
            runs,
        }
    }

    /// Whose history it judges.
    pub fn patient(&self) -> PatientId {
        self.patient
    }

    /// From when on the history has to be judged: so much earlier that every rule knows by then how far its
    /// condition had come.
    pub fn read_from(&self) -> DateTime<Utc> {
        self.runs.iter().map(|run| run.from).min().unwrap_or(self.from)
    }

    /// The metrics that the rules look at.
    pub fn metrics(&self) -> BTreeSet<Metric> {
        self.runs
            .iter()
            .flat_map(|run| run.days.metrics.iter().copied())
            .collect()
    }

    /// Judges the next part of the history: all that was measured in some time, in the order of
    /// [`Observation::key`].
    pub fn judge(&mut self, observations: &[Observation]) {
        debug_assert!(observations.is_sorted_by_key(Observation::key));
        self.readings += observations.len() as u64;
        let within = since(self.from, observations);
        self.proposed.days.count(within);
        self.current.days.count(within);
        for run in &mut self.runs {
            run.days.count(within);
            run.judge(observations);
        }
    }

    /// What it found.
    pub fn outcome(self) -> Outcome {
        let codes: BTreeSet<&Arc<str>> = [&self.proposed, &self.current]
            .into_iter()
            .flat_map(|side| side.rules.iter().map(|(rule, _)| &rule.code))
            .collect();
        let rules = codes.into_iter().map(|code| {
            let (proposed, current) = (self.proposed.rule(code), self.current.rule(code));
            let run = |rule: Option<(&Arc<Definition>, usize)>| rule.map(|(_, run)| &self.runs[run]);
            let (proposed_run, current_run) = (run(proposed), run(current));
            let tried = |rule: Option<(&Arc<Definition>, usize)>, other: Option<&Run>| {
                rule.map(|(definition, run)| self.runs[run].tried(definition, other, self.from))
            };
            RuleOutcome {
                code: Arc::clone(code),
                proposed: tried(proposed, current_run),
                current: tried(current, proposed_run),
            }
        });
        Outcome {
            patient: self.patient,
            readings: self.readings,
            proposed_days: self.proposed.days.n,
            current_days: self.current.days.n,
            rules: rules.collect(),
        }
    }
}

impl Side {
    fn rule(&self, code: &str) -> Option<(&Arc<Definition>, usize)> {
        let (rule, run) = self.rules.iter().find(|(rule, _)| *rule.code == *code)?;
        Some((&rule.definition, (*run)?))
    }
}

impl Run {
    /// The number of the run with this condition, which is added if there is none.
    fn of(runs: &mut Vec<Run>, definition: &Arc<Definition>, from: DateTime<Utc>) -> usize {
        let same = |run: &Run| run.definition.condition == definition.condition;
        runs.iter().position(same).unwrap_or_else(|| {
            let lead_in = definition.condition.lookback().max(LEAD_IN);
            runs.push(Run {
                definition: Arc::clone(definition),
                from: from
                    .checked_sub_signed(lead_in)
                    .unwrap_or(DateTime::<Utc>::MIN_UTC),
                memory: Memory::default(),
                episodes: Vec::new(),
                days: Days {
                    metrics: definition.metrics(),
                    ..Days::default()
                },
            });
            runs.len() - 1
        })
    }

    fn judge(&mut self, observations: &[Observation]) {
        let rule = Rule {
            version: 0,
            definition: &self.definition,
        };
        for moment in moments(&self.days.own(since(self.from, observations))) {
            if self.is_cut_off() {
                return;
            }
            if let Stepped::Cleared(episode) = step(rule, &mut self.memory, moment, true) {
                self.episodes.push(episode);
            }
        }
    }

    fn is_cut_off(&self) -> bool {
        self.episodes.len() >= MOST_EPISODES
    }

    /// All episodes, also those that were raised before the time.
    fn episodes(&self) -> impl Iterator<Item = &Episode> {
        self.episodes.iter().chain(self.memory.open())
    }

    fn tried(&self, definition: &Arc<Definition>, other: Option<&Run>, from: DateTime<Utc>) -> Tried {
        let times = Times::of(other);
        let tried = |episode: &Episode| TriedEpisode {
            in_both: times.overlap(episode),
            episode: episode.clone(),
        };
        let raised = self.episodes().filter(|episode| episode.met_at >= from);
        Tried {
            definition: Arc::clone(definition),
            days: self.days.n,
            episodes: raised.map(tried).collect(),
            cut_off: self.is_cut_off(),
        }
    }
}

/// When the episodes of a run were, from their onset until they cleared.
struct Times {
    /// In their order, which is also that of their ends.
    ends: Vec<DateTime<Utc>>,
    /// For each episode the earliest onset of it and those after it.
    onsets: Vec<DateTime<Utc>>,
}

impl Times {
    fn of(run: Option<&Run>) -> Times {
        let episodes: Vec<&Episode> = run.into_iter().flat_map(Run::episodes).collect();
        let ends = episodes.iter().map(|episode| end(episode)).collect();
        let mut onsets: Vec<_> = episodes.iter().map(|episode| episode.onset.at).collect();
        for index in (1..onsets.len()).rev() {
            onsets[index - 1] = onsets[index - 1].min(onsets[index]);
        }
        Times { ends, onsets }
    }

    fn overlap(&self, episode: &Episode) -> bool {
        let later = self.ends.partition_point(|ended| *ended <= episode.onset.at);
        self.onsets.get(later).is_some_and(|onset| *onset < end(episode))
    }
}

/// When an episode ended; one that is open lasts.
fn end(episode: &Episode) -> DateTime<Utc> {
    episode.cleared_at.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The observations from a time on.
fn since(from: DateTime<Utc>, observations: &[Observation]) -> &[Observation] {
    &observations[observations.partition_point(|observation| observation.at < from)..]
}

impl Days {
    /// The observations of these that count here.
    fn own<'a>(&self, observations: &'a [Observation]) -> Cow<'a, [Observation]> {
        let own = |observation: &&Observation| self.metrics.contains(&observation.metric);
        if observations.iter().all(|observation| own(&observation)) {
            return Cow::Borrowed(observations);
        }
        Cow::Owned(observations.iter().filter(own).copied().collect())
    }

    fn count(&mut self, observations: &[Observation]) {
        for observation in observations {
            let day = observation.at.timestamp().div_euclid(86_400);
            if self.last != Some(day) && self.metrics.contains(&observation.metric) {
                self.last = Some(day);
                self.n += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        let silence =
            json!({"kind": "silence", "metric": "glucose", "expected_every_seconds": 300, "times": 2});
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
}
