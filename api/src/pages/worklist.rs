//! `GET /worklist`: who needs somebody now, why, since when, and who has it.
//!
//! Parameters: `mine=true`, and `severity` (several with commas between them). What has cleared and was taken up by
//! nobody is there too: somebody should look at it.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::alerts::{Assigned, Episode, EpisodeFilter, EpisodeOrder, EpisodeStatus, list_episodes};
use homeward_store::patients::{PersonFilter, find_people};
use serde::Deserialize;
use utoipa::IntoParams;

use super::moment::Moment;
use super::view::{Who, page};
use crate::access::{Action, Exchange, does};
use crate::alerts::{Alert, SEVERITIES};
use crate::error::ApiError;
use crate::request::{Limit, Query, choose_some, parsed};

/// The most that a section shows: what is beyond is less urgent than all of it.
const MOST: Limit<200, 200> = Limit(200);

#[derive(Template)]
#[template(path = "pages/worklist.html")]
struct Worklist {
    who: Option<Who>,
    mine: bool,
    may_break_glass: bool,
    sections: Vec<Section>,
    as_of: Moment,
}

/// Alerts that stand alike, the most urgent first.
struct Section {
    title: &'static str,
    rows: Vec<Row>,
    more: bool,
}

/// An alert of the list.
struct Row {
    id: i64,
    severity: String,
    patient: PatientId,
    name: String,
    rule: String,
    text: String,
    guidance: String,
    since: Moment,
    state: String,
    may_acknowledge: bool,
    may_close: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    mine: Option<bool>,
    #[serde(default, deserialize_with = "parsed")]
    severity: Option<String>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let mine = parameters.mine == Some(true);
    let severities = choose_some("severity", parameters.severity.as_deref(), &SEVERITIES)?;
    let filter = EpisodeFilter {
        severities: severities.iter().map(ToString::to_string).collect(),
        assigned: mine.then(|| Assigned::To(exchange.actor().to_owned())),
        order: EpisodeOrder::Urgency,
        ..EpisodeFilter::default()
    };
    let mut sections = Vec::new();
    for (title, statuses) in [
        ("Open, and nobody has it", vec![EpisodeStatus::Raised]),
        ("Somebody has it", vec![EpisodeStatus::Acknowledged]),
        ("Over, and nobody had it", vec![EpisodeStatus::Cleared]),
    ] {
        let filter = EpisodeFilter {
            statuses,
            ..filter.clone()
        };
        sections.push(section(&exchange, title, &filter).await?);
    }
    sections.retain(|section| !section.rows.is_empty());
    let template = Worklist {
        who: Who::of(&exchange),
        mine,
        may_break_glass: does(exchange.principal().acts_as.role, Action::BreakGlass),
        sections,
        as_of: Moment::short(exchange.now()),
    };
    Ok(page(StatusCode::OK, &template))
}

async fn section(
    exchange: &Exchange,
    title: &'static str,
    filter: &EpisodeFilter,
) -> Result<Section, ApiError> {
    let mut connection = exchange.connection().await;
    let mut episodes = list_episodes(&mut connection, filter, MOST.and_one()).await?;
    let more = MOST.cut(&mut episodes).is_some();
    exchange.note_patients(episodes.iter().map(|episode| episode.patient));
    let named = PersonFilter {
        ids: Some(episodes.iter().map(|episode| episode.patient.0).collect()),
        ..PersonFilter::default()
    };
    let people = find_people(&mut connection, &named, MOST.0).await?;
    let names: HashMap<PatientId, String> = people
        .into_iter()
        .map(|person| (person.id, person.name))
        .collect();
    Ok(Section {
        title,
        rows: episodes.into_iter().map(|episode| row(episode, &names)).collect(),
        more,
    })
}

fn row(episode: Episode, names: &HashMap<PatientId, String>) -> Row {
    let since = Moment::short(episode.onset.at);
    let mut state = match (&episode.acknowledged_by, &episode.assigned_to) {
        (Some(by), _) => format!("{by} has it"),
        (None, Some(to)) => format!("Assigned to {to}"),
        (None, None) => "Nobody".to_owned(),
    };
    if episode.late {
        state += ". Came late: nobody was paged";
    }
    if episode.escalation > 0 {
        state += &format!(". Escalated to level {}", episode.escalation);
    }
    let status = episode.status;
    let alert = Alert::from(episode);
    Row {
        id: alert.id.0,
        patient: alert.patient,
        name: names.get(&alert.patient).cloned().unwrap_or_default(),
        severity: alert.severity,
        rule: alert.rule.name,
        text: alert.text,
        guidance: alert.rule.guidance,
        since,
        state,
        may_acknowledge: status == EpisodeStatus::Raised,
        may_close: status == EpisodeStatus::Cleared,
    }
}
