//! `GET /admin/health`: how broker, lanes, database and what works in the background are, in plain words, with what to do
//! where something is wrong. What `/readyz` and `/metrics` tell machines, and what the record knows of itself.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::count_in_words;
use homeward_store::health::{Figures, figures};
use homeward_store::retention::NOTIFICATIONS_KEPT_FOR;

use super::sections;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::health::missing;
use crate::metrics::Readout;
use crate::pages::moment::Moment;
use crate::pages::view::{Link, Who, page};
use crate::routes::App;

/// A database that does not answer within this is said to be away.
const FIGURES_WITHIN: Duration = Duration::from_secs(3);

/// A message that waits for its commit for so many seconds waits too long; a device is closed after thirty.
const LONG_WAIT_SECONDS: f64 = 5.0;

/// Timers run every five seconds, and after a minute without them nobody can say who was silent.
const TIMERS_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// Hours are rolled up within some minutes after they are over.
const ROLLED_UP_WITHIN: TimeDelta = TimeDelta::hours(2);

/// Notifications are sent within seconds; one that waits for so long does not get through.
const SENT_WITHIN: TimeDelta = TimeDelta::minutes(5);

/// Readings go by whole weeks, within a week after they are too old.
const DROPPED_WITHIN: TimeDelta = TimeDelta::days(15);

/// The share of the database's connections from which on somebody may be turned away.
const MANY_CONNECTIONS: f64 = 0.9;

#[derive(Template)]
#[template(path = "pages/admin/health.html")]
struct Health {
    who: Option<Who>,
    sections: Vec<Link>,
    report: Report,
    as_of: Moment,
}

/// How everything is.
pub(super) struct Report {
    parts: Vec<Part>,
}

/// A part of Homeward.
struct Part {
    title: &'static str,
    about: &'static str,
    lines: Vec<Line>,
    /// What is wrong and what to do, if something is.
    trouble: Option<String>,
}

/// A figure.
struct Line {
    what: &'static str,
    value: Value,
}

enum Value {
    Text(String),
    At(Moment),
}

impl Report {
    /// As of now.
    pub(super) async fn of(app: &App, now: DateTime<Utc>) -> Report {
        let missing = missing(app).await;
        let readout = Readout::of(app);
        let reading = async {
            let mut connection = app.connection().await.ok()?;
            figures(&mut connection, now).await.ok()
        };
        let figures = tokio::time::timeout(FIGURES_WITHIN, reading).await.ok().flatten();
        let mut parts = vec![
            process(&missing),
            broker(&readout, figures.as_ref()),
            lanes(&readout),
        ];
        if let Some(figures) = &figures {
            let kept = app.retention;
            parts.extend([
                database(figures),
                background(figures, now),
                retention(figures, kept, now),
                notifications(figures, now),
            ]);
        }
        Report { parts }
    }

    /// How many parts are not as they should be.
    pub(super) fn troubles(&self) -> usize {
        self.parts.iter().filter(|part| part.trouble.is_some()).count()
    }
}

fn process(missing: &[String]) -> Part {
    let trouble = (!missing.is_empty()).then(|| {
        format!(
            "It cannot do its work: {}. Devices keep what they measure until it can. Look at the log of the process.",
            missing.join(", and ")
        )
    });
    Part {
        title: "The process",
        about: "Whether it takes readings and answers questions.",
        lines: vec![Line::text("Ready", if missing.is_empty() { "Yes" } else { "No" })],
        trouble,
    }
}

fn broker(readout: &Readout, figures: Option<&Figures>) -> Part {
    let mut lines = vec![
        Line::count(
            "Devices connected now",
            readout.value("homeward_ingest_connections"),
        ),
        Line::count(
            "Connections refused for a wrong secret, or a revoked device",
            readout.value("homeward_ingest_connects_refused_total"),
        ),
        Line::count(
            "Connections ended for what they sent",
            readout.value("homeward_ingest_connections_ended_total"),
        ),
    ];
    if let Some(figures) = figures {
        lines.push(Line::text(
            "Devices heard of in the last day",
            figures.devices_heard,
        ));
        lines.push(Line::text("Devices that are with somebody", figures.devices_out));
    }
    Part {
        title: "The broker",
        about: "Where devices connect. What is counted is counted since the process started.",
        lines,
        trouble: None,
    }
}

