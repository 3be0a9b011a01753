//! `GET /patients/{patient}/passport`: the summaries that a patient shares and who opened them, and the whole record to take
//! along. `POST …/passport/shares` shares one, `POST …/passport/shares/{share}/revoke` does so no longer.
//!
//! What opens a share is shown once, in the answer to the form: nothing of it is kept, so there is no page to lead to.

pub(crate) mod take_along;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeward_record::PatientId;
use serde::Deserialize;
use utoipa::IntoParams;

use self::take_along::{Part, parts};
use super::not_a_patient;
use super::voice::Voice;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::patient::head::Head;
use crate::pages::problems::Problems;
use crate::pages::view::{page_once, see};
use crate::pages::{Form, Moment, Who, page};
use crate::passport_shares::revoke::revoke;
use crate::passport_shares::{Asked, MOST_WRONG_CODES, Made, Tried, USUAL_HOURS, list, make};
use crate::request::{Path, Query, parsed};
use crate::routes::App;

/// For how long a summary can be shared, as one says it.
const HOURS: [(u16, &str); 4] = [
    (1, "1 hour"),
    (USUAL_HOURS, "1 day"),
    (3 * 24, "3 days"),
    (7 * 24, "7 days"),
];

#[derive(Template)]
#[template(path = "pages/own/passport.html")]
struct Page {
    head: Head,
    who: Option<Who>,
    voice: Voice,
    revoked: bool,
    open: Vec<Shared>,
    over: Vec<Shared>,
    parts: Vec<Part>,
    most_wrong_codes: i32,
    hours: [(u16, &'static str); 4],
    typed: Typed,
    problems: Problems,
}

/// A share with who has tried it.
struct Shared {
    id: i64,
    made_for: String,
    made_at: Moment,
    expires_at: Moment,
    /// How it ended, if it has.
    end: Option<String>,
    tries: Vec<Try>,
}

struct Try {
    by: String,
    at: Moment,
    opened: bool,
}

/// What stands in the form.
struct Typed {
    made_for: String,
    hours: u16,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// One was just revoked.
    #[serde(default, deserialize_with = "parsed")]
    revoked: Option<bool>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if let Some(elsewhere) = not_a_patient(&exchange, patient) {
        return Ok(elsewhere);
    }
    let typed = Typed {
        made_for: String::new(),
        hours: USUAL_HOURS,
    };
    let revoked = parameters.revoked == Some(true);
    show(&exchange, patient, revoked, (typed, Problems::default())).await
}

async fn show(
    exchange: &Exchange,
    patient: PatientId,
    revoked: bool,
    (typed, problems): (Typed, Problems),
) -> Result<Response, ApiError> {
    let head = Head::of(exchange, patient).await?;
    let mut connection = exchange.connection().await;
    let shares = list(&mut connection, patient, exchange.now()).await?;
    let (open, over): (Vec<Tried>, Vec<Tried>) = shares.into_iter().partition(|one| one.share.open);
    let status = problems.status();
    let template = Page {
        head,
        who: Who::of(exchange),
        voice: Voice::of(exchange, patient),
        revoked,
        open: open.into_iter().map(shared).collect(),
        over: over.into_iter().map(shared).collect(),
        parts: parts(&mut connection, patient).await?,
        most_wrong_codes: MOST_WRONG_CODES,
        hours: HOURS,
        typed,
        problems,
    };
    Ok(page(status, &template))
}

fn shared(Tried { share, tries }: Tried) -> Shared {
    let end = match share.revoked_at {
        _ if share.open => None,
        Some(at) => Some(format!("Taken back on {}", Moment::new(at).text())),
        None if share.wrong_codes >= MOST_WRONG_CODES => Some("Ended after too many wrong codes".to_owned()),
        None => Some(format!("Over since {}", Moment::new(share.expires_at).text())),
    };
    let tries = tries.into_iter().map(|one| Try {
        by: one.by,
        at: Moment::new(one.at),
        opened: one.opened,
    });
    Shared {
        id: share.id,
        made_for: share.made_for.unwrap_or_else(|| format!("Share {}", share.id)),
        made_at: Moment::new(share.made_at),
        expires_at: Moment::new(share.expires_at),
        end,
        tries: tries.collect(),
    }
}

#[derive(Template)]
#[template(path = "pages/own/shared_once.html")]
struct Once {
    head: Head,
    who: Option<Who>,
    made_for: String,
    link: String,
    code: String,
    /// An image in the page itself.
    qr_svg: String,
    expires_at: Moment,
    most_wrong_codes: i32,
}

/// `POST …/passport/shares`.
pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    form: Form,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let made_for = form.text("made_for").to_owned();
    let hours = form.text("hours").parse().unwrap_or(0);
    let asked = Asked {
        hours: Some(hours),
        made_for: Some(made_for.clone()),
    };
    let mut problems = Problems::default();
    if made_for.is_empty() {
        problems.note("made_for", "type who it is for");
    }
    if !HOURS.iter().any(|(known, _)| *known == hours) {
        problems.note("hours", "choose for how long");
    }
    if problems.is_empty() {
        match make(&app, &exchange, patient, &asked).await {
            Ok(made) => return show_once(&exchange, patient, made_for, made).await,
            Err(error) => problems.refused("made_for", error)?,
        }
    }
    show(&exchange, patient, false, (Typed { made_for, hours }, problems)).await
}

async fn show_once(
    exchange: &Exchange,
    patient: PatientId,
    made_for: String,
    made: Made,
) -> Result<Response, ApiError> {
    let once = Once {
        head: Head::of(exchange, patient).await?,
        who: Who::of(exchange),
        made_for,
        link: made.link,
        code: made.code,
        qr_svg: image(&made.qr_svg),
        expires_at: Moment::new(made.expires_at),
        most_wrong_codes: MOST_WRONG_CODES,
    };
    Ok(page_once(StatusCode::CREATED, &once))
}

/// The image as a part of a page, with its name: what stands before the element is for files.
fn image(svg: &str) -> String {
    let element = svg.find("<svg").map_or("", |begins| &svg[begins..]);
    element.replacen("<svg", "<svg role=\"img\" aria-label=\"QR code of the link\"", 1)
}

/// `POST …/passport/shares/{share}/revoke`.
pub(crate) async fn post_revoke(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    revoke(&exchange, patient, path.value("share")?).await?;
    Ok(see(&format!("/patients/{patient}/passport?revoked=true")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_stands_in_a_page_with_its_name() {
        assert_eq!(
            image("<?xml version=\"1.0\"?><svg width=\"3\"/>"),
            "<svg role=\"img\" aria-label=\"QR code of the link\" width=\"3\"/>"
        );
    }
}
