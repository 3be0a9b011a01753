//! `GET /admin/patients`: the patients whom the caller looks after, to manage who looks after them and with what; parameters
//! `q` (an NHS number, or how parts of the name begin) and `after`. `GET /admin/patients/new` is where one is put into the
//! record, or into the care of a lead's own team; `POST /admin/patients` does so.
//!
//! An administrator says which team looks after the patient. A lead's patient comes into the care of their own team, and
//! begins a programme if the lead says so: that is a clinical act, which no administrator does.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDate;
use homeward_alerts::Programme;
use homeward_alerts::plans::copy_programme;
use homeward_record::{NhsNumber, PatientId};
use homeward_store::access::basis_for;
use homeward_store::patients::{Details, Enrolled, PersonFilter, enrol_with_own_team, find_people};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Choice, MOST, number_of, sections, with_parameters};
use crate::access::Exchange;
use crate::alerts::act::{NAME_LENGTH, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::guesses;
use crate::pages::form::Form;
use crate::pages::patient::head::spaced;
use crate::pages::problems::Problems;
use crate::pages::view::{Link, Who, page, see};
use crate::patients::register::{Registered, register, require_born};
use crate::patients::require_kind;
use crate::patients::search::words_of;
use crate::request::{Query, parsed};
use crate::routes::App;

#[derive(Template)]
#[template(path = "pages/admin/patients.html")]
struct Patients {
    who: Option<Who>,
    sections: Vec<Link>,
    q: String,
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
}

struct Row {
    id: PatientId,
    name: String,
    nhs_number: String,
    born: String,
    practice: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    q: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    after: Option<PatientId>,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let q = parameters.q.unwrap_or_default().trim().to_owned();
    let mut filter = PersonFilter {
        after: parameters.after,
        ..PersonFilter::default()
    };
    match q.parse::<NhsNumber>() {
        Ok(number) => filter.nhs_numbers = Some(vec![number.as_str().to_owned()]),
        Err(_) => filter.names = words_of(&q),
    }
    let mut found = find_people(&mut *exchange.connection().await, &filter, MOST.and_one()).await?;
    let next = MOST.cut(&mut found).map(|last| last.id.to_string());
    let next = next.map(|last| with_parameters("/admin/patients", &[("q", &q), ("after", &last)]));
    exchange.note_patients(found.iter().map(|person| person.id));
    let template = Patients {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        q,
        rows: found
            .into_iter()
            .map(|person| Row {
                id: person.id,
                nhs_number: spaced(&person.nhs_number),
                born: day(person.born),
                practice: person.practice.map(|(_, name)| name),
                name: person.name,
            })
            .collect(),
        next,
    };
    Ok(page(StatusCode::OK, &template))
}

/// A date of birth, as one writes it.
pub(super) fn day(day: NaiveDate) -> String {
    day.format("%-d %B %Y").to_string()
}

#[derive(Template)]
#[template(path = "pages/admin/patient_new.html")]
struct New {
    who: Option<Who>,
    sections: Vec<Link>,
    problems: Problems,
    nhs_number: String,
    name: String,
    born: String,
    practices: Vec<Choice>,
    /// For administrators.
    teams: Vec<Choice>,
    /// For leads.
    programmes: Vec<Choice>,
    reason: String,
    own: bool,
}

pub(crate) async fn ask(exchange: Exchange) -> Result<Response, ApiError> {
    show(&exchange, &Form::empty(), Problems::default()).await
}

async fn show(exchange: &Exchange, form: &Form, problems: Problems) -> Result<Response, ApiError> {
    let own = exchange.own_team().is_some();
    let mut connection = exchange.connection().await;
    let programmes = Programme::names().filter_map(Programme::named);
    let programmes = programmes.map(|programme| (programme.name.as_str(), programme.title.as_str()));
    let practice = form.text("practice");
    let practices = Choice::organisations(&mut connection, Some("gp_practice"), practice).await?;
    let status = problems.status();
    let template = New {
        who: Who::of(exchange),
        sections: sections(exchange),
        problems,
        nhs_number: form.text("nhs_number").to_owned(),
        name: form.text("name").to_owned(),
        born: form.text("born").to_owned(),
        practices,
        teams: match own {
            true => Vec::new(),
            false => Choice::organisations(&mut connection, Some("care_team"), form.text("team")).await?,
        },
        programmes: Choice::of(programmes, form.text("programme")),
        reason: form.text("reason").to_owned(),
        own,
    };
    Ok(page(status, &template))
}

/// What both kinds of form say.
struct Typed {
    nhs_number: NhsNumber,
    name: String,
    born: NaiveDate,
    practice: Option<i64>,
}

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    form: Form,
) -> Result<Response, ApiError> {
    let mut problems = Problems::default();
    let nhs_number = problems.take("nhs_number", form.text("nhs_number").parse::<NhsNumber>());
    let name = problems.take("name", text("name", form.text("name"), NAME_LENGTH));
    let born = form.text("born").parse().map_err(|_| "type the date of birth");
    let born = problems.take("born", born);
    let practice = problems.take("practice", number_of(form.text("practice")));
    let own = exchange.own_team().is_some();
    let team = match own {
        true => Some(0),
        false => problems.take("team", form.text("team").parse().map_err(|_| "pick a team")),
    };
    let reason = match own {
        true => problems.take("reason", text("reason", form.text("reason"), TEXT_LENGTH)),
        false => Some(String::new()),
    };
    let (Some(nhs_number), Some(name), Some(born), Some(practice), Some(team), Some(reason)) =
        (nhs_number, name, born, practice, team, reason)
    else {
        return show(&exchange, &form, problems).await;
    };
    let typed = Typed {
        nhs_number,
        name,
        born,
        practice,
    };
    let done = match own {
        true => enrol(&app, &exchange, &typed, form.text("programme"), &reason).await,
        false => {
            let registered = Registered {
                nhs_number: typed.nhs_number,
                name: typed.name,
                born: typed.born,
                practice: typed.practice,
                team,
            };
            register(&exchange, &registered).await
        }
    };
    match done {
        Ok(patient) => Ok(see(&format!("/admin/patients/{patient}"))),
        Err(error) => {
            problems.refused("nhs_number", error)?;
            show(&exchange, &form, problems).await
        }
    }
}

