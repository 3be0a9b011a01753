//! `GET /admin/devices/{device}`: a device, whom it measures, and when it was last heard of. `POST …/assign` gives it to a
//! patient, `…/return` takes it back into the stock, and `…/revoke` lets it in no more, for ever.

use askama::Template;
use axum::response::Response;
use homeward_record::DeviceId;
use homeward_store::admin::{OfStock, StockFilter, list_stock, return_device};

use super::devices::{Row, patient_of};
use super::sections;
use crate::access::Exchange;
use crate::devices::assign::assign;
use crate::devices::revoke::revoke;
use crate::error::ApiError;
use crate::pages::form::Form;
use crate::pages::moment::{Moment, beginning_of};
use crate::pages::problems::Problems;
use crate::pages::view::{Link, Who, page, see};
use crate::request::Path;

#[derive(Template)]
#[template(path = "pages/admin/device.html")]
struct Device {
    who: Option<Who>,
    sections: Vec<Link>,
    problems: Problems,
    row: Row,
    registered: Moment,
    utc_offset_minutes: i32,
    patient: String,
    from: String,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let device = device_in(&exchange, &path).await?;
    Ok(show(&exchange, device, &Form::empty(), Problems::default()))
}

/// The device of the path, if it is of the caller's stock or measures a patient of theirs.
async fn device_in(exchange: &Exchange, path: &Path) -> Result<OfStock, ApiError> {
    let id: DeviceId = path.value("device")?;
    let filter = StockFilter {
        organisation: exchange.own_team(),
        id: Some(id.0),
        ..StockFilter::default()
    };
    let mut connection = exchange.connection().await;
    let found = list_stock(&mut connection, &filter, exchange.now(), 1)
        .await?
        .pop();
    let found = found.ok_or_else(|| ApiError::NotFound(format!("there is no device {id}")))?;
    exchange.note_patients(found.patient.as_ref().map(|(patient, ..)| *patient));
    Ok(found)
}

fn show(exchange: &Exchange, device: OfStock, form: &Form, problems: Problems) -> Response {
    let status = problems.status();
    let template = Device {
        who: Who::of(exchange),
        sections: sections(exchange),
        problems,
        registered: Moment::new(device.created_at),
        utc_offset_minutes: device.utc_offset_minutes,
        row: Row::of(device, exchange.now()),
        patient: form.text("patient").to_owned(),
        from: form.text("from").to_owned(),
    };
    page(status, &template)
}

fn back_to(device: DeviceId) -> Response {
    see(&format!("/admin/devices/{device}"))
}

/// `POST /admin/devices/{device}/assign`.
pub(crate) async fn give(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let device = device_in(&exchange, &path).await?;
    let mut problems = Problems::default();
    let patient = problems.take("patient", patient_of(&exchange, form.text("patient")).await?);
    let from = problems.take("from", beginning_of(form.text("from")));
    let (Some(patient), Some(from)) = (patient, from) else {
        return Ok(show(&exchange, device, &form, problems));
    };
    match assign(&exchange, device.id, patient, from).await {
        Ok(()) => Ok(back_to(device.id)),
        Err(error) => {
            problems.refused("patient", error)?;
            Ok(show(&exchange, device, &form, problems))
        }
    }
}

/// `POST /admin/devices/{device}/return`.
pub(crate) async fn take_back(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let device = device_in(&exchange, &path).await?;
    let patient = return_device(&mut *exchange.connection().await, device.id, exchange.now()).await?;
    let patient = patient
        .ok_or_else(|| ApiError::Conflict("the device measures nobody whom you look after".to_owned()))?;
    exchange.require_each([patient]).await?;
    Ok(back_to(device.id))
}

/// `POST /admin/devices/{device}/revoke`.
pub(crate) async fn revoked(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let device = device_in(&exchange, &path).await?;
    revoke(&exchange, device.id).await?;
    Ok(back_to(device.id))
}
