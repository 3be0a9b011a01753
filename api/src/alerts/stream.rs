//! `GET /api/v1/alerts/stream`: what happens to episodes, as it happens, by server-sent events.
//!
//! Parameters: `severity` (several with commas between them; all). The event's name says what happened
//! (`raised`, `became_current`, `amended`, `reopened`, `withdrawn`, `acknowledged`, `assigned`, `commented`,
//! `snoozed`, `snooze_ended`, `escalated`, `cleared`, `closed`), its data is a JSON object of the `transition`
//! and the `alert` as it stands, and its id is the transition's number. With the header `Last-Event-ID` the
//! stream begins after that transition, however long ago it was, and else with what happens from now on.
//!
//! Everything sent is read from the record, in the order in which it was committed, and the record is also
//! what a slow reader catches up from: nothing is skipped, and nothing is kept for anybody. The stream ends
//! when its token is revoked.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream};
use homeward_alerts::Severity;
use homeward_store::alerts::{latest_transition, transitions_after};
use homeward_store::tokens::token_is_good;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::SEVERITIES;
use super::hub::{AlertEvent, PAGE};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Query, choose_some, parsed};
use crate::routes::App;

/// How often a silent stream sends a comment, so that nothing on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a client whose stream broke should come again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// How long a stream waits before it looks into the record again, when it cannot be told of news.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// For how long after its token was found good a stream sends events without asking again. Tests do not wait.
const TRUST_FOR: Duration = if cfg!(test) {
    Duration::ZERO
} else {
    Duration::from_secs(10)
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    severity: Option<String>,
}

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let severities = choose_some("severity", parameters.severity.as_deref(), &SEVERITIES)?;
    let asked_for = last_event_id(&headers)?;
    let receiver = app.hub.subscribe();
    let latest = latest_transition(&mut *app.record().await?).await?;
    // A number from the future is of a record that was restored from a backup since.
    let position = asked_for.unwrap_or(latest).min(latest);
    let follower = Follower {
        app,
        token: caller.token,
        trusted_at: Instant::now(),
        severities,
        receiver,
        position,
        page: VecDeque::new(),
        live: false,
        greeted: false,
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
    token: i64,
    /// When the token was found good.
    trusted_at: Instant,
    severities: Vec<Severity>,
    receiver: Receiver<Arc<AlertEvent>>,
    /// The last transition that was sent or left out.
    position: i64,
    /// What was read from the record and not sent yet.
    page: VecDeque<Arc<AlertEvent>>,
    /// Whether the record has nothing after `position` that the receiver does not bring.
    live: bool,
    greeted: bool,
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
        let event = shutdown.run_until_cancelled(self.next_wanted()).await?;
        if !self.is_trusted().await {
            return None;
        }
        Some(
            Event::default()
                .id(event.id.to_string())
                .event(&event.kind)
                .data(&event.data),
        )
    }

    async fn is_trusted(&mut self) -> bool {
        if self.trusted_at.elapsed() < TRUST_FOR {
            return true;
        }
        let Ok(mut connection) = self.app.record().await else {
            return false;
        };
        self.trusted_at = Instant::now();
        token_is_good(&mut connection, self.token).await.unwrap_or(false)
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
        let mut connection = self.app.record().await?;
        let page = transitions_after(&mut connection, self.position, PAGE).await?;
        Ok(page
            .into_iter()
            .map(|transition| Arc::new(transition.into()))
            .collect())
    }
}
