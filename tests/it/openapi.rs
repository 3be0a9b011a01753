//! The OpenAPI document, tried out by schemathesis: it sends what the document allows and what it does not, as each of
//! three callers, and finds answers that the document does not know.

use std::process::Command;

use serde_json::json;

use crate::harness::*;

const SCHEMATHESIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools/bin/schemathesis");

/// How many requests of a kind for each operation. More of them found nothing more, and take minutes.
const EXAMPLES: &str = "15";

/// Something to find: two patients with readings, alerts, devices, notes and tasks.
async fn furnish(server: &Server) -> [String; 3] {
    let token = async |name: &str, role: &str| {
        let added = server
            .cli(&["token", "add", "--name", name, "--role", role])
            .await;
        added["token"].as_str().unwrap().to_owned()
    };
    let device = server.enrol_on("diabetes-type-1", "cgm").await;
    let mut client = device.connect_v5().await;
    let begin = now() - chrono::TimeDelta::hours(2);
    let readings: Vec<_> = (0..24)
        .map(|number| {
            let at = begin + chrono::TimeDelta::minutes(5 * number);
            json!({"type": "glucose", "at": at, "value": if number < 20 { 6.1 } else { 2.6 }, "sample": "interstitial"})
        })
        .collect();
    let body = json!({"readings": readings}).to_string();
    assert_eq!(client.upload(&device.topic("readings"), body).await, 0);
    let lead = token("lead", "care_team_lead").await;
    let patient = device.patient;
    let bearer = format!("Bearer {lead}");
    let headers = [("authorization", bearer.as_str())];
    for (path, body) in [
        (
            format!("/api/v1/patients/{patient}/notes"),
            json!({"text": "Feels well"}),
        ),
        (
            "/api/v1/tasks".to_owned(),
            json!({"patient": patient, "text": "Call", "due_at": "2030-01-01T00:00:00Z"}),
        ),
    ] {
        let answer = server.send(hyper::Method::POST, &path, &headers, &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    [
        lead,
        token("administrator", "administrator").await,
        token("officer", "privacy_officer").await,
    ]
}

#[tokio::test]
async fn nothing_is_answered_that_the_document_does_not_say() {
    let database = TestDatabase::create().await;
    let server = Server::start_with(&database, &[("HOMEWARD_REQUESTS_PER_MINUTE", "1000000")]).await;
    for token in furnish(&server).await {
        let base = format!("http://{}", server.http);
        let mut command = Command::new(SCHEMATHESIS);
        command
            .args(["run", &format!("{base}/api/v1/openapi.json"), "--url", &base])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args([
                "--checks",
                "not_a_server_error,status_code_conformance,content_type_conformance",
            ])
            .args([
                "--checks",
                "response_schema_conformance,response_headers_conformance",
            ])
            .args([
                "--phases",
                "examples,coverage,fuzzing",
                "--max-examples",
                EXAMPLES,
            ])
            .args([
                "--seed",
                "42",
                "--no-color",
                "--exclude-path",
                "/api/v1/alerts/stream",
            ])
            .env("HYPOTHESIS_STORAGE_DIRECTORY", std::env::temp_dir());
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = run.await.unwrap().expect("run scripts/test-tools.sh");
        let told = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}\n{complaints}");
        assert!(
            told.contains("Test Phases") || told.contains("generated"),
            "{told}"
        );
    }
}
