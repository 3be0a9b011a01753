//! What all pages have in common.

use askama::Template;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use homeward_store::access::Role;

use super::compress::mask;
use crate::access::{Action, Exchange, ShownOnce, Subject};
use crate::access_log::{capital, role_in_words};
use crate::error::Problem;
use crate::sign_in::SignedIn;

/// Everything is from here, and nothing is inline. The design system draws its arrows as data.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who is looking, at the head of a page.
pub(crate) struct Who {
    /// The person's name.
    pub(crate) name: String,
    /// In which role and where, in words.
    pub(crate) role: String,
    /// What forms have to bring along.
    pub(crate) csrf_token: String,
    /// Where the role's work is.
    pub(crate) links: Vec<Link>,
}

/// A link of a navigation.
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) text: &'static str,
    /// Whether it is this page that it leads to.
    pub(crate) current: bool,
}

impl Who {
    /// Whoever has signed in; programs are shown no forms.
    pub(super) fn of(exchange: &Exchange) -> Option<Who> {
        let principal = exchange.principal();
        match &principal.subject {
            Subject::Session { csrf_token, .. } => Some(Who {
                name: principal.name.clone(),
                role: role_in_words(principal.acts_as.role).to_owned(),
                csrf_token: mask(csrf_token),
                links: links(exchange),
            }),
            Subject::Token { .. } => None,
        }
    }

    /// Whoever has signed in, in whichever role.
    pub(super) fn signed_in(signed_in: &SignedIn) -> Who {
        let session = signed_in.session();
        Who {
            name: session.name.clone(),
            role: String::new(),
            csrf_token: mask(&session.csrf_token),
            links: Vec::new(),
        }
    }
}

/// The pages with which the caller's role works.
fn links(exchange: &Exchange) -> Vec<Link> {
    let patient = exchange.principal().acts_as.role == Role::Patient;
    let pages = [
        ("/worklist", "Worklist", Action::ReadAlerts),
        ("/practice", "By programme", Action::ListPatients),
        ("/patients", "Patients", Action::FindPatients),
        (
            "/break-glass",
            "Opened without a relationship",
            Action::ReviewBreakGlass,
        ),
        ("/refused", "Refused", Action::ReadRefusals),
        ("/admin", "Administration", Action::ManageDevices),
        ("/admin/log", "What administrators did", Action::ReviewBreakGlass),
    ];
    pages
        .into_iter()
        .filter(|(href, _, action)| {
            // Who may find patients without seeing anything of them has pages of another kind for that.
            let opens = *href != "/patients" || exchange.includes(Action::ReadReadings);
            !patient && opens && exchange.includes(*action)
        })
        .map(|(href, text, _)| Link {
            href: href.to_owned(),
            text,
            current: exchange.path() == href || (href == "/admin" && exchange.path().starts_with("/admin/")),
        })
        .collect()
}

/// Answers with a page.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match template.render() {
        Ok(text) => (status, headers, text).into_response(),
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a page could not be rendered"
            );
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Answers with a page that has a secret on it, which nobody is shown again.
pub(super) fn page_once(status: StatusCode, template: &impl Template) -> Response {
    ShownOnce(page(status, template)).into_response()
}

/// Leads the browser to another page, which it asks for by GET.
pub(super) fn see(path: &str) -> Response {
    let path = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response()
}

/// A path of ours, where somebody wanted to go; else the first page.
pub(super) fn ours(path: &str) -> &str {
    // Browsers take a backslash for a slash, and leave tabs and line breaks out wherever they stand.
    let plain = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(|letter: char| letter == '\\' || letter.is_control());
    if plain { path } else { "/" }
}

#[derive(Template)]
#[template(path = "pages/message.html")]
struct Message<'a> {
    who: Option<Who>,
    title: &'a str,
    text: &'a str,
    /// It may help to sign in once more.
    sign_in: bool,
}

/// Turns what went wrong on the way to a page into a page. Whoever is not signed in is led to where one signs in. That it was
/// too often is a page for browsers on each path.
pub(crate) async fn outcomes(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let for_programs = ["/api/", "/fhir/", "/share/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
        || ["/healthz", "/readyz", "/metrics"].contains(&path);
    if !wants_page(request.headers()) {
        return next.run(request).await;
    }
    let wanted = request
        .uri()
        .path_and_query()
        .map_or("/", |wanted| wanted.as_str())
        .to_owned();
    let safe = request.method() == Method::GET;
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>() else {
        return response;
    };
    let status = response.status();
    let too_often = status == StatusCode::TOO_MANY_REQUESTS;
    if for_programs && !too_often {
        return response;
    }
    if status == StatusCode::UNAUTHORIZED {
        let to: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        return see(&if safe {
            format!("/sign-in?to={to}")
        } else {
            "/sign-in".to_owned()
        });
    }
    let message = Message {
        who: None,
        title: problem.title,
        text: &format!("{}.", capital(&problem.detail)),
        sign_in: too_often,
    };
    let mut page = page(status, &message);
    if let Some(when) = response.headers().get(RETRY_AFTER) {
        page.headers_mut().insert(RETRY_AFTER, when.clone());
    }
    page
}

/// Whether it is a browser that asks for a page.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(axum::http::header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        for (path, to) in [
            ("/worklist?mine=true", "/worklist?mine=true"),
            ("//elsewhere.example", "/"),
            ("https://elsewhere.example", "/"),
            ("/\\elsewhere.example", "/"),
            ("/\t/elsewhere.example", "/"),
            ("/worklist\r\n", "/"),
            ("", "/"),
        ] {
            assert_eq!(ours(path), to, "{path}");
        }
    }
}
