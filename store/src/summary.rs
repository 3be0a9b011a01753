//! What summaries of a patient's readings are made of.

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{DeviceId, Metric, PatientId};
use sqlx::PgConnection;

use crate::Error;

/// A reading of a summary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowReading {
    /// What was measured.
    pub metric: Metric,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// What measured it.
    pub device: DeviceId,
    /// The value, in the metric's stored unit.
    pub value: f64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Somebody marked it so: it counts for nothing.
    pub entered_in_error: bool,
}

/// The readings of some metrics from `from` until before `until`, by time, metric and device; no more than `limit`.
pub async fn load_window(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<Vec<WindowReading>, Error> {
    let metrics: Vec<i16> = metrics.iter().map(|metric| metric.code()).collect();
    let rows = sqlx::query!(
        r#"
        SELECT series.metric AS "metric!", part.time AS "time!", part.device_id AS "device_id!",
            part.value AS "value!", part.received_at AS "received_at!",
            part.entered_in_error AS "entered_in_error!"
        FROM UNNEST($2::smallint[]) AS series (metric) CROSS JOIN LATERAL (
            SELECT time, device_id, value, received_at, entered_in_error FROM reading
            WHERE patient_id = $1 AND reading.metric = series.metric AND time >= $3 AND time < $4
            ORDER BY time
            LIMIT $5
        ) AS part
        ORDER BY part.time, series.metric, part.device_id
        LIMIT $5
        "#,
        patient.0,
        &metrics,
        from,
        until,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read what a summary is made of", source))?;
    let readings = rows.into_iter().filter_map(|row| {
        Some(WindowReading {
            metric: Metric::from_code(row.metric)?,
            at: row.time,
            device: DeviceId(row.device_id),
            value: row.value,
            received_at: row.received_at,
            entered_in_error: row.entered_in_error,
        })
    });
    Ok(readings.collect())
}

/// When a patient was born; none where the record has no such patient.
pub async fn born(connection: &mut PgConnection, patient: PatientId) -> Result<Option<NaiveDate>, Error> {
    sqlx::query_scalar!("SELECT born FROM patient WHERE patient_id = $1", patient.0)
        .fetch_optional(connection)
        .await
        .map_err(|source| Error::new("read when a patient was born", source))
}
