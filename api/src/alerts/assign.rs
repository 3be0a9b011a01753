//! `POST /api/v1/alerts/{alert}/assign`: makes an alert somebody's business, or nobody's.
//!
//! The body is `{"to": "Dr Ng"}` or `{"to": null}`. Answers with the episode. Assigning it to the same again
//! changes nothing. A closed alert is not assigned (409).

use axum::Json;
use homeward_store::episodes::Action;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::Alert;
use super::act::{NAME_LENGTH, NoParameters, act_on, text};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Body, Path, Query};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    /// A name, or null. Not optional: to assign it to nobody must be meant.
    #[serde(deserialize_with = "nullable")]
    to: Option<String>,
}

fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(Assignment { to }): Body<Assignment>,
) -> Result<Json<Alert>, ApiError> {
    let to = to.map(|to| text("to", &to, NAME_LENGTH)).transpose()?;
    act_on(&exchange, &path, &Action::Assign { to }).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::TestApp;

    const PATH: &str = "/api/v1/alerts/1/assign";

    #[tokio::test]
    async fn an_alert_is_somebody_s_business_and_then_nobody_s() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        for (to, assigned) in [
            (json!(" Dr Ng "), json!("Dr Ng")),
            (json!("Dr Ng"), json!("Dr Ng")),
            (json!("Sister Okafor"), json!("Sister Okafor")),
            (Value::Null, Value::Null),
            (Value::Null, Value::Null),
        ] {
            let alert = app.post_json(PATH, &json!({"to": to})).await.json();
            assert_eq!(
                (&alert["assigned_to"], &alert["status"]),
                (&assigned, &json!("raised"))
            );
        }
        let told = |to: Value| ("assigned".to_owned(), Some(json!({"to": to})));
        assert_eq!(
            app.happenings(1).await[1..],
            [
                told(json!("Dr Ng")),
                told(json!("Sister Okafor")),
                told(Value::Null)
            ]
        );
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        for body in [
            json!({}),
            json!({"to": ""}),
            json!({"to": "x".repeat(101)}),
            json!({"to": 7}),
            json!({"to": "Dr Ng", "from": "me"}),
            json!("Dr Ng"),
        ] {
            assert_eq!(app.post_json(PATH, &body).await.status, 400, "{body}");
        }
        assert_eq!(app.post(PATH).await.status, 400);
        let nowhere = app
            .post_json("/api/v1/alerts/17/assign", &json!({"to": null}))
            .await;
        assert_eq!(nowhere.status, 404);

        app.post("/api/v1/alerts/1/acknowledge").await.json();
        app.clear(patient).await;
        assert_eq!(app.post_json(PATH, &json!({"to": "Dr Ng"})).await.status, 409);
        assert_eq!(app.post_json(PATH, &json!({"to": null})).await.status, 200);
    }
}
