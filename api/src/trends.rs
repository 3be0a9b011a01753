//! `GET /api/v1/patients/{patient}/trends/{type}`: a series over a window of time, for charts.
//!
//! Parameters: `from` and `to` (RFC 3339; the last 24 hours), `bucket` (`raw`, `5m`, `1h`, `1d` or `auto`,
//! which is the default). The window is widened to whole buckets, and the answer says to what. Days are
//! those of UTC. With `raw` each reading is a point, so that two devices that measured at one time give two.
//!
//! Steps are counted by several devices at once, as by a telephone and a watch: buckets have those of the device that counted
//! most in the hour, and the intervals that end in them. `auto` sums them up by hours or days.

use axum::Json;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId};
use homeward_store::trends::{Bucket, TrendPoint, at_least, raw_points, trend};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Path, Query, Window, choose, window_parameters};
use crate::series::{TYPES, require_patient};

/// The most points of one series in an answer. Each is about a hundred bytes of JSON, and no chart shows as
/// many.
const MAX_POINTS: i32 = 10_000;

/// How many points `auto` gives a series at most, as long as days are short enough for that: about as many as
/// a chart has pixels across.
const AUTO_POINTS: i32 = 1_000;

const BUCKETS: [(&str, Resolution); 5] = [
    ("raw", Resolution::Raw),
    ("5m", Resolution::Of(Bucket::FiveMinutes)),
    ("1h", Resolution::Of(Bucket::Hour)),
    ("1d", Resolution::Of(Bucket::Day)),
    ("auto", Resolution::Auto),
];

#[derive(Clone, Copy, PartialEq)]
enum Resolution {
    Raw,
    Of(Bucket),
    Auto,
}

window_parameters!(bucket: String);

#[derive(Serialize, ToSchema)]
pub(crate) struct Trend {
    patient: PatientId,
    r#type: &'static str,
    /// The UCUM unit of the type.
    unit: &'static str,
    bucket: &'static str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    series: Vec<Series>,
}

#[derive(Serialize, ToSchema)]
struct Series {
    metric: Metric,
    unit: &'static str,
    points: Vec<BucketPoint>,
}

/// The readings of one bucket, or one reading: how many, and their least, mean and greatest value.
#[derive(Serialize, ToSchema)]
struct BucketPoint {
    at: DateTime<Utc>,
    n: i64,
    min: f64,
    mean: f64,
    max: f64,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Trend>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let (name, metrics) = choose("type", path.text("type"), &TYPES.map(|named| (named.0, named)))?;
    let bucket = parameters.bucket.as_deref().unwrap_or("auto");
    let resolution = choose("bucket", bucket, &BUCKETS)?;
    let window = Window::new(parameters.from, parameters.to, exchange.now())?;

    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let (bucket, window, series) = match resolution {
        Resolution::Raw => {
            let series = raw_series(&mut connection, patient, metrics, window, MAX_POINTS).await?;
            ("raw", window, series.ok_or_else(too_many_readings)?)
        }
        Resolution::Of(bucket) => {
            let window = widen(window, bucket)?;
            let series = summed_series(&mut connection, patient, metrics, window, bucket).await?;
            (name_of(bucket), window, series)
        }
        Resolution::Auto => auto(&mut connection, patient, metrics, window).await?,
    };
    Ok(Json(Trend {
        patient,
        r#type: name,
        unit: metrics[0].unit(),
        bucket,
        from: window.from,
        to: window.to,
        series,
    }))
}

/// The readings themselves where they are few, as they are of a scale or a cuff; else the shortest buckets of
/// which few enough fit into the window. Steps come by the hour, since those of several devices are the same.
async fn auto(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    window: Window,
) -> Result<(&'static str, Window, Vec<Series>), ApiError> {
    let counted = at_least(connection, patient, metrics, (window.from, window.to)).await?;
    let steps = metrics.contains(&Metric::Steps);
    if !steps
        && counted.iter().all(|n| *n <= AUTO_POINTS.into())
        && let Some(series) = raw_series(connection, patient, metrics, window, AUTO_POINTS).await?
    {
        return Ok(("raw", window, series));
    }
    let fits = |bucket: &Bucket| window.to - window.from <= bucket.length() * AUTO_POINTS;
    let shorter = [Bucket::FiveMinutes, Bucket::Hour];
    let bucket = shorter
        .into_iter()
        .skip(usize::from(steps))
        .find(fits)
        .unwrap_or(Bucket::Day);
    let window = widen(window, bucket)?;
    let series = summed_series(connection, patient, metrics, window, bucket).await?;
    Ok((name_of(bucket), window, series))
}

