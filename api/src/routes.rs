//! Which path leads where, and what every request passes on its way.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use homeward_store::Error;
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Transaction};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::{Action, Decide};
use crate::alerts::{self, AlertHub};
use crate::error::ApiError;
use crate::serve::ApiState;
use crate::sign_in::{Hashing, Needs, admit};
use crate::{
    access, access_log, blood_pressure_summary, break_glass, care_plan, corrections, dry_run, fhir,
    glucose_summary, health, metrics, news2, practice_overview, readings, sign_in, trends,
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
    /// Where passwords are hashed.
    pub(crate) hashing: Hashing,
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
            hashing: Hashing::new(),
            shutdown,
        })
    }

    /// A transaction of a request, which sees nobody until it says who acts.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, ApiError> {
        let transaction = self.requests.begin().await;
        transaction.map_err(|source| Error::new("connect to the record", source).into())
    }

    /// A connection that sees the whole record, for what is no request's alone.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, ApiError> {
        let connection = self.pool.acquire().await;
        connection.map_err(|source| Error::new("connect to the record", source).into())
    }
}

/// A route under `/api` or `/fhir`.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What it does: [`access::pass`] decides by that who may.
    pub(crate) action: Action,
    handler: MethodRouter<App>,
}

impl Route {
    fn get<H: Handler<T, App>, T: 'static>(path: &'static str, action: Action, handler: H) -> Route {
        Route {
            method: Method::GET,
            path,
            action,
            handler: get(handler),
        }
    }

    fn post<H: Handler<T, App>, T: 'static>(path: &'static str, action: Action, handler: H) -> Route {
        Route {
            method: Method::POST,
            path,
            action,
            handler: post(handler),
        }
    }

    fn put<H: Handler<T, App>, T: 'static>(path: &'static str, action: Action, handler: H) -> Route {
        Route {
            method: Method::PUT,
            path,
            action,
            handler: put(handler),
        }
    }

    fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, action: Action, handler: H) -> Route {
        Route {
            method: Method::DELETE,
            path,
            action,
            handler: delete(handler),
        }
    }
}

/// Everything under `/api` and `/fhir`, where nothing is answered to somebody who may not do it.
#[rustfmt::skip]
pub(crate) fn api_routes() -> Vec<Route> {
    use Action::*;
    vec![
        Route::get("/api/v1/patients/{patient}/trends/{type}", ReadReadings, trends::get),
        Route::get("/api/v1/patients/{patient}/readings", ReadReadings, readings::get),
        Route::get("/api/v1/patients/{patient}/glucose-summary", ReadReadings, glucose_summary::get),
        Route::get("/api/v1/patients/{patient}/blood-pressure-summary", ReadReadings, blood_pressure_summary::get),
        Route::get("/api/v1/patients/{patient}/news2", ReadReadings, news2::get),
        Route::get("/api/v1/practice-overview", ReadOverview, practice_overview::get),
        Route::post("/api/v1/patients/{patient}/readings/entered-in-error", CorrectReadings, corrections::post),
        Route::get("/api/v1/patients/{patient}/care-plan", ReadCarePlan, care_plan::show::get),
        Route::put("/api/v1/patients/{patient}/care-plan/{code}", ChangeCarePlan, care_plan::adjust::put),
        Route::delete("/api/v1/patients/{patient}/care-plan/{code}", ChangeCarePlan, care_plan::remove::delete),
        Route::get("/api/v1/patients/{patient}/access-log", ReadAccessLog, access_log::get),
        Route::get("/api/v1/alerts", ReadAlerts, alerts::list::get),
        Route::get("/api/v1/alerts/stream", ReadAlerts, alerts::stream::get),
        Route::get("/api/v1/alerts/{alert}", ReadAlerts, alerts::show::get),
        Route::post("/api/v1/alerts/{alert}/acknowledge", WorkOnAlerts, alerts::acknowledge::post),
        Route::post("/api/v1/alerts/{alert}/assign", WorkOnAlerts, alerts::assign::post),
        Route::post("/api/v1/alerts/{alert}/comment", WorkOnAlerts, alerts::comment::post),
        Route::post("/api/v1/alerts/{alert}/snooze", WorkOnAlerts, alerts::snooze::post),
        Route::post("/api/v1/alerts/{alert}/close", WorkOnAlerts, alerts::close::post),
        Route::post("/api/v1/rules/dry-run", TryRules, dry_run::post),
        Route::post("/api/v1/break-glass", BreakGlass, break_glass::post),
        Route::get("/api/v1/break-glass", ReviewBreakGlass, break_glass::review::get),
        Route::post("/api/v1/break-glass/{break_glass}/review", ReviewBreakGlass, break_glass::review::post),
        Route::get("/fhir/R4/Patient", ReadPatient, fhir::patient::search),
        Route::get("/fhir/R4/Patient/{patient}", ReadPatient, fhir::patient::read),
        Route::get("/fhir/R4/Patient/{patient}/$everything", ReadEverything, fhir::everything::get),
        Route::get("/fhir/R4/Observation", ReadReadings, fhir::observation::search::search),
        Route::get("/fhir/R4/Observation/$lastn", ReadReadings, fhir::observation::lastn::get),
        Route::get("/fhir/R4/Observation/$stats", ReadReadings, fhir::observation::stats::get),
        Route::get("/fhir/R4/Observation/{observation}", ReadReadings, fhir::observation::read::read),
        Route::get("/fhir/R4/Device", ReadDevices, fhir::device::search),
        Route::get("/fhir/R4/Device/{device}", ReadDevices, fhir::device::read),
        Route::get("/fhir/R4/Flag", ReadFlags, fhir::flag::search),
        Route::get("/fhir/R4/Flag/{alert}", ReadFlags, fhir::flag::read),
        Route::get("/fhir/R4/DetectedIssue", ReadAlerts, fhir::detected_issue::search),
        Route::get("/fhir/R4/DetectedIssue/{alert}", ReadAlerts, fhir::detected_issue::read),
        Route::get("/fhir/R4/CarePlan", ReadCarePlan, fhir::care_plan::search),
        Route::get("/fhir/R4/CarePlan/{patient}", ReadCarePlan, fhir::care_plan::read),
        Route::get("/fhir/R4/AuditEvent", ReadAccessLog, fhir::audit_event::search),
    ]
}

