//! `GET /api/v1/patients/{patient}/trends/{type}`: a series over a window of time, for charts.
//!
//! Parameters: `from` and `to` (RFC 3339; the last 24 hours), `bucket` (`raw`, `5m`, `1h`, `1d` or `auto`,
//! which is the default). The window is widened to whole buckets, and the answer says to what. Days are
//! those of UTC. With `raw` each reading is a point, so that two devices that measured at one time give two.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId};
use homeward_store::trends::{Bucket, TrendPoint, raw_points, trend};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::error::ApiError;
use crate::request::{Instant, Path, Query, Window, choose, parsed};
use crate::routes::App;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    from: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    to: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    bucket: Option<String>,
}

#[derive(Serialize)]
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

#[derive(Serialize)]
struct Series {
    metric: Metric,
    unit: &'static str,
    points: Vec<Point>,
}

/// The readings of one bucket, or one reading: how many, and their least, mean and greatest value.
#[derive(Serialize)]
struct Point {
    at: DateTime<Utc>,
    n: i64,
    min: f64,
    mean: f64,
    max: f64,
}

pub(crate) async fn get(
    State(app): State<App>,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Trend>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let (name, metrics) = choose("type", path.text("type"), &TYPES.map(|named| (named.0, named)))?;
    let bucket = parameters.bucket.as_deref().unwrap_or("auto");
    let resolution = choose("bucket", bucket, &BUCKETS)?;
    let window = Window::new(parameters.from, parameters.to, app.clock.now())?;

    let mut connection = app.record().await?;
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
/// which few enough fit into the window.
async fn auto(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    window: Window,
) -> Result<(&'static str, Window, Vec<Series>), ApiError> {
    if let Some(series) = raw_series(connection, patient, metrics, window, AUTO_POINTS).await? {
        return Ok(("raw", window, series));
    }
    let fits = |bucket: &Bucket| window.to - window.from <= bucket.length() * AUTO_POINTS;
    let bucket = [Bucket::FiveMinutes, Bucket::Hour]
        .into_iter()
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
                 }| Point {
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
        let detail = format!(
            "with buckets of {} a window is at most {} days long: ask for longer buckets, or for a shorter window",
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
    use homeward_record::DeviceId;
    use insta::assert_snapshot;

    use super::*;
    use crate::testing::{TestApp, at};

    #[tokio::test]
    async fn blood_pressure_is_two_series() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        for (minute, systolic, diastolic) in [(0, 142.0, 90.0), (2, 138.0, 86.0)] {
            let at = at("2026-11-22T08:00:00Z") + TimeDelta::minutes(minute);
            let readings = [
                (Metric::Systolic, at, systolic),
                (Metric::Diastolic, at, diastolic),
            ];
            app.store(patient, DeviceId(1), &readings).await;
        }
        let answer = app
            .get("/api/v1/patients/1001/trends/blood_pressure?bucket=1h&from=2026-11-22T07:30:00Z")
            .await;
        assert_snapshot!(answer.show(), @"");
    }
}
