//! Who calls from a browser, and whether it was a page of ours that made it call.

use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method};
use chrono::{DateTime, Utc};
use homeward_store::admin::secret_hash;
use homeward_store::sessions::{Session, find_session};
use sqlx::PgConnection;

use crate::error::ApiError;

/// The cookie with the session's secret. Its prefix has browsers take it only over TLS (or from this machine), for
/// this host and no other.
pub(crate) const SESSION_COOKIE: &str = "__Host-homeward";

/// The header in which a page says that it is ours: other sites cannot read what belongs into it.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// The secret that the browser sends.
pub(crate) fn secret_of(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).map(str::trim);
    pairs.find_map(|pair| pair.strip_prefix(SESSION_COOKIE)?.strip_prefix('='))
}

/// Finds out who is signed in. What changes something has to come from a page of ours.
pub(crate) async fn session_of(
    connection: &mut PgConnection,
    method: &Method,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Result<Session, ApiError> {
    let secret = secret_of(headers).ok_or(ApiError::NoToken)?;
    let session = find_session(connection, secret, now).await?;
    let session = session.ok_or(ApiError::NoSession)?;
    if !method.is_safe() {
        from_our_page(headers)?;
        let shown = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        // Hashes, so that the time it takes tells nothing of where they differ.
        let matches = |shown| secret_hash(shown) == secret_hash(&session.csrf_token);
        if !shown.is_some_and(matches) {
            return Err(ApiError::Forbidden(
                "send the csrf_token of GET /api/v1/session in the header X-CSRF-Token",
            ));
        }
    }
    Ok(session)
}

/// Makes sure that the page that calls is of this host, where the browser says of which it is.
pub(crate) fn from_our_page(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, authority)| authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(ApiError::Forbidden("the page that sent this is not of this site")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_found_among_other_cookies() {
        for (cookies, expected) in [
            (&["__Host-homeward=abc"][..], Some("abc")),
            (&["theme=dark; __Host-homeward=abc; x=y"], Some("abc")),
            (&["theme=dark", "__Host-homeward=abc"], Some("abc")),
            (&["homeward=abc"], None),
            (&["__host-homeward=abc"], None),
            (&["__Host-homeward2=abc"], None),
            (&["a=__Host-homeward=abc"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(COOKIE, cookie.parse().unwrap());
            }
            assert_eq!(secret_of(&headers), expected, "{cookies:?}");
        }
    }

    #[test]
    fn a_page_is_ours_if_it_is_of_the_host_that_is_called() {
        for (origin, host, ours) in [
            (None, Some("care.example"), true),
            (Some("https://care.example"), Some("care.example"), true),
            (Some("https://Care.example"), Some("care.example"), true),
            (Some("http://localhost:8080"), Some("localhost:8080"), true),
            (Some("http://localhost:8081"), Some("localhost:8080"), false),
            (Some("https://evil.example"), Some("care.example"), false),
            (
                Some("https://care.example.evil.example"),
                Some("care.example"),
                false,
            ),
            (
                Some("https://evil.example/care.example"),
                Some("care.example"),
                false,
            ),
            (Some("null"), Some("care.example"), false),
            (Some(""), Some(""), false),
            (Some("https://care.example"), None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            if let Some(host) = host {
                headers.insert(HOST, host.parse().unwrap());
            }
            assert_eq!(from_our_page(&headers).is_ok(), ours, "{origin:?} {host:?}");
        }
    }
}
