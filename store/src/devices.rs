//! Devices, their credentials, and whose patient they measure when.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, PatientId};
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

/// What is known of a device's last contact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contact {
    /// Which device.
    pub device: DeviceId,
    /// When it was last connected or sent something.
    pub last_at: DateTime<Utc>,
    /// How full it said its battery is, in percent, and when.
    pub battery: Option<(i16, DateTime<Utc>)>,
}

/// Notes when devices were last heard of; what is earlier than what is noted changes nothing. For any number of them:
/// one statement.
pub async fn note_contacts(connection: &mut PgConnection, contacts: &[Contact]) -> Result<(), Error> {
    let mut sorted: Vec<&Contact> = contacts.iter().collect();
    // In one order everywhere, so that no two wait for each other.
    sorted.sort_unstable_by_key(|contact| contact.device);
    let battery = |contact: &&Contact| contact.battery.map(|(percent, _)| percent);
    sqlx::query!(
        "INSERT INTO device_contact AS known (device_id, last_at, battery_percent, battery_at)
         SELECT heard.* FROM UNNEST($1::bigint[], $2::timestamptz[], $3::smallint[], $4::timestamptz[])
             AS heard (device_id, last_at, battery_percent, battery_at)
         WHERE EXISTS (SELECT FROM device WHERE device.device_id = heard.device_id)
         ON CONFLICT (device_id) DO UPDATE SET last_at = GREATEST(known.last_at, excluded.last_at),
             battery_percent = CASE WHEN known.battery_at >= excluded.battery_at THEN known.battery_percent
                 ELSE COALESCE(excluded.battery_percent, known.battery_percent) END,
             battery_at = GREATEST(known.battery_at, excluded.battery_at)",
        &sorted.iter().map(|contact| contact.device.0).collect::<Vec<_>>(),
        &sorted.iter().map(|contact| contact.last_at).collect::<Vec<_>>(),
        &sorted.iter().map(battery).collect::<Vec<_>>() as &[Option<i16>],
        &sorted
            .iter()
            .map(|contact| contact.battery.map(|(_, at)| at))
            .collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("note when devices were last heard of", source))?;
    Ok(())
}

/// When each of some devices was last heard of; those that never were are left out.
pub async fn contacts_of(
    connection: &mut PgConnection,
    devices: &[DeviceId],
) -> Result<HashMap<DeviceId, Contact>, Error> {
    let rows = sqlx::query!(
        "SELECT device_id, last_at, battery_percent, battery_at FROM device_contact WHERE device_id = ANY ($1)",
        &devices.iter().map(|device| device.0).collect::<Vec<_>>()
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("look up when devices were last heard of", source))?;
    let contacts = rows.into_iter().map(|row| {
        let device = DeviceId(row.device_id);
        let contact = Contact {
            device,
            last_at: row.last_at,
            battery: row.battery_percent.zip(row.battery_at),
        };
        (device, contact)
    });
    Ok(contacts.collect())
}
