//! `GET /api/v1/alerts`: episodes of the patients whom the caller may see.
//!
//! Parameters: `status` and `severity` (several with commas between them; all), `patient`, `programme`, `late`
//! (`true` or `false`; both), `assigned_to` (the number of an account, or a name as it was written down), `mine`
//! (`true`: those that are assigned to the caller, or that the caller took up and that are assigned to nobody),
//! `unassigned` (`true`: those that are nobody's yet), `sort` (`latest`: the latest raised first, which it is without
//! one; `urgency`: the most severe first, and of these the one that was raised first), `limit` (1 to 500; 50),
//! `after` (the `next` of the page before, which is `null` on the last).

use std::str::FromStr;

use axum::Json;
use homeward_record::{EpisodeId, PatientId};
use homeward_store::alerts::{EpisodeFilter, EpisodeOrder, EpisodeStatus, list_episodes};
use homeward_store::assigned::Assigned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Alert, SEVERITIES};
use crate::access::Exchange;
use crate::assignee::assigned_to;
use crate::error::ApiError;
use crate::request::{Limit, Query, choose, choose_some, parsed};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    status: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    severity: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    patient: Option<PatientId>,
    #[serde(default, deserialize_with = "parsed")]
    programme: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    late: Option<String>,
    /// The number of an account, or a name as it was written down.
    #[serde(default, deserialize_with = "parsed")]
    assigned_to: Option<String>,
    /// Those that are the caller's business.
    #[serde(default, deserialize_with = "parsed")]
    mine: Option<bool>,
    #[serde(default, deserialize_with = "parsed")]
    unassigned: Option<bool>,
    #[serde(default, deserialize_with = "parsed")]
    sort: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    limit: Option<Limit<50, 500>>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

/// The orders, by their names.
const ORDERS: [(&str, EpisodeOrder); 2] = [
    ("latest", EpisodeOrder::Latest),
    ("urgency", EpisodeOrder::Urgency),
];

