use axum::http::Method;
use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::access::{Role, act_as};
use homeward_store::steps::set_step_goal;
use serde_json::{Value, json};

use crate::testing::{Answer, TestApp, at, now};

const PATH: &str = "/api/v1/patients/1001/step-goal";

async fn put(app: &TestApp, token: &str, body: &Value) -> Answer {
    app.send_as(token, &Method::PUT, PATH, Some(body)).await
}

/// Counts steps in hours that end at these times.
async fn walk(app: &TestApp, patient: PatientId, device: DeviceId, steps: &[(&str, f64)]) {
    let reading = |&(time, steps): &(&str, f64)| -> (Metric, DateTime<Utc>, f64) {
        (Metric::Steps, at(&format!("2026-11-{time}:00Z")), steps)
    };
    let readings: Vec<_> = steps.iter().map(reading).collect();
    app.store(patient, device, &readings).await;
}

#[tokio::test]
async fn a_goal_is_set_changed_and_ended_and_weeks_are_told_by_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    // The clock of the test shows noon of Sunday, 22 November.
    walk(
        &app,
        patient,
        DeviceId(10_001),
        &[
            ("15T12:00", 4_000.0),
            // An interval that ends at midnight is of the day before.
            ("16T00:00", 500.0),
            ("16T09:00", 3_000.0),
            ("22T11:00", 2_500.0),
        ],
    )
    .await;
    // A telephone that counts the same steps, and one day more of them.
    walk(
        &app,
        patient,
        DeviceId(10_002),
        &[("16T09:00", 2_900.0), ("22T11:00", 2_600.0)],
    )
    .await;
    let none = app.send_as(&token, &Method::GET, PATH, None).await.json();
    assert_eq!(
        (&none["goal"], &none["history"], &none["this_week"]["reached"]),
        (&Value::Null, &json!([]), &Value::Null)
    );

    let set = put(&app, &token, &json!({"steps_a_week": 5_000})).await.json();
    assert_eq!(set["goal"]["steps_a_week"], 5_000);
    let week = &set["this_week"];
    assert_eq!(
        (&week["monday"], &week["steps"], &week["reached"]),
        (&json!("2026-11-16"), &json!(5_600), &json!(true))
    );
    assert_eq!(week["days"][0], json!({"date": "2026-11-16", "steps": 3_000}));
    assert_eq!(week["days"][6], json!({"date": "2026-11-22", "steps": 2_600}));
    // There was no goal then.
    let before = &set["earlier_weeks"][0];
    assert_eq!(
        (&before["steps"], &before["steps_a_week"], &before["reached"]),
        (&json!(4_500), &Value::Null, &Value::Null)
    );
    assert_eq!(set["earlier_weeks"].as_array().unwrap().len(), 8);

    put(&app, &token, &json!({"steps_a_week": 5_000})).await.json();
    let changed = put(&app, &token, &json!({"steps_a_week": 40_000})).await.json();
    assert_eq!(changed["this_week"]["reached"], false);
    let ended = app.send_as(&token, &Method::DELETE, PATH, None).await.json();
    assert_eq!(ended["goal"], Value::Null);
    // What is so already is no change.
    let wanted: Vec<&Value> = ended["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|goal| &goal["steps_a_week"])
        .collect();
    assert_eq!(wanted, [&Value::Null, &json!(40_000), &json!(5_000)]);
}

#[tokio::test]
async fn a_goal_that_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let token = app.token_of(Role::Patient, None, Some(patient)).await;
    for (body, told) in [
        (json!({"steps_a_week": 999}), "1,000 to 350,000 steps"),
        (json!({"steps_a_week": 350_001}), "1,000 to 350,000 steps"),
        (json!({"steps_a_week": 10.5}), "expected i32"),
        (json!({}), "missing field `steps_a_week`"),
    ] {
        let answer = put(&app, &token, &body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body.contains(told), "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn only_the_patient_sets_a_goal_and_who_may_see_the_patient_sees_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let own = app.token_of(Role::Patient, None, Some(patient)).await;
    put(&app, &own, &json!({"steps_a_week": 30_000})).await.json();
    let proxy = app.token_of_proxy(patient).await;
    let team = homeward_store::access::default_team(&mut *app.connection().await)
        .await
        .unwrap();
    let lead = app.token_of(Role::CareTeamLead, Some(team), None).await;
    for token in [&proxy, &lead] {
        let seen = app.send_as(token, &Method::GET, PATH, None).await.json();
        assert_eq!(seen["goal"]["steps_a_week"], 30_000, "{token}");
        assert_eq!(
            put(&app, token, &json!({"steps_a_week": 1_000})).await.status,
            403
        );
        assert_eq!(app.status_as(token, &Method::DELETE, PATH).await, 403);
    }

    // The second lock holds that too.
    let requests = app.database.pool_for_requests();
    for (token, may) in [(&own, true), (&proxy, false), (&lead, false)] {
        let acting: i64 = token.trim_start_matches("token-").parse().unwrap();
        let mut transaction = requests.begin().await.unwrap();
        act_as(&mut transaction, acting, Some(patient), now())
            .await
            .unwrap();
        let written = set_step_goal(&mut transaction, patient, Some(2_000), "somebody", now()).await;
        assert_eq!(written.is_ok(), may, "{acting}");
    }
}
