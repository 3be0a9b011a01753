//! `GET /admin/rejected`: messages of devices of which something was refused: from which device, when, what was wrong and
//! where, and what can be done; never what is in them. Parameters: `device`, `reason`, `all=true` (also those that are in
//! the record by now), `before`. `POST /admin/rejected/{message}/replay` has one tried once more, and `POST
//! /admin/rejected/replay` those of a filter.
//!
//! The bytes of a message are readings of a patient, and nobody who administers has a reason to see them: requests have no
//! right to that column at all. They go from the record straight to the lanes.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use homeward_record::decode::Reason;
use homeward_record::{DeviceId, PatientId};
use homeward_store::devices;
use homeward_store::rejected::{
    Fault, KeptMessage, ListedRejected, RejectedFilter, list_rejected, load_rejected, note_replayed,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Choice, MOST, sections, with_parameters};
use crate::access::Exchange;
use crate::access_log::capital;
use crate::entering::{Entered, NotEntered, Replayed};
use crate::error::ApiError;
use crate::pages::form::Form;
use crate::pages::moment::Moment;
use crate::pages::view::{Link, Who, page, see};
use crate::request::{Path, Query, parsed};
use crate::routes::App;

const PATH: &str = "/admin/rejected";

/// How many messages are tried at one click: some of them take as long as a batch of a lane, and a request is answered
/// within seconds.
const MOST_AT_ONCE: i64 = 200;

/// How many are at the lanes at the same time.
const SIDE_BY_SIDE: usize = 32;

/// How many faults of one message are named.
const MOST_FAULTS: usize = 5;

/// Every reason, as the record has it.
const REASONS: [Reason; 14] = [
    Reason::NotAssigned,
    Reason::Malformed,
    Reason::TooLarge,
    Reason::Unsupported,
    Reason::InvalidField,
    Reason::InvalidUnit,
    Reason::Implausible,
    Reason::NoTime,
    Reason::InFuture,
    Reason::TooOld,
    Reason::NotMeasured,
    Reason::ControlSolution,
    Reason::NotAuthorized,
    Reason::Unstorable,
];

#[derive(Template)]
#[template(path = "pages/admin/rejected.html")]
struct Rejected {
    who: Option<Who>,
    sections: Vec<Link>,
    device: String,
    reason: String,
    reasons: Vec<Choice>,
    all: bool,
    /// What became of what was tried, in a sentence.
    told: Option<String>,
    rows: Vec<Row>,
    /// How many of them can be tried once more.
    outstanding: usize,
    /// Where the next page is.
    next: Option<String>,
}

struct Row {
    id: i64,
    device: DeviceId,
    kind: String,
    at: Moment,
    topic: String,
    faults: Vec<String>,
    more_faults: usize,
    advice: Option<&'static str>,
    replayed: Option<(Moment, String)>,
}

#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    device: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    all: Option<bool>,
    #[serde(default, deserialize_with = "parsed")]
    before: Option<i64>,
    #[serde(default, deserialize_with = "parsed")]
    stored: Option<u32>,
    #[serde(default, deserialize_with = "parsed")]
    left: Option<u32>,
    #[serde(default, deserialize_with = "parsed")]
    busy: Option<u32>,
}

/// The filter that the fields of the page say; what makes no sense is not asked for.
fn filter_of(device: &str, reason: &str, still: bool) -> RejectedFilter {
    RejectedFilter {
        device: device.trim().parse().ok(),
        reason: REASONS.into_iter().find(|known| name_of(*known) == reason),
        still,
        ..RejectedFilter::default()
    }
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let device = parameters.device.unwrap_or_default();
    let reason = parameters.reason.unwrap_or_default();
    let all = parameters.all == Some(true);
    let filter = RejectedFilter {
        before: parameters.before,
        ..filter_of(&device, &reason, !all)
    };
    let mut found = list_rejected(&mut *exchange.connection().await, &filter, MOST.and_one()).await?;
    let next = MOST.cut(&mut found).map(|last| last.id.to_string());
    let shown = [
        ("device", &*device),
        ("reason", &*reason),
        ("all", if all { "true" } else { "false" }),
    ];
    let next = next.map(|last| with_parameters(PATH, &[&shown[..], &[("before", &last)]].concat()));
    let reasons = REASONS.map(|reason| (name_of(reason), in_words(reason).0));
    let told = match (parameters.stored, parameters.left, parameters.busy) {
        (Some(stored), Some(left), busy) => Some(outcome_in_words(stored, left, busy.unwrap_or(0))),
        _ => None,
    };
    let template = Rejected {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        reasons: Choice::of(reasons, &reason),
        device,
        reason,
        all,
        told,
        outstanding: found.iter().filter(|message| !message.faults.is_empty()).count(),
        rows: found.into_iter().map(row).collect(),
        next,
    };
    Ok(page(StatusCode::OK, &template))
}

