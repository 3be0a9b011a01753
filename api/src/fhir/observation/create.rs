//! `POST /fhir/R4/Observation`: a reading enters the record by the way of a device's message, with the same decoding, limits
//! and promise. What is answered is committed, with every alert that it raises.
//!
//! `subject` is the Patient, by reference or NHS number. `device` is what measured: a Device of the patient by reference or
//! identifier; without it, a device of the kind `manual` stands for it, one for each patient and organisation that enters
//! readings. An Observation that the record has already is answered with 200 and changes nothing. With `If-None-Exist:
//! identifier=system|value` nothing is created where the patient has an Observation with that identifier; those in the
//! resource are remembered too.

use axum::extract::State;
use axum::http::header::{HeaderName, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::decode::{DecodeContext, Reason, Rejection, decode};
use homeward_record::fhir::{NHS_NUMBER, ObservationId};
use homeward_record::{DeviceId, Metric, PatientId, PayloadKind, Reading};
use homeward_store::observations::readings_at;
use homeward_store::passport::known_device;
use homeward_store::patients::{PersonFilter, devices_of, find_people};
use homeward_store::posted::{Identifier, entry_device, find_identified, note_posted, remember};
use serde_json::Value as Json;

use super::interpret::Limits;
use super::{first_of_panel, told};
use crate::access::Exchange;
use crate::entering::{Entered, Entry, NotEntered};
use crate::error::ApiError;
use crate::fhir::answer::{Resource, root};
use crate::fhir::parameters::{Token, always, prefers};
use crate::request::WholeBody;
use crate::routes::App;

const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");

/// How many identifiers of one Observation are remembered, and how long one may be, in bytes.
const MOST_IDENTIFIERS: usize = 10;
const LONGEST_IDENTIFIER: usize = 256;

/// `POST /fhir/R4/Observation`.
pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    headers: HeaderMap,
    WholeBody(payload): WholeBody,
) -> Result<Response, ApiError> {
    let resource = read(&payload)?;
    let condition = condition(&headers)?;
    let mut identifiers = identifiers(&resource)?;
    identifiers.extend(condition.clone().filter(|asked| !identifiers.contains(asked)));
    let patient = subject(&exchange, &resource).await?;
    let known = match &condition {
        Some(asked) => find_identified(&mut *exchange.connection().await, patient, asked).await?,
        None => None,
    };
    if let Some(id) = known {
        return answer(&app, &exchange, &headers, StatusCode::OK, id).await;
    }
    let device = device(&app, &exchange, patient, &resource["device"]).await?;
    let now = exchange.now();
    let readings = decode(PayloadKind::Fhir, &payload, &lenient(now)).readings;
    let id = identify(patient, device, &readings);
    if let Some(id) = id {
        // Who sends the same identifier at the same time waits here until this request has ended.
        let new = remember(&mut *exchange.connection().await, &identifiers, id).await?;
        if let Some(asked) = condition.filter(|asked| !new.contains(asked)) {
            let first = find_identified(&mut *exchange.connection().await, patient, &asked).await?;
            return answer(&app, &exchange, &headers, StatusCode::OK, first.unwrap_or(id)).await;
        }
    }
    let entry = Entry {
        device,
        patient,
        payload: payload.to_vec(),
    };
    let entered = (app.enter)(entry).await.map_err(|not| match not {
        NotEntered::Busy => ApiError::Busy("there is no room for readings at present; nothing was stored"),
        NotEntered::Unknown => ApiError::Busy(
            "the reading was not stored in time; send it again: if it is in the record all the same, it stays one",
        ),
    })?;
    let (
        Some(id),
        Entered {
            stored,
            stored_earlier,
            ..
        },
    ) = (id, &entered)
    else {
        return Err(refusal(&entered.rejected));
    };
    let status = match (stored, stored_earlier) {
        (0, 0) => return Err(refusal(&entered.rejected)),
        (0, _) => StatusCode::OK,
        _ => StatusCode::CREATED,
    };
    if status == StatusCode::CREATED {
        let mut connection = exchange.connection().await;
        note_posted(&mut connection, patient, (id.at, device), exchange.actor(), now).await?;
    } else {
        same(&exchange, id, &readings).await?;
    }
    answer(&app, &exchange, &headers, status, id).await
}

