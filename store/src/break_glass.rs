//! Access without a relationship: for a stated reason, for a short time, and looked into by a privacy officer.

use chrono::{DateTime, NaiveDate, Utc};
use homeward_record::{NhsNumber, PatientId};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;

/// One such access.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BreakGlass {
    /// Its number.
    pub id: i64,
    /// Whose record.
    pub patient: PatientId,
    /// Who, by the name of the account, or that of the token.
    pub by: String,
    /// In which role.
    pub role: String,
    /// The name of the role's organisation.
    pub organisation: Option<String>,
    /// Why, as they said.
    pub reason: String,
    /// From when.
    pub begun_at: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// When a privacy officer looked into it.
    pub reviewed_at: Option<DateTime<Utc>>,
    /// Who that was.
    pub reviewed_by: Option<String>,
    /// What they found.
    pub finding: Option<String>,
}

/// The patient who has this number and was born on this date, whoever asks.
pub async fn find_patient(
    connection: &mut PgConnection,
    nhs_number: &NhsNumber,
    born: NaiveDate,
) -> Result<Option<PatientId>, Error> {
    let patient = sqlx::query_scalar!("SELECT find_patient($1, $2)", nhs_number.as_str(), born)
        .fetch_one(connection)
        .await
        .map_err(|source| Error::new("look up a patient", source))?;
    Ok(patient.map(PatientId))
}

/// Lets a held role see a patient from one time until another, and answers with the number of this access.
pub async fn break_glass(
    connection: &mut PgConnection,
    held_role: i64,
    patient: PatientId,
    reason: &str,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<i64, Error> {
    sqlx::query_scalar!(
        "INSERT INTO break_glass (held_role_id, patient_id, reason, begun_at, until) VALUES ($1, $2, $3, $4, $5)
         RETURNING break_glass_id",
        held_role,
        patient.0,
        reason,
        from,
        until
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("break the glass", source))
}

/// Lists these accesses: what nobody has looked into yet first, and of that the latest.
pub async fn list(connection: &mut PgConnection, limit: i64) -> Result<Vec<BreakGlass>, Error> {
    load(connection, None, limit).await
}

/// What becomes of a finding.
#[derive(Clone, Debug, PartialEq)]
pub enum Reviewed {
    /// It is noted.
    Noted(BreakGlass),
    /// Somebody else has looked into it, and what they found stands.
    Earlier(BreakGlass),
    /// Whoever looks into it has done it themselves.
    Own,
    /// There is none of this number.
    Unknown,
}

/// Notes what a privacy officer found, who may put their own finding in other words and nobody else's.
pub async fn review(
    connection: &mut PgConnection,
    id: i64,
    (by, finding): (&str, &str),
    now: DateTime<Utc>,
) -> Result<Reviewed, Error> {
    let noted = sqlx::query!(
        "UPDATE break_glass SET reviewed_at = $4, reviewed_by = $2, finding = $3
         WHERE break_glass_id = $1 AND (reviewed_by IS NULL OR reviewed_by = $2)",
        id,
        by,
        finding,
        now
    )
    .execute(&mut *connection)
    .await
    .map_err(|source| Error::new("note a finding", source))?;
    let is_noted = noted.rows_affected() > 0;
    let found = load(connection, Some(id), 1).await?.pop();
    Ok(match found {
        Some(found) if is_noted => Reviewed::Noted(found),
        Some(found) if found.reviewed_by.as_deref().is_some_and(|other| other != by) => {
            Reviewed::Earlier(found)
        }
        Some(_) => Reviewed::Own,
        None => Reviewed::Unknown,
    })
}

async fn load(connection: &mut PgConnection, id: Option<i64>, limit: i64) -> Result<Vec<BreakGlass>, Error> {
    let rows = sqlx::query!(
        r#"SELECT break_glass_id, break_glass.patient_id, role, organisation.name AS "organisation?",
             COALESCE(account.name, (SELECT min(api_token.name) FROM api_token
                 WHERE api_token.held_role_id = break_glass.held_role_id), 'a program') AS "by!",
             reason, begun_at, until, reviewed_at, reviewed_by, finding
         FROM break_glass JOIN held_role USING (held_role_id)
             LEFT JOIN account USING (account_id)
             LEFT JOIN organisation ON organisation.organisation_id = held_role.organisation_id
         WHERE $1::bigint IS NULL OR break_glass_id = $1
         ORDER BY reviewed_at IS NOT NULL, break_glass_id DESC LIMIT $2"#,
        id,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list accesses without a relationship", source))?;
    let listed = rows.into_iter().map(|row| BreakGlass {
        id: row.break_glass_id,
        patient: PatientId(row.patient_id),
        by: row.by,
        role: row.role,
        organisation: row.organisation,
        reason: row.reason,
        begun_at: row.begun_at,
        until: row.until,
        reviewed_at: row.reviewed_at,
        reviewed_by: row.reviewed_by,
        finding: row.finding,
    });
    Ok(listed.collect())
}
