use chrono::TimeDelta;
use homeward_record::Metric;
use serde::Serialize;

use crate::Observation;

/// Nothing measured for too long, against the prescribed rhythm. A timer raises it; a fresh reading clears it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Silence {
    /// What should be measured.
    pub metric: Metric,
    /// How often, in seconds.
    pub expected_every_seconds: u32,
    /// After how many times that, without a reading, it is silence.
    pub times: u32,
}

impl Silence {
    /// The time without a reading from which it is silence.
    pub fn limit(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.expected_every_seconds) * i64::from(self.times))
    }

    /// Whether a reading ends it. What a device sends from its memory does not: it may have stopped measuring.
    pub(crate) fn is_ended_by(&self, observation: &Observation) -> bool {
        observation.metric == self.metric && observation.received_at - observation.at <= self.limit()
    }
}
