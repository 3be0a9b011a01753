//! The bearer tokens of programs that call the API.

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use sqlx::PgConnection;

use crate::Error;
use crate::access::HeldRole;
use crate::admin::secret_hash;

/// A token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its number.
    pub id: i64,
    /// The name it was given: whom the record names as the actor of what is done with it.
    pub name: String,
    /// What it acts as.
    pub acts_as: HeldRole,
    /// SMART on FHIR scopes; `None`: all that its role may.
    pub scopes: Option<Vec<String>>,
}

/// The token that this text is, unless it was revoked or is over, or its role has ended. Only hashes are compared,
/// and a token that is unknown takes the same way as one that is known.
pub async fn find_token(
    connection: &mut PgConnection,
    text: &str,
    now: DateTime<Utc>,
) -> Result<Option<ApiToken>, Error> {
    let failed = |source| Error::new("look up a token", source);
    let row = sqlx::query!(
        "SELECT api_token_id, name, scopes, held_role_id, role, organisation_id, patient_id
         FROM api_token JOIN held_role USING (held_role_id)
         WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
             AND (ended_at IS NULL OR ended_at > $2)",
        &secret_hash(text),
        now
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let role = row.role.parse();
    let acts_as = HeldRole {
        id: row.held_role_id,
        role: role.map_err(|error: String| failed(sqlx::Error::Decode(error.into())))?,
        organisation: row.organisation_id,
        patient: row.patient_id.map(PatientId),
    };
    Ok(Some(ApiToken {
        id: row.api_token_id,
        name: row.name,
        acts_as,
        scopes: row.scopes,
    }))
}

/// Whether a token is still good: it may have been revoked since it was found.
pub async fn token_is_good(
    connection: &mut PgConnection,
    id: i64,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM api_token JOIN held_role USING (held_role_id)
             WHERE api_token_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
                 AND (ended_at IS NULL OR ended_at > $2)) AS "good!""#,
        id,
        now
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up a token", source))
}
