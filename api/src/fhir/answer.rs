//! Answers: resources, Bundles of what a search has found, and OperationOutcomes.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use homeward_record::fhir::{self, Issue, Page};
use serde_json::Value as Json;

use super::parameters::Search;
use crate::error::{ApiError, Problem};
use crate::routes::Shared;

const ROOT: &str = "/fhir/R4";

const FHIR_JSON: HeaderValue = HeaderValue::from_static("application/fhir+json");

/// A resource, as an answer.
pub(crate) struct Resource(pub(crate) Json);

impl IntoResponse for Resource {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, FHIR_JSON)], self.0.to_string()).into_response()
    }
}

/// The address of the FHIR interface, without a slash at its end.
pub(super) fn root(app: &Shared) -> String {
    format!("{}{ROOT}", app.base_url)
}

/// What a search has found.
pub(super) struct Found {
    pub(super) matches: Vec<Json>,
    pub(super) included: Vec<Json>,
    /// Where the next page begins; none on the last.
    pub(super) next: Option<String>,
}

impl Found {
    /// What a search finds of somebody who is not there.
    pub(super) fn nothing() -> Found {
        Found::all(Vec::new())
    }

    /// Matches that are one page.
    pub(super) fn all(matches: Vec<Json>) -> Found {
        Found {
            matches,
            included: Vec::new(),
            next: None,
        }
    }
}

/// The page of a search of `kind`, a resource type or an operation: with a link to itself, that says which parameters
/// counted, and to the next one.
pub(super) fn page(app: &Shared, kind: &str, search: &Search, found: Found) -> Resource {
    let base = root(app);
    let address = |after: Option<&str>| format!("{base}/{kind}{}", search.query(after));
    let mut links = vec![("self", address(search.after()))];
    links.extend(found.next.map(|next| ("next", address(Some(&next)))));
    Resource(fhir::searchset(Page {
        total: None,
        links: &links,
        base: &base,
        matches: found.matches,
        included: found.included,
    }))
}

/// That a resource is not there, or not for the caller. It names no number, so that the two cannot be told apart.
pub(super) fn no_such(kind: &str) -> ApiError {
    ApiError::NotFound(format!("there is no such {kind}"))
}

/// Lets whatever goes wrong under `/fhir/R4` be told as an OperationOutcome.
pub(crate) async fn outcomes(request: Request, next: Next) -> Response {
    let is_fhir = request.uri().path().starts_with(ROOT);
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) if is_fhir => {
            let (mut head, _) = response.into_parts();
            head.headers.remove(CONTENT_LENGTH);
            head.headers.insert(CONTENT_TYPE, FHIR_JSON);
            Response::from_parts(head, Body::from(outcome(&problem).to_string()))
        }
        _ => response,
    }
}

fn outcome(problem: &Problem) -> Json {
    // FHIR's issue types, by the names of our problems.
    let code = match problem.kind {
        "invalid-parameter" => "invalid",
        "invalid-body" => "structure",
        "unprocessable" => "business-rule",
        "too-long" | "too-much" => "too-costly",
        "conflict" => "conflict",
        "unauthorized" => "login",
        "forbidden" => "forbidden",
        "not-found" => "not-found",
        "method-not-allowed" | "not-acceptable" => "not-supported",
        "timed-out" => "timeout",
        "busy" => "throttled",
        "record-unavailable" => "transient",
        _ => "exception",
    };
    let text = problem.told();
    fhir::operation_outcome(&[Issue {
        code,
        text: &text,
        place: None,
    }])
}