/// `None` when one of the series has more than `max` readings.
async fn raw_series(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    window: Window,
    max: i32,
) -> Result<Option<Vec<Series>>, ApiError> {
    let mut all = Vec::new();
    for metric in metrics {
        let window = (window.from, window.to);
        let points = raw_points(connection, patient, *metric, window, i64::from(max) + 1).await?;
        if points.len() > max as usize {
            return Ok(None);
        }
        all.push(series(*metric, points));
    }
    Ok(Some(all))
}

async fn summed_series(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    window: Window,
    bucket: Bucket,
) -> Result<Vec<Series>, ApiError> {
    let mut all = Vec::new();
    for metric in metrics {
        let points = trend(connection, patient, *metric, (window.from, window.to), bucket).await?;
        all.push(series(*metric, points));
    }
    Ok(all)
}

fn series(metric: Metric, points: Vec<TrendPoint>) -> Series {
    let point = |TrendPoint {
                     at,
                     n,
                     min,
                     mean,
                     max,
                 }| BucketPoint {
        at,
        n,
        min,
        mean,
        max,
    };
    Series {
        metric,
        unit: metric.unit(),
        points: points.into_iter().map(point).collect(),
    }
}

/// The window of whole buckets, if an answer may have as many.
fn widen(window: Window, bucket: Bucket) -> Result<Window, ApiError> {
    let window = Window {
        from: bucket.floor(window.from),
        to: bucket.ceil(window.to),
    };
    let longest: TimeDelta = bucket.length() * MAX_POINTS;
    if window.to - window.from > longest {
        let instead = if bucket == Bucket::Day {
            ""
        } else {
            "longer buckets, or for "
        };
        let detail = format!(
            "with buckets of {} a window is at most {} days long: ask for {instead}a shorter window",
            name_of(bucket),
            longest.num_days()
        );
        return Err(ApiError::parameter("bucket", detail));
    }
    Ok(window)
}

fn too_many_readings() -> ApiError {
    let detail = format!(
        "the window has more than {MAX_POINTS} readings: ask for buckets of 5m, 1h or 1d, or for a shorter window"
    );
    ApiError::parameter("bucket", detail)
}

