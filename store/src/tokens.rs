//! The bearer tokens of programs that call the API.

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use sqlx::PgConnection;

use crate::Error;
use crate::access::{HeldRole, Role};
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
        "SELECT api_token_id, name, scopes, held_role_id, account_id, role, organisation_id, patient_id
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
        account: row.account_id,
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

/// A token as an administrator sees it: never the token itself, which nobody has but the program.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedToken {
    /// Its number.
    pub id: i64,
    /// What it is for.
    pub name: String,
    /// What it acts as.
    pub role: Role,
    /// Where.
    pub organisation: Option<String>,
    /// SMART on FHIR scopes; `None`: all that its role may.
    pub scopes: Option<Vec<String>>,
    /// Since when there is the token.
    pub created_at: DateTime<Utc>,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The tokens that there are or were, the latest first; at most `limit` of them.
pub async fn list_tokens(connection: &mut PgConnection, limit: i64) -> Result<Vec<ListedToken>, Error> {
    let failed = |source| Error::new("list tokens", source);
    let rows = sqlx::query!(
        r#"SELECT api_token_id, api_token.name, role, organisation.name AS "organisation?", scopes,
             api_token.created_at, expires_at, revoked_at
           FROM api_token JOIN held_role USING (held_role_id) LEFT JOIN organisation USING (organisation_id)
           ORDER BY api_token_id DESC LIMIT $1"#,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let listed = rows.into_iter().map(|row| {
        let role = row.role.parse();
        Ok(ListedToken {
            id: row.api_token_id,
            name: row.name,
            role: role.map_err(|error: String| failed(sqlx::Error::Decode(error.into())))?,
            organisation: row.organisation,
            scopes: row.scopes,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        })
    });
    listed.collect()
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
