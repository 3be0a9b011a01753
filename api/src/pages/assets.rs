//! `GET /assets/{file}`: what pages load. Each file's name holds its hash, so that it never changes and stays in caches.

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

struct Asset {
    /// How templates call it.
    name: &'static str,
    /// How browsers do.
    file: &'static str,
    plain: &'static [u8],
    brotli: &'static [u8],
}

static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The path of a file that templates call so.
pub(super) fn path_of(name: &str) -> String {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    found.map_or_else(String::new, |asset| format!("/assets/{}", asset.file))
}

pub(crate) async fn get(Path(file): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let asset = ASSETS.iter().find(|asset| asset.file == file);
    let asset = asset.ok_or_else(|| ApiError::NotFound("there is nothing at this path".to_owned()))?;
    let content_type = match file.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let brotli = accepted.is_some_and(|accepted| accepted.split(',').any(|one| one.trim() == "br"));
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (VARY, "accept-encoding"),
    ];
    Ok(match brotli {
        true => (
            headers,
            [(CONTENT_ENCODING, HeaderValue::from_static("br"))],
            asset.brotli,
        )
            .into_response(),
        false => (headers, asset.plain).into_response(),
    })
}
