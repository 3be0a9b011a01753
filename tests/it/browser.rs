//! Pages in a real browser, against the real server, with a device that measures meanwhile.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use chrono::TimeDelta;
use serde_json::json;

use crate::harness::*;

/// Where the browser's driver is.
pub(crate) const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools-npm");
/// What the browser does.
pub(crate) const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/browser");

const PASSWORD: &str = "a password of the nurse";

/// An account of a nurse of the default care team.
async fn nurse(server: &Server) {
    let mut command = server.command(&[
        "account",
        "add",
        "--sign-in-name",
        "nurse",
        "--name",
        "Mei Ng",
        "--password-stdin",
    ]);
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    input.write_all(PASSWORD.as_bytes()).unwrap();
    drop(input);
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let account = added["account_id"].to_string();
    let team = sqlx::query_scalar::<_, i64>("SELECT organisation_id FROM organisation WHERE is_default")
        .fetch_one(&server.pool)
        .await
        .unwrap()
        .to_string();
    let role = ["--role", "care_team_member", "--organisation", &team];
    server
        .cli(&[&["role", "grant", "--account", &account][..], &role].concat())
        .await;
}

#[tokio::test]
async fn an_alert_shows_up_on_the_worklist_and_is_worked_to_its_end() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let sensor = server.enrol_on("diabetes-type-1", "cgm").await;
    nurse(&server).await;
    let mut client = sensor.connect_v5().await;
    let base = format!("http://{}", server.http);
    let mut process = Command::new("node")
        .args([
            &format!("{SCRIPTS}/worklist.mjs"),
            TOOLS,
            &base,
            "nurse",
            PASSWORD,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node.js is there: scripts/test-tools.sh installs it");
    let mut answers = process.stdin.take().unwrap();
    let (lines, mut said) = tokio::sync::mpsc::channel(16);
    let output = process.stdout.take().unwrap();
    let reader = tokio::task::spawn_blocking(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });

    let mut wrong = Vec::new();
    let mut ended = false;
    while let Some(line) = said.recv().await {
        let glucose = match line.as_str() {
            "please: publish a very low glucose" => Some(2.6),
            "please: publish glucose in range" => Some(6.1),
            "signed out" => {
                ended = true;
                None
            }
            other => {
                wrong.push(other.to_owned());
                None
            }
        };
        if let Some(value) = glucose {
            // Of the present, and later than the one before.
            let at = now()
                + if value > 3.0 {
                    TimeDelta::seconds(1)
                } else {
                    TimeDelta::zero()
                };
            let reading = json!({"type": "glucose", "at": at, "value": value, "sample": "interstitial"});
            let body = json!({"readings": [reading]}).to_string();
            assert_eq!(client.upload(&sensor.topic("readings"), body).await, 0);
            writeln!(answers, "done").unwrap();
        }
    }
    reader.await.unwrap();
    let status = tokio::task::spawn_blocking(move || process.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success() && ended, "{wrong:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    client.disconnect().await;
}
