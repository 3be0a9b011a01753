//! `GET /api/v1/patients/{patient}/blood-pressure-summary`: courses of measurements at home, after NICE NG136.
//!
//! Parameters: `from` and `to` (RFC 3339; the last 28 days, at most 366) and `zone` (the patient's time zone by its
//! IANA name, `Europe/London` by default), whose days are meant by days.
//!
//! A course begins with the first measurement in the window, lasts seven days, and is followed by another that begins
//! with the next measurement. The newest is the first in the answer. Of each there are the measurements, with the
//! reason why one is not used; the averages of its days; the average of all that was measured after its first day; the
//! `range` of a stage that this is in, and the treated target of the patient's age at the time. `range` and
//! `target.met` are null with measurements on fewer than four days. `sufficiency` says whether there was enough to go
//! by, and what there is to be said against it. Measurements that are marked as entered in error stand apart.

use axum::Json;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::Zone;
use homeward_alerts::summary::blood_pressure::{
    HomeCourse, Measurement, entered_in_error, summarise_blood_pressure,
};
use homeward_record::{Metric, PatientId};
use homeward_store::summary::born;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Path, Query, Window, window_parameters, zone};
use crate::series::{observations, readings_of_window, require_patient, unknown};

/// Four courses, one after the other.
const USUAL: TimeDelta = TimeDelta::days(28);

/// A year.
const LONGEST: TimeDelta = TimeDelta::days(366);

const METRICS: [Metric; 3] = [Metric::Systolic, Metric::Diastolic, Metric::IrregularPulse];

window_parameters!(zone: String);

#[derive(Serialize, ToSchema)]
pub(crate) struct Summary {
    patient: PatientId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    #[schema(value_type = String)]
    zone: Zone,
    unit: &'static str,
    /// The newest first.
    pub(crate) courses: Vec<HomeCourse>,
    entered_in_error: Vec<Measurement>,
    source: &'static str,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Summary>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let zone = zone(parameters.zone.as_deref())?;
    let window = Window::of_summary(parameters.from, parameters.to, exchange.now(), (USUAL, LONGEST))?;

    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    summarise(&mut connection, patient, window, zone).await.map(Json)
}

