//! What can be asked for: the types of the wire format, and the numbers of which they are made.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::Observation;
use homeward_record::{Metric, PatientId};
use homeward_store::history::{StoredReading, latest_of_each, patient_exists};
use homeward_store::summary::{WindowReading, load_window};
use sqlx::PgConnection;

use crate::error::ApiError;
use crate::request::Window;

/// The names that a series can be asked for by: the types of the wire format, and each number that the
/// record keeps of one.
pub(crate) const TYPES: [(&str, &[Metric]); 13] = [
    ("heart_rate", &[Metric::HeartRate]),
    ("spo2", &[Metric::Spo2]),
    ("respiratory_rate", &[Metric::RespiratoryRate]),
    ("body_temperature", &[Metric::BodyTemperature]),
    ("blood_pressure", &[Metric::Systolic, Metric::Diastolic]),
    ("systolic", &[Metric::Systolic]),
    ("diastolic", &[Metric::Diastolic]),
    ("irregular_pulse", &[Metric::IrregularPulse]),
    ("glucose", &[Metric::Glucose]),
    ("steps", &[Metric::Steps]),
    ("body_weight", &[Metric::BodyWeight]),
    ("consciousness", &[Metric::Consciousness]),
    ("supplemental_oxygen", &[Metric::SupplementalOxygen]),
];

/// Refuses a patient whom the record does not have.
pub(crate) async fn require_patient(
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<(), ApiError> {
    if patient_exists(connection, patient).await? {
        Ok(())
    } else {
        Err(unknown(patient))
    }
}

/// What is said of a patient whom the record does not have.
pub(crate) fn unknown(patient: PatientId) -> ApiError {
    ApiError::NotFound(format!("there is no patient {patient}"))
}

/// The most readings that one summary is made of: more than a minute's sensor measures in 90 days. Each takes some
/// fifty bytes of memory meanwhile.
const MOST_READINGS: i64 = 200_000;

/// The readings of a window that a summary is made of, by time, metric and device, also those that are entered in
/// error.
pub(crate) async fn readings_of_window(
    connection: &mut PgConnection,
    patient: PatientId,
    metrics: &[Metric],
    window: Window,
) -> Result<Vec<WindowReading>, ApiError> {
    let bounds = (window.from, window.to);
    let readings = load_window(connection, patient, metrics, bounds, MOST_READINGS + 1).await?;
    if i64::try_from(readings.len()).is_ok_and(|n| n > MOST_READINGS) {
        let detail = format!("the window has more than {MOST_READINGS} readings: ask for a shorter one");
        return Err(ApiError::parameter("from", detail));
    }
    Ok(readings)
}

/// How far back the latest readings are looked for: what is older says little of today.
const LATEST_DAYS: TimeDelta = TimeDelta::days(90);

/// The latest reading of each metric, of those of the last 90 days.
pub(crate) async fn latest_readings(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<StoredReading>, ApiError> {
    // What was measured this minute by a clock that is ahead counts too.
    let window = (now - LATEST_DAYS, now + TimeDelta::hours(1));
    Ok(latest_of_each(connection, patient, &Metric::ALL, window).await?)
}

/// The readings as rules see them.
pub(crate) fn observations<'a>(readings: impl IntoIterator<Item = &'a WindowReading>) -> Vec<Observation> {
    let observation = |reading: &WindowReading| Observation {
        metric: reading.metric,
        at: reading.at,
        value: reading.value,
        device: reading.device,
        received_at: reading.received_at,
    };
    readings.into_iter().map(observation).collect()
}
