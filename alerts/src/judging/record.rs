//! Readings and episodes as the record keeps them, and as rules know them.

use std::collections::HashMap;

use chrono::DateTime;
use homeward_record::{PatientId, RuleId};
use homeward_store::{
    BatchRow, EpisodeFacts, Error, Marked, Span, StoredReading, Touchable, load_spans, load_touchable,
};
use sqlx::PgConnection;

use crate::reconcile::Change;
use crate::{Episode, Mark, Observation};

/// A stored reading as [`super::Plans::judge`] takes it.
pub fn observed(row: &BatchRow) -> (PatientId, Observation) {
    let observation = Observation {
        metric: row.metric,
        at: row.at,
        value: row.value,
        device: row.device,
        received_at: row.received_at,
    };
    (row.patient, observation)
}

/// All episodes of a rule that were not withdrawn.
pub(super) async fn all_episodes(
    connection: &mut PgConnection,
    patient: PatientId,
    code: &str,
) -> Result<Vec<Episode>, Error> {
    let of = Touchable {
        patient,
        code,
        ended_after: Some(DateTime::UNIX_EPOCH),
    };
    let episodes = load_touchable(connection, &[of]).await?;
    Ok(episodes
        .into_iter()
        .map(|episode| episode_of(episode.facts))
        .collect())
}

/// The readings of spans that may overlap, by patient and in their order.
pub(super) async fn read(
    connection: &mut PgConnection,
    mut spans: Vec<Span>,
) -> Result<HashMap<PatientId, Vec<Observation>>, Error> {
    // One span for each series, from the earliest to the latest of all.
    spans.sort_unstable();
    spans.dedup_by(|next, kept| {
        let same = (kept.patient, kept.metric) == (next.patient, next.metric);
        if same {
            kept.until = kept.until.max(next.until);
        }
        same
    });
    let mut readings: HashMap<PatientId, Vec<Observation>> = HashMap::new();
    for reading in load_spans(connection, &spans).await? {
        let observation = observation(&reading);
        readings.entry(reading.patient).or_default().push(observation);
    }
    Ok(readings)
}

pub(super) fn observation(reading: &StoredReading) -> Observation {
    let StoredReading {
        metric,
        at,
        device,
        value,
        received_at,
        ..
    } = *reading;
    Observation {
        metric,
        at,
        value,
        device,
        received_at,
    }
}

pub(super) fn kinds_of(change: Change) -> Vec<&'static str> {
    let kinds = [
        ("amended", change.amended),
        ("reopened", change.reopened),
        ("became_current", change.became_current),
        ("cleared", change.cleared),
    ];
    kinds
        .into_iter()
        .filter_map(|(kind, happened)| happened.then_some(kind))
        .collect()
}

pub(super) fn mark((point, figure): Marked) -> Mark {
    Mark {
        metric: point.metric,
        at: point.at,
        value: point.value,
        figure,
    }
}

pub(super) fn episode_of(facts: EpisodeFacts) -> Episode {
    Episode {
        version: facts.rule.0,
        met_at: facts.met_at,
        onset: mark(facts.onset),
        latest: mark(facts.latest),
        worst: mark(facts.worst),
        excess: facts.worst_excess,
        late: facts.late,
        detail: facts.detail,
        cleared_at: facts.ended_at,
    }
}

pub(super) fn facts_of(episode: Episode) -> EpisodeFacts {
    let marked = |mark: Mark| (mark.point(), mark.figure);
    EpisodeFacts {
        rule: RuleId(episode.version),
        met_at: episode.met_at,
        onset: marked(episode.onset),
        latest: marked(episode.latest),
        worst: marked(episode.worst),
        worst_excess: episode.excess,
        late: episode.late,
        detail: episode.detail,
        ended_at: episode.cleared_at,
    }
}
