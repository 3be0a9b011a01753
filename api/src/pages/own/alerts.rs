//! `GET /patients/{patient}/alerts` for patients: what their team was told and when, who took it up, what they said of it,
//! and what to do. `GET /alerts/{alert}` is the same of one alert.
//!
//! Patients read all that their record says of an alert, on these pages as through the interfaces for programs; what the plan
//! suggests to the team is on the page of their care plan.

mod happened;

use std::collections::HashMap;

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use homeward_alerts::{Condition, Definition, reading_in_words};
use homeward_record::{EpisodeId, Metric, PatientId};
use homeward_store::alerts::{Episode, EpisodeFilter, EpisodeStatus, list_episodes, transitions_of_each};
use sqlx::PgConnection;

use super::voice::Voice;
use crate::access::Exchange;
use crate::alerts::SEVERITIES;
use crate::alerts::show::find;
use crate::error::ApiError;
use crate::pages::patient::head::Head;
use crate::pages::{Moment, Who, page};
use crate::request::{Limit, Path};

use happened::Happened;

/// How many alerts a page has.
const MOST: Limit<20, 20> = Limit(20);

/// The most open alerts; a patient has one of a rule.
const MOST_OPEN: i64 = 50;

#[derive(Template)]
#[template(path = "pages/own/alerts.html")]
struct Page {
    head: Head,
    who: Option<Who>,
    voice: Voice,
    told: Vec<Told>,
    /// Whether there is more than this, and later.
    further: bool,
    /// Where the next page begins.
    next: Option<String>,
}

/// Something that the team was told.
pub(super) struct Told {
    pub(super) id: EpisodeId,
    /// Of what its worst reading was.
    pub(super) metric: Metric,
    /// What it was about.
    pub(super) what: String,
    pub(super) since: Moment,
    pub(super) open: bool,
    /// It asks for attention soon: what to do is said with it.
    pub(super) pressing: bool,
    /// It is about a device that is silent, not about the patient.
    pub(super) technical: bool,
    /// Who takes care of it.
    pub(super) taken_by: Option<String>,
    pub(super) happened: Vec<Happened>,
}

/// The page for a patient; the query is that of the address.
pub(in crate::pages) async fn show(
    exchange: &Exchange,
    patient: PatientId,
    uri: &Uri,
) -> Result<Response, ApiError> {
    let after = after(uri)?;
    let head = Head::of(exchange, patient).await?;
    let voice = Voice::of(exchange, patient);
    let mut connection = exchange.connection().await;
    let filter = EpisodeFilter {
        after,
        ..all_of(patient, EpisodeStatus::ALL.to_vec())
    };
    let mut episodes = list_episodes(&mut connection, &filter, MOST.and_one()).await?;
    let next = MOST.cut(&mut episodes).map(|last| last.id.to_string());
    let template = Page {
        head,
        who: Who::of(exchange),
        voice,
        told: with_happenings(&mut connection, voice, episodes).await?,
        further: after.is_some(),
        next,
    };
    Ok(page(StatusCode::OK, &template))
}

/// The page of one alert for a patient.
pub(in crate::pages) async fn show_one(exchange: &Exchange, path: &Path) -> Result<Response, ApiError> {
    let (episode, transitions) = find(exchange, path).await?;
    let head = Head::of(exchange, episode.patient).await?;
    let voice = Voice::of(exchange, episode.patient);
    let happened = transitions.iter();
    let happened = happened.filter_map(|transition| Happened::of(voice, transition, episode.late));
    let happened = happened.collect();
    let template = Page {
        head,
        who: Who::of(exchange),
        voice,
        told: vec![told(voice, episode, happened)],
        further: true,
        next: None,
    };
    Ok(page(StatusCode::OK, &template))
}

fn after(uri: &Uri) -> Result<Option<EpisodeId>, ApiError> {
    let query = uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let after = pairs
        .find(|(name, _)| name == "after")
        .map(|(_, after)| after.parse());
    let wrong = |_| ApiError::parameter("after", "expected the next of an earlier page");
    after.transpose().map_err(wrong)
}

