use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, PatientId};
use sqlx::PgConnection;

use super::{AdminError, secret_hash};
use crate::Error;

/// A device that enters a stock, with nobody yet.
#[derive(Clone, Debug)]
pub struct NewOfStock<'a> {
    /// What it is: `cuff`, `watch`, `cgm`, …; not empty.
    pub kind: &'a str,
    /// What is printed on it.
    pub label: Option<&'a str>,
    /// Its secret. The record keeps only the hash.
    pub secret: &'a str,
    /// How far its clock face is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// Whose stock it enters; `None`: nobody's.
    pub organisation: Option<i64>,
}

/// Adds a device that measures nobody yet, and answers with its identifier.
pub async fn add_to_stock(
    connection: &mut PgConnection,
    new: &NewOfStock<'_>,
) -> Result<DeviceId, AdminError> {
    super::require(connection, super::Kind::Organisation, new.organisation.as_slice()).await?;
    let id = sqlx::query_scalar!(
        "INSERT INTO device (kind, label, secret_hash, utc_offset_minutes, organisation_id)
         VALUES ($1, $2, $3, $4, $5) RETURNING device_id",
        new.kind,
        new.label,
        &secret_hash(new.secret),
        new.utc_offset_minutes,
        new.organisation
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("add a device", source))?;
    Ok(DeviceId(id))
}

/// Takes a device back: it measures nobody from `at` on, until it is given to somebody again. Answers whom it measured;
/// `None`: nobody, or only from later on.
pub async fn return_device(
    connection: &mut PgConnection,
    device: DeviceId,
    at: DateTime<Utc>,
) -> Result<Option<PatientId>, AdminError> {
    let patient = sqlx::query_scalar!(
        "UPDATE device_assignment SET valid_during = tstzrange(lower(valid_during), $2)
         WHERE device_id = $1 AND upper_inf(valid_during) AND lower(valid_during) < $2 RETURNING patient_id",
        device.0,
        at
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("take a device back", source))?;
    Ok(patient.map(PatientId))
}

/// Which devices to list; what is not given is not asked.
#[derive(Clone, Debug, Default)]
pub struct StockFilter {
    /// Those of this organisation's stock, and those that measure a patient whom the caller may see.
    pub organisation: Option<i64>,
    /// The one with this number.
    pub id: Option<i64>,
    /// Those that measure nobody, or those that measure somebody; both without those that are revoked.
    pub with_somebody: Option<bool>,
    /// Those that were revoked, or those that were not.
    pub revoked: Option<bool>,
    /// Those in whose kind or label this stands, in any case.
    pub text: Option<String>,
    /// Those before this one, in the order of the list.
    pub before: Option<i64>,
}

/// A device of a stock.
#[derive(Clone, Debug, PartialEq)]
pub struct OfStock {
    /// Which.
    pub id: DeviceId,
    /// What it is.
    pub kind: String,
    /// What is printed on it.
    pub label: Option<String>,
    /// How far its clock face is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// Whose stock it belongs to: number and name.
    pub organisation: Option<(i64, String)>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whom it measures, if the caller may see them: number and name, and since when.
    pub patient: Option<(PatientId, String, DateTime<Utc>)>,
    /// Whether it measures anybody.
    pub with_somebody: bool,
    /// When it was last connected or sent something.
    pub last_contact: Option<DateTime<Utc>>,
    /// How full its battery was, in percent, and when it said so.
    pub battery: Option<(i16, DateTime<Utc>)>,
}

/// The devices of a stock, the latest first; at most `limit` of them. What stands for readings that people type in is
/// none.
pub async fn list_stock(
    connection: &mut PgConnection,
    filter: &StockFilter,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<OfStock>, Error> {
    let rows = sqlx::query!(
        r#"SELECT device.device_id AS "id!", device.kind AS "kind!", label, utc_offset_minutes AS "utc_offset_minutes!",
             device.organisation_id, organisation.name AS "organisation_name?", device.created_at AS "created_at!",
             revoked_at, patient_id AS "patient?", patient.name AS "patient_name?", lower(valid_during) AS since,
             is_with_somebody(device.device_id, $1) AS "with_somebody!", last_at AS "last_at?", battery_percent,
             battery_at
           FROM device
           LEFT JOIN organisation USING (organisation_id)
           LEFT JOIN device_assignment
               ON device_assignment.device_id = device.device_id AND valid_during @> $1::timestamptz
           LEFT JOIN patient USING (patient_id)
           LEFT JOIN device_contact ON device_contact.device_id = device.device_id
           WHERE device.kind <> 'manual' AND ($2::bigint IS NULL OR device.organisation_id = $2 OR patient_id IS NOT NULL)
             AND ($3::bigint IS NULL OR device.device_id = $3)
             AND ($4::boolean IS NULL OR is_with_somebody(device.device_id, $1) = $4 AND revoked_at IS NULL)
             AND ($5::boolean IS NULL OR (revoked_at IS NOT NULL) = $5)
             AND ($6::text IS NULL OR strpos(lower(device.kind), lower($6)) > 0 OR strpos(lower(label), lower($6)) > 0
                 OR device.device_id::text = $6)
             AND ($7::bigint IS NULL OR device.device_id < $7)
           ORDER BY device.device_id DESC LIMIT $8"#,
        now,
        filter.organisation,
        filter.id,
        filter.with_somebody,
        filter.revoked,
        filter.text,
        filter.before,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list devices", source))?;
    let devices = rows.into_iter().map(|row| OfStock {
        id: DeviceId(row.id),
        kind: row.kind,
        label: row.label,
        utc_offset_minutes: row.utc_offset_minutes,
        organisation: row.organisation_id.zip(row.organisation_name),
        created_at: row.created_at,
        revoked_at: row.revoked_at,
        patient: match (row.patient, row.patient_name, row.since) {
            (Some(patient), Some(name), Some(since)) => Some((PatientId(patient), name, since)),
            _ => None,
        },
        with_somebody: row.with_somebody,
        last_contact: row.last_at,
        battery: row.battery_percent.zip(row.battery_at),
    });
    Ok(devices.collect())
}
