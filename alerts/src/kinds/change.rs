use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{NOISE, Signals, index_key, of_metric, time_of};
use crate::signal::{Breach, Signal};
use crate::{Mark, Observation};

/// A value higher or lower than it was within a time: 2 kg gained in 3 days.
///
/// A reading is compared with the lowest (of a fall: the highest) of those before it within the time; without
/// one it says nothing. So a gap longer than the time starts anew.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changes {
    /// The changes; any one suffices.
    pub changes: Vec<Change>,
    /// As for a threshold.
    pub clear_after_seconds: u32,
}

/// One change. In JSON: `{"metric": "body_weight", "rise": 2.0, "within_seconds": 259200, "clear": 1.0}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What changes.
    pub metric: Metric,
    /// Whether up or down.
    #[serde(flatten)]
    pub direction: Direction,
    /// Since how long before the reading, in seconds.
    pub within_seconds: u32,
    /// The change, in the metric's unit, at or below which an open episode clears; without it, any that is
    /// too small to breach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
}

/// By how much, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This much higher, or more.
    Rise(f64),
    /// This much lower, or more.
    Fall(f64),
}

/// For each change the readings that a later one may be compared with, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Memory(Vec<Candidates>);

/// The extreme reading of the time, then the extreme one of those after it, and so on: all that can ever be
/// compared with. Their values are strictly monotone, so there are no more than a metric has values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Candidates(VecDeque<Mark>);

impl Direction {
    /// The amount, in the metric's unit.
    pub fn amount(self) -> f64 {
        let (Direction::Rise(amount) | Direction::Fall(amount)) = self;
        amount
    }

    /// How far `value` is beyond `reference` in this direction.
    fn beyond(self, reference: f64, value: f64) -> f64 {
        match self {
            Direction::Rise(_) => value - reference,
            Direction::Fall(_) => reference - value,
        }
    }
}

impl Changes {
    pub(super) fn signals(&self, memory: &mut Memory, moment: &[Observation]) -> Signals {
        memory.0.resize_with(self.changes.len(), Candidates::default);
        let mut signals = Signals::new();
        for (index, (change, candidates)) in self.changes.iter().zip(&mut memory.0).enumerate() {
            if let Some(signal) = change.signal(candidates, moment) {
                signals.push((index_key(index), signal));
            }
        }
        signals
    }
}

impl Change {
    fn signal(&self, candidates: &mut Candidates, moment: &[Observation]) -> Option<Signal> {
        let reference = candidates.reference(self, time_of(moment));
        let greatest = reference.and_then(|reference| {
            let figures = of_metric(moment, self.metric).map(|observation| {
                (
                    observation,
                    self.direction.beyond(reference.value, observation.value),
                )
            });
            figures
                .reduce(|first, next| if next.1 > first.1 { next } else { first })
                .map(|(observation, figure)| (reference, observation, figure))
        });
        for observation in of_metric(moment, self.metric) {
            candidates.add(self.direction, observation.mark());
        }
        let (reference, observation, figure) = greatest?;
        let amount = self.direction.amount();
        if figure < amount - NOISE {
            let back = self.clear.is_none_or(|clear| figure <= clear + NOISE);
            return Some(if back { Signal::Back } else { Signal::Between });
        }
        let latest = observation.mark().with_figure(figure);
        let breaching = |o: &Observation| self.direction.beyond(reference.value, o.value) >= amount - NOISE;
        let on_time = of_metric(moment, self.metric).any(|o| breaching(o) && o.is_on_time());
        Some(Signal::Breach(Box::new(Breach {
            onset: reference.with_figure(figure),
            detail: Some(json!({ "from": reference, "within_seconds": self.within_seconds })),
            ..Breach::at(latest, figure / amount, on_time)
        })))
    }
}

impl Candidates {
    /// The reading to compare one of this time with.
    fn reference(&mut self, change: &Change, at: DateTime<Utc>) -> Option<Mark> {
        let oldest = at - TimeDelta::seconds(i64::from(change.within_seconds));
        while self.0.front().is_some_and(|mark| mark.at < oldest) {
            self.0.pop_front();
        }
        self.0.front().copied()
    }

    fn add(&mut self, direction: Direction, mark: Mark) {
        while self
            .0
            .back()
            .is_some_and(|last| direction.beyond(mark.value, last.value) >= 0.0)
        {
            self.0.pop_back();
        }
        // Of equal ones the latest is compared with: it outlasts the others.
        self.0.push_back(mark);
    }
}
