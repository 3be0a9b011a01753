//! Episodes: as Flag, what somebody at the bedside has to know, and as DetectedIssue, what was found, by which readings,
//! and what was done about it. Both have the number of the alert.

pub(crate) mod detected_issue;
pub(crate) mod flag;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeward_record::fhir::{self, EpisodeAction, EpisodeState, ObservationId, Urgency};
use homeward_record::{DeviceId, EpisodeId, Metric, PatientId};
use homeward_store::alerts::{
    Episode, EpisodeFilter, EpisodeStatus, Transition, find_episode, find_episodes, list_episodes,
    transitions_of_each,
};
use homeward_store::history::StoredReading;
use homeward_store::observations::readings_at;
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::answer::{Found, no_such};
use super::observation::first_of_panel;
use super::parameters::Search;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;

/// How an episode is told.
#[derive(Clone, Copy)]
enum Form {
    Flag,
    DetectedIssue,
}

/// The episode that a path names.
async fn read(exchange: &Exchange, path: &Path, form: Form) -> Result<Json, ApiError> {
    let kind = match form {
        Form::Flag => "Flag",
        Form::DetectedIssue => "DetectedIssue",
    };
    let id: EpisodeId = path.value("alert").map_err(|_| no_such(kind))?;
    let found = find_episode(&mut *exchange.connection().await, id).await?;
    let episode = found.ok_or_else(|| no_such(kind))?;
    if !exchange.turn_to(episode.patient).await? {
        return Err(no_such(kind));
    }
    let mut connection = exchange.connection().await;
    let told = tell(&mut connection, episode.patient, &[episode], form).await?;
    told.into_iter().next().ok_or_else(|| no_such(kind))
}

/// A page of a patient's episodes, the latest raised first; those that stand so.
async fn search(
    exchange: &Exchange,
    search: &Search,
    statuses: &[EpisodeStatus],
    form: Form,
) -> Result<Found, ApiError> {
    let count = search.count(50, 500)?;
    let before = search.place()?;
    let patient = search.visible_patient(exchange, &["patient", "subject"]).await?;
    let Some(patient) = patient else {
        return Ok(Found::nothing());
    };
    let mut connection = exchange.connection().await;
    let mut episodes = of_patient(&mut connection, patient, statuses, before, count + 1).await?;
    let more = episodes.len() > count;
    episodes.truncate(count);
    let next = episodes.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Found {
        matches: tell(&mut connection, patient, &episodes, form).await?,
        included: Vec::new(),
        next,
    })
}

