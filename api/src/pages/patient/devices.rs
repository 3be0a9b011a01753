//! `GET /patients/{patient}/devices`: what measures a patient, or has: since when, and when it was last heard of.
//! Patients see [`own::devices`].

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, PatientId};
use homeward_store::access::Role;
use homeward_store::admin::{ListedDevice, list_devices};
use homeward_store::devices::last_heard_of;

use super::head::Head;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::own::devices::kind_in_words;
use crate::pages::{Moment, Who, own, page};
use crate::request::Path;

/// How far back readings are looked for.
const LOOKED_BACK: TimeDelta = TimeDelta::days(30);

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
    /// When a reading of it last arrived.
    heard: Option<Moment>,
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
    let heard = last_heard_of(&mut connection, patient, exchange.now() - LOOKED_BACK).await?;
    let found = list_devices(&mut connection, patient).await?;
    drop(connection);
    let shown = |device: ListedDevice| shown(device, &heard);
    let mut devices: Vec<DeviceShown> = found.into_iter().rev().map(shown).collect();
    devices.sort_by_key(|device| !device.current);
    let template = Shown {
        who: Who::of(&exchange),
        head,
        devices,
    };
    Ok(page(StatusCode::OK, &template))
}

fn shown(device: ListedDevice, heard: &HashMap<DeviceId, DateTime<Utc>>) -> DeviceShown {
    let heard = heard.get(&DeviceId(device.device_id));
    DeviceShown {
        id: device.device_id,
        kind: kind_in_words(&device.kind),
        heard: heard.copied().map(Moment::short),
        from: Moment::new(device.from),
        current: device.until.is_none() && device.revoked_at.is_none(),
        until: device.until.map(Moment::new),
        revoked: device.revoked_at.map(Moment::new),
    }
}
