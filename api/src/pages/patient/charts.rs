//! The charts of what was measured of a patient: what belongs together in one, each with its target and its alerts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeward_alerts::summary::blood_pressure::HomeCourse;
use homeward_alerts::{count_in_words, metric_in_words};
use homeward_record::Metric;
use homeward_store::alerts::Episode;
use homeward_store::trends::TrendPoint;

use super::trends::{Measured, Series};
use super::values::number;
use crate::alerts::sentence;
use crate::pages::Moment;
use crate::pages::chart::{At, Chart, Mark, Row, Series as Column, Shape, Target};
use crate::pages::pressure::course_in_words;
use crate::step_goal::OF_SEVERAL_DEVICES;

/// The most alerts that one chart marks, the latest: more would hide the line.
const MOST_MARKS: usize = 12;

/// What charts are made of.
pub(super) struct Drawn<'a> {
    pub(super) measured: &'a Measured,
    /// Those that may be marked, the latest first.
    pub(super) episodes: &'a [Episode],
    pub(super) from: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
    /// The course of blood pressure that is told.
    pub(super) course: Option<&'a HomeCourse>,
    /// The glucose that is aimed at.
    pub(super) aim: (f64, f64),
    /// Whether oxygen saturation is scored on scale 2, so that 88 to 92 % is aimed at.
    pub(super) scale_2: bool,
}

/// A column with its values.
struct Values {
    column: Column,
    values: Vec<(DateTime<Utc>, f64)>,
}

