//! `GET /refused`: what was refused, to whom, when and why, the latest first, for privacy officers: those of an organisation
//! see what was refused there, and others also who was not let in at all.
//!
//! Parameters: `day` and `who`, a part of a name; `about=nobody`, what was about no patient; `before`, the last row of the
//! page before.

use askama::Template;
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::audit::{Refusal, RefusalFilter, refusals};
use serde::Deserialize;
use utoipa::IntoParams;

use super::admin::with_parameters;
use super::moment::{Moment, beginning_of, end_of};
use super::problems::Problems;
use super::view::{Who, page};
use crate::access::Exchange;
use crate::access_log::{capital, role_in_words, why_refused};
use crate::error::ApiError;
use crate::request::{Limit, Query, choose, parsed};

/// How many of them a page shows.
const MOST: Limit<50, 50> = Limit(50);

/// How many patients of one row are told.
const MOST_PATIENTS: usize = 5;

#[derive(Template)]
#[template(path = "pages/refused.html")]
struct Page {
    who: Option<Who>,
    problems: Problems,
    /// What was typed.
    day: String,
    name: String,
    about_nobody: bool,
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
}

impl Page {
    fn is_filtered(&self) -> bool {
        self.about_nobody || !self.day.is_empty() || !self.name.is_empty()
    }
}

struct Row {
    number: i64,
    at: Moment,
    /// In which role and where, if somebody was let in.
    role: Option<String>,
    by: String,
    what: String,
    target: String,
    why: String,
    origin: Option<String>,
    patients: Vec<PatientId>,
    /// How many more there are.
    more_patients: usize,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    day: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    who: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    about: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    before: Option<i64>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let day = parameters.day.unwrap_or_default().trim().to_owned();
    let name = parameters.who.unwrap_or_default().trim().to_owned();
    let about = parameters.about.as_deref().unwrap_or("");
    let about_nobody = choose("about", about, &[("", false), ("nobody", true)])?;
    let mut problems = Problems::default();
    let span = problems.take(
        "day",
        beginning_of(&day).and_then(|from| Ok((from, end_of(&day)?))),
    );
    let mut found = Vec::new();
    if let Some((from, until)) = span {
        let filter = RefusalFilter {
            before: parameters.before,
            from,
            until,
            who: (!name.is_empty()).then_some(name.as_str()),
            about_nobody,
        };
        found = refusals(&mut *exchange.connection().await, &filter, MOST.and_one()).await?;
    }
    let next = MOST.cut(&mut found).map(|last| {
        let before = last.sequence.to_string();
        let given = [
            ("day", day.as_str()),
            ("who", &name),
            ("about", about),
            ("before", &before),
        ];
        let given: Vec<_> = given.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        with_parameters("/refused", &given)
    });
    let rows: Vec<Row> = found.into_iter().map(row).collect();
    exchange.note_patients(rows.iter().flat_map(|row| row.patients.iter().copied()));
    let status = problems.status();
    let template = Page {
        who: Who::of(&exchange),
        problems,
        day,
        name,
        about_nobody,
        rows,
        next,
    };
    Ok(page(status, &template))
}

fn row(refusal: Refusal) -> Row {
    let role = refusal.role.as_deref().and_then(|role| role.parse().ok());
    let role = role.map(role_in_words);
    let all = refusal.patients.len();
    let patients = refusal.patients.iter().copied().map(PatientId);
    Row {
        number: refusal.sequence,
        at: Moment::new(refusal.at),
        role: role.map(|role| match &refusal.organisation {
            Some(organisation) => format!("{role}, {organisation}"),
            None => role.to_owned(),
        }),
        what: in_words(&refusal.action),
        why: capital(&why(&refusal)),
        patients: patients.take(MOST_PATIENTS).collect(),
        more_patients: all.saturating_sub(MOST_PATIENTS),
        by: match refusal.role {
            None if refusal.actor == "unknown" => "Somebody unknown".to_owned(),
            _ => refusal.actor,
        },
        target: refusal.target,
        origin: refusal.origin,
    }
}

/// What somebody tried, in words.
fn in_words(action: &str) -> String {
    match action {
        "break_glass" => "Open a record without a relationship".to_owned(),
        "review_break_glass" => "Look into such an access".to_owned(),
        "open_share" => "Open a shared summary".to_owned(),
        // The names of the others are words.
        name => capital(&name.replace('_', " ")),
    }
}

fn why(refusal: &Refusal) -> String {
    let basis = refusal.bases.iter().find(|basis| *basis == "none");
    match (&refusal.reason, basis.or(refusal.bases.first())) {
        (Some(noted), _) => noted.clone(),
        (None, Some(basis)) => why_refused(&refusal.action, basis).to_owned(),
        (None, None) => "their role, or what the token is for, does not cover it".to_owned(),
    }
}
