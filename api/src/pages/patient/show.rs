//! `GET /patients/{patient}`: what matters of a patient, for those who look after them: open alerts, the latest of all that
//! is measured, its trends, and what was written down. Patients see [`own::home`].
//!
//! Parameters: `range` of the trends (`24h`, `7d`, `14d`, `30d` or `90d`; 14 days without one). The profile of glucose is
//! of two weeks, whatever the range: shorter it says little, and longer hardly more.

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use homeward_alerts::summary::news2::METRICS as NEWS2_METRICS;
use homeward_alerts::summary::{ADULT_RANGE, Sample};
use homeward_record::{Metric, PatientId};
use homeward_store::access::Role;
use homeward_store::alerts::{Episode, EpisodeStatus};
use homeward_store::history::StoredReading;
use serde::Deserialize;
use sqlx::PgConnection;

use super::alerts::{AlertShown, alerts_of, alerts_since};
use super::charts::Drawn;
use super::head::Head;
use super::news2::Latest;
use super::notes::{Written, latest};
use super::range::Range;
use super::trends::Measured;
use super::values::{Value, values};
use crate::access::{Action, Exchange};
use crate::blood_pressure_summary;
use crate::error::ApiError;
use crate::glucose_summary::{self, Summary};
use crate::news2::is_on_scale_2;
use crate::pages::chart::Chart;
use crate::pages::glucose::GlucoseReport;
use crate::pages::pressure::telling;
use crate::pages::view::Link;
use crate::pages::{Moment, Who, own, page};
use crate::request::{Path, Query, parsed};
use crate::series::latest_readings;

/// The most alerts that are looked at, for those that are open and for those that charts mark.
const MOST_ALERTS: i64 = 200;

/// Over how long courses of blood pressure are looked for, at least: four, one after the other.
pub(super) const COURSES: TimeDelta = TimeDelta::days(28);

/// Readings of glucose within the two weeks of a profile from which it is shown: one an hour. With fewer, as a meter has
/// them, the readings themselves say more.
const LEAST_OF_A_PROFILE: usize = 14 * 24;

/// Of how many of the seven parameters there are readings of a day where the score is shown: a watch alone has three.
const LEAST_OF_NEWS2: usize = 4;

/// What charts show, of what there is.
const CHARTED: [Metric; 10] = [
    Metric::HeartRate,
    Metric::Spo2,
    Metric::RespiratoryRate,
    Metric::BodyTemperature,
    Metric::Systolic,
    Metric::Diastolic,
    Metric::Glucose,
    Metric::Steps,
    Metric::BodyWeight,
    Metric::SupplementalOxygen,
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    range: Option<String>,
}

#[derive(Template)]
#[template(path = "pages/patient/show.html")]
struct Shown<'a> {
    who: Option<Who>,
    head: &'a Head,
    /// Those that last.
    alerts: Vec<AlertShown>,
    /// How many are over, and nobody had them.
    unseen: usize,
    values: Vec<Value>,
    news2: Option<Latest>,
    ranges: Vec<Link>,
    /// The range in words.
    range: &'static str,
    charts: Vec<Chart>,
    glucose: Option<GlucoseReport<'a>>,
    as_of: Moment,
    /// The same to the microsecond, for the script that tells what has arrived since.
    read_at: String,
    /// Whether the reader may write notes.
    may_write: bool,
    notes: Vec<Written>,
}