/// Puts somebody into the care of the lead's own team.
async fn enrol(
    app: &App,
    exchange: &Exchange,
    typed: &Typed,
    programme: &str,
    reason: &str,
) -> Result<PatientId, ApiError> {
    require_born(typed.born, exchange)?;
    let programme = match programme {
        "" => None,
        name => Some(
            Programme::named(name)
                .ok_or_else(|| ApiError::parameter("programme", "pick one of the programmes"))?,
        ),
    };
    let mut connection = exchange.connection().await;
    if let Some(practice) = typed.practice {
        require_kind(&mut connection, "practice", practice, "gp_practice").await?;
    }
    let new = Enrolled {
        nhs_number: typed.nhs_number.as_str(),
        details: Details {
            name: &typed.name,
            born: typed.born,
            practice: typed.practice,
        },
    };
    let by = exchange.actor();
    guesses::count(app, exchange).await?;
    let Some((patient, _)) = enrol_with_own_team(&mut connection, &new, by).await? else {
        guesses::was_wrong(app, exchange, &typed.nhs_number).await?;
        return Err(ApiError::Conflict(
            "this number is in the record with another date of birth: check both with the patient".to_owned(),
        ));
    };
    guesses::was_right(app, exchange).await?;
    exchange.note_patients([patient]);
    exchange.note_reason(reason);
    let held = exchange.principal().acts_as.id;
    if basis_for(&mut connection, held, patient, exchange.now())
        .await?
        .is_none()
    {
        exchange.note_refused();
        return Err(ApiError::Conflict(
            "the patient has chosen not to share the record with your team".to_owned(),
        ));
    }
    if let Some(programme) = programme {
        copy_programme(
            &mut connection,
            &[patient],
            programme,
            (by, reason),
            exchange.now(),
        )
        .await?;
    }
    Ok(patient)
}
