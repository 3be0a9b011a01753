//! `DELETE /api/v1/session`: signs out. The session is over at once, whoever else knows its secret. What one has with an
//! identity provider goes on; only the page for signing out leads there.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use homeward_store::audit::{self, AuditEntry};
use homeward_store::sessions::{Through, end_session, find_through};

use super::{SignedIn, WithCookie, begin, commit, cookie};
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::Query;
use crate::routes::App;

pub(crate) async fn delete(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<WithCookie<StatusCode>, ApiError> {
    let (cookie, _) = end(&app, signed_in).await?;
    Ok(WithCookie {
        cookie,
        body: StatusCode::NO_CONTENT,
    })
}

/// Ends a session. Answers with the cookie that takes the browser's away, and through whom it began, if not by a password.
pub(crate) async fn end(
    app: &App,
    SignedIn { visit, session }: SignedIn,
) -> Result<(HeaderValue, Option<Through>), ApiError> {
    let mut transaction = begin(app).await?;
    let through = find_through(&mut transaction, &session.hash).await?;
    end_session(&mut transaction, &session.hash, visit.now).await?;
    let entry = AuditEntry {
        held_role: session.acts_as.map(|role| role.id),
        ..visit.entry("sign_out", &session.name)
    };
    audit::append(&mut transaction, &entry, visit.now).await?;
    commit(transaction).await?;
    Ok((cookie("", true), through))
}