/// A route that is not for a role: whoever calls acts as nobody (yet).
pub(crate) struct OpenRoute {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What the caller has to show: [`admit`] sees to it.
    pub(crate) needs: Needs,
    handler: MethodRouter<App>,
}

/// Everything else that there is.
#[rustfmt::skip]
pub(crate) fn open_routes() -> Vec<OpenRoute> {
    use Needs::*;
    let route = |method, path, needs, handler| OpenRoute { method, path, needs, handler };
    vec![
        route(Method::GET, "/healthz", Nothing, get(health::alive)),
        route(Method::GET, "/readyz", Nothing, get(health::ready)),
        route(Method::GET, "/metrics", Nothing, get(metrics::get)),
        route(Method::GET, "/fhir/R4/metadata", Nothing, get(fhir::metadata::get)),
        route(Method::POST, "/api/v1/sign-in", Nothing, post(sign_in::post)),
        route(Method::GET, "/api/v1/session", Session, get(sign_in::session::get)),
        route(Method::DELETE, "/api/v1/session", Session, delete(sign_in::sign_out::delete)),
        route(Method::POST, "/api/v1/session/role", Session, post(sign_in::pick_role::post)),
        route(Method::POST, "/api/v1/account/password", Session, post(sign_in::change_password::post)),
        route(Method::POST, "/api/v1/account/second-factor", Session, post(sign_in::second_factor::post)),
        route(Method::PUT, "/api/v1/account/second-factor", Session, put(sign_in::second_factor::put)),
        route(Method::DELETE, "/api/v1/account/second-factor", Session, delete(sign_in::second_factor::delete)),
    ]
}

/// The whole of the interface.
pub(crate) fn router(app: &App) -> Router {
    router_deciding_by(app, access::may)
}

/// The same with another decision in place of [`access::may`], which tests take away.
pub(crate) fn router_deciding_by(app: &App, decide: Decide) -> Router {
    let (routes, open) = (api_routes(), open_routes());
    let named = routes.iter().map(|route| (&route.method, route.path));
    metrics::describe(named.chain(open.iter().map(|route| (&route.method, route.path))));
    let router = routes.into_iter().fold(Router::new(), |router, route| {
        let pass = from_fn_with_state((app.clone(), route.action, decide), access::pass);
        router.route(route.path, route.handler.route_layer(pass))
    });
    // Nothing is answered but what stands in one of the two lists, which a test goes through.
    let router = open.into_iter().fold(router, |router, route| {
        let admit = from_fn_with_state((app.clone(), route.needs), admit);
        router.route(route.path, route.handler.route_layer(admit))
    });
    router
        .route_layer(from_fn(keep_private))
        .fallback(async || ApiError::NotFound("there is nothing at this path".to_owned()))
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(limit_time))
        .layer(from_fn(fhir::outcomes))
        .layer(from_fn(metrics::measure))
        .with_state(app.clone())
}

/// What is said of patients stays in no cache.
async fn keep_private(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let private = path.starts_with("/api/") || path.starts_with("/fhir/");
    let mut response = next.run(request).await;
    if !private {
        return response;
    }
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
