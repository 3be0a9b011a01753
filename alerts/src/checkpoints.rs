//! What a rule remembered at earlier times: from there it judges again what a late reading has overtaken, and there it is
//! resumed by another process.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::Memory;
use crate::track::ALLOWED_LATENESS;

/// A checkpoint is made at the latest after so many readings or so long: it bounds what has to be judged again
/// when a rule is resumed, or goes back for a reading that was overtaken by a moment.
const MOST_READINGS: u32 = 1_000;
pub(crate) const LONGEST: TimeDelta = TimeDelta::hours(12);

/// What a rule remembered after all readings measured until a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The time.
    pub at: DateTime<Utc>,
    /// What it remembered.
    pub memory: Memory,
}

/// Those that are kept: the more, the closer to the present.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    /// The oldest first. The first is older than the allowed lateness, or from before all that the rule has judged.
    kept: Vec<Checkpoint>,
    /// Readings since the last.
    readings: u32,
    /// When the next is due, if that many readings do not come before.
    due: DateTime<Utc>,
    /// Whether some were added that make others needless.
    grown: bool,
    /// Whether they have changed since they were saved.
    unsaved: bool,
}

impl Checkpoints {
    /// Those that were saved.
    pub(crate) fn new(kept: Vec<Checkpoint>) -> Checkpoints {
        let mut checkpoints = Checkpoints {
            kept,
            readings: 0,
            due: DateTime::<Utc>::MIN_UTC,
            grown: false,
            unsaved: false,
        };
        checkpoints.wait();
        checkpoints
    }

    pub(crate) fn kept(&self) -> &[Checkpoint] {
        &self.kept
    }

    /// What is kept, if it has changed since this was asked last.
    pub(crate) fn unsaved(&mut self) -> Option<&[Checkpoint]> {
        std::mem::take(&mut self.unsaved).then_some(&self.kept[..])
    }

    /// Counts readings that were judged.
    pub(crate) fn count(&mut self, readings: usize) {
        let readings = u32::try_from(readings).unwrap_or(u32::MAX);
        self.readings = self.readings.saturating_add(readings);
    }

    /// Whether one should be made before a moment.
    pub(crate) fn is_due(&self, at: DateTime<Utc>) -> bool {
        self.readings >= MOST_READINGS || at >= self.due
    }

    pub(crate) fn add(&mut self, at: DateTime<Utc>, memory: Memory) {
        self.kept.push(Checkpoint { at, memory });
        self.grown = true;
        self.unsaved = true;
        self.wait();
    }

    /// Drops those that were made at a time or after it, and answers the last of the others. With none of these nothing
    /// is dropped.
    pub(crate) fn before(&mut self, at: DateTime<Utc>) -> Option<&Checkpoint> {
        let index = self.kept.iter().rposition(|checkpoint| checkpoint.at < at)?;
        self.kept.truncate(index + 1);
        self.unsaved = true;
        self.wait();
        self.kept.last()
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.unsaved = true;
        self.wait();
    }

    /// Drops those that are not needed at a time: all but the newest of those beyond the allowed lateness, and, if some were
    /// added, so many of the others that their distances grow with their ages.
    pub(crate) fn thin(&mut self, latest: DateTime<Utc>) {
        let kept = &mut self.kept;
        let beyond = latest - ALLOWED_LATENESS;
        while kept.get(1).is_some_and(|second| second.at <= beyond) {
            kept.remove(0);
        }
        if !std::mem::take(&mut self.grown) {
            return;
        }
        let mut index = 1;
        while index + 1 < kept.len() {
            let (before, after) = (kept[index - 1].at, kept[index + 1].at);
            if (after - before) * 2 <= latest - after {
                kept.remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// Begins to wait for the next.
    fn wait(&mut self) {
        self.readings = 0;
        let last = self.kept.last();
        self.due = last.map_or(DateTime::<Utc>::MIN_UTC, |last| last.at + LONGEST);
    }
}
