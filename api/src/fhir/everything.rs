//! `GET /fhir/R4/Patient/{id}/$everything?start&end&_count`: the patient passport, a document that another supplier can
//! take over, and `homeward import` does exactly. `start` and `end`, FHIR dates, limit the readings; all else is there as
//! it stands.
//!
//! A page has `_count` Observations at most. The `next` link of the Bundle leads to the next one, a document that appends
//! to the first and has nothing but readings, with their devices. What extensions say, [`homeward_record::fhir::Kept`]
//! tells.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::State;
use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_record::fhir::{self, DEVICE_IDENTIFIER, DeviceUse, Kept, Passport, keep, keep_device};
use homeward_store::Error;
use homeward_store::passport::{
    KeptEpisode, kept_episodes, kept_memory, kept_versions, record_uuid, used_devices,
};
use homeward_store::patients::{devices_of, new_uuid};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use sqlx::PgConnection;

use super::answer::{Resource, no_such, root};
use super::observation::{self, Place, summaries};
use super::parameters::{Search, always, date_span};
use super::{care_plan, consent, device, episodes, patient, provenance};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// How many Observations a page has, and may have: each takes some kilobytes while it is written, and the whole page is
/// in memory. A sensor that measures every five minutes fills the first in seventeen days.
const USUAL: usize = 5_000;
const MOST: usize = 20_000;

/// The most episodes, by the same reason.
const MOST_EPISODES: usize = 5_000;

/// `GET /fhir/R4/Patient/{patient}/$everything`.
pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&["start", "end"])?;
    let patient: PatientId = path.value("patient").map_err(|_| no_such("Patient"))?;
    let window = window(&search)?;
    let count = search.count(USUAL, MOST)?;
    let further: Option<Further> = search.place()?;
    let now = exchange.now();
    let plan = care_plan::load(&exchange, patient).await?;
    let mut connection = exchange.connection().await;
    let person = patient::load(&mut connection, patient).await?;
    let mut sections = vec![
        ("Patient", vec![person]),
        ("Devices", devices(&mut connection, patient, now).await?),
    ];
    if further.is_none() {
        let plan = kept_plan(&mut connection, patient, plan).await?;
        sections.push(("Care plan", plan));
        sections.push(("Choices", consent::all_of(&mut connection, patient, now).await?));
        sections.push(("Alerts", alerts(&mut connection, patient).await?));
        let (first, last) = always();
        let corrections = provenance::of_corrections(&mut connection, patient, (first, last), true).await?;
        sections.push(("Corrections", corrections));
        sections.push((
            "Summaries",
            summaries::of_passport(&mut connection, patient, now).await?,
        ));
    }
    let after = further.as_ref().map(|further| further.after);
    let readings = observation::page_of_passport(&mut connection, patient, window, after, count).await?;
    let resources = readings.observations.into_iter().map(|(_, resource)| resource);
    sections.push(("Readings", resources.collect()));
    let uuid = new_uuid(&mut connection).await?;
    let document = further.map(|further| further.document);
    let base = root(&app);
    let next = readings.next.map(|after| {
        let document = document.clone().unwrap_or_else(|| uuid.clone());
        let place = Further { after, document }.text();
        format!(
            "{base}/Patient/{patient}/$everything{}",
            search.query(Some(&place))
        )
    });
    Ok(Resource(fhir::passport(Passport {
        uuid: &uuid,
        patient,
        at: now,
        author: "Homeward",
        base: &base,
        sections,
        continues: document.as_deref(),
        next,
    })))
}

fn window(search: &Search) -> Result<(DateTime<Utc>, DateTime<Utc>), ApiError> {
    let span = |name: &str| -> Result<_, ApiError> {
        let text = search.one(name)?;
        let read = |text| date_span(text).ok_or_else(|| ApiError::parameter(name, "expected a date"));
        text.map(read).transpose()
    };
    let (first, last) = always();
    Ok((
        span("start")?.map_or(first, |(from, _)| from),
        span("end")?.map_or(last, |(_, until)| until),
    ))
}

/// Where a further page begins, and which document it appends to.
struct Further {
    after: Place,
    document: String,
}

impl Further {
    fn text(&self) -> String {
        format!("{}~{}", self.after.text(), self.document)
    }
}

impl FromStr for Further {
    type Err = ();

    fn from_str(text: &str) -> Result<Further, ()> {
        let (after, document) = text.split_once('~').ok_or(())?;
        let is_uuid = document.len() == 36 && document.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let document = is_uuid.then(|| document.to_owned()).ok_or(())?;
        let after = after.parse()?;
        Ok(Further { after, document })
    }
}

/// The devices with what it takes to know them elsewhere, and when each measured the patient.
async fn devices(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<Json>, ApiError> {
    let record = record_uuid(connection).await?;
    let named = devices_of(connection, patient, now).await?;
    let mut resources = Vec::new();
    for used in used_devices(connection, patient).await? {
        let Some(device) = named.iter().find(|device| device.id == used.id) else {
            continue;
        };
        let mut resource = device::resource(device);
        let mut identifiers = vec![(DEVICE_IDENTIFIER.to_owned(), format!("{record}.{}", used.id))];
        identifiers.extend(used.identifiers);
        keep_device(&mut resource, &identifiers, used.utc_offset_minutes);
        resources.push(resource);
        resources.extend(used.uses.into_iter().map(|(from, until)| {
            fhir::device_use(&DeviceUse {
                patient,
                device: used.id,
                from,
                until,
            })
        }));
    }
    Ok(resources)
}

/// The care plan, with all versions of its rules, and who made them.
async fn kept_plan(
    connection: &mut PgConnection,
    patient: PatientId,
    plan: Option<Json>,
) -> Result<Vec<Json>, ApiError> {
    let Some(mut plan) = plan else {
        return Ok(Vec::new());
    };
    for version in kept_versions(connection, patient).await? {
        keep(&mut plan, Kept::Rule, &version);
    }
    if let Some(memory) = kept_memory(connection, patient).await? {
        let memory = RawValue::from_string(memory)
            .map_err(|error| sqlx::Error::Decode(error.into()))
            .map_err(|source| Error::new("read what rules remember", source))?;
        keep(&mut plan, Kept::Memory, &memory);
    }
    Ok(vec![plan])
}

/// The episodes, each as the record has it.
async fn alerts(connection: &mut PgConnection, patient: PatientId) -> Result<Vec<Json>, ApiError> {
    let limit = i64::try_from(MOST_EPISODES + 1).unwrap_or(i64::MAX);
    let kept = kept_episodes(connection, patient, limit).await?;
    if kept.len() > MOST_EPISODES {
        let text = format!("a passport holds {MOST_EPISODES} alerts at most, and this patient has more");
        return Err(ApiError::TooMuch(text));
    }
    let kept: HashMap<String, KeptEpisode> = kept
        .into_iter()
        .map(|(id, episode)| (id.to_string(), episode))
        .collect();
    let mut issues = episodes::issues_of(connection, patient, MOST_EPISODES).await?;
    for issue in &mut issues {
        let id = issue["id"].as_str().unwrap_or_default();
        if let Some(episode) = kept.get(id) {
            keep(issue, Kept::Episode, episode);
        }
    }
    Ok(issues)
}
