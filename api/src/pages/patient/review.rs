//! `GET /patients/{patient}/review`: what a practice looks at with a patient, on two sheets of paper: glucose of the last
//! 14 days, and blood pressure at home of the last 28 with the alerts of that time. A browser prints it, or saves it as a
//! PDF.

mod pressure;

use std::cmp::Reverse;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use homeward_record::{Metric, PatientId};

use self::pressure::PressureReport;
use super::alerts::{AlertShown, alerts_since};
use super::head::Head;
use super::show::{COURSES, report};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::pages::glucose::GlucoseReport;
use crate::pages::{Moment, Who, page};
use crate::request::Path;
use crate::series::latest_readings;
use crate::{blood_pressure_summary, glucose_summary};

/// The most alerts that are counted.
const MOST_ALERTS: i64 = 500;

#[derive(Template)]
#[template(path = "pages/patient/review.html")]
struct Review<'a> {
    who: Option<Who>,
    head: &'a Head,
    as_of: Moment,
    glucose: Option<GlucoseReport<'a>>,
    pressure: Option<PressureReport<'a>>,
    alerts: Vec<Counted>,
    open: usize,
}

/// The alerts of one rule.
struct Counted {
    rule: String,
    severity: String,
    count: usize,
    latest: Moment,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let now = exchange.now();
    let head = Head::of(&exchange, patient).await?;
    let mut connection = exchange.connection().await;
    let newest = latest_readings(&mut connection, patient, now).await?;
    let within = |metric, time: TimeDelta| {
        newest
            .iter()
            .any(|reading| reading.metric == metric && reading.at >= now - time)
    };
    let glucose = match within(Metric::Glucose, TimeDelta::days(14)) {
        true => Some(glucose_summary::of_last_days(&mut connection, patient, &head.plan, now).await?),
        false => None,
    };
    let pressure = match within(Metric::Systolic, COURSES) {
        true => Some(blood_pressure_summary::of_last(COURSES, &mut connection, patient, now).await?),
        false => None,
    };
    let episodes = alerts_since(&mut connection, patient, now - COURSES, MOST_ALERTS).await?;
    drop(connection);
    let template = Review {
        who: Who::of(&exchange),
        as_of: Moment::new(now),
        glucose: glucose.as_ref().and_then(report),
        pressure: pressure
            .as_ref()
            .and_then(|summary| PressureReport::of(&summary.courses, now - COURSES, now)),
        open: episodes
            .iter()
            .filter(|episode| episode.cleared_at.is_none())
            .count(),
        alerts: counted(episodes.into_iter().map(AlertShown::of)),
        head: &head,
    };
    Ok(page(StatusCode::OK, &template))
}

/// Alerts by rule, the most first. They come with the latest first.
fn counted(alerts: impl Iterator<Item = AlertShown>) -> Vec<Counted> {
    let mut counted: Vec<Counted> = Vec::new();
    for alert in alerts {
        match counted.iter_mut().find(|one| one.rule == alert.rule) {
            Some(one) => one.count += 1,
            None => counted.push(Counted {
                rule: alert.rule,
                severity: alert.severity,
                count: 1,
                latest: alert.since,
            }),
        }
    }
    counted.sort_by_key(|one| Reverse(one.count));
    counted
}
