//! Courses of blood-pressure measurements at home, after NICE NG136.

mod average;
mod measurement;
mod sufficiency;
#[cfg(test)]
mod testing;

use chrono::{NaiveDate, TimeDelta};
use homeward_record::Metric;
use serde::Serialize;
use utoipa::ToSchema;

use crate::course::Course;
use crate::{Observation, Zone, moments};
use average::Mean;
use measurement::measurements;

pub use average::{CourseAverage, DayAverage, StageRange, Target};
pub use measurement::{Measurement, WhyNot, entered_in_error};
pub use sufficiency::Sufficiency;

/// How many days of the patient's calendar a course lasts, and on how many of them there must be measurements for its
/// average to say anything, the first included. Source: NICE NG136, 1.2.7 (at least 4 days, ideally 7).
pub const COURSE_DAYS: u32 = 7;
/// See [`COURSE_DAYS`].
pub const LEAST_DAYS: u32 = 4;

/// A course of measurements at home and what it comes to, after NICE NG136.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HomeCourse {
    /// Its first day, by the patient's calendar.
    pub first_day: NaiveDate,
    /// Its last day, which may be to come.
    pub last_day: NaiveDate,
    /// The average of what was measured after the first day; none where nothing was.
    pub average: Option<CourseAverage>,
    /// The range that the average is in; none with measurements on fewer than [`LEAST_DAYS`] days.
    pub range: Option<StageRange>,
    /// What it should be below under treatment.
    pub target: Target,
    /// Whether there was enough to go by.
    pub sufficiency: Sufficiency,
    /// The days with measurements, the oldest first.
    pub days: Vec<DayAverage>,
    /// The measurements, the oldest first.
    pub measurements: Vec<Measurement>,
}

/// The courses that these readings make, the oldest first: the first begins with the first measurement, another with
/// the first one after a course is over. The readings, of [`Metric::Systolic`], [`Metric::Diastolic`] and
/// [`Metric::IrregularPulse`], are sorted by [`Observation::key`], and none is entered in error.
pub fn summarise_blood_pressure(readings: &[Observation], born: NaiveDate, zone: Zone) -> Vec<HomeCourse> {
    let mut courses = Vec::new();
    let mut running = Running::default();
    for moment in moments(readings).filter(|moment| moment.iter().any(is_pressure)) {
        let date = zone.date(moment[0].at);
        if running.course.is_over_on(date, COURSE_DAYS) {
            courses.extend(std::mem::take(&mut running).finish(born));
        }
        running.take(moment, date, zone);
    }
    courses.extend(running.finish(born));
    courses
}

fn is_pressure(observation: &Observation) -> bool {
    matches!(observation.metric, Metric::Systolic | Metric::Diastolic)
}

/// The course that is being read.
#[derive(Default)]
struct Running {
    course: Course,
    measurements: Vec<Measurement>,
    days: Vec<DayAverage>,
    /// Of each day, systolic and diastolic.
    means: Vec<[Mean; 2]>,
}

impl Running {
    fn take(&mut self, moment: &[Observation], date: NaiveDate, zone: Zone) {
        let at = moment[0].at;
        let place = self.course.take(date, at, COURSE_DAYS);
        if self.days.last().is_none_or(|day| day.date != date) {
            self.days.push(DayAverage::begin(date, !place.on_first_day));
            self.means.push(Default::default());
        }
        let day = self.days.last_mut().expect("just made sure");
        day.count(place, zone.time(at));
        let means = self.means.last_mut().expect("each day has its means");
        for observation in moment.iter().filter(|observation| is_pressure(observation)) {
            if !place.on_first_day {
                self.course.add(observation);
            }
            means[usize::from(observation.metric == Metric::Diastolic)].add(observation.value);
        }
        let why_not = place.on_first_day.then_some(WhyNot::FirstDay);
        self.measurements
            .extend(measurements(moment, why_not, !place.is_apart));
    }

