//! Signing in, and `POST /api/v1/sign-in`, which does so with `{"name": "dr.ng", "password": "…"}`, and `"code": "123456"`
//! where the account has a second factor.
//!
//! The answer sets the session's cookie and tells what `GET /api/v1/session` does. An account with one role acts in it;
//! whoever holds several picks one by `POST /api/v1/session/role`.
//!
//! Whoever is not let in learns nothing: a name that nobody has is counted, hashed and answered like a wrong password,
//! and so is an account that is locked or disabled. What it was is in the log of reads and changes.

pub(crate) mod change_password;
mod code;
mod hashing;
pub(crate) mod pick_role;
pub(crate) mod provider;
mod relying_party;
mod right_password;
pub(crate) mod second_factor;
pub(crate) mod session;
pub(crate) mod sign_out;
#[cfg(test)]
mod tests;
mod throttle;
mod visit;

use axum::Json;
use axum::extract::State;
use axum::http::header::{HeaderValue, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_store::Error;
use homeward_store::accounts::{
    Account, find_account, note_right_password, note_wrong_password, roles_of, use_code,
};
use homeward_store::admin::secret_hash;
use homeward_store::audit::{self, AuditEntry};
use homeward_store::sessions::{self, NewSession, Session, Through, end_session, note_through};
use serde::Deserialize;
use sqlx::{PgConnection, Postgres, Transaction};
use utoipa::ToSchema;

use crate::access::SESSION_COOKIE;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Body, Query};
use crate::routes::App;
use session::View;

pub(crate) use hashing::Hashing;
pub use relying_party::IdentityProvider;
pub(crate) use relying_party::RelyingParty;
pub(crate) use visit::{Needs, SignedIn, Visit, admit};

/// After so many wrong passwords in a row an account is locked, and again after each further one: somebody who forgets
/// has tried by then, and who guesses has ten guesses and then four an hour (ASVS 4, 2.2.1 allows a hundred).
const MOST_WRONG: i32 = 10;

/// For how long it is locked: long enough to stop guessing, short enough that locking somebody else out has to be done
/// all day long.
const LOCKED_FOR: TimeDelta = TimeDelta::minutes(15);

/// The longest sign-in name, in characters: an address of e-mail fits.
const LONGEST_NAME: usize = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) code: Option<String>,
}

/// An answer that sets the session's cookie, or takes it away.
pub(crate) struct WithCookie<T> {
    pub(crate) cookie: HeaderValue,
    body: T,
}

impl<T: IntoResponse> IntoResponse for WithCookie<T> {
    fn into_response(self) -> Response {
        let mut response = self.body.into_response();
        response.headers_mut().append(SET_COOKIE, self.cookie);
        response
    }
}

pub(crate) async fn post(
    State(app): State<App>,
    visit: Visit,
    Query(NoParameters {}): Query<NoParameters>,
    Body(asked): Body<Asked>,
) -> Result<WithCookie<Json<View>>, ApiError> {
    attempt(&app, &visit, asked).await
}

/// Lets somebody in, or nobody.
pub(crate) async fn attempt(
    app: &App,
    visit: &Visit,
    asked: Asked,
) -> Result<WithCookie<Json<View>>, ApiError> {
    let sign_in_name = as_kept(&asked.name);
    throttle::count(app, visit, &asked.name).await?;
    let account = find_account(&mut *app.connection().await?, &sign_in_name).await?;
    let kept = account.and_then(|account| account.password_hash);
    let right = app.hashing.is_password(asked.password, kept.clone()).await?;

    let mut transaction = begin(app).await?;
    // As it is now: meanwhile it may have been locked, or have got another password.
    let account = find_account(&mut transaction, &sign_in_name).await?;
    let right = right
        && account
            .as_ref()
            .is_some_and(|account| account.password_hash == kept);
    let shown = (right, asked.code.as_deref());
    let refusal = judge(app, &mut transaction, account.as_ref(), shown, visit.now).await?;
    let (account, refusal) = match (account, refusal) {
        (Some(account), None) => {
            throttle::forgive(&mut transaction, visit, &asked.name).await?;
            note_right_password(&mut transaction, account.id).await?;
            let answer = let_in(&mut transaction, visit, account, None).await?;
            commit(transaction).await?;
            return Ok(answer);
        }
        (account, Some(refusal)) => (account, refusal),
        (None, None) => (None, Refusal::Other("nobody has this name")),
    };
    match refusal {
        // It was no guess, and the same comes again with a code.
        Refusal::CodeNeeded => throttle::forgive(&mut transaction, visit, &asked.name).await?,
        Refusal::Guess(_) => note_guess(&mut transaction, &sign_in_name, visit).await?,
        Refusal::Other(_) => {}
    }
    let actor = account.as_ref().map_or("unknown", |account| &account.name);
    let entry = AuditEntry {
        done: false,
        reason: Some(refusal.in_words()),
        ..visit.entry("sign_in", actor)
    };
    audit::append(&mut transaction, &entry, visit.now).await?;
    commit(transaction).await?;
    Err(match refusal {
        Refusal::CodeNeeded => ApiError::CodeNeeded,
        Refusal::Guess(_) | Refusal::Other(_) => ApiError::NotLetIn,
    })
}

