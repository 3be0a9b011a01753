//! Bulk exports: what was asked for, about whom, and how far it is.

use chrono::{DateTime, Utc};
use homeward_record::{EpisodeId, Metric, PatientId};
use sqlx::PgConnection;

use crate::Error;

/// About whom an export is, among those whom its caller may see.
#[derive(Clone, Copy, Debug)]
pub enum Cohort<'a> {
    /// All of them.
    Everybody,
    /// Those who are enrolled or registered with an organisation.
    Organisation(i64),
    /// Those with a rule of this programme in force.
    Programme(&'a str),
}

/// An export that begins.
#[derive(Clone, Debug)]
pub struct NewExport<'a> {
    /// Who asks for it.
    pub held_role: i64,
    /// The address of the request.
    pub request: &'a str,
    /// FHIR's names of the types.
    pub types: &'a [String],
    /// What came after this alone.
    pub since: Option<DateTime<Utc>>,
    /// Until when it can be fetched.
    pub expires_at: DateTime<Utc>,
}

/// An export.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// Its identifier.
    pub id: String,
    /// The address of the request.
    pub request: String,
    /// FHIR's names of the types.
    pub types: Vec<String>,
    /// Of each how many resources have been counted.
    pub counts: Vec<i64>,
    /// What came after this alone.
    pub since: Option<DateTime<Utc>>,
    /// As of when it is.
    pub begun_at: DateTime<Utc>,
    /// Until when it can be fetched.
    pub expires_at: DateTime<Utc>,
    /// The last patient whose resources have been counted.
    pub counted: i64,
    /// Of how many patients they have.
    pub done: i64,
    /// How many patients it is about.
    pub patients: i64,
    /// Everything is counted.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Begins an export, and answers its identifier; none while another of the same role is not complete. One that has
