//! Readings that were entered in error.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use homeward_record::PatientId;
use sqlx::PgConnection;

use crate::history::ReadingPlace;
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
    let hour = place.at.duration_trunc(TimeDelta::hours(1)).unwrap_or(place.at);
    sqlx::query!(
        "INSERT INTO rollup_dirty (patient_id, metric, bucket)
         SELECT $1, $2, $3 FROM gate WHERE $4 < rollup_mark",
        patient.0,
        place.metric.code(),
        hour,
        place.at
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
