//! Signing in and out, as browsers do it. `SECURITY.md` names these tests.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::request::Builder;
use axum::http::{Method, Request};
use homeward_store::access::{Role, end_role};
use homeward_store::accounts::{disable_account, set_password, unlock_account};
use homeward_store::admin::{add_organisation, secret_hash};
use homeward_store::audit;
use homeward_store::sessions::session_is_good;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::code;
use crate::access::Origin;
use crate::testing::{Answer, PASSWORD, TestApp, now};

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

/// Action, outcome, actor, stated reason and origin of every row of the log.
async fn log(app: &TestApp) -> String {
    let rows: Vec<(String, String, String, Option<String>, Option<String>)> =
        sqlx::query_as("SELECT action, outcome, actor, reason, origin FROM audit_event ORDER BY sequence")
            .fetch_all(app.pool())
            .await
            .unwrap();
    let line = |(action, outcome, actor, reason, origin): (
        String,
        String,
        String,
        Option<String>,
        Option<String>,
    )| {
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
async fn a_session_is_over_when_it_is_idle_too_old_or_unknown() {
    let app = TestApp::start().await;
    with_two_roles(&app).await;
    let browser = sign_in(&app, "mei").await;
    let ago = |minutes| now() - chrono::TimeDelta::minutes(minutes);
    for (last_used, expires, expected) in [
        (ago(29), ago(-1), 200),
        (ago(30), ago(-1), 401),
        (ago(0), ago(0), 401),
        (ago(0), ago(-1), 200),
    ] {
        sqlx::query("UPDATE sign_in_session SET last_used_at = $1, expires_at = $2")
            .bind(last_used)
            .bind(expires)
            .execute(app.pool())
            .await
            .unwrap();
        assert_eq!(
            browser.get(&app, SESSION).await.status,
            expected,
            "{last_used} {expires}"
        );
    }
    // A use is noted, so that the time without one begins anew.
    sqlx::query("UPDATE sign_in_session SET last_used_at = $1")
        .bind(ago(20))
        .execute(app.pool())
        .await
        .unwrap();
    browser.get(&app, SESSION).await.json();
    let (used, expires): (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>) =
        sqlx::query_as("SELECT last_used_at, expires_at FROM sign_in_session")
            .fetch_one(app.pool())
            .await
            .unwrap();
    assert_eq!((used, expires), (now(), ago(-1)));
    let mut forged = browser.clone();
    forged
        .secret
        .replace_range(0..1, if browser.secret.starts_with('0') { "1" } else { "0" });
    assert_eq!(forged.get(&app, SESSION).await.status, 401);
    let begun = sign_in(&app, "mei").await.view;
    assert_eq!(begun["expires_at"], "2026-11-23T00:00:00Z");
}

#[tokio::test]
async fn a_picked_role_comes_with_another_secret_and_is_one_of_the_account() {
    let app = TestApp::start().await;
    let (account, [north, south]) = with_two_roles(&app).await;
    let other = app.add_account("other").await;
    let foreign = app.grant(other, Role::PrivacyOfficer, None, None).await;
    let begun = sign_in(&app, "mei").await;
    assert_eq!(begun.view["role"], Value::Null);
    let answer = begun.get(&app, "/api/v1/alerts").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("pick a role first"), "{}", answer.body);
    for role in [foreign, 9999] {
        let refused = begun.send(&app, Method::POST, PICK, &json!({"role": role})).await;
        assert_eq!(refused.status, 400);
    }

    let picked = begun
        .send(&app, Method::POST, PICK, &json!({"role": north}))
        .await;
    let picked = Browser::after(&picked);
    assert_eq!(picked.view["role"], north);
    assert_eq!(picked.view["expires_at"], begun.view["expires_at"]);
    assert_ne!(picked.secret, begun.secret);
    assert_ne!(picked.csrf_token, begun.csrf_token);
    assert_eq!(begun.get(&app, SESSION).await.status, 401);
    assert_eq!(picked.get(&app, "/api/v1/alerts").await.status, 200);
    // The token before goes with the secret before.
    let stale = picked
        .request(&Method::POST, PICK)
        .header("X-CSRF-Token", &begun.csrf_token);
    assert_eq!(app.send_with(stale, &json!({"role": south})).await.status, 403);

    let moved = picked
        .send(&app, Method::POST, PICK, &json!({"role": south}))
        .await;
    let moved = Browser::after(&moved);
    let mut connection = app.connection().await;
    let hash = secret_hash(&moved.secret);
    assert!(
        session_is_good(&mut connection, &hash, south, now())
            .await
            .unwrap()
    );
    assert!(
        !session_is_good(&mut connection, &hash, north, now())
            .await
            .unwrap()
    );
    end_role(&mut connection, south, now()).await.unwrap();
    assert!(
        !session_is_good(&mut connection, &hash, south, now())
            .await
            .unwrap()
    );
    assert_eq!(moved.get(&app, "/api/v1/alerts").await.status, 403);
    let seen = moved.get(&app, SESSION).await.json();
    assert_eq!(
        (&seen["role"], seen["roles"].as_array().unwrap().len()),
        (&Value::Null, 1)
    );

    disable_account(&mut connection, account, now()).await.unwrap();
    assert_eq!(moved.get(&app, SESSION).await.status, 401);
    assert_eq!(try_it(&app, "mei", PASSWORD).await.status, 401);
    drop(connection);
    assert_snapshot!(log(&app).await, @r#"
    sign_in done by Mei Ng
    pick_role done by Mei Ng
    read_alerts done by Mei Ng
    pick_role done by Mei Ng
    sign_in refused by Mei Ng: the account is disabled
    "#);
}

#[tokio::test]
async fn what_changes_something_has_to_come_from_a_page_of_ours() {
    let app = TestApp::start().await;
    let (_, [north, _]) = with_two_roles(&app).await;
    let browser = sign_in(&app, "mei").await;
    let elsewhere = "https://elsewhere.example";
    for (token, origin) in [
        (None, None),
        (Some(""), None),
        (Some("0"), None),
        (Some(browser.csrf_token.as_str()), Some(elsewhere)),
        (Some(browser.csrf_token.as_str()), Some("null")),
        (None, Some("https://care.example")),
    ] {
        for (method, path) in [
            (Method::POST, PICK),
            (Method::POST, CHANGE),
            (Method::DELETE, SESSION),
            (Method::POST, "/api/v1/alerts/1/acknowledge"),
        ] {
            let mut request = browser.request(&method, path).header("Host", "care.example");
            if let Some(token) = token {
                request = request.header("X-CSRF-Token", token);
            }
            if let Some(origin) = origin {
                request = request.header("Origin", origin);
            }
            let answer = app.send_with(request, &json!({"role": north})).await;
            assert_eq!(answer.status, 403, "{path} {token:?} {origin:?}");
        }
    }
    let ours = browser
        .request(&Method::POST, PICK)
        .header("Host", "care.example")
        .header("Origin", "https://care.example")
        .header("X-CSRF-Token", &browser.csrf_token);
    assert_eq!(app.send_with(ours, &json!({"role": north})).await.status, 200);
    // Nobody is signed in from elsewhere either, as somebody whom the other site has chosen.
    let body = json!({"name": "mei", "password": PASSWORD});
    let forged = Request::post(SIGN_IN)
        .header("Host", "care.example")
        .header("Origin", elsewhere);
    assert_eq!(app.send_with(forged, &body).await.status, 403);
}

#[tokio::test]
async fn who_signs_out_is_out_and_signing_in_again_ends_what_was_before() {
    let app = TestApp::start().await;
    with_two_roles(&app).await;
    let browser = sign_in(&app, "mei").await;
    let elsewhere = sign_in(&app, "mei").await;
    let out = browser.send(&app, Method::DELETE, SESSION, &Value::Null).await;
    assert_snapshot!(out.show(), @r#"
    204 No Content
    cache-control: no-store
    set-cookie: __Host-homeward=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0
    "#);
    assert_eq!(browser.get(&app, SESSION).await.status, 401);
    assert_eq!(elsewhere.get(&app, SESSION).await.status, 200);

    // A secret that somebody has put into the browser is not the one of the session that begins.
    let body = json!({"name": "mei", "password": PASSWORD});
    let again = app
        .send_with(elsewhere.request(&Method::POST, SIGN_IN), &body)
        .await;
    let again = Browser::after(&again);
    assert_ne!(again.secret, elsewhere.secret);
    assert_eq!(elsewhere.get(&app, SESSION).await.status, 401);
    assert_eq!(again.get(&app, SESSION).await.status, 200);
}

#[tokio::test]
async fn another_password_is_chosen_by_who_knows_the_old_one_and_ends_other_sessions() {
    let app = TestApp::start().await;
    app.add_account("mei").await;
    let browser = sign_in(&app, "mei").await;
    let elsewhere = sign_in(&app, "mei").await;
    let change = async |old: &str, new: &str| {
        let body = json!({"old": old, "new": new});
        browser.send(&app, Method::POST, CHANGE, &body).await
    };
    for (old, new, parameter) in [
        (PASSWORD, "short", "new"),
        (PASSWORD, "password123", "new"),
        (PASSWORD, "Mei Ng  ", "new"),
        (PASSWORD, PASSWORD, "new"),
        ("wrong", "battery staple", "old"),
    ] {
        let refused = change(old, new).await;
        assert_eq!(refused.status, 400, "{new}");
        let problem: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!(problem["parameter"], parameter, "{new}");
    }
    assert_eq!(elsewhere.get(&app, SESSION).await.status, 200);
    // Spaces, and what is no letter of ASCII, are taken as they are.
    let chosen = "  Fünf Äpfel 🍏 ";
    change(PASSWORD, chosen).await.json();
    assert_eq!(browser.get(&app, SESSION).await.status, 200);
    assert_eq!(elsewhere.get(&app, SESSION).await.status, 401);
    assert_eq!(try_it(&app, "mei", PASSWORD).await.status, 401);
    assert_eq!(try_it(&app, "mei", chosen.trim()).await.status, 401);
    assert_eq!(try_it(&app, "mei", chosen).await.status, 200);

    // Guessing the old one is guessing: it is throttled, and it locks.
    for _ in 0..2 {
        assert_eq!(change("wrong", "battery staple").await.status, 400);
    }
    assert_eq!(change(chosen, "battery staple").await.status, 429);
    for _ in 0..10 {
        wait(&app).await;
        assert_eq!(change("wrong", "battery staple").await.status, 400);
    }
    wait(&app).await;
    assert_eq!(change(chosen, "battery staple").await.status, 400);
    assert_eq!(try_it(&app, "mei", chosen).await.status, 401);
}

#[tokio::test]
async fn a_first_password_is_for_choosing_another_one() {
    let app = TestApp::start().await;
    let account = app.add_account("mei").await;
    let role = app.grant(account, Role::PrivacyOfficer, None, None).await;
    let hash = crate::password::hash("first-password").unwrap();
    let until = Some(now() + chrono::TimeDelta::days(7));
    set_password(&mut *app.connection().await, account, &hash, until)
        .await
        .unwrap();
    let browser = Browser::after(&try_it(&app, "mei", "first-password").await);
    assert_eq!(browser.view["must_change_password"], true);
    assert_eq!(browser.view["role"], Value::Null);
    assert_eq!(browser.get(&app, "/api/v1/break-glass").await.status, 403);
    let pick = json!({"role": role});
    assert_eq!(browser.send(&app, Method::POST, PICK, &pick).await.status, 403);
    let body = json!({"old": "first-password", "new": "one of my own"});
    let changed = browser.send(&app, Method::POST, CHANGE, &body).await.json();
    assert_eq!(changed["must_change_password"], false);
    let picked = browser.send(&app, Method::POST, PICK, &pick).await;
    let picked = Browser::after(&picked);
    assert_eq!(picked.get(&app, "/api/v1/break-glass").await.status, 200);
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

#[tokio::test]
async fn a_second_factor_is_taken_with_a_code_and_each_code_is_good_once() {
    const FACTOR: &str = "/api/v1/account/second-factor";
    let app = TestApp::start().await;
    app.add_account("mei").await;
    let browser = sign_in(&app, "mei").await;
    let elsewhere = sign_in(&app, "mei").await;
    let ask = async |method: Method, body: Value| browser.send(&app, method, FACTOR, &body).await;
    assert_eq!(ask(Method::PUT, json!({"code": "000000"})).await.status, 409);
    assert_eq!(ask(Method::POST, json!({"password": "wrong"})).await.status, 400);
    let offer = ask(Method::POST, json!({"password": PASSWORD})).await.json();
    let secret: Vec<u8> = sqlx::query_scalar("SELECT second_factor_offer FROM account")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let typed = offer["secret"].as_str().unwrap();
    assert_eq!(typed, code::as_typed(secret.as_slice().try_into().unwrap()));
    assert!(offer["url"].as_str().unwrap().contains(typed));
    let later = |seconds| code::at(&secret, now() + chrono::TimeDelta::seconds(seconds));
    // An offer asks for nothing yet.
    sign_in(&app, "mei").await;
    assert_eq!(ask(Method::PUT, json!({"code": later(90)})).await.status, 400);
    assert_eq!(
        ask(Method::PUT, json!({"code": later(-30)})).await.json()["second_factor"],
        true
    );
    assert_eq!(elsewhere.get(&app, SESSION).await.status, 401);
    assert_eq!(browser.get(&app, SESSION).await.json()["second_factor"], true);

    wait(&app).await;
    let with_code = async |password: &str, code: &str| {
        let body = json!({"name": "mei", "password": password, "code": code});
        app.send_with(Request::post(SIGN_IN), &body).await.status.as_u16()
    };
    assert_snapshot!(try_it(&app, "mei", PASSWORD).await.show(), @r#"
    401 Unauthorized
    content-type: application/problem+json
    www-authenticate: Bearer realm="homeward"
    cache-control: no-store

    {
      "detail": "send the code that your second factor shows, too: code",
      "status": 401,
      "title": "A code is needed",
      "type": "urn:homeward:problem:code-needed"
    }
    "#);
    // Nobody learns of it who does not know the password.
    assert!(try_it(&app, "mei", "wrong").await.body.contains("not-let-in"));
    assert_eq!(with_code("wrong", &later(0)).await, 401);
    assert_eq!(with_code(PASSWORD, &later(-30)).await, 401);
    assert_eq!(with_code(PASSWORD, &later(0)).await, 200);
    assert_eq!(with_code(PASSWORD, &later(0)).await, 401);
    // Guessing codes locks like guessing passwords.
    for _ in 0..10 {
        wait(&app).await;
        assert_eq!(with_code(PASSWORD, "000000").await, 401);
    }
    wait(&app).await;
    assert_eq!(with_code(PASSWORD, &later(30)).await, 401);
    sqlx::query("UPDATE account SET locked_until = NULL, failed_attempts = 0")
        .execute(app.pool())
        .await
        .unwrap();

    let give_up = |code: String| json!({"password": PASSWORD, "code": code});
    assert_eq!(ask(Method::POST, json!({"password": PASSWORD})).await.status, 409);
    assert_eq!(ask(Method::DELETE, give_up(later(0))).await.status, 400);
    assert_eq!(ask(Method::DELETE, give_up(later(30))).await.status, 204);
    wait(&app).await;
    sign_in(&app, "mei").await;
}
