//! One request and its answer: one transaction, in which the caller sees whom the caller may see, and one row of the
//! log of reads and changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_store::Error;
use homeward_store::access::{Role, act_as, basis_for};
use homeward_store::audit::{self, AuditEntry};
use sqlx::{PgConnection, Postgres, Transaction};
use tokio::sync::{MappedMutexGuard, Mutex as AsyncMutex, MutexGuard};

use super::may::{Decide, Denied};
use super::principal::shown;
use super::{Action, Origin, Principal, idempotency};
use crate::error::{ApiError, Problem};
use crate::request::Path;
use crate::routes::App;

/// A request that has been let in. Handlers take it as an argument.
#[derive(Clone)]
pub(crate) struct Exchange(Arc<Inner>);

struct Inner {
    principal: Principal,
    action: Action,
    decide: Decide,
    now: DateTime<Utc>,
    target: String,
    origin: Option<String>,
    transaction: AsyncMutex<Option<Transaction<'static, Postgres>>>,
    noted: Mutex<Noted>,
}

/// What the log is to say.
#[derive(Default)]
struct Noted {
    patients: BTreeSet<PatientId>,
    reason: Option<String>,
    /// There turned out to be no reason on file, or what was to be shown for one was wrong.
    refused: bool,
}

impl Exchange {
    /// Who calls.
    pub(crate) fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// The name by which the record knows the caller.
    pub(crate) fn actor(&self) -> &str {
        &self.0.principal.name
    }

    /// The team whose patients and devices the caller looks after; `None`: those of all.
    pub(crate) fn own_team(&self) -> Option<i64> {
        let acts_as = &self.0.principal.acts_as;
        acts_as
            .organisation
            .filter(|_| acts_as.role != Role::Administrator)
    }

