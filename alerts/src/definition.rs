use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::Condition;
use crate::{DefinitionError, Severity, parse};

/// What a rule of a care plan says. In JSON:
///
/// ```json
/// {
///   "name": "Glucose low",
///   "severity": "medium",
///   "condition": {
///     "kind": "sustained",
///     "limits": [{"metric": "glucose", "below": 3.9}],
///     "for_seconds": 900,
///     "max_gap_seconds": 1800,
///     "clear_after_seconds": 900
///   },
///   "guidance": "Check that the patient has treated the low glucose, and measure again.",
///   "source": "International Consensus on Time in Range, 2019"
/// }
/// ```
///
/// A value of this type came through [`Definition::parse`], so it keeps what is demanded there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
#[non_exhaustive]
pub struct Definition {
    /// What the care team sees it called, in a few words.
    pub name: String,
    /// How urgently its episodes ask for attention.
    pub severity: Severity,
    /// When it raises an episode, and when it clears it.
    pub condition: Condition,
    /// What the plan suggests to do, in plain English.
    pub guidance: String,
    /// Where the numbers come from, and which of them are choices of this product.
    pub source: String,
    /// Who is told of an episode, and when, until somebody acknowledges it; without it, the default of the
    /// severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Vec<Level>>,
    /// How often, in seconds, the last level that was told is told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_seconds: Option<u32>,
}

/// A level of escalation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// After how long without an acknowledgement, in seconds.
    pub after_seconds: u32,
    /// Who is told.
    pub to: Role,
}

/// Who is told of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The care team.
    Team,
    /// Its lead.
    Lead,
    /// Whoever is on call.
    OnCall,
}

impl Role {
    /// The name in rules and in the record, the same as its serde form.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Team => "team",
            Role::Lead => "lead",
            Role::OnCall => "on_call",
        }
    }
}

impl Definition {
    /// Reads a definition. Strict: an unknown, missing or senseless field is an error that names it.
    ///
    /// Demanded are texts that are not blank and not overlong, at least one limit, at most one limit per
    /// metric and side, bounds within [`Metric::plausible`] (a bound outside was meant in another unit),
    /// `clear` on the healthy side of its bound and within the metric's other limit, and durations of a
    /// second to a month (`clear_after_seconds` may be 0).
    pub fn parse(json: &Value) -> Result<Definition, DefinitionError> {
        parse::definition(json)
    }

    /// The metrics that the rule looks at, each once. Readings of others change nothing.
    pub fn metrics(&self) -> Vec<Metric> {
        self.condition.metrics()
    }
}

impl TryFrom<Value> for Definition {
    type Error = DefinitionError;

    fn try_from(json: Value) -> Result<Definition, DefinitionError> {
        Definition::parse(&json)
    }
}
