//! Rules that are tried on the history, on the command line.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use homeward_simulators::Protocol;
use homeward_simulators::uplink::UplinkOptions;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use crate::harness::*;
use crate::history::{Acknowledged, Person, broker, last_moment, moved, of_kind, send};
use crate::judged::{Rule, StoredEpisode, programme};

const SEED: u64 = 7;
const PROGRAMME: &str = "diabetes-type-1";

fn file(content: &Value) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.to_string().as_bytes()).unwrap();
    file
}

fn plan(rules: &[Rule]) -> Value {
    let rules = rules.iter();
    rules
        .map(|rule| json!({"code": rule.code, "definition": rule.definition}))
        .collect()
}

/// What there is to compare of an episode: its rule, whether it is late, from when until when it lasts, and its worst
/// value.
type Told = (String, bool, DateTime<Utc>, Option<DateTime<Utc>>, f64);

fn recorded(episode: &StoredEpisode) -> Told {
    let told = episode.told();
    let (onset, cleared_at) = (told.onset.at, told.cleared_at);
    (
        episode.code.clone(),
        episode.late,
        onset,
        cleared_at,
        told.worst.value,
    )
}

fn tried(episode: &Value) -> Told {
    let time = |value: &Value| -> Option<DateTime<Utc>> { serde_json::from_value(value.clone()).unwrap() };
    (
        episode["code"].as_str().unwrap().to_owned(),
        episode["late"].as_bool().unwrap(),
        time(&episode["onset"]["at"]).unwrap(),
        time(&episode["cleared_at"]),
        episode["worst"]["value"].as_f64().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_of_the_present_plan_raises_what_is_in_the_record() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let (_, series) = of_kind("sustained", SEED);
    let series = moved(&series, last_moment(&series), now() - TimeDelta::minutes(1));
    let rules = programme(PROGRAMME);
    let person = Arc::new(Person::enrol(&server, rules.clone(), &series).await);
    let people = [Arc::clone(&person)];
    let counts = send(
        &people,
        broker(&server, Protocol::V5),
        UplinkOptions::default(),
        &Acknowledged::new(),
        &CancellationToken::new(),
    )
    .await;
    assert_eq!(counts.refused, 0);

    let patient = person.patient.to_string();
    let run = async |what: &str, rules: &Value| {
        let file = file(rules);
        let path = file.path().to_str().unwrap();
        server
            .cli(&["dry-run", what, path, "--patient", &patient, "--json"])
            .await
    };
    let report = run("--plan", &plan(&rules)).await;
    // What was withdrawn meanwhile rested on readings that others have overtaken.
    let judged = server.judged(person.patient).await;
    let lasting = judged.iter().filter(|episode| !episode.is_withdrawn());
    let mut recorded: Vec<Told> = lasting.map(recorded).collect();
    let mut tried: Vec<Told> = report["episodes"].as_array().unwrap().iter().map(tried).collect();
    let order = |one: &Told, other: &Told| (one.2, &one.0).cmp(&(other.2, &other.0));
    recorded.sort_by(order);
    tried.sort_by(order);
    assert_eq!(tried, recorded);
    assert!(recorded.len() > 3, "{recorded:?}");
    let glucose = person
        .readings()
        .filter(|(_, reading)| reading.metric == Metric::Glucose);
    assert_eq!(report["readings"], json!(glucose.count()));
    assert_eq!(report["proposed"], report["current"]);
    assert_eq!(report["difference"]["only_proposed"], 0, "{report}");
    assert_eq!(report["difference"]["only_current"], 0, "{report}");

    // A rule that nothing meets would tell of nothing that the present one told of.
    let low = rules.iter().find(|rule| rule.code == "glucose-low").unwrap();
    let mut definition = low.definition.clone();
    definition["condition"]["limits"] = json!([{"metric": "glucose", "below": 1.2}]);
    let rule = json!({"code": low.code, "definition": definition});
    let report = run("--rule", &rule).await;
    let told = recorded.iter().filter(|told| told.0 == low.code).count();
    assert!(told > 0);
    assert_eq!(report["difference"]["only_current"], json!(told), "{report}");
    assert_eq!(report["episodes"], json!([]));

    // Both runs read the patient's history, which the patient sees.
    let noted: i64 =
        sqlx::query_scalar("SELECT count(*) FROM audit_event WHERE action = 'try_rules' AND patients = $1")
            .bind([person.patient.0])
            .fetch_one(&server.pool)
            .await
            .unwrap();
    assert_eq!(noted, 2);
}

#[tokio::test]
async fn nobody_has_to_read_a_dry_run_to_the_end() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = server.add_patient(&[PROGRAMME]).await.to_string();
    let mut command = server.command(&["dry-run", "--programme", PROGRAMME, "--patient", &patient]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}
