//! The pages: without scripts, and nothing of them stays anywhere.

use askama::Template;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use homeward_alerts::summary::blood_pressure::HomeCourse;
use homeward_alerts::summary::news2::News2Score;

use super::summary::Summary;
use crate::glucose_summary;
use crate::pages::pressure::telling;
use crate::pages::{Moment, Who, page};

/// What other pages have and scripts: nothing runs on these.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// Asks for the code, and who is asking.
#[derive(Template)]
#[template(path = "share/ask.html")]
struct Ask<'a> {
    who: Option<Who>,
    /// What was wrong with the last try.
    wrong: Option<&'a str>,
}

/// Says that there is nothing, or not now.
#[derive(Template)]
#[template(path = "share/message.html")]
struct Message<'a> {
    who: Option<Who>,
    title: &'a str,
    text: &'a str,
}

#[derive(Template)]
#[template(path = "share/summary.html")]
struct Shown<'a> {
    who: Option<Who>,
    name: &'a str,
    as_of: String,
    sections: Vec<Section>,
}

/// A part of the summary: a table of what and how much, and sentences.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
}

pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) value: String,
    pub(crate) when: String,
}

pub(super) fn ask(status: StatusCode, wrong: Option<&str>) -> Response {
    answer(status, &Ask { who: None, wrong })
}

pub(super) fn gone() -> Response {
    let text = "It may have been for a shorter time, the patient may have taken it back, or a wrong code was typed too \
        often. Ask the patient for another one.";
    message(StatusCode::NOT_FOUND, "This link leads nowhere", text)
}

pub(super) fn failed(status: StatusCode, text: &str) -> Response {
    message(status, "That did not work", text)
}

fn message(status: StatusCode, title: &str, text: &str) -> Response {
    answer(
        status,
        &Message {
            who: None,
            title,
            text,
        },
    )
}

pub(super) fn summary(summary: &Summary) -> Response {
    answer(
        StatusCode::OK,
        &Shown {
            who: None,
            name: &summary.patient.name,
            as_of: time(summary.as_of),
            sections: sections(summary),
        },
    )
}

/// A page like all others, on which nothing runs and which no search engine lists.
fn answer(status: StatusCode, template: &impl Template) -> Response {
    let mut response = page(status, template);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let robots = HeaderName::from_static("x-robots-tag");
    headers.insert(robots, HeaderValue::from_static("noindex, nofollow"));
    response
}

/// The parts of a summary.
pub(crate) fn sections(summary: &Summary) -> Vec<Section> {
    let sections = [
        Some(person(summary)),
        Some(alerts(summary)),
        Some(latest(summary)),
        summary
            .news2
            .as_ref()
            .and_then(|news2| news2.scores.latest.as_ref())
            .map(news2_score),
        summary.glucose.as_ref().map(glucose),
        summary
            .blood_pressure
            .as_ref()
            .and_then(|pressure| telling(&pressure.courses))
            .map(blood_pressure),
        Some(devices(summary)),
    ];
    sections.into_iter().flatten().collect()
}

fn person(summary: &Summary) -> Section {
    let patient = &summary.patient;
    let mut rows = vec![
        row("Name", &patient.name),
        row("NHS number", spaced(&patient.nhs_number)),
        row("Born", format!("{} ({} years)", date(patient.born), patient.age)),
    ];
    rows.extend(
        patient
            .practice
            .as_ref()
            .map(|practice| row("GP practice", practice)),
    );
    let programmes = match summary.programmes.is_empty() {
        true => "none".to_owned(),
        false => summary.programmes.join(", "),
    };
    rows.push(row("Monitored at home for", programmes));
    Section {
        title: "Patient",
        rows,
        notes: Vec::new(),
    }
}

fn alerts(summary: &Summary) -> Section {
    let rows = summary.open_alerts.iter().map(|alert| Row {
        what: alert.severity.clone(),
        value: alert.text.clone(),
        when: format!("since {}", time(alert.since)),
    });
    Section {
        title: "Open alerts",
        rows: rows.collect(),
        notes: note_if(summary.open_alerts.is_empty(), "No alert is open."),
    }
}

fn latest(summary: &Summary) -> Section {
    let rows = summary.latest.iter().map(|latest| Row {
        what: latest.words.0.to_owned(),
        value: latest.words.1.clone(),
        when: time(latest.at),
    });
    Section {
        title: "Latest readings",
        rows: rows.collect(),
        notes: note_if(
            summary.latest.is_empty(),
            "Nothing was measured in the last 90 days.",
        ),
    }
}

fn news2_score(score: &News2Score) -> Section {
    let point = &score.point;
    Section {
        title: "NEWS2 (Royal College of Physicians, 2017), last 24 hours",
        rows: vec![Row {
            what: "Total".to_owned(),
            value: point.words.clone(),
            when: time(point.at),
        }],
        notes: Vec::new(),
    }
}

fn glucose(summary: &glucose_summary::Summary) -> Section {
    let figures = &summary.figures;
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(figures.mean.map(|mean| row("Mean", format!("{mean:.1} mmol/L"))));
    rows.extend(
        figures
            .gmi_mmol_per_mol
            .map(|gmi| row("GMI", format!("{gmi:.0} mmol/mol"))),
    );
    for range in &figures.ranges {
        rows.push(row(
            format!("Glucose {}", range.name.replace('_', " ")),
            format!("{:.0} % of readings", range.percent),
        ));
    }
    rows.push(row("Times of low glucose", figures.hypos.len().to_string()));
    Section {
        title: "Glucose, last 14 days",
        rows,
        notes: note_if(
            !figures.sufficient,
            "There are readings for less than 70 % of the time: the figures do not speak for all of it.",
        ),
    }
}

fn blood_pressure(course: &HomeCourse) -> Section {
    let mut rows = Vec::new();
    if let Some(average) = &course.average
        && let (Some(systolic), Some(diastolic)) = (average.systolic, average.diastolic)
    {
        rows.push(row(
            "Average at home",
            format!("{systolic:.0}/{diastolic:.0} mmHg"),
        ));
    }
    rows.push(row("Days with measurements", course.sufficiency.days.to_string()));
    Section {
        title: "Blood pressure, last 7 days",
        rows,
        notes: course.sufficiency.remarks.clone(),
    }
}

fn devices(summary: &Summary) -> Section {
    let rows = summary
        .devices
        .iter()
        .map(|device| row(device.kind.as_str(), format!("number {}", device.id)));
    Section {
        title: "Devices",
        rows: rows.collect(),
        notes: note_if(summary.devices.is_empty(), "No device measures the patient now."),
    }
}

fn note_if(is: bool, note: &str) -> Vec<String> {
    is.then(|| note.to_owned()).into_iter().collect()
}

fn row(what: impl Into<String>, value: impl Into<String>) -> Row {
    Row {
        what: what.into(),
        value: value.into(),
        when: String::new(),
    }
}

fn time(at: DateTime<Utc>) -> String {
    Moment::new(at).text()
}

fn date(date: NaiveDate) -> String {
    date.format("%-d %B %Y").to_string()
}

/// An NHS number as it is printed: 999 000 0018.
fn spaced(number: &str) -> String {
    match (number.get(..3), number.get(3..6), number.get(6..)) {
        (Some(first), Some(second), Some(third)) => format!("{first} {second} {third}"),
        _ => number.to_owned(),
    }
}
