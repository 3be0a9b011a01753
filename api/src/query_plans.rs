//! How the database answers: no request for a patient's readings may read a chunk of all patients' readings from end
//! to end. The plans are those of the very statements that the routes run, as PostgreSQL tells them of each one
//! (`auto_explain`), also after it has begun to plan for any parameters instead of the given ones.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use chrono::{TimeDelta, Utc};
use homeward_record::PatientId;
use homeward_store::{PgPool, rollup};
use serde_json::Value;
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::testing::{TestApp, now};

const PATIENTS: i32 = 100;

/// After five executions of a statement PostgreSQL may plan for any parameters. A pool of two connections has run it
/// on one of them as often as that by then.
const REQUESTS: usize = 12;

#[tokio::test]
async fn no_request_for_a_patients_readings_reads_a_chunk_from_end_to_end() {
    let mut app = TestApp::start().await;
    let patient = fill(&app).await;
    let (plans, pool) = explaining(&app);
    let _guard = tracing::subscriber::set_default(plans.clone());
    app.serve_from(pool.clone());
    let day = "from=2026-11-21T12:00:00Z&to=2026-11-22T12:00:00Z";
    let month = "from=2026-10-26T00:00:00Z&to=2026-11-22T12:00:00Z";
    let api = [
        format!("trends/heart_rate?bucket=raw&{day}"),
        format!("trends/heart_rate?bucket=5m&{day}"),
        format!("trends/heart_rate?bucket=1h&{month}"),
        format!("trends/heart_rate?bucket=1d&{month}"),
        format!("trends/heart_rate?{month}"),
        format!("trends/blood_pressure?{month}"),
        format!("readings?{month}"),
        format!("readings?type=glucose&{day}"),
        format!("glucose-summary?{month}"),
        format!("blood-pressure-summary?{month}"),
        format!("news2?{day}"),
        "step-goal".to_owned(),
    ];
    let api = api.map(|path| format!("/api/v1/patients/{patient}/{path}"));
    let pages = ["?range=24h", "?range=14d", "?range=90d", "/readings", "/news2"];
    let pages = pages.map(|path| format!("/patients/{patient}{path}"));
    for path in api.into_iter().chain(pages) {
        for request in 1..=REQUESTS {
            let answer = app.get(&path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            let scans: Vec<Scan> = plans.take().iter().flat_map(scans).collect();
            let of_chunks = scans.iter().filter(|scan| scan.relation.starts_with("_hyper_"));
            assert!(of_chunks.count() > 0, "{path}: {scans:#?}");
            let wrong: Vec<&Scan> = scans.iter().filter(|scan| scan.is_of_all_patients()).collect();
            assert!(wrong.is_empty(), "{path}, request {request}: {wrong:#?}");
        }
    }

    // What is looked for would be found, by who may read everything.
    let mut everything = pool.acquire().await.unwrap();
    everything
        .execute("RESET ROLE; SET search_path = public")
        .await
        .unwrap();
    plans.take();
    for statement in [
        "SELECT avg(value) FROM reading WHERE value > 60",
        "SELECT count(*) FROM reading WHERE time > '2026-11-01'",
        "SELECT avg(sum) FROM reading_hourly",
    ] {
        sqlx::query(statement).execute(&mut *everything).await.unwrap();
        let scans: Vec<Scan> = plans.take().iter().flat_map(scans).collect();
        assert!(
            scans.iter().any(Scan::is_of_all_patients),
            "{statement}: {scans:#?}"
        );
    }
}

#[tokio::test]
async fn the_worklist_finds_the_readings_of_each_patient_by_an_index() {
    let mut app = TestApp::start().await;
    fill(&app).await;
    let patients: Vec<i64> = sqlx::query_scalar("SELECT patient_id FROM patient")
        .fetch_all(app.pool())
        .await
        .unwrap();
    for patient in patients.into_iter().map(PatientId) {
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
    }
    sqlx::query("ANALYZE").execute(app.pool()).await.unwrap();
    let (plans, pool) = explaining(&app);
    let _guard = tracing::subscriber::set_default(plans.clone());
    app.serve_from(pool);
    for request in 1..=REQUESTS {
        assert_eq!(app.get("/worklist").await.status, 200);
        let told = plans.take();
        // As many statements, whatever the number of alerts.
        assert!(told.len() < 20, "{} plans", told.len());
        let scans: Vec<Scan> = told.iter().flat_map(scans).collect();
        assert!(
            scans.iter().any(|scan| scan.relation.starts_with("_hyper_")),
            "{scans:#?}"
        );
        let wrong: Vec<&Scan> = scans.iter().filter(|scan| scan.is_of_all_patients()).collect();
        assert!(wrong.is_empty(), "request {request}: {wrong:#?}");
    }
}

/// A month of readings of many patients, every half an hour, and its rollups, of which one hour is to be computed
/// anew. Answers with one of the patients.
async fn fill(app: &TestApp) -> PatientId {
    let mut patients = Vec::new();
    for _ in 0..PATIENTS {
        patients.push(app.add_patient().await);
    }
    let from = now() - TimeDelta::days(28);
    for statement in [
        "UPDATE gate SET rollup_mark = $1, rolled_up_until = $1",
        "INSERT INTO reading (patient_id, metric, time, device_id, value, received_at)
         SELECT patient_id, metric, time, 7, 60 + patient_id % 40, time
         FROM generate_series($1, $1 + interval '28 days', interval '30 minutes') AS time,
             patient, UNNEST(ARRAY[1, 7]) AS metric",
        "INSERT INTO reading (patient_id, metric, time, device_id, value, received_at)
         SELECT patient_id, metric, time, 7, 80 + patient_id % 40, time
         FROM generate_series($1, $1 + interval '28 days', interval '12 hours') AS time,
             patient, UNNEST(ARRAY[5, 6]) AS metric",
    ] {
        sqlx::query(statement)
            .bind(from.with_timezone(&Utc))
            .execute(app.pool())
            .await
            .unwrap();
    }
    rollup::run_once(app.pool(), now()).await.unwrap();
    let patient = patients[patients.len() / 2];
    sqlx::query("INSERT INTO rollup_dirty VALUES ($1, $2, 1)")
        .bind(patient.0)
        .bind(from + TimeDelta::hours(36))
        .execute(app.pool())
        .await
        .unwrap();
    sqlx::query("ANALYZE").execute(app.pool()).await.unwrap();
    patient
}

/// A pool whose connections tell the plan of each statement, and where to read them.
fn explaining(app: &TestApp) -> (Plans, PgPool) {
    let options = PgConnectOptions::from_str(&app.database.url()).unwrap().options([
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_format", "json"),
        ("auto_explain.log_level", "notice"),
    ]);
    // Only then one of requests: they may not ask for plans.
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let requests = "SET ROLE homeward_api; SET search_path = request, public";
                connection.execute(requests).await.map(drop)
            })
        })
        .connect_lazy_with(options);
    (Plans::default(), pool)
}

