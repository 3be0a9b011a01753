//! Trends of 90 days and glucose summaries of 14, of any of many patients, while readings come in.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Clock, Metric};
use homeward_store::admin::add_token;
use homeward_store::trends::Bucket;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::history::{DAYS, Filled, GLUCOSE_DAYS, READINGS_OF_A_PATIENT, fill};
use super::http::Client;
use super::load::{self, Enrolled, Shape};
use super::report::{Quantiles, machine};
use super::{Server, enrol, progress};

/// Callers that ask at the same time, each for one thing after the other.
const READERS: u64 = 2;

/// Devices that send meanwhile, each a message of ten readings a second.
const LIVE_DEVICES: usize = 300;
const READINGS_A_MESSAGE: usize = 10;
const PACE: Duration = Duration::from_secs(1);

/// Of how many patients the trend is compared with the readings themselves.
const CHECKED: u64 = 20;

const TOKEN: &str = "hw_bench";

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Trends {
    machine: String,
    readings: u64,
    patients: usize,
    copy_seconds: f64,
    rollup_seconds: f64,
    /// Of the whole database, with its indexes and rollups.
    database_bytes: i64,
    /// Acknowledged meanwhile.
    live_readings_per_second: f64,
    /// Of trends of 90 days with buckets of `auto`.
    trends: Vec<Latency>,
    /// Of glucose summaries of 14 days.
    glucose_summary: Quantiles,
}

/// Of one series.
#[derive(Debug, Serialize)]
struct Latency {
    series: &'static str,
    #[serde(flatten)]
    quantiles: Quantiles,
}

impl fmt::Display for Trends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        let gigabytes = self.database_bytes / 1_000_000_000;
        writeln!(
            f,
            "{} readings of {} patients, {gigabytes} GB: copied in {:.0} s, rolled up in {:.0} s",
            self.readings, self.patients, self.copy_seconds, self.rollup_seconds
        )?;
        writeln!(
            f,
            "with {:.0} readings/s coming in:",
            self.live_readings_per_second
        )?;
        for Latency { series, quantiles } in &self.trends {
            writeln!(f, "  {:<56}{quantiles}", format!("{DAYS} days of {series}"))?;
        }
        let what = format!("glucose summary of {GLUCOSE_DAYS} days");
        writeln!(f, "  {what:<56}{}", self.glucose_summary)
    }
}

/// Fills a record with about so many readings, and asks for trends.
pub(super) async fn measure(url: &str, readings: u64, measured: Duration) -> Result<Trends> {
    let pool = homeward_store::connect(url, 2)?;
    let mut connection = pool.acquire().await?;
    progress("enrolling patients");
    let count = usize::try_from(readings.div_ceil(READINGS_OF_A_PATIENT))?.max(LIVE_DEVICES);
    let patients = enrol(&mut connection, count, "watch").await?;
    add_token(&mut connection, "bench", TOKEN).await?;
    let until = Bucket::Hour.floor(Clock::System.now());
    let Filled {
        readings,
        copy_seconds,
        rollup_seconds,
    } = fill(&mut connection, &patients, until).await?;
    let database_bytes = sqlx::query_scalar("SELECT pg_database_size(current_database())")
        .fetch_one(&mut *connection)
        .await?;

    let server = Server::start(url).await?;
    let numbers: Vec<i64> = patients.iter().map(|(patient, _)| *patient).collect();
    check(&mut connection, server.http, &numbers, until).await?;
    drop(connection);
    let live: Vec<Enrolled> = patients[..LIVE_DEVICES]
        .iter()
        .map(|(_, device)| device.clone())
        .collect();
    let devices = load::connect(server.mqtt, &live).await?;
    let shape = Shape {
        readings: READINGS_A_MESSAGE,
        window: 10,
        pace: Some(PACE),
        first_reading: Clock::System.now(),
        between: TimeDelta::from_std(PACE)? / i32::try_from(READINGS_A_MESSAGE)?,
    };
    let warm_up = Duration::from_secs(3);
    let asking = async {
        tokio::time::sleep(warm_up).await;
        let mut trends = Vec::new();
        for series in ["heart_rate", "blood_pressure", "glucose"] {
            progress(&format!("asking for trends of {series}"));
            let path = |patient| trend(patient, series, "auto", until);
            let (quantiles, _) = ask(server.http, TOKEN, &numbers, measured, path).await?;
            trends.push(Latency { series, quantiles });
        }
        progress("asking for glucose summaries");
        let from = until - TimeDelta::days(GLUCOSE_DAYS);
        let window = format!("from={}&to={}", query_time(from), query_time(until));
        let path = |patient| format!("/api/v1/patients/{patient}/glucose-summary?{window}");
        let (quantiles, _) = ask(server.http, TOKEN, &numbers, measured, path).await?;
        anyhow::Ok((trends, quantiles))
    };
    let (load, (trends, glucose_summary)) =
        tokio::try_join!(load::run(devices, shape, warm_up, measured * 4), asking)?;
    server.stop().await?;
    Ok(Trends {
        machine: machine(),
        readings,
        patients: patients.len(),
        copy_seconds,
        rollup_seconds,
        database_bytes,
        live_readings_per_second: load.rate(),
        trends,
        glucose_summary,
    })
}

