//! `GET /api/v1/patients/{patient}/readings/stream`: a patient's readings as they come, by server-sent events.
//!
//! Parameters: `after` (RFC 3339): begins with what has arrived after this time, and else with what arrives from now on.
//! Each event is called `reading`: its data is a reading as the list of readings has it, with `what` was measured and its
//! `number` as one says them. Its id is the time at which it arrived, in microseconds of Unix time; with the header
//! `Last-Event-ID` the stream goes on after that. What arrived more than an hour after its measurement is not told: the
//! list of readings has it. A reading may be told twice, after a connection broke.
//!
//! The record is looked at every two seconds, while somebody follows. A stream sees by row-level security whom its caller
//! may see at each look, and ends once that is not the patient any more, or once its token or session is over. A caller may
//! follow so many patients at a time and no more (503). The log has one access for the whole stream.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::time::{Duration, Instant as Tick};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, Stream};
use homeward_alerts::metric_in_words;
use homeward_record::PatientId;
use homeward_store::access::{act_as, basis_for};
use homeward_store::history::{ReadingPlace, StoredReading, arrived_after};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Reading, reading};
use crate::access::{Action, Exchange, Principal, may};
use crate::error::ApiError;
use crate::pages::{Moment, number_in_words};
use crate::request::{Instant, Path, Query, parsed};
use crate::routes::App;
use crate::series::require_patient;
use crate::streams::Turn;

/// How often the record is looked at: as soon as somebody at a bedside would look up. Tests do not wait.
const LOOK_EVERY: Duration = if cfg!(test) {
    Duration::from_millis(10)
} else {
    Duration::from_secs(2)
};

/// How long after its measurement a reading may arrive to be told. Each look reads all that was measured since then: of a
/// watch that measures four things a minute, 240 readings.
const MEASURED_WITHIN: TimeDelta = TimeDelta::hours(1);

/// Readings are stored a little after they have arrived, and not in the order of their arrival: how much later they may be.
const STORED_WITHIN: TimeDelta = TimeDelta::seconds(30);

/// The most readings of a metric that one look brings, the newest: the page of a sensor that sends an hour at once.
const MOST: i64 = 100;

/// How many patients a caller may follow at a time: the tabs of a browser, or a program's own list of some.
pub(crate) const MOST_STREAMS: usize = 50;

/// For how long a stream goes by it that its token or session is good. Tests do not wait.
const TRUST_FOR: Duration = if cfg!(test) {
    Duration::ZERO
} else {
    Duration::from_secs(10)
};

/// How often a silent stream sends a comment, so that nothing on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a client whose stream broke should come again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    after: Option<Instant>,
}

/// A reading as an event tells it.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    reading: Reading,
    /// What was measured, as one says it.
    what: &'static str,
    /// The value as one says it, without its unit.
    number: String,
    /// When it was measured, by the clock of the patients.
    when: String,
}

pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let now = exchange.now();
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let after = parameters.after.map(|Instant(after)| after);
    let begins_after = last_event_id(&headers)?.or(after);
    let position = begins_after.unwrap_or(now);
    let known = match begins_after {
        Some(_) => Vec::new(),
        // What the caller knows, or could know: it is there.
        None => arrived_after(&mut connection, patient, since(now, position), MOST).await?,
    };
    drop(connection);
    let principal = exchange.principal().clone();
    let turn = app.reading_streams.take(principal.acts_as.id)?;
    let follower = Follower {
        app,
        principal,
        patient,
        position,
        told: known
            .iter()
            .map(|reading| (reading.place(), reading.received_at))
            .collect(),
        waiting: VecDeque::new(),
        checked: None,
        greeted: false,
        _turn: turn,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Measured and arrived since when what has come after a position may have been.
fn since(now: DateTime<Utc>, position: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    (now - MEASURED_WITHIN, position - STORED_WITHIN)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(header) = headers.get("last-event-id").filter(|header| !header.is_empty()) else {
        return Ok(None);
    };
    let micros = header.to_str().ok().and_then(|text| text.parse().ok());
    let at = micros.filter(|micros| *micros >= 0);
    match at.and_then(DateTime::from_timestamp_micros) {
        Some(at) => Ok(Some(at)),
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
    patient: PatientId,
    /// When the last reading arrived that was told.
    position: DateTime<Utc>,
    /// What was told of readings that arrived not long before, and when each arrived.
    told: HashMap<ReadingPlace, DateTime<Utc>>,
    /// What was read and not sent yet.
    waiting: VecDeque<Event>,
    /// When the token or session was last found to be good.
    checked: Option<Tick>,
    greeted: bool,
    _turn: Turn,
}

impl Follower {
    /// The next event; `None` at shutdown, and once the caller may not see the patient any more.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            let greeting = Event::default().comment("live readings").retry(RECONNECT_AFTER);
            return Some(greeting.id(self.position.timestamp_micros().to_string()));
        }
        let shutdown = self.app.shutdown.clone();
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let looked = async {
                tokio::time::sleep(LOOK_EVERY).await;
                self.look().await
            };
            match shutdown.run_until_cancelled(looked).await? {
                Ok(true) => {}
                Ok(false) => return None,
                // The client comes again, and goes on after the last event that it was sent.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "a stream of readings ends: the record cannot be read");
                    return None;
                }
            }
        }
    }

    /// Reads what has arrived. `false`: the caller may not see it any more.
    async fn look(&mut self) -> Result<bool, ApiError> {
        let now = self.app.clock.now();
        let mut transaction = self.app.begin().await?;
        let held_role = self.principal.acts_as.id;
        if self.checked.is_none_or(|checked| checked.elapsed() >= TRUST_FOR) {
            let basis = basis_for(&mut transaction, held_role, self.patient, now).await?;
            let visible = may(&self.principal, Action::ReadReadings, Some(basis)).is_ok();
            if !visible || !self.principal.is_good(&mut transaction, now).await? {
                return Ok(false);
            }
            self.checked = Some(Tick::now());
        }
        act_as(&mut transaction, held_role, Some(self.patient), now).await?;
        let since = since(now, self.position);
        let arrived = arrived_after(&mut transaction, self.patient, since, MOST).await?;
        drop(transaction);
        for reading in arrived {
            self.tell(reading);
        }
        let (_, kept) = since;
        self.told.retain(|_, arrived| *arrived > kept);
        Ok(true)
    }

    /// Has a reading wait to be sent, unless it was told.
    fn tell(&mut self, stored: StoredReading) {
        let arrived = stored.received_at;
        if self.told.insert(stored.place(), arrived).is_some() {
            return;
        }
        self.position = self.position.max(arrived);
        let told = Told {
            what: metric_in_words(stored.metric).0,
            number: number_in_words(stored.metric, stored.value),
            when: Moment::short(stored.at).text(),
            reading: reading(stored),
        };
        let data = serde_json::to_string(&told).expect("a reading is plain data");
        let event = Event::default().event("reading").data(data);
        self.waiting
            .push_back(event.id(arrived.timestamp_micros().to_string()));
    }
}
