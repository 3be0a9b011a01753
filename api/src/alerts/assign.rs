//! `POST /api/v1/alerts/{alert}/assign`: makes an alert somebody's business, or nobody's.
//!
//! The body is `{"to": 501}`, `{"to": "Mei Ng"}` or `{"to": null}`: somebody of the caller's team who works on alerts, by the
//! number of an account or by a name that one of them alone has (else 422). Answers with the episode. Assigning it to the
//! same again changes nothing. A closed alert is not assigned (409).

use axum::Json;
use homeward_store::alerts::Episode;
use homeward_store::episodes::Action;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::Alert;
use super::act::{NoParameters, act_on, require_alert, told};
use crate::access::Exchange;
use crate::assignee::Assignee;
use crate::error::ApiError;
use crate::request::{Body, Path, Query};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    /// Somebody, or null. Not optional: to assign it to nobody must be meant.
    #[serde(deserialize_with = "nullable")]
    to: Option<Assignee>,
}

fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Assignee>, D::Error> {
    Option::deserialize(deserializer)
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(Assignment { to }): Body<Assignment>,
) -> Result<Json<Alert>, ApiError> {
    let to = to.map(|to| to.checked("to")).transpose()?;
    hand_over(&exchange, &path, to.as_ref()).await.map(told)
}

/// Makes the alert of the path somebody's business, or nobody's.
pub(crate) async fn hand_over(
    exchange: &Exchange,
    path: &Path,
    to: Option<&Assignee>,
) -> Result<Episode, ApiError> {
    // Before it says who works in the team.
    require_alert(exchange, path).await?;
    let to = match to {
        Some(to) => Some(to.find(exchange).await?),
        None => None,
    };
    act_on(exchange, path, &Action::Assign { to }).await
}

#[cfg(test)]
mod tests {
    use homeward_store::access::{Role, default_team};
    use homeward_store::accounts::disable_account;
    use homeward_store::admin::add_organisation;
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use crate::testing::{TOKEN_NAME, TestApp, now};

    const PATH: &str = "/api/v1/alerts/1/assign";

    #[tokio::test]
    async fn an_alert_is_somebody_s_business_and_then_nobody_s() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        let ng = app.add_colleague("ng", "Dr Ng").await;
        let okafor = app.add_colleague("okafor", "Sister Okafor").await;
        for (to, name, account) in [
            (json!(" Dr Ng "), json!("Dr Ng"), json!(ng)),
            (json!(ng), json!("Dr Ng"), json!(ng)),
            (json!(okafor), json!("Sister Okafor"), json!(okafor)),
            // A program takes it over itself.
            (json!(TOKEN_NAME), json!(TOKEN_NAME), Value::Null),
            (Value::Null, Value::Null, Value::Null),
            (Value::Null, Value::Null, Value::Null),
        ] {
            let alert = app.post_json(PATH, &json!({"to": to})).await.json();
            assert_eq!(
                (
                    &alert["assigned_to"],
                    &alert["assigned_to_account"],
                    &alert["status"]
                ),
                (&name, &account, &json!("raised"))
            );
        }
        let told = |detail: Value| ("assigned".to_owned(), Some(detail));
        assert_eq!(
            app.happenings(1).await[1..],
            [
                told(json!({"to": "Dr Ng", "account": ng})),
                told(json!({"to": "Sister Okafor", "account": okafor})),
                told(json!({"to": TOKEN_NAME})),
                told(json!({"to": null}))
            ]
        );
    }

    #[tokio::test]
    async fn it_is_assigned_to_people_of_the_team_and_two_of_one_name_are_two() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        let first = app.add_colleague("mei.ng", "Mei Ng").await;
        let second = app.add_colleague("mei.ng.2", "Mei Ng").await;
        let mut connection = app.connection().await;
        let south = add_organisation(&mut connection, "care_team", "South")
            .await
            .unwrap();
        let team = default_team(&mut connection).await.unwrap();
        let elsewhere = app.add_account("of.south").await;
        app.grant(elsewhere, Role::CareTeamMember, Some(south), None)
            .await;
        let looks = app.add_account("looks").await;
        app.grant(looks, Role::PrivacyOfficer, Some(team), None).await;
        let gone = app.add_colleague("gone", "Sam Okafor").await;
        disable_account(&mut connection, gone, now()).await.unwrap();
        drop(connection);
        let mut told = String::new();
        for to in [
            json!("Mei Ng"),
            json!("Sam Okafor"),
            json!("mei ng"),
            json!(elsewhere),
            json!(looks),
            json!(gone),
        ] {
            let answer = app.post_json(PATH, &json!({"to": to})).await;
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            let detail = problem["detail"].as_str().unwrap();
            told += &format!("{to}: {} {detail}\n", answer.status.as_u16());
        }
        assert_snapshot!(told, @r#"
        "Mei Ng": 422 2 people of your team are called "Mei Ng"; name one by account: 501 (mei.ng), 502 (mei.ng.2)
        "Sam Okafor": 422 nobody in your team who works on this is called "Sam Okafor"
        "mei ng": 422 nobody in your team who works on this is called "mei ng"
        503: 422 account 503 is of nobody in your team who works on this
        504: 422 account 504 is of nobody in your team who works on this
        505: 422 account 505 is of nobody in your team who works on this
        "#);
        for account in [first, second, first] {
            let alert = app.post_json(PATH, &json!({"to": account})).await.json();
            assert_eq!(
                (&alert["assigned_to"], &alert["assigned_to_account"]),
                (&json!("Mei Ng"), &json!(account))
            );
        }
        // Each time it went to the other one.
        assert_eq!(app.happenings(1).await.len(), 4);
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
            json!({"to": 7.5}),
            json!({"to": ["Dr Ng"]}),
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
        assert_eq!(app.post_json(PATH, &json!({"to": TOKEN_NAME})).await.status, 409);
        assert_eq!(app.post_json(PATH, &json!({"to": null})).await.status, 200);
    }
}