pub(crate) async fn get(exchange: Exchange, path: Path, uri: Uri) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if exchange.principal().acts_as.role == Role::Patient {
        return own::home::show(&exchange, patient, &uri).await;
    }
    let parameters: Parameters = Query::of(&uri)?;
    let range = Range::named(parameters.range.as_deref(), "14d")?;
    let now = exchange.now();
    let from = range.window(now).from;

    let head = Head::of(&exchange, patient).await?;
    let mut connection = exchange.connection().await;
    let newest = latest_readings(&mut connection, patient, now).await?;
    let measured = |metric: &Metric| {
        newest
            .iter()
            .any(|reading| reading.metric == *metric && reading.at >= from)
    };
    let metrics: Vec<Metric> = CHARTED.into_iter().filter(measured).collect();
    let measured = Measured::load(&mut connection, patient, &metrics, range, now).await?;
    let episodes = alerts_since(&mut connection, patient, from, MOST_ALERTS).await?;
    let lasting = lasting(&mut connection, patient, &episodes).await?;
    let pressure = match measured.of(Metric::Systolic) {
        Some(_) => {
            let length = COURSES.max(now - from);
            Some(blood_pressure_summary::of_last(length, &mut connection, patient, now).await?)
        }
        None => None,
    };
    let glucose = match newest.iter().any(|reading| reading.metric == Metric::Glucose) {
        true => Some(glucose_summary::of_last_days(&mut connection, patient, &head.plan, now).await?),
        false => None,
    };
    let news2 = news2_of(&mut connection, &head, &newest, now).await?;
    let notes = latest(&mut connection, patient).await?;
    drop(connection);

    let drawn = Drawn {
        measured: &measured,
        episodes: &episodes,
        from,
        now,
        course: pressure.as_ref().and_then(|pressure| telling(&pressure.courses)),
        aim: glucose
            .as_ref()
            .map_or(ADULT_RANGE, |(summary, _)| summary.targets.aim()),
        scale_2: is_on_scale_2(&head.plan, now),
    };
    let charts = drawn.charts();
    let here = format!("/patients/{patient}");
    let template = Shown {
        who: Who::of(&exchange),
        values: values(&newest),
        news2,
        ranges: range.links(&here, TimeDelta::MAX),
        range: range.words,
        charts,
        glucose: glucose.as_ref().and_then(report),
        as_of: Moment::short(now),
        read_at: now.to_rfc3339_opts(SecondsFormat::Micros, true),
        may_write: exchange.includes(Action::WriteNotes) && !head.break_glass,
        head: &head,
        unseen: episodes
            .iter()
            .filter(|episode| episode.status == EpisodeStatus::Cleared)
            .count(),
        alerts: lasting.into_iter().map(AlertShown::of).collect(),
        notes,
    };
    Ok(page(StatusCode::OK, &template))
}

/// The alerts that last. One that began before all that were looked at is not left out: it has waited longest.
async fn lasting(
    connection: &mut PgConnection,
    patient: PatientId,
    known: &[Episode],
) -> Result<Vec<Episode>, ApiError> {
    let statuses = [EpisodeStatus::Raised, EpisodeStatus::Acknowledged];
    if i64::try_from(known.len()).is_ok_and(|known| known < MOST_ALERTS) {
        let lasts = |episode: &&Episode| statuses.contains(&episode.status);
        return Ok(known.iter().filter(lasts).cloned().collect());
    }
    alerts_of(connection, patient, &statuses, MOST_ALERTS).await
}

/// The report of glucose, if there are enough readings.
pub(super) fn report((summary, samples): &(Summary, Vec<Sample>)) -> Option<GlucoseReport<'_>> {
    let enough = summary.figures.readings >= LEAST_OF_A_PROFILE;
    enough.then(|| GlucoseReport::of(summary, samples))
}

/// The score as of the latest of its readings, if enough of it is measured.
async fn news2_of(
    connection: &mut PgConnection,
    head: &Head,
    newest: &[StoredReading],
    now: DateTime<Utc>,
) -> Result<Option<Latest>, ApiError> {
    let a_day_ago = now - TimeDelta::days(1);
    let scored: Vec<&StoredReading> = newest
        .iter()
        .filter(|reading| NEWS2_METRICS.contains(&reading.metric) && reading.at >= a_day_ago)
        .collect();
    let (Some(last), Some(first)) = (
        scored.iter().map(|reading| reading.at).max(),
        scored.iter().map(|reading| reading.at).min(),
    ) else {
        return Ok(None);
    };
    if scored.len() < LEAST_OF_NEWS2 {
        return Ok(None);
    }
    // Nothing can be complete after the oldest of the seven latest.
    let complete = (scored.len() == NEWS2_METRICS.len()).then_some(first);
    Latest::load(connection, head, last, complete).await
}
