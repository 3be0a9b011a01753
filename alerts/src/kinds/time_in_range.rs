use std::collections::VecDeque;

use chrono::{Days as DaysOf, NaiveDate};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Signals, Zone, index_key, of_metric, time_of};
use crate::limit::comparable;
use crate::signal::{Breach, Signal};
use crate::{Bound, Observation};

/// Shares of the readings of many days within ranges, after the International Consensus on Time in Range: below
/// 70 % of two weeks between 3.9 and 10.0 mmol/L.
///
/// Judged once a day, with the first reading after midnight of the patient's calendar, over the `days` days
/// before it. With fewer than `min_active_percent` of the readings that a sensor should have sent in that time
/// nothing is said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeInRange {
    /// What is measured.
    pub metric: Metric,
    /// The shares; any one suffices.
    pub figures: Vec<Figure>,
    /// Over how many days of the patient's calendar.
    pub days: u32,
    /// How many of the expected readings there must be, in percent.
    pub min_active_percent: f64,
    /// The time between two readings of the sensor, in seconds.
    pub interval_seconds: u32,
    /// The patient's calendar.
    pub zone: Zone,
    /// As for a threshold.
    pub clear_after_seconds: u32,
}

/// A share of the readings and its limit. In JSON: `{"below": 3.9, "over_percent": 4}` or
/// `{"from": 3.9, "to": 10.0, "under_percent": 70}`, with an optional `clear` in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Which readings.
    #[serde(flatten)]
    pub share: Share,
    /// How many of them are too many, or too few, in percent of all.
    #[serde(flatten)]
    pub limit: Percent,
    /// The percentage at which an open episode clears: at it or on its healthy side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
}

/// Which readings are counted; values in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Share {
    /// Those beyond a bound.
    Beyond(Bound),
    /// Those within a range, both ends included.
    Within {
        /// The lower end.
        from: f64,
        /// The upper end.
        to: f64,
    },
}

/// The limit of a share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Percent {
    /// More than so many percent are too many.
    OverPercent(f64),
    /// Fewer than so many percent are too few.
    UnderPercent(f64),
}

/// The days that are counted, the oldest first; the last is the present one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Days(VecDeque<Day>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Day {
    date: NaiveDate,
    n: u32,
    /// How many readings belong to each figure.
    counts: Vec<u32>,
}

impl Share {
    /// Whether a reading of this value is one of them.
    pub fn has(self, metric: Metric, value: f64) -> bool {
        match self {
            Share::Beyond(bound) => bound.is_met_by(metric, value),
            Share::Within { from, to } => {
                (comparable(metric, from)..=comparable(metric, to)).contains(&comparable(metric, value))
            }
        }
    }
}

impl Percent {
    /// The number, in percent.
    pub fn value(self) -> f64 {
        let (Percent::OverPercent(percent) | Percent::UnderPercent(percent)) = self;
        percent
    }

    pub(crate) fn is_breached_by(self, percent: f64) -> bool {
        match self {
            Percent::OverPercent(limit) => percent > limit,
            Percent::UnderPercent(limit) => percent < limit,
        }
    }

    fn is_beyond(self, clear: f64, percent: f64) -> bool {
        match self {
            Percent::OverPercent(_) => percent > clear,
            Percent::UnderPercent(_) => percent < clear,
        }
    }
}

impl TimeInRange {
    pub(super) fn signals(&self, days: &mut Days, moment: &[Observation]) -> Signals {
        let Some(observation) = of_metric(moment, self.metric).next_back() else {
            return Signals::new();
        };
        let mut date = self.zone.date(time_of(moment));
        let present = days.0.back().map(|day| day.date);
        let mut signals = Signals::new();
        if present.is_none_or(|present| date > present) {
            if let Some(first) = date.checked_sub_days(DaysOf::new(self.days.into())) {
                while days.0.front().is_some_and(|day| day.date < first) {
                    days.0.pop_front();
                }
            }
            signals = self.judge(days, observation);
            days.0.push_back(Day {
                date,
                n: 0,
                counts: vec![0; self.figures.len()],
            });
        } else if let Some(present) = present {
            // Some zones have set their clocks back over midnight.
            date = present;
        }
        if let Some(day) = days.0.back_mut() {
            debug_assert_eq!(day.date, date);
            day.counts.resize(self.figures.len(), 0);
            for observation in of_metric(moment, self.metric) {
                day.n += 1;
                for (figure, count) in self.figures.iter().zip(&mut day.counts) {
                    *count += u32::from(figure.share.has(self.metric, observation.value));
                }
            }
        }
        signals
    }

    fn judge(&self, days: &Days, observation: &Observation) -> Signals {
        let n: u32 = days.0.iter().map(|day| day.n).sum();
        let expected = f64::from(self.days) * 86_400.0 / f64::from(self.interval_seconds);
        let active = 100.0 * f64::from(n) / expected;
        if n == 0 || active < self.min_active_percent {
            return Signals::new();
        }
        let signal = |(index, figure): (usize, &Figure)| {
            let count: u32 = days.0.iter().filter_map(|day| day.counts.get(index)).sum();
            let percent = 100.0 * f64::from(count) / f64::from(n);
            let limit = figure.limit.value();
            let signal = if figure.limit.is_breached_by(percent) {
                let scale = if limit == 0.0 { 1.0 } else { limit };
                let mark = observation.mark().with_figure(percent);
                Signal::Breach(Box::new(Breach {
                    detail: Some(json!({
                        "figure": figure,
                        "days": self.days,
                        "readings": n,
                        "active_percent": active.min(100.0),
                    })),
                    ..Breach::at(mark, (percent - limit).abs() / scale, observation.is_on_time())
                }))
            } else if figure
                .clear
                .is_some_and(|clear| figure.limit.is_beyond(clear, percent))
            {
                Signal::Between
            } else {
                Signal::Back
            };
            (index_key(index), signal)
        };
        self.figures.iter().enumerate().map(signal).collect()
    }
}