/// What a patient's team was told that is not over, the latest first.
pub(super) async fn still_open(
    connection: &mut PgConnection,
    voice: Voice,
    patient: PatientId,
) -> Result<Vec<Told>, ApiError> {
    let filter = all_of(patient, vec![EpisodeStatus::Raised, EpisodeStatus::Acknowledged]);
    let episodes = list_episodes(connection, &filter, MOST_OPEN).await?;
    with_happenings(connection, voice, episodes).await
}

fn all_of(patient: PatientId, statuses: Vec<EpisodeStatus>) -> EpisodeFilter {
    EpisodeFilter {
        statuses,
        severities: SEVERITIES.map(|(name, _)| name.to_owned()).to_vec(),
        patient: Some(patient),
        ..EpisodeFilter::default()
    }
}

async fn with_happenings(
    connection: &mut PgConnection,
    voice: Voice,
    episodes: Vec<Episode>,
) -> Result<Vec<Told>, ApiError> {
    let ids: Vec<EpisodeId> = episodes.iter().map(|episode| episode.id).collect();
    let mut happened: HashMap<i64, Vec<Happened>> = HashMap::new();
    for (episode, transition) in transitions_of_each(connection, &ids).await? {
        let late = episodes.iter().any(|one| one.id == episode && one.late);
        let told = Happened::of(voice, &transition, late);
        happened.entry(episode.0).or_default().extend(told);
    }
    let told = episodes.into_iter().map(|episode| {
        let happened = happened.remove(&episode.id.0).unwrap_or_default();
        told(voice, episode, happened)
    });
    Ok(told.collect())
}

fn told(voice: Voice, episode: Episode, happened: Vec<Happened>) -> Told {
    let definition = Definition::parse(&episode.definition).ok();
    let condition = definition.as_ref().map(|definition| &definition.condition);
    let technical = matches!(condition, Some(Condition::Silence(_)));
    let open = matches!(
        episode.status,
        EpisodeStatus::Raised | EpisodeStatus::Acknowledged
    );
    Told {
        id: episode.id,
        metric: episode.worst.metric,
        what: in_words(voice, condition, &episode),
        since: Moment::new(episode.onset.at),
        open,
        pressing: open && !technical && matches!(episode.severity.as_str(), "high" | "medium"),
        technical,
        taken_by: episode.acknowledged_by.map(|by| by.name),
        happened,
    }
}

/// What an episode is about, as one says it to the patient.
fn in_words(voice: Voice, condition: Option<&Condition>, episode: &Episode) -> String {
    let your = voice.first_your;
    match condition {
        Some(Condition::HomeAverage(_)) => {
            format!("{your} average blood pressure at home was higher than planned.")
        }
        Some(Condition::TimeInRange(_)) => {
            format!("{your} glucose was out of range more often than planned.")
        }
        Some(Condition::News2(_)) => format!("Some of {} readings together were unusual.", voice.your),
        Some(Condition::Change(_)) => {
            let (_, value) = reading_in_words(episode.worst.metric, episode.worst.value);
            format!(
                "{your} {} changed fast. It was {value}.",
                noun(episode.worst.metric)
            )
        }
        Some(Condition::Rate(_)) => {
            let (_, value) = reading_in_words(episode.worst.metric, episode.worst.value);
            format!(
                "{your} {} was changing fast. It was {value}.",
                noun(episode.worst.metric)
            )
        }
        Some(Condition::Silence(silence)) => match silence.metric {
            Metric::Systolic | Metric::Diastolic => {
                format!("No readings of {} blood pressure came in.", voice.your)
            }
            metric => format!("No readings of {} {} came in.", voice.your, noun(metric)),
        },
        Some(Condition::Repeated(_)) if episode.worst.metric == Metric::IrregularPulse => {
            format!(
                "The cuff saw that {} pulse was not even, more than once.",
                voice.your
            )
        }
        Some(Condition::Threshold(_) | Condition::Sustained(_) | Condition::Repeated(_)) | None => {
            let (_, value) = reading_in_words(episode.worst.metric, episode.worst.value);
            match episode.worst.metric {
                Metric::Systolic => {
                    format!("The upper number of {} blood pressure was {value}.", voice.your)
                }
                Metric::Diastolic => {
                    format!("The lower number of {} blood pressure was {value}.", voice.your)
                }
                metric => format!("{your} {} was {value}.", noun(metric)),
            }
        }
    }
}

