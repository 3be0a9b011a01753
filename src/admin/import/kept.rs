//! The care plan and the alerts of a passport, checked: what the record could not hold is said of its entry.

use std::collections::{HashMap, HashSet};

use homeward_alerts::Definition;
use homeward_record::fhir::{PassportError, ReadPassport};
use homeward_store::passport::{KeptEpisode, KeptVersion};

/// The care plan and the alerts of a passport.
pub(super) struct Kept {
    pub(super) rules: Vec<KeptVersion>,
    /// In the order in which they were raised.
    pub(super) episodes: Vec<KeptEpisode>,
}

const SEVERITIES: [&str; 4] = ["high", "medium", "low", "info"];
const STATUSES: [&str; 4] = ["raised", "acknowledged", "cleared", "closed"];
const HAPPENINGS: [&str; 13] = [
    "raised",
    "became_current",
    "amended",
    "reopened",
    "withdrawn",
    "acknowledged",
    "assigned",
    "commented",
    "snoozed",
    "snooze_ended",
    "escalated",
    "cleared",
    "closed",
];

impl Kept {
    pub(super) fn read(passport: &ReadPassport) -> Result<Kept, PassportError> {
        let mut rules: Vec<KeptVersion> = Vec::with_capacity(passport.rules.len());
        let mut known = HashSet::new();
        let mut lasting = HashMap::new();
        for (place, text) in &passport.rules {
            let wrong = |text: String| PassportError::entry(*place, "CarePlan", text);
            let rule: KeptVersion = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            let called = format!("rule {:.60}, version {}", rule.code, rule.version);
            check_rule(&rule).map_err(|text| wrong(format!("{called}: {text}")))?;
            if !known.insert((rule.code.clone(), rule.version)) {
                return Err(wrong(format!("{called}: stands there twice")));
            }
            if rule.valid_until.is_none() && lasting.insert(rule.code.clone(), rule.version).is_some() {
                return Err(wrong(format!("{called}: another version lasts without end too")));
            }
            rules.push(rule);
        }
        let mut open = HashSet::new();
        let mut episodes: Vec<KeptEpisode> = Vec::with_capacity(passport.episodes.len());
        for (place, text) in &passport.episodes {
            let wrong = |text: String| PassportError::entry(*place, "DetectedIssue", text);
            let episode: KeptEpisode =
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            check_episode(&episode).map_err(|text| wrong(text.to_owned()))?;
            if !known.contains(&(episode.code.clone(), episode.version)) {
                return Err(wrong(
                    "was raised by a rule that the care plan does not have".to_owned(),
                ));
            }
            if episode.cleared_at.is_none() && !open.insert(episode.code.clone()) {
                return Err(wrong("lasts, and so does another of the same rule".to_owned()));
            }
            episodes.push(episode);
        }
        let raised = |episode: &KeptEpisode| episode.happened.iter().map(|one| one.number).min();
        episodes.sort_by_key(|episode| (raised(episode), episode.raised_at));
        Ok(Kept { rules, episodes })
    }
}

fn check_rule(rule: &KeptVersion) -> Result<(), String> {
    if rule.code.is_empty() || rule.version < 1 {
        return Err("has no code, or no number".to_owned());
    }
    if rule.valid_until.is_some_and(|until| until < rule.valid_from) {
        return Err("ends before it begins".to_owned());
    }
    let removed = rule.removed_by.is_some();
    if removed != rule.removal_reason.is_some() || (removed && rule.valid_until.is_none()) {
        return Err("was taken out by nobody, or for no reason, or lasts all the same".to_owned());
    }
    Definition::parse(&rule.definition)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn check_episode(episode: &KeptEpisode) -> Result<(), &'static str> {
    if !SEVERITIES.contains(&episode.severity.as_str()) || !STATUSES.contains(&episode.status.as_str()) {
        return Err("has a severity or a status that is none");
    }
    let lasts = matches!(episode.status.as_str(), "raised" | "acknowledged");
    if lasts != episode.cleared_at.is_none() {
        return Err("is over without an end, or lasts with one");
    }
    if episode.withdrawn_at.is_some() && episode.status != "closed" {
        return Err("is withdrawn and not closed");
    }
    if episode.escalation < 0 {
        return Err("has escalated less than never");
    }
    let is_known = |kind: &str| HAPPENINGS.contains(&kind);
    match episode
        .happened
        .iter()
        .all(|transition| is_known(&transition.kind))
    {
        true => Ok(()),
        false => Err("has gone through something that is not known"),
    }
}
