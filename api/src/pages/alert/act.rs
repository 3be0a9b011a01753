//! `POST /alerts/{alert}/…`: `acknowledge`, `assign`, `comment`, `snooze` and `close`, as the forms of pages send them.
//!
//! They lead back to the page that the field `back` names. What is refused is answered with the alert's page, what was
//! typed and what was wrong; a script, which asks for JSON, is told the problem alone.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::TimeDelta;
use homeward_store::alerts::{EpisodeStatus, Transition};
use homeward_store::episodes::Action;

use super::super::form::Form;
use super::super::view::{ours, see, wants_page};
use super::super::worklist::row::named;
use super::Refused;
use crate::access::{Exchange, Principal};
use crate::alerts::act::{TEXT_LENGTH, act_on, text};
use crate::alerts::assign::hand_over;
use crate::alerts::show::find;
use crate::assignee::Assignee;
use crate::error::ApiError;
use crate::request::Path;

/// For how long an alert can be snoozed with one press, in minutes: until a treatment shows, over a visit, over half a
/// shift.
const SNOOZES: [i64; 3] = [30, 60, 240];

/// What the record says of a snooze without a reason: it demands one, and a nurse in a hurry gives none.
pub(in crate::pages) const NO_REASON: &str = "No reason was given";

pub(crate) async fn acknowledge(
    exchange: Exchange,
    headers: HeaderMap,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let done = take(&exchange, &path).await;
    answer(&exchange, &headers, &path, ("acknowledge", form), done).await
}

/// Takes an alert up. That somebody else was quicker is told: two people should not both telephone.
async fn take(exchange: &Exchange, path: &Path) -> Result<(), ApiError> {
    let reader = exchange.principal();
    let (before, transitions) = find(exchange, path).await?;
    let mine = before.acknowledged_by.is_some_and(|by| reader.is(&by));
    if before.status == EpisodeStatus::Closed && !mine {
        return Err(closed_meanwhile(&transitions, reader));
    }
    let taken = act_on(exchange, path, &Action::Acknowledge).await?;
    match taken.acknowledged_by.filter(|by| !reader.is(by)) {
        Some(by) => {
            let by = named(&by, reader);
            Err(ApiError::Conflict(format!("{by} was quicker, and has it")))
        }
        None => Ok(()),
    }
}

fn closed_meanwhile(transitions: &[Transition], reader: &Principal) -> ApiError {
    let mut backwards = transitions.iter().rev();
    let closing = backwards.find(|transition| transition.kind == "closed");
    ApiError::Conflict(match closing.and_then(|closing| closing.actor.as_ref()) {
        Some(by) => format!("{} has closed it meanwhile", named(by, reader)),
        None => "it is closed meanwhile".to_owned(),
    })
}

pub(crate) async fn assign(
    exchange: Exchange,
    headers: HeaderMap,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let done = pass_on(&exchange, &path, form.text("to")).await;
    answer(&exchange, &headers, &path, ("assign", form), done).await
}

/// Makes it the business of the reader, of a colleague, by the number of an account, or of nobody.
async fn pass_on(exchange: &Exchange, path: &Path, to: &str) -> Result<(), ApiError> {
    let choose = || ApiError::parameter("to", "choose one of those who work with you");
    let done = match to {
        "" => hand_over(exchange, path, None).await,
        "me" => {
            let to = Some(exchange.principal().somebody());
            act_on(exchange, path, &Action::Assign { to }).await
        }
        account => {
            let account = account.parse().map_err(|_| choose())?;
            hand_over(exchange, path, Some(&Assignee::Account(account))).await
        }
    };
    match done {
        // Somebody who was of the team when the page was made.
        Err(ApiError::Unprocessable(_)) => Err(choose()),
        done => done.map(drop),
    }
}

pub(crate) async fn comment(
    exchange: Exchange,
    headers: HeaderMap,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let done = match said("text", "write your comment", &form) {
        Ok(text) => act_on(&exchange, &path, &Action::Comment { text })
            .await
            .map(drop),
        Err(error) => Err(error),
    };
    answer(&exchange, &headers, &path, ("comment", form), done).await
}

pub(crate) async fn snooze(
    exchange: Exchange,
    headers: HeaderMap,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let done = rest(&exchange, &path, &form).await;
    answer(&exchange, &headers, &path, ("snooze", form), done).await
}

async fn rest(exchange: &Exchange, path: &Path, form: &Form) -> Result<(), ApiError> {
    let asked = form.text("minutes").parse().ok();
    let minutes = asked.filter(|minutes| SNOOZES.contains(minutes));
    let minutes = minutes.ok_or_else(|| ApiError::parameter("minutes", "choose for how long"))?;
    let reason = match form.text("reason") {
        "" => NO_REASON.to_owned(),
        reason => text("reason", reason, TEXT_LENGTH)?,
    };
    let until = exchange.now() + TimeDelta::minutes(minutes);
    act_on(exchange, path, &Action::Snooze { until, reason })
        .await
        .map(drop)
}

pub(crate) async fn close(
    exchange: Exchange,
    headers: HeaderMap,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let done = put_away(&exchange, &path, &form).await;
    answer(&exchange, &headers, &path, ("close", form), done).await
}

/// Closes it for one of the usual reasons, or for the one that was typed.
async fn put_away(exchange: &Exchange, path: &Path, form: &Form) -> Result<(), ApiError> {
    let reason = match form.text("usual") {
        "" => said("reason", "say why it can be closed", form)?,
        usual => text("usual", usual, TEXT_LENGTH)?,
    };
    let (before, transitions) = find(exchange, path).await?;
    if before.status == EpisodeStatus::Closed {
        return Err(closed_meanwhile(&transitions, exchange.principal()));
    }
    act_on(exchange, path, &Action::Close { reason }).await.map(drop)
}

/// A text that has to be there.
fn said(field: &str, missing: &str, form: &Form) -> Result<String, ApiError> {
    match form.text(field) {
        "" => Err(ApiError::parameter(field, missing)),
        typed => text(field, typed, TEXT_LENGTH),
    }
}

/// Leads back, or shows what was wrong.
async fn answer(
    exchange: &Exchange,
    headers: &HeaderMap,
    path: &Path,
    (action, form): (&'static str, Form),
    done: Result<(), ApiError>,
) -> Result<Response, ApiError> {
    let alert = path.text("alert");
    let error = match (done, form.text("back")) {
        (Ok(()), "") => return Ok(see(&format!("/alerts/{alert}"))),
        // To its row.
        (Ok(()), back) if back.starts_with("/worklist?") || back == "/worklist" => {
            return Ok(see(&format!("{}#alert-{alert}", ours(back))));
        }
        (Ok(()), back) => return Ok(see(ours(back))),
        (Err(error), _) => error,
    };
    let status = match error {
        ApiError::Parameter { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        ApiError::Conflict(_) | ApiError::Busy(_) => StatusCode::CONFLICT,
        _ => return Err(error),
    };
    if !wants_page(headers) {
        return Err(error);
    }
    super::show(exchange, path, status, Some(Refused::new(action, &error, form))).await
}
