//! A patient's readings one by one, page by page.

use chrono::{DateTime, Utc};
use homeward_record::{Context, DeviceId, Metric, PatientId};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// A reading as the record has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReading {
    /// What was measured.
    pub metric: Metric,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// What measured it.
    pub device: DeviceId,
    /// The value, in the metric's stored unit.
    pub value: f64,
    /// What else the device said.
    pub context: Context,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Somebody marked it so: it counts for nothing.
    pub entered_in_error: bool,
}

impl StoredReading {
    /// Its place among the patient's readings.
    pub fn place(&self) -> ReadingPlace {
        ReadingPlace {
            at: self.at,
            metric: self.metric,
            device: self.device,
        }
    }
}

/// The place of a reading among those of one patient, which are ordered by time, metric and device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadingPlace {
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// What was measured.
    pub metric: Metric,
    /// What measured it.
    pub device: DeviceId,
}

/// Whether the record has this patient.
pub async fn patient_exists(connection: &mut PgConnection, patient: PatientId) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM patient WHERE patient_id = $1) AS "exists!""#,
        patient.0
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up a patient", source))
}

/// Whether the record has this reading.
pub async fn has_reading(
    connection: &mut PgConnection,
    patient: PatientId,
    place: ReadingPlace,
) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
            SELECT FROM reading WHERE patient_id = $1 AND metric = $2 AND time = $3 AND device_id = $4
        ) AS "exists!""#,
        patient.0,
        place.metric.code(),
        place.at,
        place.device.0
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up a reading", source))
}

/// The readings of a patient from `from` until before `until`, the newest first, beginning after the place
/// `after`; at most `limit` of them.
pub async fn list_readings(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    after: Option<ReadingPlace>,
    limit: i64,
) -> Result<Vec<StoredReading>, Error> {
    let metrics: Vec<i16> = metrics.iter().map(|metric| metric.code()).collect();
    // The index holds each metric's readings in their order, so each gives its newest, and the newest of
    // those are taken.
    let rows = sqlx::query!(
        r#"
        SELECT page.metric AS "metric!", page.time AS "time!", page.device_id AS "device_id!",
            page.value AS "value!", page.received_at AS "received_at!", page.context AS "context: Json<Context>",
            page.entered_in_error AS "entered_in_error!"
        FROM UNNEST($2::smallint[]) AS series (metric) CROSS JOIN LATERAL (
            SELECT reading.* FROM reading
            WHERE patient_id = $1 AND reading.metric = series.metric AND time >= $3 AND time < $4
                AND ($5::timestamptz IS NULL
                    OR time <= $5 AND (time, reading.metric, device_id) < ($5, $6::smallint, $7::bigint))
            ORDER BY time DESC, device_id DESC
            LIMIT $8
        ) AS page
        ORDER BY page.time DESC, page.metric DESC, page.device_id DESC
        LIMIT $8
        "#,
        patient.0,
        &metrics,
        from,
        until,
        after.map(|place| place.at),
        after.map(|place| place.metric.code()),
        after.map(|place| place.device.0),
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list readings", source))?;
    let readings = rows.into_iter().filter_map(|row| {
        Some(StoredReading {
            metric: Metric::from_code(row.metric)?,
            at: row.time,
            device: DeviceId(row.device_id),
            value: row.value,
            context: row.context.map(|Json(context)| context).unwrap_or_default(),
            received_at: row.received_at,
            entered_in_error: row.entered_in_error,
        })
    });
    Ok(readings.collect())
}
