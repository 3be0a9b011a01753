//! Observations that came over HTTP: by what their senders know them, who entered them, and what stands for the device
//! where none is named.

use chrono::{DateTime, Utc};
use homeward_record::fhir::ObservationId;
use homeward_record::{DeviceId, Metric, PatientId};
use sqlx::{PgConnection, PgPool};

use crate::{Error, Gate};

/// By what a sender knows an Observation: system and value.
pub type Identifier = (String, String);

/// The Observation of a patient that has an identifier.
pub async fn find_identified(
    connection: &mut PgConnection,
    patient: PatientId,
    (system, value): &Identifier,
) -> Result<Option<ObservationId>, Error> {
    let row = sqlx::query!(
        "SELECT device_id, metric, time FROM observation_identifier
         WHERE patient_id = $1 AND system = $2 AND value = $3",
        patient.0,
        system,
        value
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up an identifier", source))?;
    Ok(row.and_then(|row| {
        Some(ObservationId {
            patient,
            device: DeviceId(row.device_id),
            metric: Metric::from_code(row.metric)?,
            at: row.time,
        })
    }))
}

/// Remembers identifiers of an Observation, and answers those that no other had. Who remembers the same at the same time
/// waits until this transaction ends.
pub async fn remember(
    connection: &mut PgConnection,
    identifiers: &[Identifier],
    of: ObservationId,
) -> Result<Vec<Identifier>, Error> {
    let (mut sorted, mut new) = (identifiers.to_vec(), Vec::new());
    // In one order everywhere, so that no two wait for each other.
    sorted.sort_unstable();
    for (system, value) in sorted {
        let inserted = sqlx::query!(
            "INSERT INTO observation_identifier (patient_id, system, value, device_id, metric, time)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            of.patient.0,
            system,
            value,
            of.device.0,
            of.metric.code(),
            of.at
        )
        .execute(&mut *connection)
        .await
        .map_err(|source| Error::new("remember an identifier", source))?;
        if inserted.rows_affected() > 0 {
            new.push((system, value));
        }
    }
    Ok(new)
}

/// Notes who entered what one device measured at one time. The first stays.
pub async fn note_posted(
    connection: &mut PgConnection,
    patient: PatientId,
    (at, device): (DateTime<Utc>, DeviceId),
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO posted_observation (patient_id, time, device_id, posted_by, posted_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        patient.0,
        at,
        device.0,
        by,
        now
    )
    .execute(connection)
    .await
    .map(drop)
    .map_err(|source| Error::new("note who entered a reading", source))
}

/// Who entered what one device measured at one time, if it came so.
pub async fn posted_by(
    connection: &mut PgConnection,
    patient: PatientId,
    (at, device): (DateTime<Utc>, DeviceId),
) -> Result<Option<String>, Error> {
    sqlx::query_scalar!(
        "SELECT posted_by FROM posted_observation WHERE patient_id = $1 AND time = $2 AND device_id = $3",
        patient.0,
        at,
        device.0
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up who entered a reading", source))
}

/// What stands for the device where an organisation enters a patient's readings and names none: a device of the kind
/// `manual`, made when it is first asked for, whose secret nobody knows. It has measured the patient from `since` on.
pub async fn entry_device(
    pool: &PgPool,
    patient: PatientId,
    organisation: i64,
    since: DateTime<Utc>,
    secret_hash: &[u8; 32],
) -> Result<DeviceId, Error> {
    let failed = |source| Error::new("find the device of entered readings", source);
    let mut transaction = pool.begin().await.map_err(failed)?;
    if let Some(device) = find_entry_device(&mut transaction, patient, organisation).await? {
        return Ok(device);
    }
    // An assignment passes the gate; who waits here finds the other's.
    Gate::hold(&mut transaction).await?;
    if let Some(device) = find_entry_device(&mut transaction, patient, organisation).await? {
        return Ok(device);
    }
    let device = sqlx::query_scalar!(
        "INSERT INTO device (kind, secret_hash) VALUES ('manual', $1) RETURNING device_id",
        secret_hash
    )
    .fetch_one(&mut *transaction)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "INSERT INTO device_assignment (device_id, patient_id, valid_during) VALUES ($1, $2, tstzrange($3, NULL))",
        device,
        patient.0,
        since
    )
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "INSERT INTO entry_device (patient_id, organisation_id, device_id) VALUES ($1, $2, $3)",
        patient.0,
        organisation,
        device
    )
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(DeviceId(device))
}

async fn find_entry_device(
    connection: &mut PgConnection,
    patient: PatientId,
    organisation: i64,
) -> Result<Option<DeviceId>, Error> {
    let device = sqlx::query_scalar!(
        "SELECT device_id FROM entry_device WHERE patient_id = $1 AND organisation_id = $2",
        patient.0,
        organisation
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("find the device of entered readings", source))?;
    Ok(device.map(DeviceId))
}
