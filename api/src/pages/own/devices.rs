//! `GET /patients/{patient}/devices` for patients: what measures them, when it was last heard of, and what did before.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use homeward_record::{DeviceId, PatientId};
use homeward_store::admin::{ListedDevice, list_devices};
use homeward_store::devices::last_heard_of;

use super::voice::Voice;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::moment::ZONE;
use crate::pages::patient::head::Head;
use crate::pages::{Moment, Who, page};

/// How far back readings are looked for: what has been silent for longer is said to be so.
const LOOKED_BACK: TimeDelta = TimeDelta::days(30);

/// A device that has not been heard of for so long is told of: each of those that are given out measures more often.
/// This product's choice.
const QUIET: TimeDelta = TimeDelta::days(2);

/// What stands for people who enter readings.
const MANUAL: &str = "manual";

#[derive(Template)]
#[template(path = "pages/own/devices.html")]
struct Page {
    head: Head,
    who: Option<Who>,
    voice: Voice,
    current: Vec<Device>,
    former: Vec<Device>,
    days_looked_back: i64,
}

struct Device {
    id: i64,
    kind: String,
    /// The days from and until which it measures the patient.
    from: String,
    until: Option<String>,
    heard: Option<Moment>,
    quiet: bool,
    revoked: Option<Moment>,
}

/// The page for a patient.
pub(in crate::pages) async fn show(exchange: &Exchange, patient: PatientId) -> Result<Response, ApiError> {
    let head = Head::of(exchange, patient).await?;
    let now = exchange.now();
    let mut connection = exchange.connection().await;
    let heard = last_heard_of(&mut connection, patient, now - LOOKED_BACK).await?;
    // Of several periods the last one tells how it stands.
    let mut last: BTreeMap<i64, ListedDevice> = BTreeMap::new();
    for device in list_devices(&mut connection, patient).await? {
        last.insert(device.device_id, device);
    }
    let measures =
        |device: &ListedDevice| device.until.is_none_or(|until| until > now) && device.revoked_at.is_none();
    let (current, former): (Vec<_>, Vec<_>) = last.into_values().partition(measures);
    let device = |device: ListedDevice| {
        let heard = heard.get(&DeviceId(device.device_id)).copied();
        let day = |at| ZONE.date(at).format("%-d %B %Y").to_string();
        Device {
            id: device.device_id,
            kind: kind_in_words(&device.kind),
            from: day(device.from),
            until: device.until.map(day),
            heard: heard.map(Moment::new),
            quiet: device.kind != MANUAL && heard.is_none_or(|heard| heard < now - QUIET),
            revoked: device.revoked_at.map(Moment::new),
        }
    };
    let template = Page {
        head,
        who: Who::of(exchange),
        voice: Voice::of(exchange, patient),
        current: current.into_iter().map(device).collect(),
        former: former.into_iter().map(device).collect(),
        days_looked_back: LOOKED_BACK.num_days(),
    };
    Ok(page(StatusCode::OK, &template))
}

/// What a device is, as one says it; kinds are what those who register devices typed.
pub(in crate::pages) fn kind_in_words(kind: &str) -> String {
    match kind {
        "cuff" => "Blood pressure cuff".to_owned(),
        "cgm" => "Glucose sensor".to_owned(),
        "meter" => "Glucose meter".to_owned(),
        "smartwatch" | "watch" => "Watch".to_owned(),
        "scale" => "Scales".to_owned(),
        "oximeter" => "Oxygen meter".to_owned(),
        "hub" => "Hub".to_owned(),
        MANUAL => "Readings typed in by your team".to_owned(),
        other => other.to_owned(),
    }
}
