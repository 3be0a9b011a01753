//! Who calls.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use chrono::{DateTime, Utc};
use homeward_store::access::HeldRole;
use homeward_store::tokens::{find_token, token_is_good};
use sqlx::PgConnection;

use crate::error::ApiError;

/// Who calls, and as what.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// The name by which the record knows the caller: that of the token, or of the person.
    pub(crate) name: String,
    /// What the caller acts as.
    pub(crate) acts_as: HeldRole,
    /// What has been shown.
    pub(crate) subject: Subject,
}

/// What a caller has shown.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A bearer token.
    Token {
        /// Its number.
        id: i64,
        /// Its scopes, if it has not all of its role.
        scopes: Option<Vec<String>>,
    },
}

impl Principal {
    /// Finds out who calls.
    pub(super) async fn of(
        connection: &mut PgConnection,
        headers: &HeaderMap,
        now: DateTime<Utc>,
    ) -> Result<Principal, ApiError> {
        let header = headers.get(AUTHORIZATION).ok_or(ApiError::NoToken)?;
        let token = header.to_str().ok().and_then(bearer_token);
        let token = token.ok_or(ApiError::NoToken)?;
        let found = find_token(connection, token, now).await?;
        let found = found.ok_or(ApiError::BadToken)?;
        Ok(Principal {
            name: found.name,
            acts_as: found.acts_as,
            subject: Subject::Token {
                id: found.id,
                scopes: found.scopes,
            },
        })
    }

    /// Whether what the caller has shown is still good.
    pub(crate) async fn is_good(
        &self,
        connection: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<bool, ApiError> {
        match self.subject {
            Subject::Token { id, .. } => Ok(token_is_good(connection, id, now).await?),
        }
    }
}

/// The token in `Bearer <token>`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
