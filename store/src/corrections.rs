//! Readings that were entered in error.

use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, Metric, PatientId};
use sqlx::PgConnection;

use crate::history::ReadingPlace;
use crate::rollup::hour_of;
use crate::rules::StoredReading;
use crate::{Error, Gate};

/// Marks a reading as entered in error: it stays, and counts for nothing any more. Answers the reading, or none
/// where there is no such reading that counts.
///
/// Holds the gate from here to the end of the transaction: nothing is judged by what the reading said meanwhile,
/// and whoever remembers the patient's rules forgets them.
pub async fn enter_in_error(
    connection: &mut PgConnection,
    patient: PatientId,
    place: ReadingPlace,
    (author, reason): (&str, &str),
    now: DateTime<Utc>,
) -> Result<Option<StoredReading>, Error> {
    let failed = |source| Error::new("mark a reading as entered in error", source);
    Gate::hold(connection).await?;
    let marked = sqlx::query!(
        "UPDATE reading SET entered_in_error = true
         WHERE patient_id = $1 AND metric = $2 AND time = $3 AND device_id = $4 AND NOT entered_in_error
         RETURNING value, received_at",
        patient.0,
        place.metric.code(),
        place.at,
        place.device.0
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let Some(marked) = marked else { return Ok(None) };
    sqlx::query!(
        "INSERT INTO reading_correction (patient_id, metric, time, device_id, author, reason, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        patient.0,
        place.metric.code(),
        place.at,
        place.device.0,
        author,
        reason,
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "INSERT INTO rollup_dirty (patient_id, metric, bucket)
         SELECT $1, $2, $3 FROM gate WHERE $3 < rollup_mark",
        patient.0,
        place.metric.code(),
        hour_of(place.metric, place.at)
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query!("SELECT pass_gate(NULL, $1)", patient.0)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(Some(StoredReading {
        patient,
        metric: place.metric,
        at: place.at,
        device: place.device,
        value: marked.value,
        received_at: marked.received_at,
    }))
}

/// Who marked a reading as entered in error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Its number.
    pub id: i64,
    /// Of which device the reading is.
    pub device: DeviceId,
    /// What was measured.
    pub metric: Metric,
    /// When it was measured.
    pub measured_at: DateTime<Utc>,
    /// Who marked it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// The corrections of a patient's readings that were measured within a time, in the order in which they were made.
pub async fn corrections_of(
    connection: &mut PgConnection,
    patient: PatientId,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<Correction>, Error> {
    let rows = sqlx::query!(
        "SELECT reading_correction_id, device_id, metric, time, author, reason, at FROM reading_correction
         WHERE patient_id = $1 AND time >= $2 AND time < $3 ORDER BY reading_correction_id",
        patient.0,
        from,
        until
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read corrections", source))?;
    let corrections = rows.into_iter().filter_map(|row| {
        Some(Correction {
            id: row.reading_correction_id,
            device: DeviceId(row.device_id),
            metric: Metric::from_code(row.metric)?,
            measured_at: row.time,
            author: row.author,
            reason: row.reason,
            at: row.at,
        })
    });
    Ok(corrections.collect())
}
