//! `GET /patients/{patient}/alerts`: what was told of a patient, along a line of time and as a list. Patients see
//! [`own::alerts`].
//!
//! Parameters: `range` (`90d` without it), `status` (`open`: those that last or that nobody has looked at; `closed`;
//! `all`, which it is without one) and `after`, the last alert of the page before.

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{EpisodeId, PatientId};
use homeward_store::access::Role;
use homeward_store::alerts::{Episode, EpisodeFilter, EpisodeStatus, list_episodes};
use serde::Deserialize;
use sqlx::PgConnection;

use super::head::Head;
use super::range::Range;
use super::timeline::Timeline;
use crate::access::Exchange;
use crate::alerts::{Alert, SEVERITIES};
use crate::error::ApiError;
use crate::pages::view::Link;
use crate::pages::{Moment, Who, own, page};
use crate::request::{Limit, Path, Query, choose, parsed};

/// How many alerts a page lists.
const MOST: Limit<100, 100> = Limit(100);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    range: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    status: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    after: Option<EpisodeId>,
}

/// Which alerts are asked for.
#[derive(Clone, Copy, PartialEq)]
struct Status {
    name: &'static str,
    words: &'static str,
    statuses: &'static [EpisodeStatus],
}

const STATUSES: [Status; 3] = [
    Status {
        name: "all",
        words: "All",
        statuses: &EpisodeStatus::ALL,
    },
    Status {
        name: "open",
        words: "Open",
        statuses: &[
            EpisodeStatus::Raised,
            EpisodeStatus::Acknowledged,
            EpisodeStatus::Cleared,
        ],
    },
    Status {
        name: "closed",
        words: "Closed",
        statuses: &[EpisodeStatus::Closed],
    },
];

#[derive(Template)]
#[template(path = "pages/patient/alerts.html")]
struct Shown {
    who: Option<Who>,
    head: Head,
    ranges: Vec<Link>,
    statuses: Vec<Link>,
    /// The range in words.
    range: &'static str,
    timeline: Option<Timeline>,
    alerts: Vec<AlertShown>,
    /// The page with the alerts before these.
    earlier: Option<String>,
}

/// An alert as pages about its patient show it.
pub(super) struct AlertShown {
    pub(super) id: EpisodeId,
    pub(super) severity: String,
    pub(super) rule: String,
    pub(super) text: String,
    pub(super) guidance: String,
    pub(super) since: Moment,
    /// When it ended, if it has.
    pub(super) until: Option<Moment>,
    /// How it stands, in words.
    pub(super) state: String,
}

pub(crate) async fn get(exchange: Exchange, path: Path, uri: Uri) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if exchange.principal().acts_as.role == Role::Patient {
        return own::alerts::show(&exchange, patient, &uri).await;
    }
    let parameters: Parameters = Query::of(&uri)?;
    let range = Range::named(parameters.range.as_deref(), "90d")?;
    let named = STATUSES.map(|status| (status.name, status));
    let status = choose("status", parameters.status.as_deref().unwrap_or("all"), &named)?;
    let window = range.window(exchange.now());

    let head = Head::of(&exchange, patient).await?;
    let filter = EpisodeFilter {
        statuses: status.statuses.to_vec(),
        after: parameters.after,
        ..since(patient, window.from)
    };
    let mut connection = exchange.connection().await;
    let mut episodes = list_episodes(&mut connection, &filter, MOST.and_one()).await?;
    let earlier = MOST.cut(&mut episodes).map(|last| last.id);
    let here = format!("/patients/{patient}/alerts");
    let with_status = |link: Link| Link {
        href: format!("{}&status={}", link.href, status.name),
        ..link
    };
    let template = Shown {
        who: Who::of(&exchange),
        head,
        ranges: range
            .links(&here, TimeDelta::MAX)
            .into_iter()
            .map(with_status)
            .collect(),
        statuses: STATUSES
            .map(|other| Link {
                href: format!("{here}?range={}&status={}", range.name(), other.name),
                text: other.words,
                current: other == status,
            })
            .into(),
        range: range.words,
        timeline: Timeline::of(&episodes, window),
        earlier: earlier.map(|last| {
            format!(
                "{here}?range={}&status={}&after={last}",
                range.name(),
                status.name
            )
        }),
        alerts: episodes.into_iter().map(AlertShown::of).collect(),
    };
    Ok(page(StatusCode::OK, &template))
}

/// The alerts of a patient that went on after a time, and those that are not closed.
pub(super) async fn alerts_since(
    connection: &mut PgConnection,
    patient: PatientId,
    from: DateTime<Utc>,
    most: i64,
) -> Result<Vec<Episode>, ApiError> {
    let filter = EpisodeFilter {
        statuses: EpisodeStatus::ALL.to_vec(),
        ..since(patient, from)
    };
    Ok(list_episodes(connection, &filter, most).await?)
}

/// The alerts of a patient that stand so, whenever they began.
pub(super) async fn alerts_of(
    connection: &mut PgConnection,
    patient: PatientId,
    statuses: &[EpisodeStatus],
    most: i64,
) -> Result<Vec<Episode>, ApiError> {
    let filter = EpisodeFilter {
        statuses: statuses.to_vec(),
        ..of_patient(patient)
    };
    Ok(list_episodes(connection, &filter, most).await?)
}

fn since(patient: PatientId, from: DateTime<Utc>) -> EpisodeFilter {
    EpisodeFilter {
        since: Some(from),
        ..of_patient(patient)
    }
}

fn of_patient(patient: PatientId) -> EpisodeFilter {
    EpisodeFilter {
        severities: SEVERITIES.map(|(name, _)| name.to_owned()).to_vec(),
        patient: Some(patient),
        ..EpisodeFilter::default()
    }
}

impl AlertShown {
    pub(super) fn of(episode: Episode) -> AlertShown {
        let since = Moment::short(episode.onset.at);
        let until = episode.ended_at.or(episode.cleared_at).map(Moment::short);
        let state = state(&episode);
        let alert = Alert::from(episode);
        AlertShown {
            id: alert.id,
            severity: alert.severity,
            rule: alert.rule.name,
            text: alert.text,
            guidance: alert.rule.guidance,
            since,
            until,
            state,
        }
    }
}

/// How an alert stands, and who has it.
fn state(episode: &Episode) -> String {
    let mut state = match (&episode.acknowledged_by, &episode.assigned_to, episode.status) {
        _ if episode.withdrawn_at.is_some() => "Withdrawn: nothing is left on which it rested".to_owned(),
        (Some(by), _, EpisodeStatus::Acknowledged) => format!("{} has it", by.name),
        (Some(by), _, EpisodeStatus::Closed) => format!("Closed; {} had it", by.name),
        (_, Some(to), EpisodeStatus::Raised | EpisodeStatus::Cleared) => format!("Assigned to {}", to.name),
        (_, _, EpisodeStatus::Raised) => "Nobody has it".to_owned(),
        (_, _, EpisodeStatus::Acknowledged) => "Somebody has it".to_owned(),
        (_, _, EpisodeStatus::Cleared) => "Over, and nobody had it".to_owned(),
        (_, _, EpisodeStatus::Closed) => "Closed".to_owned(),
    };
    if episode.late {
        state += ". Came late: nobody was paged";
    }
    state
}
