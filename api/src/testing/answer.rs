//! What is answered: whole, or event by event.

use std::fmt::Write;

use axum::body::BodyDataStream;
use axum::http::StatusCode;
use axum::http::header::HeaderMap;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::timeout;

use super::PATIENCE;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The body, which must be that of a success.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// The body of an answer that something was made.
    pub(crate) fn made(&self) -> Value {
        assert_eq!(self.status, StatusCode::CREATED, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// What is wrong with the request: the status, the parameter, and what is said of it.
    pub(crate) fn problem(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        let parameter = problem["parameter"].as_str().unwrap_or("-");
        let detail = problem["detail"].as_str().unwrap();
        format!("{} {parameter}: {detail}", self.status.as_u16())
    }

    /// Status, the headers that say something, and the body, for a snapshot.
    pub(crate) fn show(&self) -> String {
        let mut text = self.status.to_string();
        for name in [
            "content-type",
            "www-authenticate",
            "retry-after",
            "allow",
            "cache-control",
            "set-cookie",
        ] {
            if let Some(value) = self.headers.get(name) {
                write!(text, "\n{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        let body = serde_json::from_str::<Value>(&self.body)
            .map_or_else(|_| self.body.clone(), |json| format!("{json:#}"));
        text + "\n\n" + &body
    }
}

/// The events of a stream.
pub(crate) struct EventStream {
    pub(super) body: BodyDataStream,
    pub(super) text: String,
}

impl EventStream {
    /// The text of the next event or comment, without the empty line that ends it; `None` when the stream has
    /// ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = timeout(PATIENCE, self.body.next())
                .await
                .expect("something comes")?;
            self.text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
    }

    /// The number and the kind of the next event.
    pub(crate) async fn next_transition(&mut self) -> (i64, String) {
        let event = self.next().await.unwrap();
        let field = |name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} in {event}")).to_owned()
        };
        (field("id: ").parse().unwrap(), field("event: "))
    }
}
