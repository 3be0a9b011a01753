//! What can be asked for: the types of the wire format, and the numbers of which they are made.

use homeward_record::{Metric, PatientId};
use homeward_store::history::patient_exists;
use sqlx::PgConnection;

use crate::error::ApiError;

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
        Err(ApiError::NotFound(format!("there is no patient {patient}")))
    }
}
