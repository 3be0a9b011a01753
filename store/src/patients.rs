//! Patients and their devices as their record names them.

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{DeviceId, PatientId};
use sqlx::PgConnection;

use crate::Error;

/// A patient of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The record's own number.
    pub id: PatientId,
    /// The NHS number, ten digits.
    pub nhs_number: String,
    /// The name.
    pub name: String,
    /// The date of birth.
    pub born: NaiveDate,
    /// The GP practice where the patient is registered: number and name.
    pub practice: Option<(i64, String)>,
}

/// Which patients to find; what is not given is not asked.
#[derive(Clone, Debug, Default)]
pub struct PersonFilter {
    /// Those with one of these numbers.
    pub ids: Option<Vec<i64>>,
    /// Those with one of these NHS numbers.
    pub nhs_numbers: Option<Vec<String>>,
    /// Those of whose name, of each of these lists, one is how a part of it begins, in any case.
    pub names: Vec<Vec<String>>,
    /// Those after this one.
    pub after: Option<PatientId>,
}

/// Finds patients, by their numbers; at most `limit` of them.
pub async fn find_people(
    connection: &mut PgConnection,
    filter: &PersonFilter,
    limit: i64,
) -> Result<Vec<Person>, Error> {
    // A regular expression for each list: `\m` is where a word begins.
    let names: Vec<String> = filter.names.iter().map(|list| beginnings(list)).collect();
    let rows = sqlx::query!(
        r#"SELECT patient_id, nhs_number, patient.name, born, organisation_id AS practice,
             organisation.name AS "practice_name?"
         FROM patient LEFT JOIN organisation USING (organisation_id)
         WHERE ($1::bigint[] IS NULL OR patient_id = ANY ($1))
             AND ($2::text[] IS NULL OR nhs_number = ANY ($2))
             AND NOT EXISTS (SELECT FROM UNNEST($3::text[]) AS asked (name) WHERE patient.name !~* asked.name)
             AND ($4::bigint IS NULL OR patient_id > $4)
         ORDER BY patient_id LIMIT $5"#,
        filter.ids.as_deref(),
        filter.nhs_numbers.as_deref(),
        &names,
        filter.after.map(|patient| patient.0),
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("find patients", source))?;
    let people = rows.into_iter().map(|row| Person {
        id: PatientId(row.patient_id),
        nhs_number: row.nhs_number,
        name: row.name,
        born: row.born,
        practice: row.practice.zip(row.practice_name),
    });
    Ok(people.collect())
}

/// What a name has to match to have a part that begins with one of these.
fn beginnings(names: &[String]) -> String {
    let escaped: Vec<String> = names
        .iter()
        .map(|name| {
            let mut text = String::new();
            for letter in name.chars() {
                if !letter.is_alphanumeric() {
                    text.push('\\');
                }
                text.push(letter);
            }
            text
        })
        .collect();
    format!("(^|[[:space:]-])({})", escaped.join("|"))
}

/// A device that measures a patient, or has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedDevice {
    /// Which.
    pub id: DeviceId,
    /// What it is.
    pub kind: String,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whom it measures, or measured.
    pub patient: PatientId,
    /// Whether it does so still.
    pub current: bool,
}

/// The devices that measure a patient, or ever have.
pub async fn devices_of(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<AssignedDevice>, Error> {
    assigned(connection, Some(patient), None, now).await
}

/// A device, with the patient whom it measures, or the last whom it did; only those whom the caller may see count.
pub async fn find_device(
    connection: &mut PgConnection,
    device: DeviceId,
    now: DateTime<Utc>,
) -> Result<Option<AssignedDevice>, Error> {
    Ok(assigned(connection, None, Some(device), now).await?.pop())
}

async fn assigned(
    connection: &mut PgConnection,
    patient: Option<PatientId>,
    device: Option<DeviceId>,
    now: DateTime<Utc>,
) -> Result<Vec<AssignedDevice>, Error> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT ON (device_id) device_id, kind, revoked_at, patient_id, valid_during @> $3::timestamptz AS "current!"
         FROM device JOIN device_assignment USING (device_id)
         WHERE ($1::bigint IS NULL OR patient_id = $1) AND ($2::bigint IS NULL OR device_id = $2)
         ORDER BY device_id, valid_during @> $3::timestamptz DESC, lower(valid_during) DESC"#,
        patient.map(|patient| patient.0),
        device.map(|device| device.0),
        now
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("find devices", source))?;
    let devices = rows.into_iter().map(|row| AssignedDevice {
        id: DeviceId(row.device_id),
        kind: row.kind,
        revoked_at: row.revoked_at,
        patient: PatientId(row.patient_id),
        current: row.current,
    });
    Ok(devices.collect())
}

/// A UUID that nothing else has.
pub async fn new_uuid(connection: &mut PgConnection) -> Result<String, Error> {
    sqlx::query_scalar!(r#"SELECT gen_random_uuid()::text AS "uuid!""#)
        .fetch_one(connection)
        .await
        .map_err(|source| Error::new("draw a UUID", source))
}
