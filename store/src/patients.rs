//! Patients and their devices as their record names them.

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{DeviceId, Metric, PatientId};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

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
    /// Counts the changes of these details.
    pub version: i32,
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
             organisation.name AS "practice_name?", version
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
        version: row.version,
    });
    Ok(people.collect())
}

/// One patient; `None` where the caller may see none of this number.
pub async fn find_person(connection: &mut PgConnection, patient: PatientId) -> Result<Option<Person>, Error> {
    let filter = PersonFilter {
        ids: Some(vec![patient.0]),
        ..PersonFilter::default()
    };
    Ok(find_people(connection, &filter, 1).await?.pop())
}

/// What can be changed of a patient's details.
#[derive(Clone, Copy, Debug)]
pub struct Details<'a> {
    /// The name; not empty.
    pub name: &'a str,
    /// The date of birth.
    pub born: NaiveDate,
    /// The GP practice where the patient is registered.
    pub practice: Option<i64>,
}

/// Changes a patient's details, if they are in this version (`None`: in any). Answers whether they were.
pub async fn change_details(
    connection: &mut PgConnection,
    patient: PatientId,
    version: Option<i32>,
    details: &Details<'_>,
) -> Result<bool, Error> {
    let changed = sqlx::query!(
        "UPDATE patient SET name = $3, born = $4, organisation_id = $5, version = version + 1
         WHERE patient_id = $1 AND ($2::integer IS NULL OR version = $2)",
        patient.0,
        version,
        details.name,
        details.born,
        details.practice
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("change a patient's details", source))?;
    Ok(changed.rows_affected() > 0)
}

/// Somebody whom the lead of a team puts into the team's care.
#[derive(Clone, Copy, Debug)]
pub struct Enrolled<'a> {
    /// The NHS number, ten digits.
    pub nhs_number: &'a str,
    /// The details; of a patient who is in the record already, the date of birth has to be right, and the rest stays as
    /// it is there.
    pub details: Details<'a>,
}

/// Enrols somebody with the team of the lead who asks for it: a patient who is new to the record, or one who is in it.
/// Answers who that is and whether they are new; `None` where the number is in the record with another date of birth.
pub async fn enrol_with_own_team(
    connection: &mut PgConnection,
    new: &Enrolled<'_>,
    by: &str,
) -> Result<Option<(PatientId, bool)>, Error> {
    let row = sqlx::query!(
        r#"SELECT patient_id AS "patient!", is_new AS "is_new!" FROM enrol_with_own_team($1, $2, $3, $4, $5)"#,
        new.nhs_number,
        new.details.name,
        new.details.born,
        new.details.practice,
        by
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("enrol a patient with a team", source))?;
    Ok(row.map(|row| (PatientId(row.patient), row.is_new)))
}

/// The programmes of a patient's care plan, by name.
pub async fn programmes_of(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<String>, Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT programme FROM care_plan_rule
         WHERE patient_id = $1 AND programme <> '' AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2)
         ORDER BY programme",
        patient.0,
        now
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("look up a patient's programmes", source))
}

/// A team that looks after a patient, or has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Enrolment {
    /// The team's number.
    pub organisation: i64,
    /// Its name.
    pub name: String,
    /// Since when.
    pub enrolled_at: DateTime<Utc>,
    /// Who enrolled the patient.
    pub enrolled_by: String,
    /// Until when; none while it lasts.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who ended it.
    pub ended_by: Option<String>,
}

/// The teams that look after a patient or have, from the first.
pub async fn enrolments_of(
    connection: &mut PgConnection,
    patient: PatientId,
) -> Result<Vec<Enrolment>, Error> {
    sqlx::query_as!(
        Enrolment,
        "SELECT organisation_id AS organisation, name, enrolled_at, enrolled_by, ended_at, ended_by
         FROM enrolment JOIN organisation USING (organisation_id)
         WHERE patient_id = $1 ORDER BY enrolled_at, enrolment_id",
        patient.0
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list a patient's enrolments", source))
}

/// What kind of organisation this is: `care_team`, `gp_practice`, `hospital` or `ambulance`; `None`: there is none of
/// this number.
pub async fn kind_of_organisation(
    connection: &mut PgConnection,
    organisation: i64,
) -> Result<Option<String>, Error> {
    sqlx::query_scalar!(
        "SELECT kind FROM organisation WHERE organisation_id = $1",
        organisation
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up an organisation", source))
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

/// What a device has measured of a patient.
pub async fn metrics_of(
    connection: &mut PgConnection,
    patient: PatientId,
    device: DeviceId,
) -> Result<Vec<Metric>, Error> {
    let metrics = sqlx::query_scalar!(
        r#"SELECT kind.metric AS "metric!" FROM UNNEST($3::smallint[]) AS kind (metric)
           WHERE EXISTS (SELECT FROM reading
               WHERE patient_id = $1 AND reading.metric = kind.metric AND device_id = $2)
           ORDER BY kind.metric"#,
        patient.0,
        device.0,
        &Metric::ALL.map(Metric::code)[..]
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("find what a device has measured", source))?;
    Ok(metrics.into_iter().filter_map(Metric::from_code).collect())
}

/// A UUID that nothing else has.
pub async fn new_uuid(connection: &mut PgConnection) -> Result<String, Error> {
    sqlx::query_scalar!(r#"SELECT gen_random_uuid()::text AS "uuid!""#)
        .fetch_one(connection)
        .await
        .map_err(|source| Error::new("draw a UUID", source))
}
