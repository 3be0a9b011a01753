use homeward_record::{DeviceId, Metric};
use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::testing::{TestApp, now};

const PATH: &str = "/api/v1/rules/dry-run";

/// Glucose below 3.5, where the plan of [`TestApp::add_rule`] says 3.0.
fn definition(below: f64) -> Value {
    json!({
        "name": "Glucose very low",
        "severity": "high",
        "condition": {"kind": "threshold", "limits": [{"metric": "glucose", "below": below, "clear": 3.9}]},
        "guidance": "Treat the low glucose now.",
        "source": "A test.",
    })
}

fn rule(code: &str, below: f64) -> Value {
    json!({"code": code, "definition": definition(below)})
}

/// Glucose every five minutes of two hours, 6 but for these minutes before now.
async fn store(app: &TestApp, patient: PatientId, lows: &[(i64, f64)]) {
    let reading = |minutes: i64| {
        let low = lows.iter().find(|(at, _)| *at == minutes);
        let value = low.map_or(6.0, |(_, value)| *value);
        (Metric::Glucose, now() - TimeDelta::minutes(minutes), value)
    };
    let readings: Vec<_> = (1..=24).map(|step| reading(step * 5)).collect();
    app.store(patient, DeviceId(10001), &readings).await;
}

#[tokio::test]
async fn a_rule_is_tried_on_a_patient_and_told_in_full() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    app.add_rule(patient).await;
    store(&app, patient, &[(90, 3.2), (30, 2.8)]).await;
    let body = json!({"rule": rule("glucose-very-low", 3.5), "patient": patient});
    let mut report = app.post_json(PATH, &body).await.json();
    let notes = report["notes"].take();
    assert!(
        notes[0]
            .as_str()
            .unwrap()
            .starts_with("A patient-day is a date (UTC)")
    );
    // It is the only rule.
    let mut rule = report["rules"].take();
    for figures in ["proposed", "current", "difference"] {
        assert_eq!(rule[0][figures].take(), report[figures]);
    }
    assert_eq!(rule[0]["name"], "Glucose very low");
    let mut second = report["episodes"].as_array_mut().unwrap().remove(1);
    assert_eq!(second["in_both"].take(), true);
    assert_snapshot!(format!("{report:#}"), @r#"
    {
      "current": {
        "alerts": {
          "all": 1,
          "high": 1,
          "info": 0,
          "low": 0,
          "medium": 0
        },
        "alerts_per_patient_day": 1.0,
        "late": {
          "all": 0,
          "high": 0,
          "info": 0,
          "low": 0,
          "medium": 0
        },
        "late_per_patient_day": 0.0,
        "patient_days": 1,
        "patients": 1
      },
      "difference": {
        "both": 1,
        "both_as_current": 1,
        "only_current": 0,
        "only_proposed": 1
      },
      "episodes": [
        {
          "cleared_at": "2026-11-22T10:35:00Z",
          "code": "glucose-very-low",
          "in_both": false,
          "late": false,
          "latest": {
            "at": "2026-11-22T10:30:00Z",
            "metric": "glucose",
            "unit": "mmol/L",
            "value": 3.2
          },
          "onset": {
            "at": "2026-11-22T10:30:00Z",
            "metric": "glucose",
            "unit": "mmol/L",
            "value": 3.2
          },
          "patient": 1001,
          "raised_at": "2026-11-22T10:30:00Z",
          "severity": "high",
          "text": "Glucose 3.2 mmol/L, below 3.5 mmol/L from 10:30 to 10:35 GMT.",
          "worst": {
            "at": "2026-11-22T10:30:00Z",
            "metric": "glucose",
            "unit": "mmol/L",
            "value": 3.2
          }
        }
      ],
      "episodes_left_out": 0,
      "from": "2026-10-23T12:00:00Z",
      "notes": null,
      "only_current": [],
      "only_current_left_out": 0,
      "patients": 1,
      "proposed": {
        "alerts": {
          "all": 2,
          "high": 2,
          "info": 0,
          "low": 0,
          "medium": 0
        },
        "alerts_per_patient_day": 2.0,
        "late": {
          "all": 0,
          "high": 0,
          "info": 0,
          "low": 0,
          "medium": 0
        },
        "late_per_patient_day": 0.0,
        "patient_days": 1,
        "patients": 1
      },
      "readings": 24,
      "rules": null,
      "to": "2026-11-22T12:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn a_plan_is_tried_on_a_programme() {
    let app = TestApp::start().await;
    for low in [2.8, 3.2, 3.4] {
        let patient = app.add_patient().await;
        app.add_rule(patient).await;
        store(&app, patient, &[(60, low)]).await;
    }
    // One who is not on the programme.
    let other = app.add_patient().await;
    store(&app, other, &[(60, 2.0)]).await;
    let silence = json!({
        "name": "Silence", "severity": "low", "guidance": "Ask.", "source": "A test.",
        "condition": {"kind": "silence", "metric": "glucose", "expected_every_seconds": 300, "times": 2},
    });
    let plan = json!([rule("low", 3.3), {"code": "silent", "definition": silence}]);
    let body = json!({"plan": plan, "enrolled_in": "test", "from": "2026-11-22T00:00:00Z"});
    let report = app.post_json(PATH, &body).await.json();
    assert_eq!(
        (&report["patients"], &report["from"]),
        (&json!(3), &json!("2026-11-22T00:00:00Z"))
    );
    assert_eq!(report["proposed"]["alerts"]["high"], 2);
    assert_eq!(report["proposed"]["patient_days"], 3);
    assert_eq!(report["current"]["alerts"]["all"], 1);
    let difference = json!({"only_proposed": 2, "only_current": 1, "both": 0, "both_as_current": 0});
    assert_eq!(report["difference"], difference);
    let codes: Vec<_> = report["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["code"])
        .collect();
    assert_eq!(codes, ["low", "silent", "glucose-very-low"]);
    assert!(report["rules"][1]["not_tried"].is_string());
    assert_eq!(report["rules"][2]["proposed"], Value::Null);
    let patients = |list: &str| -> Vec<_> {
        let list = report[list].as_array().unwrap();
        list.iter()
            .map(|episode| episode["patient"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(
        (patients("episodes"), patients("only_current")),
        (vec![1001, 1002], vec![1001])
    );
}

#[tokio::test]
async fn a_programme_stands_in_for_the_whole_plan() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    app.add_rule(patient).await;
    store(&app, patient, &[(60, 2.8), (55, 2.8)]).await;
    let body = json!({"programme": "hypertension", "patient": patient});
    let report = app.post_json(PATH, &body).await.json();
    assert_eq!(report["proposed"]["alerts_per_patient_day"], Value::Null);
    assert_eq!(report["difference"]["only_current"], 1);
}

#[tokio::test]
async fn nothing_is_written() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    app.add_rule(patient).await;
    store(&app, patient, &[(60, 2.8)]).await;
    let body = json!({"rule": rule("new", 3.5), "patient": patient});
    let report = app.post_json(PATH, &body).await.json();
    assert_eq!(report["proposed"]["alerts"]["all"], 1);
    let rows: Vec<i64> = sqlx::query_scalar(
        "SELECT count(*) FROM episode UNION ALL SELECT count(*) FROM episode_transition
         UNION ALL SELECT count(*) FROM notification UNION ALL SELECT count(*) - 1 FROM care_plan_rule",
    )
    .fetch_all(app.pool())
    .await
    .unwrap();
    assert_eq!(rows, [0; 4]);
}

#[tokio::test]
async fn what_cannot_be_tried_is_explained() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let good = rule("low", 3.5);
    let mut odd = good.clone();
    odd["definition"]["condition"]["limits"][0]["clear"] = json!(3.0);
    let mut told = String::new();
    for body in [
        json!({"rule": odd, "patient": patient}),
        json!({"rule": definition(3.5), "patient": patient}),
        json!({"plan": [good, good], "patient": patient}),
        json!({"programme": "asthma", "patient": patient}),
        json!({"patient": patient}),
        json!({"rule": good, "programme": "hypertension", "patient": patient}),
        json!({"rule": good}),
        json!({"rule": good, "patient": patient, "from": "yesterday"}),
        json!({"rule": good, "patient": patient, "from": "2026-11-23T00:00:00Z"}),
        json!({"rule": good, "patient": patient, "from": "2025-11-01T00:00:00Z"}),
        json!({"rule": good, "patient": patient, "days": 30}),
        json!({"rule": good, "patient": 1002}),
        json!({"rule": good, "enrolled_in": "asthma"}),
    ] {
        let answer = app.post_json(PATH, &body).await;
        told += &format!("{}\n", answer.problem());
    }
    assert_snapshot!(told, @r#"
    400 rule.definition.condition.limits[0].clear: 3 breaches the limit itself, so nothing could clear at it
    400 rule.condition: unknown field; known here are code, definition, always_on
    400 plan[1].code: low is the code of an earlier rule
    400 programme: "asthma" is none of hypertension, hypertension-over-80, diabetes-type-1, diabetes-type-2, diabetes-older, diabetes-pregnancy, virtual-ward, copd, heart-failure
    400 rule: send one of rule, plan and programme
    400 rule: send one of rule, plan and programme
    400 patient: send one of patient and enrolled_in
    400 from: expected a time with offset, such as 2026-11-22T08:00:00Z
    400 from: from must be before to
    400 from: a request may be about 366 days at most; homeward dry-run on the command line has no limit
    400 -: the body is not the JSON that is expected: unknown field `days`, expected one of `rule`, `plan`, `programme`, `patient`, `enrolled_in`, `from`, `to` at line 1 column 7
    404 -: there is no patient 1002
    404 -: no patient has rules of the programme asthma in the present plan
    "#);
    assert_eq!(
        app.post_json(&format!("{PATH}?days=3"), &json!({})).await.status,
        400
    );
}

#[tokio::test]
async fn too_much_for_a_request_goes_to_the_command_line() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    sqlx::query(
        "INSERT INTO reading (patient_id, metric, time, device_id, value, received_at)
         SELECT $1, $2, $3 - n * interval '5 seconds', 1, 6.0, $3 FROM generate_series(1, $4) AS n",
    )
    .bind(patient.0)
    .bind(Metric::Glucose.code())
    .bind(now())
    .bind(i64::try_from(MAX_READINGS).unwrap() + 1)
    .execute(app.pool())
    .await
    .unwrap();
    let body = json!({"rule": rule("low", 3.5), "patient": patient});
    assert_snapshot!(app.post_json(PATH, &body).await.show(), @r#"
    413 Payload Too Large
    content-type: application/problem+json
    cache-control: no-store

    {
      "detail": "there are more than 500000 readings to judge: ask for a shorter time or for one patient, or try it on the command line with homeward dry-run, which has no limit",
      "status": 413,
      "title": "Too much for a request",
      "type": "urn:homeward:problem:too-much"
    }
    "#);
}

#[tokio::test]
async fn one_dry_run_is_at_work_at_a_time() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    // It waits for the record, so that it is at work for as long as the lock is held.
    let mut lock = app.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE patient IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let body = json!({"rule": rule("low", 3.5), "patient": patient});
    let first = app.post_json(PATH, &body);
    let second = async {
        loop {
            let waiting: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            )
            .fetch_one(app.pool())
            .await
            .unwrap();
            if waiting {
                break;
            }
        }
        let busy = app.post_json(PATH, &body).await;
        lock.rollback().await.unwrap();
        busy
    };
    let (first, busy) = tokio::join!(first, second);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(busy.status, 503);
    assert!(busy.body.contains("another dry run is at work"), "{}", busy.body);
    assert_eq!(app.post_json(PATH, &body).await.status, 200);
}
