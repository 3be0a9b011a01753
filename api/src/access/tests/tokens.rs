//! Tokens of programs: none, a wrong one, and one that is good no longer.

use axum::http::{Method, Request};
use chrono::TimeDelta;
use homeward_store::admin::{add_token, revoke_token};
use serde_json::Value;

use crate::routes::api_routes;
use crate::testing::{TestApp, now};

#[tokio::test]
async fn nothing_is_answered_without_a_token_and_a_token_is_good_until_it_is_revoked_or_over() {
    let app = TestApp::start().await;
    for route in api_routes() {
        let path = route.path.replace(['{', '}'], "");
        assert_eq!(app.status_as("", &route.method, &path).await, 401, "{path}");
    }
    let mut connection = app.connection().await;
    let id = add_token(&mut connection, "a dashboard", "secret").await.unwrap();
    let status = async |header: &str| {
        let request = Request::get("/api/v1/alerts").header("Authorization", header);
        app.send(request).await.status.as_u16()
    };
    for (header, expected) in [
        ("Bearer secret", 200),
        ("bearer  secret", 200),
        ("Bearer Secret", 401),
        ("Bearer secret ", 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        ("Basic secret", 401),
        ("secret", 401),
        ("", 401),
    ] {
        assert_eq!(status(header).await, expected, "{header:?}");
    }
    for (over, expected) in [(now() + TimeDelta::seconds(1), 200), (now(), 401)] {
        sqlx::query("UPDATE api_token SET expires_at = $2 WHERE api_token_id = $1")
            .bind(id)
            .bind(over)
            .execute(&mut *connection)
            .await
            .unwrap();
        assert_eq!(status("Bearer secret").await, expected);
    }
    sqlx::query("UPDATE api_token SET expires_at = NULL")
        .execute(&mut *connection)
        .await
        .unwrap();
    assert_eq!(status("Bearer secret").await, 200);
    revoke_token(&mut connection, id, now()).await.unwrap();
    assert_eq!(status("Bearer secret").await, 401);
}

#[tokio::test]
async fn a_missing_token_and_a_wrong_one_are_told_apart_for_programs() {
    let app = TestApp::start().await;
    let none = app.send(Request::get("/api/v1/alerts")).await;
    assert_eq!(none.headers["www-authenticate"], r#"Bearer realm="homeward""#);
    let wrong = app.send_as("x", &Method::GET, "/api/v1/alerts", None).await;
    assert_eq!(
        wrong.headers["www-authenticate"],
        r#"Bearer realm="homeward", error="invalid_token""#
    );
    let problem: Value = serde_json::from_str(&wrong.body).unwrap();
    assert_eq!(problem["detail"], "the token is unknown or was revoked");
}
