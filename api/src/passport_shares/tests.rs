use axum::http::{Method, Request};
use homeward_store::access::Role;
use serde_json::{Value, json};

use crate::testing::{Answer, TestApp, now};

async fn make(app: &TestApp, token: &str, body: &Value) -> Answer {
    let path = "/api/v1/patients/1001/passport-shares";
    app.send_as(token, &Method::POST, path, Some(body)).await
}

#[tokio::test]
async fn a_share_is_made_with_secrets_that_are_told_once() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    let made = make(&app, &token, &json!({"made_for": " Dr Ng at A&E"}))
        .await
        .made();
    let (link, code) = (made["link"].as_str().unwrap(), made["code"].as_str().unwrap());
    let secret = link.strip_prefix("https://homeward.example/share/").unwrap();
    assert_eq!((secret.len(), code.len()), (64, 9));
    assert_eq!(made["expires_at"], "2026-11-23T12:00:00Z");
    assert!(made["qr_svg"].as_str().unwrap().contains("<svg"), "{made}");
    let again = make(&app, &token, &json!({"hours": 168})).await.made();
    assert_ne!((&again["link"], &again["code"]), (&made["link"], &made["code"]));

    let path = "/api/v1/patients/1001/passport-shares";
    let listed = app.send_as(&token, &Method::GET, path, None).await;
    assert!(
        !listed.body.contains(secret) && !listed.body.contains(code),
        "{}",
        listed.body
    );
    let listed = listed.json();
    assert_eq!(
        listed["shares"][1],
        json!({
            "id": 1, "made_for": "Dr Ng at A&E", "made_by": "patient", "made_at": now(), "expires_at": "2026-11-23T12:00:00Z", "revoked_at": null,
            "uses": 0, "last_used_at": null, "wrong_codes": 0, "open": true, "tries": [],
        })
    );
    let kept: Vec<String> = sqlx::query_scalar("SELECT passport_share::text FROM passport_share")
        .fetch_all(app.pool())
        .await
        .unwrap();
    assert!(
        kept.iter()
            .all(|row| !row.contains(secret) && !row.contains(&code.replace(' ', "")))
    );
}

#[tokio::test]
async fn a_share_that_is_asked_for_twice_under_one_key_is_one_and_its_secrets_are_kept_nowhere() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    let ask = async || {
        let request = Request::post("/api/v1/patients/1001/passport-shares")
            .header("Authorization", format!("Bearer {token}"))
            .header("Idempotency-Key", "one");
        app.send_with(request, &json!({})).await
    };
    let made = ask().await.made();
    let again = ask().await;
    assert!(
        !again.body.contains(made["code"].as_str().unwrap()),
        "{}",
        again.body
    );
    let kept: (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM passport_share), (SELECT count(*) FROM idempotent_request WHERE body IS NOT NULL)",
    )
    .fetch_one(app.pool())
    .await
    .unwrap();
    assert_eq!(kept, (1, 0));
}

#[tokio::test]
async fn a_share_is_for_a_week_at_most_and_there_are_not_many() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    for hours in [0, 169] {
        let refused = make(&app, &token, &json!({"hours": hours})).await;
        assert!(refused.body.contains("1 to 168 hours"), "{}", refused.body);
    }
    for _ in 0..20 {
        make(&app, &token, &json!({"hours": 1})).await.made();
    }
    assert_eq!(make(&app, &token, &json!({})).await.status, 409);
    let revoked = app
        .send_as(
            &token,
            &Method::DELETE,
            "/api/v1/patients/1001/passport-shares/7",
            None,
        )
        .await
        .json();
    assert_eq!(
        (&revoked["open"], &revoked["revoked_at"]),
        (&json!(false), &json!(now()))
    );
    make(&app, &token, &json!({})).await.made();
    let none = app
        .send_as(
            &token,
            &Method::DELETE,
            "/api/v1/patients/1001/passport-shares/99",
            None,
        )
        .await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn a_proxy_sees_what_is_shared_and_shares_nothing() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    make(&app, &token, &json!({})).await.made();
    let proxy = app.token_of_proxy(patient).await;
    let path = "/api/v1/patients/1001/passport-shares";
    let listed = app.send_as(&proxy, &Method::GET, path, None).await.json();
    assert_eq!(listed["shares"][0]["id"], 1);
    assert_eq!(make(&app, &proxy, &json!({})).await.status, 403);
    let path = format!("{path}/1");
    assert_eq!(app.status_as(&proxy, &Method::DELETE, &path).await, 403);
}