impl Drawn<'_> {
    /// The charts of all that has readings in the range.
    pub(super) fn charts(&self) -> Vec<Chart> {
        let charts = [
            self.blood_pressure(),
            self.glucose(),
            self.heart_rate(),
            self.oxygen(),
            self.weight(),
            self.temperature(),
            self.respiration(),
        ];
        charts.into_iter().flatten().collect()
    }

    fn blood_pressure(&self) -> Option<Chart> {
        let both = self.measured.alike(Metric::Systolic, Metric::Diastolic);
        let [systolic, diastolic] = &both;
        let mut columns = Vec::new();
        for (name, series) in [("Systolic", systolic), ("Diastolic", diastolic)] {
            let Some(series) = series else { continue };
            let shape = if series.summed { Shape::Line } else { Shape::Dots };
            columns.push(values(Metric::Systolic, name, shape, series, |point| point.mean));
        }
        let says = match self.course {
            Some(course) => course_in_words(course),
            None => in_words(Metric::Systolic, systolic.as_ref().or(diastolic.as_ref())?),
        };
        let target = self.course.map(|course| &course.target);
        let targets = target.into_iter().flat_map(|target| {
            [
                ("Systolic", target.systolic_below),
                ("Diastolic", target.diastolic_below),
            ]
            .map(|(name, below)| Target {
                name: format!("{name} target: below {below:.0} mmHg"),
                from: None,
                to: Some(below),
            })
        });
        Some(Chart {
            targets: targets.collect(),
            at_least: Some((60.0, 160.0)),
            ..self.chart(
                "blood-pressure",
                "Blood pressure",
                says,
                &[Metric::Systolic, Metric::Diastolic],
                columns,
            )?
        })
    }

    fn glucose(&self) -> Option<Chart> {
        let (from, to) = self.aim;
        let target = Target {
            name: format!("Target: {from:.1} to {to:.1} mmol/L"),
            from: Some(from),
            to: Some(to),
        };
        self.single(
            "glucose",
            "Glucose",
            Metric::Glucose,
            Shape::Dots,
            (Some(target), Some((2.0, 14.0))),
        )
    }

    fn heart_rate(&self) -> Option<Chart> {
        let metrics = [Metric::HeartRate, Metric::Steps];
        let [rate, steps] = self.measured.alike(metrics[0], metrics[1]);
        let mut columns = Vec::new();
        if let Some(rate) = &rate {
            columns.extend(around(Metric::HeartRate, "Heart rate", Shape::Line, rate));
        }
        if let Some(steps) = &steps {
            let sum = |point: &TrendPoint| point.mean * point.n as f64;
            columns.push(values(Metric::Steps, "Steps", Shape::Bars, steps, sum));
        }
        let says = [
            rate.as_ref().map(|rate| in_words(Metric::HeartRate, rate)),
            steps.as_ref().map(|steps| steps_in_words(steps, self.now)),
        ];
        let says: Vec<String> = says.into_iter().flatten().collect();
        let title = match (&rate, &steps) {
            (Some(_), Some(_)) => "Heart rate and activity",
            (None, _) => "Activity",
            (_, None) => "Heart rate",
        };
        Some(Chart {
            at_least: rate.is_some().then_some((40.0, 120.0)),
            ..self.chart("heart-rate", title, says.join(" "), &metrics, columns)?
        })
    }

    fn oxygen(&self) -> Option<Chart> {
        let metrics = [Metric::Spo2, Metric::SupplementalOxygen];
        let [saturation, oxygen] = self.measured.alike(metrics[0], metrics[1]);
        let saturation = saturation?;
        let mut columns = around(Metric::Spo2, "Oxygen saturation", Shape::Line, &saturation);
        if let Some(oxygen) = oxygen.filter(|oxygen| oxygen.points.iter().any(|point| point.max > 0.0)) {
            columns.push(values(
                metrics[1],
                "Supplemental oxygen",
                Shape::Bars,
                &oxygen,
                |point| point.mean,
            ));
        }
        let target = match self.scale_2 {
            true => Target {
                name: "Target: 88 to 92 %".to_owned(),
                from: Some(88.0),
                to: Some(92.0),
            },
            false => scores_0("96 % or more", Some(96.0), None),
        };
        Some(Chart {
            targets: vec![target],
            at_least: Some((86.0, 100.0)),
            ..self.chart(
                "oxygen",
                "Oxygen saturation",
                in_words(Metric::Spo2, &saturation),
                &metrics,
                columns,
            )?
        })
    }

    fn weight(&self) -> Option<Chart> {
        self.single("weight", "Weight", Metric::BodyWeight, Shape::Line, (None, None))
    }

    fn temperature(&self) -> Option<Chart> {
        let target = scores_0("36.1 to 38.0 °C", Some(36.1), Some(38.0));
        let how = (Some(target), Some((35.0, 39.0)));
        self.single(
            "temperature",
            "Temperature",
            Metric::BodyTemperature,
            Shape::Line,
            how,
        )
    }

    fn respiration(&self) -> Option<Chart> {
        let target = scores_0("12 to 20 breaths a minute", Some(12.0), Some(20.0));
        let how = (Some(target), Some((8.0, 26.0)));
        self.single(
            "respiration",
            "Respiratory rate",
            Metric::RespiratoryRate,
            Shape::Line,
            how,
        )
    }

    /// The chart of one series.
    fn single(
        &self,
        id: &'static str,
        title: &'static str,
        metric: Metric,
        shape: Shape,
        (target, at_least): (Option<Target>, Option<(f64, f64)>),
    ) -> Option<Chart> {
        let series = self.measured.of(metric)?;
        let columns = around(metric, title, shape, series);
        Some(Chart {
            targets: target.into_iter().collect(),
            at_least,
            ..self.chart(id, title, in_words(metric, series), &[metric], columns)?
        })
    }

    /// A chart without targets; `None` where there is nothing to draw.
    fn chart(
        &self,
        id: &'static str,
        title: &str,
        says: String,
        metrics: &[Metric],
        columns: Vec<Values>,
    ) -> Option<Chart> {
        let rows = rows(&columns);
        let (marks, more) = self.marks(metrics);
        let says = match more {
            0 => says,
            more => format!(
                "{says} The latest {MOST_MARKS} alerts are marked, and {more} more are on the list of alerts."
            ),
        };
        (!rows.is_empty()).then(|| Chart {
            id,
            title: title.to_owned(),
            says,
            over: "When",
            series: columns.into_iter().map(|values| values.column).collect(),
            rows,
            targets: Vec::new(),
            at_least: None,
            marks,
        })
    }

    /// The alerts that began with a reading of one of the metrics in the range, the latest of them, and how many more
    /// there are.
    fn marks(&self, metrics: &[Metric]) -> (Vec<Mark>, usize) {
        let of_chart = self
            .episodes
            .iter()
            .filter(|episode| metrics.contains(&episode.onset.metric) && episode.onset.at >= self.from);
        let mark = |episode: &Episode| Mark {
            at: Moment::short(episode.onset.at),
            text: sentence(episode),
            severity: episode.severity.clone(),
            href: format!("/alerts/{}", episode.id),
        };
        let all = of_chart.clone().count();
        (
            of_chart.take(MOST_MARKS).map(mark).collect(),
            all.saturating_sub(MOST_MARKS),
        )
    }
}

