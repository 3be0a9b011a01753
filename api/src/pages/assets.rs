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

/// The path of a file that templates call so; a test looks for each that they name.
pub(crate) fn path_of(name: &str) -> String {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::ASSETS;

    /// Each file that a template calls for.
    fn named(folder: &Path, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                named(&path, names);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let calls = text.split("crate::pages::asset(\"").skip(1);
            names.extend(calls.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }

    #[test]
    fn templates_load_what_there_is() {
        let mut names = Vec::new();
        named(
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/templates")),
            &mut names,
        );
        assert!(names.contains(&"homeward.css".to_owned()), "{names:?}");
        for name in names {
            assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
        }
    }

    #[test]
    fn a_first_page_is_light() {
        let compressed = |name: &str| {
            let found = ASSETS.iter().find(|asset| asset.name == name);
            found.unwrap_or_else(|| panic!("there is no {name}")).brotli.len()
        };
        // The page itself is some 5 KB.
        let first = compressed("homeward.css") + compressed("page.js") + compressed("worklist.js");
        assert!(first <= 100_000, "{first} bytes");
        let with_charts = compressed("homeward.css") + compressed("page.js") + compressed("charts.js");
        assert!(with_charts <= 250_000, "{with_charts} bytes");
    }
}
