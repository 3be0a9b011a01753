//! `GET /sign-in`: where one signs in; `POST /sign-in` does so. `POST /sign-out` signs out.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::form::Form;
use super::view::{Who, ours, page, see};
use crate::error::ApiError;
use crate::request::{Query, parsed};
use crate::routes::App;
use crate::sign_in::provider::Elsewhere;
use crate::sign_in::{self, Asked, SignedIn, Visit};

#[derive(Template)]
#[template(path = "pages/sign_in.html")]
struct SignIn<'a> {
    who: Option<Who>,
    /// Where to go afterwards.
    to: &'a str,
    /// What was typed as the name.
    name: &'a str,
    /// The password was right, and a code has to come with it.
    code_needed: bool,
    wrong: Option<String>,
    providers: Vec<Provider>,
}

/// An identity provider.
struct Provider {
    name: String,
    path: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    to: Option<String>,
}

pub(crate) async fn get(State(app): State<App>, Query(parameters): Query<Parameters>) -> Response {
    let to = parameters.to.unwrap_or_default();
    show(&app, StatusCode::OK, (ours(&to), ""), None)
}

pub(crate) async fn post(State(app): State<App>, visit: Visit, form: Form) -> Result<Response, ApiError> {
    let (name, to) = (form.text("name"), ours(form.text("to")));
    let code = form.text("code");
    let asked = Asked {
        name: name.to_owned(),
        password: form.as_typed("password").to_owned(),
        code: (!code.is_empty()).then(|| code.to_owned()),
    };
    match sign_in::attempt(&app, &visit, asked).await {
        Ok(let_in) => {
            let mut response = see(to);
            response.headers_mut().append(SET_COOKIE, let_in.cookie);
            Ok(response)
        }
        Err(error @ (ApiError::NotLetIn | ApiError::CodeNeeded | ApiError::TooOften { .. })) => Ok(show(
            &app,
            StatusCode::UNPROCESSABLE_ENTITY,
            (to, name),
            Some(&error),
        )),
        Err(error) => Err(error),
    }
}

fn show(app: &App, status: StatusCode, (to, name): (&str, &str), error: Option<&ApiError>) -> Response {
    let provider = |party: &sign_in::RelyingParty| Provider {
        name: party.name().to_owned(),
        path: format!("/api/v1/identity-providers/{}/sign-in", party.name()),
    };
    let code_needed = matches!(error, Some(ApiError::CodeNeeded));
    let template = SignIn {
        who: None,
        to,
        name,
        code_needed,
        wrong: error.map(|error| match error {
            ApiError::CodeNeeded => {
                "Type the code that your second factor shows, and your password once more".to_owned()
            }
            ApiError::NotLetIn => {
                "The name or the password is wrong. After too many tries, wait 15 minutes".to_owned()
            }
            other => other.to_string(),
        }),
        providers: app.relying_parties.iter().map(provider).collect(),
    };
    page(status, &template)
}

/// Leads on to where one is signed in still.
#[derive(Template)]
#[template(path = "pages/signed_out.html")]
struct SignedOut {
    who: Option<Who>,
    elsewhere: Elsewhere,
}

/// `POST /sign-out`. Whoever signed in through an identity provider signs out there too: not by a redirect, which browsers do
/// not follow from a form to another site that its page does not name.
pub(crate) async fn sign_out(State(app): State<App>, signed_in: SignedIn) -> Result<Response, ApiError> {
    let account = signed_in.session().account;
    let (cookie, through) = sign_in::sign_out::end(&app, signed_in).await?;
    let elsewhere = match &through {
        Some(through) => sign_in::provider::end_at(&app, account, through).await,
        None => None,
    };
    let mut response = match elsewhere {
        Some(elsewhere) => page(StatusCode::OK, &SignedOut { who: None, elsewhere }),
        None => see("/sign-in"),
    };
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}
