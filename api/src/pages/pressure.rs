//! Courses of blood pressure at home, in words.

use chrono::NaiveDate;
use homeward_alerts::summary::blood_pressure::HomeCourse;

use crate::access_log::capital;

/// Of some courses, the newest first, the one that says most: the newest with enough days to judge, else the newest with an
/// average. One that has just begun says nothing yet.
pub(crate) fn telling(courses: &[HomeCourse]) -> Option<&HomeCourse> {
    let judged = courses.iter().find(|course| course.target.met.is_some());
    let averaged = courses.iter().find(|course| course.average.is_some());
    judged.or(averaged).or(courses.first())
}

/// What a course comes to, in sentences.
pub(crate) fn course_in_words(course: &HomeCourse) -> String {
    let day = |date: NaiveDate| date.format("%-d %B").to_string();
    let (first, last) = (day(course.first_day), day(course.last_day));
    let average = course.average.as_ref();
    let both =
        average.and_then(|average| Some((average.systolic?, average.diastolic?, average.measurements)));
    let mut told = match both {
        Some((systolic, diastolic, measurements)) => format!(
            "The course from {first} to {last}, without its first day, is {systolic:.0}/{diastolic:.0} mmHg on average \
             of {measurements} {}",
            if measurements == 1 {
                "measurement"
            } else {
                "measurements"
            }
        ),
        None => format!(
            "The course from {first} to {last} has no average yet, since its first day does not count"
        ),
    };
    let target = format!(
        "{:.0}/{:.0} mmHg",
        course.target.systolic_below, course.target.diastolic_below
    );
    told += &match course.target.met {
        Some(true) => format!(": below the target of {target}."),
        Some(false) => format!(": not below the target of {target}."),
        None => format!(". The target is below {target}."),
    };
    for remark in &course.sufficiency.remarks {
        told += &format!(" {}.", capital(remark));
    }
    told
}

#[cfg(test)]
mod tests {
    use homeward_alerts::summary::blood_pressure::{CourseAverage, Sufficiency, Target};

    use super::*;

    fn course(average: Option<CourseAverage>, met: Option<bool>, remarks: &[&str]) -> HomeCourse {
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        HomeCourse {
            first_day: day(12),
            last_day: day(18),
            average,
            range: None,
            target: Target {
                age: 62,
                systolic_below: 135.0,
                diastolic_below: 85.0,
                met,
            },
            sufficiency: Sufficiency {
                sufficient: met.is_some(),
                days: 5,
                days_with_fewer_than_two: 0,
                remarks: remarks.iter().map(|remark| (*remark).to_owned()).collect(),
            },
            days: Vec::new(),
            measurements: Vec::new(),
        }
    }

    #[test]
    fn a_course_that_has_just_begun_does_not_stand_before_one_that_says_something() {
        let average = CourseAverage {
            systolic: Some(134.4),
            diastolic: Some(82.0),
            measurements: 24,
        };
        let begun = course(None, None, &[]);
        let short = course(Some(average), None, &[]);
        let whole = course(Some(average), Some(true), &[]);
        assert_eq!(telling(&[]), None);
        assert_eq!(telling(std::slice::from_ref(&begun)), Some(&begun));
        assert_eq!(telling(&[begun.clone(), short.clone()]), Some(&short));
        assert_eq!(telling(&[begun, short, whole.clone()]), Some(&whole));
    }

    #[test]
    fn a_course_is_told_with_what_is_to_be_said_against_it() {
        let average = CourseAverage {
            systolic: Some(134.4),
            diastolic: Some(82.0),
            measurements: 24,
        };
        assert_eq!(
            course_in_words(&course(Some(average), Some(true), &[])),
            "The course from 12 November to 18 November, without its first day, is 134/82 mmHg on average of 24 \
             measurements: below the target of 135/85 mmHg."
        );
        assert_eq!(
            course_in_words(&course(None, None, &["there are measurements on 1 day"])),
            "The course from 12 November to 18 November has no average yet, since its first day does not count. The \
             target is below 135/85 mmHg. There are measurements on 1 day."
        );
    }
}
