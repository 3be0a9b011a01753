//! What was measured of a patient over a range of time.
//!
//! Where there are few readings of a series, each is a point; where there are many, a point sums up a step of the range.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use homeward_record::{Metric, PatientId};
use homeward_store::steps::those_that_count;
use homeward_store::summary::{WindowReading, load_window};
use homeward_store::trends::{Bucket, TrendPoint, at_least, trend};
use sqlx::PgConnection;

use super::range::Range;
use crate::error::ApiError;

/// The most readings of a series of which each is a point.
const MOST_POINTS: i64 = 400;

/// The most readings of all these series together that are read one by one: some times as many as are charted so, and
/// little enough for a page.
const MOST_READ: i64 = 20_000;

/// The series of a patient that have readings in a range.
pub(super) struct Measured {
    range: Range,
    series: BTreeMap<Metric, Series>,
}

/// A series over a range, the oldest point first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    pub(super) points: Vec<TrendPoint>,
    /// Whether a point sums readings up.
    pub(super) summed: bool,
}

impl Measured {
    /// Reads those of some metrics.
    pub(super) async fn load(
        connection: &mut PgConnection,
        patient: PatientId,
        metrics: &[Metric],
        range: Range,
        now: DateTime<Utc>,
    ) -> Result<Measured, ApiError> {
        let window = range.window(now);
        // Of a range of less than two days no day is whole: the day on which it begins tells what is usual.
        let counted = (Bucket::Day.floor(window.from), window.to);
        let counted = at_least(connection, patient, metrics, counted).await?;
        let (many, few): (Vec<_>, Vec<_>) = metrics
            .iter()
            .copied()
            .zip(counted)
            .partition(|(_, n)| *n > MOST_POINTS);
        let names = |series: Vec<(Metric, i64)>| series.into_iter().map(|(metric, _)| metric).collect();
        let (mut many, few): (Vec<Metric>, Vec<Metric>) = (names(many), names(few));
        let bounds = (window.from, window.to);
        let mut readings = load_window(connection, patient, &few, bounds, MOST_READ + 1).await?;
        // Nobody has counted yet what came just now, as of a record that was taken over.
        if i64::try_from(readings.len()).is_ok_and(|n| n > MOST_READ) {
            readings.clear();
            many.extend(few);
        }
        let mut measured = Measured {
            range,
            series: BTreeMap::new(),
        };
        let right = readings.iter().filter(|reading| !reading.entered_in_error);
        let others = right.filter(|reading| reading.metric != Metric::Steps);
        for reading in others.chain(those_that_count(&readings)) {
            let series = measured.series.entry(reading.metric).or_default();
            series.points.push(point(reading));
        }
        for series in measured.series.values_mut() {
            if i64::try_from(series.points.len()).is_ok_and(|n| n > MOST_POINTS) {
                *series = series.summed_up(range);
            }
        }
        for metric in many {
            let points = trend(connection, patient, metric, bounds, range.step.0).await?;
            let series = Series { points, summed: true };
            measured.series.insert(metric, series.summed_up(range));
        }
        measured.series.retain(|_, series| !series.points.is_empty());
        Ok(measured)
    }

    /// A series, if it has readings.
    pub(super) fn of(&self, metric: Metric) -> Option<&Series> {
        self.series.get(&metric)
    }

    /// Two series over one axis: both summed up, if one of them is.
    pub(super) fn alike(&self, one: Metric, other: Metric) -> [Option<Series>; 2] {
        let both = [self.of(one), self.of(other)];
        let summed = both.iter().flatten().any(|series| series.summed);
        both.map(|series| {
            series.map(|series| match summed && !series.summed {
                true => series.summed_up(self.range),
                false => series.clone(),
            })
        })
    }
}

impl Series {
    /// The same with a point for each step of the range that has readings.
    fn summed_up(&self, range: Range) -> Series {
        let (bucket, times) = range.step;
        Series {
            points: sum_up(&self.points, bucket.length() * times),
            summed: true,
        }
    }
}

