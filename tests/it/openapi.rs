//! The OpenAPI document, tried out by schemathesis: it sends what the document allows and what it does not, as several
//! callers, and finds answers that the document does not know.

use std::path::Path;
use std::process::Command;

use chrono::TimeDelta;
use homeward_record::PatientId;
use homeward_store::access::{NewRole, Role, grant_role};
use hyper::Method;
use serde_json::json;

use crate::harness::*;

const SCHEMATHESIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools/bin/schemathesis");

/// How many requests of a kind for each operation, beside those that go through its parameters one by one. More of them
/// found nothing more, and take minutes.
const EXAMPLES: &str = "8";

/// What there is to find.
struct Furnished {
    lead: String,
    administrator: String,
    officer: String,
    patient: String,
    /// Where schemathesis finds the numbers of a patient, an alert, a device, a task, an organisation and a share.
    config: tempfile::NamedTempFile,
}

async fn furnish(server: &Server) -> Furnished {
    let token = async |name: &str, arguments: &[&str]| {
        let added = server
            .cli(&[&["token", "add", "--name", name, "--role"], arguments].concat())
            .await;
        added["token"].as_str().unwrap().to_owned()
    };
    let device = server.enrol_on("diabetes-type-1", "cgm").await;
    let mut client = device.connect_v5().await;
    let begin = now() - TimeDelta::hours(2);
    let value = |number| if number < 20 { 6.1 } else { 2.6 };
    let readings: Vec<_> = (0..24)
        .map(|number| {
            let at = begin + TimeDelta::minutes(5 * number);
            json!({"type": "glucose", "at": at, "value": value(number), "sample": "interstitial"})
        })
        .collect();
    let body = json!({"readings": readings}).to_string();
    assert_eq!(client.upload(&device.topic("readings"), body).await, 0);
    let lead = token("lead", &["care_team_lead"]).await;
    let patient = device.patient;
    let bearer = format!("Bearer {lead}");
    let headers = [("authorization", bearer.as_str())];
    let task = json!({"patient": patient, "text": "Call", "due_at": "2030-01-01T00:00:00Z"});
    for (path, body) in [
        (
            format!("/api/v1/patients/{patient}/notes"),
            json!({"text": "Feels well"}),
        ),
        ("/api/v1/tasks".to_owned(), task),
    ] {
        let answer = server.send(Method::POST, &path, &headers, &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let hospital = [
        "organisation",
        "add",
        "--kind",
        "hospital",
        "--name",
        "St Example",
    ];
    let hospital = server.cli(&hospital).await["organisation_id"].clone();
    let config = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    let known = format!(
        "[parameters]\n\"path.patient\" = {patient}\n\"path.alert\" = 1\n\"path.device\" = {}\n\"path.task\" = 1\n\
         \"path.organisation\" = {hospital}\n\"path.share\" = 1\n",
        device.id
    );
    std::fs::write(config.path(), known).unwrap();
    let number = patient.to_string();
    Furnished {
        lead,
        administrator: token("administrator", &["administrator"]).await,
        officer: token("officer", &["privacy_officer"]).await,
        patient: own_token(&server.pool, patient, &number).await,
        config,
    }
}

/// A token of the patient. Programs get none such; people who sign in act so.
pub(crate) async fn own_token(pool: &homeward_store::PgPool, patient: PatientId, token: &str) -> String {
    let new = NewRole {
        account: None,
        role: Role::Patient,
        organisation: None,
        patient: Some(patient),
    };
    let mut connection = pool.acquire().await.unwrap();
    let role = grant_role(&mut connection, &new, now()).await.unwrap();
    sqlx::query("INSERT INTO api_token (name, token_hash, held_role_id) VALUES ('the patient', sha256($1::bytea), $2)")
        .bind(token.as_bytes())
        .bind(role)
        .execute(&mut *connection)
        .await
        .unwrap();
    token.to_owned()
}

/// Sends all kinds of requests in somebody's name; with a configuration, about what there is.
async fn try_out(server: &Server, token: &str, config: Option<&Path>) {
    let base = format!("http://{}", server.http);
    let mut command = Command::new(SCHEMATHESIS);
    if let Some(config) = config {
        command.arg("--config-file").arg(config);
    }
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
        .args(["--phases", "coverage,fuzzing", "--max-examples", EXAMPLES])
        .args([
            "--seed",
            "42",
            "--no-color",
            // What does not end has no schema.
            "--exclude-path-regex",
            "/stream$",
        ])
        .current_dir(std::env::temp_dir());
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.unwrap().expect("run scripts/test-tools.sh");
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{complaints}");
    let cases = told
        .lines()
        .find_map(|line| line.trim().split_once(" generated, "));
    let cases: u32 = cases
        .and_then(|(cases, _)| cases.parse().ok())
        .unwrap_or_default();
    assert!(cases > 1_000, "{told}");
}

#[tokio::test]
async fn nothing_is_answered_that_the_document_does_not_say() {
    let database = TestDatabase::create().await;
    let server = Server::start_with(&database, &[("HOMEWARD_REQUESTS_PER_MINUTE", "1000000")]).await;
    let furnished = furnish(&server).await;
    let config = furnished.config.path();
    try_out(&server, &furnished.lead, Some(config)).await;
    try_out(&server, &furnished.patient, Some(config)).await;
    try_out(&server, &furnished.officer, Some(config)).await;
    try_out(&server, &furnished.lead, None).await;
    try_out(&server, &furnished.administrator, Some(config)).await;
}
