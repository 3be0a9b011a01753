//! `GET /api/v1/patients/{patient}/readings`: readings one by one, the newest first.
//!
//! Parameters: `type` (several with commas between them; all), `from` and `to` (RFC 3339; the last 24 hours),
//! `limit` (1 to 1,000; 100), `after` (the `next` of the page before, which is `null` on the last).

pub(crate) mod stream;

use std::str::FromStr;

use axum::Json;
use chrono::{DateTime, Utc};
use homeward_record::{Context, DeviceId, Metric, PatientId};
use homeward_store::history::{ReadingPlace, StoredReading, list_readings};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Instant, Limit, Path, Query, Window, choose_some, parsed};
use crate::series::{TYPES, require_patient};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    r#type: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    from: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    to: Option<Instant>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    limit: Option<Limit<100, 1_000>>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    patient: PatientId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    readings: Vec<Reading>,
    /// What `after` has to be for the next page.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Reading {
    metric: Metric,
    at: DateTime<Utc>,
    value: f64,
    unit: &'static str,
    device: DeviceId,
    received_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Context::is_empty")]
    context: Context,
    /// Somebody marked it so: it counts for nothing. Left out where nobody has.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    entered_in_error: bool,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let mut metrics = choose_some("type", parameters.r#type.as_deref(), &TYPES)?.concat();
    metrics.sort_unstable();
    metrics.dedup();
    let window = Window::new(parameters.from, parameters.to, exchange.now())?;
    let limit = parameters.limit.unwrap_or_default();
    let after = parameters.after.map(|Cursor(place)| place);

    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let times = (window.from, window.to);
    let mut found = list_readings(&mut connection, patient, &metrics, times, after, limit.and_one()).await?;
    let next = limit.cut(&mut found).map(|last| Cursor(last.place()).text());
    Ok(Json(Page {
        patient,
        from: window.from,
        to: window.to,
        readings: found.into_iter().map(reading).collect(),
        next,
    }))
}

fn reading(stored: StoredReading) -> Reading {
    Reading {
        metric: stored.metric,
        at: stored.at,
        value: stored.value,
        unit: stored.metric.unit(),
        device: stored.device,
        received_at: stored.received_at,
        context: stored.context,
        entered_in_error: stored.entered_in_error,
    }
}

/// The place of the last reading of a page, as callers hand it back: opaque to them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cursor(pub(crate) ReadingPlace);

