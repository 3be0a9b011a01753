//! One patient's history under a proposal and under the present plan.

#[cfg(test)]
mod tests;

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
