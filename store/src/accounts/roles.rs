//! The roles that accounts hold, and whom patients have named as proxies.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;
use crate::access::{HeldRole, Role};

/// A role that an account holds, as its owner reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountRole {
    /// Its number.
    pub id: i64,
    /// The role.
    pub role: Role,
    /// Where.
    pub organisation: Option<i64>,
    /// The organisation's name.
    pub organisation_name: Option<String>,
    /// Who the patient is, of one who is a patient.
    pub patient: Option<PatientId>,
}

/// The roles that an account holds, in the order in which they were granted.
pub async fn roles_of(
    connection: &mut PgConnection,
    account: i64,
    now: DateTime<Utc>,
) -> Result<Vec<AccountRole>, Error> {
    let mut roles = roles_of_each(connection, &[account], now).await?;
    Ok(roles.remove(&account).unwrap_or_default())
}

/// The same of several accounts, by their numbers.
pub(super) async fn roles_of_each(
    connection: &mut PgConnection,
    accounts: &[i64],
    now: DateTime<Utc>,
) -> Result<HashMap<i64, Vec<AccountRole>>, Error> {
    let failed = |source| Error::new("look up the roles of accounts", source);
    let rows = sqlx::query!(
        r#"SELECT account_id AS "account!", held_role_id, role, organisation_id,
             organisation.name AS "organisation_name?", patient_id
           FROM held_role LEFT JOIN organisation USING (organisation_id)
           WHERE account_id = ANY ($1) AND (ended_at IS NULL OR ended_at > $2) ORDER BY held_role_id"#,
        accounts,
        now
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let read = |role: String| {
        role.parse()
            .map_err(|error: String| failed(sqlx::Error::Decode(error.into())))
    };
    let mut roles: HashMap<i64, Vec<AccountRole>> = HashMap::new();
    for row in rows {
        roles.entry(row.account).or_default().push(AccountRole {
            id: row.held_role_id,
            role: read(row.role)?,
            organisation: row.organisation_id,
            organisation_name: row.organisation_name,
            patient: row.patient_id.map(PatientId),
        });
    }
    Ok(roles)
}

impl AccountRole {
    /// What somebody of this account acts as in it.
    pub fn held_by(&self, account: i64) -> HeldRole {
        HeldRole {
            id: self.id,
            account: Some(account),
            role: self.role,
            organisation: self.organisation,
            patient: self.patient,
        }
    }
}

/// Somebody who works for an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colleague {
    /// Whose account.
    pub account: i64,
    /// The role in which they work there; the first of several.
    pub held_role: i64,
    /// The person's name.
    pub name: String,
    /// What they type to sign in: it tells two of one name apart.
    pub sign_in_name: String,
}

/// Those who work for an organisation in one of some roles, by name.
pub async fn colleagues(
    connection: &mut PgConnection,
    organisation: i64,
    roles: &[Role],
    now: DateTime<Utc>,
) -> Result<Vec<Colleague>, Error> {
    let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    sqlx::query_as!(
        Colleague,
        r#"SELECT DISTINCT ON (name, account_id) account_id AS "account!", held_role_id AS held_role, name, sign_in_name
         FROM held_role JOIN account USING (account_id)
         WHERE held_role.organisation_id = $1 AND role = ANY ($2)
             AND (ended_at IS NULL OR ended_at > $3) AND disabled_at IS NULL
         ORDER BY name, account_id, held_role_id"#,
        organisation,
        &roles,
        now
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("list those who work for an organisation", source))
}

/// Names an account that may see a patient's record, where it is in the role of a patient. Answers with the number; who
/// is named already goes on to be.
pub async fn name_proxy(
    connection: &mut PgConnection,
    patient: PatientId,
    account: i64,
    by: &str,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let failed = |source| Error::new("name a proxy", source);
    sqlx::query!(
        "INSERT INTO proxy (patient_id, account_id, named_at, named_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id, patient_id) WHERE ended_at IS NULL DO NOTHING",
        patient.0,
        account,
        now,
        by
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query_scalar!(
        "SELECT proxy_id FROM proxy WHERE patient_id = $1 AND account_id = $2 AND ended_at IS NULL",
        patient.0,
        account
    )
    .fetch_one(connection)
    .await
    .map_err(failed)
}
