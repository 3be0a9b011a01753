//! `GET /patients/{patient}/readings/entered-in-error?reading`: asks why a reading is none; `POST` says so. What one device
//! measured at the same time is offered too: both numbers of a cuff that sat wrong are wrong.

use askama::Template;
use axum::response::Response;
use chrono::TimeDelta;
use homeward_alerts::reading_in_words;
use homeward_record::{Metric, PatientId};
use homeward_store::history::{ReadingPlace, StoredReading, list_readings};
use serde::Deserialize;
use utoipa::IntoParams;

use super::head::Head;
use crate::access::Exchange;
use crate::alerts::act::{TEXT_LENGTH, text};
use crate::corrections::correct;
use crate::error::ApiError;
use crate::pages::problems::Problems;
use crate::pages::view::see;
use crate::pages::{Form, Moment, Who, page};
use crate::readings::Cursor;
use crate::request::{Path, Query, parsed};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    reading: Option<Cursor>,
}

#[derive(Template)]
#[template(path = "pages/patient/correction.html")]
struct Shown<'a> {
    who: Option<Who>,
    head: Head,
    problems: Problems,
    reading: String,
    /// The reading, and when it was measured.
    words: String,
    at: Moment,
    /// What else the device measured then.
    others: Vec<Other>,
    reason: &'a str,
}

struct Other {
    place: String,
    words: String,
    picked: bool,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let Some(Cursor(place)) = parameters.reading else {
        return Err(ApiError::parameter("reading", "say which reading is meant"));
    };
    show(&exchange, &path, place, &Form::empty(), Problems::default()).await
}

pub(crate) async fn post(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let parse = |text: &str| text.parse().map(|Cursor(place)| place);
    let wrong = |detail: &str| ApiError::parameter("reading", detail);
    let place = parse(form.text("reading")).map_err(wrong)?;
    let mut problems = Problems::default();
    let reason = match text("reason", form.text("reason"), TEXT_LENGTH) {
        Ok(reason) => reason,
        Err(_) => {
            problems.note(
                "reason",
                "say why the reading is none, in at most 2,000 characters",
            );
            return show(&exchange, &path, place, &form, problems).await;
        }
    };
    correct(&exchange, patient, place, &reason).await?;
    for metric in Metric::ALL {
        let other = ReadingPlace { metric, ..place };
        if form.text(&Cursor(other).text()) == "on" {
            correct(&exchange, patient, other, &reason).await?;
        }
    }
    exchange.note_reason(&reason);
    Ok(see(&format!("/patients/{patient}/readings")))
}

async fn show(
    exchange: &Exchange,
    path: &Path,
    place: ReadingPlace,
    form: &Form,
    problems: Problems,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let head = Head::of(exchange, patient).await?;
    let window = (place.at, place.at + TimeDelta::microseconds(1));
    let mut connection = exchange.connection().await;
    let most = 10 * Metric::ALL.len() as i64;
    let mut found = list_readings(&mut connection, patient, &Metric::ALL, window, None, most).await?;
    drop(connection);
    found.retain(|reading| reading.device == place.device && !reading.entered_in_error);
    let reading = found.iter().find(|reading| reading.place() == place);
    let reading =
        reading.ok_or_else(|| ApiError::NotFound("there is no such reading that counts".to_owned()))?;
    let others = found.iter().filter(|other| other.metric != place.metric);
    let template = Shown {
        who: Who::of(exchange),
        head,
        reading: Cursor(place).text(),
        words: in_words(reading),
        at: Moment::new(place.at),
        others: others
            .map(|other| {
                let place = Cursor(other.place()).text();
                Other {
                    picked: form.text(&place) == "on",
                    place,
                    words: in_words(other),
                }
            })
            .collect(),
        reason: form.text("reason"),
        problems,
    };
    Ok(page(template.problems.status(), &template))
}

fn in_words(reading: &StoredReading) -> String {
    let (what, value) = reading_in_words(reading.metric, reading.value);
    format!("{what} {value}")
}
