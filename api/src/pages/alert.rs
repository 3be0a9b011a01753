//! `GET /alerts/{alert}`: an alert, what it is about, what can be done about it, and everything that happened to it. Patients
//! see [`own::alerts`].

pub(crate) mod act;
mod course;
pub(super) mod forms;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_alerts::Definition;
use homeward_record::EpisodeId;
use homeward_store::access::Role;

use super::own;
use super::patient::head::Head;
use super::view::{Who, page};
use super::worklist::row::Row;
use super::worklist::rows;
use crate::access::{Action, Exchange};
use crate::alerts::act::unknown;
use crate::alerts::show::find;
use crate::error::ApiError;
use crate::request::Path;
use course::Happened;
use forms::{Forms, Refused};

#[derive(Template)]
#[template(path = "pages/alert/page.html")]
struct Shown {
    who: Option<Who>,
    head: Head,
    row: Row,
    /// Where the rule's numbers come from.
    source: Option<String>,
    /// What can be done; `None`: the reader only looks.
    forms: Option<Forms>,
    happened: Vec<Happened>,
}

impl Shown {
    fn refused(&self) -> Option<&Refused> {
        self.forms.as_ref()?.refused.as_ref()
    }
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    match exchange.principal().acts_as.role {
        Role::Patient => own::alerts::show_one(&exchange, &path).await,
        _ => show(&exchange, &path, StatusCode::OK, None).await,
    }
}

/// The page, perhaps again, with what was sent and not done.
async fn show(
    exchange: &Exchange,
    path: &Path,
    status: StatusCode,
    refused: Option<Refused>,
) -> Result<Response, ApiError> {
    let (episode, transitions) = find(exchange, path).await?;
    let (alert, patient): (EpisodeId, _) = (episode.id, episode.patient);
    let source = Definition::parse(&episode.definition).ok();
    let head = Head::of(exchange, patient).await?;
    let may_work = exchange.allows(Action::WorkOnAlerts, patient).await?;
    let mut forms = None;
    if may_work {
        let mut new = Forms::new(exchange, Some(alert), format!("/alerts/{alert}")).await?;
        new.refused = refused;
        forms = Some(new);
    }
    let mut rows = rows(&mut *exchange.connection().await, exchange, vec![episode]).await?;
    let (_, row) = rows.pop().ok_or_else(|| unknown(alert))?;
    let template = Shown {
        who: Who::of(exchange),
        head,
        row,
        source: source.map(|definition| definition.source),
        forms,
        happened: transitions.into_iter().map(Happened::from).collect(),
    };
    Ok(page(status, &template))
}