fn row(message: ListedRejected) -> Row {
    let mut faults = faults_in_words(&message.faults);
    let more_faults = faults.len().saturating_sub(MOST_FAULTS);
    faults.truncate(MOST_FAULTS);
    Row {
        id: message.id,
        device: message.device,
        kind: message.kind,
        at: Moment::new(message.received_at),
        topic: message.topic,
        more_faults,
        advice: message.faults.first().map(|fault| in_words(fault.reason).1),
        faults,
        replayed: message.replayed.map(|(at, by)| (Moment::new(at), by)),
    }
}

/// What is wrong and where; what is wrong with many readings, of which it is not said with which, is said once.
fn faults_in_words(faults: &[Fault]) -> Vec<String> {
    let mut counted: Vec<(String, u32)> = Vec::new();
    for fault in faults {
        let (what, _) = in_words(fault.reason);
        let words = match fault.index {
            Some(index) => format!("Reading {}: {what}", index + 1),
            None => capital(what),
        };
        match counted.iter_mut().find(|(known, _)| *known == words) {
            Some((_, times)) => *times += 1,
            None => counted.push((words, 1)),
        }
    }
    let told = counted.into_iter().map(|(words, times)| match times {
        1 => words,
        times => format!("{words} ({times} times)"),
    });
    told.collect()
}

/// The reason as the record has it.
fn name_of(reason: Reason) -> String {
    let name = serde_json::to_value(reason).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// What a reason means, and what can be done.
fn in_words(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Malformed => (
            "it cannot be read as what its topic says",
            "The device or its gateway sends something else than it should: ask its maker.",
        ),
        Reason::TooLarge => (
            "it is larger than a message may be",
            "Have the gateway send less at once.",
        ),
        Reason::Unsupported => (
            "its format or measurement is not taken by this version",
            "A later version may take it: try it once more then.",
        ),
        Reason::InvalidField => (
            "a field is missing, or not one of the values it may have",
            "The device or its gateway sends something else than it should: ask its maker.",
        ),
        Reason::InvalidUnit => (
            "the unit is not one of those that the measurement may have",
            "Set the unit of the device, or ask its maker.",
        ),
        Reason::Implausible => (
            "no living person can have that value",
            "Have the device looked at. The patient may have to measure anew.",
        ),
        Reason::NoTime => (
            "it has no time, or one without a time zone",
            "Say how far the clock face of the device is ahead of UTC when you register it.",
        ),
        Reason::InFuture => (
            "it is from the future",
            "The clock of the device is wrong: set it. A time that was wrong then is not believed later.",
        ),
        Reason::TooOld => (
            "it is older than the record keeps readings",
            "Nothing has to be done, unless the clock of the device is wrong.",
        ),
        Reason::NotMeasured => (
            "the device itself says that it is no measurement",
            "Nothing has to be done: it was a test, or a measurement that failed.",
        ),
        Reason::ControlSolution => (
            "a control solution was measured, not a patient",
            "Nothing has to be done.",
        ),
        Reason::NotAssigned => (
            "the device was with nobody when it measured",
            "Give the device to its patient from that day on, then try the message once more.",
        ),
        Reason::NotAuthorized => (
            "the topic is not one of this device",
            "Check the number that the device was set up with.",
        ),
        Reason::Unstorable => (
            "the record could not store it",
            "Look at the log of the process, then try it once more.",
        ),
    }
}

fn outcome_in_words(stored: u32, left: u32, busy: u32) -> String {
    let messages = |count: u32| match count {
        1 => "1 message is".to_owned(),
        count => format!("{count} messages are"),
    };
    let mut sentences = format!("{} in the record now", messages(stored));
    if left > 0 {
        sentences += &format!("; {} refused still", messages(left));
    }
    if busy > 0 {
        sentences += &format!(
            "; {} not tried, for there is too much to do: try again shortly",
            messages(busy)
        );
    }
    sentences + "."
}

/// What became of those that were tried.
#[derive(Default)]
struct Tally {
    stored: u32,
    left: u32,
    busy: u32,
}

