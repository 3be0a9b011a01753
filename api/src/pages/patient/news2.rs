//! `GET /patients/{patient}/news2`: the early warning score. Complete sets stand as on the chart of a ward: the parameters, one
//! below the other, over the times at which they were measured, each with its score. Scores to which something is missing are
//! a list apart, with a line for each change: a watch measures something all the time.
//!
//! Parameters: `sets` (`complete`, which it is without one, or `incomplete`) and `to` (RFC 3339; now): those before this time.

mod incomplete;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use homeward_alerts::summary::news2::{
    News2Point, News2Score, Parameter, Response as Urgency, news2_sets, news2_stretches,
};
use homeward_alerts::{Scale, metric_in_words};
use homeward_record::{Metric, PatientId};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::IntoParams;

use super::head::Head;
use super::values::number;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::news2::{LONGEST, NotFor, Scored, as_of, window_at};
use crate::pages::view::Link;
use crate::pages::{Moment, Who, page};
use crate::request::{Instant, Path, Query, Window, choose, parsed};
use crate::series::require_patient;
use incomplete::Line;

/// How many sets stand side by side: two days of a ward that measures every four hours.
const COLUMNS: usize = 12;

/// How many lines of incomplete scores a page has.
const LINES: usize = 20;

/// How far back is looked, one after the other, until there is enough: watches measure something all the time, and people what
/// is missing a few times a day or a week.
const LOOKED: [TimeDelta; 3] = [TimeDelta::days(2), TimeDelta::days(8), LONGEST];

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    sets: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    to: Option<Instant>,
}

#[derive(Template)]
#[template(path = "pages/patient/news2.html")]
struct Shown {
    who: Option<Who>,
    head: Head,
    /// Why the patient is not scored.
    not_for: Option<&'static str>,
    choices: Vec<Link>,
    /// Within how many minutes what is measured counts together.
    window: i64,
    is_complete: bool,
    /// The chart of complete sets, the oldest at the left.
    chart: Option<Chart>,
    /// The newest score, where it is later than all complete sets: nobody overlooks it for the chart.
    since: Option<Line>,
    /// What is incomplete, the latest first.
    lines: Vec<Line>,
    earlier: Option<String>,
    /// The page with the latest, where this is not it.
    latest: Option<String>,
}

/// Complete sets, side by side.
struct Chart {
    /// The times of the sets, from the left to the right.
    times: Vec<Moment>,
    rows: Vec<ParameterRow>,
    totals: Vec<Total>,
    /// Whether any of the sets is scored on scale 2.
    scale_2: bool,
}

/// A parameter, with a cell for each set.
struct ParameterRow {
    name: String,
    cells: Vec<Option<Cell>>,
}

struct Cell {
    value: String,
    /// `None`: it cannot be scored.
    score: Option<u8>,
}

struct Total {
    words: String,
    level: u8,
    response: &'static str,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let sets = parameters.sets.as_deref().unwrap_or("complete");
    let is_complete = choose("sets", sets, &[("complete", true), ("incomplete", false)])?;
    let to = parameters.to.map_or(exchange.now(), |Instant(to)| to);

