//! `GET /break-glass`: what was opened without a relationship, for the privacy officer; `POST /break-glass/{break_glass}/review`
//! says what was found. `GET /break-glass/open` is where a clinician opens a record so; `POST` does it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_store::break_glass::{BreakGlass, list};

use super::form::Form;
use super::moment::Moment;
use super::problems::Problems;
use super::view::{Who, page, see};
use crate::access::Exchange;
use crate::alerts::act::{TEXT_LENGTH, text};
use crate::break_glass::review::review;
use crate::break_glass::{Asked, open};
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// The most that is listed.
const MOST: i64 = 200;

#[derive(Template)]
#[template(path = "pages/break_glass.html")]
struct Listed {
    who: Option<Who>,
    problems: Problems,
    rows: Vec<Row>,
}

struct Row {
    id: i64,
    /// Where one types what was found.
    finding_field: String,
    /// What was typed there.
    typed: String,
    who: String,
    patient: String,
    reason: String,
    when: Moment,
    /// What a privacy officer found, if one has looked into it.
    finding: Option<String>,
}

pub(crate) async fn get(exchange: Exchange) -> Result<Response, ApiError> {
    show_all(&exchange, &Form::empty(), Problems::default()).await
}

async fn show_all(exchange: &Exchange, form: &Form, problems: Problems) -> Result<Response, ApiError> {
    let broken = list(&mut *exchange.connection().await, MOST).await?;
    exchange.note_patients(broken.iter().map(|one| one.patient));
    let status = problems.status();
    let template = Listed {
        who: Who::of(exchange),
        problems,
        rows: broken.into_iter().map(|one| row(one, form)).collect(),
    };
    Ok(page(status, &template))
}

fn row(broken: BreakGlass, form: &Form) -> Row {
    let finding_field = finding_field(broken.id);
    Row {
        id: broken.id,
        typed: form.text(&finding_field).to_owned(),
        finding_field,
        who: match &broken.organisation {
            Some(organisation) => format!("{}, {organisation}", broken.by),
            None => broken.by.clone(),
        },
        patient: format!("no. {}", broken.patient),
        reason: broken.reason,
        when: Moment::new(broken.begun_at),
        finding: broken
            .reviewed_by
            .map(|by| format!("{}: {}", by, broken.finding.unwrap_or_default())),
    }
}

fn finding_field(id: i64) -> String {
    format!("finding-{id}")
}

pub(crate) async fn found(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let id: i64 = path.value("break_glass")?;
    let field = finding_field(id);
    let mut problems = Problems::default();
    let typed = text(&field, form.text(&field), TEXT_LENGTH);
    let Some(finding) = problems.take(
        &field,
        typed.map_err(|_| "say what you found, in at most 2,000 characters"),
    ) else {
        return show_all(&exchange, &form, problems).await;
    };
    review(&exchange, id, &finding).await?;
    Ok(see("/break-glass"))
}

#[derive(Template)]
#[template(path = "pages/open.html")]
struct Open<'a> {
    who: Option<Who>,
    wrong: Option<String>,
    number: &'a str,
    born: &'a str,
    reason: &'a str,
}

pub(crate) async fn ask(exchange: Exchange) -> Response {
    show(&exchange, StatusCode::OK, &Form::empty(), None)
}

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    form: Form,
) -> Result<Response, ApiError> {
    let born = form.text("born").parse();
    let asked = match born {
        Ok(born) => Asked {
            nhs_number: form.text("nhs_number").to_owned(),
            born,
            reason: form.text("reason").to_owned(),
        },
        Err(_) => {
            let wrong = "Type the date of birth as year, month and day".to_owned();
            return Ok(show(
                &exchange,
                StatusCode::UNPROCESSABLE_ENTITY,
                &form,
                Some(wrong),
            ));
        }
    };
    match open(&app, &exchange, &asked).await {
        Ok(broken) => Ok(see(&format!("/patients/{}", broken.patient))),
        Err(error @ (ApiError::Parameter { .. } | ApiError::NotFound(_) | ApiError::TooOften { .. })) => {
            let wrong = Some(error.to_string());
            Ok(show(&exchange, StatusCode::UNPROCESSABLE_ENTITY, &form, wrong))
        }
        Err(error) => Err(error),
    }
}

fn show(exchange: &Exchange, status: StatusCode, form: &Form, wrong: Option<String>) -> Response {
    let template = Open {
        who: Who::of(exchange),
        wrong,
        number: form.text("nhs_number"),
        born: form.text("born"),
        reason: form.text("reason"),
    };
    page(status, &template)
}
