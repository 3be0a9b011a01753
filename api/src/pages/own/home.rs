//! `GET /patients/{patient}` for patients: what their readings come to in plain words, what the team was told that is not
//! over, and charts of the last 7, 14, 30 or 90 days (`days`).

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId};
use homeward_store::steps::steps_by_day;
use homeward_store::trends::raw_points;
use sqlx::PgConnection;

use super::alerts::{Told, still_open};
use super::charts::{self, Daily, Days, daily};
use super::voice::Voice;
use super::words::{self, Aims, Said};
use crate::access::Exchange;
use crate::blood_pressure_summary;
use crate::error::ApiError;
use crate::pages::chart::{Chart, Target};
use crate::pages::moment::ZONE;
use crate::pages::patient::head::Head;
use crate::pages::patient::notes::{Written, latest as latest_notes};
use crate::pages::{Who, page};
use crate::request::choose;
use crate::series::unknown;
use crate::share::{Latest, Summary};

/// Of how many days there are charts.
const DAYS: [(&str, i64); 4] = [("7", 7), ("14", 14), ("30", 30), ("90", 90)];

/// Blood pressure is told of a course at home.
const COURSE: TimeDelta = TimeDelta::days(7);

/// The most measurements of weight that a chart shows: of 90 days more than anybody stands on scales.
const MOST_WEIGHTS: i64 = 2_000;

#[derive(Template)]
#[template(path = "pages/own/home.html")]
struct Home {
    head: Head,
    who: Option<Who>,
    voice: Voice,
    days: i64,
    /// Those that can be picked.
    all_days: [i64; 4],
    /// What the team was told and is not over.
    told: Vec<Told>,
    blocks: Vec<Block>,
    notes: Vec<Written>,
}

/// One kind of readings.
struct Block {
    id: &'static str,
    title: &'static str,
    /// What of it a target is about.
    metrics: &'static [Metric],
    said: Said,
    /// None where nothing was measured in these days.
    chart: Option<Chart>,
}

/// The page for a patient; the query is that of the address.
pub(in crate::pages) async fn show(
    exchange: &Exchange,
    patient: PatientId,
    uri: &Uri,
) -> Result<Response, ApiError> {
    let days = days(uri)?;
    let head = Head::of(exchange, patient).await?;
    let voice = Voice::of(exchange, patient);
    let mut connection = exchange.connection().await;
    let days = Days::last(days, exchange.now());
    let told = still_open(&mut connection, voice, patient).await?;
    let mut blocks = blocks(&mut connection, patient, voice, days).await?;
    temper(&mut blocks, &told);
    let template = Home {
        head,
        who: Who::of(exchange),
        voice,
        days: days.count,
        all_days: DAYS.map(|(_, days)| days),
        told,
        blocks,
        notes: latest_notes(&mut connection, patient).await?,
    };
    Ok(page(StatusCode::OK, &template))
}

/// An average may be on target while its latest reading is alarming: then nothing is called so.
fn temper(blocks: &mut [Block], told: &[Told]) {
    for block in blocks {
        let alarming = told
            .iter()
            .any(|one| one.pressing && block.metrics.contains(&one.metric));
        if alarming && block.said.tag == Some(words::ON_TARGET) {
            block.said.tag = None;
        }
    }
}

fn days(uri: &Uri) -> Result<i64, ApiError> {
    let query = uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    match pairs.find(|(name, _)| name == "days") {
        Some((_, days)) => choose("days", &days, &DAYS),
        None => Ok(DAYS[0].1),
    }
}

/// What there is to say, the kinds that were measured alone.
async fn blocks(
    connection: &mut PgConnection,
    patient: PatientId,
    voice: Voice,
    days: Days,
) -> Result<Vec<Block>, ApiError> {
    let summary = Summary::of(connection, patient, days.now).await?;
    let summary = summary.ok_or_else(|| unknown(patient))?;
    let aims = Aims::of(connection, patient, days.now).await?;
    let mut blocks = Vec::new();
    let latest = |metric| latest_of(&summary, metric);
    if latest(Metric::Systolic).is_some() || aims.pressure.is_some() {
        blocks.push(pressure(connection, patient, voice, days, &summary, &aims).await?);
    }
    if latest(Metric::Glucose).is_some() {
        blocks.push(glucose(connection, patient, voice, days, &summary).await?);
    }
    for of in ranges(voice, &aims) {
        if let Some(last) = latest(of.metric) {
            blocks.push(range(connection, patient, voice, days, (of, last)).await?);
        }
    }
    if latest(Metric::BodyWeight).is_some() {
        blocks.push(weight(connection, patient, voice, days, &summary, &aims).await?);
    }
    if latest(Metric::Steps).is_some() {
        blocks.push(steps(connection, patient, voice, days).await?);
    }
    Ok(blocks)
}

fn latest_of(summary: &Summary, metric: Metric) -> Option<&Latest> {
    summary.latest.iter().find(|latest| latest.metric == metric)
}

async fn pressure(
    connection: &mut PgConnection,
    patient: PatientId,
    voice: Voice,
    days: Days,
    summary: &Summary,
    aims: &Aims,
) -> Result<Block, ApiError> {
    let courses = summary
        .blood_pressure
        .as_ref()
        .map(|pressure| &pressure.courses[..]);
    let said = words::pressure(voice, courses.unwrap_or_default(), aims);
    let length = days.now - days.window().0;
    let of_days = blood_pressure_summary::of_last(length.max(COURSE), connection, patient, days.now).await?;
    let target = aims.pressure.or_else(|| {
        let target = of_days.courses.first()?.target;
        Some((target.systolic_below, target.diastolic_below))
    });
    let chart = target.filter(|_| !of_days.courses.is_empty()).map(|target| {
        let says = format!(
            "The upper and the lower number of the last {} days. The target is for the average of a week, not for each measurement.",
            days.count
        );
        charts::pressure(&of_days.courses, days, says, target)
    });
    Ok(Block {
        id: "blood-pressure",
        title: "Blood pressure",
        metrics: &[Metric::Systolic, Metric::Diastolic],
        said,
        chart,
    })
}

