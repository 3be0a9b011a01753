//! `GET /password`: where one chooses another password; `POST /password` does so.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::Response;

use super::form::Form;
use super::view::{Who, page, see};
use crate::error::ApiError;
use crate::routes::App;
use crate::sign_in::SignedIn;
use crate::sign_in::change_password::change_and_go_on;

#[derive(Template)]
#[template(path = "pages/password.html")]
struct Choose {
    who: Option<Who>,
    /// The password is one that its owner has not chosen: nothing else can be done before.
    first: bool,
    wrong: Option<String>,
}

pub(crate) async fn get(signed_in: SignedIn) -> Response {
    show(&signed_in, StatusCode::OK, None)
}

pub(crate) async fn post(
    State(app): State<App>,
    signed_in: SignedIn,
    form: Form,
) -> Result<Response, ApiError> {
    let (old, new) = (form.as_typed("old"), form.as_typed("new"));
    match change_and_go_on(&app, &signed_in, old.to_owned(), new.to_owned()).await {
        Ok(cookie) => {
            let mut response = see("/");
            response
                .headers_mut()
                .extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
            Ok(response)
        }
        Err(error @ (ApiError::Parameter { .. } | ApiError::NotLetIn | ApiError::TooOften { .. })) => {
            Ok(show(
                &signed_in,
                StatusCode::UNPROCESSABLE_ENTITY,
                Some(error.to_string()),
            ))
        }
        Err(error) => Err(error),
    }
}

fn show(signed_in: &SignedIn, status: StatusCode, wrong: Option<String>) -> Response {
    let template = Choose {
        who: Some(Who::signed_in(signed_in)),
        first: signed_in.session().first_password,
        wrong,
    };
    page(status, &template)
}
