//! Who calls.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use chrono::{DateTime, Utc};
use homeward_store::access::{HeldRole, Somebody};
use homeward_store::sessions::{note_use, session_is_good};
use homeward_store::tokens::{find_token, token_is_good};
use sqlx::PgConnection;

use super::session::{secret_of, session_of};
use crate::error::ApiError;
use crate::routes::App;

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
    /// The cookie of somebody who has signed in and picked a role.
    Session {
        /// By what the record knows it.
        hash: [u8; 32],
        /// What its forms have to bring along.
        csrf_token: String,
    },
}

impl Principal {
    /// Finds out who calls, by what is [`shown`].
    pub(super) async fn of(
        app: &App,
        connection: &mut PgConnection,
        (method, headers): (&Method, &HeaderMap),
        now: DateTime<Utc>,
    ) -> Result<Principal, ApiError> {
        match headers.contains_key(AUTHORIZATION) {
            true => {
                let token = shown(headers).ok_or(ApiError::NoToken)?;
                Principal::of_token(connection, token, now).await
            }
            false => Principal::of_session(app, connection, (method, headers), now).await,
        }
    }

    async fn of_token(
        connection: &mut PgConnection,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Principal, ApiError> {
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

    async fn of_session(
        app: &App,
        connection: &mut PgConnection,
        (method, headers): (&Method, &HeaderMap),
        now: DateTime<Utc>,
    ) -> Result<Principal, ApiError> {
        let session = session_of(connection, method, headers, now).await?;
        if session.is_to_note(now) {
            // Not in the request's transaction: it stays noted when the request fails, and requests of one browser do
            // not wait for each other.
            note_use(&mut *app.connection().await?, &session.hash, now).await?;
        }
        let acts_as = session.acts_as.ok_or(ApiError::Forbidden(
            "pick a role first: POST /api/v1/session/role",
        ))?;
        Ok(Principal {
            name: session.name,
            acts_as,
            subject: Subject::Session {
                hash: session.hash,
                csrf_token: session.csrf_token,
            },
        })
    }

    /// The caller as the record names somebody.
    pub(crate) fn somebody(&self) -> Somebody {
        Somebody {
            name: self.name.clone(),
            held_role: Some(self.acts_as.id),
            account: self.acts_as.account,
        }
    }

    /// Whether somebody whom the record names is the caller.
    pub(crate) fn is(&self, somebody: &Somebody) -> bool {
        somebody.is(&self.acts_as, &self.name)
    }

    /// Whether what the caller has shown is still good.
    pub(crate) async fn is_good(
        &self,
        connection: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<bool, ApiError> {
        Ok(match &self.subject {
            Subject::Token { id, .. } => token_is_good(connection, *id, now).await?,
            Subject::Session { hash, .. } => session_is_good(connection, hash, self.acts_as.id, now).await?,
        })
    }
}

/// What a request shows of whose it is. A token counts before a cookie: no page sends one by itself.
pub(super) fn shown(headers: &HeaderMap) -> Option<&str> {
    match headers.get(AUTHORIZATION) {
        Some(header) => header.to_str().ok().and_then(bearer_token),
        None => secret_of(headers),
    }
}

/// The token in `Bearer <token>`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
