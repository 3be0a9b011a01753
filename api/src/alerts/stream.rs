//! `GET /api/v1/alerts/stream`: what happens to episodes, as it happens, by server-sent events.
//!
//! Parameters: `severity` (several with commas between them; all). The event's name says what happened
//! (`raised`, `became_current`, `amended`, `reopened`, `withdrawn`, `acknowledged`, `assigned`, `commented`,
//! `snoozed`, `snooze_ended`, `escalated`, `cleared`, `closed`), its data is a JSON object of the `transition`
//! and the `alert` as it stands, and its id is the transition's number. With the header `Last-Event-ID` the
//! stream begins after that transition, however long ago it was, and else with what happens from now on.
//!
//! Everything sent is read from the record, in the order in which it was committed, and the record is also
//! what a slow reader catches up from: nothing is skipped, and nothing is kept for anybody. A stream tells of those
//! patients whom its caller may see when something happens; the first time that it tells of one is written down. It
//! ends when its token is revoked. A caller may have so many streams at a time and no more (503).

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream};
use homeward_alerts::Severity;
use homeward_record::PatientId;
use homeward_store::Error;
use homeward_store::access::basis_for;
use homeward_store::alerts::{latest_transition, transitions_after};
use homeward_store::audit::{self, AuditEntry};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;

use super::SEVERITIES;
use super::hub::{AlertEvent, PAGE};
use crate::access::{Action, Exchange, Principal, may};
use crate::error::ApiError;
use crate::request::{Query, choose_some, parsed};
use crate::routes::App;
use crate::streams::Turn;

/// How often a silent stream sends a comment, so that nothing on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a client whose stream broke should come again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// How long a stream waits before it looks into the record again, when it cannot be told of news.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// For how long a stream goes by what it found: that its token is good, and whether it may see a patient. Tests do not
/// wait.
const TRUST_FOR: Duration = if cfg!(test) {
    Duration::ZERO
} else {
    Duration::from_secs(10)
};

/// How many streams a caller may have at a time: the screens of a ward that share a token.
pub(crate) const MOST_STREAMS: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    severity: Option<String>,
}

pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let severities = choose_some("severity", parameters.severity.as_deref(), &SEVERITIES)?;
    let asked_for = last_event_id(&headers)?;
    let turn = app.alert_streams.take(exchange.principal().acts_as.id)?;
    let receiver = app.hub.subscribe();
    let latest = latest_transition(&mut *app.connection().await?).await?;
    // A number from the future is of a record that was restored from a backup since.
    let position = asked_for.unwrap_or(latest).min(latest);
    let follower = Follower {
        app,
        principal: exchange.principal().clone(),
        seen: HashMap::new(),
        told: HashSet::new(),
        origin: exchange.origin().map(str::to_owned),
        severities,
        receiver,
        position,
        page: VecDeque::new(),
        live: false,
        greeted: false,
        _turn: turn,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(header) = headers.get("last-event-id").filter(|header| !header.is_empty()) else {
        return Ok(None);
    };
    let number = header.to_str().ok().and_then(|text| text.parse().ok());
    match number.filter(|number| *number >= 0) {
        Some(number) => Ok(Some(number)),
        None => Err(ApiError::parameter(
            "Last-Event-ID",
            "expected the id of an event",
        )),
    }
}

/// One stream.
struct Follower {
    app: App,
    principal: Principal,
    /// Of which patients it may tell, and when that was found out.
    seen: HashMap<PatientId, (bool, Instant)>,
    /// Of whom it has told.
    told: HashSet<PatientId>,
    origin: Option<String>,
    severities: Vec<Severity>,
    receiver: Receiver<Arc<AlertEvent>>,
    /// The last transition that was sent or left out.
    position: i64,
    /// What was read from the record and not sent yet.
    page: VecDeque<Arc<AlertEvent>>,
    /// Whether the record has nothing after `position` that the receiver does not bring.
    live: bool,
    greeted: bool,
    _turn: Turn,
}