async fn of_patient(
    connection: &mut PgConnection,
    patient: PatientId,
    statuses: &[EpisodeStatus],
    after: Option<EpisodeId>,
    limit: usize,
) -> Result<Vec<Episode>, ApiError> {
    let filter = EpisodeFilter {
        statuses: statuses.to_vec(),
        severities: ["high", "medium", "low", "info"].map(str::to_owned).to_vec(),
        patient: Some(patient),
        after,
        ..EpisodeFilter::default()
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(list_episodes(connection, &filter, limit).await?)
}

/// All of a patient's episodes, as DetectedIssues, at most `limit` of them.
pub(super) async fn issues_of(
    connection: &mut PgConnection,
    patient: PatientId,
    limit: usize,
) -> Result<Vec<Json>, ApiError> {
    let episodes = of_patient(connection, patient, &EpisodeStatus::ALL, None, limit).await?;
    tell(connection, patient, &episodes, Form::DetectedIssue).await
}

/// Some of a patient's episodes as DetectedIssues.
pub(super) async fn issues_with(
    connection: &mut PgConnection,
    patient: PatientId,
    ids: &[EpisodeId],
) -> Result<Vec<Json>, ApiError> {
    let episodes = find_episodes(connection, ids).await?;
    tell(connection, patient, &episodes, Form::DetectedIssue).await
}

/// Some of a patient's episodes as Flags.
pub(super) async fn flags_of(
    connection: &mut PgConnection,
    patient: PatientId,
    ids: &[EpisodeId],
) -> Result<Vec<Json>, ApiError> {
    let episodes = find_episodes(connection, ids).await?;
    tell(connection, patient, &episodes, Form::Flag).await
}

async fn tell(
    connection: &mut PgConnection,
    patient: PatientId,
    episodes: &[Episode],
    form: Form,
) -> Result<Vec<Json>, ApiError> {
    let (evidence, mut happened) = match form {
        Form::Flag => (Evidence::default(), BTreeMap::new()),
        Form::DetectedIssue => {
            let points = episodes
                .iter()
                .flat_map(|episode| [episode.onset, episode.latest, episode.worst]);
            let mut times: Vec<DateTime<Utc>> = points.map(|point| point.at).collect();
            times.sort_unstable();
            times.dedup();
            let readings = readings_at(connection, patient, &times).await?;
            let ids: Vec<EpisodeId> = episodes.iter().map(|episode| episode.id).collect();
            let mut happened: BTreeMap<i64, Vec<Transition>> = BTreeMap::new();
            for (episode, transition) in transitions_of_each(connection, &ids).await? {
                happened.entry(episode.0).or_default().push(transition);
            }
            (Evidence::of(patient, &readings), happened)
        }
    };
    let one = |episode: &Episode| {
        let transitions = happened.remove(&episode.id.0).unwrap_or_default();
        resource(episode, &evidence, &transitions, form)
    };
    Ok(episodes.iter().map(one).collect())
}

fn resource(episode: &Episode, evidence: &Evidence, transitions: &[Transition], form: Form) -> Json {
    let said: Vec<(String, &str, DateTime<Utc>)> = transitions
        .iter()
        .filter_map(|done| Some((in_words(done), &*done.actor.as_ref()?.name, done.at)))
        .collect();
    let actions: Vec<EpisodeAction<'_>> = said
        .iter()
        .map(|(what, by, at)| EpisodeAction { what, by, at: *at })
        .collect();
    let told = fhir::Episode {
        id: episode.id,
        patient: episode.patient,
        code: &episode.code,
        sentence: &crate::alerts::sentence(episode),
        urgency: match episode.severity.as_str() {
            "high" => Urgency::High,
            "medium" => Urgency::Medium,
            "low" => Urgency::Low,
            _ => Urgency::Info,
        },
        state: match (episode.withdrawn_at, episode.status) {
            (Some(_), _) => EpisodeState::Withdrawn,
            (None, EpisodeStatus::Closed) => EpisodeState::Closed,
            (None, _) => EpisodeState::Open,
        },
        onset_at: episode.onset.at,
        ended_at: episode.ended_at.or(episode.cleared_at),
        evidence: &evidence.for_episode(episode),
        actions: &actions,
    };
    match form {
        Form::Flag => fhir::flag(&told),
        Form::DetectedIssue => fhir::detected_issue(&told),
    }
}

/// What somebody did, with what was said.
fn in_words(transition: &Transition) -> String {
    let part = |name: &str| {
        transition
            .detail
            .as_ref()
            .and_then(|detail| detail[name].as_str())
    };
    let what = match (transition.kind.as_str(), part("to"), part("until")) {
        ("commented", ..) => "comment".to_owned(),
        ("assigned", Some(to), _) => format!("assigned to {to}"),
        ("assigned", None, _) => "assigned to nobody".to_owned(),
        ("snoozed", _, Some(until)) => format!("snoozed until {until}"),
        (kind, ..) => kind.replace('_', " "),
    };
    match part("text").or(part("reason")) {
        Some(said) => format!("{what}: {said}"),
        None => what,
    }
}

/// The Observations of readings that episodes name: these say metric and time, and not which device measured.
#[derive(Default)]
struct Evidence(BTreeMap<(DateTime<Utc>, Metric), Vec<String>>);

impl Evidence {
    fn of(patient: PatientId, readings: &[StoredReading]) -> Evidence {
        let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
        let mut groups: BTreeMap<(DateTime<Utc>, DeviceId), Vec<Metric>> = BTreeMap::new();
        let counting = || readings.iter().filter(|reading| !reading.entered_in_error);
        for reading in counting() {
            groups
                .entry((reading.at, reading.device))
                .or_default()
                .push(reading.metric);
        }
        for reading in counting() {
            let beside = &groups[&(reading.at, reading.device)];
            let id = ObservationId {
                patient,
                device: reading.device,
                metric: first_of_panel(reading.metric, beside),
                at: reading.at,
            };
            found
                .entry((reading.at, reading.metric))
                .or_default()
                .push(id.to_string());
        }
        Evidence(found)
    }

    fn for_episode(&self, episode: &Episode) -> Vec<String> {
        let points = [episode.onset, episode.latest, episode.worst];
        let named = points
            .iter()
            .filter_map(|point| self.0.get(&(point.at, point.metric)));
        let mut ids: Vec<String> = named.flatten().cloned().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
