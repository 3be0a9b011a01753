use sqlx::PgConnection;

use super::AdminError;
use crate::Error;

/// Adds an organisation and answers with its identifier. `kind` is `care_team`, `gp_practice`, `hospital` or
/// `ambulance`.
pub async fn add_organisation(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
) -> Result<i64, AdminError> {
    sqlx::query_scalar!(
        "INSERT INTO organisation (kind, name) VALUES ($1, $2) RETURNING organisation_id",
        kind,
        name
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("add the organisation", source).into())
}

/// An organisation as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedOrganisation {
    /// Its number.
    pub id: i64,
    /// `care_team`, `gp_practice`, `hospital` or `ambulance`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// How many roles are held there by people.
    pub people: i64,
    /// How many patients are registered there or enrolled with it; only those whom the caller may know of count.
    pub patients: i64,
    /// How many devices are of its stock and not revoked.
    pub devices: i64,
}

/// All organisations, by kind and name; only those of one kind, if one is named.
pub async fn list_organisations(
    connection: &mut PgConnection,
    kind: Option<&str>,
) -> Result<Vec<ListedOrganisation>, Error> {
    sqlx::query_as!(
        ListedOrganisation,
        r#"SELECT organisation_id AS id, kind, name,
             (SELECT count(*) FROM held_role WHERE held_role.organisation_id = organisation.organisation_id
                 AND account_id IS NOT NULL AND ended_at IS NULL) AS "people!",
             (SELECT count(*) FROM patient WHERE patient.organisation_id = organisation.organisation_id)
             + (SELECT count(*) FROM enrolment WHERE enrolment.organisation_id = organisation.organisation_id
                 AND ended_at IS NULL) AS "patients!",
             (SELECT count(*) FROM device WHERE device.organisation_id = organisation.organisation_id
                 AND revoked_at IS NULL) AS "devices!"
           FROM organisation WHERE $1::text IS NULL OR kind = $1
           ORDER BY kind, name, organisation_id"#,
        kind
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list organisations", source))
}

/// The organisations of one kind, or of any, by number and name: what a field offers.
pub async fn organisation_names(
    connection: &mut PgConnection,
    kind: Option<&str>,
) -> Result<Vec<(i64, String)>, Error> {
    let rows = sqlx::query!(
        "SELECT organisation_id, name FROM organisation WHERE $1::text IS NULL OR kind = $1
         ORDER BY name, organisation_id",
        kind
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list organisations", source))?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organisation_id, row.name))
        .collect())
}
