//! Trends over HTTP, against the same computation on the readings.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId};
use homeward_simulators::Measured;
use homeward_store::{PgPool, rollup};
use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Postgres};

use crate::harness::*;

/// How a trend can be asked for.
pub(crate) struct Bucket {
    name: &'static str,
    /// None: every reading is a point.
    seconds: Option<i64>,
    /// The days that one answer may cover.
    days: i64,
}

pub(crate) const BUCKETS: [Bucket; 4] = [
    Bucket {
        name: "raw",
        seconds: None,
        days: 30,
    },
    Bucket {
        name: "5m",
        seconds: Some(300),
        days: 30,
    },
    Bucket {
        name: "1h",
        seconds: Some(3_600),
        days: 365,
    },
    Bucket {
        name: "1d",
        seconds: Some(86_400),
        days: 365,
    },
];

/// Keeps every worker from rolling up.
pub(crate) struct HeldRollups(PoolConnection<Postgres>);

impl HeldRollups {
    pub(crate) async fn hold(pool: &PgPool) -> HeldRollups {
        let mut holder = pool.acquire().await.unwrap();
        sqlx::query("SELECT pg_advisory_lock(7462, 3)")
            .execute(&mut *holder)
            .await
            .unwrap();
        HeldRollups(holder)
    }

    pub(crate) async fn release(self) {
        self.0.detach().close().await.unwrap();
    }
}

/// Asks for all of a patient's trend and compares it with the readings that it must be made of, of which
/// those of other metrics do not count.
pub(crate) async fn assert_trends(
    server: &Server,
    token: &str,
    patient: PatientId,
    asked_for: &str,
    metrics: &[Metric],
    readings: &[Measured],
    bucket: &Bucket,
) {
    let what = format!("{asked_for} of patient {patient} by {}", bucket.name);
    for (index, window) in windows(readings, bucket.days).enumerate() {
        let answer = trend(server, token, patient, asked_for, bucket.name, &window).await;
        let series = answer["series"].as_array().unwrap();
        let answered: Vec<_> = series.iter().map(|series| &series["metric"]).collect();
        let names: Vec<_> = metrics.iter().map(|metric| metric.name()).collect();
        assert_eq!(answered, names);
        for (metric, series) in metrics.iter().zip(series) {
            let within = |sample: &&Measured| sample.metric == *metric && window.contains(&sample.at);
            let expected = points(readings.iter().filter(within), bucket.seconds);
            let answered = series["points"].as_array().unwrap();
            assert_eq!(answered.len(), expected.len(), "points of {what}, window {index}");
            for (answered, expected) in answered.iter().zip(&expected) {
                assert_point(answered, expected, &what);
            }
        }
    }
}

async fn trend(
    server: &Server,
    token: &str,
    patient: PatientId,
    asked_for: &str,
    bucket: &str,
    window: &Range<DateTime<Utc>>,
) -> Value {
    let (from, to) = (stamp(window.start), stamp(window.end));
    let path = format!("/api/v1/patients/{patient}/trends/{asked_for}?bucket={bucket}&from={from}&to={to}");
    let answer = server.get(&path, token).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// Windows of whole days that cover all readings.
fn windows(readings: &[Measured], days: i64) -> impl Iterator<Item = Range<DateTime<Utc>>> + use<> {
    let times = readings.iter().map(|sample| sample.at);
    let (first, last) = (times.clone().min().unwrap(), times.max().unwrap());
    let mut begin = floor(first, 86_400);
    std::iter::from_fn(move || {
        (begin <= last).then(|| {
            let window = begin..begin + TimeDelta::days(days);
            begin = window.end;
            window
        })
    })
}

/// The values of one point, by its time.
struct Expected {
    at: DateTime<Utc>,
    values: Vec<f64>,
}

fn points<'a>(readings: impl Iterator<Item = &'a Measured>, seconds: Option<i64>) -> Vec<Expected> {
    let mut points: BTreeMap<DateTime<Utc>, Vec<f64>> = BTreeMap::new();
    for sample in readings {
        let at = seconds.map_or(sample.at, |seconds| floor(sample.at, seconds));
        points.entry(at).or_default().push(sample.value);
    }
    points
        .into_iter()
        .map(|(at, values)| Expected { at, values })
        .collect()
}

