//! A patient's readings as they form Observations: all that one device measured at one time stays together.

use chrono::{DateTime, Utc};
use homeward_record::{Context, DeviceId, Metric, PatientId};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::history::{Row, StoredReading, stored};

/// Which readings to find.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose.
    pub patient: PatientId,
    /// Of what.
    pub metrics: Vec<Metric>,
    /// Of glucose, only with one of these samples; an empty word stands for none.
    pub samples: Option<Vec<String>>,
    /// Measured from then until before.
    pub window: (DateTime<Utc>, DateTime<Utc>),
    /// Those that are marked as entered in error, or those that are not.
    pub entered_in_error: Option<bool>,
}

/// Readings in the order of time and device, forwards or backwards; beginning with those of the time and device
/// `at_or_after` in that order; at most `limit` of them.
pub async fn page_of_readings(
    connection: &mut PgConnection,
    wanted: &Wanted,
    backwards: bool,
    at_or_after: Option<(DateTime<Utc>, DeviceId)>,
    limit: i64,
) -> Result<Vec<StoredReading>, Error> {
    let metrics: Vec<i16> = wanted.metrics.iter().map(|metric| metric.code()).collect();
    let (mut from, mut until) = wanted.window;
    // Said once more as limits of time, by which chunks are left out.
    match at_or_after {
        Some((at, _)) if backwards => until = until.min(at + chrono::TimeDelta::microseconds(1)),
        Some((at, _)) => from = from.max(at),
        None => {}
    }
    let (at, device) = at_or_after.map(|(at, device)| (at, device.0)).unzip();
    // The text of a query has to be known when it is checked, so its two directions are put in by a macro.
    macro_rules! page {
        ($beyond:literal, $order:literal) => {
            sqlx::query_as!(
                Row,
                r#"
                SELECT page.metric AS "metric!", page.time AS "time!", page.device_id AS "device_id!",
                    page.value AS "value!", page.received_at AS "received_at!",
                    page.context AS "context: Json<Context>", page.entered_in_error AS "entered_in_error!"
                FROM UNNEST($2::smallint[]) AS series (metric) CROSS JOIN LATERAL (
                    SELECT reading.* FROM reading
                    WHERE patient_id = $1 AND reading.metric = series.metric AND time >= $3 AND time < $4
                        AND ($5::timestamptz IS NULL OR (time, device_id) "# + $beyond + r#" ($5, $6::bigint))
                        AND ($7::boolean IS NULL OR entered_in_error = $7)
                        AND ($8::text[] IS NULL OR reading.metric <> $9
                            OR COALESCE(context ->> 'sample', '') = ANY ($8))
                    ORDER BY time "# + $order + ", device_id " + $order + r#" LIMIT $10
                ) AS page
                ORDER BY page.time "# + $order + ", page.device_id " + $order + ", page.metric LIMIT $10",
                wanted.patient.0,
                &metrics,
                from,
                until,
                at,
                device,
                wanted.entered_in_error,
                wanted.samples.as_deref(),
                Metric::Glucose.code(),
                limit
            )
            .fetch_all(connection)
            .await
        };
    }
    let rows = match backwards {
        true => page!("<=", "DESC"),
        false => page!(">=", "ASC"),
    };
    let rows = rows.map_err(|source| Error::new("read a page of readings", source))?;
    Ok(rows.into_iter().filter_map(stored).collect())
}

/// A patient's readings of these times, by time and device.
pub async fn readings_at(
    connection: &mut PgConnection,
    patient: PatientId,
    times: &[DateTime<Utc>],
) -> Result<Vec<StoredReading>, Error> {
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
        return Ok(Vec::new());
    };
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT metric, time, device_id, value, received_at, context AS "context: Json<Context>", entered_in_error
           FROM reading
           WHERE patient_id = $1 AND metric = ANY ($2) AND time >= $3 AND time <= $4 AND time = ANY ($5)
           ORDER BY time, device_id, metric"#,
        patient.0,
        &Metric::ALL.map(Metric::code)[..],
        first,
        last,
        times
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read the readings of some times", source))?;
    Ok(rows.into_iter().filter_map(stored).collect())
}

/// What the readings of one metric come to, in its stored unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// How many count.
    pub count: i64,
    /// Their mean; none where there is no reading.
    pub average: Option<f64>,
    /// The least.
    pub minimum: Option<f64>,
    /// The greatest.
    pub maximum: Option<f64>,
    /// The standard deviation of a sample; none of fewer than two readings.
    pub deviation: Option<f64>,
}

/// What a patient's readings of one metric within a time come to, without those that are marked as entered in error;
/// of glucose, those with one of the samples.
pub async fn figures_of(
    connection: &mut PgConnection,
    patient: PatientId,
    metric: Metric,
    samples: Option<&[String]>,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Figures, Error> {
    sqlx::query_as!(
        Figures,
        r#"SELECT count(*) AS "count!", avg(value) AS average, min(value) AS minimum, max(value) AS maximum,
               stddev_samp(value) AS deviation
           FROM reading
           WHERE patient_id = $1 AND metric = $2 AND time >= $3 AND time < $4 AND NOT entered_in_error
               AND ($5::text[] IS NULL OR COALESCE(context ->> 'sample', '') = ANY ($5))"#,
        patient.0,
        metric.code(),
        from,
        until,
        samples
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("sum readings up", source))
}