/// Why somebody is not let in, in words for the log.
#[derive(Clone, Copy)]
enum Refusal {
    /// What was shown is wrong; it is counted.
    Guess(&'static str),
    /// The password is right, and the account has a second factor.
    CodeNeeded,
    /// It would not do, whatever is shown.
    Other(&'static str),
}

impl Refusal {
    fn in_words(self) -> &'static str {
        match self {
            Refusal::Guess(why) | Refusal::Other(why) => why,
            Refusal::CodeNeeded => "the code is missing",
        }
    }
}

/// Whether somebody is let in who has shown a password, right or wrong, and a code. Names that nobody has are counted
/// like others, by the same statement.
async fn judge(
    app: &App,
    connection: &mut PgConnection,
    account: Option<&Account>,
    (right, code): (bool, Option<&str>),
    now: DateTime<Utc>,
) -> Result<Option<Refusal>, ApiError> {
    let Some(account) = account else {
        return Ok(Some(Refusal::Guess("nobody has this name")));
    };
    if let Some(obstacle) = account.obstacle(now) {
        let refusal = if right { Refusal::Other } else { Refusal::Guess };
        return Ok(Some(refusal(obstacle)));
    }
    if !right {
        return Ok(Some(Refusal::Guess("the password is wrong")));
    }
    let Some(sealed) = &account.second_factor else {
        return Ok(None);
    };
    let Some(code) = code else {
        return Ok(Some(Refusal::CodeNeeded));
    };
    let good = match second_factor::step_of(app, account.id, sealed, code, now)? {
        Some(step) => use_code(connection, account.id, step).await?,
        None => false,
    };
    Ok((!good).then_some(Refusal::Guess("the code is wrong")))
}

/// Counts a wrong password or code of a name, which locks its account after too many of them.
async fn note_guess(
    connection: &mut PgConnection,
    sign_in_name: &str,
    visit: &Visit,
) -> Result<(), ApiError> {
    let until = visit.now + LOCKED_FOR;
    note_wrong_password(connection, sign_in_name, MOST_WRONG, until, visit.now).await?;
    Ok(())
}

/// A sign-in name as the record has it; what cannot be one is the name of nobody.
fn as_kept(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let fits = name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if fits { name } else { String::new() }
}

/// Begins the session of somebody who has shown who they are: by the right password, or through an identity provider.
async fn let_in(
    connection: &mut PgConnection,
    visit: &Visit,
    account: Account,
    through: Option<&Through>,
) -> Result<WithCookie<Json<View>>, ApiError> {
    // What another person did in this browser is over.
    if let Some(secret) = &visit.secret {
        end_session(connection, &secret_hash(secret), visit.now).await?;
    }
    let roles = roles_of(connection, account.id, visit.now).await?;
    let first_password = account.initial_password_until.is_some();
    let acts_as = match &roles[..] {
        [only] if !first_password => Some(only.held_by(account.id)),
        _ => None,
    };
    let mut session = Session {
        hash: [0; 32],
        account: account.id,
        sign_in_name: account.sign_in_name,
        name: account.name,
        acts_as,
        csrf_token: String::new(),
        first_password,
        second_factor: account.second_factor.is_some(),
        last_used_at: visit.now,
        expires_at: visit.now + sessions::LONGEST,
    };
    let cookie = new_session(connection, &mut session, through, visit.now).await?;
    let how = through.map(|through| format!("through {}", through.provider));
    let entry = AuditEntry {
        held_role: session.acts_as.as_ref().map(|role| role.id),
        reason: how.as_deref(),
        ..visit.entry("sign_in", &session.name)
    };
    audit::append(connection, &entry, visit.now).await?;
    Ok(WithCookie {
        cookie,
        body: Json(View::new(session, roles)),
    })
}

/// Begins a session like this one, with a secret and a token of its own. Answers with its cookie.
async fn new_session(
    connection: &mut PgConnection,
    session: &mut Session,
    through: Option<&Through>,
    now: DateTime<Utc>,
) -> Result<HeaderValue, ApiError> {
    let secret = random_text();
    session.hash = secret_hash(&secret);
    session.csrf_token = random_text();
    session.last_used_at = now;
    let new = NewSession {
        secret: &secret,
        csrf_token: &session.csrf_token,
        account: session.account,
        held_role: session.acts_as.as_ref().map(|role| role.id),
        first_password: session.first_password,
        expires_at: session.expires_at,
    };
    sessions::begin_session(connection, &new, now).await?;
    if let Some(through) = through {
        note_through(connection, &session.hash, through).await?;
    }
    Ok(cookie(&secret, false))
}

/// The session's cookie, or what takes it away. It lasts as long as the browser; that it is over is the record's
/// business. `Lax`, so that a link in a message leads to the page and not to signing in.
fn cookie(secret: &str, over: bool) -> HeaderValue {
    let max_age = if over { "; Max-Age=0" } else { "" };
    let text = format!("{SESSION_COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax{max_age}");
    HeaderValue::try_from(text).expect("the cookie is of letters and digits")
}

/// 256 random bits, in hexadecimal digits.
pub(crate) fn random_text() -> String {
    let bits: [u8; 32] = rand::random();
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A transaction that sees the whole record.
async fn begin(app: &App) -> Result<Transaction<'static, Postgres>, ApiError> {
    let transaction = app.pool.begin().await;
    transaction.map_err(|source| Error::new("connect to the record", source).into())
}

async fn commit(transaction: Transaction<'static, Postgres>) -> Result<(), ApiError> {
    let committed = transaction.commit().await;
    committed.map_err(|source| Error::new("commit a request", source).into())
}
