//! The bearer tokens of programs that read the record through the API.

use sqlx::PgConnection;

use crate::Error;
use crate::admin::secret_hash;

/// A token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its number.
    pub id: i64,
    /// The name it was given: whom the record names as the actor of what is done with it.
    pub name: String,
}

/// The token that this text is, unless it was revoked. Only hashes are compared, and a token that is unknown
/// takes the same way as one that is known.
pub async fn find_token(connection: &mut PgConnection, text: &str) -> Result<Option<ApiToken>, Error> {
    sqlx::query_as!(
        ApiToken,
        "SELECT api_token_id AS id, name FROM api_token WHERE token_hash = $1 AND revoked_at IS NULL",
        &secret_hash(text)
    )
    .fetch_optional(connection)
    .await
    .map_err(|source| Error::new("look up a token", source))
}

/// Whether a token is still good: it may have been revoked since it was found.
pub async fn token_is_good(connection: &mut PgConnection, id: i64) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM api_token WHERE api_token_id = $1 AND revoked_at IS NULL) AS "good!""#,
        id
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("look up a token", source))
}
