//! A whole interface on a database of its own, with a clock that stands still.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::{Method, Request, Response, StatusCode};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::StreamExt;
use homeward_alerts::outgoing::Caller;
use homeward_record::decode::{DecodeContext, Reason, Rejection, decode};
use homeward_record::{
    Clock, Context, DeviceId, DeviceTopic, EpisodeId, Metric, NhsNumber, PatientId, PayloadKind, RuleId,
};
use homeward_store::access::{NewRole, Role, grant_role};
use homeward_store::accounts::{NewAccount, add_account};
use homeward_store::admin::{
    NewDevice, NewPatient, NewRule, add_devices, add_patients, add_proxy, add_token, secret_hash, set_rules,
};
use homeward_store::testing::TestDatabase;
use homeward_store::{BatchRow, Gate, PgPool, insert_batch, mark_dirty};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::access::{Decide, may};
use crate::entering::{Entered, Entering, NotEntered};
use crate::routes::{Shared, router_deciding_by};
use crate::serve::ApiState;

/// The name of the token that [`TestApp`] calls with.
pub(crate) const TOKEN_NAME: &str = "ward 3";

/// That token.
pub(crate) const TOKEN: &str = "a-token-for-tests";

/// The password of every account of a test.
pub(crate) const PASSWORD: &str = "correct horse";

static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| crate::password::hash(PASSWORD).unwrap());

/// What waits for something longer than this waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The rule of [`TestApp::raise`].
const RULE_CODE: &str = "glucose-very-low";

/// The clock of every [`TestApp`].
pub(crate) fn now() -> DateTime<Utc> {
    at("2026-11-22T12:00:00Z")
}

/// An instant as its text says.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// All tests of the process count into one recorder.
pub(crate) static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());

/// Reading a system's certificates takes a while.
static CALLER: LazyLock<Caller> = LazyLock::new(|| Caller::new().unwrap());

pub(crate) struct TestApp {
    pub(crate) database: TestDatabase,
    pub(crate) shutdown: CancellationToken,
    router: Router,
    tasks: JoinSet<()>,
}

impl TestApp {
    /// Starts the interface on an empty record.
    pub(crate) async fn start() -> TestApp {
        TestApp::start_with(|_| {}).await
    }

    /// Starts the interface after a change of what it is given.
    pub(crate) async fn start_with(change: impl FnOnce(&mut ApiState)) -> TestApp {
        TestApp::start_deciding_by(may, change).await
    }

    /// Starts the interface with another decision of who may do what.
    pub(crate) async fn start_deciding_by(decide: Decide, change: impl FnOnce(&mut ApiState)) -> TestApp {
        let database = TestDatabase::create().await;
        let mut connection = database.pool().acquire().await.unwrap();
        add_token(&mut connection, TOKEN_NAME, TOKEN).await.unwrap();
        drop(connection);

        let mut state = api_state(&database);
        change(&mut state);
        let shutdown = CancellationToken::new();
        let app = Shared::new(state, shutdown.clone()).unwrap();
        let router = router_deciding_by(&app, decide);
        let mut tasks = JoinSet::new();
        let stop = shutdown.clone();
        tasks.spawn(async move { app.hub.run(&app.pool, &stop).await });
        TestApp {
            database,
            shutdown,
            router,
            tasks,
        }
    }

    /// Has requests answered from another pool of connections to the same record.
    pub(crate) fn serve_from(&mut self, requests: PgPool) {
        let state = ApiState {
            requests,
            ..api_state(&self.database)
        };
        self.router = router_deciding_by(&Shared::new(state, self.shutdown.clone()).unwrap(), may);
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(crate) async fn connection(&self) -> PoolConnection<Postgres> {
        self.pool().acquire().await.unwrap()
    }

    /// The answer to a request with the token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header(AUTHORIZATION, format!("Bearer {TOKEN}")))
            .await
    }

