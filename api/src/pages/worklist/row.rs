//! An alert as the worklist and its own page show it.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use homeward_alerts::{Definition, reading_in_words};
use homeward_record::{PatientId, Point};
use homeward_store::access::Somebody;
use homeward_store::alerts::{Episode, EpisodeStatus};
use homeward_store::outbox::DEFAULT_ESCALATION;

use super::super::moment::Moment;
use super::super::spark::Spark;
use crate::access::Principal;
use crate::alerts::Alert;

/// An alert.
#[derive(Hash)]
pub(in crate::pages) struct Row {
    pub(in crate::pages) id: i64,
    pub(in crate::pages) severity: String,
    pub(in crate::pages) patient: PatientId,
    /// The patient's name.
    pub(in crate::pages) name: String,
    /// What the rule is called.
    pub(in crate::pages) rule: String,
    /// What it is about, in a sentence.
    pub(in crate::pages) why: String,
    /// What the care plan suggests to do.
    pub(in crate::pages) guidance: String,
    pub(in crate::pages) since: Moment,
    pub(in crate::pages) latest: Value,
    /// Where that is another reading than the latest.
    pub(in crate::pages) worst: Option<Value>,
    pub(in crate::pages) spark: Spark,
    /// Who has it, in words.
    pub(in crate::pages) holder: String,
    /// What else there is to know, in a few words each.
    pub(in crate::pages) tags: Vec<Tag>,
    /// Whether it can be taken up or, when it is over, put away with one press.
    pub(in crate::pages) can_take: bool,
    pub(in crate::pages) can_snooze: bool,
    pub(in crate::pages) can_close: bool,
    pub(in crate::pages) is_closed: bool,
}

/// A reading in words, and when it was measured.
#[derive(Hash)]
pub(in crate::pages) struct Value {
    pub(in crate::pages) text: String,
    pub(in crate::pages) at: Moment,
}

/// A few words, and perhaps a time after them.
#[derive(Hash)]
pub(in crate::pages) struct Tag {
    /// How it looks.
    pub(in crate::pages) class: &'static str,
    pub(in crate::pages) text: String,
    pub(in crate::pages) at: Option<Moment>,
}

impl Row {
    /// An episode with the patient's name and the line of its last day, as `reader` sees it now.
    pub(in crate::pages) fn new(
        episode: Episode,
        name: String,
        spark: Spark,
        reader: &Principal,
        now: DateTime<Utc>,
    ) -> Row {
        let status = episode.status;
        let is_worse =
            (episode.worst.metric, episode.worst.value) != (episode.latest.metric, episode.latest.value);
        let (holder, tags) = (holder(&episode, reader), tags(&episode, now));
        let (since, latest, worst) = (episode.onset.at, episode.latest, episode.worst);
        let alert = Alert::from(episode);
        Row {
            id: alert.id.0,
            severity: alert.severity,
            patient: alert.patient,
            name,
            rule: alert.rule.name,
            why: alert.text,
            guidance: alert.rule.guidance,
            since: Moment::short(since),
            latest: value(latest),
            worst: is_worse.then(|| value(worst)),
            spark,
            holder,
            tags,
            can_take: matches!(status, EpisodeStatus::Raised | EpisodeStatus::Cleared),
            can_snooze: matches!(status, EpisodeStatus::Raised | EpisodeStatus::Acknowledged),
            can_close: status == EpisodeStatus::Cleared,
            is_closed: status == EpisodeStatus::Closed,
        }
    }

    /// Tells whether the row that a browser has is this one.
    pub(in crate::pages) fn mark(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

fn value(point: Point) -> Value {
    Value {
        text: reading_in_words(point.metric, point.value).1,
        at: Moment::short(point.at),
    }
}

/// Somebody other than `reader`, as one says it to them.
pub(in crate::pages) fn named(somebody: &Somebody, reader: &Principal) -> String {
    match somebody.name == reader.name {
        true => format!("another {}", somebody.name),
        false => somebody.name.clone(),
    }
}

/// Who has an alert, as one says it to `reader`.
fn holder(episode: &Episode, reader: &Principal) -> String {
    let has = |somebody: &Somebody| match (reader.is(somebody), somebody.name == reader.name) {
        (true, _) => "You have it".to_owned(),
        (false, true) => format!("Another {} has it", somebody.name),
        (false, false) => format!("{} has it", somebody.name),
    };
    match (episode.status, &episode.assigned_to, &episode.acknowledged_by) {
        (EpisodeStatus::Closed, ..) => "Closed".to_owned(),
        (EpisodeStatus::Raised | EpisodeStatus::Cleared, Some(to), _) => match reader.is(to) {
            true => "Assigned to you, not taken up yet".to_owned(),
            false => format!("Assigned to {}, not taken up yet", named(to, reader)),
        },
        (EpisodeStatus::Raised, None, _) => "Nobody has it".to_owned(),
        (EpisodeStatus::Cleared, None, _) => "Nobody had it".to_owned(),
        (EpisodeStatus::Acknowledged, Some(to), _) => has(to),
        (EpisodeStatus::Acknowledged, None, Some(by)) => has(by),
        (EpisodeStatus::Acknowledged, None, None) => "Somebody has it".to_owned(),
    }
}

fn tags(episode: &Episode, now: DateTime<Utc>) -> Vec<Tag> {
    let tag = |class, text: &str, at| Tag {
        class,
        text: text.to_owned(),
        at,
    };
    let mut tags = Vec::new();
    let is_open = episode.cleared_at.is_none();
    if let Some(escalated) = escalated_to(episode).filter(|_| is_open) {
        let text = format!("Escalated to {escalated} (level {})", episode.escalation);
        tags.push(tag("escalated", &text, None));
    }
    if let Some(until) = episode.snoozed_until.filter(|until| is_open && *until > now) {
        tags.push(tag("snoozed", "Snoozed until", Some(Moment::short(until))));
    }
    if episode.late {
        tags.push(tag("late", "Came late: nobody was paged", None));
    }
    if let Some(at) = episode.withdrawn_at {
        tags.push(tag("over", "Withdrawn", Some(Moment::short(at))));
    } else if let Some(at) = episode.ended_at.or(episode.cleared_at) {
        tags.push(tag("over", "Over since", Some(Moment::short(at))));
    }
    tags
}

/// Who was told last, once that is somebody beyond those who hear of it at once.
fn escalated_to(episode: &Episode) -> Option<&'static str> {
    let level = usize::try_from(episode.escalation).ok()?.checked_sub(1)?;
    let own = Definition::parse(&episode.definition)
        .ok()
        .and_then(|definition| definition.escalation);
    let (after, to) = match own {
        Some(levels) => levels
            .get(level)
            .map(|level| (level.after_seconds, level.to.as_str()))?,
        None => *DEFAULT_ESCALATION
            .iter()
            .find(|default| default.severity == episode.severity)?
            .levels
            .get(level)?,
    };
    (after > 0).then(|| told_in_words(to))
}

/// Who is told, as rules name them.
pub(in crate::pages) fn told_in_words(to: &str) -> &'static str {
    match to {
        "team" => "the team",
        "lead" => "the team's lead",
        "on_call" => "whoever is on call",
        _ => "somebody else",
    }
}
