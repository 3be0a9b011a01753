//! `GET /patients/{patient}/access-log`: who has seen or changed a record, in words for the patient.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::access::Role;
use homeward_store::audit::accesses;

use super::moment::Moment;
use super::patient::head::Head;
use super::view::{Who, page};
use crate::access::Exchange;
use crate::access_log::sentence;
use crate::error::ApiError;
use crate::request::{Limit, Path};

/// How many accesses the page shows, the latest first.
const MOST: Limit<100, 100> = Limit(100);

#[derive(Template)]
#[template(path = "pages/access_log.html")]
struct Log {
    /// Where it is the reader's own record, or one that they were named to see.
    head: Option<Head>,
    who: Option<Who>,
    entries: Vec<Entry>,
    more: bool,
}

struct Entry {
    at: Moment,
    text: String,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let head = match exchange.principal().acts_as.role {
        Role::Patient => Some(Head::of(&exchange, patient).await?),
        _ => None,
    };
    let mut found = accesses(&mut *exchange.connection().await, patient, None, MOST.and_one()).await?;
    let more = MOST.cut(&mut found).is_some();
    let template = Log {
        head,
        who: Who::of(&exchange),
        entries: found
            .iter()
            .map(|access| Entry {
                at: Moment::new(access.at),
                text: sentence(access),
            })
            .collect(),
        more,
    };
    Ok(page(StatusCode::OK, &template))
}
