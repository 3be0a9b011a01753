//! Pages in a real browser, against the real server, with devices that measure meanwhile.

mod admin;
mod break_glass;
mod every_page;
mod patient;
mod patient_page;
mod practice;
mod shared_summary;
mod worklist;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use homeward_record::PatientId;
use serde_json::Value;

use crate::harness::*;

/// Where the browser's driver is.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools-npm");
/// What the browser does.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/browser");

/// The password of every account that [`add_account`] adds.
pub(crate) const PASSWORD: &str = "a password for the tests";

/// Runs a script of `tests/it/browser` in a browser, with the server's address and more arguments. What it asks for, in a
/// line `please: …`, is done by `answer`, after which it goes on; it ends by saying `seen`. Whatever else it says is wrong.
pub(crate) async fn browse(
    server: &Server,
    script: &str,
    arguments: &[&str],
    mut answer: impl AsyncFnMut(&str) -> Value,
) {
    let mut process = Command::new("node")
        .arg(format!("{SCRIPTS}/{script}"))
        .arg(TOOLS)
        .arg(format!("http://{}", server.http))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node.js is there: scripts/test-tools.sh installs it");
    let mut answers = process.stdin.take().unwrap();
    let output = process.stdout.take().unwrap();
    let (lines, mut said) = tokio::sync::mpsc::channel(16);
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
        match line.strip_prefix("please: ") {
            Some(wish) => {
                let answered = answer(wish).await;
                writeln!(answers, "{answered}").unwrap();
            }
            None if line == "seen" => ended = true,
            None => wrong.push(line),
        }
    }
    reader.await.unwrap();
    let status = tokio::task::spawn_blocking(move || process.wait()).await;
    let status = status.unwrap().unwrap();
    assert!(
        status.success() && ended && wrong.is_empty(),
        "{script}: {status}: {wrong:#?}"
    );
}

/// The same for a script that asks for nothing.
pub(crate) async fn browse_alone(server: &Server, script: &str, arguments: &[&str]) {
    browse(server, script, arguments, async |wish| {
        panic!("{script} asks for {wish}")
    })
    .await;
}

/// Adds an account that signs in as `name` in one role, and answers its number.
pub(crate) async fn add_account(server: &Server, name: &str, person: &str, role: &[&str]) -> String {
    let mut command = server.command(&[
        "account",
        "add",
        "--sign-in-name",
        name,
        "--name",
        person,
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
    let added: Value = serde_json::from_slice(&output.stdout).unwrap();
    let account = added["account_id"].to_string();
    server
        .cli(&[&["role", "grant", "--account", &account, "--role"][..], role].concat())
        .await;
    account
}

/// A nurse of the default care team, Mei Ng, who signs in as `nurse`.
pub(crate) async fn add_nurse(server: &Server) {
    let team = default_team(server).await;
    let role = ["care_team_member", "--organisation", &team];
    add_account(server, "nurse", "Mei Ng", &role).await;
}

/// The number of the team with which patients are enrolled unless it is said otherwise.
pub(crate) async fn default_team(server: &Server) -> String {
    sqlx::query_scalar::<_, i64>("SELECT organisation_id FROM organisation WHERE is_default")
        .fetch_one(&server.pool)
        .await
        .unwrap()
        .to_string()
}

/// Adds an organisation, and answers its number.
pub(crate) async fn add_organisation(server: &Server, kind: &str, name: &str) -> String {
    let arguments = ["organisation", "add", "--kind", kind, "--name", name];
    server.cli(&arguments).await["organisation_id"].to_string()
}

/// A patient's NHS number.
pub(crate) async fn nhs_number(server: &Server, patient: PatientId) -> String {
    sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = $1")
        .bind(patient.0)
        .fetch_one(&server.pool)
        .await
        .unwrap()
}

/// Registers a patient with a new practice, and answers its number.
pub(crate) async fn register_with_practice(server: &Server, patient: PatientId) -> String {
    let practice = add_organisation(server, "gp_practice", "High Street Surgery").await;
    sqlx::query("UPDATE patient SET organisation_id = $2::bigint WHERE patient_id = $1")
        .bind(patient.0)
        .bind(practice.parse::<i64>().unwrap())
        .execute(&server.pool)
        .await
        .unwrap();
    practice
}

/// Changes the record behind the server's back.
pub(crate) async fn execute(server: &Server, statement: &'static str) {
    sqlx::query(statement).execute(&server.pool).await.unwrap();
}
