//! Months of readings of many patients, as they lie in a record that took them as they came.

use std::fmt::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::{Enrolled, progress};

/// Over how many days each patient has heart rates and blood pressures, and glucose at their end.
pub(super) const DAYS: i64 = 90;
pub(super) const GLUCOSE_DAYS: i64 = 14;

/// Minutes between two of a patient's heart rates, and of their glucose.
const HEART_RATE_MINUTES: i64 = 23;
const GLUCOSE_MINUTES: i64 = 5;

/// Minutes of the day about which blood pressure is measured, eight in the morning and in the evening.
const PRESSURE_MINUTES: [i64; 2] = [8 * 60, 20 * 60];

/// What one patient has of all that, roundly: 5,634 heart rates, 4,032 glucose values, 360 numbers of pressures.
pub(super) const READINGS_OF_A_PATIENT: u64 = 10_000;

/// Rows that are made ahead of the database, in bytes and in how many parts.
const PART_BYTES: usize = 1 << 20;
const PARTS: usize = 4;

const MINUTES_OF_A_DAY: i64 = 24 * 60;

/// What filling a record took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    pub(super) readings: u64,
    pub(super) copy_seconds: f64,
    pub(super) rollup_seconds: f64,
}

/// Fills the record with [`DAYS`] days before `until`, a whole hour, and brings the rollups up to it.
pub(super) async fn fill(
    connection: &mut PgConnection,
    patients: &[(i64, Enrolled)],
    until: DateTime<Utc>,
) -> Result<Filled> {
    let from = until - TimeDelta::days(DAYS);
    let begun = Instant::now();
    let mut readings = 0;
    for day in 0..DAYS {
        if day % 10 == 0 {
            progress(&format!(
                "copying day {day} of {DAYS}, after {:.0} s",
                begun.elapsed().as_secs_f64()
            ));
        }
        readings += copy_day(connection, shuffled(patients), from, day).await?;
    }
    let copy_seconds = begun.elapsed().as_secs_f64();
    progress("rolling up");
    let begun = Instant::now();
    roll_up(connection, from, until).await?;
    let rollup_seconds = begun.elapsed().as_secs_f64();
    progress("vacuuming, as a server does by itself in time");
    for table in ["reading", "reading_hourly", "reading_daily"] {
        let statement = format!("VACUUM ANALYZE {table}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    Ok(Filled {
        readings,
        copy_seconds,
        rollup_seconds,
    })
}

/// Patients and their devices, in an order that is not that of their numbers: rows of one time come as they come.
fn shuffled(patients: &[(i64, Enrolled)]) -> Vec<(i64, String)> {
    let mut shuffled: Vec<_> = patients
        .iter()
        .map(|(patient, device)| (*patient, device.id.clone()))
        .collect();
    shuffled.sort_by_key(|(patient, _)| patient.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
    shuffled
}

/// Copies the readings of a day, ordered by time, and answers how many there are.
async fn copy_day(
    connection: &mut PgConnection,
    patients: Vec<(i64, String)>,
    from: DateTime<Utc>,
    day: i64,
) -> Result<u64> {
    let (parts, mut made) = mpsc::channel::<String>(PARTS);
    // Making rows takes one processor, and storing them the other.
    let making = tokio::task::spawn_blocking(move || make_day(&patients, from, day, &parts));
    let mut copy = connection
        .copy_in_raw("COPY reading (patient_id, time, device_id, received_at, value, metric) FROM STDIN")
        .await?;
    while let Some(part) = made.recv().await {
        copy.send(part.as_bytes()).await?;
    }
    making.await.context("making rows failed")??;
    Ok(copy.finish().await?)
}

fn make_day(
    patients: &[(i64, String)],
    from: DateTime<Utc>,
    day: i64,
    parts: &mpsc::Sender<String>,
) -> Result<()> {
    let mut rows = String::with_capacity(PART_BYTES + 1024);
    for minute_of_day in 0..MINUTES_OF_A_DAY {
        let minute = day * MINUTES_OF_A_DAY + minute_of_day;
        let at = (from + TimeDelta::minutes(minute))
            .format("%Y-%m-%d %H:%M:%S+00")
            .to_string();
        for (patient, device) in patients {
            let mut row = |metric: Metric, value: Tenths| {
                let code = metric.code();
                writeln!(
                    rows,
                    "{patient}\t{at}\t{device}\t{at}\t{}.{}\t{code}",
                    value / 10,
                    value % 10
                )
            };
            if (minute + patient) % HEART_RATE_MINUTES == 0 {
                row(Metric::HeartRate, 10 * wave(minute, *patient, 55, 105))?;
            }
            if day >= DAYS - GLUCOSE_DAYS && (minute + patient) % GLUCOSE_MINUTES == 0 {
                row(Metric::Glucose, wave(minute, *patient, 28, 150))?;
            }
            if PRESSURE_MINUTES.contains(&(minute_of_day - patient % 60)) {
                row(Metric::Systolic, 10 * wave(minute, *patient, 105, 165))?;
                row(Metric::Diastolic, 10 * wave(minute, *patient, 65, 100))?;
            }
        }
        if rows.len() >= PART_BYTES {
            parts.blocking_send(std::mem::take(&mut rows))?;
        }
    }
    Ok(parts.blocking_send(rows)?)
}

/// A number with one decimal.
type Tenths = i64;

/// A value between two, that rises and falls about three times a day, at a time of each patient's own, and jitters.
fn wave(minute: i64, patient: i64, low: i64, high: i64) -> i64 {
    const PERIOD: i64 = 487;
    let phase = (minute + 31 * patient) % PERIOD;
    let triangle = (2 * phase - PERIOD).abs();
    let jitter = (minute * 7919 + patient * 104_729) % 11 - 5;
    (low + (high - low) * triangle / PERIOD + jitter * (high - low) / 100).clamp(low, high)
}

/// Brings the rollups up to `until`, as the worker would by and by, but a week of all patients at a time.
async fn roll_up(connection: &mut PgConnection, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<()> {
    sqlx::query("SET work_mem = '256MB'")
        .execute(&mut *connection)
        .await?;
    let mut week = from;
    while week < until {
        let end = until.min(week + TimeDelta::days(7));
        sqlx::query(
            "INSERT INTO reading_hourly (patient_id, metric, bucket, n, sum, min, max)
             SELECT patient_id, metric, time_bucket('1 hour', time), count(*), sum(value), min(value), max(value)
             FROM reading WHERE time >= $1 AND time < $2
             GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        )
        .bind(week)
        .bind(end)
        .execute(&mut *connection)
        .await?;
        week = end;
    }
    sqlx::query(
        "INSERT INTO reading_daily (patient_id, metric, bucket, n, sum, min, max)
         SELECT patient_id, metric, time_bucket('1 day', bucket), sum(n), sum(sum), min(min), max(max)
         FROM reading_hourly WHERE bucket < date_trunc('day', $1, 'UTC')
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )
    .bind(until)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE gate SET rollup_mark = $1, rolled_up_until = $1")
        .bind(until)
        .execute(&mut *connection)
        .await?;
    sqlx::query("RESET work_mem").execute(connection).await?;
    Ok(())
}
