//! `GET /admin/rejected`: messages of devices of which something was refused: from which device, when, what was wrong and
//! where, and what can be done; never what is in them. Parameters: `device`, `reason`, `all=true` (also those that are in
//! the record by now), `before`. `POST /admin/rejected/{message}/replay` has one tried once more, and `POST
//! /admin/rejected/replay` those of a filter.
//!
//! The bytes of a message are readings of a patient, and nobody who administers has a reason to see them: requests have no
//! right to that column at all. They go from the record straight to the lanes.

mod words;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use homeward_record::{DeviceId, PatientId};
use homeward_store::devices;
use homeward_store::rejected::{
    Fault, KeptMessage, ListedRejected, RejectedFilter, list_rejected, load_rejected, note_replayed,
};
use serde::Deserialize;
use utoipa::IntoParams;

use self::words::{REASONS, faults_in_words, in_words, name_of, outcome_in_words, reason_named};
use super::{Choice, MOST, sections, with_parameters};
use crate::access::Exchange;
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

/// The filter that the fields of the page say; an empty one asks for nothing.
fn filter_of(device: &str, reason: &str, still: bool) -> Result<RejectedFilter, ApiError> {
    let device = match device.trim() {
        "" => None,
        number => {
            let wrong = |_| ApiError::parameter("device", "expected the number of a device");
            Some(number.parse().map_err(wrong)?)
        }
    };
    let reason = match reason {
        "" => None,
        name => {
            let wrong = || ApiError::parameter("reason", "there is no such reason");
            Some(reason_named(name).ok_or_else(wrong)?)
        }
    };
    Ok(RejectedFilter {
        device,
        reason,
        still,
        ..RejectedFilter::default()
    })
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
        ..filter_of(&device, &reason, !all)?
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
    let filter = filter_of(device, reason, true)?;
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
