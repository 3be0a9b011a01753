//! `GET /api/v1/patients/{patient}/readings`: readings one by one, the newest first.
//!
//! Parameters: `type` (several with commas between them; all), `from` and `to` (RFC 3339; the last 24 hours),
//! `limit` (1 to 1,000; 100), `after` (the `next` of the page before, which is `null` on the last).

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use homeward_record::{Context, DeviceId, Metric, PatientId};
use homeward_store::history::{ReadingPlace, StoredReading, list_readings};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::{Instant, Limit, Path, Query, Window, choose_some, parsed};
use crate::routes::App;
use crate::series::{TYPES, require_patient};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    r#type: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    from: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    to: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    limit: Option<Limit<100, 1_000>>,
    #[serde(default, deserialize_with = "parsed")]
    after: Option<Cursor>,
}

#[derive(Serialize)]
pub(crate) struct Page {
    patient: PatientId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    readings: Vec<Reading>,
    /// What `after` has to be for the next page.
    next: Option<String>,
}

#[derive(Serialize)]
struct Reading {
    metric: Metric,
    at: DateTime<Utc>,
    value: f64,
    unit: &'static str,
    device: DeviceId,
    received_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Context::is_empty")]
    context: Context,
}

pub(crate) async fn get(
    State(app): State<App>,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let mut metrics = choose_some("type", parameters.r#type.as_deref(), &TYPES)?.concat();
    metrics.sort_unstable();
    metrics.dedup();
    let window = Window::new(parameters.from, parameters.to, app.clock.now())?;
    let Limit(limit) = parameters.limit.unwrap_or_default();
    let after = parameters.after.map(|Cursor(place)| place);

    let mut connection = app.record().await?;
    require_patient(&mut connection, patient).await?;
    let times = (window.from, window.to);
    let mut found = list_readings(&mut connection, patient, &metrics, times, after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| Cursor(last.place()).text());
    Ok(Json(Page {
        patient,
        from: window.from,
        to: window.to,
        readings: found.into_iter().map(reading).collect(),
        next,
    }))
}

fn reading(stored: StoredReading) -> Reading {
    Reading {
        metric: stored.metric,
        at: stored.at,
        value: stored.value,
        unit: stored.metric.unit(),
        device: stored.device,
        received_at: stored.received_at,
        context: stored.context,
    }
}

/// The place of the last reading of a page, as callers hand it back: opaque to them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cursor(ReadingPlace);

impl Cursor {
    fn text(&self) -> String {
        let Cursor(place) = self;
        format!(
            "{}.{}.{}",
            place.at.timestamp_micros(),
            place.metric.code(),
            place.device
        )
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Cursor, &'static str> {
        let place = |text: &str| {
            let mut parts = text.split('.');
            let place = ReadingPlace {
                at: DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?,
                metric: Metric::from_code(parts.next()?.parse().ok()?)?,
                device: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(place)
        };
        place(text)
            .map(Cursor)
            .ok_or("expected the next of an earlier page")
    }
}
