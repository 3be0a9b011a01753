//! `GET /worklist`: who needs somebody now, why, since when, the worst and the latest value, and who has it.
//! `GET /worklist/list` is the list alone, with which a script renews the page.
//!
//! Parameters: `mine=true` (what the reader has), `severity` (several with commas between them), `programme`, and
//! `after`, the end of the page before. What has cleared and was taken up by nobody is there too: somebody should look
//! at it. To a browser that says `unseen=true` nobody is looking: see [`missed`].

mod filters;
mod missed;
pub(super) mod row;

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::{Metric, PatientId};
use homeward_store::alerts::{Episode, EpisodeStatus, Open, Place, count_open, list_open};
use homeward_store::patients::{PersonFilter, find_people};
use homeward_store::trends::{Bucket, TrendPoint, hours_of_each};
use sqlx::PgConnection;

use super::alert::forms::Forms;
use super::moment::Moment;
use super::spark::{self, Spark};
use super::view::{Who, page};
use crate::access::{Action, Exchange};
use crate::error::ApiError;
use crate::request::{Limit, Query};
use filters::{Choice, Chosen, Filters, Parameters};
use missed::Since;
use row::Row;

/// How many alerts a page has: more than a team has open on a bad day, and few enough for an old laptop.
const MOST: Limit<200, 200> = Limit(200);

#[derive(Template)]
#[template(path = "pages/worklist/page.html")]
struct Worklist {
    who: Option<Who>,
    list: List,
    /// The query of this list, with its question mark.
    query: String,
    whose: [Choice; 2],
    programmes: Vec<Chosen>,
    kept: Vec<(&'static str, String)>,
    since: Option<Since>,
    may_break_glass: bool,
    /// What a script puts under a row.
    forms: Forms,
}

#[derive(Template)]
#[template(path = "pages/worklist/list.html")]
struct List {
    severities: Vec<Choice>,
    sections: [Section; 3],
    /// How many alerts fit the filter, on all pages.
    total: i64,
    /// How many are `high` and nobody has them.
    urgent: i64,
    is_filtered: bool,
    /// Whether the reader may do something about alerts at all.
    may_work: bool,
    first: Option<String>,
    next: Option<String>,
    as_of: Moment,
}

/// Alerts that stand alike, the most urgent first.
struct Section {
    name: &'static str,
    title: &'static str,
    /// How many there are, on all pages.
    total: i64,
    rows: Vec<Row>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let filters = Filters::of(parameters)?;
    let since = missed::since(&exchange).await?;
    let list = list(&exchange, &filters, false).await?;
    let template = Worklist {
        list,
        query: filters.query(),
        whose: filters.whose_choices(),
        programmes: filters.programme_choices(),
        kept: filters.kept(),
        since,
        may_break_glass: exchange.includes(Action::BreakGlass),
        forms: forms(&exchange, &filters).await?,
        who: Who::of(&exchange),
    };
    Ok(page(StatusCode::OK, &template))
}

pub(crate) async fn renewed(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let unseen = parameters.unseen == Some(true);
    let filters = Filters::of(parameters)?;
    if !unseen {
        missed::note_look(&exchange).await?;
    }
    let list = list(&exchange, &filters, true).await?;
    Ok(page(StatusCode::OK, &list))
}

/// The forms for a row of which the number is not known yet.
async fn forms(exchange: &Exchange, filters: &Filters) -> Result<Forms, ApiError> {
    let back = format!("/worklist{}", filters.query());
    Forms::new(exchange, None, back).await
}

async fn list(exchange: &Exchange, filters: &Filters, renewed: bool) -> Result<List, ApiError> {
    let mut connection = exchange.connection().await;
    let reader = exchange.actor();
    let counts = count_open(&mut connection, &filters.of_every_severity().of_episodes(reader)).await?;
    let asked = filters.of_episodes(reader);
    let mut episodes = list_open(&mut connection, &asked, filters.after, MOST.and_one()).await?;
    let next = MOST.cut(&mut episodes).map(Place::of);
    missed::note_shown(exchange, &mut connection, &episodes, renewed).await?;
    let rows = rows(&mut connection, exchange, episodes).await?;

    let shown = |open: &&Open| filters.shows(&open.severity);
    let count = |of: &dyn Fn(&Open) -> bool| -> i64 {
        let counted = counts.iter().filter(shown).filter(|open| of(open));
        counted.map(|open| open.count).sum()
    };
    let mut sections = [
        ("raised", "Nobody has it", EpisodeStatus::Raised),
        ("acknowledged", "Somebody has it", EpisodeStatus::Acknowledged),
        ("cleared", "Over, and nobody had it", EpisodeStatus::Cleared),
    ]
    .map(|(name, title, status)| Section {
        name,
        title,
        total: count(&|open| open.status == status),
        rows: Vec::new(),
    });
    for (status, row) in rows {
        let section = sections
            .iter_mut()
            .find(|section| section.name == status.as_str());
        if let Some(section) = section {
            section.rows.push(row);
        }
    }
    let at = |after| format!("/worklist{}", filters.after(after).query());
    Ok(List {
        severities: filters.severity_choices(&counts),
        sections,
        total: count(&|_| true),
        urgent: count(&|open| open.status == EpisodeStatus::Raised && open.severity == "high"),
        is_filtered: filters.leaves_out(),
        may_work: exchange.includes(Action::WorkOnAlerts),
        first: filters.after.is_some().then(|| at(None)),
        next: next.map(|place| at(Some(place))),
        as_of: Moment::short(exchange.now()),
    })
}

/// The rows of some episodes, in their order, with how each stands.
pub(super) async fn rows(
    connection: &mut PgConnection,
    exchange: &Exchange,
    episodes: Vec<Episode>,
) -> Result<Vec<(EpisodeStatus, Row)>, ApiError> {
    let named = PersonFilter {
        ids: Some(episodes.iter().map(|episode| episode.patient.0).collect()),
        ..PersonFilter::default()
    };
    let people = find_people(connection, &named, MOST.0).await?;
    let names: HashMap<PatientId, String> = people
        .into_iter()
        .map(|person| (person.id, person.name))
        .collect();

    let mut series: Vec<(PatientId, Metric)> = episodes.iter().map(series_of).collect();
    series.sort_unstable();
    series.dedup();
    // The lines move on with the hour, not with every look: a row that says the same stays as it is.
    let now = Bucket::Hour.ceil(exchange.now());
    let mut lines: HashMap<(PatientId, Metric), Vec<TrendPoint>> = HashMap::new();
    for of in hours_of_each(connection, &series, (now - spark::SPAN, now)).await? {
        lines.entry((of.patient, of.metric)).or_default().push(of.point);
    }
    let rows = episodes.into_iter().map(|episode| {
        let name = names.get(&episode.patient).cloned().unwrap_or_default();
        let line = lines.get(&series_of(&episode)).map_or(&[][..], Vec::as_slice);
        let status = episode.status;
        let spark = Spark::new(line, episode.latest, episode.worst, now);
        (
            status,
            Row::new(episode, name, spark, exchange.principal(), exchange.now()),
        )
    });
    Ok(rows.collect())
}

/// The series that an alert is about.
fn series_of(episode: &Episode) -> (PatientId, Metric) {
    (episode.patient, episode.latest.metric)
}
