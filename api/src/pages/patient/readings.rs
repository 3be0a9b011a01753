//! `GET /patients/{patient}/readings`: readings one by one, the latest first.
//!
//! Parameters: `type` (all), `range` (`90d` without it) and `after`, the last reading of the page before.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{TimeDelta, Utc};
use homeward_alerts::{metric_in_words, reading_in_words};
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::corrections::{Correction, corrections_of};
use homeward_store::history::{ReadingPlace, StoredReading, list_readings};
use homeward_store::patients::devices_of;
use serde::Deserialize;
use utoipa::IntoParams;

use super::head::Head;
use super::range::Range;
use crate::access::{Action, Exchange};
use crate::error::ApiError;
use crate::pages::own::devices::kind_in_words;
use crate::pages::view::Link;
use crate::pages::{Moment, Who, page};
use crate::readings::Cursor;
use crate::request::{Limit, Path, Query, choose, parsed};
use crate::series::TYPES;

/// How many readings a page lists.
const MOST: Limit<100, 100> = Limit(100);

/// What arrived so much later than it was measured is said to.
const LATE: TimeDelta = TimeDelta::minutes(15);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    r#type: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    range: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

#[derive(Template)]
#[template(path = "pages/patient/readings.html")]
struct Shown {
    who: Option<Who>,
    head: Head,
    types: Vec<TypeOption>,
    range: Range,
    ranges: Vec<Link>,
    readings: Vec<ReadingShown>,
    may_correct: bool,
    next: Option<String>,
}

/// A type that can be asked for.
struct TypeOption {
    name: &'static str,
    text: &'static str,
    picked: bool,
}

/// A reading as the list shows it.
struct ReadingShown {
    place: String,
    what: &'static str,
    value: String,
    at: Moment,
    /// When it arrived, if that was much later.
    arrived: Option<Moment>,
    device: String,
    /// What its device had to say.
    remarks: Vec<String>,
    /// That somebody marked it as entered in error: who, and why.
    wrong: Option<String>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let range = Range::named(parameters.range.as_deref(), "90d")?;
    // A form sends what is not chosen as nothing.
    let asked = parameters.r#type.as_deref().filter(|name| !name.is_empty());
    let metrics = match asked {
        Some(name) => choose("type", name, &TYPES)?.to_vec(),
        None => Metric::ALL.to_vec(),
    };
    let window = range.window(exchange.now());
    let times = (window.from, window.to + TimeDelta::hours(1));

    let head = Head::of(&exchange, patient).await?;
    let mut connection = exchange.connection().await;
    let after = parameters.after.map(|Cursor(place)| place);
    let mut found = list_readings(&mut connection, patient, &metrics, times, after, MOST.and_one()).await?;
    let next = MOST.cut(&mut found).map(|last| Cursor(last.place()).text());
    let marked = match found.iter().any(|reading| reading.entered_in_error) {
        true => corrections_of(&mut connection, patient, times).await?,
        false => Vec::new(),
    };
    let marked: HashMap<ReadingPlace, Correction> =
        marked.into_iter().map(|one| (place_of(&one), one)).collect();
    let devices = devices_of(&mut connection, patient, exchange.now()).await?;
    let kinds: HashMap<DeviceId, String> = devices
        .into_iter()
        .map(|device| (device.id, device.kind))
        .collect();
    drop(connection);

    let asked = asked.unwrap_or_default();
    let here = format!("/patients/{patient}/readings");
    let with_type = |link: Link| Link {
        href: format!("{}&type={asked}", link.href),
        ..link
    };
    let template = Shown {
        who: Who::of(&exchange),
        may_correct: exchange.includes(Action::CorrectReadings) && !head.break_glass,
        head,
        types: types(asked),
        range,
        ranges: range
            .links(&here, TimeDelta::MAX)
            .into_iter()
            .map(with_type)
            .collect(),
        readings: found
            .iter()
            .map(|reading| shown(reading, &kinds, &marked))
            .collect(),
        next: next.map(|after| format!("{here}?range={}&type={asked}&after={after}", range.name())),
    };
    Ok(page(StatusCode::OK, &template))
}

fn place_of(correction: &Correction) -> ReadingPlace {
    ReadingPlace {
        at: correction.measured_at.with_timezone(&Utc),
        metric: correction.metric,
        device: correction.device,
    }
}

/// The types of which a reading is a line; blood pressure is asked for as a whole.
fn types(asked: &str) -> Vec<TypeOption> {
    let option = |(name, metrics): (&'static str, &[Metric])| {
        let text = match metrics {
            [Metric::Systolic, Metric::Diastolic] => "Blood pressure",
            [Metric::Systolic | Metric::Diastolic] => return None,
            [metric, ..] => metric_in_words(*metric).0,
            [] => return None,
        };
        Some(TypeOption {
            name,
            text,
            picked: name == asked,
        })
    };
    TYPES.into_iter().filter_map(option).collect()
}

fn shown(
    reading: &StoredReading,
    kinds: &HashMap<DeviceId, String>,
    marked: &HashMap<ReadingPlace, Correction>,
) -> ReadingShown {
    let (what, value) = reading_in_words(reading.metric, reading.value);
    let context = &reading.context;
    let said = [context.sample.as_ref(), context.meal.as_ref()]
        .into_iter()
        .flatten();
    let said = said.chain(&context.cautions).map(|word| word.replace('_', " "));
    ReadingShown {
        place: Cursor(reading.place()).text(),
        what,
        value,
        at: Moment::short(reading.at),
        arrived: (reading.received_at - reading.at > LATE).then(|| Moment::short(reading.received_at)),
        device: match kinds.get(&reading.device) {
            Some(kind) => format!("{} no. {}", kind_in_words(kind), reading.device),
            None => format!("no. {}", reading.device),
        },
        remarks: said.collect(),
        wrong: reading
            .entered_in_error
            .then(|| match marked.get(&reading.place()) {
                Some(correction) => format!("{}: {}", correction.author, correction.reason),
                None => String::new(),
            }),
    }
}
