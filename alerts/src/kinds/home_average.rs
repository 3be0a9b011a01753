use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Signals, Zone, limit_key, of_metric, time_of};
use crate::signal::{Breach, Signal};
use crate::{Limit, Mark, Observation};

/// Two measurements of a course count as two from this distance on. Source: NICE NG136, 1.2.7.
const APART: TimeDelta = TimeDelta::minutes(1);

/// Measurements that a day of a course should have: the least of the two in the morning and two in the evening
/// that NICE NG136 asks for with which a day is not said to be short.
const READINGS_OF_A_DAY: u32 = 2;

/// The average of a course of blood-pressure measurements at home, after NICE NG136.
///
/// A course begins with a measurement when none is running, and lasts `days` of the patient's calendar, with or
/// without measurements; the next measurement after that begins another. Its first day is left out of the
/// average. The average is judged with every measurement once `min_days` days have one, the first included;
/// before that nothing is said. An open episode outlasts its course until a later one is judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HomeAverage {
    /// The limits of the averages; any one suffices.
    pub limits: Vec<Limit>,
    /// How many days of the patient's calendar a course lasts.
    pub days: u32,
    /// On how many of these there must be measurements.
    pub min_days: u32,
    /// The patient's calendar.
    pub zone: Zone,
    /// As for a threshold.
    pub clear_after_seconds: u32,
}

/// The course that runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Course {
    /// The days with measurements, the oldest first.
    days: Vec<Day>,
    /// What was measured after the first day.
    sums: Vec<Sum>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Day {
    date: NaiveDate,
    /// Measurements at least a minute apart.
    readings: u32,
    latest_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    first: Mark,
    n: u32,
    sum: f64,
}

impl HomeAverage {
    pub(super) fn signals(&self, course: &mut Course, moment: &[Observation]) -> Signals {
        let limits = &self.limits;
        if !moment.iter().any(|o| limits.iter().any(|l| l.metric == o.metric)) {
            return Signals::new();
        }
        let date = self.zone.date(time_of(moment));
        let over = |first: &Day| Some(date) >= first.date.checked_add_days(Days::new(self.days.into()));
        if course.days.first().is_none_or(over) {
            *course = Course::default();
        }
        course.count(date, time_of(moment));
        if course.days[0].date != date {
            let metrics = limits.iter().map(|limit| limit.metric);
            let observations = metrics.flat_map(|metric| of_metric(moment, metric));
            observations.for_each(|observation| course.add(observation));
        }
        if course.days.len() < self.min_days as usize {
            return Signals::new();
        }
        limits
            .iter()
            .filter_map(|limit| Some((limit_key(limit), course.signal(limit, moment)?)))
            .collect()
    }
}

impl Course {
    fn count(&mut self, date: NaiveDate, at: DateTime<Utc>) {
        match self.days.last_mut().filter(|day| day.date == date) {
            Some(day) if at - day.latest_at >= APART => {
                day.readings += 1;
                day.latest_at = at;
            }
            Some(_) => {}
            None => self.days.push(Day {
                date,
                readings: 1,
                latest_at: at,
            }),
        }
    }

    fn add(&mut self, observation: &Observation) {
        match self.sum_of(observation.metric) {
            Some(index) => {
                self.sums[index].n += 1;
                self.sums[index].sum += observation.value;
            }
            None => self.sums.push(Sum {
                first: observation.mark(),
                n: 1,
                sum: observation.value,
            }),
        }
    }

    fn sum_of(&self, metric: Metric) -> Option<usize> {
        self.sums.iter().position(|sum| sum.first.metric == metric)
    }

    fn signal(&self, limit: &Limit, moment: &[Observation]) -> Option<Signal> {
        let latest = of_metric(moment, limit.metric).next_back()?;
        let sum = &self.sums[self.sum_of(limit.metric)?];
        let average = sum.sum / f64::from(sum.n);
        if !limit.is_breached_by(average) {
            let back = limit.is_cleared_by(average);
            return Some(if back { Signal::Back } else { Signal::Between });
        }
        let mark = latest.mark().with_figure(average);
        Some(Signal::Breach(Box::new(Breach {
            onset: sum.first.with_figure(average),
            detail: Some(self.detail(sum)),
            ..Breach::at(mark, limit.bound.excess(average), latest.is_on_time())
        })))
    }

    /// How much there was to go by: days with measurements, how many of those that count have fewer
    /// measurements than they should, and how many measurements the average is of.
    fn detail(&self, sum: &Sum) -> Value {
        let short = |day: &&Day| day.readings < READINGS_OF_A_DAY;
        json!({
            "days": self.days.len(),
            "days_with_fewer_than_two": self.days.iter().skip(1).filter(short).count(),
            "readings": sum.n,
        })
    }
}