/// What NEWS2 scores 0 for. Source: Royal College of Physicians, NEWS2, 2017, chart 1.
fn scores_0(what: &str, from: Option<f64>, to: Option<f64>) -> Target {
    Target {
        name: format!("NEWS2 scores 0: {what}"),
        from,
        to,
    }
}

/// The columns of a series: its values, or of what is summed up the mean between the lowest and the highest.
fn around(metric: Metric, name: &'static str, shape: Shape, series: &Series) -> Vec<Values> {
    match series.summed {
        false => vec![values(metric, name, shape, series, |point| point.mean)],
        true => vec![
            values(metric, "Lowest", Shape::Low, series, |point| point.min),
            values(metric, "Highest", Shape::High, series, |point| point.max),
            values(metric, "On average", Shape::Line, series, |point| point.mean),
        ],
    }
}

fn values(
    metric: Metric,
    name: &'static str,
    shape: Shape,
    series: &Series,
    value: impl Fn(&TrendPoint) -> f64,
) -> Values {
    Values {
        column: Column {
            name,
            unit: metric_in_words(metric).1,
            shape,
            digits: digits(metric, series.summed),
        },
        values: series
            .points
            .iter()
            .map(|point| (point.at, value(point)))
            .collect(),
    }
}

/// How many digits after the point are told of a metric; of a mean of small numbers one more.
fn digits(metric: Metric, summed: bool) -> usize {
    match metric {
        Metric::BodyTemperature | Metric::Glucose | Metric::BodyWeight | Metric::SupplementalOxygen => 1,
        Metric::Spo2 | Metric::RespiratoryRate if summed => 1,
        _ => 0,
    }
}

/// The rows of columns, by time. Of two values of one column and time each has its row.
fn rows(columns: &[Values]) -> Vec<Row> {
    let mut rows: BTreeMap<(DateTime<Utc>, usize), Vec<Option<f64>>> = BTreeMap::new();
    for (index, column) in columns.iter().enumerate() {
        for (at, value) in &column.values {
            let mut place = 0;
            while rows.get(&(*at, place)).is_some_and(|row| row[index].is_some()) {
                place += 1;
            }
            let row = rows
                .entry((*at, place))
                .or_insert_with(|| vec![None; columns.len()]);
            row[index] = Some(*value);
        }
    }
    let row = |((at, _), values)| Row {
        at: At::Time(Moment::short(at)),
        values,
    };
    rows.into_iter().map(row).collect()
}