/// The summary of the time before now, of a length.
pub(crate) async fn of_last(
    length: TimeDelta,
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Summary, ApiError> {
    let window = Window::of_summary(None, None, now, (length, LONGEST))?;
    summarise(connection, patient, window, zone(None)?).await
}

/// The summary of so many days of the patients' calendar, of which the last is today. Seven of them are one course, whatever
/// the time: a course that began earlier would be over, and leave today's measurements to another that says nothing yet.
pub(crate) async fn of_last_days(
    days: i64,
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Summary, ApiError> {
    let zone = zone(None)?;
    let first = zone.date(now) - TimeDelta::days(days - 1);
    let window = Window {
        from: zone.beginning(first),
        to: now,
    };
    summarise(connection, patient, window, zone).await
}

async fn summarise(
    connection: &mut PgConnection,
    patient: PatientId,
    window: Window,
    zone: Zone,
) -> Result<Summary, ApiError> {
    let born = born(connection, patient).await?.ok_or_else(|| unknown(patient))?;
    let readings = readings_of_window(connection, patient, &METRICS, window).await?;
    let (wrong, right): (Vec<_>, Vec<_>) = readings.iter().partition(|reading| reading.entered_in_error);
    let mut courses = summarise_blood_pressure(&observations(right), born, zone);
    courses.reverse();
    Ok(Summary {
        patient,
        from: window.from,
        to: window.to,
        zone,
        unit: Metric::Systolic.unit(),
        courses,
        entered_in_error: entered_in_error(&observations(wrong)),
        source: "NICE NG136",
    })
}

#[cfg(test)]
mod tests {
    use homeward_record::DeviceId;
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{TestApp, at};

    const DEVICE: DeviceId = DeviceId(10_001);

    /// A patient with a measurement at eight in the morning and in the evening of these days of November.
    async fn patient_with(app: &TestApp, days: &[(u32, f64, f64)]) -> PatientId {
        let patient = app.add_patient().await;
        let of_day = |&(day, systolic, diastolic): &(u32, f64, f64)| {
            ["08:00", "20:00"].into_iter().flat_map(move |time| {
                let at = at(&format!("2026-11-{day:02}T{time}:00Z"));
                [
                    (Metric::Systolic, at, systolic),
                    (Metric::Diastolic, at, diastolic),
                ]
            })
        };
        let readings: Vec<_> = days.iter().flat_map(of_day).collect();
        app.store(patient, DEVICE, &readings).await;
        patient
    }

    #[tokio::test]
    async fn a_summary_is_of_the_courses_in_its_window_the_newest_first() {
        let app = TestApp::start().await;
        let days: Vec<_> = [1, 2, 3, 4, 12, 13, 14, 15, 16]
            .map(|day| (day, if day < 10 { 152.0 } else { 136.0 }, 84.0))
            .to_vec();
        let patient = patient_with(&app, &days).await;
        let path = format!("/api/v1/patients/{patient}/blood-pressure-summary");
        let summary = app.get(&path).await.json();
        let told = |course: &Value| {
            json!([
                course["first_day"],
                course["last_day"],
                course["average"]["systolic"],
                course["range"],
                course["target"]["met"],
                course["sufficiency"]["sufficient"],
                course["days"].as_array().unwrap().len(),
            ])
        };
        let courses: Vec<_> = summary["courses"].as_array().unwrap().iter().map(told).collect();
        assert_eq!(
            courses,
            [
                json!(["2026-11-12", "2026-11-18", 136.0, "stage_1", false, true, 5]),
                json!(["2026-11-01", "2026-11-07", 152.0, "stage_2", false, true, 4]),
            ]
        );
        assert_eq!(
            (&summary["unit"], &summary["zone"]),
            (&json!("mm[Hg]"), &json!("Europe/London"))
        );
        let later = app.get(&format!("{path}?from=2026-11-10T00:00:00Z")).await.json();
        assert_eq!(later["courses"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_measurement_that_was_entered_in_error_is_shown_apart() {
        let app = TestApp::start().await;
        let patient = patient_with(&app, &[(1, 130.0, 80.0), (2, 130.0, 80.0)]).await;
        sqlx::query("UPDATE reading SET entered_in_error = true, value = 300 WHERE time = $1")
            .bind(at("2026-11-02T08:00:00Z"))
            .execute(app.pool())
            .await
            .unwrap();
        let path = format!("/api/v1/patients/{patient}/blood-pressure-summary");
        let summary = app.get(&path).await.json();
        let course = &summary["courses"][0];
        assert_eq!(
            course["average"],
            json!({"systolic": 130.0, "diastolic": 80.0, "measurements": 1})
        );
        assert_eq!(course["measurements"].as_array().unwrap().len(), 3);
        assert_eq!(
            summary["entered_in_error"],
            json!([{
                "at": "2026-11-02T08:00:00Z", "device": DEVICE, "systolic": 300.0, "diastolic": 300.0,
                "irregular_pulse": false, "used": false, "why_not": "entered_in_error", "too_soon": false,
            }])
        );
        assert_eq!(
            course["measurements"][0],
            json!({
                "at": "2026-11-01T08:00:00Z", "device": DEVICE, "systolic": 130.0, "diastolic": 80.0,
                "irregular_pulse": false, "used": false, "why_not": "first_day", "too_soon": false,
            })
        );
    }

    #[tokio::test]
    async fn what_cannot_be_summed_up_is_explained() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let mut told = String::new();
        for (patient, query) in [
            (patient.0, "zone=Mars"),
            (patient.0, "from=2025-01-01T00:00:00Z"),
            (patient.0, "days=7"),
            (1002, ""),
        ] {
            let answer = app
                .get(&format!(
                    "/api/v1/patients/{patient}/blood-pressure-summary?{query}"
                ))
                .await;
            told += &format!("{}\n", answer.problem());
        }
        assert_snapshot!(told, @r#"
        400 zone: "Mars" is not the name of a time zone
        400 from: a summary is over 366 days at most
        400 days: there is no such parameter; there are from, to, zone
        404 -: there is no patient 1002
        "#);
        let empty = app
            .get(&format!("/api/v1/patients/{patient}/blood-pressure-summary"))
            .await;
        assert_eq!(empty.json()["courses"], json!([]));
    }
}