    /// What the course comes to; nothing where none has begun.
    fn finish(mut self, born: NaiveDate) -> Option<HomeCourse> {
        let (first_day, latest_day) = (self.days.first()?.date, self.days.last()?.date);
        for (day, [systolic, diastolic]) in self.days.iter_mut().zip(self.means) {
            (day.systolic, day.diastolic) = (systolic.value(), diastolic.value());
        }
        let average = average::average(&self.course, &self.measurements);
        let judged = average.filter(|_| self.course.days().len() >= LEAST_DAYS as usize);
        Some(HomeCourse {
            first_day,
            last_day: first_day + TimeDelta::days(i64::from(COURSE_DAYS) - 1),
            average,
            range: judged.map(|average| average.range()),
            target: average::target(latest_day.years_since(born).unwrap_or(0), judged),
            sufficiency: sufficiency::sufficiency(&self.course, &self.measurements),
            days: self.days,
            measurements: self.measurements,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{born, date, full_days, london, measure, only};
    use super::*;

    #[test]
    fn nothing_measured_makes_no_course() {
        assert_eq!(summarise_blood_pressure(&[], born(), london()), []);
        let only_a_flag = [Observation {
            metric: Metric::IrregularPulse,
            ..measure("2026-11-01T08:00:00Z", 1.0, 1.0)[0]
        }];
        assert_eq!(summarise_blood_pressure(&only_a_flag, born(), london()), []);
    }

    #[test]
    fn the_first_day_is_shown_and_not_averaged() {
        let course = only(&full_days(&[
            (1, 190.0, 110.0),
            (2, 130.0, 80.0),
            (3, 132.0, 82.0),
            (4, 134.0, 84.0),
        ]));
        let average = course.average.unwrap();
        assert_eq!(
            (average.systolic, average.diastolic, average.measurements),
            (Some(132.0), Some(82.0), 12)
        );
        assert_eq!(
            (course.first_day, course.last_day),
            (date("2026-11-01"), date("2026-11-07"))
        );
        let days: Vec<_> = course
            .days
            .iter()
            .map(|day| (day.systolic.unwrap(), day.morning, day.evening, day.used))
            .collect();
        assert_eq!(
            days,
            [
                (190.0, 2, 2, false),
                (130.0, 2, 2, true),
                (132.0, 2, 2, true),
                (134.0, 2, 2, true)
            ]
        );
        let unused: Vec<_> = course.measurements.iter().filter(|one| !one.used).collect();
        assert_eq!(unused.len(), 4);
        assert!(unused.iter().all(|one| one.why_not == Some(WhyNot::FirstDay)));
        assert_eq!(course.range, Some(StageRange::BelowStage1));
        assert_eq!(
            (course.sufficiency.sufficient, &course.sufficiency.remarks[..]),
            (true, &[][..])
        );
    }

    #[test]
    fn a_course_is_over_after_seven_days_and_the_next_measurement_begins_another() {
        let days: Vec<_> = [1, 2, 3, 4, 7, 8, 9, 20].map(|day| (day, 130.0, 80.0)).to_vec();
        let courses = summarise_blood_pressure(&full_days(&days), born(), london());
        let spans: Vec<_> = courses
            .iter()
            .map(|course| (course.first_day, course.days.len()))
            .collect();
        assert_eq!(
            spans,
            [
                (date("2026-11-01"), 5),
                (date("2026-11-08"), 2),
                (date("2026-11-20"), 1)
            ]
        );
    }

    #[test]
    fn days_are_those_of_the_patients_calendar() {
        // Half past midnight of the second of July in London, and still the first in UTC.
        let readings = measure("2026-07-01T23:30:00Z", 130.0, 80.0);
        assert_eq!(only(&readings).first_day, date("2026-07-02"));
    }

    #[test]
    fn the_average_is_that_of_the_rule() {
        let rule = serde_json::json!({
            "kind": "home_average", "limits": [{"metric": "systolic", "at_least": 100}], "days": COURSE_DAYS,
            "min_days": LEAST_DAYS, "zone": "Europe/London",
        });
        let pressures = [
            (1, 150.0, 80.0),
            (2, 137.0, 80.0),
            (3, 142.0, 80.0),
            (5, 128.0, 80.0),
        ];
        let readings = full_days(&pressures);
        let points: Vec<_> = readings.iter().map(|o| (o.metric, o.at, o.value)).collect();
        let episodes = crate::testing::judge(rule, &points);
        assert_eq!(episodes[0].figure, only(&readings).average.unwrap().systolic);
    }
}