impl Cursor {
    pub(crate) fn text(&self) -> String {
        let Cursor(place) = self;
        format!(
            "{}.{}.{}",
            place.at.timestamp_micros(),
            place.metric.code(),
            place.device
        )
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Cursor, &'static str> {
        let place = |text: &str| {
            let mut parts = text.split('.');
            let place = ReadingPlace {
                at: DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?,
                metric: Metric::from_code(parts.next()?.parse().ok()?)?,
                device: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(place)
        };
        place(text)
            .map(Cursor)
            .ok_or("expected the next of an earlier page")
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use homeward_store::BatchRow;
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{TestApp, at, now};

    const PATH: &str = "/api/v1/patients/1001/readings";

    #[tokio::test]
    async fn a_reading_is_told_with_all_that_its_device_said() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let row = |metric, value, context| BatchRow {
            part: 0,
            patient,
            metric,
            at: at("2026-11-22T08:00:00Z"),
            device: DeviceId(10001),
            value,
            context,
            received_at: at("2026-11-22T08:00:01.5Z"),
        };
        let glucose = Context {
            sample: Some("interstitial".to_owned()),
            meal: Some("before".to_owned()),
            cautions: vec!["sensor_warm".to_owned()],
            ..Context::default()
        };
        let rows = vec![
            row(Metric::Glucose, 6.1, glucose),
            row(Metric::HeartRate, 72.0, Context::default()),
        ];
        app.store_rows(rows).await;
        assert_snapshot!(app.get(PATH).await.show(), @r#"
        200 OK
        content-type: application/json
        cache-control: no-store

        {
          "from": "2026-11-21T12:00:00Z",
          "next": null,
          "patient": 1001,
          "readings": [
            {
              "at": "2026-11-22T08:00:00Z",
              "context": {
                "cautions": [
                  "sensor_warm"
                ],
                "meal": "before",
                "sample": "interstitial"
              },
              "device": 10001,
              "metric": "glucose",
              "received_at": "2026-11-22T08:00:01.500Z",
              "unit": "mmol/L",
              "value": 6.1
            },
            {
              "at": "2026-11-22T08:00:00Z",
              "device": 10001,
              "metric": "heart_rate",
              "received_at": "2026-11-22T08:00:01.500Z",
              "unit": "/min",
              "value": 72.0
            }
          ],
          "to": "2026-11-22T12:00:00Z"
        }
        "#);
    }

    #[tokio::test]
    async fn pages_lead_through_all_readings_newest_first() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let mut expected = Vec::new();
        for minute in 0..20 {
            for (device, metric) in [
                (1, Metric::Systolic),
                (1, Metric::Diastolic),
                (2, Metric::Systolic),
                (2, Metric::Glucose),
            ] {
                // Several readings share each time.
                let at = now() - TimeDelta::minutes(minute / 2 * 2 + 1);
                let device = DeviceId(device + minute % 2 * 2);
                app.store(patient, device, &[(metric, at, 80.0)]).await;
                expected.push((at, metric, device));
            }
        }
        expected.sort_unstable_by(|one, other| other.cmp(one));
        for (types, metrics) in [
            ("", vec![Metric::Systolic, Metric::Diastolic, Metric::Glucose]),
            ("&type=blood_pressure", vec![Metric::Systolic, Metric::Diastolic]),
            (
                "&type=glucose,diastolic",
                vec![Metric::Diastolic, Metric::Glucose],
            ),
            ("&type=spo2", vec![]),
        ] {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let page = app.get(&format!("{PATH}?limit=7{types}{after}")).await.json();
                for reading in page["readings"].as_array().unwrap() {
                    found.push((
                        at(reading["at"].as_str().unwrap()),
                        reading["metric"].as_str().unwrap().parse::<Metric>().unwrap(),
                        DeviceId(reading["device"].as_i64().unwrap()),
                    ));
                }
                match &page["next"] {
                    Value::String(next) => after = format!("&after={next}"),
                    _ => break,
                }
            }
            let of_these = |reading: &&(_, Metric, _)| metrics.contains(&reading.1);
            let expected: Vec<_> = expected.iter().filter(of_these).copied().collect();
            assert_eq!(found, expected, "{types}");
        }
    }

    #[tokio::test]
    async fn a_window_takes_its_beginning_in_and_leaves_its_end_out() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let times = ["07:59:59.999999", "08:00:00", "08:59:59.999999", "09:00:00"];
        let readings = times.map(|time| (Metric::Spo2, at(&format!("2026-11-22T{time}Z")), 97.0));
        app.store(patient, DeviceId(1), &readings).await;
        let page = app
            .get(&format!(
                "{PATH}?from=2026-11-22T08:00:00Z&to=2026-11-22T09:00:00Z"
            ))
            .await
            .json();
        let found: Vec<_> = page["readings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["at"].clone())
            .collect();
        assert_eq!(
            found,
            [
                json!("2026-11-22T08:59:59.999999Z"),
                json!("2026-11-22T08:00:00Z")
            ]
        );
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_explained() {
        let app = TestApp::start().await;
        app.add_patient().await;
        let mut told = String::new();
        for query in [
            "limit=0",
            "limit=1001",
            "limit=ten",
            "after=1.2.x",
            "after=",
            "type=glucose,",
            "type=glucose;spo2",
            "page=2",
        ] {
            let answer = app.get(&format!("{PATH}?{query}")).await;
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            told += &format!(
                "{query}: {} {}\n",
                answer.status.as_u16(),
                problem["detail"].as_str().unwrap()
            );
        }
        assert_snapshot!(told, @r#"
        limit=0: 400 expected a whole number from 1 to 1000
        limit=1001: 400 expected a whole number from 1 to 1000
        limit=ten: 400 expected a whole number from 1 to 1000
        after=1.2.x: 400 expected the next of an earlier page
        after=: 400 expected the next of an earlier page
        type=glucose,: 400 "" is none of heart_rate, spo2, respiratory_rate, body_temperature, blood_pressure, systolic, diastolic, irregular_pulse, glucose, steps, body_weight, consciousness, supplemental_oxygen
        type=glucose;spo2: 400 "glucose;spo2" is none of heart_rate, spo2, respiratory_rate, body_temperature, blood_pressure, systolic, diastolic, irregular_pulse, glucose, steps, body_weight, consciousness, supplemental_oxygen
        page=2: 400 there is no such parameter; there are type, from, to, limit, after
        "#);
        assert_eq!(app.get("/api/v1/patients/1002/readings").await.status, 404);
    }
}
