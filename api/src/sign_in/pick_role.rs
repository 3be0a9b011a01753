//! `POST /api/v1/session/role`: picks the role in which to act, by `{"role": 12}`, its number in `GET /api/v1/session`.
//!
//! The session gets another secret and another CSRF token with it: what was known of the one before is good for nothing.
//! It is over when it would have been.

use axum::Json;
use axum::extract::State;
use homeward_store::accounts::roles_of;
use homeward_store::audit::{self, AuditEntry};
use homeward_store::sessions::{end_session, find_through};
use serde::Deserialize;
use utoipa::ToSchema;

use super::session::View;
use super::{SignedIn, WithCookie, begin, commit, new_session};
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Body, Query};
use crate::routes::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Picked {
    role: i64,
}

pub(crate) async fn post(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(NoParameters {}): Query<NoParameters>,
    Body(Picked { role }): Body<Picked>,
) -> Result<WithCookie<Json<View>>, ApiError> {
    pick(&app, signed_in, role).await
}

/// Has a session act in another of its account's roles.
pub(crate) async fn pick(
    app: &App,
    SignedIn { visit, session }: SignedIn,
    picked: i64,
) -> Result<WithCookie<Json<View>>, ApiError> {
    if session.first_password {
        return Err(ApiError::Forbidden(
            "choose a password of your own first: POST /api/v1/account/password",
        ));
    }
    let mut transaction = begin(app).await?;
    let roles = roles_of(&mut transaction, session.account, visit.now).await?;
    let role = roles.iter().find(|role| role.id == picked);
    let role = role.ok_or_else(|| ApiError::parameter("role", "you hold no role with this number"))?;
    let through = find_through(&mut transaction, &session.hash).await?;
    if !end_session(&mut transaction, &session.hash, visit.now).await? {
        return Err(ApiError::NoSession);
    }
    let mut session = session;
    session.acts_as = Some(role.held_by(session.account));
    let cookie = new_session(&mut transaction, &mut session, through.as_ref(), visit.now).await?;
    let entry = AuditEntry {
        held_role: Some(picked),
        ..visit.entry("pick_role", &session.name)
    };
    audit::append(&mut transaction, &entry, visit.now).await?;
    commit(transaction).await?;
    Ok(WithCookie {
        cookie,
        body: Json(View::new(session, roles)),
    })
}
