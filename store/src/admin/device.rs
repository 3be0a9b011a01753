use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, PatientId};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::{AdminError, Kind, require, secret_hash};
use crate::Error;
use crate::devices::Assignment;

/// A device that enters the record, with the patient whom it measures.
#[derive(Clone, Debug)]
pub struct NewDevice<'a> {
    /// What it is: `cuff`, `watch`, `cgm`, …; not empty.
    pub kind: &'a str,
    /// Its secret. The record keeps only the hash.
    pub secret: &'a str,
    /// How far its clock face is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// Whom it measures.
    pub patient: PatientId,
    /// The first instant from which it measures that patient.
    pub from: DateTime<Utc>,
}

/// Adds devices with their first assignments and answers with their identifiers, in the same order.
pub async fn add_devices(
    connection: &mut PgConnection,
    new: &[NewDevice<'_>],
) -> Result<Vec<DeviceId>, AdminError> {
    let patients: Vec<i64> = new.iter().map(|device| device.patient.0).collect();
    require(connection, Kind::Patient, &patients).await?;

    let hashes: Vec<Vec<u8>> = new
        .iter()
        .map(|device| secret_hash(device.secret).to_vec())
        .collect();
    // The numbers are drawn first: rows that an insert returns are in no order, and requests may not read a secret's
    // hash by which to tell them apart.
    let ids = sqlx::query_scalar!(
        r#"SELECT nextval(pg_get_serial_sequence('device', 'device_id')) AS "id!" FROM generate_series(1, $1::bigint)"#,
        i64::try_from(new.len()).unwrap_or(i64::MAX)
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|source| Error::new("number devices", source))?;
    sqlx::query!(
        "INSERT INTO device (device_id, kind, secret_hash, utc_offset_minutes)
         OVERRIDING SYSTEM VALUE SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::bytea[], $4::integer[])",
        &ids,
        &new.iter()
            .map(|device| device.kind.to_owned())
            .collect::<Vec<_>>(),
        &hashes,
        &new.iter()
            .map(|device| device.utc_offset_minutes)
            .collect::<Vec<_>>(),
    )
    .execute(&mut *connection)
    .await
    .map_err(|source| Error::new("add devices", source))?;
    sqlx::query!(
        "INSERT INTO device_assignment (device_id, patient_id, valid_during)
         SELECT device_id, patient_id, tstzrange(valid_from, NULL)
         FROM UNNEST($1::bigint[], $2::bigint[], $3::timestamptz[]) AS new (device_id, patient_id, valid_from)",
        &ids,
        &patients,
        &new.iter().map(|device| device.from).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("assign devices", source))?;
    Ok(ids.into_iter().map(DeviceId).collect())
}