    /// The time of the request.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.0.now
    }

    /// The path that was asked for, without its query.
    pub(crate) fn path(&self) -> &str {
        self.0.target.split('?').next().unwrap_or_default()
    }

    /// From where the request came.
    pub(crate) fn origin(&self) -> Option<&str> {
        self.0.origin.as_deref()
    }

    /// The request's transaction, which commits when the handler has succeeded. Only one task has it at a time.
    pub(crate) async fn connection(&self) -> MappedMutexGuard<'_, PgConnection> {
        let transaction = self.0.transaction.lock().await;
        MutexGuard::map(transaction, |transaction| {
            let transaction = transaction.as_mut();
            &mut **transaction.expect("the transaction lasts as long as its handler")
        })
    }

    /// Whether the caller's role does such things, and the scopes include them.
    pub(crate) fn includes(&self, action: Action) -> bool {
        (self.0.decide)(&self.0.principal, action, None).is_ok()
    }

    /// Whether the caller may do such things to this patient, for the reason on file.
    pub(crate) async fn allows(&self, action: Action, patient: PatientId) -> Result<bool, ApiError> {
        let held_role = self.0.principal.acts_as.id;
        let basis = basis_for(&mut *self.connection().await, held_role, patient, self.0.now).await?;
        Ok((self.0.decide)(&self.0.principal, action, Some(basis)).is_ok())
    }

    /// Notes whose record the answer is about, where the path does not say.
    pub(crate) fn note_patients(&self, patients: impl IntoIterator<Item = PatientId>) {
        self.noted().patients.extend(patients);
    }

    /// Notes that somebody was refused who tried something that the log has to tell of.
    pub(crate) fn note_refused(&self) {
        self.noted().refused = true;
    }

    /// Whose record the answer is about, as far as was noted.
    pub(super) fn noted_patients(&self) -> Vec<PatientId> {
        self.noted().patients.iter().copied().collect()
    }

    /// Notes the reason that the caller states.
    pub(crate) fn note_reason(&self, reason: &str) {
        self.noted().reason = Some(reason.to_owned());
    }

    /// Makes sure that the caller may do to this patient what the request does, and notes the patient.
    pub(crate) async fn require(&self, patient: PatientId) -> Result<(), ApiError> {
        match self.turn_to(patient).await? {
            true => Ok(()),
            false => Err(refusal(Denied::NoReason, Some(patient))),
        }
    }

    /// Makes sure that the caller may do to this patient what the request does, and notes the patient: from then on
    /// the transaction sees nobody else. `false`: there is no reason on file, so that to the caller there is no such
    /// patient; the log says that it was refused, also where the answer is a success.
    pub(crate) async fn turn_to(&self, patient: PatientId) -> Result<bool, ApiError> {
        match self.judge(patient).await? {
            Ok(()) => {
                let held_role = self.0.principal.acts_as.id;
                let mut connection = self.connection().await;
                act_as(&mut connection, held_role, Some(patient), self.0.now).await?;
                Ok(true)
            }
            Err(Denied::NoReason) => Ok(false),
            Err(denied) => Err(refusal(denied, Some(patient))),
        }
    }

    /// Makes sure that the caller may do to each of these patients what the request does, and notes them. The transaction
    /// goes on to see all whom the caller may see.
    pub(crate) async fn require_each(
        &self,
        patients: impl IntoIterator<Item = PatientId>,
    ) -> Result<(), ApiError> {
        for patient in patients {
            let judged = self.judge(patient).await?;
            judged.map_err(|denied| refusal(denied, Some(patient)))?;
        }
        Ok(())
    }

    /// Whether the caller may do to this patient what the request does. The patient is noted, and so is a refusal.
    async fn judge(&self, patient: PatientId) -> Result<Result<(), Denied>, ApiError> {
        let held_role = self.0.principal.acts_as.id;
        let basis = basis_for(&mut *self.connection().await, held_role, patient, self.0.now).await?;
        self.note_patients([patient]);
        let judged = (self.0.decide)(&self.0.principal, self.0.action, Some(basis));
        self.noted().refused |= judged.is_err();
        Ok(judged)
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self) -> Option<Transaction<'static, Postgres>> {
        self.0.transaction.lock().await.take()
    }

    /// Writes down what was done, and commits it.
    async fn conclude(&self) -> Result<(), ApiError> {
        match self.take().await {
            Some(transaction) => self.write_down(transaction, self.0.action).await,
            None => Ok(()),
        }
    }

    /// Undoes what the handler has begun. Writes down that it was refused, if that is so, or that the answer shows a record
    /// all the same: a form once more, with what is wrong.
    async fn give_up(&self, app: &App, shows: bool) -> Result<(), ApiError> {
        // Rolled back by its end.
        drop(self.take().await);
        let (refused, shown) = {
            let noted = self.noted();
            (noted.refused, shows && !noted.patients.is_empty())
        };
        match (refused, shown) {
            (true, _) => self.write_down(app.begin().await?, self.0.action).await,
            (false, true) => self.write_down(app.begin().await?, self.0.action.shows()).await,
            (false, false) => Ok(()),
        }
    }

    async fn write_down(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        action: Action,
    ) -> Result<(), ApiError> {
        let Noted {
            patients,
            reason,
            refused,
        } = std::mem::take(&mut *self.noted());
        let entry = AuditEntry {
            held_role: Some(self.0.principal.acts_as.id),
            actor: &self.0.principal.name,
            action: action.name(),
            done: !refused,
            target: &self.0.target,
            patients: &patients.into_iter().collect::<Vec<_>>(),
            reason: reason.as_deref(),
            origin: self.origin(),
        };
        audit::append(&mut transaction, &entry, self.0.now).await?;
        let committed = transaction.commit().await;
        Ok(committed.map_err(|source| Error::new("commit a request", source))?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Exchange {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Exchange, ApiError> {
        let exchange = parts.extensions.get::<Exchange>().cloned();
        Ok(exchange.expect("every route with a handler of exchanges passes `access::pass`"))
    }
}

/// What every route under `/api` passes: see [`super`].
pub(crate) async fn pass(
    State((app, action, decide)): State<(App, Action, Decide)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let now = app.clock.now();
    let origin = parts.extensions.get::<Origin>().copied();
    let find = async {
        let mut transaction = app.begin().await?;
        let caller = (&parts.method, &parts.headers);
        let principal = Principal::of(&app, &mut transaction, caller, now).await?;
        Ok((transaction, principal))
    };
    let found = app.strangers.meet(origin, shown(&parts.headers), find).await;
    let (mut transaction, principal) = found?;
    let allowance = app.rate_limits.take(principal.acts_as.id)?;
    let key = idempotency::key_of(&parts)?;
    let target = parts.uri.path().to_owned();
    let origin = origin.map(|origin| origin.0.to_string());
    let path = Path::from_request_parts(&mut parts, &()).await?;
    // What is no number names no patient; the handler says so.
    let patient = path.value::<PatientId>("patient").ok();
    let held_role = principal.acts_as.id;
    let basis = match patient {
        Some(patient) => Some(basis_for(&mut transaction, held_role, patient, now).await?),
        None => None,
    };
    if let Err(denied) = decide(&principal, action, basis) {
        let entry = AuditEntry {
            held_role: Some(held_role),
            actor: &principal.name,
            action: action.name(),
            done: false,
            target: &target,
            patients: patient.as_slice(),
            reason: None,
            origin: origin.as_deref(),
        };
        audit::append(&mut transaction, &entry, now).await?;
        let committed = transaction.commit().await;
        committed.map_err(|source| Error::new("commit a refusal", source))?;
        return Err(refusal(denied, patient));
    }
    act_as(&mut transaction, held_role, patient, now).await?;
    let exchange = Exchange(Arc::new(Inner {
        principal,
        action,
        decide,
        now,
        target,
        origin,
        transaction: AsyncMutex::new(Some(transaction)),
        noted: Mutex::new(Noted {
            patients: patient.into_iter().collect(),
            ..Noted::default()
        }),
    }));
    parts.extensions.insert(exchange.clone());
    let answered = match key {
        Some(key) => idempotency::once(&exchange, key, (parts, body), next).await,
        None => Ok(next.run(Request::from_parts(parts, body)).await),
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    // A page answers that it has done something by leading to another.
    if response.status().is_success() || response.status().is_redirection() {
        exchange.conclude().await?;
    } else {
        exchange.give_up(&app, is_page(&response)).await?;
    }
    allowance.tell(response.headers_mut());
    Ok(response)
}

/// Whether an answer is a page that its handler made; what went wrong before that is told as a problem, which shows nothing.
fn is_page(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    let is_html = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    is_html && response.extensions().get::<Problem>().is_none()
}

fn refusal(denied: Denied, patient: Option<PatientId>) -> ApiError {
    match (denied, patient) {
        (Denied::NoReason, Some(patient)) => ApiError::NotFound(format!("there is no patient {patient}")),
        (Denied::NoReason, None) => ApiError::NotFound("there is no such patient".to_owned()),
        (Denied::Role, _) => ApiError::Forbidden("nobody in your role may do this"),
        (Denied::Scope, _) => ApiError::Forbidden("the token is not for this: its scopes do not include it"),
    }
}
