//! What readings come to, as Observations that this software makes: the averages of blood pressure at home (NICE NG136),
//! and NEWS2 scores. They are worked out when they are asked for, by a code or a category of theirs.
//!
//! Courses of home measurements are counted from the first one that the record has, so that an average stays the same
//! whenever it is asked for. Scores are those of 31 days at most, up to the end of the time that is asked for.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::summary::blood_pressure::{HomeCourse, Measurement, summarise_blood_pressure};
use homeward_alerts::summary::news2::{News2Score, news2_sets, summarise_news2};
use homeward_alerts::{Observation, Scale};
use homeward_record::fhir::{self, HOME_AVERAGE, NEWS2, ObservationId, SummaryId};
use homeward_record::{Metric, PatientId};
use homeward_store::summary::{born, load_window};
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::filter::Filter;
use super::{Listed, Place};
use crate::error::ApiError;
use crate::fhir::parameters::always;
use crate::news2::{LONGEST, Scored};
use crate::request::{Window, zone};
use crate::series::{observations, unknown};

/// The most pressures of which averages are made: more than a patient measures at home in a life.
const MOST_PRESSURES: i64 = 200_000;

/// What readings can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::fhir) enum Kind {
    HomeAverage = 1,
    News2 = 2,
}

impl Kind {
    pub(super) const ALL: [Kind; 2] = [Kind::HomeAverage, Kind::News2];

    pub(super) fn category(self) -> &'static str {
        match self {
            Kind::HomeAverage => HOME_AVERAGE.0,
            Kind::News2 => NEWS2.0,
        }
    }

    /// The codes that find it.
    pub(super) fn codes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::HomeAverage => &HOME_AVERAGE.1,
            Kind::News2 => &NEWS2.1,
        }
    }

    fn place(self, at: DateTime<Utc>) -> Place {
        Place {
            at,
            device: 0,
            rank: self as i16,
        }
    }
}

/// Puts among the Observations of a page those that are asked for of what readings come to.
pub(super) async fn put_among(
    listed: Listed,
    connection: &mut PgConnection,
    patient: PatientId,
    filter: &Filter,
    now: DateTime<Utc>,
    (backwards, after, count): (bool, Option<Place>, usize),
) -> Result<Listed, ApiError> {
    let mut found = Vec::new();
    if filter.summaries.contains(&Kind::HomeAverage) {
        found.extend(home_averages(connection, patient, now).await?);
    }
    if filter.summaries.contains(&Kind::News2) {
        found.extend(scores(connection, patient, filter.window, now).await?);
    }
    found.retain(|(place, summary)| {
        let is_to_come = after.is_none_or(|after| after.order(place, backwards).is_lt());
        // Behind the last of a page there may be readings that come before it.
        let is_of_page = listed
            .next
            .is_none_or(|next| place.order(&next, backwards).is_le());
        is_to_come && is_of_page && filter.keeps_summary(place.at, summary)
    });
    let mut page = listed;
    page.observations.extend(found);
    page.observations
        .sort_by(|(one, _), (other, _)| one.order(other, backwards));
    if page.observations.len() > count {
        page.observations.truncate(count);
        page.next = page.observations.last().map(|(place, _)| *place);
    }
    Ok(page)
}

/// The one with this identifier.
pub(super) async fn read(
    connection: &mut PgConnection,
    id: SummaryId,
    now: DateTime<Utc>,
) -> Result<Option<Json>, ApiError> {
    let found = match id {
        SummaryId::HomeAverage(patient, _) => home_averages(connection, patient, now).await?,
        SummaryId::News2(patient, at) => {
            // As of that moment: a day is longer than any reading counts.
            let window = Window {
                from: at - TimeDelta::days(1),
                to: at + TimeDelta::microseconds(1),
            };
            let scored = Scored::load(connection, patient, window).await?.ok();
            let score = scored.and_then(|scored| {
                let summary = summarise_news2(&scored.readings, |at| scored.setting(at));
                summary
                    .latest
                    .map(|score| score_resource(patient, &score, &scored.readings))
            });
            score.into_iter().collect()
        }
    };
    let named = id.to_string();
    let mut resources = found.into_iter().map(|(_, summary)| summary);
    Ok(resources.find(|summary| summary["id"] == named.as_str()))
}

