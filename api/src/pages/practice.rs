//! `GET /practice`: how the patients of each programme are doing, counted, and by name for one programme.
//!
//! Parameters: `programme` (the first that has patients), `standing` (`in_target`, `out_of_target`, `not_enough_data`,
//! `overdue`; all), `sort` (`need`, `name`, `alerts`), `page` (from 1). What the words mean: see
//! [`crate::practice_overview`].

use std::cmp::Reverse;
use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_alerts::summary::practice::goals;
use homeward_record::{Metric, PatientId};
use homeward_store::patients::{Person, PersonFilter, find_people};
use homeward_store::practice::{Standing, last_measured};
use homeward_store::rollup::late_hours;
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::IntoParams;

use super::moment::Moment;
use super::patient::head::{born, spaced};
use super::view::{Who, page};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::practice_overview::{OfProgramme, counted, of_caller};
use crate::request::{Query, choose, parsed};
use crate::routes::App;

/// How many patients a page of the list has.
const PER_PAGE: usize = 50;

/// So many hours of series with readings that came late, or more, are more than devices catch up with day by day.
const MANY_LATE: i64 = 5_000;

const STANDINGS: [(&str, Which); 4] = [
    ("out_of_target", Which::OutOfTarget),
    ("overdue", Which::Overdue),
    ("not_enough_data", Which::NotEnoughData),
    ("in_target", Which::InTarget),
];

const SORTS: [(&str, Sort); 3] = [
    ("need", Sort::Need),
    ("name", Sort::Name),
    ("alerts", Sort::Alerts),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    OutOfTarget,
    Overdue,
    NotEnoughData,
    InTarget,
}

