//! A patient's series by the days of their calendar, and the charts of them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_alerts::summary::blood_pressure::HomeCourse;
use homeward_record::{Metric, PatientId};
use homeward_store::steps::DayOfSteps;
use homeward_store::trends::{Bucket, TrendPoint, trend};
use sqlx::PgConnection;

use crate::error::ApiError;
use crate::pages::Moment;
use crate::pages::chart::{At, Chart, Row, Series, Shape, Target};
use crate::pages::moment::ZONE;
use crate::step_goal::OF_SEVERAL_DEVICES;

/// Measurements are charted one by one for so many days; for more, the averages of days are.
const MOST_DAYS_OF_MEASUREMENTS: i64 = 30;

/// What is looked at: some days of the patient's calendar, of which the last is today.
#[derive(Clone, Copy, Debug)]
pub(super) struct Days {
    pub(super) count: i64,
    pub(super) first: NaiveDate,
    pub(super) now: DateTime<Utc>,
}

impl Days {
    pub(super) fn last(count: i64, now: DateTime<Utc>) -> Days {
        let first = ZONE.date(now) - TimeDelta::days(count - 1);
        Days { count, first, now }
    }

    /// From the beginning of the first day until now.
    pub(super) fn window(self) -> (DateTime<Utc>, DateTime<Utc>) {
        (ZONE.beginning(self.first), self.now)
    }

    fn dates(self) -> impl Iterator<Item = NaiveDate> {
        let count = usize::try_from(self.count).unwrap_or(0);
        self.first.iter_days().take(count)
    }
}

/// A day of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Daily {
    pub(super) date: NaiveDate,
    pub(super) low: f64,
    pub(super) mean: f64,
    pub(super) high: f64,
}

/// A series by the days of the patient's calendar; days without readings are left out.
pub(super) async fn daily(
    connection: &mut PgConnection,
    patient: PatientId,
    metric: Metric,
    days: Days,
) -> Result<Vec<Daily>, ApiError> {
    // Hours, since the days that the record keeps are those of UTC.
    let points = trend(connection, patient, metric, days.window(), Bucket::Hour).await?;
    Ok(by_date(&points))
}

fn by_date(points: &[TrendPoint]) -> Vec<Daily> {
    let mut dates: BTreeMap<NaiveDate, (Daily, i64)> = BTreeMap::new();
    for point in points {
        let date = ZONE.date(point.at);
        let first = Daily {
            date,
            low: point.min,
            mean: 0.0,
            high: point.max,
        };
        // The mean is a sum until all of it is known.
        let (day, n) = dates.entry(date).or_insert((first, 0));
        day.low = day.low.min(point.min);
        day.high = day.high.max(point.max);
        day.mean += point.mean * point.n as f64;
        *n += point.n;
    }
    let mean = |(day, n): (Daily, i64)| Daily {
        mean: day.mean / n as f64,
        ..day
    };
    dates.into_values().map(mean).collect()
}

/// What an axis shows at least, so that small changes do not look like large ones.
fn usual(metric: Metric) -> Option<(f64, f64)> {
    match metric {
        Metric::HeartRate => Some((40.0, 120.0)),
        Metric::Spo2 => Some((88.0, 100.0)),
        Metric::Glucose => Some((2.0, 14.0)),
        _ => None,
    }
}

/// How many digits after the point the values of a metric have.
pub(super) fn digits(metric: Metric) -> usize {
    usize::from(matches!(metric, Metric::Glucose | Metric::BodyWeight))
}