/// expired is over.
pub async fn begin(
    connection: &mut PgConnection,
    new: &NewExport<'_>,
    cohort: Cohort<'_>,
    now: DateTime<Utc>,
) -> Result<Option<String>, Error> {
    let failed = |source| Error::new("begin an export", source);
    sqlx::query!(
        "UPDATE bulk_export SET ended_at = $2 WHERE held_role_id = $1 AND ended_at IS NULL AND expires_at <= $2",
        new.held_role,
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    let id = sqlx::query_scalar!(
        "INSERT INTO bulk_export (held_role_id, request, types, counts, since, begun_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (held_role_id) WHERE completed_at IS NULL AND ended_at IS NULL DO NOTHING
         RETURNING export_id",
        new.held_role,
        new.request,
        new.types,
        &vec![0_i64; new.types.len()],
        new.since,
        now,
        new.expires_at
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let Some(id) = id else { return Ok(None) };
    let (organisation, programme) = match cohort {
        Cohort::Everybody => (None, None),
        Cohort::Organisation(organisation) => (Some(organisation), None),
        Cohort::Programme(programme) => (None, Some(programme)),
    };
    let patients = sqlx::query!(
        "INSERT INTO bulk_export_patient (export_id, patient_id)
         SELECT $1, patient_id FROM patient
         WHERE ($2::bigint IS NULL OR organisation_id = $2 OR EXISTS (
                 SELECT FROM enrolment WHERE enrolment.patient_id = patient.patient_id
                     AND enrolment.organisation_id = $2 AND (ended_at IS NULL OR ended_at > $4)))
             AND ($3::text IS NULL OR EXISTS (
                 SELECT FROM care_plan_rule WHERE care_plan_rule.patient_id = patient.patient_id
                     AND programme = $3 AND valid_from <= $4 AND (valid_until IS NULL OR valid_until > $4)))",
        id,
        organisation,
        programme,
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "UPDATE bulk_export SET patients = $2 WHERE export_id = $1",
        id,
        i64::try_from(patients.rows_affected()).unwrap_or(i64::MAX)
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(Some(id))
}

/// An export of the role that acts, as long as it can be fetched.
pub async fn find(
    connection: &mut PgConnection,
    id: &str,
    held_role: i64,
    now: DateTime<Utc>,
) -> Result<Option<Export>, Error> {
    sqlx::query_as!(
        Export,
        "SELECT export_id AS id, request, types, counts, since, begun_at, expires_at, counted, done, patients,
             completed_at
         FROM bulk_export
         WHERE export_id = $1 AND held_role_id = $2 AND ended_at IS NULL AND expires_at > $3 FOR UPDATE",
        id,
        held_role,
        now
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("find an export", source))
}

/// Ends an export: it cannot be fetched any more.
pub async fn end(connection: &mut PgConnection, id: &str, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE bulk_export SET ended_at = $2 WHERE export_id = $1",
        id,
        now
    )
    .execute(connection)
    .await
    .map(drop)
    .map_err(|source| Error::new("end an export", source))
}

/// The patients of an export after one of them, as far as its caller may still see them.
pub async fn patients_after(
    connection: &mut PgConnection,
    id: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<PatientId>, Error> {
    let patients = sqlx::query_scalar!(
        "SELECT patient_id FROM bulk_export_patient WHERE export_id = $1 AND patient_id > $2
         ORDER BY patient_id LIMIT $3",
        id,
        after,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read whom an export is about", source))?;
    Ok(patients.into_iter().map(PatientId).collect())
}

/// Notes how far the counting of an export is.
pub async fn note_counted(
    connection: &mut PgConnection,
    export: &Export,
    completed_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE bulk_export SET counted = $2, done = $3, counts = $4, completed_at = $5 WHERE export_id = $1",
        export.id,
        export.counted,
        export.done,
        &export.counts,
        completed_at
    )
    .execute(connection)
    .await
    .map(drop)
    .map_err(|source| Error::new("note how far an export is", source))
}

/// How many Observations the readings of a patient are that arrived within a time: what one device measured at one time is
/// as many as there are metrics, but for a blood pressure, which is one with what the cuff said of the pulse.
pub async fn count_observations(
    connection: &mut PgConnection,
    patient: PatientId,
    (since, until): (Option<DateTime<Utc>>, DateTime<Utc>),
) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"SELECT COALESCE(sum(others + CASE WHEN pressed THEN 1 ELSE irregular END), 0)::bigint AS "count!" FROM (
               SELECT count(*) FILTER (WHERE metric <> ALL ($4::smallint[]) AND metric <> $5) AS others,
                   bool_or(metric = ANY ($4)) AS pressed, count(*) FILTER (WHERE metric = $5) AS irregular
               FROM reading
               WHERE patient_id = $1 AND ($2::timestamptz IS NULL OR received_at > $2) AND received_at <= $3
               GROUP BY time, device_id, entered_in_error
           ) AS measured"#,
        patient.0,
        since,
        until,
        &[Metric::Systolic, Metric::Diastolic].map(Metric::code)[..],
        Metric::IrregularPulse.code()
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("count Observations", source))
}

/// The episodes of a patient that were raised within a time, and to which something has happened after `since`: the latest
/// raised first.
pub async fn episodes_of(
    connection: &mut PgConnection,
    patient: PatientId,
    (since, until): (Option<DateTime<Utc>>, DateTime<Utc>),
) -> Result<Vec<EpisodeId>, Error> {
    let ids = sqlx::query_scalar!(
        "SELECT episode_id FROM episode
         WHERE patient_id = $1 AND raised_at <= $3 AND ($2::timestamptz IS NULL OR EXISTS (
             SELECT FROM episode_transition
             WHERE episode_transition.episode_id = episode.episode_id AND at > $2))
         ORDER BY episode_id DESC",
        patient.0,
        since,
        until
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("find the episodes of an export", source))?;
    Ok(ids.into_iter().map(EpisodeId).collect())
}