fn lanes(readout: &Readout) -> Part {
    let waits = readout
        .value("homeward_ingest_longest_wait_seconds")
        .unwrap_or(0.0);
    let commits = readout
        .value("homeward_ingest_commit_seconds_count")
        .unwrap_or(0.0);
    let seconds = readout.value("homeward_ingest_commit_seconds_sum").unwrap_or(0.0);
    let mean = match commits > 0.0 {
        true => format!("{:.0} ms", 1_000.0 * seconds / commits),
        false => "Nothing was written yet".to_owned(),
    };
    let trouble = (waits >= LONG_WAIT_SECONDS).then(|| {
        format!(
            "A message has waited for {waits:.0} seconds. Nothing is lost: devices send again what was not acknowledged. \
             Look whether the database is busy, or its disk is full."
        )
    });
    Part {
        title: "The lanes",
        about: "They write readings and alerts to the record, and acknowledge them then.",
        lines: vec![
            Line::count(
                "Messages that wait to be written",
                readout.value("homeward_ingest_waiting_messages"),
            ),
            Line::text("The longest has waited", format!("{waits:.1} s")),
            Line::text("Writing a batch takes", mean),
            Line::count(
                "Readings since the process started",
                readout.value("homeward_ingest_readings_total"),
            ),
            Line::count(
                "Messages turned away for want of room",
                readout.value("homeward_ingest_refused_total"),
            ),
            Line::count(
                "Batches that had to be written again",
                readout.value("homeward_ingest_commit_failures_total"),
            ),
        ],
        trouble,
    }
}

fn database(figures: &Figures) -> Part {
    let share = figures.connections as f64 / figures.most_connections.max(1) as f64;
    let trouble = (share >= MANY_CONNECTIONS).then(|| {
        "Nearly all of the connections that it allows are in use. Find out who has them, or raise max_connections."
            .to_owned()
    });
    Part {
        title: "The database",
        about: "PostgreSQL with TimescaleDB, where the record is.",
        lines: vec![
            Line::text("Size", bytes_in_words(figures.bytes)),
            Line::text(
                "Connections",
                format!("{} of {}", figures.connections, figures.most_connections),
            ),
        ],
        trouble,
    }
}

fn background(figures: &Figures, now: DateTime<Utc>) -> Part {
    let timers_late = figures.timers_ran_at.is_none_or(|at| now - at > TIMERS_WITHIN);
    let rollup_late = now - figures.rolled_up_until > ROLLED_UP_WITHIN;
    let trouble = if timers_late {
        Some(
            "Timers do not run: nobody is told that an alert waits, or that a patient has fallen silent. Look at the log of \
             the process, and start it again."
                .to_owned(),
        )
    } else if rollup_late {
        Some("Trends are right but slow: hours that are over are not summed up. Look at the log of the process.".to_owned())
    } else {
        None
    };
    Part {
        title: "What works in the background",
        about: "Timers tell of alerts that wait and of patients who have fallen silent; sums make trends fast.",
        lines: vec![
            Line::at("Timers ran last", figures.timers_ran_at),
            Line::at("Hours are summed up until", Some(figures.rolled_up_until)),
        ],
        trouble,
    }
}

fn retention(figures: &Figures, kept: TimeDelta, now: DateTime<Utc>) -> Part {
    let late = figures
        .oldest
        .is_some_and(|oldest| now - oldest > kept + DROPPED_WITHIN);
    Part {
        title: "Retention",
        about: "What is older than the record is to be kept goes by whole weeks.",
        lines: vec![
            Line::text("Readings are kept for", format!("{} days", kept.num_days())),
            Line::at("The oldest week begins", figures.oldest),
        ],
        trouble: late.then(|| {
            "There are readings that are older. A long query keeps them from being removed: end it, or wait for the next \
             hour."
                .to_owned()
        }),
    }
}

