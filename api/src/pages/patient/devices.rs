//! `GET /patients/{patient}/devices`: what measures a patient, or has: since when, when it was last heard of, and how its
//! battery is. Patients see [`own::devices`].

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::{DeviceId, PatientId};
use homeward_store::access::Role;
use homeward_store::admin::{ListedDevice, list_devices};
use homeward_store::devices::{Contact, contacts_of};

use super::head::Head;
use crate::access::{Action, Exchange};
use crate::error::ApiError;
use crate::pages::admin::devices::LOW_BATTERY;
use crate::pages::own::devices::kind_in_words;
use crate::pages::{Moment, Who, own, page};
use crate::request::Path;

#[derive(Template)]
#[template(path = "pages/patient/devices.html")]
struct Shown {
    who: Option<Who>,
    head: Head,
    /// The present ones first.
    devices: Vec<DeviceShown>,
    /// Whether the reader registers, assigns and revokes devices.
    may_manage: bool,
}

struct DeviceShown {
    id: i64,
    kind: String,
    last_contact: Option<Moment>,
    /// How full its battery was, in percent, whether that is little, and when it said so.
    battery: Option<(i16, bool, Moment)>,
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
    let mut connection = exchange.connection().await;
    let found = list_devices(&mut connection, patient).await?;
    let now = exchange.now();
    let measures = |device: &ListedDevice| {
        device.from <= now && device.until.is_none_or(|until| until > now) && device.revoked_at.is_none()
    };
    // What a device does that measures somebody else by now is not told.
    let ids: Vec<DeviceId> = found
        .iter()
        .filter(|device| measures(device))
        .map(|device| DeviceId(device.device_id))
        .collect();
    let contacts = contacts_of(&mut connection, &ids).await?;
    drop(connection);
    let shown = |device: ListedDevice| shown(measures(&device), device, &contacts);
    let mut devices: Vec<DeviceShown> = found.into_iter().rev().map(shown).collect();
    devices.sort_by_key(|device| !device.current);
    let template = Shown {
        who: Who::of(&exchange),
        may_manage: exchange.includes(Action::ManageDevices) && !head.break_glass,
        head,
        devices,
    };
    Ok(page(StatusCode::OK, &template))
}

fn shown(current: bool, device: ListedDevice, contacts: &HashMap<DeviceId, Contact>) -> DeviceShown {
    let contact = contacts.get(&DeviceId(device.device_id)).filter(|_| current);
    let battery = contact.and_then(|contact| contact.battery);
    DeviceShown {
        id: device.device_id,
        kind: kind_in_words(&device.kind),
        last_contact: contact.map(|contact| Moment::short(contact.last_at)),
        battery: battery.map(|(percent, at)| (percent, percent < LOW_BATTERY, Moment::short(at))),
        from: Moment::new(device.from),
        current,
        until: device.until.map(Moment::new),
        revoked: device.revoked_at.map(Moment::new),
    }
}
