//! `PUT /api/v1/patients/{patient}/care-plan/{code}`: adjusts a rule of the plan, or adds one.
//!
//! The body is `{"version": 1, "definition": {…}, "reason": "…", "valid_until": "2026-12-06T00:00:00Z"}`. `version` is
//! the one in force, as the caller has read it; without it (or null) the rule is added. If another is in force the
//! answer is 409, and nothing changes. The definition is checked strictly; an error names the field. `valid_until` may
//! be left out; with it, the rule says again afterwards what it said before, and one that is added is over.
//!
//! What arrives from now on is judged by the new version; nothing is judged again. Answers the version.
//!
//! A rule that is always on may not be made less strict than its programme has it.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SubsecRound, Utc};
use homeward_alerts::plans::{Change, adjust};
use homeward_record::PatientId;
use homeward_store::plans::PlanVersion;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::{NoParameters, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::request::{Body, Path, Query};
use crate::routes::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adjustment {
    version: Option<i32>,
    definition: Value,
    reason: String,
    valid_until: Option<DateTime<Utc>>,
}

pub(crate) async fn put(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(adjustment): Body<Adjustment>,
) -> Result<Json<PlanVersion>, ApiError> {
    let reason = text("reason", &adjustment.reason, TEXT_LENGTH)?;
    let change = Change {
        patient: path.value::<PatientId>("patient")?,
        code: path.text("code"),
        version: adjustment.version,
        definition: &adjustment.definition,
        until: adjustment.valid_until.map(|until| until.trunc_subsecs(6)),
        author: exchange.actor(),
        reason: &reason,
    };
    let mut connection = exchange.connection().await;
    Ok(Json(adjust(&mut connection, &change, &app.clock).await?))
}

#[cfg(test)]
mod tests {
    use homeward_alerts::plans::{Change, adjust};
    use homeward_alerts::timers;
    use homeward_record::Clock;
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use crate::care_plan::testing::{definition, glucose_below, judge, on, plan, put, today};
    use crate::testing::{TOKEN_NAME, TestApp, now};

    /// Of each version its number, the limit of glucose, and from when until when it is valid.
    fn versions(rules: &[Value], code: &str) -> Vec<(i64, f64, Value, Value)> {
        let of_code = rules.iter().filter(|rule| rule["code"] == code);
        let told = |rule: &Value| {
            let limit = &rule["definition"]["condition"]["limits"][0]["below"];
            let (from, until) = (rule["valid_from"].clone(), rule["valid_until"].clone());
            (
                rule["version"].as_i64().unwrap(),
                limit.as_f64().unwrap(),
                from,
                until,
            )
        };
        of_code.map(told).collect()
    }

    /// Of each alert the version that raised it, and its text.
    async fn alerts(app: &TestApp, code: &str) -> Vec<(i64, String)> {
        let answer = app.get("/api/v1/alerts").await.json();
        let alerts = answer["alerts"].as_array().unwrap().iter().rev();
        alerts
            .filter(|alert| alert["rule"]["code"] == code)
            .map(|alert| {
                let text = alert["text"].as_str().unwrap().to_owned();
                (alert["rule"]["id"].as_i64().unwrap(), text)
            })
            .collect()
    }

    #[tokio::test]
    async fn a_change_judges_from_then_on_and_each_alert_names_the_version_that_raised_it() {
        const CODE: &str = "glucose-very-low";
        let (app, patient) = on("diabetes-type-2").await;
        judge(&app, patient, &[("09:00", 3.3), ("10:00", 2.9), ("11:00", 4.0)]).await;
        let before = plan(&app, patient, false).await;
        let former = before.iter().find(|rule| rule["code"] == CODE).unwrap().clone();

        let mut stricter = former["definition"].clone();
        stricter["condition"]["limits"] = json!([{"metric": "glucose", "below": 3.5, "clear": 4.0}]);
        let body = json!({"version": 1, "definition": stricter, "reason": " feels nothing below 3.5 "});
        let adjusted = put(&app, patient, CODE, &body).await.json();
        assert_eq!(
            adjusted,
            json!({
                "id": adjusted["id"], "code": CODE, "version": 2, "programme": "diabetes-type-2", "always_on": true,
                "definition": stricter, "author": TOKEN_NAME, "reason": "feels nothing below 3.5",
                "valid_from": now(), "valid_until": null, "removal": null,
            })
        );
        judge(&app, patient, &[("12:30", 3.3)]).await;

        // The former version stays as it was, but that it has ended.
        let history = plan(&app, patient, true).await;
        let mut ended = former.clone();
        ended["valid_until"] = json!(now());
        assert!(history.contains(&ended) && history.contains(&adjusted));
        let mut after = before;
        after[history.iter().position(|rule| rule["code"] == CODE).unwrap()] = adjusted.clone();
        assert_eq!(plan(&app, patient, false).await, after);

        let id = |rule: &Value| rule["id"].as_i64().unwrap();
        assert_eq!(
            alerts(&app, CODE).await,
            [
                (
                    id(&former),
                    "Glucose 2.9 mmol/L, below 3.0 mmol/L from 10:00 to 11:00 GMT.".to_owned()
                ),
                (
                    id(&adjusted),
                    "Glucose 3.3 mmol/L, below 3.5 mmol/L since 12:30 GMT.".to_owned()
                ),
            ]
        );
    }

    #[tokio::test]
    async fn another_version_is_adjusted_by_nobody() {
        let (app, patient) = on("diabetes-type-2").await;
        let body = |version: Value| json!({"version": version, "definition": glucose_below(4.0), "reason": "a test"});
        for (code, version, detail) in [
            (
                "glucose-low",
                json!(2),
                "the plan has version 1 of the rule glucose-low in force: name that version",
            ),
            (
                "glucose-low",
                Value::Null,
                "the plan has version 1 of the rule glucose-low in force: name that version",
            ),
            (
                "glucose-lower",
                json!(1),
                "the plan has no rule glucose-lower in force: it can be added, without a version",
            ),
        ] {
            let answer = put(&app, patient, code, &body(version)).await;
            assert_eq!(answer.status, 409);
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(problem["detail"], detail);
        }
        let body = body(json!(1));
        let (one, other) = tokio::join!(
            put(&app, patient, "glucose-low", &body),
            put(&app, patient, "glucose-low", &body)
        );
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        assert_eq!(versions(&plan(&app, patient, true).await, "glucose-low").len(), 2);
    }

    #[tokio::test]
    async fn a_rule_is_added_for_the_patient_alone() {
        let (app, patient) = on("heart-failure").await;
        let body = json!({"definition": glucose_below(4.0), "reason": "diabetes suspected"});
        let added = put(&app, patient, "glucose-low", &body).await.json();
        assert_eq!(
            (&added["version"], &added["programme"], &added["always_on"]),
            (&json!(1), &Value::Null, &json!(false))
        );
        assert_eq!(plan(&app, patient, false).await.len(), 8);
        judge(&app, patient, &[("11:00", 3.8), ("12:30", 3.8)]).await;
        let raised = alerts(&app, "glucose-low").await;
        assert_eq!(raised.len(), 1);
        assert_eq!(raised[0].0, added["id"].as_i64().unwrap());
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_by_the_name_of_its_field() {
        let (app, patient) = on("diabetes-type-1").await;
        let mut definition = glucose_below(4.0);
        definition["condition"]["limits"][0]["below"] = json!(70);
        let body = json!({"version": 1, "definition": definition, "reason": "a test"});
        assert_snapshot!(put(&app, patient, "glucose-low", &body).await.show(), @r#"
        400 Bad Request
        content-type: application/problem+json
        cache-control: no-store

        {
          "detail": "definition.condition.limits[0].below: 70 is no plausible value of glucose, which is in mmol/L from 0.5 to 50",
          "parameter": "definition.condition.limits[0].below",
          "status": 400,
          "title": "A parameter is not valid",
          "type": "urn:homeward:problem:invalid-parameter"
        }
        "#);

        let good = || json!({"version": 1, "definition": glucose_below(4.0), "reason": "a test"});
        let silence = json!({
            "name": "Silent", "severity": "low", "guidance": "Ask.", "source": "A test.",
            "condition": {"kind": "silence", "metric": "glucose", "expected_every_seconds": 3600, "times": 2},
        });
        for (field, value, parameter) in [
            ("definition", json!("low"), "definition"),
            ("definition", json!({"name": "x"}), "definition.severity"),
            ("reason", json!(" "), "reason"),
            ("valid_until", json!(now()), "valid_until"),
        ] {
            let mut body = good();
            body[field] = value;
            let answer = put(&app, patient, "glucose-low", &body).await;
            assert_eq!(answer.status, 400, "{body}");
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(problem["parameter"], parameter);
        }
        let for_a_time = json!({"version": 1, "definition": silence, "reason": "a test",
            "valid_until": today("13:00")});
        let answer = put(&app, patient, "glucose-silent", &for_a_time).await;
        assert!(
            answer.body.contains("a rule of silence cannot be for a time"),
            "{}",
            answer.body
        );
        for body in [
            json!({"version": 1, "definition": glucose_below(4.0)}),
            json!({"version": 1, "definition": glucose_below(4.0), "reason": "a test", "author": "me"}),
            json!({"version": "1", "definition": glucose_below(4.0), "reason": "a test"}),
        ] {
            assert_eq!(
                put(&app, patient, "glucose-low", &body).await.status,
                400,
                "{body}"
            );
        }
        let mut added = good();
        added["version"] = Value::Null;
        assert_eq!(put(&app, patient, "Glucose%20low", &added).await.status, 400);
        let path = "/api/v1/patients/7/care-plan/glucose-low";
        let answer = app.send_json(axum::http::Method::PUT, path, &good()).await;
        assert_eq!(answer.status, 404);
        assert!(
            plan(&app, patient, true)
                .await
                .iter()
                .all(|rule| rule["version"] == 1)
        );
    }

    #[tokio::test]
    async fn a_rule_that_is_always_on_is_not_made_less_strict() {
        let (app, patient) = on("diabetes-type-1").await;
        let mut definition = definition("diabetes-type-1", "glucose-very-low");
        definition["condition"]["limits"][0]["below"] = json!(2.5);
        let body = |version: i64, definition: &Value| json!({"version": version, "definition": definition, "reason": "too many"});
        let answer = put(&app, patient, "glucose-very-low", &body(1, &definition)).await;
        assert_snapshot!(answer.show(), @r#"
        400 Bad Request
        content-type: application/problem+json
        cache-control: no-store

        {
          "detail": "definition.condition.limits[0].below: must be no less strict than below 3, since the rule is always on",
          "parameter": "definition.condition.limits[0].below",
          "status": 400,
          "title": "A parameter is not valid",
          "type": "urn:homeward:problem:invalid-parameter"
        }
        "#);

        // Not in two steps either: the programme's numbers count, not those of the plan.
        for (version, limit, status) in [(1, 3.4, 200), (2, 3.0, 200), (3, 2.9, 400)] {
            definition["condition"]["limits"][0]["below"] = json!(limit);
            let answer = put(&app, patient, "glucose-very-low", &body(version, &definition)).await;
            assert_eq!(answer.status, status, "{limit}: {}", answer.body);
        }
    }

    #[tokio::test]
    async fn an_adjustment_for_a_time_ends_with_what_was_before() {
        const CODE: &str = "glucose-low";
        let (app, patient) = on("heart-failure").await;
        let definition = glucose_below;
        let body = json!({"definition": definition(4.0), "reason": "diabetes suspected"});
        put(&app, patient, CODE, &body).await.json();
        let for_a_time = json!({"version": 1, "definition": definition(3.0), "reason": "fasting",
            "valid_until": today("13:00")});
        let adjusted = put(&app, patient, CODE, &for_a_time).await.json();
        assert_eq!(
            (&adjusted["version"], &adjusted["valid_until"]),
            (&json!(2), &json!(today("13:00")))
        );
        judge(&app, patient, &[("12:30", 3.5), ("12:40", 5.0), ("13:10", 3.5)]).await;
        let history = plan(&app, patient, true).await;
        let (noon, one) = (json!(now()), json!(today("13:00")));
        assert_eq!(
            versions(&history, CODE),
            [
                (1, 4.0, noon.clone(), noon.clone()),
                (2, 3.0, noon.clone(), one.clone()),
                (3, 4.0, one.clone(), Value::Null),
            ]
        );
        let third = history.iter().find(|rule| rule["version"] == 3).unwrap();
        assert_eq!(third["reason"], "as version 1 again, after the time of another");
        let raised = alerts(&app, CODE).await;
        assert_eq!(raised.len(), 1);
        assert_eq!(raised[0].0, third["id"].as_i64().unwrap());

        // Adjusted for another time, what was to come never was; and then for good.
        let mut again = for_a_time.clone();
        again["version"] = json!(2);
        again["valid_until"] = json!(today("14:00"));
        put(&app, patient, CODE, &again).await.json();
        let mut for_good = for_a_time;
        for_good["version"] = json!(4);
        for_good["valid_until"] = Value::Null;
        put(&app, patient, CODE, &for_good).await.json();
        assert_eq!(
            versions(&plan(&app, patient, true).await, CODE)[2..],
            [
                (3, 4.0, noon.clone(), noon.clone()),
                (4, 3.0, noon.clone(), noon.clone()),
                (5, 4.0, noon.clone(), noon.clone()),
                (6, 3.0, noon, Value::Null),
            ]
        );
    }

    #[tokio::test]
    async fn a_rule_that_is_added_for_a_time_is_over_with_its_alert() {
        let (app, patient) = on("heart-failure").await;
        let body = json!({"definition": glucose_below(4.0), "reason": "a new medicine",
            "valid_until": today("13:00")});
        put(&app, patient, "glucose-very-low", &body).await.json();
        let rule: i64 = sqlx::query_scalar("SELECT max(rule_id) FROM care_plan_rule")
            .fetch_one(app.pool())
            .await
            .unwrap();
        app.raise(patient, homeward_record::RuleId(rule), "medium", false)
            .await;
        for (time, ended) in [("12:59", 0), ("13:05", 1), ("13:06", 0)] {
            let done = timers::run_once(app.pool(), today(time)).await.unwrap();
            assert_eq!(done.lapsed, ended, "{time}");
        }
        let alert = app.get("/api/v1/alerts/1").await.json();
        assert_eq!(
            (&alert["status"], &alert["ended_at"], &alert["cleared_at"]),
            (&json!("cleared"), &json!(today("13:00")), &json!(today("13:05")))
        );
        let reason = json!({"reason": "the time for which the rule was in the plan is over"});
        assert_eq!(
            app.happenings(1).await[1..],
            [("cleared".to_owned(), Some(reason))]
        );

        // Nor does it go on when the rule is added again before anybody has looked.
        app.raise(patient, homeward_record::RuleId(rule), "medium", false)
            .await;
        let again = Change {
            patient,
            code: "glucose-very-low",
            version: None,
            definition: &glucose_below(4.0),
            until: None,
            author: "Dr Ng",
            reason: "for good",
        };
        let clock = Clock::Fixed(today("14:00"));
        adjust(&mut *app.connection().await, &again, &clock)
            .await
            .unwrap();
        let alert = app.get("/api/v1/alerts/2").await.json();
        assert_eq!(
            (&alert["status"], &alert["ended_at"], &alert["cleared_at"]),
            (&json!("cleared"), &json!(today("13:00")), &json!(today("14:00")))
        );
    }
}
