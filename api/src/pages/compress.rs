//! Pages travel compressed.
//!
//! How long an answer is when compressed tells a listener on the line something of what stands in it, if they can choose a
//! part of it (BREACH). So the one secret that every page holds, the token of its forms, looks different in each answer
//! ([`mask`]), and each answer is longer by a random number of bytes.

use std::io::Write;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, VARY,
};
use axum::middleware::Next;
use axum::response::Response;
use flate2::{Compression, GzBuilder};

use crate::sign_in::random_text;

/// What is shorter gains nothing.
const WORTH_IT: usize = 1_000;

/// The most bytes by which an answer is longer than it needs to be.
const PADDING: u8 = 128;

/// Compresses pages for browsers that take them so.
pub(crate) async fn compress(request: Request, next: Next) -> Response {
    let accepted = says(request.headers(), &ACCEPT_ENCODING, "gzip");
    let response = next.run(request).await;
    let is_page = says(response.headers(), &CONTENT_TYPE, "text/html");
    if !accepted || !is_page || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A page is whole before it is sent.
    let Ok(plain) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    parts
        .headers
        .append(VARY, HeaderValue::from_static("accept-encoding"));
    if plain.len() < WORTH_IT {
        return Response::from_parts(parts, Body::from(plain));
    }
    match gzip(&plain) {
        Ok(compressed) => {
            parts.headers.remove(CONTENT_LENGTH);
            parts
                .headers
                .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Response::from_parts(parts, Body::from(compressed))
        }
        Err(_) => Response::from_parts(parts, Body::from(plain)),
    }
}

fn says(headers: &HeaderMap, name: &axum::http::HeaderName, what: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.contains(what))
}

fn gzip(plain: &Bytes) -> std::io::Result<Vec<u8>> {
    let padding = vec![0; usize::from(rand::random::<u8>() % PADDING)];
    let mut encoder = GzBuilder::new()
        .extra(padding)
        .write(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// A secret of 64 hexadecimal digits as it stands in one answer: a random number, and the secret with that number
/// taken from it bit by bit.
pub(super) fn mask(secret: &str) -> String {
    let pad = random_text();
    let masked = exclusive_or(secret, &pad);
    masked.map_or_else(String::new, |masked| pad + &masked)
}

/// The secret that was masked so; anything else as it is.
pub(super) fn unmask(shown: &str) -> String {
    let halves = shown.split_at_checked(shown.len() / 2);
    let secret = halves.and_then(|(pad, masked)| exclusive_or(masked, pad));
    secret
        .filter(|secret| secret.len() == 64)
        .unwrap_or_else(|| shown.to_owned())
}

/// Two texts of hexadecimal digits of one length, digit by digit.
fn exclusive_or(one: &str, other: &str) -> Option<String> {
    if one.len() != other.len() {
        return None;
    }
    let digits = one.chars().zip(other.chars());
    digits
        .map(|(one, other)| char::from_digit(one.to_digit(16)? ^ other.to_digit(16)?, 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_secret_looks_different_each_time_and_is_the_same() {
        let secret = random_text();
        let (one, other) = (mask(&secret), mask(&secret));
        assert_ne!(one, other);
        assert!(!one.contains(&secret));
        assert_eq!((unmask(&one), unmask(&other)), (secret.clone(), secret.clone()));
        // As programs send it, and what is none.
        assert_eq!(unmask(&secret), secret);
        for wrong in ["", "x", "ü", "0123"] {
            assert_eq!(unmask(wrong), wrong);
        }
    }
}
