//! A series in its order, and its moments.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use homeward_record::Metric;

use super::{Observation, Reading};

/// What comes within this time of its measurement is on time.
const ON_TIME: TimeDelta = TimeDelta::minutes(15);

/// All observations of one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) at: DateTime<Utc>,
    /// At least one, by metric code and device.
    pub(crate) observations: &'a [Observation],
}

impl<'a> Moment<'a> {
    /// Those of one metric, by device.
    pub(crate) fn of(self, metric: Metric) -> impl Iterator<Item = &'a Observation> {
        self.observations
            .iter()
            .filter(move |observation| observation.metric == metric)
    }

    /// The date in a zone.
    pub(crate) fn date(self, zone: Tz) -> NaiveDate {
        self.at.with_timezone(&zone).date_naive()
    }
}

impl Observation {
    pub(crate) fn on_time(&self) -> bool {
        self.received_at - self.at <= ON_TIME
    }

    pub(crate) fn reading(&self, figure: Option<f64>) -> Reading {
        Reading {
            metric: self.metric,
            at: self.at,
            value: self.value,
            figure,
        }
    }
}

/// The observations of these metrics, each key once, by time, metric code and device.
pub(crate) fn in_order(observations: &[Observation], metrics: &[Metric]) -> Vec<Observation> {
    let mut series: Vec<Observation> = observations
        .iter()
        .filter(|observation| metrics.contains(&observation.metric))
        .copied()
        .collect();
    // The sort is stable and the first of equals is kept: a repeated key counts as it came first.
    series.sort_by_key(key);
    series.dedup_by_key(|observation| key(observation));
    series
}

/// The moments of a series that is in order.
pub(crate) fn moments(series: &[Observation]) -> Vec<Moment<'_>> {
    series
        .chunk_by(|a, b| a.at == b.at)
        .map(|observations| Moment {
            at: observations[0].at,
            observations,
        })
        .collect()
}

fn key(observation: &Observation) -> (DateTime<Utc>, i16, i64) {
    (observation.at, observation.metric.code(), observation.device.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, heart, on};
    use super::*;

    #[test]
    fn the_first_of_a_key_counts_and_order_is_by_time_metric_and_device() {
        let weight = |minute, device, value| on(device, Metric::BodyWeight, minute, value);
        let given = [
            heart(5, 80.0),
            weight(5, 2, 71.0),
            on(1, Metric::Steps, 5, 10.0),
            heart(3, 70.0),
            heart(5, 99.0),
            on(1, Metric::Spo2, 4, 97.0),
            weight(5, 1, 72.0),
        ];
        let series = in_order(&given, &[Metric::HeartRate, Metric::BodyWeight]);
        let values: Vec<f64> = series.iter().map(|o| o.value).collect();
        assert_eq!(values, [70.0, 80.0, 72.0, 71.0]);
        let times: Vec<_> = moments(&series)
            .iter()
            .map(|m| (m.at, m.observations.len()))
            .collect();
        assert_eq!(times, [(at(3), 1), (at(5), 3)]);
    }
}
