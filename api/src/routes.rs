//! Which path leads where, and what every request passes on its way.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::http::header::{CACHE_CONTROL, HeaderValue, STRICT_TRANSPORT_SECURITY};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use homeward_store::Error;
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Transaction};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::{Action, Decide, RateLimits, Strangers};
use crate::alerts::{self, AlertHub};
use crate::error::ApiError;
use crate::openapi::{Documented, Told};
use crate::serve::ApiState;
use crate::sign_in::{Hashing, Needs, RelyingParty, admit};
use crate::streams::Streams;
use crate::{
    access, access_log, blood_pressure_summary, break_glass, care_plan, choices, corrections, devices,
    dry_run, fhir, glucose_summary, health, metrics, news2, notes, openapi, pages, passport_shares, patients,
    practice_overview, readings, share, sign_in, step_goal, tasks, trends,
};

/// How long an answer may take to begin: longer than any that is useful, and twice as long as a request may
/// wait for a connection to the database.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// No body that makes sense is longer than a comment.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// What the handlers share.
pub(crate) type App = Arc<Shared>;

/// See [`App`].
pub(crate) struct Shared {
    state: ApiState,
    pub(crate) hub: AlertHub,
    /// Dry runs that may be at work: each keeps processors busy for seconds, and readings have to be taken
    /// meanwhile.
    pub(crate) dry_runs: Semaphore,
    /// How often each caller may ask.
    pub(crate) rate_limits: RateLimits,
    /// How often those may ask who are none.
    pub(crate) strangers: Strangers,
    /// Homeward, as each identity provider knows it.
    pub(crate) relying_parties: Vec<RelyingParty>,
    /// Where passwords are hashed.
    pub(crate) hashing: Hashing,
    /// Who follows alerts, and who follows readings.
    pub(crate) alert_streams: Streams,
    pub(crate) reading_streams: Streams,
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
    /// # Errors
    ///
    /// When an identity provider's issuer is no URL.
    pub(crate) fn new(state: ApiState, shutdown: CancellationToken) -> Result<App, String> {
        let parties = state
            .identity_providers
            .iter()
            .map(|provider| RelyingParty::new(provider.clone(), &state.base_url, state.caller.clone()));
        Ok(Arc::new(Shared {
            relying_parties: parties.collect::<Result<_, _>>()?,
            rate_limits: RateLimits::new(state.requests_per_minute),
            strangers: Strangers::new(state.strangers),
            state,
            hub: AlertHub::new(),
            dry_runs: Semaphore::new(1),
            alert_streams: Streams::new(alerts::stream::MOST_STREAMS),
            reading_streams: Streams::new(readings::stream::MOST_STREAMS),
            hashing: Hashing::new(),
            shutdown,
        }))
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
    /// That in a sentence. Resources of FHIR are described by the CapabilityStatement instead.
    pub(crate) says: &'static str,
    /// What its handler takes and answers.
    pub(crate) tell: fn(&mut Told),
    handler: MethodRouter<App>,
}

impl Route {
    fn new<H, D>(method: Method, path: &'static str, action: Action, handler: MethodRouter<App>) -> Route
    where
        H: Documented<D>,
    {
        Route {
            method,
            path,
            action,
            says: "",
            tell: H::tell,
            handler,
        }
    }

    fn get<H, T, D>(path: &'static str, action: Action, handler: H) -> Route
    where
        H: Handler<T, App> + Documented<D>,
        T: 'static,
    {
        Route::new::<H, D>(Method::GET, path, action, get(handler))
    }

    fn post<H, T, D>(path: &'static str, action: Action, handler: H) -> Route
    where
        H: Handler<T, App> + Documented<D>,
        T: 'static,
    {
        Route::new::<H, D>(Method::POST, path, action, post(handler))
    }

    fn put<H, T, D>(path: &'static str, action: Action, handler: H) -> Route
    where
        H: Handler<T, App> + Documented<D>,
        T: 'static,
    {
        Route::new::<H, D>(Method::PUT, path, action, put(handler))
    }

    fn delete<H, T, D>(path: &'static str, action: Action, handler: H) -> Route
    where
        H: Handler<T, App> + Documented<D>,
        T: 'static,
    {
        Route::new::<H, D>(Method::DELETE, path, action, delete(handler))
    }

    /// What it does, in a sentence, for those who read the document.
    fn says(self, says: &'static str) -> Route {
        Route { says, ..self }
    }
}

/// Everything under `/api` and `/fhir`, where nothing is answered to somebody who may not do it.
#[rustfmt::skip]
pub(crate) fn api_routes() -> Vec<Route> {
    use Action::*;
    vec![
        Route::get("/api/v1/patients", FindPatients, patients::search::get).says("Finds patients by number or name, among those whom the caller may see"),
        Route::post("/api/v1/patients", ManagePatients, patients::register::post).says("Puts a patient into the record"),
        Route::get("/api/v1/patients/{patient}", ReadPatient, patients::show::get).says("Who a patient is, who looks after them, and why the caller may see that"),
        Route::put("/api/v1/patients/{patient}", ManagePatients, patients::change::put).says("Changes who a patient is"),
        Route::get("/api/v1/patients/{patient}/enrolments", ReadPatient, patients::enrolments::get).says("The teams that look after a patient, or have"),
        Route::put("/api/v1/patients/{patient}/enrolments/{team}", ManagePatients, patients::enrolments::put).says("Enrols a patient with a team"),
        Route::delete("/api/v1/patients/{patient}/enrolments/{team}", EndEnrolments, patients::enrolments::delete).says("Ends an enrolment"),
        Route::get("/api/v1/patients/{patient}/devices", ReadDevices, devices::list::get).says("The devices that measure a patient, or have"),
        Route::post("/api/v1/devices", ManageDevices, devices::register::post).says("Registers a device; its secret is shown once"),
        Route::post("/api/v1/devices/{device}/assignments", ManageDevices, devices::assign::post).says("Gives a device to a patient"),
        Route::post("/api/v1/devices/{device}/revoke", ManageDevices, devices::revoke::post).says("Lets a device in no more"),
        Route::get("/api/v1/patients/{patient}/notes", ReadNotes, notes::get).says("What was written down about a patient"),
        Route::post("/api/v1/patients/{patient}/notes", WriteNotes, notes::post).says("Writes a note, or one in the place of another"),
        Route::get("/api/v1/tasks", ReadTasks, tasks::list::get).says("What the caller's team has to do, or has done"),
        Route::post("/api/v1/tasks", WorkOnTasks, tasks::add::post).says("Adds a task"),
        Route::get("/api/v1/tasks/workload", ReadTasks, tasks::workload::get).says("How much the caller's team has to do"),
        Route::get("/api/v1/tasks/{task}", ReadTasks, tasks::show::get).says("A task"),
        Route::put("/api/v1/tasks/{task}", WorkOnTasks, tasks::change::put).says("Changes a task"),
        Route::post("/api/v1/tasks/{task}/done", WorkOnTasks, tasks::end::done).says("Says that a task is done"),
        Route::post("/api/v1/tasks/{task}/cancel", WorkOnTasks, tasks::end::cancel).says("Says that a task need not be done any more"),
        Route::get("/api/v1/patients/{patient}/trends/{type}", ReadReadings, trends::get).says("A series over a window, summed up by buckets of time"),
        Route::get("/api/v1/patients/{patient}/readings", ReadReadings, readings::get).says("Readings one by one, the latest first"),
        Route::get("/api/v1/patients/{patient}/readings/stream", ReadReadings, readings::stream::get).says("New readings, as they come"),
        Route::get("/api/v1/patients/{patient}/glucose-summary", ReadReadings, glucose_summary::get).says("Time in range, and the profile of a day"),
        Route::get("/api/v1/patients/{patient}/blood-pressure-summary", ReadReadings, blood_pressure_summary::get).says("Courses of measurements at home"),
        Route::get("/api/v1/patients/{patient}/news2", ReadReadings, news2::get).says("The early warning score and its course"),
        Route::get("/api/v1/practice-overview", ReadOverview, practice_overview::get).says("The caller's patients by programme, counted"),
        Route::post("/api/v1/patients/{patient}/readings/entered-in-error", CorrectReadings, corrections::post).says("Says that a reading is not one"),
        Route::get("/api/v1/patients/{patient}/care-plan", ReadCarePlan, care_plan::show::get).says("The rules of a care plan"),
        Route::post("/api/v1/patients/{patient}/care-plan", ChangeCarePlan, care_plan::begin::post).says("Puts a programme's rules into a care plan"),
        Route::put("/api/v1/patients/{patient}/care-plan/{code}", ChangeCarePlan, care_plan::adjust::put).says("Adjusts a rule of a care plan, or adds one"),
        Route::delete("/api/v1/patients/{patient}/care-plan/{code}", ChangeCarePlan, care_plan::remove::delete).says("Takes a rule out of a care plan"),
        Route::get("/api/v1/patients/{patient}/access-log", ReadAccessLog, access_log::get).says("Who has seen or changed a record, and why they may"),
        Route::get("/api/v1/patients/{patient}/choices", ReadChoices, choices::get).says("With whom a patient shares the record, and whether research may use it"),
        Route::put("/api/v1/patients/{patient}/choices/sharing/{organisation}", Choose, choices::sharing::put).says("Shares the record with an organisation, or no longer"),
        Route::put("/api/v1/patients/{patient}/choices/research", Choose, choices::research::put).says("Lets research use the record, or not"),
        Route::get("/api/v1/patients/{patient}/passport-shares", ReadShares, passport_shares::get).says("The summaries that a patient shares, or has"),
        Route::post("/api/v1/patients/{patient}/passport-shares", Share, passport_shares::post).says("Shares a summary with whoever has the link and the code, which are shown once"),
        Route::delete("/api/v1/patients/{patient}/passport-shares/{share}", Share, passport_shares::revoke::delete).says("Revokes a shared summary"),
        Route::get("/api/v1/patients/{patient}/step-goal", ReadStepGoal, step_goal::get).says("How many steps a week a patient wants to take, and how that goes"),
        Route::put("/api/v1/patients/{patient}/step-goal", SetStepGoal, step_goal::change::put).says("Sets that"),
        Route::delete("/api/v1/patients/{patient}/step-goal", SetStepGoal, step_goal::change::delete).says("Ends that"),
        Route::get("/api/v1/alerts", ReadAlerts, alerts::list::get).says("Alerts: the worklist of a team"),
        Route::get("/api/v1/alerts/stream", ReadAlerts, alerts::stream::get).says("What happens to alerts, as it happens"),
        Route::get("/api/v1/alerts/{alert}", ReadAlerts, alerts::show::get).says("An alert, and everything that happened to it"),
        Route::post("/api/v1/alerts/{alert}/acknowledge", WorkOnAlerts, alerts::acknowledge::post).says("Takes an alert up"),
        Route::post("/api/v1/alerts/{alert}/assign", WorkOnAlerts, alerts::assign::post).says("Makes an alert somebody's business, or nobody's"),
        Route::post("/api/v1/alerts/{alert}/comment", WorkOnAlerts, alerts::comment::post).says("Says something about an alert"),
        Route::post("/api/v1/alerts/{alert}/snooze", WorkOnAlerts, alerts::snooze::post).says("Lets nobody be paged for an alert for a while"),
        Route::post("/api/v1/alerts/{alert}/close", WorkOnAlerts, alerts::close::post).says("Puts an alert away whose condition has cleared"),
        Route::get("/practice", ListPatients, pages::practice::get),
        Route::get("/patients", FindPatients, pages::patients::get),
        Route::get("/worklist", ReadAlerts, pages::worklist::get),
        Route::get("/worklist/list", ReadAlerts, pages::worklist::renewed),
        Route::get("/alerts/{alert}", ReadAlerts, pages::alert::get),
        Route::post("/alerts/{alert}/acknowledge", WorkOnAlerts, pages::alert::act::acknowledge),
        Route::post("/alerts/{alert}/assign", WorkOnAlerts, pages::alert::act::assign),
        Route::post("/alerts/{alert}/comment", WorkOnAlerts, pages::alert::act::comment),
        Route::post("/alerts/{alert}/snooze", WorkOnAlerts, pages::alert::act::snooze),
        Route::post("/alerts/{alert}/close", WorkOnAlerts, pages::alert::act::close),
        Route::get("/patients/{patient}", ReadReadings, pages::patient::show::get),
        Route::get("/patients/{patient}/review", ReadReadings, pages::patient::review::get),
        Route::post("/patients/{patient}/notes", WriteNotes, pages::patient::notes::post),
        Route::get("/patients/{patient}/alerts", ReadAlerts, pages::patient::alerts::get),
        Route::get("/patients/{patient}/news2", ReadReadings, pages::patient::news2::get),
        Route::get("/patients/{patient}/readings", ReadReadings, pages::patient::readings::get),
        Route::get("/patients/{patient}/readings/entered-in-error", CorrectReadings, pages::patient::corrections::get),
        Route::post("/patients/{patient}/readings/entered-in-error", CorrectReadings, pages::patient::corrections::post),
        Route::get("/patients/{patient}/care-plan", ReadCarePlan, pages::patient::care_plan::get),
        Route::post("/patients/{patient}/care-plan", ChangeCarePlan, pages::patient::care_plan::post),
        Route::post("/patients/{patient}/care-plan/try", TryRules, pages::patient::care_plan::try_out),
        Route::get("/patients/{patient}/care-plan/rules/{code}", ReadCarePlan, pages::patient::care_plan::rule::get),
        Route::post("/patients/{patient}/care-plan/rules/{code}", ChangeCarePlan, pages::patient::care_plan::rule::post),
        Route::post("/patients/{patient}/care-plan/rules/{code}/try", TryRules, pages::patient::care_plan::rule::try_out),
        Route::post("/patients/{patient}/care-plan/rules/{code}/remove", ChangeCarePlan, pages::patient::care_plan::remove::post),
        Route::get("/patients/{patient}/devices", ReadDevices, pages::patient::devices::get),
        Route::get("/patients/{patient}/access-log", ReadAccessLog, pages::access_log::get),
        Route::get("/patients/{patient}/goal", ReadStepGoal, pages::own::goal::get),
        Route::post("/patients/{patient}/goal", SetStepGoal, pages::own::goal::post),
        Route::post("/patients/{patient}/goal/stop", SetStepGoal, pages::own::goal::stop),
        Route::get("/patients/{patient}/choices", ReadChoices, pages::own::choices::get),
        Route::get("/patients/{patient}/choices/sharing/{organisation}", ReadChoices, pages::own::choices::confirm_sharing),
        Route::post("/patients/{patient}/choices/sharing/{organisation}", Choose, pages::own::choices::choose_sharing),
        Route::get("/patients/{patient}/choices/research", ReadChoices, pages::own::choices::confirm_research),
        Route::post("/patients/{patient}/choices/research", Choose, pages::own::choices::choose_research),
        Route::get("/patients/{patient}/passport", ReadShares, pages::own::passport::get),
        Route::post("/patients/{patient}/passport/shares", Share, pages::own::passport::post),
        Route::post("/patients/{patient}/passport/shares/{share}/revoke", Share, pages::own::passport::post_revoke),
        Route::get("/patients/{patient}/passport/summary", ReadReadings, pages::own::passport::take_along::summary),
        Route::get("/patients/{patient}/passport/download", ReadEverything, pages::own::passport::take_along::download),
        Route::get("/whose", FindPatients, pages::own::whose::get),
        Route::get("/refused", ReadRefusals, pages::refused::get),
        Route::get("/break-glass", ReviewBreakGlass, pages::break_glass::get),
        Route::post("/break-glass/{break_glass}/review", ReviewBreakGlass, pages::break_glass::found),
        Route::get("/break-glass/open", BreakGlass, pages::break_glass::ask),
        Route::post("/break-glass/open", BreakGlass, pages::break_glass::post),
        Route::get("/admin", ManageDevices, pages::admin::get),
        Route::get("/admin/people", ReadPeople, pages::admin::people::get),
        Route::get("/admin/people/new", ManagePeople, pages::admin::people::ask),
        Route::post("/admin/people", ManagePeople, pages::admin::people::post),
        Route::get("/admin/people/{account}", ReadPeople, pages::admin::person::get),
        Route::post("/admin/people/{account}/lock", ManagePeople, pages::admin::person::lock),
        Route::post("/admin/people/{account}/unlock", ManagePeople, pages::admin::person::unlock),
        Route::post("/admin/people/{account}/password", ManagePeople, pages::admin::person::password),
        Route::post("/admin/people/{account}/roles", GrantRoles, pages::admin::person::grant),
        Route::post("/admin/people/{account}/roles/{role}/end", GrantRoles, pages::admin::person::end),
        Route::get("/admin/organisations", ManageOrganisations, pages::admin::organisations::get),
        Route::post("/admin/organisations", ManageOrganisations, pages::admin::organisations::post),
        Route::get("/admin/patients", EnrolPatients, pages::admin::patients::get),
        Route::get("/admin/patients/new", EnrolPatients, pages::admin::patients::ask),
        Route::post("/admin/patients", EnrolPatients, pages::admin::patients::post),
        Route::get("/admin/patients/{patient}", EnrolPatients, pages::admin::patient::get),
        Route::post("/admin/patients/{patient}/enrolments", ManagePatients, pages::admin::patient::enrol),
        Route::post("/admin/patients/{patient}/enrolments/{team}/end", EndEnrolments, pages::admin::patient::discharge),
        Route::get("/admin/devices", ManageDevices, pages::admin::devices::get),
        Route::get("/admin/devices/new", ManageDevices, pages::admin::devices::ask),
        Route::post("/admin/devices", ManageDevices, pages::admin::devices::post),
        Route::get("/admin/devices/{device}", ManageDevices, pages::admin::device::get),
        Route::post("/admin/devices/{device}/assign", ManageDevices, pages::admin::device::give),
        Route::post("/admin/devices/{device}/revoke", ManageDevices, pages::admin::device::revoked),
        Route::post("/admin/devices/{device}/return", ManageDevices, pages::admin::device::take_back),
        Route::get("/admin/tokens", ManageTokens, pages::admin::tokens::get),
        Route::get("/admin/tokens/new", ManageTokens, pages::admin::tokens::ask),
        Route::post("/admin/tokens", ManageTokens, pages::admin::tokens::post),
        Route::post("/admin/tokens/{token}/revoke", ManageTokens, pages::admin::tokens::revoke),
        Route::get("/admin/rejected", ReadRejected, pages::admin::rejected::get),
        Route::post("/admin/rejected/replay", ReplayRejected, pages::admin::rejected::replay_all),
        Route::post("/admin/rejected/{message}/replay", ReplayRejected, pages::admin::rejected::replay_one),
        Route::get("/admin/health", ReadHealth, pages::admin::health::get),
        Route::get("/admin/log", ReadAdministration, pages::admin::log::get),
        Route::post("/api/v1/rules/dry-run", TryRules, dry_run::post).says("What rules would have raised; nobody is paged"),
        Route::post("/api/v1/break-glass", BreakGlass, break_glass::post).says("Opens the record of a patient without a relationship, for a stated reason"),
        Route::get("/api/v1/break-glass", ReviewBreakGlass, break_glass::review::get).says("What was opened without a relationship"),
        Route::post("/api/v1/break-glass/{break_glass}/review", ReviewBreakGlass, break_glass::review::post).says("What a privacy officer found about such an access"),
        Route::get("/fhir/R4/Patient", ReadPatient, fhir::patient::search),
        Route::get("/fhir/R4/Patient/$export", Export, fhir::export::kick_off::of_patients),
        Route::get("/fhir/R4/Group/{group}/$export", Export, fhir::export::kick_off::of_group),
        Route::get("/fhir/R4/$export-status/{export}", Export, fhir::export::status::get),
        Route::delete("/fhir/R4/$export-status/{export}", Export, fhir::export::status::delete),
        Route::get("/fhir/R4/$export-file/{export}/{type}", Export, fhir::export::file::get),
        Route::get("/fhir/R4/Patient/{patient}", ReadPatient, fhir::patient::read),
        Route::get("/fhir/R4/Patient/{patient}/$everything", ReadEverything, fhir::everything::get),
        Route::get("/fhir/R4/Observation", ReadReadings, fhir::observation::search::search),
        Route::post("/fhir/R4/Observation", EnterReadings, fhir::observation::create::post),
        Route::get("/fhir/R4/Observation/$lastn", ReadReadings, fhir::observation::lastn::get),
        Route::get("/fhir/R4/Observation/$stats", ReadReadings, fhir::observation::stats::get),
        Route::get("/fhir/R4/Observation/{observation}", ReadReadings, fhir::observation::read::read),
        Route::get("/fhir/R4/Device", ReadDevices, fhir::device::search),
        Route::get("/fhir/R4/Device/{device}", ReadDevices, fhir::device::read),
        Route::get("/fhir/R4/DeviceMetric", ReadDeviceMetrics, fhir::device_metric::search),
        Route::get("/fhir/R4/DeviceMetric/{device_metric}", ReadDeviceMetrics, fhir::device_metric::read),
        Route::get("/fhir/R4/Provenance", ReadProvenance, fhir::provenance::search),
        Route::get("/fhir/R4/Provenance/{provenance}", ReadProvenance, fhir::provenance::read),
        Route::get("/fhir/R4/Flag", ReadFlags, fhir::flag::search),
        Route::get("/fhir/R4/Flag/{alert}", ReadFlags, fhir::flag::read),
        Route::get("/fhir/R4/DetectedIssue", ReadAlerts, fhir::detected_issue::search),
        Route::get("/fhir/R4/DetectedIssue/{alert}", ReadAlerts, fhir::detected_issue::read),
        Route::get("/fhir/R4/CarePlan", ReadCarePlan, fhir::care_plan::search),
        Route::get("/fhir/R4/CarePlan/{patient}", ReadCarePlan, fhir::care_plan::read),
        Route::get("/fhir/R4/Consent", ReadChoices, fhir::consent::search),
        Route::get("/fhir/R4/Consent/{consent}", ReadChoices, fhir::consent::read),
        Route::get("/fhir/R4/AuditEvent", ReadAccessLog, fhir::audit_event::search),
    ]
}

/// A route that is not for a role: whoever calls acts as nobody (yet).
pub(crate) struct OpenRoute {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What the caller has to show: [`admit`] sees to it.
    pub(crate) needs: Needs,
    /// What it does, in a sentence.
    pub(crate) says: &'static str,
    /// What its handler takes and answers; `None`: it is no part of the interface for programs.
    pub(crate) tell: Option<fn(&mut Told)>,
    handler: MethodRouter<App>,
}

/// One for programs.
fn told<H: Documented<D>, D>(_: &H) -> Option<fn(&mut Told)> {
    Some(H::tell)
}

/// Everything else that there is.
#[rustfmt::skip]
pub(crate) fn open_routes() -> Vec<OpenRoute> {
    use Needs::*;
    let aside = |path, needs, handler| OpenRoute { method: Method::GET, path, needs, says: "", tell: None, handler };
    let page = |method, path, needs, handler| OpenRoute { method, path, needs, says: "", tell: None, handler };
    let route = |method, path, needs, says, tell, handler| OpenRoute { method, path, needs, says, tell, handler };
    vec![
        aside("/healthz", Uncounted, get(health::alive)),
        aside("/readyz", Uncounted, get(health::ready)),
        aside("/metrics", Uncounted, get(metrics::get)),
        aside("/fhir/R4/metadata", Nothing, get(fhir::metadata::get)),
        aside("/api/v1/openapi.json", Nothing, get(openapi::get)),
        aside("/api/docs", Nothing, get(openapi::reader)),
        aside("/api/docs/{file}", Nothing, get(openapi::file)),
        aside("/assets/{file}", Uncounted, get(pages::assets::get)),
        page(Method::GET, "/", Session, get(pages::home::get)),
        page(Method::GET, "/sign-in", Nothing, get(pages::sign_in::get)),
        page(Method::POST, "/sign-in", Nothing, post(pages::sign_in::post)),
        page(Method::POST, "/sign-out", Session, post(pages::sign_in::sign_out)),
        page(Method::GET, "/password", Session, get(pages::password::get)),
        page(Method::POST, "/password", Session, post(pages::password::post)),
        page(Method::GET, "/role", Session, get(pages::role::get)),
        page(Method::POST, "/role", Session, post(pages::role::post)),
        aside("/api/v1/identity-providers/{provider}/sign-in", Nothing, get(sign_in::provider::begin)),
        aside("/api/v1/identity-providers/{provider}/callback", Proof, get(sign_in::provider::callback)),
        route(Method::GET, "/api/v1/identity-providers", Nothing, "Through whom one can sign in", told(&sign_in::provider::list), get(sign_in::provider::list)),
        route(Method::GET, "/share/{secret}", Share, "", None, get(share::get)),
        route(Method::POST, "/share/{secret}", Share, "", None, post(share::post)),
        route(Method::POST, "/api/v1/sign-in", Nothing, "Signs in with name and password", told(&sign_in::post), post(sign_in::post)),
        route(Method::GET, "/api/v1/session", Session, "Who is signed in, and in which roles they may act", told(&sign_in::session::get), get(sign_in::session::get)),
        route(Method::DELETE, "/api/v1/session", Session, "Signs out", told(&sign_in::sign_out::delete), delete(sign_in::sign_out::delete)),
        route(Method::POST, "/api/v1/session/role", Session, "Picks the role in which to act", told(&sign_in::pick_role::post), post(sign_in::pick_role::post)),
        route(Method::POST, "/api/v1/account/password", Session, "Chooses another password", told(&sign_in::change_password::post), post(sign_in::change_password::post)),
        route(Method::POST, "/api/v1/account/second-factor", Session, "Offers a second factor", told(&sign_in::second_factor::post), post(sign_in::second_factor::post)),
        route(Method::PUT, "/api/v1/account/second-factor", Session, "Takes the second factor that was offered", told(&sign_in::second_factor::put), put(sign_in::second_factor::put)),
        route(Method::DELETE, "/api/v1/account/second-factor", Session, "Gives the second factor up", told(&sign_in::second_factor::delete), delete(sign_in::second_factor::delete)),
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
        .layer(from_fn(pages::form_token))
        // Outside of what waits for a body.
        .layer(from_fn(limit_time))
        .layer(from_fn(pages::outcomes))
        .layer(from_fn(pages::compress))
        .layer(from_fn(fhir::outcomes))
        .layer(from_fn_with_state(app.clone(), keep_to_tls))
        .layer(from_fn(metrics::measure))
        .with_state(app.clone())
}

/// What is said of patients stays in no cache.
async fn keep_private(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let private = ["/api/", "/fhir/", "/share/"]
        .iter()
        .any(|root| path.starts_with(root));
    let mut response = next.run(request).await;
    if !private {
        return response;
    }
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

/// A browser that came by TLS comes by nothing else for a year: nobody on the way can lead it to a page without.
async fn keep_to_tls(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if app.base_url.starts_with("https://") {
        let a_year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, a_year);
    }
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
