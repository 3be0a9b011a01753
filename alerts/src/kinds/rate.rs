use std::collections::VecDeque;

use chrono::TimeDelta;
use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use serde_json::json;
use smallvec::smallvec;

use super::change::Direction;
use super::{NOISE, Signals, index_key, of_metric, time_of};
use crate::signal::{Breach, Signal};
use crate::{Mark, Observation};

/// A value that rises or falls fast towards a bound: glucose falling by 0.17 mmol/L a minute, which would be
/// below 4.4 within 20 minutes.
///
/// The rate is that between a reading and the oldest one of `over_seconds` before it which is at least
/// `min_span_seconds` older; without one, and so after a gap, a reading says nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// What is measured.
    pub metric: Metric,
    /// The rate, in the metric's unit per minute.
    #[serde(flatten, with = "per_minute")]
    pub direction: Direction,
    /// Over how long the rate is taken, at the most, in seconds.
    pub over_seconds: u32,
    /// Over how long it is taken at the least, in seconds.
    pub min_span_seconds: u32,
    /// The value, in the metric's unit, beyond which the rate would lead.
    pub toward: f64,
    /// Within how long, in seconds.
    pub ahead_seconds: u32,
    /// As for a threshold.
    pub clear_after_seconds: u32,
}

mod per_minute {
    use serde::ser::SerializeMap;
    use serde::{Serialize, Serializer};

    use super::Direction;

    pub(super) fn serialize<S: Serializer>(direction: &Direction, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct PerMinute(f64);
        let mut map = to.serialize_map(Some(1))?;
        match *direction {
            Direction::Rise(rate) => map.serialize_entry("rise_per_minute", &PerMinute(rate))?,
            Direction::Fall(rate) => map.serialize_entry("fall_per_minute", &PerMinute(rate))?,
        }
        map.end()
    }
}

/// The most readings that are kept to take a rate from: of a 15-minute rate, four a second. Readings that follow
/// each other more closely are judged all the same, but not every one is taken as a start.
const MOST_STARTS: i32 = 3_600;

/// The readings of the time over which the rate is taken, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Memory(VecDeque<Mark>);

impl Rate {
    pub(super) fn signals(&self, memory: &mut Memory, moment: &[Observation]) -> Signals {
        let Some(observation) = of_metric(moment, self.metric).next_back() else {
            return Signals::new();
        };
        let at = time_of(moment);
        let oldest = at - TimeDelta::seconds(i64::from(self.over_seconds));
        while memory.0.front().is_some_and(|mark| mark.at < oldest) {
            memory.0.pop_front();
        }
        let start = memory.0.front().copied();
        let apart = TimeDelta::seconds(i64::from(self.over_seconds)) / MOST_STARTS;
        if memory.0.back().is_none_or(|last| at - last.at >= apart) {
            memory.0.push_back(observation.mark());
        }
        let min_span = TimeDelta::seconds(i64::from(self.min_span_seconds));
        let Some(start) = start.filter(|start| at - start.at >= min_span) else {
            return Signals::new();
        };
        smallvec![(index_key(0), self.signal(start, observation))]
    }

    fn signal(&self, start: Mark, observation: &Observation) -> Signal {
        let minutes = (observation.at - start.at).as_seconds_f64() / 60.0;
        let per_minute = (observation.value - start.value) / minutes;
        let ahead = observation.value + per_minute * f64::from(self.ahead_seconds) / 60.0;
        let (figure, limit, beyond) = match self.direction {
            Direction::Fall(limit) => (-per_minute, limit, ahead < self.toward),
            Direction::Rise(limit) => (per_minute, limit, ahead > self.toward),
        };
        if figure < limit - NOISE || !beyond {
            return Signal::Back;
        }
        let latest = observation.mark().with_figure(figure);
        Signal::Breach(Box::new(Breach {
            onset: start.with_figure(figure),
            detail: Some(json!({ "from": start })),
            ..Breach::at(latest, figure / limit, observation.is_on_time())
        }))
    }
}