async fn glucose(
    connection: &mut PgConnection,
    patient: PatientId,
    voice: Voice,
    days: Days,
    summary: &Summary,
) -> Result<Block, ApiError> {
    let mut said = words::glucose(voice, summary.glucose.as_ref());
    let aim = summary.glucose.as_ref().map(|glucose| glucose.targets.aim());
    let daily = daily(connection, patient, Metric::Glucose, days).await?;
    let last = latest_of(summary, Metric::Glucose);
    let more = words::range(voice, (Metric::Glucose, "glucose"), days.count, &daily, last);
    said.sentences.extend(more.sentences);
    let target = aim.map(|(from, to)| Target {
        name: format!("In range: {from:.1} to {to:.1} mmol/L"),
        from: Some(from),
        to: Some(to),
    });
    let of = (Metric::Glucose, "mmol/L");
    Ok(Block {
        id: "glucose",
        title: "Glucose",
        metrics: &[Metric::Glucose],
        said,
        chart: by_day(("glucose", "Glucose by day"), of, (days, &daily), target),
    })
}

/// A series of which one says what it was.
struct Range {
    metric: Metric,
    id: &'static str,
    title: &'static str,
    noun: &'static str,
    unit: &'static str,
    target: Option<Target>,
    /// When the team is told.
    told: Option<String>,
}

fn ranges(voice: Voice, aims: &Aims) -> [Range; 2] {
    let heart = Range {
        metric: Metric::HeartRate,
        id: "heart-rate",
        title: "Heart rate",
        noun: "heart rate",
        unit: "beats a minute",
        target: None,
        told: words::heart_told(voice, aims),
    };
    let oxygen = Range {
        metric: Metric::Spo2,
        id: "oxygen",
        title: "Oxygen level",
        noun: "oxygen level",
        unit: "%",
        target: aims.oxygen.map(|bound| Target {
            name: format!("The team is told from {:.0} % down", bound.value()),
            from: Some(bound.value()),
            to: None,
        }),
        told: words::oxygen_told(voice, aims),
    };
    [heart, oxygen]
}

async fn range(
    connection: &mut PgConnection,
    patient: PatientId,
    voice: Voice,
    days: Days,
    (of, last): (Range, &Latest),
) -> Result<Block, ApiError> {
    let daily = daily(connection, patient, of.metric, days).await?;
    let mut said = words::range(voice, (of.metric, of.noun), days.count, &daily, Some(last));
    said.sentences.extend(of.told);
    let title = format!("{} by day", of.title);
    Ok(Block {
        id: of.id,
        title: of.title,
        metrics: &[],
        said,
        chart: by_day((of.id, &title), (of.metric, of.unit), (days, &daily), of.target),
    })
}

/// The chart of a series by day; none where nothing was measured.
fn by_day(
    names: (&'static str, &str),
    (metric, unit): (Metric, &'static str),
    (days, daily): (Days, &[Daily]),
    target: Option<Target>,
) -> Option<Chart> {
    let spread = words::spread(metric, daily)?;
    let says = format!("The lowest, the average and the highest of each day. All of them were {spread}.");
    Some(charts::of_days(
        names,
        (metric, unit),
        (days, daily),
        says,
        target,
    ))
}

async fn weight(
    connection: &mut PgConnection,
    patient: PatientId,
    voice: Voice,
    days: Days,
    summary: &Summary,
    aims: &Aims,
) -> Result<Block, ApiError> {
    let points = raw_points(
        connection,
        patient,
        Metric::BodyWeight,
        days.window(),
        MOST_WEIGHTS,
    )
    .await?;
    let measured: Vec<(DateTime<Utc>, f64)> = points.iter().map(|point| (point.at, point.mean)).collect();
    let last = latest_of(summary, Metric::BodyWeight);
    let says = format!("Each measurement of the last {} days.", days.count);
    Ok(Block {
        id: "weight",
        title: "Weight",
        metrics: &[Metric::BodyWeight],
        said: words::weight(voice, days.count, &measured, last, aims),
        chart: (!measured.is_empty()).then(|| charts::weight(&measured, says)),
    })
}

async fn steps(
    connection: &mut PgConnection,
    patient: PatientId,
    voice: Voice,
    days: Days,
) -> Result<Block, ApiError> {
    let counted = steps_by_day(connection, patient, &ZONE.to_string(), days.window()).await?;
    let all = charts::whole_days(days, &counted);
    let today = all.last().map_or(0, |(_, steps)| *steps);
    // Before the first step of these days, nobody counted.
    let before_today = all.iter().take(all.len().saturating_sub(1));
    let whole: Vec<i64> = before_today
        .map(|(_, steps)| *steps)
        .skip_while(|steps| *steps == 0)
        .collect();
    let drawn = all.iter().map(|(date, steps)| (*date, Some(*steps)));
    let says = format!("The steps of each of the last {} days.", days.count);
    Ok(Block {
        id: "steps",
        title: "Steps",
        metrics: &[Metric::Steps],
        said: words::steps(voice, days.count, &whole, today),
        chart: (!counted.is_empty()).then(|| charts::steps("steps", "Steps by day", drawn, says)),
    })
}