fn floor(at: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp().div_euclid(seconds) * seconds, 0).unwrap()
}

fn assert_point(answered: &Value, expected: &Expected, what: &str) {
    let Expected { at, values } = expected;
    let told: DateTime<Utc> = answered["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(told, *at, "{what}");
    assert_eq!(answered["n"], values.len(), "{what} at {at}");
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for (name, expected) in [("min", least), ("mean", mean), ("max", most)] {
        let answered = answered[name].as_f64().unwrap();
        assert!(
            (answered - expected).abs() <= 1e-9 * expected.abs(),
            "{name} of {what} at {at}: {answered}, not {expected}"
        );
    }
}

/// Publishes heart rates, a hundred to a message, and waits for each to be acknowledged.
async fn publish(client: &mut Client, device: &Device, samples: &[Measured]) {
    for some in samples.chunks(100) {
        let readings: Vec<_> = some
            .iter()
            .map(|sample| heart_rate(sample.at, sample.value))
            .collect();
        let reason = client.upload(&device.topic("readings"), upload(&readings)).await;
        assert_eq!(reason, STORED);
    }
}

/// A heart rate at each of these times before now.
fn rates(ago: impl Iterator<Item = i64>) -> Vec<Measured> {
    let now = now();
    ago.map(|seconds| Measured {
        metric: Metric::HeartRate,
        at: now - TimeDelta::seconds(seconds),
        value: f64::from(u8::try_from(60 + seconds % 47).unwrap()),
    })
    .collect()
}

#[tokio::test]
async fn trends_are_exact_before_between_and_after_rollups() {
    const HOUR: i64 = 3_600;
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let token = server.add_token("a test").await;
    let watch = server.enrol("watch").await;
    let mut client = watch.connect(Version::V5).await;
    let mut all = Vec::new();

    let steps = [
        // Two days up to now.
        rates((0..48 * HOUR).step_by(97).map(|ago| ago + 3)),
        // What was rolled up changes in the middle, at both ends, and before everything.
        rates((30 * HOUR..31 * HOUR).step_by(13)),
        rates((0..2 * HOUR).step_by(101).map(|ago| ago + 1)),
        rates((47 * HOUR..73 * HOUR).step_by(311).map(|ago| ago + 2)),
    ];
    for new in steps {
        let rollups = HeldRollups::hold(&server.pool).await;
        publish(&mut client, &watch, &new).await;
        all.extend(new);
        all.sort_by_key(|sample| sample.at);
        all.dedup_by_key(|sample| sample.at);
        for bucket in &BUCKETS {
            assert_heart_rate(&server, &token, &watch, &all, bucket).await;
        }
        rollups.release().await;
        rollup::run_once(&server.pool, now()).await.unwrap();
        for bucket in &BUCKETS {
            assert_heart_rate(&server, &token, &watch, &all, bucket).await;
        }
    }
    // The answers came from rollups. Where the server's own worker was at it, the last call did nothing.
    eventually("73 hours are rolled up", async || {
        rollup::run_once(&server.pool, now()).await.unwrap();
        let rolled_up: i64 = sqlx::query_scalar("SELECT count(*) FROM reading_hourly")
            .fetch_one(&server.pool)
            .await
            .unwrap();
        (rolled_up > 70).then_some(())
    })
    .await;
    client.disconnect().await;
}

async fn assert_heart_rate(server: &Server, token: &str, watch: &Device, all: &[Measured], bucket: &Bucket) {
    let metrics = [Metric::HeartRate];
    assert_trends(server, token, watch.patient, "heart_rate", &metrics, all, bucket).await;
}
