//! `POST /api/v1/account/password`: chooses another password, by `{"old": "…", "new": "…"}`.
//!
//! The old one has to be right, and is counted like an attempt to sign in. Other sessions of the account are over with
//! it: whoever else was signed in is out.

use axum::Json;
use axum::extract::State;
use homeward_store::accounts::{find_account, note_wrong_password, set_password};
use homeward_store::admin::AdminError;
use homeward_store::audit::{self, AuditEntry};
use homeward_store::sessions::end_sessions_of;
use serde::Deserialize;

use super::session::View;
use super::{LOCKED_FOR, MOST_WRONG, SignedIn, begin, commit, throttle};
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::password;
use crate::request::{Body, Query};
use crate::routes::App;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    old: String,
    new: String,
}

pub(crate) async fn post(
    State(app): State<App>,
    SignedIn { visit, session }: SignedIn,
    Query(NoParameters {}): Query<NoParameters>,
    Body(Change { old, new }): Body<Change>,
) -> Result<Json<View>, ApiError> {
    let names = [session.sign_in_name.as_str(), session.name.as_str()];
    password::check(&new, &names).map_err(|weakness| ApiError::parameter("new", weakness.to_string()))?;
    if new == old {
        return Err(ApiError::parameter(
            "new",
            "the password is the one that you have",
        ));
    }
    throttle::count(&app, &visit, &session.sign_in_name).await?;
    let account = find_account(&mut *app.connection().await?, &session.sign_in_name).await?;
    let kept = account.and_then(|account| account.password_hash);
    let right = app.hashing.is_password(old, kept.clone()).await?;
    // Hashed in any case, before the account is held.
    let hash = app.hashing.hash(new).await?;

    let mut transaction = begin(&app).await?;
    let account = find_account(&mut transaction, &session.sign_in_name).await?;
    let locked = account.as_ref().and_then(|account| account.obstacle(visit.now));
    let unchanged = account.is_some_and(|account| account.password_hash == kept);
    let entry = visit.entry("change_password", &session.name);
    let held_role = session.acts_as.as_ref().map(|role| role.id);
    if locked.is_some() || !right || !unchanged {
        let lock_until = visit.now + LOCKED_FOR;
        note_wrong_password(
            &mut transaction,
            &session.sign_in_name,
            MOST_WRONG,
            lock_until,
            visit.now,
        )
        .await?;
        let entry = AuditEntry {
            held_role,
            done: false,
            reason: Some(locked.unwrap_or("the old password is wrong")),
            ..entry
        };
        audit::append(&mut transaction, &entry, visit.now).await?;
        commit(transaction).await?;
        return Err(ApiError::parameter(
            "old",
            "this is not your password, or it was wrong too often; after that, wait 15 minutes",
        ));
    }
    let set = set_password(&mut transaction, session.account, &hash, None).await;
    set.map_err(|error| match error {
        AdminError::Store(error) => ApiError::Store(error),
        _ => ApiError::NoSession,
    })?;
    end_sessions_of(&mut transaction, session.account, Some(&session.hash), visit.now).await?;
    let roles = homeward_store::accounts::roles_of(&mut transaction, session.account, visit.now).await?;
    let entry = AuditEntry { held_role, ..entry };
    audit::append(&mut transaction, &entry, visit.now).await?;
    commit(transaction).await?;
    throttle::forgive(&app, &visit, &session.sign_in_name).await?;
    let mut session = session;
    session.first_password = false;
    Ok(Json(View::new(session, roles)))
}
