//! Alerts: the episodes of the record, as teams see them.

pub(crate) mod acknowledge;
mod hub;
pub(crate) mod list;
pub(crate) mod stream;

use chrono::{DateTime, Utc};
use homeward_alerts::{Definition, Severity, explain};
use homeward_record::{EpisodeId, Metric, PatientId, RuleId};
use homeward_store::alerts::Episode;
use serde::Serialize;

pub(crate) use hub::AlertHub;

/// The severities, by their names.
const SEVERITIES: [(&str, Severity); 4] = [
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
    ("info", Severity::Info),
];

/// An episode in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Alert {
    id: EpisodeId,
    patient: PatientId,
    rule: Rule,
    severity: String,
    status: &'static str,
    /// Raised by readings that arrived late: it pages nobody.
    late: bool,
    /// What it is about, in one sentence.
    text: String,
    raised_at: DateTime<Utc>,
    acknowledged_at: Option<DateTime<Utc>>,
    acknowledged_by: Option<String>,
    cleared_at: Option<DateTime<Utc>>,
    onset: Point,
    latest: Point,
    worst: Point,
}

/// The rule that raised an episode, in the version that did.
#[derive(Debug, Serialize)]
struct Rule {
    id: RuleId,
    code: String,
    name: String,
    guidance: String,
}

#[derive(Debug, Serialize)]
struct Point {
    metric: Metric,
    at: DateTime<Utc>,
    value: f64,
    unit: &'static str,
}

impl From<Episode> for Alert {
    fn from(episode: Episode) -> Alert {
        let definition = Definition::parse(&episode.definition).ok();
        let told = definition
            .as_ref()
            .map(|definition| (definition.name.clone(), definition.guidance.clone()));
        let (name, guidance) = told.unwrap_or_else(|| (episode.code.clone(), String::new()));
        Alert {
            id: episode.id,
            patient: episode.patient,
            text: text(definition.as_ref(), &episode),
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
            acknowledged_by: episode.acknowledged_by,
            cleared_at: episode.cleared_at,
            onset: point(episode.onset),
            latest: point(episode.latest),
            worst: point(episode.worst),
        }
    }
}

fn point(point: homeward_record::Point) -> Point {
    Point {
        metric: point.metric,
        at: point.at,
        value: point.value,
        unit: point.metric.unit(),
    }
}

/// The sentence about an episode. A rule that this version of the code cannot read leaves the values.
fn text(definition: Option<&Definition>, episode: &Episode) -> String {
    match definition {
        Some(definition) => explain(definition, &episode.onset, &episode.latest, &episode.worst),
        None => format!(
            "Rule {}: {} {} {} at {}.",
            episode.code,
            episode.latest.metric,
            episode.latest.value,
            episode.latest.metric.unit(),
            episode.latest.at.format("%H:%M UTC on %-d %B %Y")
        ),
    }
}
