//! `POST /api/v1/alerts/{alert}/snooze`: lets nobody be paged for an alert for a while.
//!
//! The body is `{"until": "2026-11-22T13:00:00Z", "reason": "Eating now"}`. The time is at most a day ahead for
//! `high`, a week for other severities, and half an hour where the care plan says that the rule is always on.
//! Answers with the episode. The snooze ends at its time, and before that when the condition comes back; then
//! those who were told last are told again, unless somebody has taken the alert up. A later snooze replaces an
//! earlier one, and the same one again changes nothing. What is over cannot be snoozed (409).

use axum::Json;
use homeward_store::episodes::Action;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Alert;
use super::act::{NoParameters, TEXT_LENGTH, act_on, text, told};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Body, Instant, Path, Query};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snooze {
    until: String,
    /// Why; the patient reads it.
    reason: String,
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(snooze): Body<Snooze>,
) -> Result<Json<Alert>, ApiError> {
    let until = snooze.until.parse();
    let Instant(until) = until.map_err(|error| ApiError::parameter("until", error))?;
    let reason = text("reason", &snooze.reason, TEXT_LENGTH)?;
    act_on(&exchange, &path, &Action::Snooze { until, reason })
        .await
        .map(told)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use crate::testing::{TestApp, now};

    const PATH: &str = "/api/v1/alerts/1/snooze";

    fn until(minutes: i64) -> Value {
        json!({"until": now() + TimeDelta::minutes(minutes), "reason": "Eating now"})
    }

    #[tokio::test]
    async fn an_alert_is_left_alone_for_a_while() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        for minutes in [60, 60, 90] {
            let alert = app.post_json(PATH, &until(minutes)).await.json();
            assert_eq!(alert["snoozed_until"], until(minutes)["until"]);
            assert_eq!(alert["status"], "raised");
        }
        let told = |minutes| ("snoozed".to_owned(), Some(until(minutes)));
        assert_eq!(app.happenings(1).await[1..], [told(60), told(90)]);
        app.clear(patient).await;
        assert_eq!(app.post_json(PATH, &until(60)).await.status, 409);
    }

    #[tokio::test]
    async fn the_limits_are_told() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        let mut told = String::new();
        let mut note = async |what: &str, minutes: i64| {
            let answer = app.post_json(PATH, &until(minutes)).await;
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            told += &format!(
                "{what}, {minutes} minutes: {} {}\n",
                answer.status.as_u16(),
                problem["detail"]
            );
        };
        app.raise(patient, rule, "high", false).await;
        note("high", 0).await;
        note("high", 24 * 60 + 1).await;
        for (what, statement) in [
            ("low", "UPDATE episode SET severity = 'low'"),
            ("always on", "UPDATE care_plan_rule SET always_on = true"),
        ] {
            sqlx::query(statement).execute(app.pool()).await.unwrap();
            note(what, 7 * 24 * 60 + 1).await;
        }
        assert_snapshot!(told, @r#"
        high, 0 minutes: 400 "until must be in the future"
        high, 1441 minutes: 400 "this alert can be snoozed for at most 24 hours"
        low, 10081 minutes: 400 "this alert can be snoozed for at most 7 days"
        always on, 10081 minutes: 400 "this alert can be snoozed for at most 30 minutes"
        "#);
        assert_eq!(app.post_json(PATH, &until(30)).await.status, 200);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        let later = now() + TimeDelta::minutes(5);
        for body in [
            json!({"until": later}),
            json!({"until": later, "reason": " "}),
            json!({"until": "tomorrow", "reason": "Eating now"}),
            json!({"until": "2026-11-22T12:05:00", "reason": "Eating now"}),
            json!({"until": later, "reason": "Eating now", "by": "me"}),
        ] {
            assert_eq!(app.post_json(PATH, &body).await.status, 400, "{body}");
        }
        assert_eq!(app.happenings(1).await.len(), 1);
    }
}