fn query_time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The path of a trend over all days.
fn trend(patient: i64, series: &str, bucket: &str, until: DateTime<Utc>) -> String {
    let from = until - TimeDelta::days(DAYS);
    let window = format!("from={}&to={}", query_time(from), query_time(until));
    format!("/api/v1/patients/{patient}/trends/{series}?bucket={bucket}&{window}")
}

/// How long answers take, to some readers who ask for a time, each for one patient after the other, in an order that
/// has nothing to do with their numbers. Answers also how long the last answer was, in bytes.
pub(super) async fn ask(
    http: SocketAddr,
    token: &str,
    patients: &[i64],
    measured: Duration,
    path: impl Fn(i64) -> String,
) -> Result<(Quantiles, usize)> {
    let reader = async |reader: u64| {
        let mut client = Client::connect(http, token).await?;
        let (mut latencies, mut bytes) = (Vec::new(), 0);
        let begun = Instant::now();
        for round in 0.. {
            if begun.elapsed() >= measured {
                break;
            }
            let path = path(any(patients, READERS * round + reader));
            let asked = Instant::now();
            bytes = client.get(&path).await?.len();
            latencies.push(asked.elapsed());
        }
        anyhow::Ok((latencies, bytes))
    };
    let ((mut latencies, bytes), (others, _)) = tokio::try_join!(reader(0), reader(1))?;
    latencies.extend(others);
    latencies.sort_unstable();
    Ok((Quantiles::of(&latencies), bytes))
}

/// One of the patients; another for each number.
fn any(patients: &[i64], number: u64) -> i64 {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let index = (mixed >> 32) % patients.len() as u64;
    patients[usize::try_from(index).expect("within the patients")]
}

/// Makes sure that what the rollups give of some patients are all of their readings.
async fn check(
    connection: &mut PgConnection,
    http: SocketAddr,
    patients: &[i64],
    until: DateTime<Utc>,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Trend {
        series: Vec<Series>,
    }
    #[derive(Deserialize)]
    struct Series {
        points: Vec<Point>,
    }
    #[derive(Deserialize)]
    struct Point {
        n: i64,
        mean: f64,
    }
    let mut client = Client::connect(http, TOKEN).await?;
    for number in 0..CHECKED {
        let patient = any(patients, number);
        for bucket in ["1h", "1d"] {
            let answer = client.get(&trend(patient, "heart_rate", bucket, until)).await?;
            let told: Trend = serde_json::from_slice(&answer)?;
            let points = told.series.iter().flat_map(|series| &series.points);
            #[expect(clippy::cast_precision_loss, reason = "thousands of readings")]
            let (n, sum) = points.fold((0, 0.0), |(n, sum), point| {
                (n + point.n, sum + point.mean * point.n as f64)
            });
            let (stored, stored_sum): (i64, f64) = sqlx::query_as(
                "SELECT count(*), coalesce(sum(value), 0) FROM reading
                 WHERE patient_id = $1 AND metric = $2 AND time < $3",
            )
            .bind(patient)
            .bind(Metric::HeartRate.code())
            .bind(until)
            .fetch_one(&mut *connection)
            .await?;
            let same = n == stored && n > 0 && (sum - stored_sum).abs() < 1e-6 * stored_sum;
            ensure!(
                same,
                "patient {patient} has {stored} heart rates, and trends of {bucket} tell of {n}"
            );
        }
    }
    Ok(())
}