fn name_of(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::FiveMinutes => "5m",
        Bucket::Hour => "1h",
        Bucket::Day => "1d",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use homeward_record::DeviceId;
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{TestApp, at, now};

    const DEVICE: DeviceId = DeviceId(10001);

    /// A patient with a reading of the heart rate each minute before now.
    async fn patient_with_minutes(app: &TestApp, minutes: i64) -> PatientId {
        let patient = app.add_patient().await;
        let reading = |minute| {
            let at = now() - TimeDelta::minutes(minute);
            (Metric::HeartRate, at, 60.0 + f64::from(minute as i32 % 40))
        };
        let readings: Vec<_> = (1..=minutes).map(reading).collect();
        app.store(patient, DEVICE, &readings).await;
        patient
    }

    #[tokio::test]
    async fn blood_pressure_is_two_series_of_whole_buckets() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        for (minute, systolic, diastolic) in [(0, 142.0, 90.0), (2, 138.0, 86.0)] {
            let at = at("2026-11-22T08:00:00Z") + TimeDelta::minutes(minute);
            let readings = [
                (Metric::Systolic, at, systolic),
                (Metric::Diastolic, at, diastolic),
            ];
            app.store(patient, DEVICE, &readings).await;
        }
        let path = "/api/v1/patients/1001/trends/blood_pressure?bucket=1h&from=2026-11-22T07:30:00Z&to=2026-11-22T09:30:00+01:00";
        assert_snapshot!(app.get(path).await.show(), @r#"
        200 OK
        content-type: application/json
        cache-control: no-store

        {
          "bucket": "1h",
          "from": "2026-11-22T07:00:00Z",
          "patient": 1001,
          "series": [
            {
              "metric": "systolic",
              "points": [
                {
                  "at": "2026-11-22T08:00:00Z",
                  "max": 142.0,
                  "mean": 140.0,
                  "min": 138.0,
                  "n": 2
                }
              ],
              "unit": "mm[Hg]"
            },
            {
              "metric": "diastolic",
              "points": [
                {
                  "at": "2026-11-22T08:00:00Z",
                  "max": 90.0,
                  "mean": 88.0,
                  "min": 86.0,
                  "n": 2
                }
              ],
              "unit": "mm[Hg]"
            }
          ],
          "to": "2026-11-22T09:00:00Z",
          "type": "blood_pressure",
          "unit": "mm[Hg]"
        }
        "#);
    }

    #[tokio::test]
    async fn raw_readings_of_two_devices_are_two_points() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        for (device, value) in [(DeviceId(2), 5.5), (DeviceId(1), 6.0)] {
            let reading = (Metric::Glucose, at("2026-11-22T08:00:00.25Z"), value);
            app.store(patient, device, &[reading]).await;
        }
        // With so few, it is also what auto answers, which is what is answered without a word.
        for query in ["?bucket=raw", "?bucket=auto", ""] {
            let answer = app
                .get(&format!("/api/v1/patients/1001/trends/glucose{query}"))
                .await
                .json();
            assert_eq!(answer["bucket"], "raw");
            assert_eq!(answer["unit"], "mmol/L");
            assert_eq!(answer["from"], "2026-11-21T12:00:00Z");
            let at = "2026-11-22T08:00:00.250Z";
            assert_eq!(
                answer["series"][0]["points"],
                json!([
                    {"at": at, "n": 1, "min": 6.0, "mean": 6.0, "max": 6.0},
                    {"at": at, "n": 1, "min": 5.5, "mean": 5.5, "max": 5.5},
                ])
            );
        }
    }

    #[tokio::test]
    async fn steps_are_of_the_device_that_counted_most_in_an_hour() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let walk = async |device, steps: &[(&str, f64)]| {
            let reading =
                |&(time, steps): &(&str, f64)| (Metric::Steps, at(&format!("2026-11-22T{time}:00Z")), steps);
            let readings: Vec<_> = steps.iter().map(reading).collect();
            app.store(patient, DeviceId(device), &readings).await;
        };
        // A watch that counts by the quarter, and a telephone by the hour, which is left at home at ten.
        let watch = [
            ("08:15", 500.0),
            ("08:45", 400.0),
            ("09:00", 300.0),
            ("10:30", 700.0),
        ];
        walk(1, &watch).await;
        walk(2, &[("09:00", 1_100.0), ("10:00", 250.0)]).await;
        let path =
            "/api/v1/patients/1001/trends/steps?from=2026-11-22T08:00:00Z&to=2026-11-22T11:00:00Z&bucket=";
        let mut told = Vec::new();
        for bucket in ["5m", "1h", "1d", "auto"] {
            let answer = app.get(&format!("{path}{bucket}")).await.json();
            for point in answer["series"][0]["points"].as_array().unwrap() {
                let sum = point["mean"].as_f64().unwrap() * point["n"].as_f64().unwrap();
                told.push(format!(
                    "{bucket} {} {sum}",
                    &point["at"].as_str().unwrap()[11..16]
                ));
            }
        }
        assert_eq!(
            told,
            [
                "5m 08:10 500",
                "5m 08:40 400",
                "5m 08:55 300",
                "5m 09:55 250",
                "5m 10:25 700",
                "1h 08:00 1200",
                "1h 09:00 250",
                "1h 10:00 700",
                "1d 00:00 2150",
                "auto 08:00 1200",
                "auto 09:00 250",
                "auto 10:00 700",
            ]
        );
    }

    #[tokio::test]
    async fn a_trend_is_what_its_readings_give() {
        let app = TestApp::start().await;
        patient_with_minutes(&app, 3_000).await;
        let path = "/api/v1/patients/1001/trends/heart_rate?from=2026-11-20T00:00:00Z&bucket=";
        let raw = app.get(&format!("{path}raw")).await.json();
        for (bucket, length) in [
            ("5m", Bucket::FiveMinutes),
            ("1h", Bucket::Hour),
            ("1d", Bucket::Day),
        ] {
            let mut expected: BTreeMap<DateTime<Utc>, Vec<f64>> = BTreeMap::new();
            for point in raw["series"][0]["points"].as_array().unwrap() {
                let start = length.floor(at(point["at"].as_str().unwrap()));
                expected
                    .entry(start)
                    .or_default()
                    .push(point["mean"].as_f64().unwrap());
            }
            let summed = |(at, values): (DateTime<Utc>, Vec<f64>)| {
                let n = values.len();
                json!({
                    "at": at,
                    "n": n,
                    "min": values.iter().copied().fold(f64::INFINITY, f64::min),
                    "mean": values.iter().sum::<f64>() / n as f64,
                    "max": values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                })
            };
            let expected: Vec<Value> = expected.into_iter().map(summed).collect();
            let answer = app.get(&format!("{path}{bucket}")).await.json();
            assert_eq!(answer["series"][0]["points"], json!(expected), "{bucket}");
        }
    }

    #[tokio::test]
    async fn auto_takes_the_shortest_buckets_that_are_few_enough() {
        let app = TestApp::start().await;
        patient_with_minutes(&app, 1_500).await;
        for (from, bucket) in [
            ("2026-11-22T06:00:00Z", "raw"),
            ("2026-11-21T00:00:00Z", "5m"),
            ("2026-11-19T01:00:00Z", "5m"),
            ("2026-11-19T00:00:00Z", "1h"),
            ("2026-10-12T00:00:00Z", "1h"),
            ("2026-10-01T00:00:00Z", "1d"),
            ("2010-10-01T00:00:00Z", "1d"),
        ] {
            let path = format!("/api/v1/patients/1001/trends/heart_rate?from={from}");
            let answer = app.get(&path).await.json();
            assert_eq!(answer["bucket"], bucket, "from {from}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_answered_is_explained() {
        let app = TestApp::start().await;
        patient_with_minutes(&app, 10_001).await;
        let mut told = String::new();
        for path in [
            "1001/trends/mood",
            "1001/trends/heart_rate?bucket=2h",
            "1001/trends/heart_rate?bukcet=1h",
            "1001/trends/heart_rate?bucket=1h&bucket=1d",
            "1001/trends/heart_rate?from=yesterday",
            "1001/trends/heart_rate?from=2026-11-22T08:00:00",
            "1001/trends/heart_rate?from=2026-11-22T08:00:00Z&to=2026-11-22T08:00:00Z",
            "1001/trends/heart_rate?from=2026-11-01T00:00:00Z&bucket=raw",
            "1001/trends/heart_rate?from=2026-01-01T00:00:00Z&bucket=5m",
            "1001/trends/heart_rate?from=0001-01-01T00:00:00Z",
            "01001/trends/heart_rate",
            "-1/trends/heart_rate",
            "ada/trends/heart_rate",
            "1002/trends/heart_rate",
        ] {
            let answer = app.get(&format!("/api/v1/patients/{path}")).await;
            told += &format!("{path}\n    {}\n", answer.problem());
        }
        assert_snapshot!(told, @r#"
        1001/trends/mood
            400 type: "mood" is none of heart_rate, spo2, respiratory_rate, body_temperature, blood_pressure, systolic, diastolic, irregular_pulse, glucose, steps, body_weight, consciousness, supplemental_oxygen
        1001/trends/heart_rate?bucket=2h
            400 bucket: "2h" is none of raw, 5m, 1h, 1d, auto
        1001/trends/heart_rate?bukcet=1h
            400 bukcet: there is no such parameter; there are from, to, bucket
        1001/trends/heart_rate?bucket=1h&bucket=1d
            400 bucket: the parameter is given twice
        1001/trends/heart_rate?from=yesterday
            400 from: expected a time with offset, such as 2026-11-22T08:00:00Z
        1001/trends/heart_rate?from=2026-11-22T08:00:00
            400 from: expected a time with offset, such as 2026-11-22T08:00:00Z
        1001/trends/heart_rate?from=2026-11-22T08:00:00Z&to=2026-11-22T08:00:00Z
            400 from: from must be before to
        1001/trends/heart_rate?from=2026-11-01T00:00:00Z&bucket=raw
            400 bucket: the window has more than 10000 readings: ask for buckets of 5m, 1h or 1d, or for a shorter window
        1001/trends/heart_rate?from=2026-01-01T00:00:00Z&bucket=5m
            400 bucket: with buckets of 5m a window is at most 34 days long: ask for longer buckets, or for a shorter window
        1001/trends/heart_rate?from=0001-01-01T00:00:00Z
            400 bucket: with buckets of 1d a window is at most 10000 days long: ask for a shorter window
        01001/trends/heart_rate
            400 patient: "01001" is not an identifier: expected a positive whole number without sign or leading zeros
        -1/trends/heart_rate
            400 patient: "-1" is not an identifier: expected a positive whole number without sign or leading zeros
        ada/trends/heart_rate
            400 patient: "ada" is not an identifier: expected a positive whole number without sign or leading zeros
        1002/trends/heart_rate
            404 -: there is no patient 1002
        "#);
    }

    #[tokio::test]
    async fn a_window_may_reach_into_the_future() {
        let app = TestApp::start().await;
        app.add_patient().await;
        let path = "/api/v1/patients/1001/trends/steps?from=2026-11-23T00:00:00Z";
        let answer = app.get(path).await.json();
        assert_eq!(answer["to"], "2026-11-24T00:00:00Z");
        assert_eq!(answer["series"][0]["points"], json!([]));
    }
}