/// What was measured, within a sentence.
fn noun(metric: Metric) -> &'static str {
    match metric {
        Metric::HeartRate => "heart rate",
        Metric::Spo2 => "oxygen level",
        Metric::RespiratoryRate => "breathing rate",
        Metric::BodyTemperature => "temperature",
        Metric::Systolic | Metric::Diastolic => "blood pressure",
        Metric::Glucose => "glucose",
        Metric::Steps => "steps",
        Metric::BodyWeight => "weight",
        Metric::Consciousness => "alertness",
        Metric::SupplementalOxygen => "extra oxygen",
        Metric::IrregularPulse => "pulse",
    }
}

#[cfg(test)]
mod tests {
    use homeward_alerts::Programme;
    use homeward_record::{PatientId, Point, RuleId};
    use homeward_store::alerts::Figures;
    use insta::assert_snapshot;
    use serde_json::Value;

    use super::*;
    use crate::testing::now;

    #[test]
    fn what_a_rule_raised_is_said_in_plain_words() {
        let mut told = Vec::new();
        for (programme, code, metric, value) in [
            ("hypertension", "blood-pressure-crisis", Metric::Systolic, 191.0),
            ("hypertension", "home-average-high", Metric::Diastolic, 96.0),
            ("hypertension", "irregular-pulse", Metric::IrregularPulse, 1.0),
            ("hypertension", "resting-heart-rate", Metric::HeartRate, 124.0),
            ("hypertension", "blood-pressure-silent", Metric::Systolic, 130.0),
            ("diabetes-type-1", "glucose-very-low", Metric::Glucose, 2.43),
            ("diabetes-type-1", "glucose-falling-fast", Metric::Glucose, 4.2),
            ("diabetes-type-1", "glucose-time-in-range", Metric::Glucose, 14.0),
            ("heart-failure", "weight-gain", Metric::BodyWeight, 84.4),
            ("virtual-ward", "early-warning-score-high", Metric::Spo2, 90.0),
            ("virtual-ward", "oxygen-saturation-low", Metric::Spo2, 93.0),
        ] {
            let rules = &Programme::named(programme).unwrap().rules;
            let rule = rules.iter().find(|rule| rule.code == code).unwrap();
            let point = Point {
                at: now(),
                metric,
                value,
            };
            let episode = Episode {
                id: EpisodeId(1),
                patient: PatientId(1_001),
                rule: RuleId(1),
                code: code.to_owned(),
                definition: Value::Null,
                severity: "high".to_owned(),
                status: EpisodeStatus::Raised,
                late: false,
                raised_at: now(),
                acknowledged_at: None,
                acknowledged_by: None,
                cleared_at: None,
                ended_at: None,
                withdrawn_at: None,
                assigned_to: None,
                snoozed_until: None,
                escalation: 0,
                onset: point,
                latest: point,
                worst: point,
                figures: Figures::default(),
                detail: None,
            };
            told.push(in_words(Voice::OWN, Some(&rule.definition.condition), &episode));
        }
        assert_snapshot!(told.join("\n"), @r"
        The upper number of your blood pressure was 191 mmHg.
        Your average blood pressure at home was higher than planned.
        The cuff saw that your pulse was not even, more than once.
        Your heart rate was 124 beats a minute.
        No readings of your blood pressure came in.
        Your glucose was 2.4 mmol/L.
        Your glucose was changing fast. It was 4.2 mmol/L.
        Your glucose was out of range more often than planned.
        Your weight changed fast. It was 84.4 kg.
        Some of your readings together were unusual.
        Your oxygen level was 93 %.
        ");
    }
}
