//! What happened since the reader looked at the worklist last.
//!
//! The record keeps, for each role that somebody holds, when the list was shown last. It moves whenever the list is
//! shown, also when a browser renews it before somebody's eyes. Who comes back after a quarter of an hour or more finds
//! at the head what was raised and escalated meanwhile, and closed by others; that stays for as long as they stay.

use homeward_record::PatientId;
use homeward_store::alerts::{self, Episode, Look, Missed, look, missed};
use sqlx::PgConnection;

use super::super::moment::Moment;
use crate::access::{Exchange, Subject};
use crate::error::ApiError;
use crate::request::Limit;

/// The most that is told one by one: who comes back to more than that begins with the list itself.
const MOST: Limit<200, 200> = Limit(200);

/// What the head of the page says.
pub(super) struct Since {
    pub(super) last_looked_at: Moment,
    /// Each kind of which something happened.
    pub(super) groups: Vec<Group>,
    /// Whether there is more than is told.
    pub(super) more: bool,
}

/// What happened of one kind.
pub(super) struct Group {
    /// Such as "3 raised".
    pub(super) title: String,
    pub(super) events: Vec<Event>,
}

/// Something that happened to an alert.
pub(super) struct Event {
    pub(super) alert: i64,
    /// The rule and the patient.
    pub(super) text: String,
    pub(super) at: Moment,
    /// Who did it.
    pub(super) by: Option<String>,
}

/// The kinds, as the head counts them.
const KINDS: [(&str, &str); 3] = [
    ("raised", "raised"),
    ("escalated", "escalated"),
    ("closed", "closed without you"),
];

/// Notes that the list is shown. `None` to programs, which look at nothing.
pub(super) async fn note_look(exchange: &Exchange) -> Result<Option<Look>, ApiError> {
    if !matches!(exchange.principal().subject, Subject::Session { .. }) {
        return Ok(None);
    }
    let held_role = exchange.principal().acts_as.id;
    let mut connection = exchange.connection().await;
    Ok(Some(look(&mut connection, held_role, exchange.now()).await?))
}

/// Notes for the log whom the list shows; of one that is renewed, those whom it has not shown within the hour.
pub(super) async fn note_shown(
    exchange: &Exchange,
    connection: &mut PgConnection,
    episodes: &[Episode],
    renewed: bool,
) -> Result<(), ApiError> {
    let patients: Vec<PatientId> = episodes.iter().map(|episode| episode.patient).collect();
    let acts_as = exchange.principal().acts_as.id;
    let noted = match exchange.principal().subject {
        Subject::Session { .. } => {
            alerts::note_shown(connection, acts_as, &patients, renewed, exchange.now()).await?
        }
        Subject::Token { .. } => patients,
    };
    exchange.note_patients(noted);
    Ok(())
}

/// Notes that the list is shown, and answers what there is to say; nothing to programs, and to whoever looks for the
/// first time.
pub(super) async fn since(exchange: &Exchange) -> Result<Option<Since>, ApiError> {
    let Some(look) = note_look(exchange).await? else {
        return Ok(None);
    };
    let Some(last_looked_at) = look.last_looked_at else {
        return Ok(None);
    };
    let mut connection = exchange.connection().await;
    let mut events = missed(&mut connection, &look, exchange.actor(), MOST.and_one()).await?;
    let more = MOST.cut(&mut events).is_some();
    exchange.note_patients(events.iter().map(|event| event.patient));
    let groups = KINDS.iter().filter_map(|(kind, in_words)| {
        let events: Vec<Event> = events
            .iter()
            .filter(|event| event.kind == *kind)
            .map(event)
            .collect();
        (!events.is_empty()).then(|| Group {
            title: format!("{} {in_words}", events.len()),
            events,
        })
    });
    Ok(Some(Since {
        last_looked_at: Moment::short(last_looked_at),
        groups: groups.collect(),
        more,
    }))
}

fn event(missed: &Missed) -> Event {
    Event {
        alert: missed.episode.0,
        text: format!("{}: {}", missed.name, missed.rule),
        at: Moment::short(missed.at),
        by: missed.actor.clone(),
    }
}
