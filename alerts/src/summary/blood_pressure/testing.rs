use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{DeviceId, Metric};

use super::{HomeCourse, summarise_blood_pressure};
use crate::{Observation, Zone};

pub(super) fn london() -> Zone {
    Zone::named("Europe/London").unwrap()
}

pub(super) fn born() -> NaiveDate {
    date("1950-06-15")
}

pub(super) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(super) fn measure(at: &str, systolic: f64, diastolic: f64) -> Vec<Observation> {
    let at: DateTime<Utc> = at.parse().unwrap();
    let observation = |(metric, value)| Observation {
        metric,
        at,
        value,
        device: DeviceId(1),
        received_at: at,
    };
    [(Metric::Systolic, systolic), (Metric::Diastolic, diastolic)]
        .map(observation)
        .to_vec()
}

/// Two measurements in the morning and two in the evening of each of these days of November.
pub(super) fn full_days(pressures: &[(u32, f64, f64)]) -> Vec<Observation> {
    let of_day = |&(day, systolic, diastolic): &(u32, f64, f64)| {
        ["08:00", "08:01", "20:00", "20:01"]
            .into_iter()
            .flat_map(move |time| measure(&format!("2026-11-{day:02}T{time}:00Z"), systolic, diastolic))
    };
    pressures.iter().flat_map(of_day).collect()
}

pub(super) fn only(readings: &[Observation]) -> HomeCourse {
    let mut courses = summarise_blood_pressure(readings, born(), london());
    assert_eq!(courses.len(), 1, "{courses:#?}");
    courses.remove(0)
}
