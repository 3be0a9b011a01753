//! A rule of a patient along the time of measurement, whatever the order in which readings arrive.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;

use crate::checkpoints::{Checkpoint, Checkpoints};
use crate::{Condition, Definition, Episode, Memory, Observation, Outcome, Rule, step};

/// How much later than a newer one a reading may arrive so that the episodes are exactly those of the right
/// order: long enough for a device that was offline for a day. One that comes later still is judged with what
/// is around it ([`Again::Apart`]), which can add to the history, but changes nothing that the rule remembers.
pub const ALLOWED_LATENESS: TimeDelta = TimeDelta::hours(24);

/// A version of a rule, and when it is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// What the caller calls it.
    pub id: i64,
    /// From when on readings that arrive are judged by it.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// What it says.
    pub definition: Definition,
}

/// A rule of a patient: its versions, what it remembers, and what it remembered at earlier times.
#[derive(Clone, Debug)]
pub struct Track {
    versions: Vec<Version>,
    metrics: Vec<Metric>,
    memory: Memory,
    /// The time of the latest moment that was judged.
    latest: Option<DateTime<Utc>>,
    checkpoints: Checkpoints,
}

/// What judging brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// The episodes, in their order: the one that was open before, if any, those since, and the open one last.
    pub episodes: Vec<Episode>,
    /// Whether any of them was raised, went on or was cleared.
    pub touched: bool,
}

/// From where readings have to be judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// All that was measured after this time; the rule has gone back to it.
    After(DateTime<Utc>),
    /// Readings that came later than is allowed: those measured after the first time and until the second.
    Apart(DateTime<Utc>, DateTime<Utc>),
    /// All that was measured after the first time; the rule has forgotten everything. The episodes that ended
    /// after the second time are all that there are since; what came before is only there to be known.
    Anew(DateTime<Utc>, DateTime<Utc>),
}

/// The moments of sorted observations.
pub fn moments(observations: &[Observation]) -> impl Iterator<Item = &[Observation]> {
    observations.chunk_by(|one, next| one.at == next.at)
}

impl Track {
    /// A rule of these versions, the oldest first and at least one, with the checkpoints that were saved of it.
    pub fn new(versions: Vec<Version>, checkpoints: Vec<Checkpoint>) -> Track {
        let mut metrics: Vec<Metric> = versions.iter().flat_map(|v| v.definition.metrics()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        let newest = checkpoints.last().cloned();
        Track {
            versions,
            metrics,
            latest: newest.as_ref().map(|checkpoint| checkpoint.at),
            memory: newest.map_or_else(Memory::default, |checkpoint| checkpoint.memory),
            checkpoints: Checkpoints::new(checkpoints),
        }
    }

    /// The metrics that any version looks at.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// What it remembers.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Sets what it remembers: a rule of silence is raised by a timer, not by readings.
    pub fn set_open(&mut self, open: Episode) {
        self.memory = Memory::of_silence(open);
    }

    /// The checkpoints, if they have changed since this was asked last.
    pub fn unsaved(&mut self) -> Option<&[Checkpoint]> {
        self.checkpoints.unsaved()
    }

    /// The checkpoints.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        self.checkpoints.kept()
    }

    /// After what time readings have to be judged before new ones: those that came after the last checkpoint,
    /// or those that a new rule has a look back at.
    pub fn resume_after(&self) -> DateTime<Utc> {
        self.latest.unwrap_or_else(|| {
            let first = self.versions.first().map_or(DateTime::<Utc>::MAX_UTC, |v| v.from);
            first - self.lookback()
        })
    }

    /// How far back any version looks while no episode is open.
    fn lookback(&self) -> TimeDelta {
        let lookback = self.versions.iter().map(|v| v.definition.condition.lookback());
        lookback.max().unwrap_or_default()
    }

