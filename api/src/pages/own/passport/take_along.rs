//! What a patient takes along: `GET …/passport/download`, the record as a file that another supplier can take over, and
//! `GET …/passport/summary`, a page to print.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use axum::response::{IntoResponse, Response};
use chrono::{NaiveDate, TimeDelta};
use homeward_record::PatientId;
use homeward_store::passport::readings_of_days;
use sqlx::PgConnection;

use super::super::not_a_patient;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::fhir::{Search, everything};
use crate::pages::patient::head::Head;
use crate::pages::{Moment, Who, page};
use crate::request::Path;
use crate::routes::App;
use crate::series::unknown;
use crate::share::{Section, Summary, sections};

/// How many readings a file has at most, somewhat fewer than `$everything` answers on one page: those of the last hours
/// are not counted.
const READINGS_OF_A_PART: i64 = 18_000;

/// A file of the record.
pub(super) struct Part {
    pub(super) path: String,
    /// Of which time it has the readings.
    pub(super) of: String,
}

/// The files into which a patient's record fits: each has all but the readings, and those of its days.
pub(super) async fn parts(connection: &mut PgConnection, patient: PatientId) -> Result<Vec<Part>, ApiError> {
    let days = readings_of_days(connection, patient).await?;
    let parts = cut(&days).into_iter().map(|(from, to)| part(patient, from, to));
    Ok(parts.collect())
}

/// The days with which parts begin and end; the first has no beginning and the last no end.
fn cut(days: &[(NaiveDate, i64)]) -> Vec<(Option<NaiveDate>, Option<NaiveDate>)> {
    let mut parts = Vec::new();
    let (mut from, mut sum) = (None, 0);
    for (date, readings) in days {
        if sum > 0 && sum + readings > READINGS_OF_A_PART {
            parts.push((from, Some(*date - TimeDelta::days(1))));
            (from, sum) = (Some(*date), 0);
        }
        sum += readings;
    }
    parts.push((from, None));
    parts
}

fn part(patient: PatientId, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Part {
    let told = |date: NaiveDate| date.format("%-d %B %Y").to_string();
    let window: String = [("start", from), ("end", to)]
        .into_iter()
        .filter_map(|(name, date)| Some(format!("&{name}={}", date?)))
        .collect();
    Part {
        path: format!("/patients/{patient}/passport/download?_count=20000{window}"),
        of: match (from, to) {
            (None, None) => "all readings".to_owned(),
            (None, Some(to)) => format!("readings until {}", told(to)),
            (Some(from), Some(to)) => format!("readings from {} to {}", told(from), told(to)),
            (Some(from), None) => format!("readings from {} until now", told(from)),
        },
    }
}

/// `GET …/passport/download`: what `Patient/$everything` answers, by the same parameters, as a file.
pub(crate) async fn download(
    app: State<App>,
    exchange: Exchange,
    path: Path,
    search: Search,
) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let date = exchange.now().format("%Y-%m-%d");
    let name = format!("attachment; filename=\"homeward-{patient}-{date}.json\"");
    let mut response = everything::get(app, exchange, path, search)
        .await?
        .into_response();
    let name = HeaderValue::try_from(name).expect("a number and a date are visible characters");
    let headers = response.headers_mut();
    headers.insert(CONTENT_DISPOSITION, name);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[derive(Template)]
#[template(path = "pages/own/summary.html")]
struct Printed {
    head: Head,
    who: Option<Who>,
    as_of: Moment,
    sections: Vec<Section>,
}

/// `GET …/passport/summary`.
pub(crate) async fn summary(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if let Some(elsewhere) = not_a_patient(&exchange, patient) {
        return Ok(elsewhere);
    }
    let head = Head::of(&exchange, patient).await?;
    let mut connection = exchange.connection().await;
    let summary = Summary::of(&mut connection, patient, exchange.now()).await?;
    let summary = summary.ok_or_else(|| unknown(patient))?;
    let template = Printed {
        head,
        who: Who::of(&exchange),
        as_of: Moment::new(exchange.now()),
        sections: sections(&summary),
    };
    Ok(page(StatusCode::OK, &template))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_cut_where_a_file_is_full() {
        let day = |day: i64| NaiveDate::default() + TimeDelta::days(day);
        assert_eq!(cut(&[]), [(None, None)]);
        assert_eq!(cut(&[(day(0), 17_000), (day(1), 1_000)]), [(None, None)]);
        assert_eq!(
            cut(&[(day(0), 17_000), (day(3), 1_001), (day(4), 30_000), (day(5), 1)]),
            [
                (None, Some(day(2))),
                (Some(day(3)), Some(day(3))),
                (Some(day(4)), Some(day(4))),
                (Some(day(5)), None),
            ]
        );
    }

    #[test]
    fn a_part_says_of_which_days_it_is() {
        let day = |text: &str| text.parse().ok();
        let part = part(PatientId(1_001), day("2026-09-01"), day("2026-10-03"));
        assert_eq!(part.of, "readings from 1 September 2026 to 3 October 2026");
        assert_eq!(
            part.path,
            "/patients/1001/passport/download?_count=20000&start=2026-09-01&end=2026-10-03"
        );
    }
}
