//! `POST /api/v1/account/password`: chooses another password, by `{"old": "…", "new": "…"}`.
//!
//! The old one has to be right, and is counted like an attempt to sign in. Other sessions of the account are over with
//! it: whoever else was signed in is out.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use homeward_store::accounts::{roles_of, set_password};
use homeward_store::admin::AdminError;
use homeward_store::audit::{self, AuditEntry};
use homeward_store::sessions::{Session, end_sessions_of};
use serde::Deserialize;
use utoipa::ToSchema;

use super::session::View;
use super::{SignedIn, commit, pick_role, right_password};
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::password;
use crate::request::{Body, Query};
use crate::routes::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    old: String,
    new: String,
}

pub(crate) async fn post(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(NoParameters {}): Query<NoParameters>,
    Body(Change { old, new }): Body<Change>,
) -> Result<Json<View>, ApiError> {
    Ok(Json(change(&app, &signed_in, old, new).await?))
}

/// The same from a page. Whoever holds one role alone goes on in it, as after signing in; then the session has another
/// cookie, which is answered.
pub(crate) async fn change_and_go_on(
    app: &App,
    signed_in: &SignedIn,
    old: String,
    new: String,
) -> Result<Option<HeaderValue>, ApiError> {
    let view = change(app, signed_in, old, new).await?;
    let Some(only) = view.only_role() else {
        return Ok(None);
    };
    let mut signed_in = signed_in.clone();
    signed_in.session.first_password = false;
    let picked = pick_role::pick(app, signed_in, only).await?;
    Ok(Some(picked.cookie))
}

/// Gives an account another password, if its owner knows the old one.
async fn change(app: &App, signed_in: &SignedIn, old: String, new: String) -> Result<View, ApiError> {
    let SignedIn { visit, session } = signed_in;
    let names = [session.sign_in_name.as_str(), session.name.as_str()];
    password::check(&new, &names).map_err(|weakness| ApiError::parameter("new", weakness.to_string()))?;
    if new == old {
        return Err(ApiError::parameter(
            "new",
            "the password is the one that you have",
        ));
    }
    // Hashed before the account is held.
    let hash = app.hashing.hash(new).await?;
    let what = ("change_password", "old");
    let (mut transaction, _) = right_password::require(app, signed_in, old, what).await?;
    let set = set_password(&mut transaction, session.account, &hash, None).await;
    set.map_err(|error| match error {
        AdminError::Store(error) => ApiError::Store(error),
        _ => ApiError::NoSession,
    })?;
    end_sessions_of(&mut transaction, session.account, Some(&session.hash), visit.now).await?;
    let roles = roles_of(&mut transaction, session.account, visit.now).await?;
    let entry = AuditEntry {
        held_role: session.acts_as.as_ref().map(|role| role.id),
        ..visit.entry("change_password", &session.name)
    };
    audit::append(&mut transaction, &entry, visit.now).await?;
    commit(transaction).await?;
    let session = Session {
        first_password: false,
        ..session.clone()
    };
    Ok(View::new(session, roles))
}
