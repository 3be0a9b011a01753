//! `GET /fhir/R4/Patient/$export` and `GET /fhir/R4/Group/{id}/$export`.

use axum::extract::State;
use axum::http::header::{CONTENT_LOCATION, HeaderValue};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::Programme;
use homeward_store::exports::{Cohort, NewExport, begin, patients_after};

use super::super::answer::{no_such, root};
use super::super::parameters::{Search, alternatives, prefers};
use super::{NDJSON, Type};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Instant, Path};
use crate::routes::App;

/// How long an export can be fetched.
const LASTS: TimeDelta = TimeDelta::hours(24);

/// The spellings of the one form.
const FORMS: [&str; 3] = [NDJSON, "application/ndjson", "ndjson"];

/// How many patients are noted in one statement.
const PAGE: i64 = 10_000;

/// `GET /fhir/R4/Patient/$export`: of all patients whom the caller may see.
pub(crate) async fn of_patients(
    State(app): State<App>,
    exchange: Exchange,
    headers: HeaderMap,
    uri: Uri,
    search: Search,
) -> Result<Response, ApiError> {
    kick_off(&app, &exchange, (&headers, &uri), search, Cohort::Everybody).await
}

/// `GET /fhir/R4/Group/{group}/$export`: of those of an organisation, or on a programme.
pub(crate) async fn of_group(
    State(app): State<App>,
    exchange: Exchange,
    headers: HeaderMap,
    uri: Uri,
    path: Path,
    search: Search,
) -> Result<Response, ApiError> {
    let group = path.text("group");
    let cohort = match (group.parse(), Programme::named(group)) {
        (Ok(organisation), _) => Cohort::Organisation(organisation),
        (_, Some(_)) => Cohort::Programme(group),
        _ => return Err(no_such("Group")),
    };
    kick_off(&app, &exchange, (&headers, &uri), search, cohort).await
}

async fn kick_off(
    app: &App,
    exchange: &Exchange,
    (headers, uri): (&HeaderMap, &Uri),
    search: Search,
    cohort: Cohort<'_>,
) -> Result<Response, ApiError> {
    let search = search.take(&["_outputFormat", "_since", "_type"])?;
    if !prefers(headers, "respond-async") {
        return Err(ApiError::parameter(
            "Prefer",
            "an export takes time: expected respond-async",
        ));
    }
    if search
        .one("_outputFormat")?
        .is_some_and(|form| !FORMS.contains(&form))
    {
        return Err(ApiError::parameter("_outputFormat", format!("expected {NDJSON}")));
    }
    let types = types(exchange, &search)?;
    let since: Option<DateTime<Utc>> = search
        .value::<Instant>("_since", "expected a time with offset")?
        .map(|Instant(at)| at);
    let now = exchange.now();
    let request = format!("{}{uri}", app.base_url);
    let new = NewExport {
        held_role: exchange.principal().acts_as.id,
        request: &request,
        types: &types,
        since,
        expires_at: now + LASTS,
    };
    let mut connection = exchange.connection().await;
    let begun = begin(&mut connection, &new, cohort, now).await?;
    let id = begun.ok_or(ApiError::TooOften { seconds: 30 })?;
    let mut after = 0;
    loop {
        let patients = patients_after(&mut connection, &id, after, PAGE).await?;
        let Some(last) = patients.last() else { break };
        after = last.0;
        exchange.note_patients(patients);
    }
    let place = format!("{}/$export-status/{id}", root(app));
    let place = HeaderValue::try_from(place)
        .map_err(|_| ApiError::parameter("link_base", "the address of the interface is no header"))?;
    Ok((StatusCode::ACCEPTED, [(CONTENT_LOCATION, place)]).into_response())
}

/// The types that are asked for; else all that the caller may read.
fn types(exchange: &Exchange, search: &Search) -> Result<Vec<String>, ApiError> {
    let mut types: Vec<String> = Vec::new();
    for name in search.all("_type").flat_map(alternatives) {
        let kind = Type::named(&name).ok_or_else(|| {
            let all: Vec<&str> = Type::ALL.iter().map(|kind| kind.name()).collect();
            ApiError::parameter("_type", format!("{name:?} is none of {}", all.join(", ")))
        })?;
        if !exchange.includes(kind.action()) {
            return Err(ApiError::Forbidden(
                "the token is not for this: its scopes do not include a type",
            ));
        }
        if !types.contains(&name) {
            types.push(name);
        }
    }
    if types.is_empty() {
        let allowed = Type::ALL
            .into_iter()
            .filter(|kind| exchange.includes(kind.action()));
        types = allowed.map(|kind| kind.name().to_owned()).collect();
    }
    Ok(types)
}
