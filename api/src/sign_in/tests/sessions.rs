//! Sessions: how they begin, go on and end.

use homeward_store::sessions::{NewSession, begin_session};

use super::*;

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
async fn a_first_password_stands_in_the_way_of_who_signs_in_with_it_alone() {
    let app = TestApp::start().await;
    let (account, [north, _]) = with_two_roles(&app).await;
    sqlx::query("UPDATE account SET initial_password_until = $1")
        .bind(now() + chrono::TimeDelta::days(7))
        .execute(app.pool())
        .await
        .unwrap();
    // As an identity provider lets them in, and as the first password does.
    for (secret, first_password, first_page, picked) in [
        ("by a provider", false, "/role", 303),
        ("by a password", true, "/password", 403),
    ] {
        let new = NewSession {
            secret,
            csrf_token: "csrf",
            account,
            held_role: None,
            first_password,
            expires_at: now() + chrono::TimeDelta::hours(1),
        };
        begin_session(&mut *app.connection().await, &new, now())
            .await
            .unwrap();
        let cookie = format!("__Host-homeward={secret}");
        let first = app
            .send(axum::http::Request::get("/").header("Cookie", &cookie))
            .await;
        assert_eq!(first.headers["location"], first_page, "{secret}");
        let pick = axum::http::Request::post("/role")
            .header("Cookie", &cookie)
            .header("X-CSRF-Token", "csrf")
            .header("Content-Type", "application/x-www-form-urlencoded");
        let answer = app.send_text(pick, &format!("role={north}")).await;
        assert_eq!(answer.status, picked, "{secret}: {}", answer.body);
    }
}
