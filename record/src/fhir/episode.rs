//! An episode as FHIR says it: a Flag, what somebody at the bedside has to know, and a DetectedIssue, what
//! was found, by which readings, and what was done about it.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::build::{concept, instant, reference, set};
use crate::{EpisodeId, PatientId};

const FLAG_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/flag-category";

/// An episode of the record.
#[derive(Clone, Debug)]
pub struct Episode<'r> {
    /// Its identifier.
    pub id: EpisodeId,
    /// Whose it is.
    pub patient: PatientId,
    /// The rule's code: `glucose-very-low`.
    pub code: &'r str,
    /// What happened, in one sentence.
    pub sentence: &'r str,
    /// How urgently it asks for attention.
    pub urgency: Urgency,
    /// Where it stands.
    pub state: EpisodeState,
    /// When the first of its readings was measured.
    pub onset_at: DateTime<Utc>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// The identifiers of the Observations that it rests on.
    pub evidence: &'r [String],
    /// What people did about it, in order.
    pub actions: &'r [EpisodeAction<'r>],
}

/// How urgently an episode asks for attention (IEC 60601-1-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// At once.
    High,
    /// Soon.
    Medium,
    /// A team should know.
    Low,
    /// Nothing to respond to.
    Info,
}

/// Where an episode stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpisodeState {
    /// It goes on, or nobody has taken it up.
    Open,
    /// It is over, and somebody has taken it up.
    Closed,
    /// What it rested on was taken away: it never was.
    Withdrawn,
}

/// What somebody did about an episode.
#[derive(Clone, Debug)]
pub struct EpisodeAction<'r> {
    /// What: `acknowledged`, `comment: …`.
    pub what: &'r str,
    /// By whom.
    pub by: &'r str,
    /// When.
    pub at: DateTime<Utc>,
}

/// The Flag resource.
pub fn flag(episode: &Episode<'_>) -> Json {
    let status = match episode.state {
        EpisodeState::Open => "active",
        EpisodeState::Closed => "inactive",
        EpisodeState::Withdrawn => "entered-in-error",
    };
    json!({
        "resourceType": "Flag",
        "id": episode.id.to_string(),
        "status": status,
        "category": [concept(FLAG_CATEGORY, "clinical", "Clinical")],
        "code": {"text": episode.sentence},
        "subject": reference("Patient", episode.patient),
        "period": period(episode),
    })
}

/// The DetectedIssue resource.
pub fn detected_issue(episode: &Episode<'_>) -> Json {
    let status = match episode.state {
        EpisodeState::Open => "preliminary",
        EpisodeState::Closed => "final",
        EpisodeState::Withdrawn => "entered-in-error",
    };
    let mut resource = json!({
        "resourceType": "DetectedIssue",
        "id": episode.id.to_string(),
        "status": status,
        "code": {"text": episode.code},
        "patient": reference("Patient", episode.patient),
        "identifiedPeriod": period(episode),
        "detail": episode.sentence,
    });
    // An informative episode has no severity: FHIR's least is `low`.
    let severity = match episode.urgency {
        Urgency::High => Some("high"),
        Urgency::Medium => Some("moderate"),
        Urgency::Low => Some("low"),
        Urgency::Info => None,
    };
    set(&mut resource, "severity", severity.map(Into::into));
    let evidence: Vec<_> = episode
        .evidence
        .iter()
        .map(|id| reference("Observation", id))
        .collect();
    let evidence = (!evidence.is_empty()).then(|| json!([{"detail": evidence}]));
    set(&mut resource, "evidence", evidence);
    let mitigation: Vec<_> = episode
        .actions
        .iter()
        .map(|action| {
            json!({
                "action": {"text": action.what},
                "date": instant(action.at),
                "author": {"display": action.by},
            })
        })
        .collect();
    let mitigation = (!mitigation.is_empty()).then(|| mitigation.into());
    set(&mut resource, "mitigation", mitigation);
    resource
}

fn period(episode: &Episode<'_>) -> Json {
    let mut period = json!({"start": instant(episode.onset_at)});
    set(&mut period, "end", episode.ended_at.map(|at| instant(at).into()));
    period
}
