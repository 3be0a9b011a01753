//! `GET /admin/log`: who added, granted, revoked and ended what, the latest first; parameter `before`. For administrators and
//! for privacy officers: nobody administers unseen.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_store::audit::{Administered, administration};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{MOST, sections, with_parameters};
use crate::access::Exchange;
use crate::access_log::capital;
use crate::error::ApiError;
use crate::pages::moment::Moment;
use crate::pages::view::{Link, Who, page};
use crate::request::{Query, parsed};

#[derive(Template)]
#[template(path = "pages/admin/log.html")]
struct Log {
    who: Option<Who>,
    sections: Vec<Link>,
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
}

struct Row {
    at: Moment,
    by: String,
    what: String,
    refused: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    before: Option<i64>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let mut connection = exchange.connection().await;
    let mut found = administration(&mut connection, parameters.before, MOST.and_one()).await?;
    drop(connection);
    let next = MOST.cut(&mut found).map(|last| last.sequence.to_string());
    let next = next.map(|last| with_parameters("/admin/log", &[("before", &last)]));
    let template = Log {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        rows: found.into_iter().map(row).collect(),
        next,
    };
    Ok(page(StatusCode::OK, &template))
}

fn row(done: Administered) -> Row {
    Row {
        at: Moment::new(done.at),
        what: match &done.note {
            Some(note) => capital(note),
            None => in_words(&done.action, &done.target),
        },
        by: done.actor,
        refused: !done.done,
    }
}

/// What an action came to of which nothing was noted but its name and what it was done to: on the command line, or because it
/// was refused or only looked at.
fn in_words(action: &str, target: &str) -> String {
    let what = match action {
        "manage_people" => "Accounts",
        "grant_role" => "Roles",
        "manage_organisations" => "Organisations",
        "manage_tokens" => "Tokens",
        "replay_rejected" => "Refused messages",
        "add_account" => "Added an account",
        "disable_account" => "Locked an account",
        "enable_account" | "unlock_account" => "Unlocked an account",
        "reset_password" => "Gave another first password",
        "link_identity" => "Let somebody sign in through an identity provider",
        "unlink_identity" => "No longer lets somebody sign in through an identity provider",
        "remove_second_factor" => "Took a second factor away",
        "end_role" => "Ended a role",
        "forget_key" => "Gave up what a lost key had sealed",
        "name_proxy" => "Noted whom a patient has named",
        other => other,
    };
    format!("{what}: {target}")
}