/// What a passport says: all averages, and the latest score.
pub(in crate::fhir) async fn of_passport(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<Json>, ApiError> {
    let mut found = home_averages(connection, patient, now).await?;
    found.extend(scores(connection, patient, always(), now).await?.pop());
    Ok(found.into_iter().map(|(_, summary)| summary).collect())
}

/// The averages of all courses of a patient, the oldest first.
async fn home_averages(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<(Place, Json)>, ApiError> {
    let pressures = [Metric::Systolic, Metric::Diastolic];
    let mut readings = load_window(connection, patient, &pressures, always(), MOST_PRESSURES + 1).await?;
    if i64::try_from(readings.len()).is_ok_and(|n| n > MOST_PRESSURES) {
        let text =
            "there are too many blood pressures for averages: ask for a blood-pressure summary of a time";
        return Err(ApiError::TooMuch(text.to_owned()));
    }
    readings.retain(|reading| !reading.entered_in_error);
    let born = born(connection, patient).await?.ok_or_else(|| unknown(patient))?;
    let courses = summarise_blood_pressure(&observations(&readings), born, zone(None)?);
    let told = courses
        .iter()
        .filter_map(|course| average_resource(patient, course, now));
    Ok(told.collect())
}

fn average_resource(patient: PatientId, course: &HomeCourse, now: DateTime<Utc>) -> Option<(Place, Json)> {
    let average = course.average?;
    let (first, last) = (course.measurements.first()?.at, course.measurements.last()?.at);
    let id = |measurement: &Measurement| ObservationId {
        patient,
        device: measurement.device,
        metric: match measurement.systolic {
            Some(_) => Metric::Systolic,
            None => Metric::Diastolic,
        },
        at: measurement.at,
    };
    let used: Vec<ObservationId> = course
        .measurements
        .iter()
        .filter(|one| one.used)
        .map(id)
        .collect();
    let enough = match course.sufficiency.sufficient {
        true => "There was enough to go by.",
        false => "There was not enough to go by.",
    };
    let remarks = course.sufficiency.remarks.join("; ");
    let sufficiency = format!("{enough} {remarks}");
    let resource = fhir::home_average(&fhir::HomeAverage {
        patient,
        period: (first, last),
        // Later days, by the patient's calendar, belong to another course.
        over: now.date_naive() > course.last_day,
        mean: (average.systolic, average.diastolic),
        from: &used,
        sufficiency: sufficiency.trim_end(),
    });
    Some((Kind::HomeAverage.place(last), resource))
}

/// The scores of a patient within a time, the oldest first; none of somebody whom NEWS2 is not for.
async fn scores(
    connection: &mut PgConnection,
    patient: PatientId,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Result<Vec<(Place, Json)>, ApiError> {
    // A reading may be a little ahead of the clock here.
    let to = until.min(now + TimeDelta::minutes(10));
    let from = from.max(to - LONGEST);
    if from >= to {
        return Ok(Vec::new());
    }
    let Ok(scored) = Scored::load(connection, patient, Window { from, to }).await? else {
        return Ok(Vec::new());
    };
    let sets = news2_sets(&scored.readings, |at| scored.setting(at));
    let told = sets
        .iter()
        .map(|score| score_resource(patient, score, &scored.readings));
    Ok(told.collect())
}

fn score_resource(patient: PatientId, score: &News2Score, readings: &[Observation]) -> (Place, Json) {
    let mut scores = [None; 7];
    for (known, parameter) in scores.iter_mut().zip(&score.parameters) {
        *known = parameter.score;
    }
    let mut from = Vec::new();
    for parameter in &score.parameters {
        let Some(at) = parameter.at else { continue };
        let begin = readings.partition_point(|reading| reading.at < at);
        let measured = readings[begin..].iter().take_while(|reading| reading.at == at);
        let of_metric = measured.filter(|reading| reading.metric == parameter.metric);
        from.extend(of_metric.map(|reading| ObservationId {
            patient,
            device: reading.device,
            metric: reading.metric,
            at,
        }));
    }
    let resource = fhir::news2(&fhir::News2Score {
        patient,
        at: score.point.at,
        scores,
        scale_two: score.point.scale == Scale::Two,
        from: &from,
    });
    (Kind::News2.place(score.point.at), resource)
}
