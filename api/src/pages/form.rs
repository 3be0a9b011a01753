//! What forms send.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;

use super::compress::unmask;
use crate::access::{CSRF_HEADER, IDEMPOTENCY_KEY};
use crate::error::ApiError;
use crate::request::storable;
use crate::routes::MAX_BODY_BYTES;

const OF_FORMS: &str = "application/x-www-form-urlencoded";

/// The fields of a form, by their names.
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// What was typed into a field, without the space around it; empty where there is no such field.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.trim())
    }

    /// The same as it was typed: passwords may begin with a space.
    pub(crate) fn as_typed(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether it has a field of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// One in which a field is filled in beforehand, if any is.
    pub(crate) fn with(field: Option<(&str, String)>) -> Form {
        Form(
            field
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
        )
    }

    /// One into which nothing was typed yet.
    pub(crate) fn empty() -> Form {
        Form(BTreeMap::new())
    }

    fn parse(bytes: &[u8]) -> Form {
        Form(form_urlencoded::parse(bytes).into_owned().collect())
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Form, ApiError> {
        let bytes = Bytes::from_request(request, state).await;
        let form = Form::parse(&bytes.map_err(|_| ApiError::TooLong)?);
        for (name, text) in &form.0 {
            storable(name, text)?;
        }
        Ok(form)
    }
}

/// A form brings the session's token along as a field, since it cannot set a header: it is put where programs put it. So
/// is the key of a form whose answer is shown once: sent again, by a second click or to load the page anew, it does nothing.
pub(crate) async fn form_token(request: Request, next: Next) -> Result<Response, ApiError> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_form = content_type.is_some_and(|value| {
        value
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim() == OF_FORMS)
    });
    if !is_form || request.headers().contains_key(CSRF_HEADER) {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|_| ApiError::TooLong)?;
    let form = Form::parse(&bytes);
    let token = unmask(form.text("csrf_token"));
    for (header, value) in [(CSRF_HEADER, &*token), (IDEMPOTENCY_KEY, form.text("once"))] {
        if let Ok(value) = HeaderValue::try_from(value)
            && !value.is_empty()
        {
            parts.headers.insert(header, value);
        }
    }
    Ok(next.run(Request::from_parts(parts, Body::from(bytes))).await)
}
