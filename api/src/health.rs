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
    let schema = async {
        let mut connection = app.record().await.ok()?;
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
    if missing.is_empty() {
        return Json(json!({"status": "ready"})).into_response();
    }
    let body = Json(json!({"status": "not ready", "missing": missing}));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}
