//! `/api/v1/account/second-factor`: a device whose codes signing in needs beside the password.
//!
//! `POST` with `{"password": "…"}` shows a secret, as it is typed and as an address that an authenticator reads out of a
//! picture. `PUT` with `{"code": "123456"}` shows that the device has it; from then on signing in needs a code, and
//! other sessions of the account are over. `DELETE` with `{"password": "…", "code": "123456"}` gives it up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use homeward_store::Error;
use homeward_store::accounts::{
    find_account, offer_second_factor, remove_second_factor, roles_of, take_second_factor, use_code,
};
use homeward_store::audit::{self, AuditEntry};
use homeward_store::secrets::Whose;
use homeward_store::sessions::end_sessions_of;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::session::View;
use super::{SignedIn, begin, code, commit, note_guess, right_password, throttle};
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Body, Query};
use crate::routes::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Offer {
    secret: String,
    url: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenUp {
    password: String,
    code: String,
}

pub(crate) async fn post(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(NoParameters {}): Query<NoParameters>,
    Body(wish): Body<Wish>,
) -> Result<Json<Offer>, ApiError> {
    let what = ("offer_second_factor", "password");
    let (mut transaction, account) = right_password::require(&app, &signed_in, wish.password, what).await?;
    if account.second_factor.is_some() {
        let detail = "the account has a second factor; give it up before you take another one";
        return Err(ApiError::Conflict(detail.to_owned()));
    }
    let secret: [u8; 20] = rand::random();
    offer_second_factor(&mut transaction, &app.keys, account.id, &secret).await?;
    log(&mut transaction, &signed_in, what.0, None).await?;
    commit(transaction).await?;
    Ok(Json(Offer {
        secret: code::as_typed(&secret),
        url: code::address(&secret, &account.sign_in_name),
    }))
}

pub(crate) async fn put(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(NoParameters {}): Query<NoParameters>,
    Body(shown): Body<Shown>,
) -> Result<Json<View>, ApiError> {
    let SignedIn { visit, session } = &signed_in;
    throttle::count(&app, visit, &session.sign_in_name).await?;
    let mut transaction = begin(&app).await?;
    let account = find_account(&mut transaction, &session.sign_in_name).await?;
    let offer = account.and_then(|account| account.second_factor_offer);
    let offer = offer.ok_or_else(|| ApiError::Conflict("no second factor was offered".to_owned()))?;
    let Some(step) = step_of(&app, session.account, &offer, &shown.code, visit.now)? else {
        return Err(wrong_code());
    };
    take_second_factor(&mut transaction, session.account, step, visit.now).await?;
    end_sessions_of(&mut transaction, session.account, Some(&session.hash), visit.now).await?;
    let roles = roles_of(&mut transaction, session.account, visit.now).await?;
    log(&mut transaction, &signed_in, "take_second_factor", None).await?;
    commit(transaction).await?;
    let mut session = signed_in.session;
    session.second_factor = true;
    Ok(Json(View::new(session, roles)))
}

pub(crate) async fn delete(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(NoParameters {}): Query<NoParameters>,
    Body(given_up): Body<GivenUp>,
) -> Result<StatusCode, ApiError> {
    let SignedIn { visit, session } = &signed_in;
    let what = ("remove_second_factor", "password");
    let (mut transaction, account) =
        right_password::require(&app, &signed_in, given_up.password, what).await?;
    let secret = account.second_factor;
    let secret = secret.ok_or_else(|| ApiError::Conflict("the account has no second factor".to_owned()))?;
    let step = step_of(&app, account.id, &secret, &given_up.code, visit.now)?;
    let good = match step {
        Some(step) => use_code(&mut transaction, account.id, step).await?,
        None => false,
    };
    if !good {
        note_guess(&mut transaction, &session.sign_in_name, visit).await?;
        log(&mut transaction, &signed_in, what.0, Some("the code is wrong")).await?;
        commit(transaction).await?;
        return Err(wrong_code());
    }
    remove_second_factor(&mut transaction, account.id).await?;
    log(&mut transaction, &signed_in, what.0, None).await?;
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The step of time whose code this is, by the secret of an account as the record has it.
pub(super) fn step_of(
    app: &App,
    account: i64,
    sealed: &[u8],
    code: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>, ApiError> {
    let secret = app.keys.open(Whose::SecondFactorOf(account), sealed);
    Ok(code::step_of(&secret.map_err(Error::from)?, code, now))
}

fn wrong_code() -> ApiError {
    ApiError::parameter(
        "code",
        "this is not the code of this moment, or it was used already",
    )
}

async fn log(
    connection: &mut PgConnection,
    SignedIn { visit, session }: &SignedIn,
    action: &str,
    refusal: Option<&str>,
) -> Result<(), ApiError> {
    let entry = AuditEntry {
        held_role: session.acts_as.as_ref().map(|role| role.id),
        done: refusal.is_none(),
        reason: refusal,
        ..visit.entry(action, &session.name)
    };
    audit::append(connection, &entry, visit.now).await?;
    Ok(())
}
