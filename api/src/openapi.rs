//! What the interface looks like, for programs: `GET /api/v1/openapi.json`, an OpenAPI 3.1 document, and for people a
//! page that shows it, `/api/docs`.
//!
//! The document is made from the table of routes and the types of their handlers: what a handler takes and answers is
//! what is said of it ([`describe`]). What passes [`crate::access::pass`] can be refused in ways that no handler knows;
//! those are said here, once.

mod describe;
mod document;

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::Path;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::error::ApiError;

pub(crate) use describe::{Created, Documented, Told};

/// Made once: it is the same for everybody.
static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(document::document);

/// How the page is set up.
static READER: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::new(["/api/v1/openapi.json"])));

/// `GET /api/v1/openapi.json`.
pub(crate) async fn get() -> Json<&'static OpenApi> {
    Json(&DOCUMENT)
}

/// `GET /api/docs`: leads to the page.
pub(crate) async fn reader() -> Redirect {
    Redirect::permanent("/api/docs/index.html")
}

/// `GET /api/docs/{file}`: the page, its script and its styles.
pub(crate) async fn file(Path(file): Path<String>) -> Result<Response, ApiError> {
    let found = utoipa_swagger_ui::serve(&file, READER.clone());
    let nothing = || ApiError::NotFound("there is nothing at this path".to_owned());
    let file = found.ok().flatten().ok_or_else(nothing)?;
    let content_type = HeaderValue::try_from(file.content_type).map_err(|_| nothing())?;
    Ok(([(CONTENT_TYPE, content_type)], file.bytes.into_owned()).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use axum::http::Request;
    use serde_json::Value;

    use super::Told;
    use crate::routes::api_routes;
    use crate::testing::TestApp;

    #[tokio::test]
    async fn every_route_of_the_api_is_in_the_document() {
        let app = TestApp::start().await;
        let document = app.send(Request::get("/api/v1/openapi.json")).await.json();
        assert_eq!(document["openapi"], "3.1.0");
        for route in api_routes()
            .iter()
            .filter(|route| route.path.starts_with("/api/"))
        {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            let what = format!("{} {}", route.method, route.path);
            assert!(operation["summary"].is_string(), "{what}");
            let statuses = operation["responses"].as_object().unwrap();
            assert!(statuses.keys().any(|status| status.starts_with('2')), "{what}");
            for refusal in ["400", "401", "403", "404", "429", "503"] {
                assert!(statuses.contains_key(refusal), "{what}: {refusal}");
            }
        }
    }

    /// A name that two types have would show one of them in the place of the other.
    #[test]
    fn a_schema_s_name_is_that_of_one_type() {
        let routes = api_routes();
        let told = routes.iter().flat_map(|route| {
            let mut told = Told::default();
            (route.tell)(&mut told);
            told.schemas
        });
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        let mut twice = BTreeSet::new();
        for (name, schema) in told {
            let schema = serde_json::to_value(schema).unwrap();
            if known.entry(name.clone()).or_insert_with(|| schema.clone()) != &schema {
                twice.insert(name);
            }
        }
        assert_eq!(twice, BTreeSet::new());
    }

    #[tokio::test]
    async fn every_reference_leads_somewhere() {
        let app = TestApp::start().await;
        let document = app.send(Request::get("/api/v1/openapi.json")).await.json();
        let mut left = vec![&document];
        let mut references = 0;
        while let Some(value) = left.pop() {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(reference)) = object.get("$ref") {
                        let place = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(place).is_some(), "{reference}");
                        references += 1;
                    }
                    left.extend(object.values());
                }
                Value::Array(values) => left.extend(values),
                _ => {}
            }
        }
        assert!(references > 20, "{references}");
    }

    #[tokio::test]
    async fn the_page_that_shows_it_is_served_from_here() {
        let app = TestApp::start().await;
        let page = app.send(Request::get("/api/docs/index.html")).await;
        assert_eq!(page.status, 200);
        assert!(
            !page.body.contains("https://"),
            "nothing is fetched from elsewhere: {}",
            page.body
        );
        assert_eq!(app.send(Request::get("/api/docs/nothing.js")).await.status, 404);
    }
}