    let head = Head::of(&exchange, patient).await?;
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let here = format!("/patients/{patient}/news2");
    let choices = [("Complete sets", "complete"), ("Incomplete scores", "incomplete")];
    let mut shown = Shown {
        who: Who::of(&exchange),
        not_for: None,
        choices: choices
            .map(|(text, name)| Link {
                href: format!("{here}?sets={name}"),
                text,
                current: name == sets,
            })
            .into(),
        window: window_at(&head.plan, to).num_minutes(),
        is_complete,
        chart: None,
        since: None,
        lines: Vec::new(),
        earlier: None,
        latest: parameters.to.map(|_| format!("{here}?sets={sets}")),
        head,
    };
    let before = |at: DateTime<Utc>| {
        let to = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        format!("{here}?sets={sets}&to={to}")
    };
    let whose = &shown.head;
    if is_complete {
        let complete = |sets: Vec<News2Score>| sets.into_iter().filter(|set| set.point.complete).collect();
        match found_before(&mut connection, whose, to, COLUMNS, complete).await? {
            Ok(found) => {
                shown.earlier = found
                    .more
                    .then(|| found.last.first())
                    .flatten()
                    .map(|set| before(set.point.at));
                shown.since = found
                    .newest
                    .filter(|newest| !newest.point.complete && shown.latest.is_none())
                    .map(|newest| Line::of_set(&newest));
                shown.chart = Chart::of(&found.last);
            }
            Err(not_for) => shown.not_for = Some(not_for_in_words(not_for)),
        }
    } else {
        match found_before(&mut connection, whose, to, LINES, news2_stretches).await? {
            Ok(found) => {
                shown.earlier = found
                    .more
                    .then(|| found.last.first())
                    .flatten()
                    .map(|line| before(line.from));
                shown.lines = found.last.iter().rev().map(Line::of).collect();
            }
            Err(not_for) => shown.not_for = Some(not_for_in_words(not_for)),
        }
    }
    Ok(page(StatusCode::OK, &shown))
}

/// What was found before a time.
struct Found<T> {
    /// The last of it, the oldest first.
    last: Vec<T>,
    /// Whether there is more before that.
    more: bool,
    /// The last set, complete or not.
    newest: Option<News2Score>,
}

/// The last `most` of what `pick` makes of the sets before a time.
async fn found_before<T>(
    connection: &mut PgConnection,
    head: &Head,
    to: DateTime<Utc>,
    most: usize,
    pick: impl Fn(Vec<News2Score>) -> Vec<T>,
) -> Result<Result<Found<T>, NotFor>, ApiError> {
    let mut last = Vec::new();
    let mut newest = None;
    for length in LOOKED {
        let window = Window {
            from: to - length,
            to,
        };
        let whose = (head.birthday, head.plan.as_slice());
        let scored = match Scored::by_plan(connection, head.patient, whose, window).await? {
            Ok(scored) => scored,
            Err(not_for) => return Ok(Err(not_for)),
        };
        let sets = news2_sets(&scored.readings, |at| scored.setting(at));
        newest = sets.last().cloned();
        last = pick(sets);
        if last.len() > most {
            break;
        }
    }
    let more = last.len() > most;
    last.drain(..last.len().saturating_sub(most));
    Ok(Ok(Found { last, more, newest }))
}

impl Chart {
    /// That of some sets; `None` where there are none.
    fn of(scores: &[News2Score]) -> Option<Chart> {
        (!scores.is_empty()).then(|| Chart {
            times: scores.iter().map(|score| Moment::short(score.point.at)).collect(),
            rows: rows(scores),
            totals: scores.iter().map(|score| total(&score.point)).collect(),
            scale_2: scores.iter().any(|score| score.point.scale == Scale::Two),
        })
    }
}

fn rows(scores: &[News2Score]) -> Vec<ParameterRow> {
    let Some(first) = scores.first() else {
        return Vec::new();
    };
    let row = |(index, parameter): (usize, &Parameter)| ParameterRow {
        name: parameter_name(parameter.metric),
        cells: scores
            .iter()
            .map(|score| cell(score.parameters.get(index)?))
            .collect(),
    };
    first.parameters.iter().enumerate().map(row).collect()
}

/// A parameter with its unit, as the chart calls it.
fn parameter_name(metric: Metric) -> String {
    let (name, unit) = metric_in_words(metric);
    match (metric, unit) {
        (Metric::SupplementalOxygen, _) => "Air or oxygen".to_owned(),
        (_, "") => name.to_owned(),
        (_, unit) => format!("{name} ({unit})"),
    }
}