    /// The observations of these that concern it.
    pub fn own<'a>(&self, observations: &'a [Observation]) -> Cow<'a, [Observation]> {
        let own = |observation: &&Observation| self.metrics.contains(&observation.metric);
        if observations.iter().all(|observation| own(&observation)) {
            return Cow::Borrowed(observations);
        }
        Cow::Owned(observations.iter().filter(own).copied().collect())
    }

    /// Whether it is a rule of silence: it goes by the time at which it is asked, and so has no past.
    pub fn is_of_silence(&self) -> bool {
        let of_silence = |version: &Version| matches!(version.definition.condition, Condition::Silence(_));
        self.versions.iter().all(of_silence)
    }

    /// Whether sorted observations come after all that was judged.
    pub fn is_in_order(&self, own: &[Observation]) -> bool {
        own.first()
            .is_none_or(|first| self.latest.is_none_or(|latest| first.at > latest))
            || self.is_of_silence()
    }

    /// Splits sorted observations into those that come too late for the rule to go back to, and the others. The
    /// others are judged as if the first had not come.
    pub fn split<'a>(&self, own: &'a [Observation]) -> (&'a [Observation], &'a [Observation]) {
        let oldest = self.checkpoints().first();
        let too_late = |observation: &Observation| oldest.is_some_and(|oldest| observation.at <= oldest.at);
        own.split_at(own.partition_point(too_late))
    }

    /// Goes back to before the first of sorted observations that newer ones have overtaken.
    pub fn go_back(&mut self, overtaken: &[Observation]) -> Option<Again> {
        let (first, last) = (overtaken.first()?.at, overtaken.last()?.at);
        let Some(checkpoint) = self.checkpoints.before(first) else {
            let around = self.lookback() + ALLOWED_LATENESS;
            let oldest = self.checkpoints().first().map_or(last, |oldest| oldest.at);
            return Some(Again::Apart(first - around, oldest.min(last + around)));
        };
        self.memory = checkpoint.memory.clone();
        self.latest = Some(checkpoint.at);
        Some(Again::After(checkpoint.at))
    }

    /// Forgets everything, for all to be judged anew after a time at which no episode was open: see
    /// [`undisturbed_before`].
    pub fn start_anew(&mut self, since: DateTime<Utc>) -> Again {
        self.memory = Memory::default();
        self.latest = None;
        self.checkpoints.clear();
        // Where a course of home measurements begins depends on where the one before it ended, and so on.
        let of_courses =
            |version: &Version| matches!(version.definition.condition, Condition::HomeAverage(_));
        let from = match self.versions.iter().any(of_courses) {
            true => since.min(self.versions[0].from),
            false => since,
        };
        Again::Anew(from - self.lookback(), since)
    }

    /// Lets go of what was open when the rule was taken out of the plan, if it has been put in again since: in the
    /// record that is over. To be called before it judges what is new.
    /// Answers that, ended.
    pub fn leave_former_plan(&mut self) -> Option<Episode> {
        let present = self.versions.last()?;
        leave_plan(&self.versions, &mut self.memory, present.from)
    }

    /// Judges again what was measured since it went back, or started anew. Answers the episodes. What was measured
    /// until `known` only fills its memory: no episode was open then, and to a reading that has a part of its window
    /// alone things may look otherwise.
    pub fn judge_again(&mut self, own: &[Observation], known: Option<DateTime<Utc>>) -> Vec<Episode> {
        let mut episodes = self.judge_after(own, known).episodes;
        if let Some(ended) = self.leave_former_plan() {
            // It was the last, as the open one.
            episodes.pop();
            episodes.push(ended);
        }
        episodes
    }

    /// Judges sorted observations of its metrics that come after all that was judged.
    pub fn judge(&mut self, own: &[Observation]) -> Judged {
        self.judge_after(own, None)
    }

    fn judge_after(&mut self, own: &[Observation], known: Option<DateTime<Utc>>) -> Judged {
        let mut judged = Judged::default();
        for moment in moments(own) {
            match known {
                Some(known) if moment[0].at <= known => {}
                _ => {
                    self.know_until(known);
                    self.pass(moment[0].at);
                }
            }
            if let Some(ended) = leave_plan(&self.versions, &mut self.memory, arrived(moment)) {
                judged.touched = true;
                judged.episodes.push(ended);
            }
            match judge_moment(&self.versions, &mut self.memory, moment, known) {
                Outcome::Quiet => {}
                Outcome::Raised | Outcome::Continued => judged.touched = true,
                Outcome::Cleared(episode) => {
                    judged.touched = true;
                    judged.episodes.push(episode);
                }
            }
            self.latest = self.latest.max(Some(moment[0].at));
            self.checkpoints.count(moment.len());
        }
        self.know_until(known);
        judged.episodes.extend(self.memory.open().cloned());
        if let Some(latest) = self.latest {
            self.checkpoints.thin(latest);
        }
        judged
    }

    /// Makes the first checkpoint at a time until which all is known, once it gets there: what it remembers of before
    /// rests on a part of the past, and nothing is to be judged again with that.
    fn know_until(&mut self, known: Option<DateTime<Utc>>) {
        let Some(known) = known.filter(|_| self.checkpoints().is_empty()) else {
            return;
        };
        self.checkpoints.add(known, self.memory.clone());
        self.latest = self.latest.max(Some(known));
    }

    /// Judges sorted observations of a time apart from what the rule remembers, until the rule is quiet again after
    /// the overtaken ones, and answers the episodes that these may have to do with.
    pub fn judge_apart(&self, own: &[Observation], overtaken: &[Observation]) -> Vec<Episode> {
        let mut memory = Memory::default();
        let mut episodes = Vec::new();
        let (Some(first), Some(last)) = (overtaken.first(), overtaken.last()) else {
            return episodes;
        };
        for moment in moments(own) {
            episodes.extend(leave_plan(&self.versions, &mut memory, arrived(moment)));
            if let Outcome::Cleared(episode) = judge_moment(&self.versions, &mut memory, moment, None) {
                episodes.push(episode);
            }
            if moment[0].at > last.at && memory.is_quiet() {
                break;
            }
        }
        episodes.extend(memory.open().cloned());
        episodes.retain(|episode| episode.latest.at >= first.at && episode.onset.at <= last.at);
        episodes
    }

    /// Makes a checkpoint before a moment, if it is time for one.
    fn pass(&mut self, at: DateTime<Utc>) {
        if !self.checkpoints.is_due(at) || self.is_of_silence() {
            return;
        }
        match (self.latest, self.checkpoints().last()) {
            // What a reading that comes before the first one needs.
            (None, _) | (_, None) => {
                let before = at - ALLOWED_LATENESS - TimeDelta::microseconds(1);
                self.checkpoints.add(before, self.memory.clone());
            }
            (Some(latest), Some(last)) if latest > last.at => {
                self.checkpoints.add(latest, self.memory.clone());
            }
            _ => {}
        }
    }
}

