//! `POST /api/v1/alerts/{alert}/comment`: says something about an alert, also about one that is closed.
//!
//! The body is `{"text": "Called the daughter"}`. Answers with the episode; what was said is among its
//! transitions, and the patient reads it. What the same person says twice in a row was said once.

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
pub(crate) struct Comment {
    /// What is said; the patient reads it.
    text: String,
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(comment): Body<Comment>,
) -> Result<Json<Alert>, ApiError> {
    let text = text("text", &comment.text, TEXT_LENGTH)?;
    act_on(&exchange, &path, &Action::Comment { text })
        .await
        .map(told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestApp;

    const PATH: &str = "/api/v1/alerts/1/comment";

    #[tokio::test]
    async fn what_is_said_stays() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        let texts = ["Called", "Called", "Called again\nand again", "Called"];
        for text in texts {
            let alert = app.post_json(PATH, &json!({"text": text})).await.json();
            assert_eq!(alert["status"], "raised");
        }
        app.post("/api/v1/alerts/1/acknowledge").await.json();
        app.clear(patient).await;
        app.post_json(PATH, &json!({"text": "All is well"})).await.json();
        let said: Vec<_> = app.happenings(1).await;
        let said: Vec<_> = said
            .into_iter()
            .filter(|(kind, _)| kind == "commented")
            .map(|(_, detail)| detail.unwrap()["text"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            said,
            ["Called", "Called again\nand again", "Called", "All is well"]
        );
    }

    #[tokio::test]
    async fn what_says_nothing_or_too_much_is_refused() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        for text in [String::new(), " \n".to_owned(), "é".repeat(2_001)] {
            let answer = app.post_json(PATH, &json!({"text": text})).await;
            assert_eq!(answer.status, 400);
            assert!(answer.body.contains(r#""parameter":"text""#), "{}", answer.body);
        }
        let longest = json!({"text": "é".repeat(2_000)});
        assert_eq!(app.post_json(PATH, &longest).await.status, 200);
        let endless = json!({"text": "x".repeat(70_000)});
        assert_eq!(app.post_json(PATH, &endless).await.status, 413);
    }
}
