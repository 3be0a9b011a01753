use chrono::{DateTime, Utc};

use crate::Point;

/// What has to be done about a reading. A rule has at most one open episode, and an episode is raised,
/// then continued any number of times, then cleared; [`Effect::Late`] stands beside that.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Open an episode: the rule's condition is met.
    Raise {
        /// The first breaching reading of the span that met the condition.
        onset: Point,
        /// The reading that completed the condition; for a threshold it is the onset.
        point: Point,
        /// The reading furthest beyond its bound.
        worst: Point,
        /// The completing reading arrived late ([`LATE_AFTER`](crate::LATE_AFTER)): show the episode, page
        /// nobody.
        late: bool,
    },
    /// The open episode has a further breaching reading.
    Continue {
        /// The latest breaching reading.
        latest: Point,
        /// The reading furthest beyond its bound.
        worst: Point,
    },
    /// The open episode, late until now, got a breaching reading that arrived on time: it is true now, so a
    /// team has to be told. Comes once in an episode, after the [`Effect::Continue`] of the same reading.
    BecameCurrent {
        /// The reading that arrived on time.
        point: Point,
    },
    /// Clear the open episode.
    Clear {
        /// The reading that cleared it.
        at: Point,
    },
    /// Add an episode that is late and already cleared: readings which newer ones had overtaken met the
    /// condition. Overtaken is not always old: where two devices measure one thing, a reading may be
    /// overtaken within seconds. [`Observation::is_late`](crate::Observation::is_late) of the reading just
    /// judged tells.
    Late {
        /// The first breaching reading of the span that met the condition.
        onset: Point,
        /// The latest breaching reading.
        latest: Point,
        /// The reading furthest beyond its bound.
        worst: Point,
    },
    /// The late episode that was added last has a further breaching reading.
    LateContinue {
        /// The time of its onset.
        onset_at: DateTime<Utc>,
        /// The latest breaching reading.
        latest: Point,
        /// The reading furthest beyond its bound.
        worst: Point,
    },
}
