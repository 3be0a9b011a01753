//! Whether a course is enough to go by.

use serde::Serialize;
use utoipa::ToSchema;

use super::{COURSE_DAYS, LEAST_DAYS, Measurement};
use crate::course::{Course, READINGS_OF_A_DAY};

/// How much there was to go by.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Sufficiency {
    /// Measurements on [`LEAST_DAYS`] days at least, and no short day among those that count.
    pub sufficient: bool,
    /// The days with measurements, the first included.
    pub days: usize,
    /// How many of the days that count have fewer than two measurements at least a minute apart.
    pub days_with_fewer_than_two: usize,
    /// What has to be said of it, in plain English.
    pub remarks: Vec<String>,
}

/// What there is to go by, and to be said against it.
pub(super) fn sufficiency(course: &Course, measurements: &[Measurement]) -> Sufficiency {
    let (days, short) = (course.days().len(), course.short_days());
    let irregular = measurements.iter().filter(|one| one.irregular_pulse).count();
    let enough = days >= LEAST_DAYS as usize;
    let mut remarks = Vec::new();
    if !enough {
        remarks.push(format!(
            "there are measurements on {}: an average needs {LEAST_DAYS} at least, and {COURSE_DAYS} are better",
            count(days, "day")
        ));
    }
    if short > 0 {
        remarks.push(format!(
            "on {} after the first there are fewer than {READINGS_OF_A_DAY} measurements a minute apart",
            count(short, "day")
        ));
    }
    if irregular > 0 {
        remarks.push(format!(
            "the cuff saw an irregular pulse in {}, and is unreliable then: consider a manual measurement",
            count(irregular, "measurement")
        ));
    }
    Sufficiency {
        sufficient: enough && short == 0,
        days,
        days_with_fewer_than_two: short,
        remarks,
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;

    use super::super::StageRange;
    use super::super::testing::{full_days, measure, only};
    use crate::Observation;

    #[test]
    fn too_few_days_are_said_and_judge_nothing() {
        let course = only(&full_days(&[
            (1, 160.0, 100.0),
            (2, 160.0, 100.0),
            (3, 160.0, 100.0),
        ]));
        assert_eq!(course.average.unwrap().systolic, Some(160.0));
        assert_eq!((course.range, course.target.met), (None, None));
        assert!(!course.sufficiency.sufficient);
        assert_eq!(
            course.sufficiency.remarks,
            ["there are measurements on 3 days: an average needs 4 at least, and 7 are better"]
        );
        let one = only(&full_days(&[(1, 160.0, 100.0)]));
        assert_eq!((one.average, one.range), (None, None));
    }

    #[test]
    fn short_days_and_irregular_pulses_are_said() {
        let mut readings = full_days(&[(1, 130.0, 80.0), (2, 130.0, 80.0), (3, 130.0, 80.0)]);
        // Half a minute apart: one measurement for its day, and both in the average.
        readings.extend(measure("2026-11-04T08:00:00Z", 140.0, 90.0));
        readings.extend(measure("2026-11-04T08:00:30Z", 150.0, 90.0));
        readings.push(Observation {
            metric: Metric::IrregularPulse,
            value: 1.0,
            ..*readings.last().unwrap()
        });
        let course = only(&readings);
        let soon: Vec<_> = course.measurements.iter().map(|one| one.too_soon).collect();
        assert_eq!(soon[soon.len() - 2..], [false, true]);
        assert_eq!(course.average.unwrap().measurements, 10);
        let day = course.days.last().unwrap();
        assert_eq!((day.measurements, day.systolic), (1, Some(145.0)));
        assert_eq!(course.range, Some(StageRange::BelowStage1));
        assert!(!course.sufficiency.sufficient);
        assert_eq!(
            course.sufficiency.remarks,
            [
                "on 1 day after the first there are fewer than 2 measurements a minute apart",
                "the cuff saw an irregular pulse in 1 measurement, and is unreliable then: consider a manual \
                 measurement"
            ]
        );
    }
}
