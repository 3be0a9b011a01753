//! The same for people who sign in, and the routes that are for no role.

use axum::http::{Method, Request, StatusCode};
use chrono::TimeDelta;
use homeward_store::access::Role;
use homeward_store::sessions::{NewSession, begin_session};

use super::{Ward, filled, may_use, was_let_in};
use crate::routes::{api_routes, open_routes};
use crate::sign_in::Needs;
use crate::testing::{TOKEN, TestApp, now};

/// What is answered to nobody in any role, and what of it to somebody who has signed in only.
const OPEN: &[(&str, &str, Needs)] = &[
    ("GET", "/healthz", Needs::Uncounted),
    ("GET", "/readyz", Needs::Uncounted),
    ("GET", "/metrics", Needs::Uncounted),
    ("GET", "/fhir/R4/metadata", Needs::Nothing),
    ("GET", "/api/v1/openapi.json", Needs::Nothing),
    ("GET", "/api/docs", Needs::Nothing),
    ("GET", "/api/docs/{file}", Needs::Nothing),
    ("GET", "/api/v1/identity-providers", Needs::Nothing),
    ("GET", "/assets/{file}", Needs::Uncounted),
    ("GET", "/", Needs::Session),
    ("GET", "/sign-in", Needs::Nothing),
    ("POST", "/sign-in", Needs::Nothing),
    ("POST", "/sign-out", Needs::Session),
    ("GET", "/password", Needs::Session),
    ("POST", "/password", Needs::Session),
    ("GET", "/role", Needs::Session),
    ("POST", "/role", Needs::Session),
    (
        "GET",
        "/api/v1/identity-providers/{provider}/sign-in",
        Needs::Nothing,
    ),
    (
        "GET",
        "/api/v1/identity-providers/{provider}/callback",
        Needs::Proof,
    ),
    ("GET", "/share/{secret}", Needs::Share),
    ("POST", "/share/{secret}", Needs::Share),
    ("POST", "/api/v1/sign-in", Needs::Nothing),
    ("GET", "/api/v1/session", Needs::Session),
    ("DELETE", "/api/v1/session", Needs::Session),
    ("POST", "/api/v1/session/role", Needs::Session),
    ("POST", "/api/v1/account/password", Needs::Session),
    ("POST", "/api/v1/account/second-factor", Needs::Session),
    ("PUT", "/api/v1/account/second-factor", Needs::Session),
    ("DELETE", "/api/v1/account/second-factor", Needs::Session),
];

#[tokio::test]
async fn every_route_that_is_for_no_role_is_known_and_answers_whom_it_should() {
    let app = TestApp::start().await;
    let routes = open_routes();
    assert_eq!(routes.len(), OPEN.len());
    for route in &routes {
        let known = |row: &&(&str, &str, Needs)| (row.0, row.1) == (route.method.as_str(), route.path);
        let row = OPEN.iter().find(known);
        let (.., needs) = row.unwrap_or_else(|| panic!("nobody has said who may use {}", route.path));
        assert_eq!(*needs, route.needs, "{}", route.path);
        // A bearer token is no session.
        let status = app.status_as(TOKEN, &route.method, route.path).await;
        let expected = match needs {
            Needs::Session => StatusCode::UNAUTHORIZED,
            // A token opens no share either.
            Needs::Share => StatusCode::NOT_FOUND,
            // The form is shown again, with what is wrong.
            Needs::Nothing if route.method == Method::POST && route.path == "/sign-in" => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            // What is missing then is the body.
            Needs::Nothing if route.method == Method::POST => StatusCode::BAD_REQUEST,
            // There is no such file, nor such a provider.
            Needs::Proof => StatusCode::NOT_FOUND,
            Needs::Nothing | Needs::Uncounted if route.path.contains('{') => StatusCode::NOT_FOUND,
            Needs::Nothing if route.path == "/api/docs" => StatusCode::PERMANENT_REDIRECT,
            Needs::Nothing | Needs::Uncounted => StatusCode::OK,
        };
        assert_eq!(status, expected, "{}", route.path);
    }
    // Whoever adds a route past both lists finds this.
    let source = include_str!("../../routes.rs");
    let count = |call: &str| source.matches(call).count();
    assert_eq!((count(".route("), count(".merge("), count(".nest(")), (2, 0, 0));
}

/// The secret of a session of somebody in a role who has a reason to see the ward's first patient.
async fn session_of(ward: &Ward, role: Role) -> String {
    let organisation = match role {
        Role::CareTeamMember | Role::CareTeamLead => Some(ward.team),
        Role::GpClinician | Role::GpManager => Some(ward.practice),
        _ => None,
    };
    let patient = (role == Role::Patient).then_some(ward.known);
    let account = ward.app.add_account(role.as_str()).await;
    let held_role = ward.app.grant(account, role, organisation, patient).await;
    let secret = format!("secret of {role}");
    let new = NewSession {
        secret: &secret,
        csrf_token: "csrf",
        account,
        held_role: Some(held_role),
        first_password: false,
        expires_at: now() + TimeDelta::hours(1),
    };
    begin_session(&mut *ward.app.connection().await, &new, now())
        .await
        .unwrap();
    secret
}

#[tokio::test]
async fn invariant_8_whoever_has_signed_in_may_do_what_a_token_of_the_role_may() {
    let ward = Ward::open(TestApp::start().await).await;
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Integrator) {
        let secret = session_of(&ward, role).await;
        for route in api_routes() {
            let path = filled(route.path, ward.known.0, 1);
            // One of the routes ends the enrolment.
            ward.enrol().await;
            let request = || {
                let request = Request::builder().method(&route.method).uri(&path);
                let request = request.header("Cookie", format!("__Host-homeward={secret}"));
                match route.method.is_safe() {
                    true => request,
                    false => request.header("X-CSRF-Token", "csrf"),
                }
            };
            let status = ward.app.status_of(request()).await;
            let what = format!("{role} {} {path}: {status}", route.method);
            match may_use(&route.method, route.path, role) {
                true => assert!(was_let_in(status, &path), "{what}"),
                false => assert_eq!(status, StatusCode::FORBIDDEN, "{what}"),
            }
            if !route.method.is_safe() {
                let forged = request().header("Host", "care.example");
                let forged = forged.header("Origin", "https://elsewhere.example");
                let answer = ward.app.send(forged).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
                assert!(answer.body.contains("not of this site"), "{what} {}", answer.body);
            }
        }
    }
}