fn read(payload: &[u8]) -> Result<Json, ApiError> {
    let resource: Json = serde_json::from_slice(payload)
        .map_err(|error| ApiError::Body(format!("the body is not the JSON that is expected: {error}")))?;
    match resource["resourceType"] == "Observation" {
        true => Ok(resource),
        false => Err(ApiError::Body("resourceType: expected an Observation".to_owned())),
    }
}

/// What must not be there: `If-None-Exist: identifier=system|value`.
fn condition(headers: &HeaderMap) -> Result<Option<Identifier>, ApiError> {
    let Some(header) = headers.get(IF_NONE_EXIST) else {
        return Ok(None);
    };
    let wrong = || ApiError::parameter("If-None-Exist", "expected identifier=system|value");
    let query = header.to_str().map_err(|_| wrong())?;
    let uri = format!("/?{}", query.trim_start_matches('?'));
    let uri = uri.parse().map_err(|_| wrong())?;
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|_| wrong())?;
    let [(name, value)] = &pairs.0[..] else {
        return Err(wrong());
    };
    match &Token::list(value)[..] {
        [
            Token {
                system: Some(system),
                code: Some(code),
            },
        ] if name == "identifier" && !system.is_empty() => Ok(Some((system.clone(), code.clone()))),
        _ => Err(wrong()),
    }
}