fn point(reading: &WindowReading) -> TrendPoint {
    TrendPoint {
        at: reading.at,
        n: 1,
        min: reading.value,
        mean: reading.value,
        max: reading.value,
    }
}

/// What points come to in steps of this length.
fn sum_up(points: &[TrendPoint], step: TimeDelta) -> Vec<TrendPoint> {
    let mut summed: Vec<TrendPoint> = Vec::new();
    for point in points {
        let at = point.at.duration_trunc(step).unwrap_or(point.at);
        match summed.last_mut() {
            Some(last) if last.at == at => {
                let n = last.n + point.n;
                let (of_last, of_point) = (last.n as f64 / n as f64, point.n as f64 / n as f64);
                *last = TrendPoint {
                    at,
                    n,
                    min: last.min.min(point.min),
                    mean: last.mean * of_last + point.mean * of_point,
                    max: last.max.max(point.max),
                };
            }
            _ => summed.push(TrendPoint { at, ..*point }),
        }
    }
    summed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestApp, at, now};

    #[test]
    fn points_add_up() {
        let point = |at_text: &str, n, value| TrendPoint {
            at: at(at_text),
            n,
            min: value - 1.0,
            mean: value,
            max: value + 1.0,
        };
        let points = [
            point("2026-11-22T03:00:00Z", 1, 10.0),
            point("2026-11-22T05:59:00Z", 3, 20.0),
            point("2026-11-22T06:00:00Z", 2, 5.0),
        ];
        assert_eq!(
            sum_up(&points, TimeDelta::hours(3)),
            [
                TrendPoint {
                    at: at("2026-11-22T03:00:00Z"),
                    n: 4,
                    min: 9.0,
                    mean: 17.5,
                    max: 21.0,
                },
                point("2026-11-22T06:00:00Z", 2, 5.0),
            ]
        );
    }

    #[tokio::test]
    async fn few_steps_of_two_devices_count_once() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        for more in [0.0, 100.0] {
            let device = app.add_device(patient).await;
            let hours = (1..=3).map(|hour| (Metric::Steps, now() - TimeDelta::hours(hour), 500.0 + more));
            app.store(patient, device, &hours.collect::<Vec<_>>()).await;
        }
        for range in ["24h", "14d"] {
            let range = Range::named(None, range).unwrap();
            let mut connection = app.connection().await;
            let measured = Measured::load(&mut connection, patient, &[Metric::Steps], range, now())
                .await
                .unwrap();
            let points = &measured.of(Metric::Steps).unwrap().points;
            let steps: Vec<f64> = points.iter().map(|point| point.mean).collect();
            assert_eq!(steps, [600.0; 3]);
        }
    }

    #[tokio::test]
    async fn few_readings_are_points_and_many_are_summed_up() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let device = app.add_device(patient).await;
        let minutes = (1..=1_000).map(|minute| (Metric::HeartRate, now() - TimeDelta::minutes(minute), 72.0));
        let weights = (1..=3).map(|day| (Metric::BodyWeight, now() - TimeDelta::days(day), 80.0));
        let readings: Vec<_> = minutes.chain(weights).collect();
        app.store(patient, device, &readings).await;
        let range = Range::named(None, "14d").unwrap();
        let metrics = [Metric::HeartRate, Metric::BodyWeight, Metric::Spo2];
        let mut connection = app.connection().await;
        let measured = Measured::load(&mut connection, patient, &metrics, range, now())
            .await
            .unwrap();
        let told = |metric| {
            measured
                .of(metric)
                .map(|series| (series.summed, series.points.len()))
        };
        assert_eq!(told(Metric::HeartRate), Some((true, 17)));
        assert_eq!(told(Metric::BodyWeight), Some((false, 3)));
        assert_eq!(told(Metric::Spo2), None);
        let n: i64 = measured
            .of(Metric::HeartRate)
            .unwrap()
            .points
            .iter()
            .map(|point| point.n)
            .sum();
        assert_eq!(n, 1_000);
    }
}
