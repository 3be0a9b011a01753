//! A request of somebody who acts in no role (yet).

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use chrono::{DateTime, Utc};
use homeward_store::audit::AuditEntry;
use homeward_store::sessions::{Session, note_use};

use crate::access::{Origin, from_our_page, secret_of, session_of};
use crate::error::ApiError;
use crate::routes::App;

/// What a route that is not for a role needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing, and nobody counts who asks: it is for those who run the process, or keeps the record out of it.
    Uncounted,
    /// Nothing.
    Nothing,
    /// A session, whether or not a role is picked in it.
    Session,
    /// The secret of a share in the path, and to see something its code: the handler looks, in the transaction in which it
    /// answers.
    Share,
    /// What an identity provider has the browser bring along: the handler looks.
    Proof,
}

/// When and from where a request comes.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) now: DateTime<Utc>,
    /// From where.
    pub(super) origin: Option<Origin>,
    origin_text: Option<String>,
    target: String,
    /// The secret of a session that the browser has already.
    pub(super) secret: Option<String>,
}

impl Visit {
    fn of(app: &App, parts: &Parts) -> Visit {
        let origin = parts.extensions.get::<Origin>().copied();
        Visit {
            now: app.clock.now(),
            origin,
            origin_text: origin.map(|origin| origin.0.to_string()),
            target: parts.uri.path().to_owned(),
            secret: secret_of(&parts.headers).map(str::to_owned),
        }
    }

    /// What the log is to say of it, unless it says otherwise.
    pub(crate) fn entry<'a>(&'a self, action: &'a str, actor: &'a str) -> AuditEntry<'a> {
        AuditEntry {
            held_role: None,
            actor,
            action,
            done: true,
            target: &self.target,
            patients: &[],
            reason: None,
            origin: self.origin_text.as_deref(),
        }
    }
}

impl FromRequestParts<App> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Visit, ApiError> {
        Ok(Visit::of(app, parts))
    }
}

/// A request of somebody who has signed in.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(super) visit: Visit,
    pub(super) session: Session,
}

impl SignedIn {
    /// The session.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The time of the request.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.visit.now
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<SignedIn, ApiError> {
        let signed_in = parts.extensions.get::<SignedIn>().cloned();
        Ok(signed_in.expect("every route with a handler of sessions says that it needs one"))
    }
}

/// What every route passes that is not for a role.
pub(crate) async fn admit(
    State((app, needs)): State<(App, Needs)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let origin = parts.extensions.get::<Origin>().copied();
    match needs {
        Needs::Uncounted => {}
        Needs::Nothing => app.strangers.count_request(origin)?,
        Needs::Share | Needs::Proof => {
            app.strangers.count_request(origin)?;
            app.strangers.let_link_in(origin)?;
        }
        Needs::Session => {
            let signed_in = sign_in_of(&app, &parts).await?;
            parts.extensions.insert(signed_in);
        }
    }
    // Also no other site has a browser sign in here, as somebody else than who sits before it.
    if needs != Needs::Session && !parts.method.is_safe() {
        from_our_page(&parts.headers)?;
    }
    let response = next.run(Request::from_parts(parts, body)).await;
    if matches!(needs, Needs::Share | Needs::Proof) && response.status().is_client_error() {
        app.strangers.count_wrong_link(origin)?;
    }
    app.strangers.note_begun(response.headers());
    Ok(response)
}

/// Finds out who has signed in.
async fn sign_in_of(app: &App, parts: &Parts) -> Result<SignedIn, ApiError> {
    let visit = Visit::of(app, parts);
    let find = async {
        let mut connection = app.connection().await?;
        let session = session_of(&mut connection, &parts.method, &parts.headers, visit.now).await?;
        if session.is_to_note(visit.now) {
            note_use(&mut connection, &session.hash, visit.now).await?;
        }
        Ok(session)
    };
    let shown = secret_of(&parts.headers);
    let session = app.strangers.meet(visit.origin, shown, find).await?;
    Ok(SignedIn { visit, session })
}
