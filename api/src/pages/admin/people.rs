//! `GET /admin/people`: who can sign in; parameters `q` (a part of a name) and `after`. `GET /admin/people/new` is where an
//! account is added, and `POST /admin/people` adds it: its first password is shown then and never again.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use homeward_store::accounts::{
    AccountFilter, ListedAccount, NewAccount, add_account, list_accounts, sign_in_name,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{MOST, sections, with_parameters};
use crate::access::Exchange;
use crate::alerts::act::{NAME_LENGTH, text};
use crate::error::ApiError;
use crate::pages::form::Form;
use crate::pages::moment::Moment;
use crate::pages::problems::Problems;
use crate::pages::role;
use crate::pages::view::{Link, Who, page, page_once};
use crate::password;
use crate::request::{Query, parsed};
use crate::routes::App;
use crate::sign_in::random_text;

#[derive(Template)]
#[template(path = "pages/admin/people.html")]
struct People {
    who: Option<Who>,
    sections: Vec<Link>,
    q: String,
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
}

struct Row {
    id: i64,
    name: String,
    sign_in_name: String,
    roles: Vec<String>,
    state: Standing,
}

/// How an account is: the colour of its tag, its words, and until when that lasts.
pub(super) struct Standing {
    pub(super) colour: &'static str,
    pub(super) text: &'static str,
    pub(super) until: Option<Moment>,
}

/// Whether somebody can sign in, in words.
pub(super) fn state_in_words(account: &ListedAccount, now: DateTime<Utc>) -> Standing {
    let (colour, text, until) = if account.disabled_at.is_some() {
        ("red", "Locked", None)
    } else if account.locked_until.is_some() {
        (
            "orange",
            "Waits after wrong passwords, until",
            account.locked_until,
        )
    } else if account.initial_password_until.is_some_and(|until| until <= now) {
        ("orange", "First password is over", None)
    } else if account.initial_password_until.is_some() {
        (
            "yellow",
            "Has not chosen a password; the first is good until",
            account.initial_password_until,
        )
    } else {
        ("green", "Can sign in", None)
    };
    Standing {
        colour,
        text,
        until: until.map(Moment::new),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    q: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    after: Option<i64>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let q = parameters.q.unwrap_or_default().trim().to_owned();
    let filter = AccountFilter {
        text: (!q.is_empty()).then(|| q.clone()),
        after: parameters.after,
        ..AccountFilter::default()
    };
    let now = exchange.now();
    let mut found = list_accounts(&mut *exchange.connection().await, &filter, now, MOST.and_one()).await?;
    let next = MOST.cut(&mut found).map(|last| last.id.to_string());
    let next = next.map(|last| with_parameters("/admin/people", &[("q", &q), ("after", &last)]));
    let template = People {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        q,
        rows: found
            .into_iter()
            .map(|account| Row {
                state: state_in_words(&account, now),
                roles: account.roles.iter().map(role::in_words).collect(),
                id: account.id,
                name: account.name,
                sign_in_name: account.sign_in_name,
            })
            .collect(),
        next,
    };
    Ok(page(StatusCode::OK, &template))
}

#[derive(Template)]
#[template(path = "pages/admin/person_new.html")]
struct New<'a> {
    who: Option<Who>,
    sections: Vec<Link>,
    problems: Problems,
    once: String,
    name: &'a str,
    sign_in_name: &'a str,
}

pub(crate) async fn ask(exchange: Exchange) -> Response {
    show(&exchange, &Form::empty(), Problems::default())
}

fn show(exchange: &Exchange, form: &Form, problems: Problems) -> Response {
    let status = problems.status();
    let template = New {
        who: Who::of(exchange),
        sections: sections(exchange),
        problems,
        once: random_text(),
        name: form.text("name"),
        sign_in_name: form.text("sign_in_name"),
    };
    page(status, &template)
}

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    form: Form,
) -> Result<Response, ApiError> {
    let mut problems = Problems::default();
    let name = problems.take("name", text("name", form.text("name"), NAME_LENGTH));
    let signs_in = problems.take("sign_in_name", sign_in_name(form.text("sign_in_name")));
    let (Some(name), Some(signs_in)) = (name, signs_in) else {
        return Ok(show(&exchange, &form, problems));
    };
    let first = password::first();
    let hash = app.hashing.hash(first.clone()).await?;
    let until = exchange.now() + password::FIRST_LASTS;
    let new = NewAccount {
        sign_in_name: &signs_in,
        name: &name,
        password_hash: Some(&hash),
        initial_password_until: Some(until),
    };
    let added = add_account(&mut *exchange.connection().await, &new, exchange.now()).await;
    match added {
        Ok(account) => {
            exchange.note_reason(&format!("added {name} ({signs_in}), account {account}"));
            Ok(shown_once(&exchange, (account, &name, &signs_in), &first, until))
        }
        Err(error) => {
            problems.refused("sign_in_name", error.into())?;
            Ok(show(&exchange, &form, problems))
        }
    }
}

#[derive(Template)]
#[template(path = "pages/admin/person_password.html")]
struct Password<'a> {
    who: Option<Who>,
    sections: Vec<Link>,
    account: i64,
    name: &'a str,
    sign_in_name: &'a str,
    password: &'a str,
    until: Moment,
}

/// The page with a first password.
pub(super) fn shown_once(
    exchange: &Exchange,
    (account, name, sign_in_name): (i64, &str, &str),
    password: &str,
    until: DateTime<Utc>,
) -> Response {
    let template = Password {
        who: Who::of(exchange),
        sections: sections(exchange),
        account,
        name,
        sign_in_name,
        password,
        until: Moment::new(until),
    };
    page_once(StatusCode::OK, &template)
}
