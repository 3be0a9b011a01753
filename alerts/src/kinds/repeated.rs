use std::collections::VecDeque;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{Signals, limit_key, of_metric, time_of};
use crate::signal::{Breach, Signal, worse};
use crate::{Limit, Mark, Observation};

/// So many of the last readings beyond a limit: an irregular pulse in 2 of the last 3 measurements.
///
/// A gap counts for nothing but that readings older than `within_seconds` are not counted any more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repeated {
    /// The limits; any one suffices, each counted by itself.
    pub limits: Vec<Limit>,
    /// How many must breach.
    pub times: u32,
    /// Of how many of the last readings of the metric.
    pub of: u32,
    /// The age, in seconds, from which a reading is not counted.
    pub within_seconds: u32,
    /// As for a threshold.
    pub clear_after_seconds: u32,
}

/// The last readings of each limit's metric, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Memory(Vec<(u16, VecDeque<Mark>)>);

impl Repeated {
    pub(super) fn signals(&self, memory: &mut Memory, moment: &[Observation]) -> Signals {
        let mut signals = Signals::new();
        let limits = &self.limits;
        memory
            .0
            .retain(|(key, _)| limits.iter().any(|limit| limit_key(limit) == *key));
        for limit in limits {
            let key = limit_key(limit);
            if of_metric(moment, limit.metric).next().is_none() {
                continue;
            }
            let index = memory.0.iter().position(|(of, _)| *of == key);
            let index = index.unwrap_or_else(|| {
                memory.0.push((key, VecDeque::new()));
                memory.0.len() - 1
            });
            signals.push((key, self.signal(limit, &mut memory.0[index].1, moment)));
        }
        signals
    }

    fn signal(&self, limit: &Limit, last: &mut VecDeque<Mark>, moment: &[Observation]) -> Signal {
        last.extend(of_metric(moment, limit.metric).map(Observation::mark));
        let oldest = time_of(moment) - TimeDelta::seconds(i64::from(self.within_seconds));
        while last.len() > self.of as usize || last.front().is_some_and(|mark| mark.at < oldest) {
            last.pop_front();
        }
        let breaching = || last.iter().filter(|mark| limit.is_breached_by(mark.value));
        let enough = breaching().count() >= self.times as usize;
        let own = || of_metric(moment, limit.metric);
        let mut breaching_own = own().filter(|observation| limit.is_breached_by(observation.value));
        let by_excess = |mark: Mark| (mark, limit.bound.excess(mark.value));
        if let (true, Some(first)) = (enough, breaching_own.next()) {
            let on_time = first.is_on_time() || breaching_own.clone().any(Observation::is_on_time);
            let (latest, excess) = breaching_own
                .map(|observation| by_excess(observation.mark()))
                .fold(by_excess(first.mark()), worse);
            let worst = breaching().copied().map(by_excess).reduce(worse);
            return Signal::Breach(Breach {
                onset: breaching().next().copied().unwrap_or(latest),
                worst: worst.unwrap_or((latest, excess)),
                ..Breach::at(latest, excess, on_time)
            });
        }
        let all_back = own().all(|observation| limit.is_cleared_by(observation.value));
        if !enough && all_back {
            Signal::Back
        } else {
            Signal::Between
        }
    }
}
