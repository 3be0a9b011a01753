//! Passwords of one's own, and second factors.

use super::*;

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
    let (account, sealed): (i64, Vec<u8>) =
        sqlx::query_as("SELECT account_id, second_factor_offer FROM account")
            .fetch_one(app.pool())
            .await
            .unwrap();
    let secret = KEYS.open(Whose::SecondFactorOf(account), &sealed).unwrap();
    assert!(
        !sealed.windows(secret.len()).any(|part| part == secret),
        "it is sealed"
    );
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