fn notifications(figures: &Figures, now: DateTime<Utc>) -> Part {
    let late = figures.due_since.is_some_and(|since| now - since > SENT_WITHIN);
    let trouble = if late {
        Some(
            "Somebody has not been told of an alert for minutes. Look whether the receiver's address is right and answers; \
             the team's worklist shows the alert all the same."
                .to_owned(),
        )
    } else if figures.notifications_failed > 0 {
        Some(
            "Some could not be sent and were given up. Look at the log of the process for which receiver it was."
                .to_owned(),
        )
    } else {
        None
    };
    Part {
        title: "Notifications",
        about: "By webhook and e-mail, to those who are told of alerts.",
        lines: vec![
            Line::text("Waiting to be sent", figures.notifications_due),
            Line::text("Given up in the last day", figures.notifications_failed),
            Line::text(
                "Kept once they are sent or given up",
                format!("{} days", NOTIFICATIONS_KEPT_FOR.num_days()),
            ),
        ],
        trouble,
    }
}

impl Line {
    fn text(what: &'static str, value: impl ToString) -> Line {
        Line {
            what,
            value: Value::Text(value.to_string()),
        }
    }

    fn count(what: &'static str, value: Option<f64>) -> Line {
        Line::text(what, count_in_words(value.unwrap_or(0.0).round() as u64))
    }

    fn at(what: &'static str, at: Option<DateTime<Utc>>) -> Line {
        let value = at.map_or_else(
            || Value::Text("Never".to_owned()),
            |at| Value::At(Moment::new(at)),
        );
        Line { what, value }
    }
}

fn bytes_in_words(bytes: i64) -> String {
    const MIB: i64 = 1024 * 1024;
    match bytes / MIB {
        mebibytes @ 0..10_240 => format!("{mebibytes} MiB"),
        mebibytes => format!("{} GiB", mebibytes / 1024),
    }
}

pub(crate) async fn get(State(app): State<App>, exchange: Exchange) -> Result<Response, ApiError> {
    let template = Health {
        who: Who::of(&exchange),
        sections: sections(&exchange),
        report: Report::of(&app, exchange.now()).await,
        as_of: Moment::new(exchange.now()),
    };
    Ok(page(StatusCode::OK, &template))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let now = at("2026-11-26T12:00:00Z");
        let well = Figures {
            bytes: 20 << 30,
            connections: 30,
            most_connections: 200,
            oldest: Some(at("2026-11-05T00:00:00Z")),
            rolled_up_until: at("2026-11-26T11:00:00Z"),
            timers_ran_at: Some(at("2026-11-26T11:59:55Z")),
            notifications_due: 1,
            due_since: Some(at("2026-11-26T11:59:00Z")),
            notifications_failed: 0,
            devices_heard: 7,
            devices_out: 9,
        };
        let kept = TimeDelta::days(20);
        let troubles = |figures: &Figures| {
            let parts = [
                database(figures),
                background(figures, now),
                retention(figures, kept, now),
                notifications(figures, now),
            ];
            let titles = parts.into_iter().filter(|part| part.trouble.is_some());
            titles.map(|part| part.title).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(troubles(&well), "");
        let ill = Figures {
            connections: 190,
            oldest: Some(at("2026-10-01T00:00:00Z")),
            rolled_up_until: at("2026-11-26T09:00:00Z"),
            due_since: Some(at("2026-11-26T11:50:00Z")),
            ..well.clone()
        };
        assert_eq!(
            troubles(&ill),
            "The database, What works in the background, Retention, Notifications"
        );
        let stopped = Figures {
            timers_ran_at: None,
            notifications_failed: 2,
            ..well
        };
        assert_eq!(troubles(&stopped), "What works in the background, Notifications");
        assert_eq!(bytes_in_words(20 << 30), "20 GiB");
        assert_eq!(bytes_in_words(5 << 20), "5 MiB");
    }
}
