//! A whole interface on a database of its own, with a clock that stands still.

mod answer;
mod lane;
mod people;
mod record;

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::request::Builder;
use axum::http::{Method, Request, Response, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::outgoing::Caller;
use homeward_record::{Clock, DeviceTopic, PayloadKind};
use homeward_store::PgPool;
use homeward_store::admin::add_token;
use homeward_store::secrets::Keyring;
use homeward_store::testing::TestDatabase;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::Value;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::lane::enter;
use crate::access::{Allowances, Decide, may};
use crate::entering::Entering;
use crate::routes::{Shared, router_deciding_by};
use crate::serve::ApiState;

pub(crate) use self::answer::{Answer, EventStream};
pub(crate) use self::people::PASSWORD;

/// The name of the token that [`TestApp`] calls with.
pub(crate) const TOKEN_NAME: &str = "ward 3";

/// That token.
pub(crate) const TOKEN: &str = "a-token-for-tests";

/// What waits for something longer than this waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

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

/// What seals secrets in every [`TestApp`].
pub(crate) static KEYS: LazyLock<Keyring> = LazyLock::new(Keyring::random);

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

    /// The status of the answer to any request without a body, whether or not its own body ends.
    pub(crate) async fn status_of(&self, request: Builder) -> StatusCode {
        self.respond(request.body(Body::empty()).unwrap()).await.status()
    }

    /// The answer to any request with a body of JSON.
    pub(crate) async fn send_with(&self, request: Builder, body: &Value) -> Answer {
        self.answer(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// The answer to any request with a text for its body.
    pub(crate) async fn send_text(&self, request: Builder, body: &str) -> Answer {
        self.answer(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    /// The headers of the answer to a request, and how many bytes it has.
    pub(crate) async fn send_bytes(&self, request: Builder) -> (HeaderMap, usize) {
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
    pub(crate) async fn send(&self, request: Builder) -> Answer {
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
        keys: KEYS.clone(),
        identity_providers: Vec::new(),
        caller: CALLER.clone(),
        requests_per_minute: NonZeroU32::MAX,
        strangers: Allowances {
            requests: NonZeroU32::MAX,
            wrong: NonZeroU32::MAX,
        },
        clock: Clock::Fixed(now()),
        ingest_ready: Arc::new(|| Ok(())),
        render_metrics: Arc::new(move || metrics.render()),
    }
}
