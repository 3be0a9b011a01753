//! Observations: the readings of the record. The two pressures of a measurement, and what the cuff said of the pulse,
//! are one; every other reading is one for itself. And what readings come to: see [`summaries`].

pub(crate) mod create;
mod filter;
mod interpret;
pub(crate) mod lastn;
mod place;
pub(crate) mod read;
pub(crate) mod search;
pub(crate) mod stats;
pub(super) mod summaries;

use chrono::{DateTime, Utc};
use homeward_record::fhir::{ObservationId, Observed, Status, kept_observations, observations};
use homeward_record::{DeviceId, Metric, PatientId, Reading};
use homeward_store::history::StoredReading;
use homeward_store::observations::page_of_readings;
use serde_json::Value as Json;
use sqlx::PgConnection;

use self::filter::Filter;
use self::interpret::Limits;
pub(super) use self::place::Place;
use crate::error::ApiError;

/// The metrics that one Observation tells together.
const PANEL: [Metric; 3] = [Metric::Systolic, Metric::Diastolic, Metric::IrregularPulse];

/// A page of Observations.
pub(super) struct Listed {
    pub(super) observations: Vec<(Place, Json)>,
    /// After which the next page begins; none on the last.
    pub(super) next: Option<Place>,
}

/// At most `count` Observations of a patient, in the order of time, device and metric, or the latest first, after a
/// place.
async fn list(
    connection: &mut PgConnection,
    patient: PatientId,
    filter: &Filter,
    backwards: bool,
    after: Option<Place>,
    count: usize,
) -> Result<Listed, ApiError> {
    let mut listed = Listed {
        observations: Vec::new(),
        next: None,
    };
    if filter.metrics.is_empty() || filter.window.0 >= filter.window.1 {
        return Ok(listed);
    }
    let limits = Limits::load(connection, patient).await?;
    // Enough for one Observation more than the page has: each is of three readings at most, and what one device measured
    // at one time is of as many readings as there are metrics.
    let limit = PANEL.len() * (count + 1) + 2 * Metric::ALL.len();
    let begin = after.map(|place| (place.at, DeviceId(place.device)));
    let wanted = filter.wanted(patient);
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let readings = page_of_readings(connection, &wanted, backwards, begin, rows).await?;
    let whole = readings.len() < limit;
    let mut groups: Vec<&[StoredReading]> = readings
        .chunk_by(|one, other| (one.at, one.device) == (other.at, other.device))
        .collect();
    if !whole {
        // Of the last, some may be missing.
        groups.pop();
    }
    let mut last = None;
    for group in groups {
        let arrived: Vec<StoredReading>;
        let mut group = group;
        if group.iter().any(|reading| !filter.takes(reading.received_at)) {
            let takes = |reading: &&StoredReading| filter.takes(reading.received_at);
            arrived = group.iter().filter(takes).cloned().collect();
            group = &arrived;
        }
        for (id, observation) in told(patient, group, &limits, filter.exactly) {
            let place = Place::of(id);
            let is_past = after.is_some_and(|after| {
                (after.at, after.device) == (place.at, place.device) && place.rank <= after.rank
            });
            if is_past || !filter.keeps(&observation) {
                continue;
            }
            if listed.observations.len() == count {
                listed.next = last;
                return Ok(listed);
            }
            listed.observations.push((place, observation));
            last = Some(place);
        }
    }
    if !whole {
        // Among so many there were not enough that were asked for: the next page goes on behind them.
        listed.next = readings
            .iter()
            .rev()
            .find(|reading| {
                let end = readings.last();
                end.is_none_or(|end| (end.at, end.device) != (reading.at, reading.device))
            })
            .map(|reading| Place::after_all_of(reading.at, reading.device));
    }
    Ok(listed)
}

/// The Observations of what one device measured at one time, by their metric; for a passport exactly.
fn told(
    patient: PatientId,
    group: &[StoredReading],
    limits: &Limits,
    exactly: bool,
) -> Vec<(ObservationId, Json)> {
    let readings: Vec<Reading> = group
        .iter()
        .map(|stored| Reading {
            metric: stored.metric,
            at: stored.at,
            value: stored.value,
            context: stored.context.clone(),
        })
        .collect();
    let observed: Vec<Observed<'_>> = group
        .iter()
        .zip(&readings)
        .map(|(stored, reading)| Observed {
            patient,
            device: stored.device,
            reading,
            received_at: stored.received_at,
            interpretation: limits.interpret(stored),
            status: match stored.entered_in_error {
                true => Status::EnteredInError,
                false => Status::Final,
            },
        })
        .collect();
    let identified = |observation: Json| {
        let id = observation["id"].as_str().and_then(|id| id.parse().ok());
        id.map(|id: ObservationId| (id, observation))
    };
    let resources = match exactly {
        true => kept_observations(&observed),
        false => observations(&observed),
    };
    let mut told: Vec<_> = resources.into_iter().filter_map(identified).collect();
    told.sort_by_key(|(id, _)| id.metric);
    told
}

/// A page of a passport: Observations of a patient within a time, the oldest first, with their readings exactly.
pub(super) async fn page_of_passport(
    connection: &mut PgConnection,
    patient: PatientId,
    window: (DateTime<Utc>, DateTime<Utc>),
    after: Option<Place>,
    count: usize,
) -> Result<Listed, ApiError> {
    let filter = Filter {
        window,
        exactly: true,
        ..Filter::all()
    };
    let mut page = Listed {
        observations: Vec::new(),
        next: after,
    };
    loop {
        // By parts, since a part reads three times as many rows as it may have Observations.
        let part = PART.min(count - page.observations.len());
        let listed = list(connection, patient, &filter, false, page.next, part).await?;
        page.observations.extend(listed.observations);
        page.next = listed.next;
        if page.next.is_none() || page.observations.len() >= count {
            return Ok(page);
        }
    }
}

/// A page of an export: Observations of a patient that arrived after a time, if one is given, and until another.
pub(super) async fn page_of_export(
    connection: &mut PgConnection,
    patient: PatientId,
    arrived: (Option<DateTime<Utc>>, DateTime<Utc>),
    after: Option<Place>,
    count: usize,
) -> Result<Listed, ApiError> {
    let filter = Filter {
        arrived: Some(arrived),
        ..Filter::all()
    };
    list(connection, patient, &filter, false, after, count).await
}

/// How many Observations of a passport are made at once.
const PART: usize = 2_000;

/// After which metric the Observation is named that tells this one, with these beside it: a panel after the first of its
/// pressures.
pub(super) fn first_of_panel(metric: Metric, beside: &[Metric]) -> Metric {
    match metric {
        Metric::Systolic | Metric::Diastolic | Metric::IrregularPulse => {
            let mut pressures = [Metric::Systolic, Metric::Diastolic].into_iter();
            pressures
                .find(|pressure| beside.contains(pressure))
                .unwrap_or(metric)
        }
        other => other,
    }
}
