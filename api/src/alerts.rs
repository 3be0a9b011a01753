//! Alerts: the episodes of the record, as teams see them.

pub(crate) mod acknowledge;
pub(crate) mod act;
pub(crate) mod assign;
pub(crate) mod close;
pub(crate) mod comment;
mod hub;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod snooze;
pub(crate) mod stream;

use chrono::{DateTime, Utc};
use homeward_alerts::{About, Definition, Mark, Severity, Zone, explain};
use homeward_record::{EpisodeId, Metric, PatientId, RuleId};
use homeward_store::access::Somebody;
use homeward_store::alerts::{Episode, Transition};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub(crate) use hub::AlertHub;

/// The severities, by their names.
pub(crate) const SEVERITIES: [(&str, Severity); 4] = [
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
    ("info", Severity::Info),
];

/// An episode in JSON.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    pub(crate) id: EpisodeId,
    pub(crate) patient: PatientId,
    pub(crate) rule: Rule,
    pub(crate) severity: String,
    status: &'static str,
    /// Raised by readings that arrived late: it pages nobody.
    late: bool,
    /// What it is about, in one sentence.
    pub(crate) text: String,
    raised_at: DateTime<Utc>,
    acknowledged_at: Option<DateTime<Utc>>,
    /// Who took it up last, by name.
    acknowledged_by: Option<String>,
    /// Whose account that is; null for a program, or where only the name is known.
    acknowledged_by_account: Option<i64>,
    /// When its end was recorded, and when the reading was measured with which it ended.
    cleared_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    /// When it turned out that it rests on nothing: it is closed.
    withdrawn_at: Option<DateTime<Utc>>,
    /// Whose business it is, by name.
    assigned_to: Option<String>,
    /// Whose account that is; null where it is a program's business, or where only the name is known.
    assigned_to_account: Option<i64>,
    /// Until when nobody is paged for it.
    snoozed_until: Option<DateTime<Utc>>,
    /// How many levels of its escalation have been told.
    escalation: u32,
    onset: ReadingOfAlert,
    latest: ReadingOfAlert,
    worst: ReadingOfAlert,
    /// What else the rule has to say; depends on its kind.
    detail: Option<Value>,
}

/// Something that happened to an episode, in JSON.
#[derive(Debug, Serialize, ToSchema)]
struct Happening {
    id: i64,
    kind: String,
    at: DateTime<Utc>,
    /// Who did it, by name; null: the rule itself, or time.
    actor: Option<String>,
    /// Whose account that is; null for a program, or where only the name is known.
    actor_account: Option<i64>,
    /// What it says beside its kind: whom the alert was assigned to (`to`, and their `account`), until when it is snoozed and
    /// why, a comment.
    detail: Option<Value>,
}

impl From<Transition> for Happening {
    fn from(transition: Transition) -> Happening {
        let (actor, actor_account) = named(transition.actor);
        Happening {
            id: transition.id,
            kind: transition.kind,
            at: transition.at,
            actor,
            actor_account,
            detail: transition.detail,
        }
    }
}

/// Somebody by name and account.
fn named(somebody: Option<Somebody>) -> (Option<String>, Option<i64>) {
    somebody.map_or((None, None), |somebody| (Some(somebody.name), somebody.account))
}

/// The rule that raised an episode, in the version that did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rule {
    id: RuleId,
    code: String,
    pub(crate) name: String,
    pub(crate) guidance: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct ReadingOfAlert {
    metric: Metric,
    at: DateTime<Utc>,
    value: f64,
    unit: &'static str,
    /// What the rule computed at this reading, where it does so; in the unit of its kind.
    figure: Option<f64>,
}

impl From<Episode> for Alert {
    fn from(episode: Episode) -> Alert {
        let definition = Definition::parse(&episode.definition).ok();
        let told = definition
            .as_ref()
            .map(|definition| (definition.name.clone(), definition.guidance.clone()));
        let (name, guidance) = told.unwrap_or_else(|| (episode.code.clone(), String::new()));
        let text = text(definition.as_ref(), &episode);
        let (acknowledged_by, acknowledged_by_account) = named(episode.acknowledged_by);
        let (assigned_to, assigned_to_account) = named(episode.assigned_to);
        Alert {
            id: episode.id,
            patient: episode.patient,
            text,
            rule: Rule {
                id: episode.rule,
                code: episode.code,
                name,
                guidance,
            },
            severity: episode.severity,
            status: episode.status.as_str(),
            late: episode.late,
            raised_at: episode.raised_at,
            acknowledged_at: episode.acknowledged_at,
            acknowledged_by,
            acknowledged_by_account,
            cleared_at: episode.cleared_at,
            ended_at: episode.ended_at,
            withdrawn_at: episode.withdrawn_at,
            assigned_to,
            assigned_to_account,
            snoozed_until: episode.snoozed_until,
            escalation: episode.escalation,
            onset: point(episode.onset, episode.figures.onset),
            latest: point(episode.latest, episode.figures.latest),
            worst: point(episode.worst, episode.figures.worst),
            detail: episode.detail,
        }
    }
}

fn point(point: homeward_record::Point, figure: Option<f64>) -> ReadingOfAlert {
    ReadingOfAlert {
        metric: point.metric,
        at: point.at,
        value: point.value,
        unit: point.metric.unit(),
        figure,
    }
}

/// What an episode is about, in one sentence.
pub(crate) fn sentence(episode: &Episode) -> String {
    text(Definition::parse(&episode.definition).ok().as_ref(), episode)
}

/// The sentence about an episode. A rule that this version of the code cannot read leaves the values.
fn text(definition: Option<&Definition>, episode: &Episode) -> String {
    match definition {
        Some(definition) => {
            let about = About {
                onset: Mark::of(episode.onset, episode.figures.onset),
                latest: Mark::of(episode.latest, episode.figures.latest),
                worst: Mark::of(episode.worst, episode.figures.worst),
                detail: episode.detail.as_ref(),
                cleared_at: episode.ended_at.or(episode.cleared_at),
            };
            explain(definition, &about)
        }
        None => format!(
            "Rule {}: {} {} {} at {} on {}.",
            episode.code,
            episode.latest.metric,
            episode.latest.value,
            episode.latest.metric.unit(),
            Zone::PATIENTS.clock(episode.latest.at),
            Zone::PATIENTS.date(episode.latest.at).format("%-d %B %Y")
        ),
    }
}
