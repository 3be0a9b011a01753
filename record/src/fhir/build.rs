//! Parts that resources are made of.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value as Json, json};

/// A time in UTC, to the microsecond where it has one.
pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// One coding of a concept.
pub(super) fn coding(system: &str, code: &str, display: &str) -> Json {
    json!({"system": system, "code": code, "display": display})
}

/// A concept with one coding.
pub(super) fn concept(system: &str, code: &str, display: &str) -> Json {
    json!({"coding": [coding(system, code, display)]})
}

/// A reference to a resource of this server: `Patient/1001`.
pub(super) fn reference(kind: &str, id: impl std::fmt::Display) -> Json {
    json!({"reference": format!("{kind}/{id}")})
}

/// Sets an element where there is something to say.
pub(super) fn set(resource: &mut Json, element: &str, value: Option<Json>) {
    if let Some(value) = value {
        resource[element] = value;
    }
}
