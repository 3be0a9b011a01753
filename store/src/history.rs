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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    let rows = sqlx::query_as!(
        Row,
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
    Ok(rows.into_iter().filter_map(stored).collect())
}

/// The newest reading of each of some metrics from `from` until before `until`, in the order of the metrics; those that
/// are entered in error do not count.
pub async fn latest_of_each(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<StoredReading>, Error> {
    let metrics: Vec<i16> = metrics.iter().map(|metric| metric.code()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT latest.metric AS "metric!", latest.time AS "time!", latest.device_id AS "device_id!",
            latest.value AS "value!", latest.received_at AS "received_at!",
            latest.context AS "context: Json<Context>", latest.entered_in_error AS "entered_in_error!"
        FROM UNNEST($2::smallint[]) WITH ORDINALITY AS series (metric, place) CROSS JOIN LATERAL (
            SELECT reading.* FROM reading
            WHERE patient_id = $1 AND reading.metric = series.metric AND time >= $3 AND time < $4
                AND NOT entered_in_error
            ORDER BY time DESC, device_id DESC
            LIMIT 1
        ) AS latest
        ORDER BY series.place
        "#,
        patient.0,
        &metrics,
        from,
        until
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read the newest readings", source))?;
    Ok(rows.into_iter().filter_map(stored).collect())
}

/// The readings of a patient that were measured at `since` or later and arrived after `after`, in the order in which
/// they arrived; of each metric the newest, at most `limit` of them. Those that are entered in error do not count.
///
/// What is read is all that was measured since then: for times that are not long ago.
pub async fn arrived_after(
    connection: &mut PgConnection,
    patient: PatientId,
    (since, after): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<Vec<StoredReading>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT new.metric AS "metric!", new.time AS "time!", new.device_id AS "device_id!", new.value AS "value!",
            new.received_at AS "received_at!", new.context AS "context: Json<Context>",
            new.entered_in_error AS "entered_in_error!"
        FROM UNNEST($2::smallint[]) AS series (metric) CROSS JOIN LATERAL (
            SELECT reading.* FROM reading
            WHERE patient_id = $1 AND reading.metric = series.metric AND time >= $3 AND received_at > $4
                AND NOT entered_in_error
            ORDER BY time DESC, device_id DESC
            LIMIT $5
        ) AS new
        ORDER BY new.received_at, new.time, new.metric, new.device_id
        "#,
        patient.0,
        &Metric::ALL.map(Metric::code)[..],
        since,
        after,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read what has arrived", source))?;
    Ok(rows.into_iter().filter_map(stored).collect())
}

/// A reading as queries answer it.
pub(crate) struct Row {
    pub(crate) metric: i16,
    pub(crate) time: DateTime<Utc>,
    pub(crate) device_id: i64,
    pub(crate) value: f64,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) context: Option<Json<Context>>,
    pub(crate) entered_in_error: bool,
}

/// `None` of a metric that this version of the code does not know.
pub(crate) fn stored(row: Row) -> Option<StoredReading> {
    Some(StoredReading {
        metric: Metric::from_code(row.metric)?,
        at: row.time,
        device: DeviceId(row.device_id),
        value: row.value,
        context: row.context.map(|Json(context)| context).unwrap_or_default(),
        received_at: row.received_at,
        entered_in_error: row.entered_in_error,
    })
}
