//! Readings as they are charted: one series of one patient over a window of time.

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
/// Answers what a plain `GROUP BY` over the readings would, at every moment: see [`crate::rollup`].
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
    // Each series as `hours` reads one: with whole hours, of which the dirty ones are summed up anew.
    let rows = sqlx::query!(
        r#"
        SELECT series.patient_id AS "patient!", series.metric AS "metric!", point.bucket AS "at!", point.n AS "n!",
            point.min AS "min!", point.sum / point.n AS "mean!", point.max AS "max!"
        FROM UNNEST($1::bigint[], $2::smallint[]) AS series (patient_id, metric) CROSS JOIN LATERAL (
            SELECT bucket, n, sum, min, max FROM reading_hourly
            WHERE patient_id = series.patient_id AND metric = series.metric
                AND bucket >= $3 AND bucket < LEAST($4, (SELECT rolled_up_until FROM gate))
                AND NOT EXISTS (SELECT FROM rollup_dirty
                    WHERE rollup_dirty.patient_id = series.patient_id AND rollup_dirty.metric = series.metric
                        AND rollup_dirty.bucket = reading_hourly.bucket)
            UNION ALL
            SELECT dirty.bucket, anew.* FROM (
                SELECT DISTINCT bucket FROM rollup_dirty
                WHERE patient_id = series.patient_id AND metric = series.metric AND bucket >= $3 AND bucket < $4
                    AND bucket < (SELECT rolled_up_until FROM gate)
            ) AS dirty CROSS JOIN LATERAL (
                SELECT count(*), sum(value), min(value), max(value) FROM reading
                WHERE patient_id = series.patient_id AND metric = series.metric
                    AND time >= dirty.bucket AND time < dirty.bucket + INTERVAL '1 hour'
                    AND time >= $3 AND time < $4 AND NOT entered_in_error
                HAVING count(*) > 0
            ) AS anew
            UNION ALL
            SELECT time_bucket('10 minutes', time), count(*), sum(value), min(value), max(value) FROM reading
            WHERE patient_id = series.patient_id AND metric = series.metric
                AND time >= GREATEST($3, (SELECT rolled_up_until FROM gate)) AND time < $4
                AND NOT entered_in_error
            GROUP BY 1
        ) AS point (bucket, n, sum, min, max)
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
    sqlx::query_as!(
        TrendPoint,
        r#"
        SELECT time_bucket('5 minutes', time) AS "at!", count(*) AS "n!",
               min(value) AS "min!", sum(value) / count(*) AS "mean!", max(value) AS "max!"
        FROM reading
        WHERE patient_id = $1 AND metric = $2 AND time >= $3 AND time < $4 AND NOT entered_in_error
        GROUP BY 1
        ORDER BY 1
        "#,
        patient,
        metric,
        from,
        until
    )
    .fetch_all(connection)
    .await
}

/// One statement, so that the readings, the rollups and what is said of their state are of one snapshot.
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
        WITH dirty AS MATERIALIZED (
            SELECT DISTINCT bucket FROM rollup_dirty
            WHERE patient_id = $1 AND metric = $2 AND bucket >= $3 AND bucket < $4
                AND bucket < (SELECT rolled_up_until FROM gate)
        )
        SELECT bucket AS "at!", n AS "n!", min AS "min!", sum / n AS "mean!", max AS "max!"
        FROM (
            SELECT bucket, n, sum, min, max FROM reading_hourly
            WHERE patient_id = $1 AND metric = $2
                AND bucket >= $3 AND bucket < LEAST($4, (SELECT rolled_up_until FROM gate))
                AND bucket NOT IN (SELECT bucket FROM dirty)
            UNION ALL
            SELECT dirty.bucket, anew.* FROM dirty CROSS JOIN LATERAL (
                SELECT count(*), sum(value), min(value), max(value) FROM reading
                WHERE patient_id = $1 AND metric = $2
                    AND time >= dirty.bucket AND time < dirty.bucket + INTERVAL '1 hour'
                    AND time >= $3 AND time < $4 AND NOT entered_in_error
                HAVING count(*) > 0
            ) AS anew
            UNION ALL
            SELECT time_bucket('1 hour', time), count(*), sum(value), min(value), max(value) FROM reading
            WHERE patient_id = $1 AND metric = $2
                AND time >= GREATEST($3, (SELECT rolled_up_until FROM gate)) AND time < $4
                AND NOT entered_in_error
            GROUP BY 1
        ) AS hour (bucket, n, sum, min, max)
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

/// Whole days that are rolled up and have no dirty hour come from the daily rollups. All others are summed
/// up from their hours, as [`hours`] finds them.
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
        WITH dirty AS MATERIALIZED (
            SELECT DISTINCT bucket FROM rollup_dirty
            WHERE patient_id = $1 AND metric = $2 AND bucket >= $3 AND bucket < $4
                AND bucket < (SELECT rolled_up_until FROM gate)
        ), dirty_day AS MATERIALIZED (
            SELECT DISTINCT time_bucket('1 day', bucket) AS bucket FROM dirty
        ), open_day AS MATERIALIZED (
            SELECT time_bucket('1 day', rolled_up_until) AS bucket FROM gate
        )
        SELECT bucket AS "at!", sum(n)::bigint AS "n!", min(min) AS "min!", sum(sum) / sum(n)::float8 AS "mean!",
               max(max) AS "max!"
        FROM (
            SELECT bucket, n, sum, min, max FROM reading_daily
            WHERE patient_id = $1 AND metric = $2
                AND bucket >= $3 AND bucket < LEAST($4, (SELECT bucket FROM open_day))
                AND bucket NOT IN (SELECT bucket FROM dirty_day)
            UNION ALL
            SELECT clean_hour.day, clean_hour.n, clean_hour.sum, clean_hour.min, clean_hour.max FROM (
                SELECT time_bucket('1 day', bucket) AS day, * FROM reading_hourly
                WHERE patient_id = $1 AND metric = $2
                    AND bucket >= (SELECT min(bucket) FROM (TABLE dirty_day UNION ALL TABLE open_day) AS day)
                    AND bucket >= $3 AND bucket < LEAST($4, (SELECT rolled_up_until FROM gate))
            ) AS clean_hour
            WHERE (clean_hour.day >= (SELECT bucket FROM open_day)
                    OR clean_hour.day IN (SELECT bucket FROM dirty_day))
                AND clean_hour.bucket NOT IN (SELECT bucket FROM dirty)
            UNION ALL
            SELECT time_bucket('1 day', dirty.bucket), anew.* FROM dirty CROSS JOIN LATERAL (
                SELECT count(*), sum(value), min(value), max(value) FROM reading
                WHERE patient_id = $1 AND metric = $2
                    AND time >= dirty.bucket AND time < dirty.bucket + INTERVAL '1 hour'
                    AND time >= $3 AND time < $4 AND NOT entered_in_error
                HAVING count(*) > 0
            ) AS anew
            UNION ALL
            SELECT time_bucket('1 day', time), count(*), sum(value), min(value), max(value) FROM reading
            WHERE patient_id = $1 AND metric = $2
                AND time >= GREATEST($3, (SELECT rolled_up_until FROM gate)) AND time < $4
                AND NOT entered_in_error
            GROUP BY 1
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
