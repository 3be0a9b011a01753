//! A course of blood-pressure measurements at home, after NICE NG136: what a rule judges and a summary shows.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Mark, Observation};

/// Two measurements of a course count as two from this distance on. Source: NICE NG136, 1.2.7.
const APART: TimeDelta = TimeDelta::minutes(1);

/// Measurements that a day of a course should have: the least of the two in the morning and two in the evening
/// that NICE NG136 asks for with which a day is not said to be short.
pub(crate) const READINGS_OF_A_DAY: u32 = 2;

/// The course that runs. It begins with a measurement and lasts so many days of the patient's calendar, with or
/// without measurements. Its first day is left out of the average.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Course {
    /// The days with measurements, the oldest first.
    days: Vec<Day>,
    /// What was measured after the first day.
    sums: Vec<Sum>,
}

/// A day with measurements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Day {
    pub(crate) date: NaiveDate,
    /// Measurements at least a minute apart.
    pub(crate) readings: u32,
    latest_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sum {
    first: Mark,
    n: u32,
    sum: f64,
}

/// What a measurement is within its course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// It is of the first day, which is left out of the average.
    pub(crate) on_first_day: bool,
    /// It is a minute or more after the one before it on its day.
    pub(crate) is_apart: bool,
}

/// The average of a course so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Average {
    /// The first reading in it.
    pub(crate) first: Mark,
    /// Of how many readings it is.
    pub(crate) n: u32,
    /// In the metric's unit.
    pub(crate) mean: f64,
}

impl Course {
    /// Takes a measurement of a day into the course, or into another that it begins where this one is over: one
    /// lasts `length` days. Its numbers are to be added by [`Course::add`] unless it is of the first day.
    pub(crate) fn take(&mut self, date: NaiveDate, at: DateTime<Utc>, length: u32) -> Place {
        if self.is_over_on(date, length) {
            *self = Course::default();
        }
        let is_apart = self.count(date, at);
        Place {
            on_first_day: self.days[0].date == date,
            is_apart,
        }
    }

    /// Whether a measurement of this day begins another course, where one lasts `length` days.
    pub(crate) fn is_over_on(&self, date: NaiveDate, length: u32) -> bool {
        let over = |first: &Day| Some(date) >= first.date.checked_add_days(Days::new(length.into()));
        self.days.first().is_none_or(over)
    }

    /// Counts a measurement of its day, and answers whether it is apart from the one before.
    fn count(&mut self, date: NaiveDate, at: DateTime<Utc>) -> bool {
        match self.days.last_mut().filter(|day| day.date == date) {
            Some(day) if at - day.latest_at >= APART => {
                day.readings += 1;
                day.latest_at = at;
                true
            }
            Some(_) => false,
            None => {
                self.days.push(Day {
                    date,
                    readings: 1,
                    latest_at: at,
                });
                true
            }
        }
    }

    /// Adds a number to the average of its metric.
    pub(crate) fn add(&mut self, observation: &Observation) {
        match self
            .sums
            .iter_mut()
            .find(|sum| sum.first.metric == observation.metric)
        {
            Some(sum) => {
                sum.n += 1;
                sum.sum += observation.value;
            }
            None => self.sums.push(Sum {
                first: observation.mark(),
                n: 1,
                sum: observation.value,
            }),
        }
    }

    /// The average of a metric, of what was added.
    pub(crate) fn average(&self, metric: Metric) -> Option<Average> {
        let sum = self.sums.iter().find(|sum| sum.first.metric == metric)?;
        Some(Average {
            first: sum.first,
            n: sum.n,
            mean: sum.sum / f64::from(sum.n),
        })
    }

    /// The days with measurements, the oldest first.
    pub(crate) fn days(&self) -> &[Day] {
        &self.days
    }

    /// How many of the days that count have fewer measurements than they should.
    pub(crate) fn short_days(&self) -> usize {
        let short = |day: &&Day| day.readings < READINGS_OF_A_DAY;
        self.days.iter().skip(1).filter(short).count()
    }
}
