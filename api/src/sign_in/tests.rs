//! Signing in and out, as browsers do it. `SECURITY.md` names these tests.

mod passwords;
mod sessions;

use std::net::{IpAddr, Ipv4Addr};

use axum::http::request::Builder;
use axum::http::{Method, Request};
use homeward_store::access::{Role, end_role};
use homeward_store::accounts::{disable_account, set_password, unlock_account};
use homeward_store::admin::{add_organisation, secret_hash};
use homeward_store::audit;
use homeward_store::secrets::Whose;
use homeward_store::sessions::session_is_good;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::code;
use crate::access::Origin;
use crate::testing::{Answer, KEYS, PASSWORD, TestApp, now};

const SIGN_IN: &str = "/api/v1/sign-in";
const SESSION: &str = "/api/v1/session";
const PICK: &str = "/api/v1/session/role";
const CHANGE: &str = "/api/v1/account/password";

/// What a browser keeps.
#[derive(Clone)]
struct Browser {
    secret: String,
    csrf_token: String,
    view: Value,
}

impl Browser {
    /// Takes the cookie and the token out of an answer.
    fn after(answer: &Answer) -> Browser {
        let view = answer.json();
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
        Browser {
            secret: pair.strip_prefix("__Host-homeward=").unwrap().to_owned(),
            csrf_token: view["csrf_token"].as_str().unwrap().to_owned(),
            view,
        }
    }

    fn request(&self, method: &Method, path: &str) -> Builder {
        let request = Request::builder().method(method).uri(path);
        request.header("Cookie", format!("__Host-homeward={}", self.secret))
    }

    async fn get(&self, app: &TestApp, path: &str) -> Answer {
        app.send(self.request(&Method::GET, path)).await
    }

    async fn send(&self, app: &TestApp, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.request(&method, path);
        app.send_with(request.header("X-CSRF-Token", &self.csrf_token), body)
            .await
    }
}

async fn try_it(app: &TestApp, name: &str, password: &str) -> Answer {
    let body = json!({"name": name, "password": password});
    app.send_with(Request::post(SIGN_IN), &body).await
}

async fn sign_in(app: &TestApp, name: &str) -> Browser {
    Browser::after(&try_it(app, name, PASSWORD).await)
}

/// Lets attempts be made as if some time had gone by.
async fn wait(app: &TestApp) {
    sqlx::query("DELETE FROM sign_in_attempt")
        .execute(app.pool())
        .await
        .unwrap();
}

/// An account of two roles in two teams.
async fn with_two_roles(app: &TestApp) -> (i64, [i64; 2]) {
    let account = app.add_account("mei").await;
    let mut roles = [0; 2];
    for (role, name) in roles.iter_mut().zip(["North", "South"]) {
        let team = add_organisation(&mut *app.connection().await, "care_team", name)
            .await
            .unwrap();
        *role = app.grant(account, Role::CareTeamMember, Some(team), None).await;
    }
    (account, roles)
}

/// Action, outcome, actor, stated reason and origin of a row of the log.
type Row = (String, String, String, Option<String>, Option<String>);