impl Follower {
    /// The next event; `None` at shutdown, and once the token is revoked.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            // Sends the headers on their way, and tells the client where to resume before anything happens.
            let greeting = Event::default().comment("live alerts").retry(RECONNECT_AFTER);
            return Some(greeting.id(self.position.to_string()));
        }
        let shutdown = self.app.shutdown.clone();
        loop {
            let event = shutdown.run_until_cancelled(self.next_wanted()).await?;
            let visible = match self.may_tell_of(event.patient).await {
                Ok(visible) => visible?,
                // The client comes again, and goes on after the last event that it was sent.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "a stream of alerts ends: nobody can say whom it may see");
                    return None;
                }
            };
            if visible {
                let sent = Event::default().id(event.id.to_string()).event(&event.kind);
                return Some(sent.data(&event.data));
            }
        }
    }

    /// Whether the caller may see a patient now; `None` once the token is revoked. That it is told of a patient for
    /// the first time is written down.
    async fn may_tell_of(&mut self, patient: PatientId) -> Result<Option<bool>, ApiError> {
        if let Some((visible, at)) = self.seen.get(&patient)
            && at.elapsed() < TRUST_FOR
        {
            return Ok(Some(*visible));
        }
        let now = self.app.clock.now();
        let mut transaction = self.app.begin().await?;
        if !self.principal.is_good(&mut transaction, now).await? {
            return Ok(None);
        }
        let held_role = self.principal.acts_as.id;
        let basis = basis_for(&mut transaction, held_role, patient, now).await?;
        let visible = may(&self.principal, Action::ReadAlerts, Some(basis)).is_ok();
        if visible && !self.told.contains(&patient) {
            let entry = AuditEntry {
                held_role: Some(held_role),
                actor: &self.principal.name,
                action: Action::ReadAlerts.name(),
                done: true,
                target: "/api/v1/alerts/stream",
                patients: &[patient],
                reason: None,
                origin: self.origin.as_deref(),
            };
            audit::append(&mut transaction, &entry, now).await?;
            let committed = transaction.commit().await;
            committed.map_err(|source| Error::new("commit the log of a stream", source))?;
            self.told.insert(patient);
        }
        self.seen.insert(patient, (visible, Instant::now()));
        Ok(Some(visible))
    }

    async fn next_wanted(&mut self) -> Arc<AlertEvent> {
        loop {
            let Some(event) = self.next_of_any_severity().await else {
                continue;
            };
            // What the receiver brings may have been read from the record already.
            if event.id <= self.position {
                continue;
            }
            self.position = event.id;
            if event
                .severity
                .is_none_or(|severity| self.severities.contains(&severity))
            {
                return event;
            }
        }
    }

    async fn next_of_any_severity(&mut self) -> Option<Arc<AlertEvent>> {
        if let Some(event) = self.page.pop_front() {
            return Some(event);
        }
        if !self.live {
            self.catch_up().await;
            return None;
        }
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_) | RecvError::Closed) => {
                self.live = false;
                None
            }
        }
    }

    /// Reads a page of the record. When there is none, everything later comes through the receiver, if that
    /// had begun before the look.
    async fn catch_up(&mut self) {
        let began = self.app.hub.began();
        match self.read_page().await {
            Ok(page) => {
                self.live = began && page.is_empty();
                self.page = page;
                if self.live || !self.page.is_empty() {
                    return;
                }
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a stream of alerts waits for the database"
            ),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }

    async fn read_page(&self) -> Result<VecDeque<Arc<AlertEvent>>, ApiError> {
        let mut connection = self.app.connection().await?;
        let page = transitions_after(&mut connection, self.position, PAGE).await?;
        Ok(page
            .into_iter()
            .map(|transition| Arc::new(transition.into()))
            .collect())
    }
}
