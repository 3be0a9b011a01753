//! `GET /admin/tokens`: the tokens of programs; `POST /admin/tokens/{token}/revoke` refuses one from then on. `GET
//! /admin/tokens/new` is where one is made, and `POST /admin/tokens` makes it: it is shown then and never again.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_store::access::Role;
use homeward_store::admin::{NewToken, add_token_for, revoke_token};
use homeward_store::tokens::{ListedToken, list_tokens};

use super::{Choice, number_of, sections};
use crate::access::{Exchange, is_scope};
use crate::access_log::{capital, role_in_words};
use crate::alerts::act::{NAME_LENGTH, text};
use crate::error::ApiError;
use crate::pages::form::Form;
use crate::pages::moment::Moment;
use crate::pages::problems::Problems;
use crate::pages::view::{Link, Who, page, page_once, see};
use crate::request::{Limit, Path};
use crate::sign_in::random_text;

/// How many are listed, the latest first: there are as many as programs.
const MOST_TOKENS: Limit<200, 200> = Limit(200);

/// The most days for which a token can be said to be good: longer is for ever, by other words.
const MOST_DAYS: i64 = 3_650;

#[derive(Template)]
#[template(path = "pages/admin/tokens.html")]
struct Tokens {
    who: Option<Who>,
    sections: Vec<Link>,
    rows: Vec<Row>,
    more: bool,
}

struct Row {
    id: i64,
    name: String,
    role: String,
    scopes: String,
    made: Moment,
    until: Option<Moment>,
    revoked: Option<Moment>,
    over: bool,
}

pub(crate) async fn get(exchange: Exchange) -> Result<Response, ApiError> {
    let mut found = list_tokens(&mut *exchange.connection().await, MOST_TOKENS.and_one()).await?;
    let more = MOST_TOKENS.cut(&mut found).is_some();
    let template = Tokens {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        rows: found
            .into_iter()
            .map(|token| row(token, exchange.now()))
            .collect(),
        more,
    };
    Ok(page(StatusCode::OK, &template))
}

fn row(token: ListedToken, now: DateTime<Utc>) -> Row {
    let role = capital(role_in_words(token.role));
    Row {
        id: token.id,
        name: token.name,
        role: match token.organisation {
            Some(organisation) => format!("{role}, {organisation}"),
            None => role,
        },
        scopes: match token.scopes {
            Some(scopes) => scopes.join(", "),
            None => "all that its role may".to_owned(),
        },
        made: Moment::new(token.created_at),
        until: token.expires_at.map(Moment::new),
        revoked: token.revoked_at.map(Moment::new),
        over: token.expires_at.is_some_and(|until| until <= now),
    }
}

#[derive(Template)]
#[template(path = "pages/admin/token_new.html")]
struct New {
    who: Option<Who>,
    sections: Vec<Link>,
    problems: Problems,
    once: String,
    name: String,
    roles: Vec<Choice>,
    organisations: Vec<Choice>,
    scopes: String,
    days: String,
}

pub(crate) async fn ask(exchange: Exchange) -> Result<Response, ApiError> {
    let integrator = ("role", Role::Integrator.as_str().to_owned());
    show(&exchange, &Form::with(Some(integrator)), Problems::default()).await
}

async fn show(exchange: &Exchange, form: &Form, problems: Problems) -> Result<Response, ApiError> {
    let roles = Role::ALL.into_iter().filter(|role| *role != Role::Patient);
    let roles = roles.map(|role| (role.as_str(), capital(role_in_words(role))));
    let organisation = form.text("organisation");
    let mut connection = exchange.connection().await;
    let status = problems.status();
    let template = New {
        who: Who::of(exchange),
        sections: sections(exchange),
        problems,
        once: random_text(),
        name: form.text("name").to_owned(),
        roles: Choice::of(roles, form.text("role")),
        organisations: Choice::organisations(&mut connection, None, organisation).await?,
        scopes: form.text("scopes").to_owned(),
        days: form.text("days").to_owned(),
    };
    Ok(page(status, &template))
}

#[derive(Template)]
#[template(path = "pages/admin/token_shown.html")]
struct Shown<'a> {
    who: Option<Who>,
    sections: Vec<Link>,
    name: &'a str,
    token: &'a str,
    until: Option<Moment>,
}

pub(crate) async fn post(exchange: Exchange, form: Form) -> Result<Response, ApiError> {
    let mut problems = Problems::default();
    let name = problems.take("name", text("name", form.text("name"), NAME_LENGTH));
    let role = problems.take("role", role_of(form.text("role")));
    let organisation = problems.take("organisation", number_of(form.text("organisation")));
    let scopes = problems.take("scopes", scopes_of(form.text("scopes")));
    let days = problems.take("days", days_of(form.text("days")));
    if organisation == Some(None) && role.is_some_and(Role::needs_organisation) {
        problems.note("organisation", "say in which organisation the program acts");
    }
    let (Some(name), Some(role), Some(organisation), Some(scopes), Some(days), true) =
        (name, role, organisation, scopes, days, problems.is_empty())
    else {
        return show(&exchange, &form, problems).await;
    };
    let token = format!("hw_{}", random_text());
    let new = NewToken {
        name: &name,
        token: &token,
        role,
        organisation,
        scopes: (!scopes.is_empty()).then_some(&scopes[..]),
        expires_at: days.map(|days| exchange.now() + TimeDelta::days(days)),
    };
    let added = add_token_for(&mut *exchange.connection().await, &new).await;
    let id = match added {
        Ok(id) => id,
        Err(error) => {
            problems.refused("organisation", error.into())?;
            return show(&exchange, &form, problems).await;
        }
    };
    let role = role_in_words(role);
    exchange.note_reason(&format!("made token {id} for {name}, acting as {role}"));
    let template = Shown {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        name: &name,
        token: &token,
        until: new.expires_at.map(Moment::new),
    };
    Ok(page_once(StatusCode::OK, &template))
}

/// A program is no patient: patients sign in.
fn role_of(text: &str) -> Result<Role, &'static str> {
    let role = text.parse().map_err(|_: String| "pick one of the roles")?;
    match role {
        Role::Patient => Err("a program cannot be a patient"),
        role => Ok(role),
    }
}

/// Scopes with spaces, commas or line breaks between them.
fn scopes_of(text: &str) -> Result<Vec<String>, String> {
    let scopes = text.split(|c: char| c.is_whitespace() || c == ',');
    let scopes: Vec<String> = scopes
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    match scopes.iter().find(|scope| !is_scope(scope)) {
        Some(scope) => Err(format!(
            "{scope:?} is no scope: expected one as user/Observation.read"
        )),
        None => Ok(scopes),
    }
}

fn days_of(text: &str) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(days) if (1..=MOST_DAYS).contains(&days) => Ok(Some(days)),
        _ => Err(format!("expected 1 to {MOST_DAYS} days")),
    }
}

/// `POST /admin/tokens/{token}/revoke`.
pub(crate) async fn revoke(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let token: i64 = path.value("token")?;
    revoke_token(&mut *exchange.connection().await, token, exchange.now()).await?;
    exchange.note_reason(&format!("revoked token {token}"));
    Ok(see("/admin/tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_stand_in_lines_or_in_one() {
        let read = |text: &str| scopes_of(text).map(|scopes| scopes.join("|"));
        assert_eq!(
            read("user/Observation.read\n user/Patient.rs,system/*.*"),
            Ok("user/Observation.read|user/Patient.rs|system/*.*".to_owned())
        );
        assert_eq!(read(""), Ok(String::new()));
        assert!(read("Observation").unwrap_err().contains("no scope"));
    }
}
