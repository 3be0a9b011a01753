//! Home average: the average of a course of measurements at home, without its first day.
//!
//! Source of the course: NICE NG136.

use std::iter;

use chrono::{Days, NaiveDate};
use serde_json::Value;

use super::Observation;
use super::episode::{Channel, Contribution, Scored, Signal};
use super::json;
use super::limit::{self, Limit};
use super::moment::Moment;

pub(crate) fn channels(condition: &Value, moments: &[Moment<'_>]) -> Vec<Channel> {
    let zone = json::zone(condition);
    let dates: Vec<NaiveDate> = moments.iter().map(|moment| moment.date(zone)).collect();
    let starts = course_starts(&dates, Days::new(json::count(condition, "days") as u64));
    limit::limits(condition)
        .iter()
        .map(|limit| {
            (0..moments.len())
                .map(|now| {
                    let start = starts
                        .iter()
                        .rfind(|start| **start <= now)
                        .map_or(0, |start| *start);
                    signal(condition, limit, &moments[start..=now], &dates[start..=now])
                })
                .collect()
        })
        .collect()
}

/// The first moment of each course.
fn course_starts(dates: &[NaiveDate], days: Days) -> Vec<usize> {
    let first = (!dates.is_empty()).then_some(0);
    iter::successors(first, |start| {
        (*start..dates.len()).find(|now| dates[*now] >= dates[*start] + days)
    })
    .collect()
}

/// What the last moment of a course says, so far.
fn signal(condition: &Value, limit: &Limit, course: &[Moment<'_>], dates: &[NaiveDate]) -> Signal {
    let Some(own) = course[course.len() - 1].of(limit.metric).last() else {
        return Signal::Nothing;
    };
    let counted: Vec<&Observation> = course
        .iter()
        .zip(dates)
        .filter(|(_, date)| **date > dates[0])
        .flat_map(|(moment, _)| moment.of(limit.metric))
        .collect();
    let mut distinct_dates = dates.to_vec();
    distinct_dates.sort();
    distinct_dates.dedup();
    if counted.is_empty() || distinct_dates.len() < json::count(condition, "min_days") {
        return Signal::Nothing;
    }

    let average = counted.iter().map(|o| o.value).sum::<f64>() / counted.len() as f64;
    if limit.breaches(average) {
        let reading = Scored {
            reading: own.reading(Some(average)),
            excess: limit.excess(average),
        };
        Signal::breach(Contribution {
            onset: counted[0].reading(Some(average)),
            latest: reading.clone(),
            worst: reading,
            on_time: own.on_time(),
        })
    } else if limit.back(average) {
        Signal::Back
    } else {
        Signal::Between
    }
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;
    use serde_json::json;

    use super::super::testing::{check, on};
    use super::*;

    const DAY: i64 = 1440;

    fn condition(min_days: u32) -> Value {
        json!({"kind": "home_average", "days": 7, "min_days": min_days, "zone": "Europe/London", "limits": [
            {"metric": "systolic", "at_least": 135, "clear": 130},
            {"metric": "diastolic", "at_least": 85, "clear": 80}]})
    }

    fn pressure(minute: i64, systolic: f64, diastolic: f64) -> [Observation; 2] {
        [
            on(1, Metric::Systolic, minute, systolic),
            on(1, Metric::Diastolic, minute, diastolic),
        ]
    }

    #[test]
    fn the_first_day_is_dropped_and_days_must_suffice() {
        let noon = |day: i64| day * DAY + 720;
        let mut series = [pressure(noon(0), 190.0, 100.0), pressure(noon(1), 140.0, 70.0)].concat();
        check(&condition(3), &series, &[]);
        series.extend(pressure(noon(1) + 1, 142.0, 70.0));
        check(&condition(3), &series, &[]);
        series.extend(pressure(noon(2), 144.0, 70.0));
        check(
            &condition(3),
            &series,
            &["140@2160[142] 144@3600[142] 144@3600[142] open"],
        );
        // Between 130 and 135 it goes on; at 130 it is back.
        series.extend(pressure(noon(3), 106.0, 70.0));
        check(
            &condition(3),
            &series,
            &["140@2160[142] 144@3600[142] 144@3600[142] open"],
        );
        series.extend(pressure(noon(4), 118.0, 70.0));
        check(
            &condition(3),
            &series,
            &["140@2160[142] 144@3600[142] 144@3600[142] 6480"],
        );
    }

    #[test]
    fn a_new_course_after_its_days() {
        let noon = |day: i64| day * DAY + 720;
        let series = [
            pressure(noon(0), 120.0, 70.0),
            pressure(noon(1), 140.0, 70.0),
            // Still the first course, then the second, whose first day says nothing.
            pressure(noon(6), 142.0, 70.0),
            pressure(noon(7), 100.0, 70.0),
            pressure(noon(8), 120.0, 85.0),
        ]
        .concat();
        // The diastolic goes on where the systolic is back.
        check(
            &condition(2),
            &series,
            &["140@2160[140] 85@12240[85] 142@9360[141] open"],
        );
    }

    #[test]
    fn dates_are_the_patients() {
        // 23:30 UTC in June is the next day in London.
        let series = [
            pressure(23 * 60 + 30 - DAY, 150.0, 70.0),
            pressure(60, 150.0, 70.0),
        ]
        .concat();
        check(&condition(1), &series, &[]);
        let mut condition = condition(1);
        condition["zone"] = json!("UTC");
        check(&condition, &series, &["150@60[150] 150@60[150] 150@60[150] open"]);
    }
}