fn cell(parameter: &Parameter) -> Option<Cell> {
    let value = parameter.value?;
    Some(Cell {
        value: match parameter.metric {
            Metric::SupplementalOxygen if value == 0.0 => "air".to_owned(),
            Metric::SupplementalOxygen => format!("{} L/min", number(parameter.metric, value)),
            Metric::Consciousness => consciousness(value).to_owned(),
            metric => number(metric, value),
        },
        score: parameter.score,
    })
}

/// A level of consciousness by its letter, as the chart has it.
fn consciousness(value: f64) -> &'static str {
    match value {
        0.0 => "A",
        1.0 => "C",
        2.0 => "V",
        3.0 => "P",
        _ => "U",
    }
}

fn total(point: &News2Point) -> Total {
    let (level, response) = response_in_words(point.response);
    Total {
        words: total_in_words(point),
        level,
        response,
    }
}

/// A total: of what is not complete the least that it can be.
fn total_in_words(point: &News2Point) -> String {
    match point.complete {
        true => point.total.to_string(),
        false => format!("at least {}", point.total),
    }
}

/// How urgent a response is, as a level of the chart's colours, and which it is. Source: Royal College of Physicians,
/// NEWS2, 2017, charts 2 and 3.
fn response_in_words(response: Urgency) -> (u8, &'static str) {
    match response {
        Urgency::Zero => (0, "no score"),
        Urgency::Low => (1, "low"),
        Urgency::LowMedium => (2, "low to medium: 3 in one parameter"),
        Urgency::Medium => (2, "medium: urgent review"),
        Urgency::High => (3, "high: emergency"),
    }
}

fn not_for_in_words(not_for: NotFor) -> &'static str {
    match not_for {
        NotFor::Under16 => "NEWS2 is not for anybody under 16: nothing is scored.",
        NotFor::Pregnancy => "NEWS2 is not for use in pregnancy: nothing is scored.",
    }
}

/// The latest score, as the overview of a patient tells it.
pub(super) struct Latest {
    pub(super) total: String,
    pub(super) level: u8,
    pub(super) response: &'static str,
    pub(super) at: Moment,
    /// The last complete one, where that is another.
    pub(super) complete: Option<(String, Moment)>,
}

impl Latest {
    /// The score as of a time, and as of another at which it may have been complete.
    pub(super) async fn load(
        connection: &mut PgConnection,
        head: &Head,
        at: DateTime<Utc>,
        complete_at: Option<DateTime<Utc>>,
    ) -> Result<Option<Latest>, ApiError> {
        let whose = (head.birthday, head.plan.as_slice());
        let Ok(Some(score)) = as_of(connection, head.patient, whose, at).await? else {
            return Ok(None);
        };
        let complete = match complete_at.filter(|_| !score.point.complete) {
            Some(at) => as_of(connection, head.patient, whose, at).await?.ok().flatten(),
            None => None,
        };
        let (level, response) = response_in_words(score.point.response);
        Ok(Some(Latest {
            total: total_in_words(&score.point),
            level,
            response,
            at: Moment::short(score.point.at),
            complete: complete
                .filter(|score| score.point.complete)
                .map(|score| (total_in_words(&score.point), Moment::short(score.point.at))),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::now;

    #[test]
    fn a_cell_has_its_value_as_the_chart_has_it() {
        let told = |metric, value| {
            let parameter = Parameter {
                metric,
                value: Some(value),
                at: Some(now()),
                score: Some(0),
            };
            cell(&parameter).map(|cell| cell.value)
        };
        assert_eq!(told(Metric::SupplementalOxygen, 0.0).as_deref(), Some("air"));
        assert_eq!(
            told(Metric::SupplementalOxygen, 2.0).as_deref(),
            Some("2.0 L/min")
        );
        assert_eq!(told(Metric::Consciousness, 1.0).as_deref(), Some("C"));
        assert_eq!(told(Metric::BodyTemperature, 37.04).as_deref(), Some("37.0"));
        assert_eq!(parameter_name(Metric::Spo2), "Oxygen saturation (%)");
    }
}
