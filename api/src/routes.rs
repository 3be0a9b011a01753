//! Which path leads where, and what every request passes on its way.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::Method;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use homeward_store::Error;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::alerts::{self, AlertHub};
use crate::error::ApiError;
use crate::serve::ApiState;
use crate::{
    auth, blood_pressure_summary, care_plan, corrections, dry_run, glucose_summary, health, metrics, news2,
    practice_overview, readings, trends,
};

/// How long an answer may take to begin: longer than any that is useful, and twice as long as a request may
/// wait for a connection to the database.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// No body that makes sense is longer than a comment.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What the handlers share.
pub(crate) type App = Arc<Shared>;

/// See [`App`].
pub(crate) struct Shared {
    state: ApiState,
    pub(crate) hub: AlertHub,
    /// Dry runs that may be at work: each keeps processors busy for seconds, and readings have to be taken
    /// meanwhile.
    pub(crate) dry_runs: Semaphore,
    /// Ends the streams.
    pub(crate) shutdown: CancellationToken,
}

impl std::ops::Deref for Shared {
    type Target = ApiState;

    fn deref(&self) -> &ApiState {
        &self.state
    }
}

impl Shared {
    pub(crate) fn new(state: ApiState, shutdown: CancellationToken) -> App {
        Arc::new(Shared {
            state,
            hub: AlertHub::new(),
            dry_runs: Semaphore::new(1),
            shutdown,
        })
    }

    /// A connection to the record.
    pub(crate) async fn record(&self) -> Result<PoolConnection<Postgres>, ApiError> {
        let connection = self.pool.acquire().await;
        connection.map_err(|source| Error::new("connect to the record", source).into())
    }
}

/// A route under `/api`.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    handler: MethodRouter<App>,
}

/// Everything under `/api`, where nothing is answered without a token.
pub(crate) fn api_routes() -> Vec<Route> {
    let route = |method| {
        move |path, handler: MethodRouter<App>| Route {
            method: Method::clone(&method),
            path,
            handler,
        }
    };
    let (get_route, post_route) = (route(Method::GET), route(Method::POST));
    let (put_route, delete_route) = (route(Method::PUT), route(Method::DELETE));
    vec![
        get_route("/api/v1/patients/{patient}/trends/{type}", get(trends::get)),
        get_route("/api/v1/patients/{patient}/readings", get(readings::get)),
        get_route(
            "/api/v1/patients/{patient}/glucose-summary",
            get(glucose_summary::get),
        ),
        get_route(
            "/api/v1/patients/{patient}/blood-pressure-summary",
            get(blood_pressure_summary::get),
        ),
        get_route("/api/v1/patients/{patient}/news2", get(news2::get)),
        get_route("/api/v1/practice-overview", get(practice_overview::get)),
        post_route(
            "/api/v1/patients/{patient}/readings/entered-in-error",
            post(corrections::post),
        ),
        get_route("/api/v1/patients/{patient}/care-plan", get(care_plan::show::get)),
        put_route(
            "/api/v1/patients/{patient}/care-plan/{code}",
            put(care_plan::adjust::put),
        ),
        delete_route(
            "/api/v1/patients/{patient}/care-plan/{code}",
            delete(care_plan::remove::delete),
        ),
        get_route("/api/v1/alerts", get(alerts::list::get)),
        get_route("/api/v1/alerts/stream", get(alerts::stream::get)),
        get_route("/api/v1/alerts/{alert}", get(alerts::show::get)),
        post_route(
            "/api/v1/alerts/{alert}/acknowledge",
            post(alerts::acknowledge::post),
        ),
        post_route("/api/v1/alerts/{alert}/assign", post(alerts::assign::post)),
        post_route("/api/v1/alerts/{alert}/comment", post(alerts::comment::post)),
        post_route("/api/v1/alerts/{alert}/snooze", post(alerts::snooze::post)),
        post_route("/api/v1/alerts/{alert}/close", post(alerts::close::post)),
        post_route("/api/v1/rules/dry-run", post(dry_run::post)),
    ]
}

/// The whole of the interface.
pub(crate) fn router(app: &App) -> Router {
    let routes = api_routes();
    metrics::describe(routes.iter().map(|route| (&route.method, route.path)));
    let api = routes
        .into_iter()
        .fold(Router::new(), |router, route| {
            router.route(route.path, route.handler)
        })
        .route_layer(from_fn(keep_private))
        .route_layer(from_fn_with_state(app.clone(), auth::require_token));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::get))
        .merge(api)
        .fallback(async || ApiError::NotFound("there is nothing at this path".to_owned()))
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(limit_time))
        .layer(from_fn(metrics::measure))
        .with_state(app.clone())
}

/// What is said of patients stays in no cache.
async fn keep_private(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!("a request took too long");
            ApiError::TimedOut.into_response()
        }
    }
}
