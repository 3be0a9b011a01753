//! `GET /patients/{patient}/devices`: what measures a patient, or has: since when, and when it was last heard of.
//! Patients see [`own::devices`].

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::access::Role;
use homeward_store::admin::{ListedDevice, list_devices};

use super::head::Head;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::{Moment, Who, own, page};
use crate::request::Path;

#[derive(Template)]
#[template(path = "pages/patient/devices.html")]
struct Shown {
    who: Option<Who>,
    head: Head,
    /// The present ones first.
    devices: Vec<DeviceShown>,
}

struct DeviceShown {
    id: i64,
    kind: String,
    from: Moment,
    until: Option<Moment>,
    revoked: Option<Moment>,
    current: bool,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if exchange.principal().acts_as.role == Role::Patient {
        return own::devices::show(&exchange, patient).await;
    }
    let head = Head::of(&exchange, patient).await?;
    let found = list_devices(&mut *exchange.connection().await, patient).await?;
    let mut devices: Vec<DeviceShown> = found.into_iter().rev().map(shown).collect();
    devices.sort_by_key(|device| !device.current);
    let template = Shown {
        who: Who::of(&exchange),
        head,
        devices,
    };
    Ok(page(StatusCode::OK, &template))
}

fn shown(device: ListedDevice) -> DeviceShown {
    DeviceShown {
        id: device.device_id,
        kind: device.kind,
        from: Moment::new(device.from),
        current: device.until.is_none() && device.revoked_at.is_none(),
        until: device.until.map(Moment::new),
        revoked: device.revoked_at.map(Moment::new),
    }
}