/// The latest time before another at which none of a rule's episodes was open: what changes from the other time
/// on changes none of those that ended by then.
pub fn undisturbed_before<'a>(
    at: DateTime<Utc>,
    episodes: impl Iterator<Item = &'a Episode> + Clone,
) -> DateTime<Utc> {
    let just_before = |at: DateTime<Utc>| at - TimeDelta::microseconds(1);
    let mut since = just_before(at);
    let lasts =
        |episode: &Episode, at| episode.onset.at <= at && episode.cleared_at.is_none_or(|end| end > at);
    while let Some(episode) = episodes.clone().find(|episode| lasts(episode, since)) {
        since = just_before(episode.onset.at);
    }
    since
}

/// When the last of a moment arrived.
fn arrived(moment: &[Observation]) -> DateTime<Utc> {
    let arrived = moment.iter().map(|observation| observation.received_at).max();
    arrived.unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Ends what was open when the rule was taken out of the plan, if that was not after `arrived`: also where it has
/// been put in again since.
fn leave_plan(versions: &[Version], memory: &mut Memory, arrived: DateTime<Utc>) -> Option<Episode> {
    let mut index = versions.iter().position(|version| version.id == memory.version)?;
    loop {
        let until = versions[index].until.filter(|until| *until <= arrived)?;
        match versions.get(index + 1) {
            Some(next) if next.from <= until => index += 1,
            _ => {
                let open = std::mem::take(memory).open;
                return open.map(|open| Episode {
                    cleared_at: Some(until),
                    ..open
                });
            }
        }
    }
}

/// Judges a moment by the version that was in force when the last of it arrived. Until `known` it raises nothing.
fn judge_moment(
    versions: &[Version],
    memory: &mut Memory,
    moment: &[Observation],
    known: Option<DateTime<Utc>>,
) -> Outcome {
    let arrived = arrived(moment);
    let index = versions.partition_point(|version| version.from <= arrived);
    // Before the first version a rule only remembers what the first will need.
    let armed = index > 0 && known.is_none_or(|known| moment[0].at > known);
    let Some(version) = versions.get(index.saturating_sub(1)) else {
        return Outcome::Quiet;
    };
    if version.until.is_some_and(|until| until <= arrived) {
        // It is not in the plan.
        return Outcome::Quiet;
    }
    let rule = Rule {
        version: version.id,
        definition: &version.definition,
    };
    if memory.version != version.id {
        let from = versions.iter().find(|version| version.id == memory.version);
        memory.change_version(from.map(|version| &version.definition), rule);
    }
    step(rule, memory, moment, armed)
}