/// Every row of the log, as a line.
async fn log(app: &TestApp) -> String {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT action, outcome, actor, reason, origin FROM audit_event ORDER BY sequence")
            .fetch_all(app.pool())
            .await
            .unwrap();
    let line = |(action, outcome, actor, reason, origin): Row| {
        let rest = [reason, origin]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ");
        let rest = if rest.is_empty() {
            rest
        } else {
            format!(": {rest}")
        };
        format!("{action} {outcome} by {actor}{rest}")
    };
    rows.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn who_signs_in_gets_a_cookie_that_no_script_reads_and_acts_in_the_one_role() {
    let app = TestApp::start().await;
    let account = app.add_account("mei").await;
    let role = app.grant(account, Role::PrivacyOfficer, None, None).await;
    let answer = try_it(&app, " Mei ", PASSWORD).await;
    let browser = Browser::after(&answer);
    assert_eq!(browser.secret.len(), 64);
    assert_ne!(browser.secret, browser.csrf_token);
    let told = answer
        .show()
        .replace(&browser.secret, "SECRET")
        .replace(&browser.csrf_token, "TOKEN");
    assert_snapshot!(told, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    set-cookie: __Host-homeward=SECRET; Path=/; Secure; HttpOnly; SameSite=Lax

    {
      "account": 501,
      "csrf_token": "TOKEN",
      "expires_at": "2026-11-23T00:00:00Z",
      "idle_minutes": 30,
      "must_change_password": false,
      "name": "Mei Ng",
      "role": 2,
      "roles": [
        {
          "id": 2,
          "organisation": null,
          "organisation_name": null,
          "patient": null,
          "role": "privacy_officer"
        }
      ],
      "second_factor": false,
      "sign_in_name": "mei"
    }
    "#);
    assert_eq!(browser.get(&app, SESSION).await.json(), browser.view);
    assert_eq!(browser.view["role"], role);
    assert_eq!(browser.get(&app, "/api/v1/break-glass").await.status, 200);
    assert_eq!(browser.get(&app, "/api/v1/alerts").await.status, 403);
    // The record has neither the password nor the secret.
    let kept: String = sqlx::query_scalar(
        "SELECT (SELECT string_agg(account::text, '') FROM account)
             || (SELECT string_agg(s::text, '') FROM sign_in_session s)",
    )
    .fetch_one(app.pool())
    .await
    .unwrap();
    assert!(
        !kept.contains(PASSWORD) && !kept.contains(&browser.secret),
        "{kept}"
    );
    assert!(kept.contains("$argon2id$"));
}

#[tokio::test]
async fn nobody_learns_which_names_there_are() {
    let app = TestApp::start().await;
    let mut answers = Vec::new();
    for (name, change) in [
        ("mei", "SELECT 1"),
        (
            "gone",
            "UPDATE account SET disabled_at = now() WHERE sign_in_name = 'gone'",
        ),
        (
            "locked",
            "UPDATE account SET locked_until = '2026-11-22T12:10:00Z' WHERE sign_in_name = 'locked'",
        ),
        (
            "late",
            "UPDATE account SET initial_password_until = '2026-11-22T12:00:00Z' WHERE sign_in_name = 'late'",
        ),
        (
            "federated",
            "UPDATE account SET password_hash = NULL WHERE sign_in_name = 'federated'",
        ),
    ] {
        app.add_account(name).await;
        sqlx::query(change).execute(app.pool()).await.unwrap();
        let password = if name == "mei" { "wrong" } else { PASSWORD };
        answers.push(try_it(&app, name, password).await.show());
    }
    for name in ["nobody", "", "mei\0", "zoë", &"x".repeat(1000)] {
        answers.push(try_it(&app, name, PASSWORD).await.show());
    }
    assert_snapshot!(answers[0], @r#"
    401 Unauthorized
    content-type: application/problem+json
    www-authenticate: Bearer realm="homeward"
    cache-control: no-store

    {
      "detail": "the name or the password is wrong, or it was wrong too often; after that, wait 15 minutes",
      "status": 401,
      "title": "Not signed in",
      "type": "urn:homeward:problem:not-let-in"
    }
    "#);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    // Also being told to wait is the same.
    let mut throttled = Vec::new();
    for name in ["mei", "nobody"] {
        for _ in 0..5 {
            try_it(&app, name, "wrong").await;
        }
        throttled.push(try_it(&app, name, PASSWORD).await.show());
    }
    assert_snapshot!(throttled[0], @r#"
    429 Too Many Requests
    content-type: application/problem+json
    retry-after: 60
    cache-control: no-store

    {
      "detail": "that was too often; try again in 60 seconds",
      "status": 429,
      "title": "Too often",
      "type": "urn:homeward:problem:too-often"
    }
    "#);
    assert_eq!(throttled[0], throttled[1]);
    assert_snapshot!(log(&app).await, @r#"
    sign_in refused by Mei Ng: the password is wrong
    sign_in refused by Mei Ng: the account is disabled
    sign_in refused by Mei Ng: the account is locked
    sign_in refused by Mei Ng: the first password is over
    sign_in refused by Mei Ng: the password is wrong
    sign_in refused by unknown: nobody has this name
    sign_in refused by unknown: nobody has this name
    sign_in refused by unknown: nobody has this name
    sign_in refused by unknown: nobody has this name
    sign_in refused by unknown: nobody has this name
    sign_in refused by Mei Ng: the password is wrong
    sign_in refused by Mei Ng: the password is wrong
    sign_in refused by Mei Ng: the password is wrong
    sign_in refused by Mei Ng: the password is wrong
    sign_in refused by unknown: it was tried too often
    sign_in refused by unknown: nobody has this name
    sign_in refused by unknown: nobody has this name
    sign_in refused by unknown: nobody has this name
    sign_in refused by unknown: nobody has this name
    sign_in refused by unknown: it was tried too often
    "#);
}

#[tokio::test]
async fn an_account_is_locked_after_ten_wrong_passwords_and_again_after_each_further_one() {
    let app = TestApp::start().await;
    let account = app.add_account("mei").await;
    let attempt = async |password: &str| {
        wait(&app).await;
        try_it(&app, "mei", password).await.status.as_u16()
    };
    for _ in 0..9 {
        assert_eq!(attempt("wrong").await, 401);
    }
    // A right one in between starts the count anew.
    assert_eq!(attempt(PASSWORD).await, 200);
    for _ in 0..10 {
        assert_eq!(attempt("wrong").await, 401);
    }
    assert_eq!(attempt(PASSWORD).await, 401);
    let until = async || {
        sqlx::query_scalar::<_, Option<chrono::DateTime<chrono::Utc>>>("SELECT locked_until FROM account")
            .fetch_one(app.pool())
            .await
            .unwrap()
    };
    let minutes = chrono::TimeDelta::minutes;
    assert_eq!(until().await, Some(now() + minutes(15)));
    // Trying does not make it longer.
    attempt("wrong").await;
    assert_eq!(until().await, Some(now() + minutes(15)));
    sqlx::query("UPDATE account SET locked_until = $1")
        .bind(now())
        .execute(app.pool())
        .await
        .unwrap();
    assert_eq!(attempt("wrong").await, 401);
    assert_eq!(until().await, Some(now() + minutes(15)));
    assert_eq!(attempt(PASSWORD).await, 401);
    let mut connection = app.connection().await;
    assert!(unlock_account(&mut connection, account, now()).await.unwrap());
    assert!(!unlock_account(&mut connection, account, now()).await.unwrap());
    assert_eq!(attempt(PASSWORD).await, 200);
}

#[tokio::test]
async fn trying_is_throttled_by_name_and_by_address() {
    let app = TestApp::start().await;
    app.add_account("mei").await;
    let from = async |last: u8, name: &str, password: &str| {
        let origin = Origin(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let body = json!({"name": name, "password": password});
        app.send_with(Request::post(SIGN_IN).extension(origin), &body)
            .await
    };
    // By name, wherever it comes from; the right password is no way around it, and what was right is not counted.
    for last in 1..=5 {
        assert_eq!(from(last, "mei", PASSWORD).await.status, 200);
        assert_eq!(from(last, "MEI", "wrong").await.status, 401);
    }
    let throttled = from(6, "mei", PASSWORD).await;
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.headers["retry-after"], "60");
    sqlx::query("UPDATE sign_in_attempt SET window_ends = $1")
        .bind(now())
        .execute(app.pool())
        .await
        .unwrap();
    assert_eq!(from(6, "mei", PASSWORD).await.status, 200);

    // By address, whatever the name; others can go on.
    sqlx::query("UPDATE sign_in_attempt SET attempts = 99 WHERE subject = $1")
        .bind(&secret_hash("address 192.0.2.6")[..])
        .execute(app.pool())
        .await
        .unwrap();
    assert_eq!(from(6, "somebody", "wrong").await.status, 401);
    let throttled = from(6, "mei", PASSWORD).await;
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.headers["retry-after"], "900");
    assert_eq!(from(7, "mei", PASSWORD).await.status, 200);
    // What is over is not kept.
    sqlx::query("UPDATE sign_in_attempt SET window_ends = $1")
        .bind(now())
        .execute(app.pool())
        .await
        .unwrap();
    from(8, "mei", "wrong").await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM sign_in_attempt")
        .fetch_one(app.pool())
        .await
        .unwrap();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn every_sign_in_is_in_the_log_with_its_origin_and_the_chain_holds() {
    let app = TestApp::start().await;
    app.add_account("mei").await;
    let origin = Origin("2001:db8::7".parse().unwrap());
    for (name, password) in [
        ("mei", "wrong"),
        ("my password by mistake", "x"),
        ("mei", PASSWORD),
    ] {
        let body = json!({"name": name, "password": password});
        app.send_with(Request::post(SIGN_IN).extension(origin), &body)
            .await;
    }
    assert_snapshot!(log(&app).await, @r#"
    sign_in refused by Mei Ng: the password is wrong, 2001:db8::7
    sign_in refused by unknown: nobody has this name, 2001:db8::7
    sign_in done by Mei Ng: 2001:db8::7
    "#);
    let verified = audit::verify(&mut *app.connection().await, None).await.unwrap();
    assert_eq!((verified.rows, verified.fault), (3, None));
}
