//! `GET /api/v1/patients/{patient}/glucose-summary`: the figures of an ambulatory glucose profile.
//!
//! Parameters: `from` and `to` (RFC 3339; the last 14 days, at most 90), `interval` (minutes between two readings of
//! the sensor, 5 by default) and `zone` (the patient's time zone by its IANA name, `Europe/London` by default).
//! Readings marked as entered in error do not count. With fewer than 70 % of the readings that the sensor should have
//! sent in the time, `sufficient` is false: the figures are told, and do not speak for the time.

use axum::Json;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::Zone;
use homeward_alerts::summary::{GlucoseSummary, Sample, summarise_glucose};
use homeward_record::{Metric, PatientId};
use homeward_store::{Span, load_spans};
use serde::{Deserialize, Serialize};

use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Instant, Path, Query, Window, parsed};
use crate::series::require_patient;

/// Over how long the consensus reports.
const USUAL: TimeDelta = TimeDelta::days(14);

/// The longest time: 26,000 readings of a sensor that measures every five minutes.
const LONGEST: TimeDelta = TimeDelta::days(90);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    from: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    to: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    interval: Option<u16>,
    #[serde(default, deserialize_with = "parsed")]
    zone: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Summary {
    patient: PatientId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    unit: &'static str,
    #[serde(flatten)]
    figures: GlucoseSummary,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Summary>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let interval = parameters.interval.unwrap_or(5);
    if interval == 0 {
        return Err(ApiError::parameter(
            "interval",
            "a sensor measures every minute at most",
        ));
    }
    let name = parameters.zone.as_deref().unwrap_or("Europe/London");
    let zone = Zone::named(name)
        .ok_or_else(|| ApiError::parameter("zone", format!("{name:?} is not the name of a time zone")))?;
    let now = exchange.now();
    let to = parameters.to.unwrap_or(Instant(now));
    let from = parameters.from.unwrap_or(Instant(to.0 - USUAL));
    let window = Window::new(Some(from), Some(to), now)?;
    let length = window.to - window.from;
    if length > LONGEST {
        let detail = format!("a summary is over {} days at most", LONGEST.num_days());
        return Err(ApiError::parameter("from", detail));
    }

    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let before = TimeDelta::microseconds(1);
    let span = Span {
        patient,
        metric: Metric::Glucose,
        after: window.from - before,
        until: window.to - before,
    };
    let readings = load_spans(&mut connection, &[span]).await?;
    let samples: Vec<Sample> = readings
        .iter()
        .map(|reading| Sample {
            at: reading.at,
            value: reading.value,
        })
        .collect();
    Ok(Json(Summary {
        patient,
        from: window.from,
        to: window.to,
        unit: Metric::Glucose.unit(),
        figures: summarise_glucose(&samples, length, TimeDelta::minutes(interval.into()), zone),
    }))
}

#[cfg(test)]
mod tests {
    use homeward_record::{DeviceId, Metric};
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use crate::testing::{TestApp, at};

    #[tokio::test]
    async fn a_summary_is_of_the_readings_of_its_window() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let glucose = |time: &str, value| (Metric::Glucose, at(&format!("2026-11-22T{time}:00Z")), value);
        let readings = [
            glucose("08:00", 5.0),
            glucose("08:05", 11.0),
            glucose("08:10", 8.0),
            // Not in the window.
            glucose("08:15", 2.0),
        ];
        app.store(patient, DeviceId(10_001), &readings).await;
        let window = "from=2026-11-22T08:00:00Z&to=2026-11-22T08:15:00Z";
        let path = format!("/api/v1/patients/{patient}/glucose-summary?{window}");
        let summary = app.get(&path).await.json();
        assert_eq!(summary["readings"], 3);
        assert_eq!(summary["mean"], 8.0);
        assert_eq!(summary["unit"], "mmol/L");
        assert_eq!(
            (&summary["active_percent"], &summary["sufficient"]),
            (&json!(100.0), &json!(true))
        );
        let percents: Vec<_> = summary["ranges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|range| range["readings"].clone())
            .collect();
        assert_eq!(percents, [0, 0, 2, 1, 0]);
        // A sensor that should have sent more.
        let summary = app.get(&format!("{path}&interval=1")).await.json();
        assert_eq!(
            (&summary["active_percent"], &summary["sufficient"]),
            (&json!(20.0), &json!(false))
        );
    }

    #[tokio::test]
    async fn what_cannot_be_summed_up_is_explained() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let mut told = String::new();
        for (patient, query) in [
            (patient.0, "interval=0"),
            (patient.0, "zone=Mars"),
            (patient.0, "from=2026-01-01T00:00:00Z"),
            (patient.0, "from=2026-11-22T08:00:00Z&to=2026-11-22T08:00:00Z"),
            (1002, ""),
        ] {
            let answer = app
                .get(&format!("/api/v1/patients/{patient}/glucose-summary?{query}"))
                .await;
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            let parameter = problem["parameter"].as_str().unwrap_or("-");
            told += &format!(
                "{} {parameter}: {}\n",
                answer.status.as_u16(),
                problem["detail"].as_str().unwrap()
            );
        }
        assert_snapshot!(told, @r#"
        400 interval: a sensor measures every minute at most
        400 zone: "Mars" is not the name of a time zone
        400 from: a summary is over 90 days at most
        400 from: from must be before to
        404 -: there is no patient 1002
        "#);
    }
}
