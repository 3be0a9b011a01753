//! `GET /admin/devices`: the devices of the caller's stock, the latest first; parameters `with` (`nobody`, `patient` or
//! `revoked`; else all that are good), `q` (number, kind or label) and `before`. `GET /admin/devices/new` is where one is
//! registered (`patient` says for whom), and `POST /admin/devices` does so: its credentials are shown then and never again,
//! as text and as a QR code of that text.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, NhsNumber, PatientId};
use homeward_store::admin::{OfStock, StockFilter, list_stock};
use homeward_store::patients::{PersonFilter, find_people};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Choice, MOST, number_of, sections, with_parameters};
use crate::access::Exchange;
use crate::devices::register::{Credentials, Registered, register};
use crate::error::ApiError;
use crate::pages::form::Form;
use crate::pages::moment::{Moment, beginning_of};
use crate::pages::problems::Problems;
use crate::pages::view::{Link, Who, page, page_once};
use crate::qr;
use crate::request::{Query, choose, parsed};
use crate::sign_in::random_text;

#[derive(Template)]
#[template(path = "pages/admin/devices.html")]
struct Devices {
    who: Option<Who>,
    sections: Vec<Link>,
    q: String,
    with: &'static str,
    filters: Vec<Link>,
    /// Whether the devices of all teams are the reader's business.
    of_all: bool,
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
}

/// A device of the list.
pub(super) struct Row {
    pub(super) id: DeviceId,
    pub(super) kind: String,
    pub(super) label: Option<String>,
    pub(super) organisation: Option<String>,
    pub(super) revoked: Option<Moment>,
    /// Whom it measures, if the reader may see them: number and name, and since when.
    pub(super) patient: Option<(PatientId, String, Moment)>,
    /// It measures somebody whom the reader may not see.
    pub(super) elsewhere: bool,
    pub(super) last_contact: Option<Moment>,
    /// Nothing was heard for so long that somebody should look.
    pub(super) silent: bool,
    pub(super) battery: Option<(i16, Moment)>,
}

/// How many hours a device that is with a patient may be silent before the list says so: the least that any programme asks
/// for is a measurement a day.
const SILENT_AFTER_HOURS: i64 = 36;

/// Below this a battery wants to be charged, in percent.
pub(in crate::pages) const LOW_BATTERY: i16 = 20;

impl Row {
    pub(super) fn of(device: OfStock, now: DateTime<Utc>) -> Row {
        let quiet_since = device.last_contact.unwrap_or(device.created_at);
        Row {
            id: device.id,
            kind: device.kind,
            label: device.label,
            organisation: device.organisation.map(|(_, name)| name),
            silent: device.with_somebody
                && device.revoked_at.is_none()
                && (now - quiet_since).num_hours() >= SILENT_AFTER_HOURS,
            revoked: device.revoked_at.map(Moment::new),
            elsewhere: device.with_somebody && device.patient.is_none(),
            patient: device
                .patient
                .map(|(patient, name, since)| (patient, name, Moment::new(since))),
            last_contact: device.last_contact.map(Moment::new),
            battery: device.battery.map(|(percent, at)| (percent, Moment::new(at))),
        }
    }

    /// Whether the battery wants to be charged.
    pub(super) fn low_battery(&self) -> bool {
        self.battery
            .as_ref()
            .is_some_and(|(percent, _)| *percent < LOW_BATTERY)
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    with: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    q: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    before: Option<i64>,
}

/// What the list can be about: the parameter, what one calls it, with whom they are, and whether they are revoked.
const FILTERS: [(&str, &str, Option<bool>, bool); 4] = [
    ("anybody", "Not revoked", None, false),
    ("nobody", "With nobody", Some(false), false),
    ("patient", "With patients", Some(true), false),
    ("revoked", "Revoked", None, true),
];

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let with = parameters.with.as_deref().unwrap_or("anybody");
    let all = FILTERS.map(|filter| (filter.0, filter));
    let (with, _, with_somebody, revoked) = choose("with", with, &all)?;
    let q = parameters.q.unwrap_or_default().trim().to_owned();
    let filter = StockFilter {
        organisation: exchange.own_team(),
        with_somebody,
        revoked: Some(revoked),
        text: (!q.is_empty()).then(|| q.clone()),
        before: parameters.before,
        ..StockFilter::default()
    };
    let now = exchange.now();
    let mut found = list_stock(&mut *exchange.connection().await, &filter, now, MOST.and_one()).await?;
    let next = MOST.cut(&mut found).map(|last| last.id.to_string());
    let next =
        next.map(|last| with_parameters("/admin/devices", &[("with", with), ("q", &q), ("before", &last)]));
    let patients = found.iter().filter_map(|device| device.patient.as_ref());
    exchange.note_patients(patients.map(|(patient, ..)| *patient));
    let template = Devices {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        q,
        with,
        filters: FILTERS
            .map(|(name, text, ..)| Link {
                href: format!("/admin/devices?with={name}"),
                text,
                current: name == with,
            })
            .into(),
        of_all: exchange.own_team().is_none(),
        rows: found.into_iter().map(|device| Row::of(device, now)).collect(),
        next,
    };
    Ok(page(StatusCode::OK, &template))
}

