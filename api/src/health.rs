//! `GET /healthz` (the process is alive) and `GET /readyz` (it can do its work), for those who run it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use homeward_store::schema_is_current;
use serde_json::json;

use crate::routes::App;

/// Whoever asks wants an answer before they lose patience, which is usually after some seconds.
const DATABASE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

pub(crate) async fn alive() -> Response {
    Json(json!({"status": "alive"})).into_response()
}

/// Answers 503 with what is missing, as long as something is.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let missing = missing(&app).await;
    if missing.is_empty() {
        return Json(json!({"status": "ready"})).into_response();
    }
    let body = Json(json!({"status": "not ready", "missing": missing}));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

/// What keeps the process from doing its work, in words for whoever runs it.
pub(crate) async fn missing(app: &App) -> Vec<String> {
    let schema = async {
        let mut connection = app.pool.acquire().await.ok()?;
        schema_is_current(&mut connection).await.ok()
    };
    let mut missing = Vec::new();
    match tokio::time::timeout(DATABASE_ANSWERS_WITHIN, schema).await {
        Ok(Some(true)) => {}
        Ok(Some(false)) => missing.push("the database lacks migrations".to_owned()),
        Ok(None) | Err(_) => missing.push("the database cannot be used".to_owned()),
    }
    if let Err(reason) = (app.ingest_ready)() {
        missing.push(reason);
    }
    missing
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::Request;
    use insta::assert_snapshot;

    use crate::testing::TestApp;

    #[tokio::test]
    async fn a_process_that_works_is_alive_and_ready() {
        let app = TestApp::start().await;
        assert_snapshot!(app.send(Request::get("/healthz")).await.show(), @r#"
        200 OK
        content-type: application/json

        {
          "status": "alive"
        }
        "#);
        assert_snapshot!(app.send(Request::get("/readyz")).await.show(), @r#"
        200 OK
        content-type: application/json

        {
          "status": "ready"
        }
        "#);
    }

    #[tokio::test]
    async fn a_process_says_what_it_lacks() {
        let not_ready = || Err("the broker has not started".to_owned());
        let app = TestApp::start_with(|state| state.ingest_ready = Arc::new(not_ready)).await;
        sqlx::query("DELETE FROM _sqlx_migrations")
            .execute(app.pool())
            .await
            .unwrap();
        assert_eq!(app.send(Request::get("/healthz")).await.status, 200);
        assert_snapshot!(app.send(Request::get("/readyz")).await.show(), @r#"
        503 Service Unavailable
        content-type: application/json

        {
          "missing": [
            "the database lacks migrations",
            "the broker has not started"
          ],
          "status": "not ready"
        }
        "#);

        app.pool().close().await;
        assert_snapshot!(app.send(Request::get("/readyz")).await.show(), @r#"
        503 Service Unavailable
        content-type: application/json

        {
          "missing": [
            "the database cannot be used",
            "the broker has not started"
          ],
          "status": "not ready"
        }
        "#);
    }
}
