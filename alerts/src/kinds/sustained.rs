use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};

use super::{Signals, of_limits, time_of};
use crate::{Bound, Limit, Observation};

/// Readings beyond one and the same limit for a time.
///
/// A gap longer than `max_gap_seconds` starts the count anew, since nobody knows what happened in it. Once the
/// condition is met, gaps change nothing: silence does not clear.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sustained {
    /// The limits; any one suffices.
    pub limits: Vec<Limit>,
    /// How long, in seconds, from the first to the latest of an unbroken series of breaching readings.
    pub for_seconds: u32,
    /// The longest time between two readings, in seconds, over which the series is unbroken.
    pub max_gap_seconds: u32,
    /// A circumstance under which readings do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unless: Option<Unless>,
    /// As for a threshold.
    pub clear_after_seconds: u32,
}

/// Another metric that takes the meaning from a reading: a heart rate is one at rest only when no steps were
/// counted in the last ten minutes, by whichever device. Where that metric is not measured, every reading counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unless {
    /// The other metric.
    pub metric: Metric,
    /// Where a value of it takes the meaning away.
    #[serde(flatten)]
    pub bound: Bound,
    /// For how long after it, in seconds.
    pub within_seconds: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// When the circumstance was last seen.
    excluded_at: Option<DateTime<Utc>>,
}

impl Unless {
    pub(super) fn is_met_in(&self, moment: &[Observation]) -> bool {
        moment
            .iter()
            .any(|o| o.metric == self.metric && self.bound.is_met_by(self.metric, o.value))
    }
}

impl Sustained {
    pub(super) fn signals(&self, unless: &Unless, memory: &mut Memory, moment: &[Observation]) -> Signals {
        let at = time_of(moment);
        if unless.is_met_in(moment) {
            memory.excluded_at = Some(at);
        }
        let within = TimeDelta::seconds(i64::from(unless.within_seconds));
        match memory.excluded_at {
            Some(excluded_at) if at - excluded_at < within => Signals::new(),
            _ => {
                memory.excluded_at = None;
                of_limits(&self.limits, moment)
            }
        }
    }
}