/// Ends the device's running assignment at `from`, if it has one, and begins that to `patient`; one that runs to the same
/// patient and began later begins at `from` instead. Readings that are stored already stay with the patient to whom they
/// were given.
pub async fn assign_device(
    connection: &mut PgConnection,
    device: DeviceId,
    patient: PatientId,
    from: DateTime<Utc>,
) -> Result<(), AdminError> {
    require(connection, Kind::Patient, &[patient.0]).await?;
    // Two changes of one device wait for each other here. The lock is one that lets writers of readings refer
    // to the device, for this transaction waits for them at the gate.
    let locked = sqlx::query!(
        "SELECT revoked_at FROM device WHERE device_id = $1 FOR NO KEY UPDATE",
        device.0
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(|source| Error::new("lock the device", source))?;
    match locked {
        None => return Err(unknown_device(device)),
        Some(row) => {
            if let Some(revoked_at) = row.revoked_at {
                return Err(AdminError::Revoked { device, revoked_at });
            }
        }
    }

    let assignments = assignments_after(connection, device, from).await?;
    if let [running] = assignments[..]
        && running.until.is_none()
        && running.patient == patient
        && running.from >= from
    {
        return begin_earlier(connection, device, from).await;
    }
    // Only an assignment that runs, and began earlier, can give way.
    let in_the_way = assignments
        .iter()
        .find(|assignment| assignment.until.is_some() || assignment.from >= from);
    if let Some(&assignment) = in_the_way {
        return Err(AdminError::Overlap { from, assignment });
    }

    sqlx::query!(
        "UPDATE device_assignment SET valid_during = tstzrange(lower(valid_during), $2)
         WHERE device_id = $1 AND upper_inf(valid_during)",
        device.0,
        from
    )
    .execute(&mut *connection)
    .await
    .map_err(|source| Error::new("end the running assignment", source))?;
    sqlx::query!(
        "INSERT INTO device_assignment (device_id, patient_id, valid_during)
         VALUES ($1, $2, tstzrange($3, NULL))",
        device.0,
        patient.0,
        from
    )
    .execute(connection)
    .await
    .map_err(not_assigned)?;
    Ok(())
}

/// Lets the running assignment of a device begin earlier.
async fn begin_earlier(
    connection: &mut PgConnection,
    device: DeviceId,
    from: DateTime<Utc>,
) -> Result<(), AdminError> {
    sqlx::query!(
        "UPDATE device_assignment SET valid_during = tstzrange($2, NULL)
         WHERE device_id = $1 AND upper_inf(valid_during)",
        device.0,
        from
    )
    .execute(connection)
    .await
    .map_err(not_assigned)?;
    Ok(())
}

/// Periods that the caller may not see show only by being in the way.
fn not_assigned(source: sqlx::Error) -> AdminError {
    let constraint = source.as_database_error().and_then(|error| error.constraint());
    match constraint == Some("a_device_measures_one_patient_at_a_time") {
        true => AdminError::InUse,
        false => Error::new("assign the device", source).into(),
    }
}

/// The periods of a device that go on at an instant or begin later, by their beginnings.
async fn assignments_after(
    connection: &mut PgConnection,
    device: DeviceId,
    at: DateTime<Utc>,
) -> Result<Vec<Assignment>, Error> {
    sqlx::query_as!(
        Assignment,
        r#"SELECT patient_id AS patient, lower(valid_during) AS "from!", upper(valid_during) AS until
         FROM device_assignment
         WHERE device_id = $1 AND (upper_inf(valid_during) OR upper(valid_during) > $2)
         ORDER BY valid_during"#,
        device.0,
        at
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("look up a device's assignments", source))
}

/// Revokes a device and answers with the time of its first revocation. It is refused from then on, also on
/// connections that it has.
pub async fn revoke_device(
    connection: &mut PgConnection,
    device: DeviceId,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, AdminError> {
    sqlx::query_scalar!(
        r#"UPDATE device SET revoked_at = COALESCE(revoked_at, $2) WHERE device_id = $1
           RETURNING revoked_at AS "revoked_at!""#,
        device.0,
        now
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("revoke the device", source))?
    .ok_or(unknown_device(device))
}

/// One period in which a device measures a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedDevice {
    /// The device.
    pub device_id: i64,
    /// What it is.
    pub kind: String,
    /// How far its clock face is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// The first instant of the period.
    pub from: DateTime<Utc>,
    /// The first instant after the period; none while it lasts.
    pub until: Option<DateTime<Utc>>,
    /// When the device was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The devices that measure or measured a patient, in the order of their periods.
pub async fn list_devices(
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<Vec<ListedDevice>, AdminError> {
    require(connection, Kind::Patient, &[patient.0]).await?;
    sqlx::query_as!(
        ListedDevice,
        r#"SELECT device_id, kind, utc_offset_minutes, lower(valid_during) AS "from!",
                  upper(valid_during) AS until, revoked_at
           FROM device_assignment JOIN device USING (device_id)
           WHERE patient_id = $1
           ORDER BY valid_during, device_id"#,
        patient.0
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list the patient's devices", source).into())
}

pub(super) fn unknown_device(device: DeviceId) -> AdminError {
    AdminError::Unknown {
        what: "device",
        id: device.0,
    }
}
