//! The password once more, for what somebody else at the same screen must not do.

use homeward_store::accounts::{Account, find_account};
use homeward_store::audit::{self, AuditEntry};
use sqlx::{Postgres, Transaction};

use super::{SignedIn, begin, commit, note_guess, throttle};
use crate::error::ApiError;
use crate::routes::App;

/// Makes sure that it is the password of whoever is signed in, and counts it like an attempt to sign in. Answers with a
/// transaction in which the account stays as it is; `parameter` is the field of the body that has the password.
pub(super) async fn require(
    app: &App,
    SignedIn { visit, session }: &SignedIn,
    password: String,
    (action, parameter): (&str, &str),
) -> Result<(Transaction<'static, Postgres>, Account), ApiError> {
    throttle::count(app, visit, &session.sign_in_name).await?;
    let account = find_account(&mut *app.connection().await?, &session.sign_in_name).await?;
    let kept = account.and_then(|account| account.password_hash);
    let right = app.hashing.is_password(password, kept.clone()).await?;

    let mut transaction = begin(app).await?;
    // As it is now: meanwhile it may have been locked, or have got another password.
    let account = find_account(&mut transaction, &session.sign_in_name).await?;
    let account = account.ok_or(ApiError::NoSession)?;
    let wrong = (!right || account.password_hash != kept).then_some("the password is wrong");
    let Some(refusal) = account.obstacle(visit.now).or(wrong) else {
        throttle::forgive(&mut transaction, visit, &session.sign_in_name).await?;
        return Ok((transaction, account));
    };
    if !right {
        note_guess(&mut transaction, &session.sign_in_name, visit).await?;
    }
    let entry = AuditEntry {
        held_role: session.acts_as.as_ref().map(|role| role.id),
        done: false,
        reason: Some(refusal),
        ..visit.entry(action, &session.name)
    };
    audit::append(&mut transaction, &entry, visit.now).await?;
    commit(transaction).await?;
    Err(ApiError::parameter(
        parameter,
        "this is not your password, or it was wrong too often; after that, wait 15 minutes",
    ))
}