#[derive(Template)]
#[template(path = "pages/admin/device_new.html")]
struct New {
    who: Option<Who>,
    sections: Vec<Link>,
    problems: Problems,
    once: String,
    /// Empty for a lead, whose devices are of their own team.
    organisations: Vec<Choice>,
    kind: String,
    label: String,
    patient: String,
    from: String,
    utc_offset_minutes: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct For {
    #[serde(default, deserialize_with = "parsed")]
    patient: Option<PatientId>,
}

pub(crate) async fn ask(exchange: Exchange, Query(of): Query<For>) -> Result<Response, ApiError> {
    let patient = of.patient.map(|patient| ("patient", patient.to_string()));
    show(&exchange, &Form::with(patient), Problems::default()).await
}

async fn show(exchange: &Exchange, form: &Form, problems: Problems) -> Result<Response, ApiError> {
    let picked = form.text("organisation");
    let organisations = match exchange.own_team() {
        Some(_) => Vec::new(),
        None => Choice::organisations(&mut *exchange.connection().await, Some("care_team"), picked).await?,
    };
    let status = problems.status();
    let template = New {
        who: Who::of(exchange),
        sections: sections(exchange),
        problems,
        once: random_text(),
        organisations,
        kind: form.text("kind").to_owned(),
        label: form.text("label").to_owned(),
        patient: form.text("patient").to_owned(),
        from: form.text("from").to_owned(),
        utc_offset_minutes: form.text("utc_offset_minutes").to_owned(),
    };
    Ok(page(status, &template))
}

#[derive(Template)]
#[template(path = "pages/admin/device_credentials.html")]
struct Shown<'a> {
    who: Option<Who>,
    sections: Vec<Link>,
    device: DeviceId,
    patient: Option<PatientId>,
    credentials: &'a Credentials,
    /// What the image says.
    text: String,
    image: String,
}

pub(crate) async fn post(exchange: Exchange, form: Form) -> Result<Response, ApiError> {
    let mut problems = Problems::default();
    let patient = match form.text("patient") {
        "" => Some(None),
        typed => problems
            .take("patient", patient_of(&exchange, typed).await?)
            .map(Some),
    };
    let from = problems.take("from", beginning_of(form.text("from")));
    let offset = match form.text("utc_offset_minutes") {
        "" => Ok(0),
        text => text.parse().map_err(|_| "expected a number of minutes"),
    };
    let offset = problems.take("utc_offset_minutes", offset);
    let organisation = problems.take("organisation", number_of(form.text("organisation")));
    let (Some(patient), Some(from), Some(offset), Some(organisation)) = (patient, from, offset, organisation)
    else {
        return show(&exchange, &form, problems).await;
    };
    let label = form.text("label");
    let registered = Registered {
        patient,
        kind: form.text("kind").to_owned(),
        label: (!label.is_empty()).then(|| label.to_owned()),
        organisation,
        from,
        utc_offset_minutes: offset,
    };
    let credentials = match register(&exchange, &registered).await {
        Ok(credentials) => credentials,
        Err(error) => {
            problems.refused("kind", error)?;
            return show(&exchange, &form, problems).await;
        }
    };
    let text = credentials.as_text();
    let template = Shown {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        device: credentials.device,
        patient,
        image: qr::inline(&text)?,
        text,
        credentials: &credentials,
    };
    Ok(page_once(StatusCode::OK, &template))
}

/// The patient whom an NHS number or a number of the record names, among those whom the caller may see; else what is wrong.
pub(super) async fn patient_of(
    exchange: &Exchange,
    typed: &str,
) -> Result<Result<PatientId, String>, ApiError> {
    let mut filter = PersonFilter::default();
    match (typed.parse::<NhsNumber>(), typed.parse::<PatientId>()) {
        (Ok(number), _) => filter.nhs_numbers = Some(vec![number.as_str().to_owned()]),
        (Err(_), Ok(patient)) => filter.ids = Some(vec![patient.0]),
        (Err(error), Err(_)) => return Ok(Err(error.to_string())),
    }
    let found = find_people(&mut *exchange.connection().await, &filter, 1)
        .await?
        .pop();
    let found = found.map(|person| person.id);
    Ok(found.ok_or_else(|| "you look after no patient with this number".to_owned()))
}
