//! What measurements come to on average, and what averages say.

use chrono::{NaiveDate, NaiveTime, Timelike};
use homeward_record::Metric;
use serde::Serialize;
use utoipa::ToSchema;

use super::Measurement;
use crate::course::{Course, Place};

/// Averages from which they are in the range of a stage, systolic and diastolic in mmHg; either number suffices.
/// Source: NICE NG136, 1.2 and its definitions of the stages, for averages of measurements at home.
const STAGE_1: (f64, f64) = (135.0, 85.0);
/// See [`STAGE_1`].
const STAGE_2: (f64, f64) = (150.0, 95.0);

/// Below what an average should be under treatment, before the age of [`OLDER`] and from then on. Source: NICE NG136,
/// 1.4 (home measurements).
const TARGET: (f64, f64) = (135.0, 85.0);
/// See [`TARGET`].
const TARGET_OLDER: (f64, f64) = (145.0, 85.0);
/// The age in years from which the other target is right.
const OLDER: u32 = 80;

/// The average of a course, in mmHg.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct CourseAverage {
    /// Systolic.
    pub systolic: Option<f64>,
    /// Diastolic.
    pub diastolic: Option<f64>,
    /// How many measurements are in it.
    pub measurements: usize,
}

/// The range of an average. It is no diagnosis: that takes a clinician.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageRange {
    /// Below 135 and below 85 mmHg.
    #[serde(rename = "below_stage_1")]
    BelowStage1,
    /// At least 135 or at least 85 mmHg.
    #[serde(rename = "stage_1")]
    Stage1,
    /// At least 150 or at least 95 mmHg.
    #[serde(rename = "stage_2")]
    Stage2,
}

/// What an average should be below under treatment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Target {
    /// The patient's age on the last day with measurements, in years: the target depends on it.
    pub age: u32,
    /// In mmHg.
    pub systolic_below: f64,
    /// In mmHg.
    pub diastolic_below: f64,
    /// Whether both are; none with measurements on fewer than [`super::LEAST_DAYS`] days.
    pub met: Option<bool>,
}

/// A day of a course.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct DayAverage {
    /// The day of the patient's calendar.
    pub date: NaiveDate,
    /// Measurements at least a minute apart.
    pub measurements: u32,
    /// Of these, those before noon by the patient's clock.
    pub morning: u32,
    /// And those from noon on.
    pub evening: u32,
    /// The average of the day in mmHg.
    pub systolic: Option<f64>,
    /// The average of the day in mmHg.
    pub diastolic: Option<f64>,
    /// Whether the day is in the course's average.
    pub used: bool,
}

impl CourseAverage {
    /// Whether one of the numbers is at or above its bound.
    fn reaches(self, (systolic, diastolic): (f64, f64)) -> bool {
        self.systolic.is_some_and(|average| average >= systolic)
            || self.diastolic.is_some_and(|average| average >= diastolic)
    }

    pub(super) fn range(self) -> StageRange {
        if self.reaches(STAGE_2) {
            StageRange::Stage2
        } else if self.reaches(STAGE_1) {
            StageRange::Stage1
        } else {
            StageRange::BelowStage1
        }
    }
}

/// The average of a course; none where nothing was measured after its first day.
pub(super) fn average(course: &Course, measurements: &[Measurement]) -> Option<CourseAverage> {
    let of = |metric| course.average(metric).map(|average| average.mean);
    let (systolic, diastolic) = (of(Metric::Systolic), of(Metric::Diastolic));
    (systolic.is_some() || diastolic.is_some()).then(|| CourseAverage {
        systolic,
        diastolic,
        measurements: measurements.iter().filter(|measurement| measurement.used).count(),
    })
}

/// The target at an age, and whether an average that says something meets it.
pub(super) fn target(age: u32, judged: Option<CourseAverage>) -> Target {
    let bounds = if age < OLDER { TARGET } else { TARGET_OLDER };
    Target {
        age,
        systolic_below: bounds.0,
        diastolic_below: bounds.1,
        met: judged.map(|average| !average.reaches(bounds)),
    }
}

impl DayAverage {
    pub(super) fn begin(date: NaiveDate, used: bool) -> DayAverage {
        DayAverage {
            date,
            measurements: 0,
            morning: 0,
            evening: 0,
            systolic: None,
            diastolic: None,
            used,
        }
    }

    pub(super) fn count(&mut self, place: Place, time: NaiveTime) {
        let n = u32::from(place.is_apart);
        self.measurements += n;
        match time.hour() < 12 {
            true => self.morning += n,
            false => self.evening += n,
        }
    }
}

/// The mean of numbers, as they come.
#[derive(Clone, Copy, Default)]
pub(super) struct Mean {
    sum: f64,
    n: u32,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    pub(super) fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / f64::from(self.n))
    }
}

#[cfg(test)]
mod tests {
    use super::super::summarise_blood_pressure;
    use super::super::testing::{date, full_days, london, only};
    use super::*;

    #[test]
    fn either_number_reaches_a_range() {
        let check = |systolic, diastolic, range| {
            let days: Vec<_> = (1..=4).map(|day| (day, systolic, diastolic)).collect();
            assert_eq!(
                only(&full_days(&days)).range,
                Some(range),
                "{systolic}/{diastolic}"
            );
        };
        check(134.0, 84.0, StageRange::BelowStage1);
        check(135.0, 84.0, StageRange::Stage1);
        check(134.0, 85.0, StageRange::Stage1);
        check(149.0, 94.0, StageRange::Stage1);
        check(150.0, 84.0, StageRange::Stage2);
        check(134.0, 95.0, StageRange::Stage2);
    }

    #[test]
    fn the_target_is_that_of_the_age_at_the_time() {
        let days: Vec<_> = (1..=4).map(|day| (day, 140.0, 80.0)).collect();
        let target = |born: &str| {
            let courses = summarise_blood_pressure(&full_days(&days), date(born), london());
            let target = courses[0].target;
            (
                target.age,
                target.systolic_below,
                target.diastolic_below,
                target.met,
            )
        };
        // The last day measured is the fourth of November.
        assert_eq!(target("1946-11-05"), (79, 135.0, 85.0, Some(false)));
        assert_eq!(target("1946-11-04"), (80, 145.0, 85.0, Some(true)));
    }
}
