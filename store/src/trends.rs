//! Readings as they are charted: one series of one patient over a window of time.
//!
//! Of steps, which several devices count at once, the device that counted most in an hour is taken for it, and an hour has
//! the intervals that end in it (see the function `summed_up` in the migrations).

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId};
use sqlx::PgConnection;

use crate::Error;

/// The length of time that one point of a trend sums up. Buckets begin at whole multiples of their length
/// in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl Bucket {
    /// Its length.
    pub fn length(self) -> TimeDelta {
        match self {
            Bucket::FiveMinutes => TimeDelta::minutes(5),
            Bucket::Hour => TimeDelta::hours(1),
            Bucket::Day => TimeDelta::hours(24),
        }
    }

    /// The beginning of the bucket that holds an instant.
    pub fn floor(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = at.timestamp().rem_euclid(self.length().num_seconds());
        let within = TimeDelta::seconds(seconds) + TimeDelta::nanoseconds(at.timestamp_subsec_nanos().into());
        at.checked_sub_signed(within).unwrap_or(at)
    }

    /// The first beginning of a bucket that is not before an instant.
    pub fn ceil(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.floor(at);
        if floor == at {
            return at;
        }
        floor.checked_add_signed(self.length()).unwrap_or(at)
    }
}

/// One point of a trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrendPoint {
    /// The beginning of its bucket; of a raw reading, when it was measured.
    pub at: DateTime<Utc>,
    /// How many readings it sums up; at least one.
    pub n: i64,
    /// The least of their values, in the metric's stored unit.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// The greatest of them.
    pub max: f64,
}

/// The trend of a series from the bucket that holds `from` to the one before `until`, which should be
/// whole buckets apart. Buckets without readings have no point.
///
/// Answers what a plain `GROUP BY` over the readings that count would, at every moment: see [`crate::rollup`].
pub async fn trend(
    connection: &mut PgConnection,
    patient: PatientId,
    metric: Metric,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    bucket: Bucket,
) -> Result<Vec<TrendPoint>, Error> {
    let (patient, metric) = (patient.0, metric.code());
    let (from, until) = (bucket.floor(from), bucket.ceil(until));
    match bucket {
        Bucket::FiveMinutes => five_minutes(connection, patient, metric, from, until).await,
        Bucket::Hour => hours(connection, patient, metric, from, until).await,
        Bucket::Day => days(connection, patient, metric, from, until).await,
    }
    .map_err(|source| Error::new("read a trend", source))
}

