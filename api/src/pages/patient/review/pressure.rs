//! Blood pressure at home as a sheet shows it, drawn here so that it prints as it stands.

use askama::Template;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_alerts::summary::blood_pressure::{DayAverage, HomeCourse};

use crate::pages::moment::ZONE;
use crate::pages::pressure::{course_in_words, telling};

/// The drawing, in units of its own.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 712.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 190.0;

/// Pressures as far as they are drawn, in mmHg. What is beyond is drawn at the edge.
const LOWEST: f64 = 40.0;
const HIGHEST: f64 = 220.0;

/// Shown by `{{ pressure|safe }}`.
#[derive(Template)]
#[template(path = "components/pressure.html")]
pub(super) struct PressureReport<'a> {
    /// The course that says most, in sentences.
    told: String,
    /// Its days.
    days: &'a [DayAverage],
    /// The other courses, in sentences, the newest first.
    others: Vec<String>,
    measurements: Vec<Drawn>,
    targets: [Line; 2],
    values: [Line; 5],
    dates: Vec<(String, String)>,
}

/// A measurement: a bar from its diastolic to its systolic pressure.
struct Drawn {
    x: String,
    top: String,
    bottom: String,
    used: bool,
}

/// A line across, and what it stands for.
struct Line {
    y: String,
    text: String,
}

impl<'a> PressureReport<'a> {
    /// The report of the courses of a time, the newest first; none where there are no measurements.
    pub(super) fn of(
        courses: &'a [HomeCourse],
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Option<PressureReport<'a>> {
        let told = telling(courses)?;
        let across = |at: DateTime<Utc>| {
            let part = (at - from).as_seconds_f64() / (to - from).as_seconds_f64();
            unit(LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT))
        };
        let measurements = courses.iter().flat_map(|course| &course.measurements);
        let drawn = measurements.filter_map(|measurement| {
            Some(Drawn {
                x: across(measurement.at),
                top: unit(y(measurement.systolic?)),
                bottom: unit(y(measurement.diastolic?)),
                used: measurement.used,
            })
        });
        let line = |value: f64| Line {
            y: unit(y(value)),
            text: format!("{value:.0}"),
        };
        let target = &told.target;
        let weeks = (0..=4).map(|week| from + TimeDelta::days(7 * week));
        Some(PressureReport {
            told: course_in_words(told),
            days: &told.days,
            others: courses
                .iter()
                .filter(|course| *course != told)
                .map(course_in_words)
                .collect(),
            measurements: drawn.collect(),
            targets: [target.systolic_below, target.diastolic_below].map(line),
            values: [60.0, 100.0, 140.0, 180.0, 220.0].map(line),
            dates: weeks
                .map(|at| (across(at), day(&ZONE.local(at).date())))
                .collect(),
        })
    }
}

fn y(value: f64) -> f64 {
    BOTTOM - (value.clamp(LOWEST, HIGHEST) - LOWEST) / (HIGHEST - LOWEST) * (BOTTOM - TOP)
}

fn unit(length: f64) -> String {
    format!("{length:.1}")
}

fn day(date: &NaiveDate) -> String {
    date.format("%-d %b").to_string()
}

/// Both pressures of a day's average: `134/82`.
fn both(day: &DayAverage) -> String {
    match (day.systolic, day.diastolic) {
        (Some(systolic), Some(diastolic)) => format!("{systolic:.0}/{diastolic:.0}"),
        _ => "–".to_owned(),
    }
}
