//! Hourly and daily rollups of the readings, from which trends over long windows are answered.
//!
//! The rollups hold every hour before `gate.rolled_up_until` as the readings stand, except for the hours in
//! `rollup_dirty`; a query takes those, and the hours since, from the readings. Why that is exact at every
//! moment:
//!
//! - A writer of readings knows `gate.rollup_mark` for its whole transaction, and appends the hours before
//!   the mark to `rollup_dirty` in that transaction.
//! - The mark moves under the gate's exclusive lock. So all that was written to the hours before it in
//!   ignorance of it is committed when the worker comes to read them, and all that is written to them
//!   later says so itself.
//! - A dirty row is deleted in the transaction that computes its hour anew, by an *earlier statement*: the
//!   reading that it stands for was committed with it, and so is seen.
//!
//! Workers exclude each other by an advisory lock of the transaction, (7462, 3). Every transaction leaves
//! the rollups complete, so a worker may be killed at any instant, and several may run.
//!
//! Days are those of UTC.

#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use sqlx::{PgConnection, PgPool};

use crate::Error;
use crate::trends::Bucket;

/// An hour is rolled up once it has been over for this long: what arrives later than that has to mark its
/// hour for a second computation, which costs more.
const SETTLING: TimeDelta = TimeDelta::minutes(10);

/// How many hours one transaction rolls up: with 10,000 patients and a reading a minute from each of
/// them, some seconds of work.
const HOURS_A_TRANSACTION: i64 = 6;

/// How many dirty rows one transaction takes. Each stretch of hours of a series costs one look into the readings' index.
/// When a past is brought in, many rows are of hours that follow each other.
const DIRTY_A_TRANSACTION: i64 = 20_000;

/// The hour that a reading is counted in. Steps are counted in an interval that ends with the reading: those until ten
/// o'clock are of the hour before ten. The same is said in SQL, by `counted_earlier_by`.
pub(crate) fn hour_of(metric: Metric, at: DateTime<Utc>) -> DateTime<Utc> {
    let counted_at = match metric {
        Metric::Steps => at - TimeDelta::microseconds(1),
        _ => at,
    };
    Bucket::Hour.floor(counted_at)
}

/// What [`run_once`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many hours were rolled up for the first time.
    pub hours: i64,
    /// How many hours of one series were computed anew.
    pub recomputed: u64,
}

/// Brings the rollups up to date. To be called every minute or so.
///
/// # Errors
///
/// When the database fails, and when some writer holds the gate for longer than a few seconds. What was
/// done until then stands; the next call goes on.
pub async fn run_once(pool: &PgPool, now: DateTime<Utc>) -> Result<Progress, Error> {
    advance(pool, Bucket::Hour.floor(now - SETTLING)).await?;
    let mut progress = Progress::default();
    while let Some(hours) = roll_up(pool).await? {
        progress.hours += hours;
    }
    while let Some(recomputed) = recompute(pool).await? {
        progress.recomputed += recomputed;
    }
    Ok(progress)
}

/// How many hours of series wait to be computed anew, since readings came late or were corrected: at most so many.
pub async fn late_hours(connection: &mut PgConnection, most: i64) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM (SELECT FROM rollup_dirty LIMIT $1) AS late"#,
        most
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("count the hours to compute anew", source))
}

