//! `POST /api/v1/alerts/{alert}/acknowledge`: takes an episode up.
//!
//! A raised episode becomes acknowledged, and nobody is paged for it any more; one that has cleared meanwhile is
//! closed. Answers with the episode. Doing it again changes nothing and answers the same, with who was first, so
//! that a team may press the button twice and a lost answer may be asked for again.

use axum::Json;
use homeward_store::episodes::Action;

use super::Alert;
use super::act::{NoParameters, act_on, told};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Path, Query};

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Alert>, ApiError> {
    act_on(&exchange, &path, &Action::Acknowledge).await.map(told)
}

#[cfg(test)]
mod tests {
    use homeward_store::admin::add_token;
    use insta::assert_snapshot;
    use serde_json::json;

    use crate::testing::{TestApp, now};

    const PATH: &str = "/api/v1/alerts/1/acknowledge";

    async fn transitions(app: &TestApp) -> Vec<(String, Option<String>)> {
        sqlx::query_as("SELECT kind, actor FROM episode_transition ORDER BY transition_id")
            .fetch_all(app.pool())
            .await
            .unwrap()
    }

    fn by_rule(kind: &str) -> (String, Option<String>) {
        (kind.to_owned(), None)
    }

    fn by_us(kind: &str) -> (String, Option<String>) {
        (kind.to_owned(), Some("ward 3".to_owned()))
    }

    #[tokio::test]
    async fn an_episode_is_taken_up_once() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;

        let first = app.post(PATH).await;
        let answer = first.json();
        assert_eq!(answer["status"], "acknowledged");
        assert_eq!(answer["acknowledged_at"], json!(now()));
        assert_eq!(answer["acknowledged_by"], "ward 3");
        assert_eq!(answer["acknowledged_by_account"], json!(null));
        assert_eq!(app.post(PATH).await.body, first.body);

        // Somebody else comes later: it stays with who was first.
        let mut connection = app.pool().acquire().await.unwrap();
        add_token(&mut connection, "ward 4", "another-token")
            .await
            .unwrap();
        let request = axum::http::Request::post(PATH).header("authorization", "Bearer another-token");
        assert_eq!(app.send(request).await.body, first.body);
        assert_eq!(
            transitions(&app).await,
            [by_rule("raised"), by_us("acknowledged")]
        );

        app.clear(patient).await;
        let closed = app.post(PATH).await.json();
        assert_eq!(
            (&closed["status"], &closed["acknowledged_by"]),
            (&json!("closed"), &json!("ward 3"))
        );
        assert_eq!(
            transitions(&app).await[2..],
            [by_rule("cleared"), by_rule("closed")]
        );
    }

    #[tokio::test]
    async fn an_episode_that_is_over_is_closed() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        app.clear(patient).await;
        let first = app.post(PATH).await;
        assert_eq!(first.json()["status"], "closed");
        assert_eq!(app.post(PATH).await.body, first.body);
        assert_eq!(
            transitions(&app).await[2..],
            [by_us("acknowledged"), by_us("closed")]
        );
    }

    #[tokio::test]
    async fn many_at_once_leave_one_transition() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        let post = || app.post(PATH);
        let (a, b, c, d) = tokio::join!(post(), post(), post(), post());
        for answer in [b, c, d] {
            assert_eq!(answer.body, a.body);
        }
        assert_eq!(
            transitions(&app).await,
            [by_rule("raised"), by_us("acknowledged")]
        );
    }

    /// A lane that writes the episode comes to need the lock of the transitions' numbers: whoever
    /// acknowledges must not hold that while it waits for the lane.
    #[tokio::test]
    async fn a_lane_at_work_on_the_episode_is_waited_for_without_a_deadlock() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;

        let mut lane = app.pool().begin().await.unwrap();
        sqlx::query("UPDATE episode SET latest_value = 2.5")
            .execute(&mut *lane)
            .await
            .unwrap();
        let acknowledging = app.post(PATH);
        let going_on = async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            sqlx::query("SET LOCAL lock_timeout = '500ms'")
                .execute(&mut *lane)
                .await
                .unwrap();
            sqlx::query(
                "INSERT INTO episode_transition (episode_id, kind, at) VALUES (1, 'became_current', now())",
            )
            .execute(&mut *lane)
            .await
            .unwrap();
            lane.commit().await.unwrap();
        };
        let (answer, ()) = tokio::join!(acknowledging, going_on);
        assert_eq!(answer.json()["latest"]["value"], 2.5);
        assert_eq!(answer.json()["status"], "acknowledged");
    }

    #[tokio::test]
    async fn an_episode_that_is_written_for_long_is_not_waited_for_forever() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        let mut lane = app.pool().begin().await.unwrap();
        sqlx::query("UPDATE episode SET latest_value = 2.5")
            .execute(&mut *lane)
            .await
            .unwrap();
        assert_snapshot!(app.post(PATH).await.show(), @r#"
        503 Service Unavailable
        content-type: application/problem+json
        retry-after: 5
        cache-control: no-store

        {
          "detail": "the alert is being written to; try again shortly",
          "status": 503,
          "title": "Busy at present",
          "type": "urn:homeward:problem:busy"
        }
        "#);
    }

    #[tokio::test]
    async fn what_is_not_there_cannot_be_taken_up() {
        let app = TestApp::start().await;
        assert_snapshot!(app.post("/api/v1/alerts/17/acknowledge").await.show(), @r#"
        404 Not Found
        content-type: application/problem+json
        cache-control: no-store

        {
          "detail": "there is no alert 17",
          "status": 404,
          "title": "Not found",
          "type": "urn:homeward:problem:not-found"
        }
        "#);
        assert_eq!(app.post("/api/v1/alerts/first/acknowledge").await.status, 400);
        assert_eq!(app.post("/api/v1/alerts/17/acknowledge?by=me").await.status, 400);
    }
}
