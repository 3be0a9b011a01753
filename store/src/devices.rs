//! Devices, their credentials, and whose patient they measure when.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric, PatientId};
use sqlx::PgConnection;

use crate::Error;

/// A device as the record knows it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its identifier.
    pub id: DeviceId,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// When it was revoked: from then on it may not connect.
    pub revoked_at: Option<DateTime<Utc>>,
    /// How far its clock face is ahead of UTC.
    pub utc_offset: TimeDelta,
    /// Whose patient it measures; the periods do not overlap.
    pub assignments: Vec<Assignment>,
}

/// A period in which a device measures one patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The patient.
    pub patient: PatientId,
    /// The first instant of the period.
    pub from: DateTime<Utc>,
    /// The first instant after the period; none while it lasts.
    pub until: Option<DateTime<Utc>>,
}

impl Device {
    /// The patient that the device measured at an instant.
    pub fn patient_at(&self, at: DateTime<Utc>) -> Option<PatientId> {
        let covers = |a: &&Assignment| a.from <= at && a.until.is_none_or(|until| at < until);
        self.assignments
            .iter()
            .find(covers)
            .map(|assignment| assignment.patient)
    }
}

/// The devices with these identifiers, without those that the record does not know.
pub async fn load(
    connection: &mut PgConnection,
    ids: &[DeviceId],
) -> Result<HashMap<DeviceId, Device>, Error> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"
        SELECT device.device_id AS "device_id!", secret_hash AS "secret_hash!", revoked_at,
               utc_offset_minutes AS "utc_offset_minutes!", patient_id AS "patient_id?",
               lower(valid_during) AS assigned_from,
               upper(valid_during) AS assigned_until
        FROM device LEFT JOIN device_assignment USING (device_id)
        WHERE device.device_id = ANY ($1)
        "#,
        &ids
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("load devices", source))?;

    let mut devices = HashMap::new();
    for row in rows {
        let id = DeviceId(row.device_id);
        let device = devices.entry(id).or_insert_with(|| Device {
            id,
            secret_hash: row.secret_hash.try_into().unwrap_or_default(),
            revoked_at: row.revoked_at,
            utc_offset: TimeDelta::minutes(row.utc_offset_minutes.into()),
            assignments: Vec::new(),
        });
        if let (Some(patient), Some(from)) = (row.patient_id, row.assigned_from) {
            device.assignments.push(Assignment {
                patient: PatientId(patient),
                from,
                until: row.assigned_until,
            });
        }
    }
    Ok(devices)
}

/// When readings of a patient last arrived from each device that measured some since a time.
pub async fn last_heard_of(
    connection: &mut PgConnection,
    patient: PatientId,
    since: DateTime<Utc>,
) -> Result<HashMap<DeviceId, DateTime<Utc>>, Error> {
    let rows = sqlx::query!(
        r#"SELECT device_id AS "device_id!", max(received_at) AS "heard_at!" FROM reading
           WHERE patient_id = $1 AND metric = ANY ($2) AND time >= $3 GROUP BY device_id"#,
        patient.0,
        &Metric::ALL.map(Metric::code)[..],
        since
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("look up when devices were last heard of", source))?;
    let heard = rows
        .into_iter()
        .map(|row| (DeviceId(row.device_id), row.heard_at));
    Ok(heard.collect())
}
