use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request};
use homeward_store::access::{Role, default_team};
use homeward_store::admin::add_organisation;
use serde_json::{Value, json};

use crate::testing::{Answer, TOKEN, TOKEN_NAME, TestApp, now};

async fn add(app: &TestApp, body: &Value) -> Value {
    let answer = app.post_json("/api/v1/tasks", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

async fn put(app: &TestApp, task: &Value, version: Option<&str>, body: &Value) -> Answer {
    let mut request =
        Request::put(format!("/api/v1/tasks/{task}")).header(AUTHORIZATION, format!("Bearer {TOKEN}"));
    if let Some(version) = version {
        request = request.header("If-Match", version);
    }
    app.send_with(request, body).await
}

fn texts(list: &Value) -> Vec<&str> {
    let tasks = list["tasks"].as_array().unwrap();
    tasks.iter().map(|task| task["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_task_from_an_alert_until_it_is_done() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    let alert = app.raise(patient, rule, "high", false).await;
    let body = json!({
        "patient": patient, "alert": alert, "text": " Call about the sensor ", "due_at": "2026-11-22T17:00:00Z",
    });
    let answer = app.post_json("/api/v1/tasks", &body).await;
    assert_eq!(
        (
            answer.status.as_u16(),
            &answer.headers["location"],
            &answer.headers["etag"]
        ),
        (
            201,
            &"/api/v1/tasks/1".parse().unwrap(),
            &"\"1\"".parse().unwrap()
        )
    );
    let task: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        task,
        json!({
            "id": 1, "patient": patient, "organisation": task["organisation"], "alert": alert,
            "text": "Call about the sensor", "due_at": "2026-11-22T17:00:00Z", "assigned_to": null,
            "assigned_to_account": null, "created_at": now(), "created_by": TOKEN_NAME, "created_by_account": null,
            "version": 1, "status": "outstanding", "ended_at": null, "ended_by": null, "ended_by_account": null,
            "outcome": null,
        })
    );

    // Two read version 1; the one who is later learns of it.
    let ng = app.add_colleague("ng", "Dr Ng").await;
    let said = json!({"text": "Call", "due_at": "2026-11-22T18:00:00Z", "assigned_to": "Dr Ng"});
    let changed = put(&app, &task["id"], Some("\"1\""), &said).await;
    assert_eq!(changed.headers["etag"], "\"2\"");
    let changed = changed.json();
    assert_eq!(
        (&changed["assigned_to"], &changed["assigned_to_account"]),
        (&json!("Dr Ng"), &json!(ng))
    );
    assert_eq!(put(&app, &task["id"], Some("\"1\""), &said).await.status, 412);
    assert_eq!(put(&app, &task["id"], None, &said).await.status, 428);
    assert_eq!(put(&app, &task["id"], Some("two"), &said).await.status, 400);
    assert_eq!(put(&app, &task["id"], Some("*"), &said).await.status, 200);

    let done = app
        .post_json("/api/v1/tasks/1/done", &json!({"outcome": "Sensor changed"}))
        .await
        .json();
    assert_eq!(
        (
            &done["status"],
            &done["outcome"],
            &done["ended_by"],
            &done["version"]
        ),
        (
            &json!("done"),
            &json!("Sensor changed"),
            &json!(TOKEN_NAME),
            &json!(4)
        )
    );
    assert_eq!(
        app.post_json("/api/v1/tasks/1/done", &json!({})).await.status,
        409
    );
    assert_eq!(put(&app, &task["id"], Some("\"4\""), &said).await.status, 409);
}

#[tokio::test]
async fn what_is_due_first_comes_first_and_what_ended_last() {
    let app = TestApp::start().await;
    let (one, other) = (app.add_patient().await, app.add_patient().await);
    let ng = app.add_colleague("ng", "Dr Ng").await;
    for (patient, text, due, to) in [
        (one, "later", "2026-11-24T09:00:00Z", Some("Dr Ng")),
        (other, "overdue", "2026-11-22T09:00:00Z", None),
        (one, "sooner", "2026-11-23T09:00:00Z", Some(TOKEN_NAME)),
        (one, "same time", "2026-11-23T09:00:00Z", Some(TOKEN_NAME)),
        (one, "needless", "2026-11-23T09:00:00Z", None),
        (one, "did", "2026-11-23T09:00:00Z", Some("Dr Ng")),
    ] {
        add(
            &app,
            &json!({"patient": patient, "text": text, "due_at": due, "assigned_to": to}),
        )
        .await;
    }
    let outcome = json!({"outcome": "the patient has moved"});
    assert_eq!(
        app.post_json("/api/v1/tasks/5/cancel", &json!({})).await.status,
        400
    );
    app.post_json("/api/v1/tasks/5/cancel", &outcome).await.json();
    app.post_json("/api/v1/tasks/6/done", &json!({})).await.json();

    for (query, expected) in [
        ("", vec!["overdue", "sooner", "same time", "later"]),
        ("?patient=1001", vec!["sooner", "same time", "later"]),
        ("?mine=true", vec!["sooner", "same time"]),
        ("?assigned_to=Dr%20Ng", vec!["later"]),
        (&format!("?assigned_to={ng}"), vec!["later"]),
        (
            "?due_before=2026-11-24T09:00:00Z",
            vec!["overdue", "sooner", "same time"],
        ),
        ("?status=done", vec!["did"]),
        ("?status=cancelled", vec!["needless"]),
    ] {
        let list = app.get(&format!("/api/v1/tasks{query}")).await.json();
        assert_eq!(texts(&list), expected, "{query}");
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/tasks?limit=1".to_owned();
    loop {
        let page = app.get(&path).await.json();
        seen.extend(texts(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/tasks?limit=1&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["overdue", "sooner", "same time", "later"]);

    assert_eq!(
        app.get("/api/v1/tasks/workload").await.json(),
        json!({
            "done_since": "2026-11-15T12:00:00Z", "outstanding": 4, "overdue": 1, "done": 1,
            "people": [
                {"assigned_to": "Dr Ng", "assigned_to_account": ng, "outstanding": 1, "overdue": 0, "done": 1},
                {"assigned_to": TOKEN_NAME, "assigned_to_account": null, "outstanding": 2, "overdue": 0, "done": 0},
                {"assigned_to": null, "assigned_to_account": null, "outstanding": 1, "overdue": 1, "done": 0},
            ],
        })
    );
}

#[tokio::test]
async fn two_of_one_name_have_their_own_tasks_and_what_has_a_name_alone_keeps_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let first = app.add_colleague("mei.ng", "Mei Ng").await;
    let body = |to: Value| json!({"patient": patient, "text": "Call", "due_at": "2026-11-24T09:00:00Z", "assigned_to": to});
    let task = add(&app, &body(json!("Mei Ng"))).await;
    assert_eq!(task["assigned_to_account"], json!(first));
    let second = app.add_colleague("mei.ng.2", "Mei Ng").await;
    let unclear = app.post_json("/api/v1/tasks", &body(json!("Mei Ng"))).await;
    assert_eq!(unclear.status, 422);
    assert!(unclear.body.contains(&second.to_string()), "{}", unclear.body);
    add(&app, &body(json!(second))).await;
    let list = app
        .get(&format!("/api/v1/tasks?assigned_to={second}"))
        .await
        .json();
    assert_eq!(list["tasks"][0]["id"], 2);

    // Of an earlier time, when the record kept names.
    sqlx::query("UPDATE task SET assigned_to = 'Dr Ng', assigned_role_id = NULL WHERE task_id = 1")
        .execute(app.pool())
        .await
        .unwrap();
    let said = json!({"text": "Call soon", "due_at": "2026-11-24T09:00:00Z", "assigned_to": "Dr Ng"});
    let changed = put(&app, &json!(1), Some("*"), &said).await.json();
    assert_eq!(
        (&changed["assigned_to"], &changed["assigned_to_account"]),
        (&json!("Dr Ng"), &Value::Null)
    );
    let said = json!({"text": "Call soon", "due_at": "2026-11-24T09:00:00Z", "assigned_to": "Dr Who"});
    assert_eq!(put(&app, &json!(1), Some("*"), &said).await.status, 422);
}

#[tokio::test]
async fn a_team_s_tasks_are_its_own_and_those_of_patients_whom_it_may_see() {
    let app = TestApp::start().await;
    let mut connection = app.connection().await;
    let team = default_team(&mut connection).await.unwrap();
    let practice = add_organisation(&mut connection, "gp_practice", "High Street")
        .await
        .unwrap();
    let other_team = add_organisation(&mut connection, "care_team", "South")
        .await
        .unwrap();
    drop(connection);
    let ours = app.add_patient_of(Some(practice), Some(team)).await;
    let theirs = app.add_patient_of(None, Some(other_team)).await;
    let task = |patient| json!({"patient": patient, "text": "Call", "due_at": "2026-11-24T09:00:00Z"});
    add(&app, &task(ours)).await;
    assert_eq!(
        app.post_json("/api/v1/tasks", &task(theirs)).await.status,
        404,
        "for a patient of another team"
    );
    // The practice sees the patient, and not what the team has to do.
    let doctor = app.token_of(Role::GpClinician, Some(practice), None).await;
    let list = app
        .send_as(&doctor, &Method::GET, "/api/v1/tasks", None)
        .await
        .json();
    assert_eq!(list["tasks"], json!([]));
    for (method, path) in [
        (Method::GET, "/api/v1/tasks/1"),
        (Method::POST, "/api/v1/tasks/1/done"),
    ] {
        let answer = app.send_as(&doctor, &method, path, Some(&json!({}))).await;
        assert_eq!(answer.status, 404, "{method} {path}");
    }
    // An alert is one of the same patient.
    let rule = app.add_rule(theirs).await;
    let alert = app.raise(theirs, rule, "high", false).await;
    let mut of_other = task(ours);
    of_other["alert"] = json!(alert);
    assert_eq!(app.post_json("/api/v1/tasks", &of_other).await.status, 400);
}