/// A scan of a table or of an index of it.
#[derive(Debug)]
struct Scan {
    kind: String,
    relation: String,
    condition: String,
}

impl Scan {
    /// Whether it is of readings or their rollups, and not led to those of one patient by an index.
    fn is_of_all_patients(&self) -> bool {
        let of_readings = ["_hyper_", "reading_hourly", "reading_daily"]
            .iter()
            .any(|name| self.relation.starts_with(name));
        of_readings && (self.kind == "Seq Scan" || !self.condition.contains("patient_id"))
    }
}

/// All scans of a plan.
fn scans(node: &Value) -> Vec<Scan> {
    let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
    let children = node["Plans"].as_array().into_iter().flatten();
    let mut all: Vec<Scan> = children.flat_map(scans).collect();
    if node["Relation Name"].is_string() {
        all.push(Scan {
            kind: text("Node Type"),
            relation: text("Relation Name"),
            // That of an index, or of the bitmap that was made by one.
            condition: text("Index Cond") + &text("Recheck Cond"),
        });
    }
    all
}

/// The plans that the database has told, which reach a client as notices, and a program as events of its log.
#[derive(Clone, Default)]
struct Plans(Arc<Mutex<Vec<Value>>>);

impl Plans {
    /// Those told since this was asked for last.
    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Visit for &Plans {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let message = format!("{value:?}");
        if let Some((_, plan)) = message
            .split_once("plan:\n")
            .filter(|_| field.name() == "message")
        {
            let told: Value = serde_json::from_str(plan).unwrap();
            self.0.lock().unwrap().push(told["Plan"].clone());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Subscriber for Plans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::postgres::notice"
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut &*self);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
