//! `GET /share/{secret}`: the page to which the link of a shared summary leads: it asks for the code, and who is asking.
//! `POST` of the same shows the summary to whoever has the code.
//!
//! Nobody signs in here: what lets in is the link and the code, both from the patient. `code`, `name`, `role` and
//! `organisation` come as a form, or as JSON with `Content-Type: application/json`; the answer is a page without scripts, or
//! JSON with `Accept: application/json`: who the patient is, programmes, open alerts, the latest of each metric, glucose of
//! the last 14 days, blood pressure of the last 7, NEWS2 of the last day, devices.
//!
//! Who it is that reads is what they say; the patient reads it in the access log just so. Each use and each wrong code is
//! there, before anything is answered. A link that was revoked, is over, is dead after wrong codes or never was one gets
//! one and the same answer.
//!
//! The second lock holds without a role: see [`homeward_store::shares`]. The transaction that reads the summary is one in
//! which the database sees this patient alone, and in which nothing can be written.

mod page;
mod summary;
#[cfg(test)]
mod tests;

use axum::Json;
use axum::extract::{Form, FromRequest, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use homeward_store::Error;
use homeward_store::admin::secret_hash;
use homeward_store::audit::{self, AuditEntry};
use homeward_store::shares::{Shown, Tried, share_is_open, show, try_share};
use serde::Deserialize;
use serde_json::json;
use sqlx::{Postgres, Transaction};

use crate::alerts::act::text;
use crate::error::{ApiError, Problem};
use crate::request::{Body, Path};
use crate::routes::App;
use crate::sign_in::Visit;

pub(crate) use page::{Section, sections};
pub(crate) use summary::{Latest, Summary, programmes};

/// The longest of what a reader says of themselves, in characters.
const LONGEST: usize = 100;

/// What the log calls it that somebody opens a summary. It is no action of a route: nobody does it in a role.
const OPEN: &str = "open_share";

/// Who wants to read a summary, as they say, and the code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reader {
    code: String,
    name: String,
    role: String,
    organisation: String,
}

impl Reader {
    /// Their words, as the log has them.
    fn in_words(&self) -> Result<String, ApiError> {
        let said = |field: &str, said: &str| -> Result<String, ApiError> {
            let said = text(field, said, LONGEST)?;
            match said.contains(char::is_control) {
                true => Err(ApiError::parameter(field, "has control characters in it")),
                false => Ok(said),
            }
        };
        let name = said("name", &self.name)?;
        let role = said("role", &self.role)?;
        let organisation = said("organisation", &self.organisation)?;
        Ok(format!("{name} ({role}, {organisation}, as they said)"))
    }

    /// The digits of the code; it is typed with spaces or dashes, or without.
    fn digits(&self) -> String {
        self.code
            .chars()
            .filter(char::is_ascii_digit)
            .take(LONGEST)
            .collect()
    }
}

/// What opens a share.
pub(crate) fn shown(secret: &str, code: &str) -> Shown {
    Shown {
        secret_hash: secret_hash(secret),
        code_hash: secret_hash(&format!("{secret} {code}")),
    }
}

/// What is answered to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Medium {
    Page,
    Json,
}

impl Medium {
    fn of(headers: &HeaderMap) -> Medium {
        let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
        match accepted {
            Some(accepted) if accepted.contains("application/json") && !accepted.contains("text/html") => {
                Medium::Json
            }
            _ => Medium::Page,
        }
    }
}

pub(crate) async fn get(State(app): State<App>, visit: Visit, path: Path, headers: HeaderMap) -> Response {
    let medium = Medium::of(&headers);
    match (is_open(&app, &visit, &path).await, medium) {
        (Ok(()), Medium::Page) => page::ask(StatusCode::OK, None),
        (Ok(()), Medium::Json) => {
            Json(json!({"needs": ["code", "name", "role", "organisation"]})).into_response()
        }
        (Err(error), medium) => refusal(error, medium),
    }
}

pub(crate) async fn post(State(app): State<App>, visit: Visit, path: Path, request: Request) -> Response {
    let medium = Medium::of(request.headers());
    match (open(&app, &visit, &path, request).await, medium) {
        (Ok(summary), Medium::Page) => page::summary(&summary),
        (Ok(summary), Medium::Json) => Json(summary).into_response(),
        (Err(error), medium) => refusal(error, medium),
    }
}

/// What is said where there is no summary: of whatever kind the link is that leads nowhere, the same.
fn refusal(error: ApiError, medium: Medium) -> Response {
    let response = error.into_response();
    let told = response.extensions().get::<Problem>().map(Problem::told);
    match (told, medium) {
        (Some(told), Medium::Page) => match response.status() {
            StatusCode::NOT_FOUND => page::gone(),
            status @ (StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) => page::ask(status, Some(&told)),
            status => page::failed(status, &told),
        },
        _ => response,
    }
}

fn gone() -> ApiError {
    ApiError::NotFound(
        "this link leads nowhere: it may have been for a shorter time, or was revoked".to_owned(),
    )
}

async fn is_open(app: &App, visit: &Visit, path: &Path) -> Result<(), ApiError> {
    let mut transaction = app.begin().await?;
    match share_is_open(&mut transaction, &secret_hash(path.text("secret")), visit.now).await? {
        true => Ok(()),
        false => Err(gone()),
    }
}

async fn open(app: &App, visit: &Visit, path: &Path, request: Request) -> Result<Summary, ApiError> {
    is_open(app, visit, path).await?;
    let reader = read(request).await?;
    let name = reader.in_words()?;
    let shown = shown(path.text("secret"), &reader.digits());
    let tried = try_code(app, visit, &shown, &name).await?;
    let mut transaction = app.begin().await?;
    show(&mut transaction, &shown, visit.now).await?;
    // It may have been revoked since.
    let summary = Summary::of(&mut transaction, tried.patient, visit.now).await?;
    summary.ok_or_else(gone)
}

/// Tries the code, and writes down what came of it, before anything is answered.
async fn try_code(app: &App, visit: &Visit, shown: &Shown, name: &str) -> Result<Tried, ApiError> {
    let mut transaction = app.begin().await?;
    let tried = try_share(&mut transaction, shown, visit.now).await?;
    let tried = tried.ok_or_else(gone)?;
    let entry = AuditEntry {
        done: tried.is_right,
        // Not the path, which has the secret in it.
        target: &format!("shared summary {}", tried.share),
        patients: &[tried.patient],
        ..visit.entry(OPEN, name)
    };
    audit::append(&mut transaction, &entry, visit.now).await?;
    commit(transaction).await?;
    match tried.is_right {
        true => Ok(tried),
        false => Err(ApiError::WrongCode {
            left: tried.tries_left,
        }),
    }
}

async fn read(request: Request) -> Result<Reader, ApiError> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_json = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json {
        let Body(reader) = Body::<Reader>::from_request(request, &()).await?;
        return Ok(reader);
    }
    match Form::<Reader>::from_request(request, &()).await {
        Ok(Form(reader)) => Ok(reader),
        Err(_) => Err(ApiError::Body(
            "fill in all four: code, name, role and organisation".to_owned(),
        )),
    }
}

async fn commit(transaction: Transaction<'static, Postgres>) -> Result<(), ApiError> {
    let committed = transaction.commit().await;
    committed.map_err(|source| Error::new("commit that a summary was opened", source).into())
}
