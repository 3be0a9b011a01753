//! `GET /role`: which role to act in; `POST /role` picks one.

use askama::Template;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use homeward_store::accounts::{AccountRole, roles_of};

use super::form::Form;
use super::problems::Problems;
use super::view::{Who, page, see};
use crate::access_log::{capital, role_in_words};
use crate::error::ApiError;
use crate::routes::App;
use crate::sign_in::{SignedIn, pick_role};

#[derive(Template)]
#[template(path = "pages/role.html")]
struct Pick {
    who: Option<Who>,
    problems: Problems,
    roles: Vec<Choice>,
}

struct Choice {
    id: i64,
    text: String,
    picked: bool,
}

pub(crate) async fn get(State(app): State<App>, signed_in: SignedIn) -> Result<Response, ApiError> {
    show(&app, &signed_in, Problems::default()).await
}

async fn show(app: &App, signed_in: &SignedIn, problems: Problems) -> Result<Response, ApiError> {
    let session = signed_in.session();
    let roles = roles_of(&mut *app.connection().await?, session.account, signed_in.now()).await?;
    let picked = session.acts_as.as_ref().map(|role| role.id);
    let status = problems.status();
    let template = Pick {
        who: Some(Who::signed_in(signed_in)),
        problems,
        roles: roles
            .iter()
            .map(|role| Choice {
                id: role.id,
                text: in_words(role),
                picked: picked == Some(role.id),
            })
            .collect(),
    };
    Ok(page(status, &template))
}

pub(crate) async fn post(
    State(app): State<App>,
    signed_in: SignedIn,
    form: Form,
) -> Result<Response, ApiError> {
    let mut problems = Problems::default();
    let role = form.text("role").parse().map_err(|_| "pick one of the roles");
    let Some(role) = problems.take("role", role) else {
        return show(&app, &signed_in, problems).await;
    };
    let picked = pick_role::pick(&app, signed_in, role).await?;
    let mut response = see("/");
    response.headers_mut().append(SET_COOKIE, picked.cookie);
    Ok(response)
}

/// A role with its place: `Care team lead, North`.
pub(super) fn in_words(role: &AccountRole) -> String {
    let words = capital(role_in_words(role.role));
    match (&role.organisation_name, role.patient) {
        (Some(organisation), _) => format!("{words}, {organisation}"),
        (None, Some(patient)) => format!("{words} no. {patient}"),
        (None, None) => words,
    }
}