/// What a series is like, in a sentence.
fn in_words(metric: Metric, series: &Series) -> String {
    let points = &series.points;
    let n: i64 = points.iter().map(|point| point.n).sum();
    let least = points.iter().map(|point| point.min).fold(f64::INFINITY, f64::min);
    let most = points
        .iter()
        .map(|point| point.max)
        .fold(f64::NEG_INFINITY, f64::max);
    let mean = points
        .iter()
        .map(|point| point.mean * point.n as f64)
        .sum::<f64>()
        / n.max(1) as f64;
    let unit = metric_in_words(metric).1;
    let number = |value| number(metric, value);
    match n {
        1 => format!("One reading: {} {unit}.", number(mean)),
        n => format!(
            "From {} to {} {unit}, on average {}, in {} readings.",
            number(least),
            number(most),
            number(mean),
            count_in_words(n.unsigned_abs())
        ),
    }
}

/// The steps of a day, on average of the time since somebody counts: of a day at least.
fn steps_in_words(steps: &Series, now: DateTime<Utc>) -> String {
    let all: f64 = steps.points.iter().map(|point| point.mean * point.n as f64).sum();
    let first = steps.points.first().map_or(now, |point| point.at);
    let days = (now - first).as_seconds_f64() / 86_400.0;
    format!(
        "Steps: {} a day. {OF_SEVERAL_DEVICES}",
        count_in_words((all / days.max(1.0)).round() as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn series(values: &[(&str, i64, f64)], summed: bool) -> Series {
        let point = |(time, n, value): &(&str, i64, f64)| TrendPoint {
            at: at(time),
            n: *n,
            min: value - 10.0,
            mean: *value,
            max: value + 10.0,
        };
        Series {
            points: values.iter().map(point).collect(),
            summed,
        }
    }

    #[test]
    fn two_readings_of_one_time_are_two_rows() {
        let twice = series(
            &[
                ("2026-11-22T08:00:00Z", 1, 80.0),
                ("2026-11-22T08:00:00Z", 1, 81.0),
            ],
            false,
        );
        let other = series(
            &[
                ("2026-11-22T08:00:00Z", 1, 120.0),
                ("2026-11-22T07:00:00Z", 1, 121.0),
            ],
            false,
        );
        let mean = |point: &TrendPoint| point.mean;
        let columns = [
            values(Metric::BodyWeight, "Weight", Shape::Line, &twice, mean),
            values(Metric::Systolic, "Systolic", Shape::Dots, &other, mean),
        ];
        let told: Vec<_> = rows(&columns).into_iter().map(|row| row.values).collect();
        assert_eq!(
            told,
            [[None, Some(121.0)], [Some(80.0), Some(120.0)], [Some(81.0), None],]
        );
    }

    #[test]
    fn a_series_is_told_in_a_sentence() {
        let summed = series(
            &[
                ("2026-11-22T08:00:00Z", 3, 70.0),
                ("2026-11-22T09:00:00Z", 1, 90.0),
            ],
            true,
        );
        assert_eq!(
            in_words(Metric::HeartRate, &summed),
            "From 60 to 100 beats a minute, on average 75, in 4 readings."
        );
        let steps = series(
            &[
                ("2026-11-21T08:00:00Z", 1, 3_000.0),
                ("2026-11-22T08:00:00Z", 2, 500.0),
            ],
            true,
        );
        // What was walked between two noons was walked in a day, though it lies in two of the calendar.
        for (now, said) in [
            ("2026-11-22T08:00:00Z", "Steps: 4,000 a day. "),
            ("2026-11-23T08:00:00Z", "Steps: 2,000 a day. "),
        ] {
            assert_eq!(
                steps_in_words(&steps, at(now)),
                said.to_owned() + OF_SEVERAL_DEVICES
            );
        }
        let names = |series: &Series| -> Vec<&str> {
            let columns = around(Metric::HeartRate, "Heart rate", Shape::Line, series);
            columns.iter().map(|values| values.column.name).collect()
        };
        assert_eq!(names(&summed), ["Lowest", "Highest", "On average"]);
        assert_eq!(
            names(&series(&[("2026-11-22T08:00:00Z", 1, 70.0)], false)),
            ["Heart rate"]
        );
    }
}