/// `POST /admin/rejected/{message}/replay`.
pub(crate) async fn replay_one(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
) -> Result<Response, ApiError> {
    let id: i64 = path.value("message")?;
    let kept = load_rejected(&mut *app.connection().await?, &[id]).await?;
    if kept.is_empty() {
        return Err(ApiError::NotFound(format!("there is no refused message {id}")));
    }
    let tally = replay(&app, &exchange, kept).await?;
    exchange.note_reason(&format!("had refused message {id} tried once more"));
    Ok(told("", "", &tally))
}

/// `POST /admin/rejected/replay`.
pub(crate) async fn replay_all(
    State(app): State<App>,
    exchange: Exchange,
    form: Form,
) -> Result<Response, ApiError> {
    let (device, reason) = (form.text("device"), form.text("reason"));
    let filter = filter_of(device, reason, true);
    let listed = list_rejected(&mut *exchange.connection().await, &filter, MOST_AT_ONCE).await?;
    let ids: Vec<i64> = listed.iter().map(|message| message.id).collect();
    let kept = load_rejected(&mut *app.connection().await?, &ids).await?;
    let count = kept.len();
    let tally = replay(&app, &exchange, kept).await?;
    exchange.note_reason(&format!("had {count} refused messages tried once more"));
    Ok(told(device, reason, &tally))
}

/// Takes messages to the lanes, and notes what is still wrong with each. Nothing of the caller's transaction is written
/// before the lanes have committed, so that neither waits for the other.
async fn replay(app: &App, exchange: &Exchange, kept: Vec<KeptMessage>) -> Result<Tally, ApiError> {
    let devices: Vec<DeviceId> = kept.iter().map(|message| message.device).collect();
    let known = devices::load(&mut *app.connection().await?, &devices).await?;
    let tried = stream::iter(kept).map(async |message| {
        let replayed = Replayed {
            device: message.device,
            topic: message.topic,
            payload: message.payload,
            first_received_at: message.received_at,
        };
        (
            message.id,
            message.device,
            message.received_at,
            (app.replay)(replayed).await,
        )
    });
    let tried: Vec<_> = tried.buffered(SIDE_BY_SIDE).collect().await;

    let mut tally = Tally::default();
    let mut connection = exchange.connection().await;
    for (id, device, received_at, outcome) in tried {
        let Entered { rejected, .. } = match outcome {
            Ok(entered) => entered,
            Err(NotEntered::Busy | NotEntered::Unknown) => {
                tally.busy += 1;
                continue;
            }
        };
        let left: Vec<Fault> = rejected.iter().map(Fault::from).collect();
        match left.is_empty() {
            true => tally.stored += 1,
            false => tally.left += 1,
        }
        note_replayed(&mut connection, id, &left, exchange.actor(), exchange.now()).await?;
        // Whose readings they are is known to the lanes; those whom the device measured then see who had it tried.
        let whose: Option<PatientId> = known
            .get(&device)
            .and_then(|device| device.patient_at(received_at));
        exchange.note_patients(whose);
    }
    Ok(tally)
}

fn told(device: &str, reason: &str, tally: &Tally) -> Response {
    let [stored, left, busy] = [tally.stored, tally.left, tally.busy].map(|count| count.to_string());
    let parameters = [
        ("device", device),
        ("reason", reason),
        ("stored", &stored),
        ("left", &left),
        ("busy", &busy),
    ];
    see(&with_parameters(PATH, &parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_words_and_is_found_by_its_name() {
        for reason in REASONS {
            let name = name_of(reason);
            assert_eq!(filter_of("", &name, true).reason, Some(reason), "{name}");
            let same = REASONS
                .iter()
                .filter(|other| in_words(**other).0 == in_words(reason).0);
            assert_eq!(same.count(), 1, "{name}");
        }
        assert_eq!(filter_of("x", "y", true).reason, None);
    }

    #[test]
    fn faults_are_told_with_their_places() {
        let fault = |index, reason| Fault { index, reason };
        let told = faults_in_words(&[
            fault(Some(2), Reason::Implausible),
            fault(None, Reason::NotAssigned),
            fault(None, Reason::NotAssigned),
        ]);
        assert_eq!(
            told,
            [
                "Reading 3: no living person can have that value",
                "The device was with nobody when it measured (2 times)",
            ]
        );
    }

    #[test]
    fn outcomes_are_told_in_a_sentence() {
        assert_eq!(outcome_in_words(1, 0, 0), "1 message is in the record now.");
        assert_eq!(
            outcome_in_words(3, 1, 2),
            "3 messages are in the record now; 1 message is refused still; 2 messages are not tried, for there is too much \
             to do: try again shortly."
        );
    }
}