impl Which {
    fn includes(self, standing: &Standing) -> bool {
        match self {
            Which::OutOfTarget => standing.enough && standing.out_of_target,
            Which::Overdue => standing.overdue,
            Which::NotEnoughData => !standing.enough,
            Which::InTarget => standing.enough && !standing.out_of_target,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Which::OutOfTarget => "Out of target",
            Which::Overdue => "Overdue",
            Which::NotEnoughData => "Not enough data",
            Which::InTarget => "In target",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Who is out of target first, then who has not measured, then of whom one cannot tell.
    Need,
    Name,
    Alerts,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    programme: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    standing: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    sort: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    page: Option<usize>,
}

#[derive(Template)]
#[template(path = "pages/practice.html")]
struct Practice {
    who: Option<Who>,
    programmes: Vec<OfProgramme>,
    rolled_up_until: Moment,
    /// Whether so many readings came late that patients can stand wrong until all are counted.
    counting_late: bool,
    list: Option<List>,
}

/// The patients of one programme.
struct List {
    programme: String,
    title: &'static str,
    /// Each standing, and what one calls it.
    choices: Vec<(&'static str, &'static str)>,
    /// The name of the parameter's value, if one standing alone is shown.
    standing: Option<&'static str>,
    sort: &'static str,
    rows: Vec<Row>,
    /// How many there are on all pages.
    found: usize,
    page: usize,
    pages: usize,
}

struct Row {
    patient: PatientId,
    name: String,
    born: String,
    nhs_number: String,
    standing: Which,
    overdue: bool,
    open_alerts: i64,
    last_measured: Option<Moment>,
}

impl List {
    /// The path of this list with something else in it.
    fn path(&self, standing: &str, sort: &str, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("programme", &self.programme);
        if !standing.is_empty() {
            query.append_pair("standing", standing);
        }
        if sort != "need" {
            query.append_pair("sort", sort);
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        format!("/practice?{}", query.finish())
    }

    fn stands(&self, standing: &str) -> bool {
        self.standing.unwrap_or_default() == standing
    }

    fn is_sorted(&self, sort: &str) -> bool {
        self.sort == sort
    }
}

pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let standing = parameters.standing.as_deref();
    let standing = standing.map(|name| choose("standing", name, &STANDINGS.map(|one| (one.0, one))));
    let standing = standing.transpose()?;
    let sort = parameters.sort.as_deref().unwrap_or("need");
    let sort = choose("sort", sort, &SORTS.map(|one| (one.0, one)))?;

    let (rolled_up_until, standings) = of_caller(&app, &exchange, None).await?;
    let programmes = counted(&standings);
    let wanted = match &parameters.programme {
        Some(name) => programmes.iter().find(|one| one.programme == *name),
        None => programmes.first(),
    };
    let list = match wanted {
        Some(programme) => {
            let of_programme = standings.into_iter().filter(|one| {
                one.programme == programme.programme && standing.is_none_or(|(_, which)| which.includes(one))
            });
            let mut of_programme: Vec<Standing> = of_programme.collect();
            sorted(&app, &mut of_programme, sort.1).await?;
            let found = of_programme.len();
            let pages = found.div_ceil(PER_PAGE).max(1);
            let page = parameters.page.unwrap_or(1).clamp(1, pages);
            let shown: Vec<Standing> = of_programme
                .into_iter()
                .skip((page - 1) * PER_PAGE)
                .take(PER_PAGE)
                .collect();
            let named = STANDINGS.iter().map(|(name, which)| (*name, which.in_words()));
            Some(List {
                programme: programme.programme.clone(),
                title: programme.title,
                choices: [("", "All")].into_iter().chain(named).collect(),
                standing: standing.map(|(name, _)| name),
                sort: sort.0,
                rows: rows(&exchange, &programme.programme, shown).await?,
                found,
                page,
                pages,
            })
        }
        None => None,
    };
    let template = Practice {
        who: Who::of(&exchange),
        programmes,
        rolled_up_until: Moment::new(rolled_up_until),
        counting_late: late_hours(&mut *app.connection().await?, MANY_LATE).await? == MANY_LATE,
        list,
    };
    Ok(page(StatusCode::OK, &template))
}

/// By what is asked for; what is equal in that, by number.
async fn sorted(app: &App, standings: &mut [Standing], sort: Sort) -> Result<(), ApiError> {
    match sort {
        Sort::Alerts => standings.sort_by_key(|one| Reverse(one.open_alerts)),
        Sort::Need => standings.sort_by_key(|one| {
            let in_target = one.enough && !one.out_of_target;
            let out_of_target = one.enough && one.out_of_target;
            (!out_of_target, !one.overdue, in_target, Reverse(one.open_alerts))
        }),
        Sort::Name => {
            // The whole list is put in order by a connection that sees all; what is shown is read by the caller's.
            let mut connection = app.connection().await?;
            let names: HashMap<PatientId, String> = people(&mut connection, standings)
                .await?
                .into_iter()
                .map(|person| (person.id, person.name.to_lowercase()))
                .collect();
            standings.sort_by_cached_key(|one| names.get(&one.patient).cloned());
        }
    }
    Ok(())
}

async fn people(connection: &mut PgConnection, standings: &[Standing]) -> Result<Vec<Person>, ApiError> {
    let filter = PersonFilter {
        ids: Some(standings.iter().map(|standing| standing.patient.0).collect()),
        ..PersonFilter::default()
    };
    let most = i64::try_from(standings.len()).unwrap_or(i64::MAX);
    Ok(find_people(connection, &filter, most).await?)
}

async fn rows(exchange: &Exchange, programme: &str, shown: Vec<Standing>) -> Result<Vec<Row>, ApiError> {
    let mut connection = exchange.connection().await;
    let found = people(&mut connection, &shown).await?;
    let mut people: HashMap<PatientId, Person> = found.into_iter().map(|one| (one.id, one)).collect();
    let patients: Vec<PatientId> = shown.iter().map(|standing| standing.patient).collect();
    let last: HashMap<PatientId, _> = match main_metric(programme) {
        Some(metric) => last_measured(&mut connection, &patients, metric)
            .await?
            .into_iter()
            .collect(),
        None => HashMap::new(),
    };
    exchange.note_patients(patients);
    let row = |standing: Standing| {
        let person = people.remove(&standing.patient)?;
        Some(Row {
            patient: standing.patient,
            born: born(&person, exchange.now()),
            nhs_number: spaced(&person.nhs_number),
            name: person.name,
            standing: match (standing.enough, standing.out_of_target) {
                (false, _) => Which::NotEnoughData,
                (true, true) => Which::OutOfTarget,
                (true, false) => Which::InTarget,
            },
            overdue: standing.overdue,
            open_alerts: standing.open_alerts,
            last_measured: last.get(&standing.patient).copied().map(Moment::short),
        })
    };
    Ok(shown.into_iter().filter_map(row).collect())
}

/// What a programme wants to be measured above all.
fn main_metric(programme: &str) -> Option<Metric> {
    let goals = goals();
    let goal = goals.iter().find(|goal| goal.programme.name == programme)?;
    let expected = goal.expected.map(|(_, metric)| metric);
    expected.or_else(|| goal.enough.metrics.first().copied())
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;

    use crate::practice_overview::testing::{PRESSURE, enrol, measure, raise, roll_up};
    use crate::testing::TestApp;

    const HALF_A_DAY: i64 = 12 * 60;

    /// The numbers of the patients whom a page lists, in its order.
    async fn listed(app: &TestApp, path: &str) -> Vec<String> {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let links = answer.body.split("</span><a href=\"/patients/").skip(1);
        let number = |rest: &str| rest.split('"').next().unwrap_or_default().to_owned();
        links.map(number).filter(|number| !number.contains('/')).collect()
    }

    #[tokio::test]
    async fn patients_are_listed_by_who_needs_it_most_and_by_standing() {
        let app = TestApp::start().await;
        let well = enrol(&app, "hypertension").await;
        measure(&app, well, &PRESSURE, HALF_A_DAY, 7, 1).await;
        let silent = enrol(&app, "hypertension").await;
        let high = enrol(&app, "hypertension").await;
        measure(&app, high, &PRESSURE, HALF_A_DAY, 7, 1).await;
        raise(&app, high, "home-average-above-target").await;
        let sensor = enrol(&app, "diabetes-type-1").await;
        measure(&app, sensor, &[Metric::Glucose], 5, 16, 2).await;
        roll_up(&app).await;
        let [well, silent, high] = [well, silent, high].map(|patient| patient.to_string());

        let of_hypertension = "/practice?programme=hypertension";
        assert_eq!(
            listed(&app, of_hypertension).await,
            [high.clone(), silent.clone(), well.clone()]
        );
        for (query, expected) in [
            ("standing=out_of_target", vec![&high]),
            ("standing=not_enough_data", vec![&silent]),
            ("standing=overdue", vec![&silent]),
            ("standing=in_target", vec![&well]),
            ("sort=alerts", vec![&high, &well, &silent]),
            // All have one name: by number.
            ("sort=name", vec![&well, &silent, &high]),
        ] {
            let found = listed(&app, &format!("{of_hypertension}&{query}")).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
        }
        let first = app.get("/practice").await;
        assert!(first.body.contains("Type 1 diabetes at home"), "{}", first.body);
        let wrong = app.get("/practice?standing=tall").await;
        assert_eq!(wrong.status, 400, "{}", wrong.body);
        assert!(wrong.body.contains("out_of_target"), "{}", wrong.body);
    }
}
