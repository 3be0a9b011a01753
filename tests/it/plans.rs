//! A plan that is changed while readings come in.

use std::io::Write;

use serde_json::{Value, json};

use crate::harness::*;

const RULE: &str = "glucose-low-for-me";

/// Sets a rule of glucose below a limit, and answers the version.
async fn adjust(server: &Server, patient: &str, version: Option<&str>, below: f64) -> Value {
    let definition = json!({
        "name": "Glucose low", "severity": "medium", "guidance": "Measure again.", "source": "The patient's own.",
        "condition": {"kind": "threshold", "limits": [{"metric": "glucose", "below": below}]},
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(definition.to_string().as_bytes()).unwrap();
    let file = file.path().to_str().unwrap();
    let mut arguments = vec![
        "plan",
        "adjust",
        RULE,
        "--patient",
        patient,
        "--definition",
        file,
        "--reason",
        "a test",
        "--author",
        "Dr Ng",
    ];
    if let Some(version) = version {
        arguments.extend(["--version", version]);
    }
    server.cli(&arguments).await
}

#[tokio::test]
async fn readings_are_judged_by_the_plan_that_is_in_force_when_they_arrive() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let cgm = server.enrol("cgm").await;
    let patient = cgm.patient.to_string();
    let token = server.cli(&["token", "add", "--name", "ward screen"]).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut client = cgm.connect_v5().await;
    let topic = cgm.topic("readings");
    let alerts = async || {
        let list = server.get("/api/v1/alerts", &token).await.json();
        let alerts = list["alerts"].as_array().unwrap().clone();
        let told = |alert: Value| (alert["rule"]["id"].clone(), alert["status"].clone());
        alerts.into_iter().rev().map(told).collect::<Vec<_>>()
    };

    let first = adjust(&server, &patient, None, 3.0).await;
    client
        .upload(&topic, upload(&[glucose(minutes_ago(5), 3.5)]))
        .await;
    assert_eq!(alerts().await, []);
    let second = adjust(&server, &patient, Some("1"), 4.0).await;
    assert_eq!(
        (&second["version"], &second["author"]),
        (&json!(2), &json!("Dr Ng"))
    );
    client
        .upload(&topic, upload(&[glucose(minutes_ago(4), 3.5)]))
        .await;
    assert_eq!(alerts().await, [(second["id"].clone(), json!("raised"))]);

    let out = [
        "plan",
        "remove",
        RULE,
        "--patient",
        &patient,
        "--version",
        "2",
        "--reason",
        "a test",
    ];
    let last = server.cli(&out).await;
    assert_eq!(
        last["removal"],
        json!({"by": "homeward command line", "reason": "a test"})
    );
    client
        .upload(&topic, upload(&[glucose(minutes_ago(3), 3.5)]))
        .await;
    assert_eq!(alerts().await, [(second["id"].clone(), json!("cleared"))]);

    let show = ["plan", "show", "--patient", &patient];
    let empty = json!({"patient": cgm.patient, "rules": []});
    assert_eq!(server.cli(&show).await, empty);
    let mut ended = first;
    ended["valid_until"] = second["valid_from"].clone();
    let history = server.cli(&[&show[..], &["--history"]].concat()).await;
    assert_eq!(history["rules"], json!([ended, last]));
    client.disconnect().await;

    // Whoever it is about sees in the log what was done on the command line.
    let noted: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM audit_event WHERE actor = 'homeward command line' AND patients = $1
             AND action LIKE '%care_plan' ORDER BY sequence",
    )
    .bind([cgm.patient.0])
    .fetch_all(&server.pool)
    .await
    .unwrap();
    let (read, changed) = ("read_care_plan", "change_care_plan");
    assert_eq!(noted, [changed, changed, changed, read, read]);
}
