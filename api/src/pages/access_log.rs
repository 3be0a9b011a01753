//! `GET /patients/{patient}/access-log`: who has seen or changed a record and why, day by day, in words for the patient.
//!
//! Parameters: `only`, as of the interface for programs, and `all` (patients see first what others did, privacy officers
//! all); `after`, the last entry of the page before.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDate;
use homeward_record::PatientId;
use homeward_store::access::Role;
use homeward_store::audit::{Access, AccessFilter, AccessesOnly, accesses};
use serde::Deserialize;
use utoipa::IntoParams;

use super::moment::{Moment, ZONE};
use super::patient::head::Head;
use super::view::{Who, page};
use crate::access::Exchange;
use crate::access_log::{ONLY, sentence};
use crate::error::ApiError;
use crate::request::{Limit, Path, Query, choose, parsed};

/// How many accesses a page shows.
const MOST: Limit<100, 100> = Limit(100);

/// What can be picked, by what the address calls it.
const FILTERS: [(&str, &str); 4] = [
    ("others", "Other people"),
    ("all", "Everybody"),
    ("break_glass", "Without a relationship"),
    ("refused", "Refused"),
];

#[derive(Template)]
#[template(path = "pages/access_log.html")]
struct Log {
    /// Where it is the reader's own record, or one that they were named to see.
    head: Option<Head>,
    who: Option<Who>,
    patient: PatientId,
    filters: [(&'static str, &'static str); 4],
    only: &'static str,
    days: Vec<Day>,
    further: bool,
    /// Where the next page begins.
    next: Option<i64>,
}

/// The accesses of a day of the patient's calendar, the latest first.
struct Day {
    date: NaiveDate,
    title: String,
    entries: Vec<Entry>,
}

/// One access, or several alike in a row.
struct Entry {
    number: i64,
    at: Moment,
    /// When the first of several was.
    since: Option<Moment>,
    times: usize,
    text: String,
    break_glass: bool,
    refused: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    only: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    after: Option<i64>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let role = exchange.principal().acts_as.role;
    let (usual, head) = match role {
        Role::Patient => ("others", Some(Head::of(&exchange, patient).await?)),
        _ => ("all", None),
    };
    let only = parameters.only.as_deref().unwrap_or(usual);
    let only = choose("only", only, &FILTERS.map(|(name, _)| (name, name)))?;
    let filter = AccessFilter {
        before: parameters.after,
        only: ONLY.iter().find(|(name, _)| *name == only).map(|(_, only)| *only),
    };
    let mut connection = exchange.connection().await;
    let mut found = accesses(&mut connection, patient, filter, MOST.and_one()).await?;
    let next = MOST.cut(&mut found).map(|last| last.sequence);
    let template = Log {
        head,
        who: Who::of(&exchange),
        patient,
        filters: FILTERS,
        only,
        days: by_day(&found),
        further: parameters.after.is_some(),
        next,
    };
    Ok(page(StatusCode::OK, &template))
}

/// The accesses by the days of the patient's calendar; those that are alike and follow each other are one entry.
fn by_day(found: &[Access]) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    for access in found {
        let date = ZONE.date(access.at);
        if days.last().is_none_or(|day| day.date != date) {
            days.push(Day {
                date,
                title: date.format("%A, %-d %B %Y").to_string(),
                entries: Vec::new(),
            });
        }
        let entry = entry(access);
        let Some(day) = days.last_mut() else { continue };
        match day.entries.last_mut() {
            Some(last) if last.text == entry.text => {
                last.times += 1;
                last.since = Some(entry.at).filter(|since| since.text() != last.at.text());
            }
            _ => day.entries.push(entry),
        }
    }
    days
}

fn entry(access: &Access) -> Entry {
    Entry {
        number: access.sequence,
        at: Moment::clock(access.at),
        since: None,
        times: 1,
        text: sentence(access),
        break_glass: access.action == AccessesOnly::BreakGlass.as_str()
            || access.basis == AccessesOnly::BreakGlass.as_str(),
        refused: !access.done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn what_is_alike_in_a_row_is_told_once_a_day() {
        let access = |sequence, time: &str, action: &str| Access {
            sequence,
            at: at(time),
            actor: "Mei Ng".to_owned(),
            role: Some("care_team_member".to_owned()),
            organisation: None,
            action: action.to_owned(),
            done: true,
            basis: "enrolment".to_owned(),
            reason: None,
            origin: None,
        };
        let days = by_day(&[
            access(9, "2026-11-22T10:00:00Z", "read_readings"),
            access(8, "2026-11-22T09:59:00Z", "read_readings"),
            access(7, "2026-11-22T09:58:00Z", "read_alerts"),
            access(6, "2026-11-22T09:57:00Z", "read_readings"),
            access(5, "2026-11-21T09:57:00Z", "read_readings"),
        ]);
        let told: Vec<_> = days
            .iter()
            .map(|day| {
                let entries = day.entries.iter().map(|entry| (entry.number, entry.times));
                (day.title.as_str(), entries.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("Sunday, 22 November 2026", vec![(9, 2), (7, 1), (6, 1)]),
                ("Saturday, 21 November 2026", vec![(5, 1)]),
            ]
        );
    }
}
