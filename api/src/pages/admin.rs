//! `GET /admin`: where those who look after people and devices begin, with what needs them now.
//!
//! Administrators look after people, organisations, tokens, refused messages and the process; leads of teams after the
//! devices and the patients of their team. Nothing here shows anything clinical: see SECURITY.md for what an
//! administrator can do and what not.

pub(crate) mod device;
pub(crate) mod devices;
pub(crate) mod health;
pub(crate) mod log;
pub(crate) mod organisations;
pub(crate) mod patient;
pub(crate) mod patients;
pub(crate) mod people;
pub(crate) mod person;
pub(crate) mod rejected;
#[cfg(test)]
mod tests;
pub(crate) mod tokens;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_store::admin::{StockFilter, list_stock, organisation_names};
use homeward_store::rejected::count_rejected;
use sqlx::PgConnection;

use super::view::{Link, Who, page};
use crate::access::{Action, Exchange};
use crate::error::ApiError;
use crate::request::Limit;
use crate::routes::App;

/// How much a list shows on one page.
const MOST: Limit<50, 50> = Limit(50);

/// The parts of administration.
const SECTIONS: [(&str, &str, Action); 9] = [
    ("/admin", "Overview", Action::ManageDevices),
    ("/admin/people", "People", Action::ReadPeople),
    (
        "/admin/organisations",
        "Organisations",
        Action::ManageOrganisations,
    ),
    ("/admin/patients", "Patients", Action::EnrolPatients),
    ("/admin/devices", "Devices", Action::ManageDevices),
    ("/admin/tokens", "Tokens", Action::ManageTokens),
    ("/admin/rejected", "Refused messages", Action::ReadRejected),
    ("/admin/health", "Health", Action::ReadHealth),
    ("/admin/log", "What was done", Action::ReadAdministration),
];

/// Those that are the caller's.
fn sections(exchange: &Exchange) -> Vec<Link> {
    let path = exchange.path();
    let within = |href: &str| href != "/admin" && path.starts_with(&format!("{href}/"));
    SECTIONS
        .into_iter()
        .filter(|(_, _, action)| exchange.includes(*action))
        .map(|(href, text, _)| Link {
            href: href.to_owned(),
            text,
            current: path == href || within(href),
        })
        .collect()
}

/// A path with parameters.
pub(super) fn with_parameters(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = format!("{path}?");
    let length = text.len();
    form_urlencoded::Serializer::for_suffix(&mut text, length).extend_pairs(parameters);
    text
}

/// One that a field offers.
struct Choice {
    value: String,
    text: String,
    picked: bool,
}

impl Choice {
    /// Several by value and text, of which one may be picked.
    fn of<V: ToString, T: ToString>(all: impl IntoIterator<Item = (V, T)>, picked: &str) -> Vec<Choice> {
        let choice = |(value, text): (V, T)| Choice {
            picked: value.to_string() == picked,
            value: value.to_string(),
            text: text.to_string(),
        };
        all.into_iter().map(choice).collect()
    }

    /// The organisations of a kind, or of any.
    async fn organisations(
        connection: &mut PgConnection,
        kind: Option<&str>,
        picked: &str,
    ) -> Result<Vec<Choice>, ApiError> {
        Ok(Choice::of(organisation_names(connection, kind).await?, picked))
    }
}

/// A number that a field may leave out.
fn number_of(text: &str) -> Result<Option<i64>, &'static str> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "expected a number"),
    }
}

#[derive(Template)]
#[template(path = "pages/admin/overview.html")]
struct Overview {
    who: Option<Who>,
    sections: Vec<Link>,
    /// What needs somebody: a sentence, and where to go.
    needs: Vec<(String, &'static str)>,
    /// Devices that are with nobody.
    free: usize,
    more_free: bool,
    tasks: Vec<&'static Task>,
}

/// Something that people come here for.
struct Task {
    href: &'static str,
    text: &'static str,
    about: &'static str,
    action: Action,
}

const TASKS: [Task; 6] = [
    Task {
        href: "/admin/people/new",
        text: "Add a person",
        about: "Somebody who signs in. They get a first password, and you say in which role they act.",
        action: Action::ManagePeople,
    },
    Task {
        href: "/admin/patients/new",
        text: "Register a patient",
        about: "Somebody whom a team looks after at home.",
        action: Action::EnrolPatients,
    },
    Task {
        href: "/admin/devices/new",
        text: "Register a device",
        about: "A cuff, watch or sensor, for the stock or for a patient.",
        action: Action::ManageDevices,
    },
    Task {
        href: "/admin/organisations",
        text: "Add an organisation",
        about: "A care team, a GP practice, a hospital or an ambulance service.",
        action: Action::ManageOrganisations,
    },
    Task {
        href: "/admin/tokens/new",
        text: "Make a token for a program",
        about: "For a system that reads or writes through the interface.",
        action: Action::ManageTokens,
    },
    Task {
        href: "/admin/log",
        text: "See what was done",
        about: "Who added, granted, revoked and ended what, and when.",
        action: Action::ReadAdministration,
    },
];

pub(crate) async fn get(State(app): State<App>, exchange: Exchange) -> Result<Response, ApiError> {
    let mut needs = Vec::new();
    if exchange.includes(Action::ReadHealth) {
        let troubles = health::Report::of(&app, exchange.now()).await.troubles();
        if troubles > 0 {
            let text = match troubles {
                1 => "One part of Homeward is not as it should be".to_owned(),
                many => format!("{many} parts of Homeward are not as they should be"),
            };
            needs.push((text, "/admin/health"));
        }
    }
    let mut connection = exchange.connection().await;
    if exchange.includes(Action::ReadRejected) {
        match count_rejected(&mut connection).await? {
            0 => {}
            1 => needs.push((
                "One message of a device was refused".to_owned(),
                "/admin/rejected",
            )),
            many => needs.push((
                format!("{many} messages of devices were refused"),
                "/admin/rejected",
            )),
        }
    }
    let filter = StockFilter {
        organisation: exchange.own_team(),
        with_somebody: Some(false),
        ..StockFilter::default()
    };
    let mut free = list_stock(&mut connection, &filter, exchange.now(), MOST.and_one()).await?;
    let more_free = MOST.cut(&mut free).is_some();
    let template = Overview {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        needs,
        free: free.len(),
        more_free,
        tasks: TASKS
            .iter()
            .filter(|task| exchange.includes(task.action))
            .collect(),
    };
    Ok(page(StatusCode::OK, &template))
}
