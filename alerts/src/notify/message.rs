//! What messages say: that there is an alert, and where it is. Nothing else of the patient than their number in
//! the record, since a message passes through the hands of others.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use homeward_store::outbox::{Alert, Message};
use hyper::Uri;
use serde::Serialize;

use crate::Zone;

/// The address for links is none that a browser opens.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an http or https address")]
pub struct LinkError(String);

/// Makes links to alerts.
#[derive(Debug)]
pub(super) struct Links {
    base: String,
}

impl Links {
    pub(super) fn new(base: &str) -> Result<Links, LinkError> {
        let uri: Option<Uri> = base.parse().ok();
        match uri.as_ref().and_then(Uri::scheme_str) {
            Some("http" | "https") => Ok(Links {
                base: base.trim_end_matches('/').to_owned(),
            }),
            _ => Err(LinkError(base.to_owned())),
        }
    }

    fn to(&self, alert: &Alert) -> String {
        format!("{}/alerts/{}", self.base, alert.episode)
    }
}

/// An alert in the body of a webhook.
#[derive(Serialize)]
struct AlertBody<'a> {
    kind: &'a str,
    severity: &'a str,
    alert_id: i64,
    patient_id: i64,
    link: String,
    at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Body<'a> {
    id: i64,
    #[serde(flatten)]
    alert: AlertBody<'a>,
}

#[derive(Serialize)]
struct DigestBody<'a> {
    id: i64,
    kind: &'a str,
    count: usize,
    alerts: Vec<AlertBody<'a>>,
    at: DateTime<Utc>,
}

/// The body of a webhook.
pub(super) fn json(message: &Message, links: &Links, now: DateTime<Utc>) -> String {
    let json = match (message.kind.as_str(), message.alerts.as_slice()) {
        (kind, [alert]) if kind != "digest" => serde_json::to_string(&Body {
            id: message.id,
            alert: alert_body(alert, links),
        }),
        (kind, alerts) => serde_json::to_string(&DigestBody {
            id: message.id,
            kind,
            count: alerts.len(),
            alerts: alerts.iter().map(|alert| alert_body(alert, links)).collect(),
            at: now,
        }),
    };
    json.expect("a message is plain data")
}

fn alert_body<'a>(alert: &'a Alert, links: &Links) -> AlertBody<'a> {
    AlertBody {
        kind: &alert.kind,
        severity: &alert.severity,
        alert_id: alert.episode.0,
        patient_id: alert.patient.0,
        link: links.to(alert),
        at: alert.at,
    }
}

/// An e-mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) subject: String,
    pub(super) body: String,
}

/// The text of an e-mail.
pub(super) fn text(message: &Message, links: &Links) -> Text {
    let mut body = String::new();
    for alert in &message.alerts {
        let date = Zone::PATIENTS.date(alert.at).format("%-d %B %Y");
        let at = format!("{} on {date}", Zone::PATIENTS.clock(alert.at));
        let (what, patient, link) = (what(alert), alert.patient, links.to(alert));
        // Writing to a string does not fail.
        let _ = write!(body, "{what} at {at}, patient {patient}\n{link}\n\n");
    }
    body += "Sent by Homeward. What was measured is behind the link.\n";
    let subject = match (message.kind.as_str(), message.alerts.as_slice()) {
        (kind, [alert]) if kind != "digest" => format!("Homeward: {}", what(alert)),
        (_, alerts) => format!("Homeward: {} alerts", alerts.len()),
    };
    Text { subject, body }
}

/// What happened, in a few words.
fn what(alert: &Alert) -> String {
    let Alert {
        severity, episode, ..
    } = alert;
    match alert.kind.as_str() {
        "escalated" => format!("{severity} alert {episode} waits for somebody to take it up"),
        "cleared" => format!("{severity} alert {episode} is over"),
        _ => format!("{severity} alert {episode} was raised"),
    }
}

#[cfg(test)]
mod tests {
    use homeward_record::{EpisodeId, PatientId};
    use serde_json::{Value, json};

    use super::*;

    fn at() -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn message(kind: &str, alerts: &[(i64, &str)]) -> Message {
        let alert = |&(episode, kind): &(i64, &str)| Alert {
            episode: EpisodeId(episode),
            patient: PatientId(1001),
            severity: "high".to_owned(),
            kind: kind.to_owned(),
            at: at(),
        };
        Message {
            id: 7,
            kind: kind.to_owned(),
            attempts: 1,
            created_at: at(),
            alerts: alerts.iter().map(alert).collect(),
        }
    }

    fn links() -> Links {
        Links::new("https://homeward.example/").unwrap()
    }

    #[test]
    fn a_webhook_is_told_what_and_where() {
        let one = json(&message("raised", &[(17, "raised")]), &links(), at());
        let alert = |id: i64, kind| {
            json!({
                "kind": kind, "severity": "high", "alert_id": id, "patient_id": 1001,
                "link": format!("https://homeward.example/alerts/{id}"), "at": at(),
            })
        };
        let mut expected = alert(17, "raised");
        expected["id"] = json!(7);
        assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), expected);

        let several = message("digest", &[(17, "escalated"), (18, "cleared")]);
        assert_eq!(
            serde_json::from_str::<Value>(&json(&several, &links(), at())).unwrap(),
            json!({
                "id": 7, "kind": "digest", "count": 2, "at": at(),
                "alerts": [alert(17, "escalated"), alert(18, "cleared")],
            })
        );
    }

    #[test]
    fn an_email_is_plain_text() {
        let one = text(&message("escalated", &[(17, "escalated")]), &links());
        assert_eq!(
            one.subject,
            "Homeward: high alert 17 waits for somebody to take it up"
        );
        assert!(
            one.body.starts_with(
                "high alert 17 waits for somebody to take it up at 12:00 GMT on 22 November 2026, patient 1001\n\
                 https://homeward.example/alerts/17\n\n"
            ),
            "{}",
            one.body
        );
        let several = text(&message("digest", &[(17, "raised"), (18, "cleared")]), &links());
        assert_eq!(several.subject, "Homeward: 2 alerts");
        for line in ["high alert 17 was raised at", "high alert 18 is over at"] {
            assert!(several.body.contains(line), "{}", several.body);
        }
    }

    #[test]
    fn links_are_for_browsers() {
        for base in ["", "homeward.example", "ftp://homeward.example", "not an address"] {
            assert!(Links::new(base).is_err(), "{base}");
        }
    }
}