    /// The answer to a request with the token.
    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(Request::post(path).header(AUTHORIZATION, format!("Bearer {TOKEN}")))
            .await
    }

    /// The answer to a request with the token and a body of JSON.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send_json(Method::POST, path, body).await
    }

    /// The answer to a request of this method with the token and a body of JSON.
    pub(crate) async fn send_json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(AUTHORIZATION, format!("Bearer {TOKEN}"));
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.answer(request).await
    }

    /// The answer to a request of this method with another token.
    pub(crate) async fn send_as(
        &self,
        token: &str,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        self.answer(request_as(token, method, path, body)).await
    }

    /// The status of the answer to such a request, whether or not its body ends.
    pub(crate) async fn status_as(&self, token: &str, method: &Method, path: &str) -> StatusCode {
        self.respond(request_as(token, method, path, None)).await.status()
    }

    /// A token of somebody in a role.
    pub(crate) async fn token_of(
        &self,
        role: Role,
        organisation: Option<i64>,
        patient: Option<PatientId>,
    ) -> String {
        let mut connection = self.connection().await;
        let new = NewRole {
            account: None,
            role,
            organisation,
            patient,
        };
        let held_role = grant_role(&mut connection, &new, now()).await.unwrap();
        let token = format!("token-{held_role}");
        sqlx::query("INSERT INTO api_token (name, token_hash, held_role_id) VALUES ($1, $2, $3)")
            .bind(role.as_str())
            .bind(&secret_hash(&token)[..])
            .bind(held_role)
            .execute(&mut *connection)
            .await
            .unwrap();
        token
    }

    /// An account that signs in with [`PASSWORD`].
    pub(crate) async fn add_account(&self, sign_in_name: &str) -> i64 {
        let new = NewAccount {
            sign_in_name,
            name: "Mei Ng",
            password_hash: Some(&PASSWORD_HASH),
            initial_password_until: None,
        };
        add_account(&mut *self.connection().await, &new, now())
            .await
            .unwrap()
    }

    /// A token of somebody who is a patient too, and whom a patient has named as a proxy.
    pub(crate) async fn token_of_proxy(&self, patient: PatientId) -> String {
        let other = self.add_patient().await;
        let account = self.add_account("proxy").await;
        let held_role = self.grant(account, Role::Patient, None, Some(other)).await;
        let mut connection = self.connection().await;
        add_proxy(&mut connection, patient, account, "Ada", now())
            .await
            .unwrap();
        let token = format!("token-{held_role}");
        sqlx::query("INSERT INTO api_token (name, token_hash, held_role_id) VALUES ('a proxy', $1, $2)")
            .bind(&secret_hash(&token)[..])
            .bind(held_role)
            .execute(&mut *connection)
            .await
            .unwrap();
        token
    }

    /// Grants an account a role.
    pub(crate) async fn grant(
        &self,
        account: i64,
        role: Role,
        organisation: Option<i64>,
        patient: Option<PatientId>,
    ) -> i64 {
        let new = NewRole {
            account: Some(account),
            role,
            organisation,
            patient,
        };
        grant_role(&mut *self.connection().await, &new, now())
            .await
            .unwrap()
    }

    /// The status of the answer to any request without a body, whether or not its own body ends.
    pub(crate) async fn status_of(&self, request: axum::http::request::Builder) -> StatusCode {
        self.respond(request.body(Body::empty()).unwrap()).await.status()
    }

    /// The answer to any request with a body of JSON.
    pub(crate) async fn send_with(&self, request: axum::http::request::Builder, body: &Value) -> Answer {
        self.answer(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// The answer to any request with a text for its body.
    pub(crate) async fn send_text(&self, request: axum::http::request::Builder, body: &str) -> Answer {
        self.answer(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    /// The headers of the answer to a request, and how many bytes it has.
    pub(crate) async fn send_bytes(&self, request: axum::http::request::Builder) -> (HeaderMap, usize) {
        let response = self.respond(request.body(Body::empty()).unwrap()).await;
        let (head, body) = response.into_parts();
        (head.headers, to_bytes(body, usize::MAX).await.unwrap().len())
    }

    /// The answer to a request whose body never ends.
    pub(crate) async fn send_without_end(&self, request: axum::http::request::Builder) -> Answer {
        let body = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        self.answer(request.body(Body::from_stream(body)).unwrap()).await
    }

    /// The answer to any request without a body.
    pub(crate) async fn send(&self, request: axum::http::request::Builder) -> Answer {
        self.answer(request.body(Body::empty()).unwrap()).await
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let response = self.respond(request).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn respond(&self, request: Request<Body>) -> Response<Body> {
        timeout(PATIENCE, self.router.clone().oneshot(request))
            .await
            .unwrap()
            .unwrap()
    }

    /// A stream of alerts, after its greeting. `query` is empty or begins with a question mark.
    pub(crate) async fn stream(&self, query: &str, last_event_id: Option<&str>) -> EventStream {
        let mut request = Request::get(format!("/api/v1/alerts/stream{query}"))
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        self.follow(request.body(Body::empty()).unwrap()).await
    }

    /// Any stream of events, after its greeting.
    pub(crate) async fn events(&self, token: &str, path: &str) -> EventStream {
        self.follow(request_as(token, &Method::GET, path, None)).await
    }

    async fn follow(&self, request: Request<Body>) -> EventStream {
        let response = self.respond(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut stream = EventStream {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        };
        let greeting = stream.next().await.unwrap();
        assert!(greeting.contains("retry: 1000"), "{greeting}");
        stream
    }

    /// Adds a patient; the first has the number 1001.
    pub(crate) async fn add_patient(&self) -> PatientId {
        self.add_patient_of(None, None).await
    }

    /// Adds a patient of a practice and a team.
    pub(crate) async fn add_patient_of(&self, organisation: Option<i64>, team: Option<i64>) -> PatientId {
        let mut connection = self.pool().acquire().await.unwrap();
        let patients: i64 = sqlx::query_scalar("SELECT count(*) FROM patient")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let nhs_number = (999_000_000 + u32::try_from(patients).unwrap() * 10..)
            .find_map(NhsNumber::from_stem)
            .unwrap();
        let new = NewPatient {
            nhs_number: &nhs_number,
            name: "Ada Simulated",
            born: NaiveDate::default(),
            organisation,
            team,
        };
        let patient = add_patients(&mut connection, &[new]).await.unwrap()[0];
        // The clock of the test stands still, in the past of the database's.
        sqlx::query("UPDATE enrolment SET enrolled_at = $2 WHERE patient_id = $1")
            .bind(patient.0)
            .bind(at("2026-11-01T00:00:00Z"))
            .execute(&mut *connection)
            .await
            .unwrap();
        patient
    }

    /// Adds a cuff that has measured a patient since the first of the month; the first has the number 10001.
    pub(crate) async fn add_device(&self, patient: PatientId) -> DeviceId {
        let new = NewDevice {
            kind: "cuff",
            secret: "a secret",
            utc_offset_minutes: 0,
            patient,
            from: at("2026-11-01T00:00:00Z"),
        };
        add_devices(&mut *self.connection().await, &[new]).await.unwrap()[0]
    }

    /// Stores readings of a device, as a lane does.
    pub(crate) async fn store(
        &self,
        patient: PatientId,
        device: DeviceId,
        readings: &[(Metric, DateTime<Utc>, f64)],
    ) {
        let row = |&(metric, at, value)| BatchRow {
            part: 0,
            patient,
            metric,
            at,
            device,
            value,
            context: Context::default(),
            received_at: at + TimeDelta::seconds(2),
        };
        self.store_rows(readings.iter().map(row).collect()).await;
    }

    /// Stores readings, as a lane does.
    pub(crate) async fn store_rows(&self, mut batch: Vec<BatchRow>) {
        let (mut transaction, gate) = Gate::enter(self.pool()).await.unwrap();
        let new = insert_batch(&mut transaction, &mut batch).await.unwrap();
        let behind_mark: Vec<&BatchRow> = batch
            .iter()
            .zip(new)
            .filter(|(row, new)| *new && row.at < gate.rollup_mark)
            .map(|(row, _)| row)
            .collect();
        mark_dirty(&mut transaction, &behind_mark).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// Puts a rule into a patient's care plan.
    pub(crate) async fn add_rule(&self, patient: PatientId) -> RuleId {
        let definition = json!({
            "name": "Glucose very low",
            "severity": "high",
            "condition": {
                "kind": "threshold",
                "limits": [{"metric": "glucose", "below": 3.0, "clear": 3.9}],
            },
            "guidance": "Treat the low glucose now.",
            "source": "International Consensus on Time in Range, 2019",
        });
        let new = NewRule {
            patient,
            code: RULE_CODE,
            programme: "test",
            definition: &definition,
            always_on: false,
        };
        let mut connection = self.pool().acquire().await.unwrap();
        set_rules(&mut connection, &[new], "a test", "to have a rule", now())
            .await
            .unwrap();
        let rule = sqlx::query_scalar("SELECT max(rule_id) FROM care_plan_rule");
        RuleId(rule.fetch_one(&mut *connection).await.unwrap())
    }

    /// Raises an episode of the patient's rule, as a lane does; a late one is over. The first has the number 1.
    pub(crate) async fn raise(
        &self,
        patient: PatientId,
        rule: RuleId,
        severity: &'static str,
        late: bool,
    ) -> EpisodeId {
        let minutes_ago = |minutes| now() - TimeDelta::minutes(minutes);
        let raise = sqlx::query_scalar(
            "WITH raised AS (
                 INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, cleared_at,
                     onset_at, onset_value, onset_metric, latest_at, latest_value, latest_metric,
                     worst_at, worst_value, worst_metric)
                 VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN 'cleared' ELSE 'raised' END, $5, $6,
                     CASE WHEN $5 THEN $6 END, $7, 2.8, $10, $8, 2.6, $10, $9, 2.4, $10)
                 RETURNING episode_id, late
             ), transitions AS (
                 INSERT INTO episode_transition (episode_id, kind, at)
                 SELECT episode_id, kind, $6 FROM raised CROSS JOIN UNNEST(ARRAY['raised', 'cleared']) AS kind
                 WHERE late OR kind = 'raised'
             )
             SELECT episode_id FROM raised",
        )
        .bind(patient.0)
        .bind(rule.0)
        .bind(RULE_CODE)
        .bind(severity)
        .bind(late)
        .bind(now())
        .bind(minutes_ago(10))
        .bind(minutes_ago(5))
        .bind(minutes_ago(7))
        .bind(Metric::Glucose.code());
        EpisodeId(raise.fetch_one(self.pool()).await.unwrap())
    }

    /// Ends the patient's open episode, as a lane does.
    pub(crate) async fn clear(&self, patient: PatientId) {
        sqlx::query(
            "WITH cleared AS (
                 UPDATE episode SET cleared_at = $2,
                     status = CASE WHEN status = 'raised' THEN 'cleared' ELSE 'closed' END
                 WHERE patient_id = $1 AND cleared_at IS NULL RETURNING episode_id, status
             )
             INSERT INTO episode_transition (episode_id, kind, at)
             SELECT episode_id, kind, $2 FROM cleared CROSS JOIN UNNEST(ARRAY['cleared', 'closed']) AS kind
             WHERE status = 'closed' OR kind = 'cleared'",
        )
        .bind(patient.0)
        .bind(now())
        .execute(self.pool())
        .await
        .unwrap();
    }

    /// The kind and the detail of everything that happened to an episode.
    pub(crate) async fn happenings(&self, episode: i64) -> Vec<(String, Option<Value>)> {
        sqlx::query_as(
            "SELECT kind, detail FROM episode_transition WHERE episode_id = $1 ORDER BY transition_id",
        )
        .bind(episode)
        .fetch_all(self.pool())
        .await
        .unwrap()
    }

    /// Ends the tasks, as a shutdown does.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        timeout(PATIENCE, ended).await.unwrap();
    }
}

fn request_as(token: &str, method: &Method, path: &str, body: Option<&Value>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    request.body(body).unwrap()
}

/// The state of an interface whose ingest is ready.
pub(crate) fn api_state(database: &TestDatabase) -> ApiState {
    let metrics = METRICS.clone();
    let (pool, pool_of_replays) = (database.pool().clone(), database.pool().clone());
    ApiState {
        enter: Arc::new(move |entry| -> Entering {
            let of = (entry.device, Some(entry.patient));
            Box::pin(enter(pool.clone(), of, PayloadKind::Fhir, entry.payload))
        }),
        replay: Arc::new(move |replayed| -> Entering {
            let of = (replayed.device, None);
            let kind = DeviceTopic::parse(&replayed.topic).unwrap().kind;
            Box::pin(enter(pool_of_replays.clone(), of, kind, replayed.payload))
        }),
        retention: TimeDelta::days(7_305),
        requests: database.pool_for_requests(),
        pool: database.pool().clone(),
        base_url: "https://homeward.example".to_owned(),
        identity_providers: Vec::new(),
        caller: CALLER.clone(),
        requests_per_minute: NonZeroU32::MAX,
        clock: Clock::Fixed(now()),
        ingest_ready: Arc::new(|| Ok(())),
        render_metrics: Arc::new(move || metrics.render()),
    }
}

/// Stores what is entered as a lane does, and judges nothing.
async fn enter(
    pool: PgPool,
    (device, subject): (DeviceId, Option<PatientId>),
    kind: PayloadKind,
    payload: Vec<u8>,
) -> Result<Entered, NotEntered> {
    let context = DecodeContext {
        received_at: now(),
        retention: TimeDelta::days(7_305),
        utc_offset: TimeDelta::zero(),
    };
    let upload = decode(kind, &payload, &context);
    let (mut transaction, _) = Gate::enter(&pool).await.unwrap();
    let known = homeward_store::devices::load(&mut transaction, &[device])
        .await
        .unwrap();
    let mut entered = Entered {
        rejected: upload.rejected,
        ..Entered::default()
    };
    let mut batch = Vec::new();
    for reading in upload.readings {
        match known[&device].patient_at(reading.at) {
            Some(patient) if subject.is_none_or(|subject| patient == subject) => batch.push(BatchRow {
                part: 0,
                patient,
                metric: reading.metric,
                at: reading.at,
                device,
                value: reading.value,
                context: reading.context,
                received_at: now(),
            }),
            _ => {
                let detail = "the device was assigned to no patient";
                entered
                    .rejected
                    .push(Rejection::new(None, Reason::NotAssigned, detail));
            }
        }
    }
    for is_new in insert_batch(&mut transaction, &mut batch).await.unwrap() {
        match is_new {
            true => entered.stored += 1,
            false => entered.stored_earlier += 1,
        }
    }
    transaction.commit().await.unwrap();
    Ok(entered)
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The body, which must be that of a success.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// The body of an answer that something was made.
    pub(crate) fn made(&self) -> Value {
        assert_eq!(self.status, StatusCode::CREATED, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status, the headers that say something, and the body, for a snapshot.
    pub(crate) fn show(&self) -> String {
        let mut text = self.status.to_string();
        for name in [
            "content-type",
            "www-authenticate",
            "retry-after",
            "allow",
            "cache-control",
            "set-cookie",
        ] {
            if let Some(value) = self.headers.get(name) {
                write!(text, "\n{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        let body = serde_json::from_str::<Value>(&self.body)
            .map_or_else(|_| self.body.clone(), |json| format!("{json:#}"));
        text + "\n\n" + &body
    }
}

/// The events of a stream.
pub(crate) struct EventStream {
    body: BodyDataStream,
    text: String,
}

impl EventStream {
    /// The text of the next event or comment, without the empty line that ends it; `None` when the stream has
    /// ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = timeout(PATIENCE, self.body.next())
                .await
                .expect("something comes")?;
            self.text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
    }

    /// The number and the kind of the next event.
    pub(crate) async fn next_transition(&mut self) -> (i64, String) {
        let event = self.next().await.unwrap();
        let field = |name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} in {event}")).to_owned()
        };
        (field("id: ").parse().unwrap(), field("event: "))
    }
}
