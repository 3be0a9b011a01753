//! `GET /patients/{patient}/devices` for patients: what measures them, when it was last heard of, and what did before.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use homeward_record::{DeviceId, PatientId};
use homeward_store::admin::{ListedDevice, list_devices};
use homeward_store::devices::contacts_of;

use super::voice::Voice;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::admin::devices::LOW_BATTERY;
use crate::pages::moment::ZONE;
use crate::pages::patient::head::Head;
use crate::pages::{Moment, Who, page};

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
}

struct Device {
    id: i64,
    kind: String,
    /// The days from and until which it measures the patient.
    from: String,
    until: Option<String>,
    heard: Option<Moment>,
    /// How full its battery is, in percent, and whether that is little; as far as it says so.
    battery: Option<(i16, bool)>,
    quiet: bool,
    revoked: Option<Moment>,
}

/// The page for a patient.
pub(in crate::pages) async fn show(exchange: &Exchange, patient: PatientId) -> Result<Response, ApiError> {
    let head = Head::of(exchange, patient).await?;
    let now = exchange.now();
    let mut connection = exchange.connection().await;
    // Of several periods the last one tells how it stands.
    let mut last: BTreeMap<i64, ListedDevice> = BTreeMap::new();
    for device in list_devices(&mut connection, patient).await? {
        last.insert(device.device_id, device);
    }
    let measures =
        |device: &ListedDevice| device.until.is_none_or(|until| until > now) && device.revoked_at.is_none();
    let (current, former): (Vec<_>, Vec<_>) = last.into_values().partition(measures);
    // What a device does that measures somebody else by now is not told.
    let ids: Vec<DeviceId> = current.iter().map(|device| DeviceId(device.device_id)).collect();
    let contacts = contacts_of(&mut connection, &ids).await?;
    let device = |device: ListedDevice| {
        let contact = contacts.get(&DeviceId(device.device_id));
        let heard = contact.map(|contact| contact.last_at);
        let battery = contact
            .and_then(|contact| contact.battery)
            .map(|(percent, _)| percent);
        let day = |at| ZONE.date(at).format("%-d %B %Y").to_string();
        Device {
            id: device.device_id,
            kind: kind_in_words(&device.kind),
            from: day(device.from),
            until: device.until.map(day),
            heard: heard.map(Moment::new),
            battery: battery.map(|percent| (percent, percent < LOW_BATTERY)),
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
