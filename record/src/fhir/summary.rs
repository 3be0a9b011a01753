//! What readings come to, as Observations: the average of blood pressure at home, and the NEWS2 score.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::build::{coding, instant, reference, set};
use super::codes::{ABSENT, LOINC, SNOMED, UCUM};
use super::patient::THIS_SOFTWARE;
use super::{OBSERVATION_CATEGORY, ObservationId, ParseObservationIdError};
use crate::PatientId;

/// The category of average home blood pressures, and all codes by which they are found: that of the panel, and those of
/// its parts.
pub const HOME_AVERAGE: (&str, [(&str, &str); 3]) = (
    "vital-signs",
    [(LOINC, "96607-7"), (SNOMED, "413606001"), (SNOMED, "413605002")],
);

/// The same of NEWS2 scores.
pub const NEWS2: (&str, [(&str, &str); 1]) = ("survey", [(SNOMED, "1104051000000101")]);

/// The identifier of such an Observation: whose it is, what, and its time (of an average, the end of its course).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryId {
    /// `{patient}-home-average-{time}`, in Unix microseconds.
    HomeAverage(PatientId, DateTime<Utc>),
    /// `{patient}-news2-{time}`.
    News2(PatientId, DateTime<Utc>),
}

impl fmt::Display for SummaryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SummaryId::HomeAverage(patient, at) => {
                write!(f, "{patient}-home-average-{}", at.timestamp_micros())
            }
            SummaryId::News2(patient, at) => write!(f, "{patient}-news2-{}", at.timestamp_micros()),
        }
    }
}

impl FromStr for SummaryId {
    type Err = ParseObservationIdError;

    fn from_str(text: &str) -> Result<SummaryId, ParseObservationIdError> {
        let read = || {
            let (patient, rest) = text.split_once('-')?;
            let patient = patient.parse().ok()?;
            let time = |micros: &str| micros.parse().ok().and_then(DateTime::from_timestamp_micros);
            let average = rest.strip_prefix("home-average-").and_then(time);
            let score = rest.strip_prefix("news2-").and_then(time);
            average
                .map(|at| SummaryId::HomeAverage(patient, at))
                .or(score.map(|at| SummaryId::News2(patient, at)))
        };
        // One text names it, so that there is one resource of each identifier.
        read()
            .filter(|id| id.to_string() == text)
            .ok_or(ParseObservationIdError)
    }
}

/// The average of a course of blood-pressure measurements at home.
#[derive(Clone, Debug)]
pub struct HomeAverage<'r> {
    /// Whose it is.
    pub patient: PatientId,
    /// The first and the last measurement of the course.
    pub period: (DateTime<Utc>, DateTime<Utc>),
    /// Whether nothing can be added to the course any more.
    pub over: bool,
    /// Mean systolic and diastolic pressure, mm\[Hg\]; none where nothing was measured of it.
    pub mean: (Option<f64>, Option<f64>),
    /// The measurements that are in it.
    pub from: &'r [ObservationId],
    /// Whether the course suffices, and what it lacks, in plain English.
    pub sufficiency: &'r str,
}

/// The average as an Observation.
///
/// Its code is that of a panel of means (LOINC 96607-7, from a secondary copy and still to be checked by a
/// clinician), never that of a measured pressure, so that no reader takes it for one.
pub fn home_average(average: &HomeAverage<'_>) -> Json {
    let component = |code: &str, display: &str, value: Option<f64>| {
        let mut component = json!({"code": {"coding": [coding(SNOMED, code, display)]}});
        let quantity = |value| json!({"value": value, "unit": "mm[Hg]", "system": UCUM, "code": "mm[Hg]"});
        set(&mut component, "valueQuantity", value.map(quantity));
        set(&mut component, "dataAbsentReason", value.is_none().then(absent));
        component
    };
    let mut resource = json!({
        "resourceType": "Observation",
        "id": SummaryId::HomeAverage(average.patient, average.period.1).to_string(),
        "status": if average.over { "final" } else { "preliminary" },
        "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": HOME_AVERAGE.0}]}],
        "code": {
            "coding": [coding(LOINC, "96607-7", "Blood pressure panel mean systolic and mean diastolic")],
            "text": "Average home blood pressure",
        },
        "subject": reference("Patient", average.patient),
        "effectivePeriod": {"start": instant(average.period.0), "end": instant(average.period.1)},
        "note": [{"text": average.sufficiency}],
        "method": {"text": "Mean of all measurements of a course at home after its first day (NICE NG136)"},
        "device": reference("Device", THIS_SOFTWARE),
        "component": [
            component("413606001", "Average home systolic blood pressure", average.mean.0),
            component("413605002", "Average home diastolic blood pressure", average.mean.1),
        ],
    });
    set(&mut resource, "derivedFrom", derived_from(average.from));
    resource
}

/// A National Early Warning Score 2.
#[derive(Clone, Debug)]
pub struct News2Score<'r> {
    /// Whose it is.
    pub patient: PatientId,
    /// When the last of its parameters was measured.
    pub at: DateTime<Utc>,
    /// The scores in the order of the chart: respirations, saturation, air or oxygen, systolic pressure, pulse,
    /// consciousness, temperature. None for one that is not known.
    pub scores: [Option<u8>; 7],
    /// Whether the saturation was scored on scale 2.
    pub scale_two: bool,
    /// The readings that it rests on.
    pub from: &'r [ObservationId],
}

/// The score as an Observation. Where a parameter is missing there is no total, and a note says the least
/// that it can be.
pub fn news2(score: &News2Score<'_>) -> Json {
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
        "id": SummaryId::News2(score.patient, score.at).to_string(),
        "status": "final",
        "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": NEWS2.0}]}],
        "code": {
            "coding": [coding(SNOMED, "1104051000000101", "NEWS2 total score")],
            "text": "National Early Warning Score 2",
        },
        "subject": reference("Patient", score.patient),
        "effectiveDateTime": instant(score.at),
        "method": {"text": "National Early Warning Score 2 (Royal College of Physicians, 2017)"},
        "device": reference("Device", THIS_SOFTWARE),
        "component": components,
    });
    set(&mut resource, "valueQuantity", complete.then(|| points(known)));
    set(&mut resource, "dataAbsentReason", (!complete).then(absent));
    let note = (!complete).then(|| json!([{"text": format!("Incomplete: at least {known}.")}]));
    set(&mut resource, "note", note);
    set(&mut resource, "derivedFrom", derived_from(score.from));
    resource
}

fn absent() -> Json {
    json!({"coding": [coding(ABSENT, "unknown", "Unknown")]})
}

fn derived_from(ids: &[ObservationId]) -> Option<Json> {
    let from: Vec<_> = ids.iter().map(|id| reference("Observation", id)).collect();
    (!from.is_empty()).then(|| from.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        for text in [
            "1001-home-average-1795334460123456",
            "1001-news2-1795334460123456",
        ] {
            let id: SummaryId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
        for wrong in [
            "",
            "1001",
            "1001-news2-",
            "1001-news2-+1",
            "1001-news2-01",
            "01-news2-1",
            "1001-news-1",
            "1001-home-average-1-1",
        ] {
            assert!(wrong.parse::<SummaryId>().is_err(), "{wrong}");
        }
    }
}
