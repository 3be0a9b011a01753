use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How urgently an episode asks for attention, most urgent first.
///
/// The words are the alarm priorities of IEC 60601-1-8 (high, medium, low) and its information signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A team should respond at once.
    High,
    /// A team should respond soon.
    Medium,
    /// A team should know.
    Low,
    /// Nothing to respond to.
    Info,
}

impl Severity {
    /// The name in the record and in the API, the same as its serde form.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
            Severity::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_serde_form() {
        for severity in [Severity::High, Severity::Medium, Severity::Low, Severity::Info] {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
    }
}
