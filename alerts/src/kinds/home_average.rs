use serde::Serialize;
use serde_json::{Value, json};

use super::{Signals, Zone, limit_key, of_metric, time_of};
use crate::course::{Average, Course};
use crate::signal::{Breach, Signal};
use crate::{Limit, Observation};

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

impl HomeAverage {
    pub(super) fn signals(&self, course: &mut Course, moment: &[Observation]) -> Signals {
        let limits = &self.limits;
        if !moment.iter().any(|o| limits.iter().any(|l| l.metric == o.metric)) {
            return Signals::new();
        }
        let at = time_of(moment);
        let place = course.take(self.zone.date(at), at, self.days);
        if !place.on_first_day {
            let metrics = limits.iter().map(|limit| limit.metric);
            let observations = metrics.flat_map(|metric| of_metric(moment, metric));
            observations.for_each(|observation| course.add(observation));
        }
        if course.days().len() < self.min_days as usize {
            return Signals::new();
        }
        limits
            .iter()
            .filter_map(|limit| Some((limit_key(limit), signal(course, limit, moment)?)))
            .collect()
    }
}

fn signal(course: &Course, limit: &Limit, moment: &[Observation]) -> Option<Signal> {
    let latest = of_metric(moment, limit.metric).next_back()?;
    let average = course.average(limit.metric)?;
    if !limit.is_breached_by(average.mean) {
        let back = limit.is_cleared_by(average.mean);
        return Some(if back { Signal::Back } else { Signal::Between });
    }
    let mark = latest.mark().with_figure(average.mean);
    Some(Signal::Breach(Box::new(Breach {
        onset: average.first.with_figure(average.mean),
        detail: Some(detail(course, &average)),
        ..Breach::at(mark, limit.bound.excess(average.mean), latest.is_on_time())
    })))
}

/// How much there was to go by: days with measurements, how many of those that count have fewer measurements than
/// they should, and how many measurements the average is of.
fn detail(course: &Course, average: &Average) -> Value {
    json!({
        "days": course.days().len(),
        "days_with_fewer_than_two": course.short_days(),
        "readings": average.n,
    })
}