/// The readings of a series from `from` until before `until`, each as a point, oldest first and at most
/// `limit` of them. Two devices that measured at one time give two points.
pub async fn raw_points(
    connection: &mut PgConnection,
    patient: PatientId,
    metric: Metric,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<Vec<TrendPoint>, Error> {
    sqlx::query_as!(
        TrendPoint,
        r#"
        SELECT time AS at, 1::bigint AS "n!", value AS min, value AS mean, value AS max
        FROM reading
        WHERE patient_id = $1 AND metric = $2 AND time >= $3 AND time < $4 AND NOT entered_in_error
        ORDER BY time, device_id
        LIMIT $5
        "#,
        patient.0,
        metric.code(),
        from,
        until,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read the readings of a trend", source))
}

/// How many readings of some series the rollups of the whole days of a window say that there are in it, in the order of
/// the metrics. That costs a fraction of reading as many. There may be more.
pub async fn at_least(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<i64>, Error> {
    let metrics: Vec<i16> = metrics.iter().map(|metric| metric.code()).collect();
    sqlx::query_scalar!(
        r#"SELECT (
             SELECT COALESCE(sum(n), 0) FROM reading_daily
             WHERE patient_id = $1 AND reading_daily.metric = series.metric AND bucket >= $3 AND bucket < $4
         )::bigint AS "n!"
         FROM UNNEST($2::smallint[]) WITH ORDINALITY AS series (metric, place) ORDER BY series.place"#,
        patient.0,
        &metrics,
        Bucket::Day.ceil(from),
        Bucket::Day.floor(until)
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("count the readings of trends", source))
}

/// A bucket of one of many series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointOf {
    /// Whose.
    pub patient: PatientId,
    /// What was measured.
    pub metric: Metric,
    /// The bucket.
    pub point: TrendPoint,
}

/// The hours of many series, of a patient and a metric each, from `from` until before `until`, by time; the hours that
/// are not rolled up yet come in pieces of ten minutes. One statement for all of them.
pub async fn hours_of_each(
    connection: &mut PgConnection,
    series: &[(PatientId, Metric)],
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<PointOf>, Error> {
    let failed = |source| Error::new("read the trends of many", source);
    let rows = sqlx::query!(
        r#"
        SELECT series.patient_id AS "patient!", series.metric AS "metric!", point.bucket AS "at!", point.n AS "n!",
            point.min AS "min!", point.sum / point.n AS "mean!", point.max AS "max!"
        FROM UNNEST($1::bigint[], $2::smallint[]) AS series (patient_id, metric)
        CROSS JOIN LATERAL hours_of(series.patient_id, series.metric, $3, $4, INTERVAL '10 minutes') AS point
        ORDER BY point.bucket
        "#,
        &series.iter().map(|(patient, _)| patient.0).collect::<Vec<_>>(),
        &series.iter().map(|(_, metric)| metric.code()).collect::<Vec<_>>(),
        Bucket::Hour.floor(from),
        until
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let points = rows.into_iter().filter_map(|row| {
        Some(PointOf {
            patient: PatientId(row.patient),
            metric: Metric::from_code(row.metric)?,
            point: TrendPoint {
                at: row.at,
                n: row.n,
                min: row.min,
                mean: row.mean,
                max: row.max,
            },
        })
    });
    Ok(points.collect())
}

async fn five_minutes(
    connection: &mut PgConnection,
    patient: i64,
    metric: i16,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<TrendPoint>, sqlx::Error> {
    // Whole hours, of which a device of steps is chosen.
    let points = sqlx::query_as!(
        TrendPoint,
        r#"
        SELECT bucket AS "at!", n AS "n!", min AS "min!", sum / n AS "mean!", max AS "max!"
        FROM summed_up($1, $2, $3, $4, INTERVAL '5 minutes')
        ORDER BY bucket
        "#,
        patient,
        metric,
        Bucket::Hour.floor(from),
        Bucket::Hour.ceil(until)
    )
    .fetch_all(connection)
    .await?;
    let asked = points
        .into_iter()
        .filter(|point| (from..until).contains(&point.at));
    Ok(asked.collect())
}

async fn hours(
    connection: &mut PgConnection,
    patient: i64,
    metric: i16,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<TrendPoint>, sqlx::Error> {
    sqlx::query_as!(
        TrendPoint,
        r#"
        SELECT bucket AS "at!", n AS "n!", min AS "min!", sum / n AS "mean!", max AS "max!"
        FROM hours_of($1, $2, $3, $4, INTERVAL '1 hour')
        ORDER BY bucket
        "#,
        patient,
        metric,
        from,
        until
    )
    .fetch_all(connection)
    .await
}

/// Whole days that are rolled up and have no dirty hour come from the daily rollups. All others are summed up from their
/// hours. One statement, so that all that is read is of one snapshot.
async fn days(
    connection: &mut PgConnection,
    patient: i64,
    metric: i16,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<TrendPoint>, sqlx::Error> {
    sqlx::query_as!(
        TrendPoint,
        r#"
        WITH open_day AS MATERIALIZED (
            SELECT time_bucket('1 day', rolled_up_until) AS bucket FROM gate
        ), dirty_day AS MATERIALIZED (
            SELECT DISTINCT time_bucket('1 day', bucket) AS bucket FROM rollup_dirty
            WHERE patient_id = $1 AND metric = $2 AND bucket >= $3 AND bucket < LEAST($4, (SELECT bucket FROM open_day))
        )
        SELECT bucket AS "at!", sum(n)::bigint AS "n!", min(min) AS "min!", sum(sum) / sum(n)::float8 AS "mean!",
               max(max) AS "max!"
        FROM (
            SELECT bucket, n, sum, min, max FROM reading_daily
            WHERE patient_id = $1 AND metric = $2
                AND bucket >= $3 AND bucket < LEAST($4, (SELECT bucket FROM open_day))
                AND bucket NOT IN (SELECT bucket FROM dirty_day)
            UNION ALL
            SELECT hour.day, hour.n, hour.sum, hour.min, hour.max
            FROM (
                SELECT GREATEST($3, min(bucket)) AS begins FROM (TABLE dirty_day UNION ALL TABLE open_day) AS day
            ) AS first CROSS JOIN LATERAL (
                SELECT time_bucket('1 day', bucket) AS day, * FROM hours_of($1, $2, first.begins, $4, INTERVAL '1 hour')
            ) AS hour
            WHERE hour.day >= (SELECT bucket FROM open_day) OR hour.day IN (SELECT bucket FROM dirty_day)
        ) AS part (bucket, n, sum, min, max)
        GROUP BY bucket
        ORDER BY bucket
        "#,
        patient,
        metric,
        from,
        until
    )
    .fetch_all(connection)
    .await
}
