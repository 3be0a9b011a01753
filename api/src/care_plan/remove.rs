//! `DELETE /api/v1/patients/{patient}/care-plan/{code}`: takes a rule out of the plan.
//!
//! The body is `{"version": 1, "reason": "…"}`. `version` is the one in force, as the caller has read it; if another
//! is, the answer is 409. A rule that is always on stays (409). The rule's open alert is over with it, and says so.
//! Answers the last version, which stays readable.

use axum::Json;
use axum::extract::State;
use homeward_alerts::plans::{TakingOut, take_out};
use homeward_record::PatientId;
use homeward_store::plans::PlanVersion;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::{NoParameters, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::request::{Body, Path, Query};
use crate::routes::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removal {
    version: i32,
    reason: String,
}

pub(crate) async fn delete(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(removal): Body<Removal>,
) -> Result<Json<PlanVersion>, ApiError> {
    let reason = text("reason", &removal.reason, TEXT_LENGTH)?;
    let taking_out = TakingOut {
        patient: path.value::<PatientId>("patient")?,
        code: path.text("code"),
        version: removal.version,
        author: exchange.actor(),
        reason: &reason,
    };
    let mut connection = exchange.connection().await;
    Ok(Json(take_out(&mut connection, &taking_out, &app.clock).await?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use homeward_alerts::plans::{Change, adjust};
    use homeward_record::{Clock, PatientId};
    use homeward_store::Gate;
    use homeward_store::plans::PlanVersion;
    use insta::assert_snapshot;
    use serde_json::{Value, json};
    use tokio::time::timeout;

    use crate::care_plan::testing::{delete, glucose_below, judge, on, plan, today};
    use crate::testing::{PATIENCE, TOKEN_NAME, TestApp, now};

    const CODE: &str = "glucose-low";

    /// Adds the rule at a time of the day.
    async fn add(app: &TestApp, patient: PatientId, time: &str, reason: &str) -> PlanVersion {
        let change = Change {
            patient,
            code: CODE,
            version: None,
            definition: &glucose_below(4.0),
            until: None,
            author: "Dr Ng",
            reason,
        };
        adjust(&mut *app.connection().await, &change, &Clock::Fixed(today(time)))
            .await
            .unwrap()
    }

    /// A patient with a rule of their own, whose alert was raised.
    async fn raised() -> (TestApp, PatientId) {
        let (app, patient) = on("heart-failure").await;
        add(&app, patient, "11:00", "diabetes suspected").await;
        judge(&app, patient, &[("11:10", 3.5)]).await;
        (app, patient)
    }

    async fn transitions(app: &TestApp) -> Vec<(String, Option<String>, Option<Value>)> {
        sqlx::query_as("SELECT kind, actor, detail FROM episode_transition ORDER BY transition_id")
            .fetch_all(app.pool())
            .await
            .unwrap()
    }

    fn by_us(kind: &str, detail: Option<Value>) -> (String, Option<String>, Option<Value>) {
        (kind.to_owned(), Some(TOKEN_NAME.to_owned()), detail)
    }

    fn body(version: i64) -> Value {
        json!({"version": version, "reason": "no diabetes"})
    }

    #[tokio::test]
    async fn a_rule_is_taken_out_with_its_alert_and_stays_readable() {
        let (app, patient) = raised().await;
        let ended = delete(&app, patient, CODE, &body(1)).await.json();
        assert_eq!(
            ended,
            json!({
                "id": ended["id"], "code": CODE, "version": 1, "programme": null, "always_on": false,
                "definition": glucose_below(4.0), "author": "Dr Ng", "reason": "diabetes suspected",
                "valid_from": today("11:00"), "valid_until": now(),
                "removal": {"by": TOKEN_NAME, "reason": "no diabetes"},
            })
        );
        assert!(plan(&app, patient, true).await.contains(&ended));
        assert!(
            plan(&app, patient, false)
                .await
                .iter()
                .all(|rule| rule["code"] != CODE)
        );

        let alert = app.get("/api/v1/alerts/1").await.json();
        assert_eq!(
            (
                &alert["status"],
                &alert["cleared_at"],
                &alert["ended_at"],
                &alert["rule"]["id"]
            ),
            (&json!("cleared"), &json!(now()), &json!(now()), &ended["id"])
        );
        let reason = json!({"reason": "the rule was taken out of the plan"});
        assert_eq!(transitions(&app).await[1..], [by_us("cleared", Some(reason))]);

        assert_eq!(delete(&app, patient, CODE, &body(1)).await.status, 409);
    }

    #[tokio::test]
    async fn a_rule_that_is_added_again_raises_its_own_alert() {
        for (while_out, late) in [(&[][..], &[][..]), (&[("12:20", 3.6)], &[("11:05", 3.7)])] {
            let (app, patient) = raised().await;
            delete(&app, patient, CODE, &body(1)).await.json();
            judge(&app, patient, while_out).await;
            assert_eq!(add(&app, patient, "12:25", "diabetes after all").await.version, 2);
            judge(&app, patient, &[("12:30", 3.4)]).await;
            // Even with all judged again for a reading that newer ones have overtaken.
            judge(&app, patient, late).await;
            let alerts = app.get("/api/v1/alerts").await.json();
            let told: Vec<_> = alerts["alerts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|alert| ["status", "latest", "ended_at"].map(|name| alert[name].clone()))
                .map(|[status, latest, ended_at]| (status, latest["at"].clone(), ended_at))
                .collect();
            assert_eq!(
                told,
                [
                    (json!("raised"), json!(today("12:30")), Value::Null),
                    (json!("cleared"), json!(today("11:10")), json!(now())),
                ]
            );
        }
    }

    #[tokio::test]
    async fn an_alert_that_somebody_has_taken_up_is_closed() {
        let (app, patient) = raised().await;
        app.post("/api/v1/alerts/1/acknowledge").await.json();
        delete(&app, patient, CODE, &body(1)).await.json();
        assert_eq!(app.get("/api/v1/alerts/1").await.json()["status"], "closed");
        let reason = json!({"reason": "the rule was taken out of the plan"});
        assert_eq!(
            transitions(&app).await[2..],
            [by_us("cleared", Some(reason)), by_us("closed", None)]
        );
    }

    #[tokio::test]
    async fn a_rule_that_is_always_on_stays() {
        let (app, patient) = on("diabetes-type-1").await;
        let answer = delete(&app, patient, "glucose-very-low", &body(1)).await;
        assert_snapshot!(answer.show(), @r#"
        409 Conflict
        content-type: application/problem+json
        cache-control: no-store

        {
          "detail": "the rule glucose-very-low is always on: a plan may adjust it, but not leave it out",
          "status": 409,
          "title": "Not possible at present",
          "type": "urn:homeward:problem:conflict"
        }
        "#);
        assert!(
            plan(&app, patient, false)
                .await
                .iter()
                .any(|rule| rule["code"] == "glucose-very-low")
        );
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let (app, patient) = on("diabetes-type-1").await;
        for (code, body, status) in [
            (CODE, json!({"version": 2, "reason": "a test"}), 409),
            ("glucose-lower", json!({"version": 1, "reason": "a test"}), 409),
            (CODE, json!({"version": 1, "reason": ""}), 400),
            (CODE, json!({"reason": "a test"}), 400),
            (CODE, json!({"version": 1}), 400),
        ] {
            let answer = delete(&app, patient, code, &body).await;
            assert_eq!(answer.status, status, "{body}: {}", answer.body);
        }
        let unknown = PatientId(7);
        assert_eq!(delete(&app, unknown, CODE, &body(1)).await.status, 404);
        assert!(
            plan(&app, patient, true)
                .await
                .iter()
                .all(|rule| rule["removal"].is_null())
        );
    }

    /// A lane holds the gate, then comes to hold the episode, and last the lock of the transitions' numbers;
    /// whoever acknowledges takes that lock first.
    #[tokio::test]
    async fn a_lane_and_a_team_at_work_on_the_episode_are_waited_for_without_a_deadlock() {
        let (app, patient) = raised().await;
        let (mut lane, _) = Gate::enter(app.pool()).await.unwrap();
        sqlx::query("UPDATE episode SET latest_value = 2.5")
            .execute(&mut *lane)
            .await
            .unwrap();
        let body = body(1);
        let taking_out = delete(&app, patient, CODE, &body);
        let going_on = async {
            wait_for_the_gate(&app).await;
            sqlx::query("SET LOCAL lock_timeout = '2s'")
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
        let all = async { tokio::join!(taking_out, going_on, app.post("/api/v1/alerts/1/acknowledge")) };
        let (taken_out, (), acknowledged) = timeout(PATIENCE, all).await.unwrap();
        assert_eq!(
            (taken_out.status.as_u16(), acknowledged.status.as_u16()),
            (200, 200)
        );
        assert_eq!(app.get("/api/v1/alerts/1").await.json()["status"], "closed");
    }

    /// Waits until somebody waits for the gate.
    async fn wait_for_the_gate(app: &TestApp) {
        let waiting = async {
            loop {
                let waiting: bool = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
                     WHERE locktype = 'advisory' AND NOT granted AND classid = 7462 AND objid = 1
                         AND datname = current_database())",
                )
                .fetch_one(app.pool())
                .await
                .unwrap();
                if waiting {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap();
    }
}
