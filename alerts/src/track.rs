//! A rule of a patient along the time of measurement, whatever the order in which readings arrive.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};

use crate::{Definition, Episode, Memory, Observation, Outcome, Rule, step};

/// How much later than a newer one a reading may arrive so that the episodes are exactly those of the right
/// order: long enough for a device that was offline for a day. One that comes later still is judged with what
/// is around it, which can add to the history, but changes nothing that the rule remembers.
pub const ALLOWED_LATENESS: TimeDelta = TimeDelta::hours(24);

/// A checkpoint is made at the latest after so many readings or so long: it bounds what has to be judged again
/// when a rule is resumed, or goes back for a reading that was overtaken by a moment.
const CHECKPOINT_READINGS: u32 = 500;
const CHECKPOINT_AFTER: TimeDelta = TimeDelta::hours(6);

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

/// What a rule remembered after all readings measured until a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The time.
    pub at: DateTime<Utc>,
    /// What it remembered.
    pub memory: Memory,
}

/// A rule of a patient: its versions, what it remembers, and what it remembered at earlier times.
#[derive(Clone, Debug)]
pub struct Track {
    versions: Vec<Version>,
    metrics: Vec<Metric>,
    memory: Memory,
    /// The time of the latest moment that was judged.
    latest: Option<DateTime<Utc>>,
    /// The oldest first. The first is older than the allowed lateness, or from before the first reading.
    checkpoints: Vec<Checkpoint>,
    /// Readings since the last checkpoint.
    since_checkpoint: u32,
    /// Whether the checkpoints have changed since they were saved.
    unsaved: bool,
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
            checkpoints,
            since_checkpoint: 0,
            unsaved: false,
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
        std::mem::take(&mut self.unsaved).then_some(&self.checkpoints[..])
    }

    /// The checkpoints.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// After what time readings have to be judged before new ones: those that came after the last checkpoint,
    /// or those that a new rule has a look back at.
    pub fn resume_after(&self) -> DateTime<Utc> {
        self.latest.unwrap_or_else(|| {
            let lookback = self.versions.iter().map(|v| v.definition.condition.lookback());
            let first = self.versions.first().map_or(DateTime::<Utc>::MAX_UTC, |v| v.from);
            first - lookback.max().unwrap_or_default()
        })
    }

    /// The observations of these that concern it.
    pub fn own(&self, observations: &[Observation]) -> Vec<Observation> {
        let own = |observation: &&Observation| self.metrics.contains(&observation.metric);
        observations.iter().filter(own).copied().collect()
    }

    /// Whether sorted observations come after all that was judged. The order does not matter to a rule of
    /// silence.
    pub fn is_in_order(&self, own: &[Observation]) -> bool {
        let silence =
            |version: &Version| matches!(version.definition.condition, crate::Condition::Silence(_));
        own.first()
            .is_none_or(|first| self.latest.is_none_or(|latest| first.at > latest))
            || self.versions.iter().all(silence)
    }

    /// Goes back to before the first of sorted observations that newer ones have overtaken.
    pub fn go_back(&mut self, overtaken: &[Observation]) -> Option<Again> {
        let (first, last) = (overtaken.first()?.at, overtaken.last()?.at);
        let Some(index) = self
            .checkpoints
            .iter()
            .rposition(|checkpoint| checkpoint.at < first)
        else {
            let lookback = self.versions.iter().map(|v| v.definition.condition.lookback());
            let around = lookback.max().unwrap_or_default() + ALLOWED_LATENESS;
            let oldest = self.checkpoints.first().map_or(last, |oldest| oldest.at);
            return Some(Again::Apart(first - around, oldest.min(last + around)));
        };
        self.checkpoints.truncate(index + 1);
        let checkpoint = &self.checkpoints[index];
        self.memory = checkpoint.memory.clone();
        self.latest = Some(checkpoint.at);
        self.since_checkpoint = 0;
        self.unsaved = true;
        Some(Again::After(checkpoint.at))
    }

    /// Judges sorted observations of its metrics that come after all that was judged.
    pub fn judge(&mut self, own: &[Observation]) -> Judged {
        let mut judged = Judged::default();
        for moment in moments(own) {
            self.pass(moment[0].at);
            match judge_moment(&self.versions, &mut self.memory, moment) {
                Outcome::Quiet => {}
                Outcome::Raised | Outcome::Continued => judged.touched = true,
                Outcome::Cleared(episode) => {
                    judged.touched = true;
                    judged.episodes.push(episode);
                }
            }
            self.latest = self.latest.max(Some(moment[0].at));
            self.since_checkpoint = self
                .since_checkpoint
                .saturating_add(u32::try_from(moment.len()).unwrap_or(u32::MAX));
        }
        judged.episodes.extend(self.memory.open().cloned());
        self.thin();
        judged
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
            if let Outcome::Cleared(episode) = judge_moment(&self.versions, &mut memory, moment) {
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
        let due = match (self.latest, self.checkpoints.last()) {
            // What a reading that comes before the first one needs.
            (None, _) | (_, None) => Some(at - ALLOWED_LATENESS - TimeDelta::microseconds(1)),
            (Some(latest), Some(last)) => (latest > last.at
                && (self.since_checkpoint >= CHECKPOINT_READINGS || at - last.at >= CHECKPOINT_AFTER))
                .then_some(latest),
        };
        if let Some(at) = due {
            self.checkpoints.push(Checkpoint {
                at,
                memory: self.memory.clone(),
            });
            self.since_checkpoint = 0;
            self.unsaved = true;
        }
    }

    /// Drops checkpoints that are not needed: all but the newest of those beyond the allowed lateness, and so
    /// many of the others that their distances grow with their ages.
    fn thin(&mut self) {
        let Some(latest) = self.latest else { return };
        let checkpoints = &mut self.checkpoints;
        while checkpoints
            .get(1)
            .is_some_and(|second| latest - second.at >= ALLOWED_LATENESS)
        {
            checkpoints.remove(0);
        }
        let mut index = 1;
        while index + 1 < checkpoints.len() {
            let (before, after) = (checkpoints[index - 1].at, checkpoints[index + 1].at);
            if (after - before) * 2 <= latest - after {
                checkpoints.remove(index);
            } else {
                index += 1;
            }
        }
    }
}

/// Judges a moment by the version that was in force when the last of it arrived.
fn judge_moment(versions: &[Version], memory: &mut Memory, moment: &[Observation]) -> Outcome {
    let arrived = moment.iter().map(|observation| observation.received_at).max();
    let Some(arrived) = arrived else {
        return Outcome::Quiet;
    };
    let index = versions.partition_point(|version| version.from <= arrived);
    // Before the first version a rule only remembers what the first will need.
    let armed = index > 0;
    let Some(version) = versions.get(index.saturating_sub(1)) else {
        return Outcome::Quiet;
    };
    if version.until.is_some_and(|until| until <= arrived) {
        // It was taken out of the plan.
        *memory = Memory::default();
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