/// The identifiers in the resource that have a system and a value.
fn identifiers(resource: &Json) -> Result<Vec<Identifier>, ApiError> {
    let listed = resource["identifier"].as_array().into_iter().flatten();
    let mut identifiers: Vec<Identifier> = listed
        .filter_map(|one| {
            Some((
                one["system"].as_str()?.to_owned(),
                one["value"].as_str()?.to_owned(),
            ))
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    identifiers.sort_unstable();
    identifiers.dedup();
    let too_long = |(system, value): &Identifier| system.len().max(value.len()) > LONGEST_IDENTIFIER;
    if identifiers.len() > MOST_IDENTIFIERS || identifiers.iter().any(too_long) {
        let text = format!(
            "identifier: at most {MOST_IDENTIFIERS} of them, of {LONGEST_IDENTIFIER} bytes each, are remembered"
        );
        return Err(ApiError::Unprocessable(text));
    }
    Ok(identifiers)
}

/// Whose it is, for the caller to see and to add to.
async fn subject(exchange: &Exchange, resource: &Json) -> Result<PatientId, ApiError> {
    let subject = &resource["subject"];
    let none = || ApiError::Unprocessable("subject: there is no such Patient".to_owned());
    let patient = match subject["reference"].as_str() {
        Some(reference) => {
            let id = reference.rsplit_once("Patient/").map(|(_, id)| id);
            id.and_then(|id| id.parse().ok()).ok_or_else(none)?
        }
        None => {
            let identifier = &subject["identifier"];
            let number = identifier["value"]
                .as_str()
                .filter(|_| identifier["system"] == NHS_NUMBER);
            let Some(number) = number else {
                let text =
                    format!("subject: expected a reference to a Patient, or an identifier of {NHS_NUMBER}");
                return Err(ApiError::Unprocessable(text));
            };
            let digits = number.chars().filter(char::is_ascii_digit).collect();
            let filter = PersonFilter {
                nhs_numbers: Some(vec![digits]),
                ..PersonFilter::default()
            };
            let found = find_people(&mut *exchange.connection().await, &filter, 1).await?;
            found.first().ok_or_else(none)?.id
        }
    };
    match exchange.turn_to(patient).await? {
        true => Ok(patient),
        false => Err(none()),
    }
}

/// What measured it.
async fn device(
    app: &App,
    exchange: &Exchange,
    patient: PatientId,
    given: &Json,
) -> Result<DeviceId, ApiError> {
    if given.is_null() {
        let organisation = exchange.principal().acts_as.organisation;
        let organisation = organisation.ok_or(ApiError::Forbidden("only an organisation enters readings"))?;
        let (since, _) = always();
        return Ok(entry_device(&app.pool, patient, organisation, since, &rand::random()).await?);
    }
    let mut connection = exchange.connection().await;
    let id = match given["reference"].as_str() {
        Some(reference) => reference
            .rsplit_once("Device/")
            .and_then(|(_, id)| id.parse().ok()),
        None => {
            let part = |name: &str| Some(given["identifier"][name].as_str()?.to_owned());
            match part("system").zip(part("value")) {
                Some(identifier) => known_device(&mut connection, &[identifier]).await?,
                None => None,
            }
        }
    };
    let devices = devices_of(&mut connection, patient, exchange.now()).await?;
    let found = devices.iter().find(|device| Some(device.id) == id);
    match found {
        None => Err(ApiError::Unprocessable(
            "device: there is no such Device of this patient".to_owned(),
        )),
        Some(device) if device.revoked_at.is_some() => Err(ApiError::Unprocessable(
            "device: it was revoked, and measures nobody".to_owned(),
        )),
        Some(device) => Ok(device.id),
    }
}

/// For finding out what an Observation would be called. Whether it is taken is decided by those who take it.
fn lenient(now: DateTime<Utc>) -> DecodeContext {
    let (first, _) = always();
    DecodeContext {
        received_at: now,
        retention: now - first,
        utc_offset: TimeDelta::zero(),
    }
}

/// The identifier of the Observation that begins with the first of the readings.
fn identify(patient: PatientId, device: DeviceId, readings: &[Reading]) -> Option<ObservationId> {
    let metrics: Vec<Metric> = readings.iter().map(|reading| reading.metric).collect();
    let first = readings.first()?;
    Some(ObservationId {
        patient,
        device,
        metric: first_of_panel(first.metric, &metrics),
        at: first.at,
    })
}

/// Makes sure that what the record had before is what was sent.
async fn same(exchange: &Exchange, id: ObservationId, readings: &[Reading]) -> Result<(), ApiError> {
    let stored = readings_at(&mut *exchange.connection().await, id.patient, &[id.at]).await?;
    let mut stored = stored.iter().filter(|one| one.device == id.device);
    let other = stored.any(|one| {
        let mut sent = readings.iter().filter(|sent| sent.metric == one.metric);
        sent.any(|sent| sent.value != one.value)
    });
    match other {
        true => Err(ApiError::Conflict(
            "the record has another value of this device and time, and a stored reading is never changed"
                .to_owned(),
        )),
        false => Ok(()),
    }
}

/// Why nothing was stored.
fn refusal(rejected: &[Rejection]) -> ApiError {
    let reasons: Vec<&str> = rejected.iter().map(|one| one.detail.as_str()).collect();
    let text = reasons.join("; ");
    let malformed = |one: &Rejection| matches!(one.reason, Reason::Malformed | Reason::InvalidField);
    match rejected.iter().any(malformed) {
        true => ApiError::Body(text),
        false => ApiError::Unprocessable(text),
    }
}

/// Says where the Observation is, and what it is, unless the caller does not want to hear that.
async fn answer(
    app: &App,
    exchange: &Exchange,
    headers: &HeaderMap,
    status: StatusCode,
    id: ObservationId,
) -> Result<Response, ApiError> {
    let location = format!("{}/Observation/{id}", root(app));
    let location = HeaderValue::try_from(location)
        .map_err(|_| ApiError::parameter("link_base", "the address of the interface is no header"))?;
    if prefers(headers, "return=minimal") {
        return Ok((status, [(LOCATION, location)]).into_response());
    }
    let mut connection = exchange.connection().await;
    let mut readings = readings_at(&mut connection, id.patient, &[id.at]).await?;
    readings.retain(|reading| reading.device == id.device);
    let limits = Limits::load(&mut connection, id.patient).await?;
    let mut found = told(id.patient, &readings, &limits, false).into_iter();
    let resource = found.find(|(told, _)| *told == id);
    match resource {
        Some((_, resource)) => Ok((status, [(LOCATION, location)], Resource(resource)).into_response()),
        None => Ok((status, [(LOCATION, location)]).into_response()),
    }
}