/// The lowest, the average and the highest of each day.
pub(super) fn of_days(
    (id, title): (&'static str, &str),
    (metric, unit): (Metric, &'static str),
    (days, daily): (Days, &[Daily]),
    says: String,
    target: Option<Target>,
) -> Chart {
    let series = |name, shape| Series {
        name,
        unit,
        shape,
        digits: digits(metric),
    };
    let row = |date: NaiveDate| {
        let day = daily.iter().find(|day| day.date == date);
        Row {
            at: label(date),
            values: vec![
                day.map(|day| day.low),
                day.map(|day| day.high),
                day.map(|day| day.mean),
            ],
        }
    };
    Chart {
        id,
        title: title.to_owned(),
        says,
        over: "Day",
        series: vec![
            series("Lowest", Shape::Low),
            series("Highest", Shape::High),
            series("Average", Shape::Line),
        ],
        rows: days.dates().map(row).collect(),
        targets: target.into_iter().collect(),
        at_least: usual(metric),
        marks: Vec::new(),
    }
}

/// Blood pressure: each measurement, or of many days the average of each, with the target of the average.
pub(super) fn pressure(courses: &[HomeCourse], days: Days, says: String, target: (f64, f64)) -> Chart {
    let series = |name, shape| Series {
        name,
        unit: "mmHg",
        shape,
        digits: 0,
    };
    let target_of = |name: &str, below: f64| Target {
        name: format!("{name} number: the target is below {below:.0}"),
        from: None,
        to: Some(below),
    };
    // Courses are told the newest first.
    let courses = courses.iter().rev();
    let (over, title, rows): (_, _, Vec<Row>) = if days.count > MOST_DAYS_OF_MEASUREMENTS {
        let row = |(date, systolic, diastolic)| Row {
            at: label(date),
            values: vec![systolic, diastolic],
        };
        let days = courses.flat_map(|course| &course.days);
        let rows = days.map(|day| row((day.date, day.systolic, day.diastolic)));
        ("Day", "Average blood pressure of each day", rows.collect())
    } else {
        let measurements = courses.flat_map(|course| &course.measurements);
        let rows = measurements.map(|one| Row {
            at: At::Time(Moment::short(one.at)),
            values: vec![one.systolic, one.diastolic],
        });
        ("When", "Each blood pressure measurement", rows.collect())
    };
    Chart {
        id: "blood-pressure",
        title: title.to_owned(),
        says,
        over,
        series: vec![
            series("Upper number", Shape::Line),
            series("Lower number", Shape::Line),
        ],
        rows,
        targets: vec![target_of("Upper", target.0), target_of("Lower", target.1)],
        at_least: Some((60.0, 160.0)),
        marks: Vec::new(),
    }
}

/// Weight, measurement by measurement.
pub(super) fn weight(measured: &[(DateTime<Utc>, f64)], says: String) -> Chart {
    let row = |&(at, value): &(DateTime<Utc>, f64)| Row {
        at: At::Time(Moment::short(at)),
        values: vec![Some(value)],
    };
    Chart {
        id: "weight",
        title: "Each weight measurement".to_owned(),
        says,
        over: "When",
        series: vec![Series {
            name: "Weight",
            unit: "kg",
            shape: Shape::Line,
            digits: digits(Metric::BodyWeight),
        }],
        rows: measured.iter().map(row).collect(),
        targets: Vec::new(),
        at_least: None,
        marks: Vec::new(),
    }
}

/// Steps of days; of those to come there are none yet.
pub(super) fn steps(
    id: &'static str,
    title: &str,
    counted: impl IntoIterator<Item = (NaiveDate, Option<i64>)>,
    says: String,
) -> Chart {
    let row = |(date, steps): (NaiveDate, Option<i64>)| Row {
        at: label(date),
        values: vec![steps.map(|steps| steps as f64)],
    };
    Chart {
        id,
        title: title.to_owned(),
        says: format!("{says} {OF_SEVERAL_DEVICES}"),
        over: "Day",
        series: vec![Series {
            name: "Steps",
            unit: "",
            shape: Shape::Bars,
            digits: 0,
        }],
        rows: counted.into_iter().map(row).collect(),
        targets: Vec::new(),
        at_least: Some((0.0, 1_000.0)),
        marks: Vec::new(),
    }
}

/// Every day, those without steps too.
pub(super) fn whole_days(days: Days, counted: &[DayOfSteps]) -> Vec<(NaiveDate, i64)> {
    let steps = |date| {
        let day = counted.iter().find(|day| day.date == date);
        day.map_or(0, |day| day.steps)
    };
    days.dates().map(|date| (date, steps(date))).collect()
}

fn label(date: NaiveDate) -> At {
    At::Label(date.format("%a %-d %b").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn hours_are_summed_up_by_the_days_of_the_patients() {
        let hour = |time: &str, n, min, mean, max| TrendPoint {
            at: at(time),
            n,
            min,
            mean,
            max,
        };
        // Midnight in London is 23:00 UTC in summer.
        let points = [
            hour("2026-06-30T22:00:00Z", 1, 5.0, 5.0, 5.0),
            hour("2026-06-30T23:00:00Z", 3, 6.0, 7.0, 9.0),
            hour("2026-07-01T12:00:00Z", 1, 4.0, 11.0, 12.0),
        ];
        let day = |date: &str, low, mean, high| Daily {
            date: date.parse().unwrap(),
            low,
            mean,
            high,
        };
        assert_eq!(
            by_date(&points),
            [
                day("2026-06-30", 5.0, 5.0, 5.0),
                day("2026-07-01", 4.0, 8.0, 12.0),
            ]
        );
    }

    #[test]
    fn days_are_those_until_today() {
        let days = Days::last(7, at("2026-11-22T12:00:00Z"));
        let dates: Vec<NaiveDate> = days.dates().collect();
        assert_eq!(dates.len(), 7);
        assert_eq!(dates[0].to_string(), "2026-11-16");
        assert_eq!(days.window().0, at("2026-11-16T00:00:00Z"));
    }
}
