//! What a shared summary says: what somebody has to know who treats the patient today.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_alerts::{Programme, reading_in_words};
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::alerts::{EpisodeFilter, EpisodeStatus, list_episodes};
use homeward_store::history::StoredReading;
use homeward_store::patients::{devices_of, find_person};
use homeward_store::plans::{PlanVersion, load_versions};
use serde::Serialize;
use sqlx::PgConnection;

use crate::alerts::sentence;
use crate::error::ApiError;
use crate::series::latest_readings;
use crate::{blood_pressure_summary, glucose_summary, news2};

/// Blood pressure is told of a course at home, in days of which the last is today.
const BLOOD_PRESSURE_DAYS: i64 = 7;

/// The early warning score is told of a day.
const NEWS2_DAYS: TimeDelta = TimeDelta::days(1);

/// The most open alerts; a patient has one of a rule.
const MOST_ALERTS: i64 = 50;

#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) as_of: DateTime<Utc>,
    pub(crate) patient: Patient,
    /// The titles of programmes.
    pub(crate) programmes: Vec<String>,
    /// The latest raised first.
    pub(crate) open_alerts: Vec<OpenAlert>,
    pub(crate) latest: Vec<Latest>,
    /// Null where nothing of the kind was measured; so are the two after it.
    pub(crate) glucose: Option<glucose_summary::Summary>,
    pub(crate) blood_pressure: Option<blood_pressure_summary::Summary>,
    pub(crate) news2: Option<news2::Summary>,
    pub(crate) devices: Vec<Device>,
}

#[derive(Serialize)]
pub(crate) struct Patient {
    pub(crate) nhs_number: String,
    pub(crate) name: String,
    pub(crate) born: NaiveDate,
    pub(crate) age: u32,
    /// The practice where the patient is registered.
    pub(crate) practice: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct OpenAlert {
    pub(crate) severity: String,
    pub(crate) text: String,
    pub(crate) since: DateTime<Utc>,
}

/// The latest reading of a metric.
#[derive(Serialize)]
pub(crate) struct Latest {
    pub(crate) metric: Metric,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) at: DateTime<Utc>,
    /// The same as one says it: what, and how much.
    #[serde(skip)]
    pub(crate) words: (&'static str, String),
}

#[derive(Serialize)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) kind: String,
}

impl Summary {
    /// The summary of a patient; `None` where the transaction sees no such patient.
    pub(crate) async fn of(
        connection: &mut PgConnection,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Option<Summary>, ApiError> {
        let Some(person) = find_person(connection, patient).await? else {
            return Ok(None);
        };
        let latest = latest_readings(connection, patient, now).await?;
        let plan = load_versions(connection, patient, None).await?;
        let (glucose, _) = glucose_summary::of_last_days(connection, patient, &plan, now).await?;
        let pressure =
            blood_pressure_summary::of_last_days(BLOOD_PRESSURE_DAYS, connection, patient, now).await?;
        let scores = news2::of_last(NEWS2_DAYS, connection, patient, now).await?;
        let devices = devices_of(connection, patient, now).await?.into_iter();
        Ok(Some(Summary {
            as_of: now,
            patient: Patient {
                nhs_number: person.nhs_number,
                name: person.name,
                born: person.born,
                age: now.date_naive().years_since(person.born).unwrap_or(0),
                practice: person.practice.map(|(_, name)| name),
            },
            programmes: programmes(&plan, now),
            open_alerts: open_alerts(connection, patient).await?,
            glucose: Some(glucose).filter(|summary| summary.figures.readings > 0),
            blood_pressure: Some(pressure).filter(|pressure| !pressure.courses.is_empty()),
            news2: Some(scores).filter(|summary| summary.scores.latest.is_some()),
            devices: devices
                .filter(|device| device.current && device.revoked_at.is_none())
                .map(|device| Device {
                    id: device.id,
                    kind: device.kind,
                })
                .collect(),
            latest: latest.iter().map(latest_of).collect(),
        }))
    }
}

/// The titles of the programmes of a plan.
pub(crate) fn programmes(plan: &[PlanVersion], now: DateTime<Utc>) -> Vec<String> {
    let in_force = plan.iter().filter(|version| version.is_in_force(now));
    let mut names: Vec<&str> = in_force
        .filter_map(|version| version.programme.as_deref())
        .collect();
    names.sort_unstable();
    names.dedup();
    let title = |name: &str| {
        Programme::named(name)
            .map_or(name, |programme| &programme.title)
            .to_owned()
    };
    names.into_iter().map(title).collect()
}

async fn open_alerts(connection: &mut PgConnection, patient: PatientId) -> Result<Vec<OpenAlert>, ApiError> {
    let filter = EpisodeFilter {
        statuses: vec![EpisodeStatus::Raised, EpisodeStatus::Acknowledged],
        severities: ["high", "medium", "low", "info"].map(str::to_owned).to_vec(),
        patient: Some(patient),
        ..EpisodeFilter::default()
    };
    let episodes = list_episodes(connection, &filter, MOST_ALERTS).await?;
    let told = episodes.iter().map(|episode| OpenAlert {
        severity: episode.severity.clone(),
        text: sentence(episode),
        since: episode.onset.at,
    });
    Ok(told.collect())
}

fn latest_of(reading: &StoredReading) -> Latest {
    Latest {
        metric: reading.metric,
        value: reading.value,
        unit: reading.metric.unit(),
        at: reading.at,
        words: reading_in_words(reading.metric, reading.value),
    }
}
