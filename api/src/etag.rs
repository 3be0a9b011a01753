//! Versions of things that people change: `ETag` says which one was read, `If-Match` which one a change is meant for
//! (RFC 9110, 8.8.3 and 13.1.1). So nobody undoes unseen what somebody else did meanwhile.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, HeaderValue, IF_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::ApiError;

/// An answer with the version of what it shows.
pub(crate) struct Tagged<T> {
    pub(crate) version: i32,
    pub(crate) body: T,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        let tag = HeaderValue::from_str(&format!("\"{}\"", self.version));
        let tag = tag.expect("a number in quotes is a header's value");
        response.headers_mut().insert(ETAG, tag);
        response
    }
}

/// The version for which a change is meant: the request has to name one, as `If-Match: "3"`, or say by
/// `If-Match: *` that any will do.
pub(crate) struct IfMatch(pub(crate) Option<i32>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<IfMatch, ApiError> {
        let header = parts.headers.get(IF_MATCH).ok_or(ApiError::VersionNeeded)?;
        version_of(header.to_str().unwrap_or_default())
            .map(IfMatch)
            .ok_or_else(|| {
                ApiError::parameter(
                    "If-Match",
                    "expected the ETag of what you have read, such as \"3\", or *",
                )
            })
    }
}

fn version_of(header: &str) -> Option<Option<i32>> {
    match header.trim() {
        "*" => Some(None),
        tag => {
            let number = tag.strip_prefix('"')?.strip_suffix('"')?;
            number.parse().ok().map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_in_quotes() {
        for (header, version) in [
            ("\"3\"", Some(Some(3))),
            (" \"12\" ", Some(Some(12))),
            ("*", Some(None)),
            ("3", None),
            ("W/\"3\"", None),
            ("\"3\", \"4\"", None),
            ("\"\"", None),
            ("", None),
        ] {
            assert_eq!(version_of(header), version, "{header}");
        }
    }
}
