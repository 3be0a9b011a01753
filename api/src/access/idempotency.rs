//! A POST that is sent twice under one `Idempotency-Key` is done once; the second is answered as the first was.
//!
//! The header is that of draft-ietf-httpapi-idempotency-key-header: a text of 1 to 255 visible characters, in quotes or
//! not, that the caller draws for each request, such as a UUID. What is answered commits with what the request did, so
//! that there is no moment at which one is there without the other. Two that come at once wait for each other. What
//! failed did nothing and is not remembered: it may be tried again under the same key. A key is remembered for 24 hours
//! ([`idempotency::KEPT_FOR`]), and is the caller's own.

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use homeward_store::idempotency::{self, Claim, KeptAnswer, Keyed};
use sha2::{Digest, Sha256};

use super::Exchange;
use crate::error::ApiError;
use crate::routes::MAX_BODY_BYTES;

pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Says that the answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key.
const MAX_KEY_BYTES: usize = 255;

/// The longest answer that is kept: what is answered to a POST is short, but for dry runs.
const MAX_KEPT_BYTES: usize = 256 * 1024;

/// An answer with a secret in it, of which nothing is kept.
pub(crate) struct ShownOnce<T>(pub(crate) T);

/// Marks such an answer.
#[derive(Clone, Copy)]
struct KeepNothing;

impl<T: IntoResponse> IntoResponse for ShownOnce<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(KeepNothing);
        response
    }
}

/// The key of a request that names one, as its hash.
pub(super) fn key_of(parts: &Parts) -> Result<Option<[u8; 32]>, ApiError> {
    let Some(header) = parts
        .headers
        .get(IDEMPOTENCY_KEY)
        .filter(|_| parts.method == Method::POST)
    else {
        return Ok(None);
    };
    let text = header.to_str().unwrap_or_default().trim();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!("expected 1 to {MAX_KEY_BYTES} visible ASCII characters, such as a UUID");
        return Err(ApiError::parameter("Idempotency-Key", detail));
    }
    Ok(Some(Sha256::digest(key).into()))
}

/// Does a request, unless it was done before under this key.
pub(super) async fn once(
    exchange: &Exchange,
    key_hash: [u8; 32],
    (parts, body): (Parts, Body),
    next: Next,
) -> Result<Response, ApiError> {
    let body = to_bytes(body, MAX_BODY_BYTES).await;
    let body = body.map_err(|_| ApiError::TooLong)?;
    let request = Keyed {
        held_role: exchange.principal().acts_as.id,
        key_hash,
        fingerprint: fingerprint(&parts, &body),
    };
    let claimed = idempotency::claim(&mut *exchange.connection().await, &request, exchange.now()).await?;
    match claimed {
        Claim::New => {
            let response = next.run(Request::from_parts(parts, Body::from(body))).await;
            match response.status().is_success() {
                true => keep(exchange, &request, response).await,
                false => Ok(response),
            }
        }
        Claim::Answered(answer) => {
            // The reason to see them may have ended since.
            for &patient in &answer.patients {
                exchange.require(patient).await?;
            }
            replay(answer)
        }
        Claim::OfAnotherRequest => Err(ApiError::KeyOfAnother),
    }
}

/// All that a request says, with the length of each part.
fn fingerprint(parts: &Parts, body: &Bytes) -> [u8; 32] {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let mut hash = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), target.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

async fn keep(exchange: &Exchange, request: &Keyed, response: Response) -> Result<Response, ApiError> {
    let secret = response.extensions().get::<KeepNothing>().is_some();
    let length = response.body().size_hint().upper();
    let short = length.is_some_and(|length| length <= MAX_KEPT_BYTES as u64);
    let (head, body) = response.into_parts();
    let (kept, body) = match short && !secret {
        true => {
            let bytes = to_bytes(body, MAX_KEPT_BYTES)
                .await
                .map_err(|_| ApiError::TooLong)?;
            (Some(bytes.to_vec()), Body::from(bytes))
        }
        false => (None, body),
    };
    let text = |name| text_of(&head.headers, name);
    let answer = KeptAnswer {
        status: head.status.as_u16(),
        content_type: text(CONTENT_TYPE),
        location: text(LOCATION),
        etag: text(ETAG),
        body: kept,
        patients: exchange.noted_patients(),
    };
    idempotency::keep(&mut *exchange.connection().await, request, &answer).await?;
    Ok(Response::from_parts(head, body))
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

fn replay(answer: KeptAnswer) -> Result<Response, ApiError> {
    let Some(body) = answer.body else {
        return Err(ApiError::Conflict(
            "this was done already; what it answered is shown once".to_owned(),
        ));
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = [
        (CONTENT_TYPE, answer.content_type),
        (LOCATION, answer.location),
        (ETAG, answer.etag),
        (REPLAYED, Some("true".to_owned())),
    ];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
