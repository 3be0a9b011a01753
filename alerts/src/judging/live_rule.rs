//! A rule of a care plan as it judges: what all its versions say, and what it remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_store::{OpenSilence, Plan, PlanRule, Span};
use serde_json::value::RawValue;

use super::Finding;
use super::record::mark;
use crate::reconcile::Reconciliation;
use crate::{Checkpoint, Definition, Episode, Track, Version};

/// A rule with its track.
pub(super) struct LiveRule {
    pub(super) code: Arc<str>,
    pub(super) track: Track,
    /// What severity each version gives its episodes.
    severities: Vec<(i64, &'static str)>,
}

impl LiveRule {
    pub(super) fn spans(
        &self,
        patient: PatientId,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = Span> {
        self.track.metrics().iter().map(move |metric| Span {
            patient,
            metric: *metric,
            after,
            until,
        })
    }

    pub(super) fn finding(
        &self,
        patient: PatientId,
        episodes: Vec<Episode>,
        since: Option<DateTime<Utc>>,
        how: Reconciliation,
    ) -> Finding {
        Finding {
            patient,
            code: Arc::clone(&self.code),
            episodes,
            since,
            how,
        }
    }

    pub(super) fn severity(&self, version: i64) -> &'static str {
        let of = self.severities.iter().find(|(id, _)| *id == version);
        of.or(self.severities.last())
            .map_or("medium", |(_, severity)| severity)
    }
}

/// The rules of a plan. One that this version cannot read judges nothing, and says so; it must not stop the
/// others.
pub(super) fn rules_of(plan: Plan) -> Vec<LiveRule> {
    let Plan {
        patient,
        rules,
        state,
    } = plan;
    let forgot = |code: &str, error: serde_json::Error| {
        let error = &error as &dyn std::error::Error;
        tracing::error!(patient_id = %patient, code, error, "a rule forgot what it knew");
    };
    let state = state.as_deref().unwrap_or("{}");
    let state: BTreeMap<&str, &RawValue> = serde_json::from_str(state).unwrap_or_else(|error| {
        forgot("*", error);
        BTreeMap::new()
    });
    let rules = rules.into_iter().filter_map(|(code, rule)| {
        let saved = state.get(&*code).map_or("[]", |saved| saved.get());
        let checkpoints: Vec<Checkpoint> = serde_json::from_str(saved).unwrap_or_else(|error| {
            forgot(&code, error);
            Vec::new()
        });
        live_rule(patient, code, rule, checkpoints)
    });
    rules.collect()
}

fn live_rule(
    patient: PatientId,
    code: String,
    rule: PlanRule,
    checkpoints: Vec<Checkpoint>,
) -> Option<LiveRule> {
    let PlanRule { versions, silence } = rule;
    let mut readable = Vec::new();
    for version in versions {
        match Definition::parse(&version.definition) {
            Ok(definition) => readable.push(Version {
                id: version.rule.0,
                from: version.from,
                until: version.until,
                definition,
            }),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(patient_id = %patient, code, rule_id = %version.rule, error, "a rule is not readable");
            }
        }
    }
    readable.last()?;
    let severities = readable
        .iter()
        .map(|version| (version.id, version.definition.severity.as_str()));
    let severities = severities.collect();
    let mut track = Track::new(readable, checkpoints);
    if let Some(open) = silence.filter(|_| track.is_of_silence()) {
        track.set_open(silent_episode(open));
    }
    Some(LiveRule {
        code: code.into(),
        track,
        severities,
    })
}

fn silent_episode(open: OpenSilence) -> Episode {
    let mark = mark((open.onset, open.figure));
    Episode {
        version: open.rule.0,
        met_at: mark.at,
        onset: mark,
        latest: mark,
        worst: mark,
        excess: 0.0,
        late: false,
        detail: None,
        cleared_at: None,
    }
}
