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
pub(crate) struct Memory(Vec<(u16, VecDeque<Last>)>);

/// One of the last readings, and whether it arrived on time.
type Last = (Mark, bool);

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

    fn signal(&self, limit: &Limit, last: &mut VecDeque<Last>, moment: &[Observation]) -> Signal {
        let own = || of_metric(moment, limit.metric);
        last.extend(own().map(|observation| (observation.mark(), observation.is_on_time())));
        let oldest = time_of(moment) - TimeDelta::seconds(i64::from(self.within_seconds));
        while last.len() > self.of as usize || last.front().is_some_and(|(mark, _)| mark.at < oldest) {
            last.pop_front();
        }
        let breaching = || last.iter().filter(|(mark, _)| limit.is_breached_by(mark.value));
        let enough = breaching().count() >= self.times as usize;
        let by_excess = |mark: Mark| (mark, limit.bound.excess(mark.value));
        let latest = own()
            .filter(|observation| limit.is_breached_by(observation.value))
            .map(|observation| by_excess(observation.mark()))
            .reduce(worse);
        if let (true, Some((latest, excess))) = (enough, latest) {
            let worst = breaching().map(|(mark, _)| by_excess(*mark)).reduce(worse);
            return Signal::Breach(Box::new(Breach {
                onset: breaching().next().map_or(latest, |(mark, _)| *mark),
                worst: worst.unwrap_or((latest, excess)),
                run_on_time: breaching().any(|(_, on_time)| *on_time),
                ..Breach::at(
                    latest,
                    excess,
                    own().any(|o| limit.is_breached_by(o.value) && o.is_on_time()),
                )
            }));
        }
        let all_back = own().all(|observation| limit.is_cleared_by(observation.value));
        if !enough && all_back {
            Signal::Back
        } else {
            Signal::Between
        }
    }
}
