//! What readings come to, as Observations: the average of blood pressure at home, and the NEWS2 score.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::build::{coding, instant, reference, set};
use super::codes::{LOINC, SNOMED, UCUM};
use crate::PatientId;

const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// The average of a course of blood-pressure measurements at home.
#[derive(Clone, Debug)]
pub struct HomeAverage<'r> {
    /// Whose it is.
    pub patient: PatientId,
    /// Beginning and end of the course.
    pub period: (DateTime<Utc>, DateTime<Utc>),
    /// Mean systolic and diastolic pressure, mm\[Hg\].
    pub mean: (f64, f64),
    /// Whether the course suffices, and what it lacks, in plain English.
    pub sufficiency: &'r str,
}

/// The average as an Observation.
///
/// Its code is that of a panel of means (LOINC 96607-7 ?), never that of a measured pressure, so that no
/// reader takes it for one.
pub fn home_average(average: &HomeAverage<'_>) -> Json {
    let component = |code: &str, display: &str, value: f64| {
        json!({
            "code": {"coding": [coding(SNOMED, code, display)]},
            "valueQuantity": {"value": value, "unit": "mm[Hg]", "system": UCUM, "code": "mm[Hg]"},
        })
    };
    json!({
        "resourceType": "Observation",
        "id": format!("{}-home-average-{}", average.patient, average.period.1.timestamp_micros()),
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": {
            "coding": [coding(LOINC, "96607-7", "Blood pressure panel mean systolic and mean diastolic")],
            "text": "Average home blood pressure",
        },
        "subject": reference("Patient", average.patient),
        "effectivePeriod": {"start": instant(average.period.0), "end": instant(average.period.1)},
        "note": [{"text": average.sufficiency}],
        "component": [
            component("413606001", "Average home systolic blood pressure", average.mean.0),
            component("413605002", "Average home diastolic blood pressure", average.mean.1),
        ],
    })
}

/// A National Early Warning Score 2.
#[derive(Clone, Debug)]
pub struct News2Score {
    /// Whose it is.
    pub patient: PatientId,
    /// When the last of its parameters was measured.
    pub at: DateTime<Utc>,
    /// The scores in the order of the chart: respirations, saturation, air or oxygen, systolic pressure, pulse,
    /// consciousness, temperature. None for one that is not known.
    pub scores: [Option<u8>; 7],
    /// Whether the saturation was scored on scale 2.
    pub scale_two: bool,
}

/// The score as an Observation. Where a parameter is missing there is no total, and a note says the least
/// that it can be.
pub fn news2(score: &News2Score) -> Json {
    let saturation = match score.scale_two {
        false => ("1104311000000102", "NEWS2 oxygen saturation scale 1 score"),
        true => ("1104321000000108", "NEWS2 oxygen saturation scale 2 score"),
    };
    let parts = [
        ("1104301000000104", "NEWS2 respiration rate score"),
        saturation,
        ("1104331000000105", "NEWS2 air or oxygen score"),
        ("1104341000000101", "NEWS2 systolic blood pressure score"),
        ("1104351000000103", "NEWS2 pulse score"),
        ("1104361000000100", "NEWS2 consciousness score"),
        ("1104371000000107", "NEWS2 temperature score"),
    ];
    let points = |points: u8| json!({"value": points, "unit": "{score}", "system": UCUM, "code": "{score}"});
    let absent = || json!({"coding": [coding(ABSENT, "unknown", "Unknown")]});
    let component = |((code, display), score): (&(&str, &str), &Option<u8>)| {
        let mut component = json!({"code": {"coding": [coding(SNOMED, code, display)]}});
        set(&mut component, "valueQuantity", score.map(points));
        set(&mut component, "dataAbsentReason", score.is_none().then(absent));
        component
    };
    let components: Vec<_> = parts.iter().zip(&score.scores).map(component).collect();
    let known: u8 = score.scores.iter().flatten().sum();
    let complete = score.scores.iter().all(Option::is_some);
    let mut resource = json!({
        "resourceType": "Observation",
        "id": format!("{}-news2-{}", score.patient, score.at.timestamp_micros()),
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "survey"}]}],
        "code": {
            "coding": [coding(SNOMED, "1104051000000101", "NEWS2 total score")],
            "text": "National Early Warning Score 2",
        },
        "subject": reference("Patient", score.patient),
        "effectiveDateTime": instant(score.at),
        "component": components,
    });
    set(&mut resource, "valueQuantity", complete.then(|| points(known)));
    set(&mut resource, "dataAbsentReason", (!complete).then(absent));
    let note = (!complete).then(|| json!([{"text": format!("Incomplete: at least {known}.")}]));
    set(&mut resource, "note", note);
    resource
}