impl Parameters {
    /// Whose business the episodes are to be. At most one of three parameters says it.
    fn assigned(&self, caller: &str) -> Result<Option<Assigned>, ApiError> {
        let asked = [
            self.assigned_to.as_deref().map(assigned_to),
            (self.mine == Some(true)).then(|| Assigned::ToWhoeverActs(caller.to_owned())),
            (self.unassigned == Some(true)).then_some(Assigned::ToNobody),
        ];
        let mut asked = asked.into_iter().flatten();
        let first = asked.next();
        match asked.next() {
            None => Ok(first),
            Some(_) => Err(ApiError::parameter(
                "assigned_to",
                "assigned_to, mine and unassigned exclude each other",
            )),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    alerts: Vec<Alert>,
    /// What `after` has to be for the next page.
    next: Option<String>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, ApiError> {
    let assigned = parameters.assigned(exchange.actor())?;
    let statuses = EpisodeStatus::ALL.map(|status| (status.as_str(), status));
    let severities = choose_some("severity", parameters.severity.as_deref(), &SEVERITIES)?;
    let filter = EpisodeFilter {
        statuses: choose_some("status", parameters.status.as_deref(), &statuses)?,
        severities: severities.iter().map(ToString::to_string).collect(),
        patient: parameters.patient,
        late: match parameters.late.as_deref() {
            Some(text) => Some(choose("late", text, &[("true", true), ("false", false)])?),
            None => None,
        },
        programme: parameters.programme,
        since: None,
        assigned,
        order: match parameters.sort.as_deref() {
            Some(text) => choose("sort", text, &ORDERS)?,
            None => EpisodeOrder::default(),
        },
        after: parameters.after.map(|Cursor(episode)| episode),
    };
    let limit = parameters.limit.unwrap_or_default();

    if let Some(patient) = filter.patient {
        exchange.require(patient).await?;
    }
    let mut connection = exchange.connection().await;
    let mut episodes = list_episodes(&mut connection, &filter, limit.and_one()).await?;
    let next = limit.cut(&mut episodes).map(|last| last.id.to_string());
    exchange.note_patients(episodes.iter().map(|episode| episode.patient));
    Ok(Json(Page {
        alerts: episodes.into_iter().map(Alert::from).collect(),
        next,
    }))
}

/// The last episode of a page, as callers hand it back: opaque to them.
struct Cursor(EpisodeId);

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Cursor, &'static str> {
        let episode = text.parse().map_err(|_| "expected the next of an earlier page")?;
        Ok(Cursor(episode))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use crate::testing::{TOKEN_NAME, TestApp};

    async fn ids(app: &TestApp, query: &str) -> Vec<i64> {
        let page = app.get(&format!("/api/v1/alerts{query}")).await.json();
        let alerts = page["alerts"].as_array().unwrap();
        alerts.iter().map(|alert| alert["id"].as_i64().unwrap()).collect()
    }

    #[tokio::test]
    async fn an_alert_says_what_it_is_about() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        assert_snapshot!(app.get("/api/v1/alerts").await.show(), @r#"
        200 OK
        content-type: application/json
        cache-control: no-store

        {
          "alerts": [
            {
              "acknowledged_at": null,
              "acknowledged_by": null,
              "acknowledged_by_account": null,
              "assigned_to": null,
              "assigned_to_account": null,
              "cleared_at": null,
              "detail": null,
              "ended_at": null,
              "escalation": 0,
              "id": 1,
              "late": false,
              "latest": {
                "at": "2026-11-22T11:55:00Z",
                "figure": null,
                "metric": "glucose",
                "unit": "mmol/L",
                "value": 2.6
              },
              "onset": {
                "at": "2026-11-22T11:50:00Z",
                "figure": null,
                "metric": "glucose",
                "unit": "mmol/L",
                "value": 2.8
              },
              "patient": 1001,
              "raised_at": "2026-11-22T12:00:00Z",
              "rule": {
                "code": "glucose-very-low",
                "guidance": "Treat the low glucose now.",
                "id": 1,
                "name": "Glucose very low"
              },
              "severity": "high",
              "snoozed_until": null,
              "status": "raised",
              "text": "Glucose 2.6 mmol/L, below 3.0 mmol/L since 11:50 GMT; lowest 2.4 mmol/L at 11:53 GMT.",
              "withdrawn_at": null,
              "worst": {
                "at": "2026-11-22T11:53:00Z",
                "figure": null,
                "metric": "glucose",
                "unit": "mmol/L",
                "value": 2.4
              }
            }
          ],
          "next": null
        }
        "#);
    }

    #[tokio::test]
    async fn a_rule_that_cannot_be_read_leaves_the_values() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        sqlx::query("UPDATE care_plan_rule SET definition = '{}'")
            .execute(app.pool())
            .await
            .unwrap();
        let alert = &app.get("/api/v1/alerts").await.json()["alerts"][0];
        assert_snapshot!(
            alert["text"].as_str().unwrap(),
            @"Rule glucose-very-low: glucose 2.6 mmol/L at 11:55 GMT on 22 November 2026."
        );
        assert_eq!(alert["rule"]["name"], "glucose-very-low");
    }

    #[tokio::test]
    async fn filters_and_pages() {
        let app = TestApp::start().await;
        let (one, other) = (app.add_patient().await, app.add_patient().await);
        let (rule_of_one, rule_of_other) = (app.add_rule(one).await, app.add_rule(other).await);
        app.raise(one, rule_of_one, "high", false).await;
        app.clear(one).await;
        app.raise(one, rule_of_one, "medium", true).await;
        app.raise(one, rule_of_one, "medium", false).await;
        app.raise(other, rule_of_other, "low", false).await;
        app.post("/api/v1/alerts/4/acknowledge").await.json();
        let account = app.add_colleague("ng", "Dr Ng").await;
        for (alert, to) in [(3, "Dr Ng"), (1, TOKEN_NAME)] {
            let path = format!("/api/v1/alerts/{alert}/assign");
            app.post_json(&path, &json!({"to": to})).await.json();
        }

        for (query, expected) in [
            ("", vec![4, 3, 2, 1]),
            ("?status=raised", vec![3]),
            ("?status=cleared,acknowledged", vec![4, 2, 1]),
            ("?status=closed", vec![]),
            ("?severity=medium", vec![3, 2]),
            ("?severity=high,low", vec![4, 1]),
            ("?late=true", vec![2]),
            ("?late=false", vec![4, 3, 1]),
            ("?patient=1001", vec![3, 2, 1]),
            ("?patient=1001&severity=medium&late=false&status=raised", vec![3]),
            ("?limit=3&after=3", vec![2, 1]),
            ("?sort=latest", vec![4, 3, 2, 1]),
            ("?sort=urgency", vec![1, 2, 3, 4]),
            ("?sort=urgency&limit=3&after=2", vec![3, 4]),
            ("?sort=urgency&status=acknowledged,raised", vec![3, 4]),
            ("?programme=test", vec![4, 3, 2, 1]),
            ("?programme=diabetes-type-1", vec![]),
            ("?assigned_to=Dr%20Ng", vec![3]),
            (&format!("?assigned_to={account}"), vec![3]),
            ("?assigned_to=1", vec![]),
            // Also what the caller has taken up.
            ("?mine=true", vec![4, 1]),
            ("?unassigned=true", vec![4, 2]),
        ] {
            assert_eq!(ids(&app, query).await, expected, "{query}");
        }

        let first = app.get("/api/v1/alerts?limit=3").await.json();
        assert_eq!(first["next"], "2");
        let last = app.get("/api/v1/alerts?limit=3&after=2").await.json();
        assert_eq!(
            (last["alerts"].as_array().unwrap().len(), &last["next"]),
            (1, &Value::Null)
        );
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_explained() {
        let app = TestApp::start().await;
        let mut told = String::new();
        for query in [
            "status=open",
            "status=raised,",
            "severity=HIGH",
            "late=yes",
            "patient=abc",
            "patient=1001",
            "limit=501",
            "after=first",
            "sort=severity",
            "mine=true&unassigned=true",
            "colour=red",
        ] {
            let answer = app.get(&format!("/api/v1/alerts?{query}")).await;
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            told += &format!(
                "{query}: {} {}\n",
                answer.status.as_u16(),
                problem["detail"].as_str().unwrap()
            );
        }
        assert_snapshot!(told, @r#"
        status=open: 400 "open" is none of raised, acknowledged, cleared, closed
        status=raised,: 400 "" is none of raised, acknowledged, cleared, closed
        severity=HIGH: 400 "HIGH" is none of high, medium, low, info
        late=yes: 400 "yes" is none of true, false
        patient=abc: 400 "abc" is not an identifier: expected a positive whole number without sign or leading zeros
        patient=1001: 404 there is no patient 1001
        limit=501: 400 expected a whole number from 1 to 500
        after=first: 400 expected the next of an earlier page
        sort=severity: 400 "severity" is none of latest, urgency
        mine=true&unassigned=true: 400 assigned_to, mine and unassigned exclude each other
        colour=red: 400 there is no such parameter; there are status, severity, patient, programme, late, assigned_to, mine, unassigned, sort, limit, after
        "#);
    }
}
