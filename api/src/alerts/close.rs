//! `POST /api/v1/alerts/{alert}/close`: puts an alert away once its condition has cleared.
//!
//! The body is `{"reason": "Sensor was loose"}`. Answers with the episode. While the condition lasts, the alert
//! cannot be closed (409). Closing it again changes nothing.

use axum::Json;
use homeward_store::episodes::Action;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Alert;
use super::act::{NoParameters, TEXT_LENGTH, act_on, text, told};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Body, Path, Query};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    /// Why nothing is to be done; the patient reads it.
    reason: String,
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(close): Body<Close>,
) -> Result<Json<Alert>, ApiError> {
    let reason = text("reason", &close.reason, TEXT_LENGTH)?;
    act_on(&exchange, &path, &Action::Close { reason })
        .await
        .map(told)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use crate::testing::TestApp;

    const PATH: &str = "/api/v1/alerts/1/close";

    #[tokio::test]
    async fn what_lasts_cannot_be_closed_and_what_is_over_can() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        let reason = json!({"reason": "Sensor was loose"});
        assert_snapshot!(app.post_json(PATH, &reason).await.show(), @r#"
        409 Conflict
        content-type: application/problem+json
        cache-control: no-store

        {
          "detail": "the condition of the alert lasts; it can be closed once that has cleared",
          "status": 409,
          "title": "Not possible at present",
          "type": "urn:homeward:problem:conflict"
        }
        "#);
        app.clear(patient).await;
        let first = app.post_json(PATH, &reason).await;
        assert_eq!(first.json()["status"], "closed");
        assert_eq!(app.post_json(PATH, &reason).await.body, first.body);
        assert_eq!(
            app.happenings(1).await[2..],
            [("closed".to_owned(), Some(reason))]
        );
        assert_eq!(app.post_json(PATH, &json!({"reason": ""})).await.status, 400);
        assert_eq!(app.post_json(PATH, &json!({})).await.status, 400);
    }
}
