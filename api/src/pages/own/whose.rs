//! `GET /whose`: whose record to look at, for whoever was named by others to see theirs.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_store::access::Role;
use homeward_store::patients::{PersonFilter, find_people};

use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::view::see;
use crate::pages::{Who, page};

/// The most people; nobody is a proxy of so many.
const MOST: i64 = 200;

#[derive(Template)]
#[template(path = "pages/own/whose.html")]
struct Page {
    who: Option<Who>,
    /// The reader first.
    people: Vec<Whose>,
}

struct Whose {
    path: String,
    name: String,
    own: bool,
}

pub(crate) async fn get(exchange: Exchange) -> Result<Response, ApiError> {
    let acts_as = &exchange.principal().acts_as;
    if acts_as.role != Role::Patient {
        return Ok(see("/"));
    }
    let people = find_people(&mut *exchange.connection().await, &PersonFilter::default(), MOST).await?;
    exchange.note_patients(people.iter().map(|person| person.id));
    let mut people: Vec<Whose> = people
        .into_iter()
        .map(|person| Whose {
            path: format!("/patients/{}", person.id),
            name: person.name,
            own: acts_as.patient == Some(person.id),
        })
        .collect();
    people.sort_by_key(|whose| !whose.own);
    let who = Who::of(&exchange);
    Ok(page(StatusCode::OK, &Page { who, people }))
}
