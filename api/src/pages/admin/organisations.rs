//! `GET /admin/organisations`: teams, practices, hospitals and ambulance services; `POST` adds one.

use askama::Template;
use axum::response::Response;
use homeward_store::admin::{add_organisation, list_organisations};

use super::{Choice, sections};
use crate::access::Exchange;
use crate::alerts::act::{NAME_LENGTH, text};
use crate::error::ApiError;
use crate::pages::form::Form;
use crate::pages::problems::Problems;
use crate::pages::view::{Link, Who, page, see};
use crate::request::choose;

/// The kinds that there are, as the record and as people call them.
const KINDS: [(&str, &str); 4] = [
    ("care_team", "Care team"),
    ("gp_practice", "GP practice"),
    ("hospital", "Hospital"),
    ("ambulance", "Ambulance service"),
];

#[derive(Template)]
#[template(path = "pages/admin/organisations.html")]
struct Organisations {
    who: Option<Who>,
    sections: Vec<Link>,
    problems: Problems,
    name: String,
    kinds: Vec<Choice>,
    rows: Vec<Row>,
}

struct Row {
    id: i64,
    kind: &'static str,
    name: String,
    people: i64,
    patients: i64,
    devices: i64,
}

pub(crate) async fn get(exchange: Exchange) -> Result<Response, ApiError> {
    show(&exchange, &Form::empty(), Problems::default()).await
}

async fn show(exchange: &Exchange, form: &Form, problems: Problems) -> Result<Response, ApiError> {
    let listed = list_organisations(&mut *exchange.connection().await, None).await?;
    let status = problems.status();
    let template = Organisations {
        who: Who::of(exchange),
        sections: sections(exchange),
        problems,
        name: form.text("name").to_owned(),
        kinds: Choice::of(KINDS, form.text("kind")),
        rows: listed
            .into_iter()
            .map(|organisation| Row {
                id: organisation.id,
                kind: kind_in_words(&organisation.kind),
                name: organisation.name,
                people: organisation.people,
                patients: organisation.patients,
                devices: organisation.devices,
            })
            .collect(),
    };
    Ok(page(status, &template))
}

fn kind_in_words(kind: &str) -> &'static str {
    let found = KINDS.iter().find(|(name, _)| *name == kind);
    found.map_or("Organisation", |(_, words)| words)
}

pub(crate) async fn post(exchange: Exchange, form: Form) -> Result<Response, ApiError> {
    let mut problems = Problems::default();
    let name = problems.take("name", text("name", form.text("name"), NAME_LENGTH));
    let kinds = KINDS.map(|(kind, _)| (kind, kind));
    let kind = problems.take("kind", choose("kind", form.text("kind"), &kinds));
    let (Some(name), Some(kind)) = (name, kind) else {
        return show(&exchange, &form, problems).await;
    };
    let id = add_organisation(&mut *exchange.connection().await, kind, &name).await?;
    exchange.note_reason(&format!(
        "added the {} {name}, organisation {id}",
        kind.replace('_', " ").replace("gp", "GP")
    ));
    Ok(see("/admin/organisations"))
}