/// Moves the mark forward. Waits for the writers at work, and lets no other begin meanwhile.
async fn advance(pool: &PgPool, mark: DateTime<Utc>) -> Result<(), Error> {
    let failed = |source| Error::new("advance the rollup mark", source);
    let due = sqlx::query_scalar!(r#"SELECT rollup_mark < $1 AS "due!" FROM gate"#, mark)
        .fetch_one(pool)
        .await
        .map_err(failed)?;
    if !due {
        return Ok(());
    }
    let mut transaction = pool.begin().await.map_err(failed)?;
    // A writer that hangs must not make all others wait behind this.
    sqlx::query!("SET LOCAL lock_timeout = '3s'")
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    sqlx::query!("SELECT pg_advisory_xact_lock(7462, 1)")
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    sqlx::query!("UPDATE gate SET rollup_mark = $1 WHERE rollup_mark < $1", mark)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Rolls up the first hours that are behind the mark and not rolled up, and answers how many; `None` when
/// there are none, or another worker is at it.
async fn roll_up(pool: &PgPool) -> Result<Option<i64>, Error> {
    let failed = |source| Error::new("roll up hours", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    let hours = roll_up_next(&mut transaction).await.map_err(failed)?;
    // Also where nothing was done, because a transaction that is dropped keeps its lock for a while.
    transaction.commit().await.map_err(failed)?;
    Ok(hours)
}

async fn roll_up_next(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    if !only_worker(connection).await? {
        return Ok(None);
    }
    let gate = sqlx::query!("SELECT rollup_mark, rolled_up_until FROM gate")
        .fetch_one(&mut *connection)
        .await?;
    let from = gate.rolled_up_until;
    let until = gate.rollup_mark.min(from + TimeDelta::hours(HOURS_A_TRANSACTION));
    if from >= until {
        return Ok(None);
    }
    insert_hours(connection, from, until).await?;
    let (first_day, end_day) = (Bucket::Day.floor(from), Bucket::Day.floor(until));
    if first_day < end_day {
        insert_days(connection, first_day, end_day).await?;
    }
    // Writers do not read this column, so the gate's lock is not needed.
    sqlx::query!("UPDATE gate SET rolled_up_until = $1", until)
        .execute(connection)
        .await?;
    Ok(Some((until - from).num_hours()))
}

/// Whether this transaction is the only one that writes rollups, until it ends.
async fn only_worker(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock(7462, 3) AS "locked!""#)
        .fetch_one(connection)
        .await
}

/// Goes through the series one by one: the readings' index leads to the few rows of a series' hours, while
/// a scan by time alone would read the whole week of all patients.
async fn insert_hours(
    connection: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO reading_hourly (patient_id, metric, bucket, n, sum, min, max)
         SELECT patient.patient_id, series.metric, hour.*
         FROM patient CROSS JOIN UNNEST($3::smallint[]) AS series (metric)
         CROSS JOIN LATERAL summed_up(patient.patient_id, series.metric, $1, $2, INTERVAL '1 hour') AS hour",
        from,
        until,
        &all_metrics()
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_days(
    connection: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO reading_daily (patient_id, metric, bucket, n, sum, min, max)
         SELECT patient.patient_id, series.metric, day.*
         FROM patient CROSS JOIN UNNEST($3::smallint[]) AS series (metric)
         CROSS JOIN LATERAL days_of(patient.patient_id, series.metric, $1, $2) AS day",
        from,
        until,
        &all_metrics()
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn all_metrics() -> Vec<i16> {
    Metric::ALL.map(Metric::code).to_vec()
}

/// Stretches of time of several series, column by column: each is of hours, or of days, that follow each other.
#[derive(Default)]
struct Stretches {
    patients: Vec<i64>,
    metrics: Vec<i16>,
    begins: Vec<DateTime<Utc>>,
    ends: Vec<DateTime<Utc>>,
    /// How many hours or days they are.
    buckets: u64,
}

impl Stretches {
    /// Puts buckets of a length together, which may stand there in any order and more than once.
    fn of(buckets: impl Iterator<Item = (i64, i16, DateTime<Utc>)>, length: Bucket) -> Stretches {
        let mut buckets: Vec<_> = buckets.collect();
        buckets.sort_unstable();
        buckets.dedup();
        let mut stretches = Stretches {
            buckets: buckets.len() as u64,
            ..Stretches::default()
        };
        let mut before = None;
        for (patient, metric, begins) in buckets {
            let ends = begins + length.length();
            match stretches.ends.last_mut() {
                Some(last) if before == Some((patient, metric)) && *last == begins => *last = ends,
                _ => {
                    stretches.patients.push(patient);
                    stretches.metrics.push(metric);
                    stretches.begins.push(begins);
                    stretches.ends.push(ends);
                }
            }
            before = Some((patient, metric));
        }
        stretches
    }
}

/// Computes hours that were marked as dirty anew, and answers how many; `None` when there are none, or
/// another worker is at it.
async fn recompute(pool: &PgPool) -> Result<Option<u64>, Error> {
    let failed = |source| Error::new("recompute rollups", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    let hours = recompute_some(&mut transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(hours)
}

async fn recompute_some(connection: &mut PgConnection) -> Result<Option<u64>, sqlx::Error> {
    if !only_worker(connection).await? {
        return Ok(None);
    }
    // Hours that are not rolled up yet stay marked until they are: no rollup stands ahead of the others.
    let rolled_up_until = sqlx::query_scalar!("SELECT rolled_up_until FROM gate")
        .fetch_one(&mut *connection)
        .await?;
    let dirty = sqlx::query!(
        "DELETE FROM rollup_dirty
         WHERE ctid = ANY (ARRAY(SELECT ctid FROM rollup_dirty WHERE bucket < $1 LIMIT $2))
         RETURNING patient_id, metric, bucket",
        rolled_up_until,
        DIRTY_A_TRANSACTION
    )
    .fetch_all(&mut *connection)
    .await?;
    if dirty.is_empty() {
        return Ok(None);
    }
    let hours = dirty.iter().map(|row| (row.patient_id, row.metric, row.bucket));
    let hours = Stretches::of(hours, Bucket::Hour);
    replace_hours(connection, &hours).await?;

    let last_day = Bucket::Day.floor(rolled_up_until);
    let days = dirty
        .iter()
        .map(|row| (row.patient_id, row.metric, Bucket::Day.floor(row.bucket)))
        .filter(|(.., day)| *day < last_day);
    replace_days(connection, &Stretches::of(days, Bucket::Day)).await?;
    Ok(Some(hours.buckets))
}

async fn replace_hours(connection: &mut PgConnection, hours: &Stretches) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM reading_hourly
         USING UNNEST($1::bigint[], $2::smallint[], $3::timestamptz[], $4::timestamptz[])
             AS late (patient_id, metric, begins, ends)
         WHERE reading_hourly.patient_id = late.patient_id AND reading_hourly.metric = late.metric
             AND reading_hourly.bucket >= late.begins AND reading_hourly.bucket < late.ends",
        &hours.patients,
        &hours.metrics,
        &hours.begins,
        &hours.ends
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO reading_hourly (patient_id, metric, bucket, n, sum, min, max)
         SELECT late.patient_id, late.metric, hour.*
         FROM UNNEST($1::bigint[], $2::smallint[], $3::timestamptz[], $4::timestamptz[])
             AS late (patient_id, metric, begins, ends)
         CROSS JOIN LATERAL summed_up(late.patient_id, late.metric, late.begins, late.ends, INTERVAL '1 hour') AS hour",
        &hours.patients,
        &hours.metrics,
        &hours.begins,
        &hours.ends
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn replace_days(connection: &mut PgConnection, days: &Stretches) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM reading_daily
         USING UNNEST($1::bigint[], $2::smallint[], $3::timestamptz[], $4::timestamptz[])
             AS late (patient_id, metric, begins, ends)
         WHERE reading_daily.patient_id = late.patient_id AND reading_daily.metric = late.metric
             AND reading_daily.bucket >= late.begins AND reading_daily.bucket < late.ends",
        &days.patients,
        &days.metrics,
        &days.begins,
        &days.ends
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO reading_daily (patient_id, metric, bucket, n, sum, min, max)
         SELECT late.patient_id, late.metric, day.*
         FROM UNNEST($1::bigint[], $2::smallint[], $3::timestamptz[], $4::timestamptz[])
             AS late (patient_id, metric, begins, ends)
         CROSS JOIN LATERAL days_of(late.patient_id, late.metric, late.begins, late.ends) AS day",
        &days.patients,
        &days.metrics,
        &days.begins,
        &days.ends
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}
