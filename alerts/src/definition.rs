use chrono::TimeDelta;
use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DefinitionError, Point, Severity, parse};

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
}

/// When a rule raises an episode, and when it clears it. Tagged by `kind` in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// One reading beyond any of the limits.
    Threshold {
        /// The limits; any one suffices.
        limits: Vec<Limit>,
        /// How long readings must have been back within `clear` before the episode clears, in seconds;
        /// 0, the default: the first such reading clears it.
        clear_after_seconds: u32,
    },
    /// Readings beyond one and the same limit for a time.
    Sustained {
        /// The limits; any one suffices.
        limits: Vec<Limit>,
        /// How long, in seconds, from the first to the latest of an unbroken series of breaching readings.
        for_seconds: u32,
        /// The longest time between two readings, in seconds, over which the series is unbroken. After a
        /// longer gap the count starts anew, since nobody knows what happened in it.
        max_gap_seconds: u32,
        /// As for a threshold.
        clear_after_seconds: u32,
    },
}

/// A bound of one metric, with its hysteresis. In JSON: `{"metric": "glucose", "below": 3.0, "clear": 3.9}`,
/// where `below` may be `at_most`, `at_least` or `above`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// What is limited.
    pub metric: Metric,
    /// Where a value breaches it.
    #[serde(flatten)]
    pub bound: Bound,
    /// The value, in the metric's unit, at which an open episode clears: at it or on its healthy side. A
    /// value between this and the bound neither breaches nor clears. Without it, whatever does not breach
    /// clears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
}

/// Where a value breaches a limit; numbers in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Lower than the number.
    Below(f64),
    /// The number or lower.
    AtMost(f64),
    /// The number or higher.
    AtLeast(f64),
    /// Higher than the number.
    Above(f64),
}

/// The direction in which a limit is breached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Too low.
    Low,
    /// Too high.
    High,
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
        let mut metrics: Vec<Metric> = self.condition.limits().iter().map(|limit| limit.metric).collect();
        metrics.sort_unstable();
        metrics.dedup();
        metrics
    }

    /// The limit that a point breaches. At most one does: the limits of one metric do not overlap.
    pub(crate) fn breached_by(&self, point: &Point) -> Option<&Limit> {
        self.condition
            .limits()
            .iter()
            .find(|limit| limit.metric == point.metric && limit.bound.is_breached_by(point.value))
    }

    /// The point that is further beyond its bound, relative to the bound so that metrics compare; the
    /// first if they are equal.
    pub(crate) fn worse(&self, first: Point, second: Point) -> Point {
        let excess = |point: &Point| {
            self.breached_by(point)
                .map_or(f64::NEG_INFINITY, |limit| limit.bound.excess(point.value))
        };
        if excess(&second) > excess(&first) {
            second
        } else {
            first
        }
    }
}

impl TryFrom<Value> for Definition {
    type Error = DefinitionError;

    fn try_from(json: Value) -> Result<Definition, DefinitionError> {
        Definition::parse(&json)
    }
}

impl Condition {
    /// The limits, any of which suffices.
    pub fn limits(&self) -> &[Limit] {
        match self {
            Condition::Threshold { limits, .. } | Condition::Sustained { limits, .. } => limits,
        }
    }

    pub(crate) fn timing(&self) -> Timing {
        let seconds = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
        match *self {
            Condition::Threshold {
                clear_after_seconds, ..
            } => Timing {
                hold: TimeDelta::zero(),
                max_gap: TimeDelta::MAX,
                clear_after: seconds(clear_after_seconds),
            },
            Condition::Sustained {
                for_seconds,
                max_gap_seconds,
                clear_after_seconds,
                ..
            } => Timing {
                hold: seconds(for_seconds),
                max_gap: seconds(max_gap_seconds),
                clear_after: seconds(clear_after_seconds),
            },
        }
    }
}

/// How long a condition's parts take. A threshold is a sustained condition that holds at once and knows
/// no gap.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) hold: TimeDelta,
    pub(crate) max_gap: TimeDelta,
    pub(crate) clear_after: TimeDelta,
}

impl Limit {
    /// Whether a value is back: not breaching, and at `clear` or on its healthy side.
    pub(crate) fn is_cleared_by(&self, value: f64) -> bool {
        let back = match (self.clear, self.bound.side()) {
            (None, _) => true,
            (Some(clear), Side::Low) => value >= clear,
            (Some(clear), Side::High) => value <= clear,
        };
        back && !self.bound.is_breached_by(value)
    }
}

impl Bound {
    /// The number, in the metric's unit.
    pub fn value(self) -> f64 {
        let (Bound::Below(bound) | Bound::AtMost(bound) | Bound::AtLeast(bound) | Bound::Above(bound)) = self;
        bound
    }

    /// The direction in which it is breached.
    pub fn side(self) -> Side {
        match self {
            Bound::Below(_) | Bound::AtMost(_) => Side::Low,
            Bound::AtLeast(_) | Bound::Above(_) => Side::High,
        }
    }

    /// Whether a value is beyond it.
    pub fn is_breached_by(self, value: f64) -> bool {
        match self {
            Bound::Below(bound) => value < bound,
            Bound::AtMost(bound) => value <= bound,
            Bound::AtLeast(bound) => value >= bound,
            Bound::Above(bound) => value > bound,
        }
    }

    /// How far a breaching value is beyond it, as a share of the bound; of a bound of zero, in its unit.
    fn excess(self, value: f64) -> f64 {
        let bound = self.value();
        let scale = if bound == 0.0 { 1.0 } else { bound.abs() };
        (value - bound).abs() / scale
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_and_clear_values() {
        let check = |bound: Bound, clear, value, breached, cleared| {
            let limit = Limit {
                metric: Metric::Glucose,
                bound,
                clear,
            };
            assert_eq!(bound.is_breached_by(value), breached, "{bound:?} {value}");
            assert_eq!(limit.is_cleared_by(value), cleared, "{limit:?} {value}");
        };
        check(Bound::Below(3.0), Some(3.9), 2.9, true, false);
        check(Bound::Below(3.0), Some(3.9), 3.0, false, false);
        check(Bound::Below(3.0), Some(3.9), 3.8, false, false);
        check(Bound::Below(3.0), Some(3.9), 3.9, false, true);
        check(Bound::Below(3.0), None, 3.0, false, true);
        check(Bound::AtMost(3.0), None, 3.0, true, false);
        check(Bound::AtMost(3.0), None, 3.1, false, true);
        check(Bound::AtLeast(10.0), Some(9.0), 10.0, true, false);
        check(Bound::AtLeast(10.0), Some(9.0), 9.5, false, false);
        check(Bound::AtLeast(10.0), Some(9.0), 9.0, false, true);
        check(Bound::Above(10.0), Some(10.0), 10.1, true, false);
        check(Bound::Above(10.0), Some(10.0), 10.0, false, true);
        check(Bound::Above(10.0), None, 10.0, false, true);
    }

    #[test]
    fn a_definition_survives_json() {
        let json = json!({
            "name": "Blood pressure very high",
            "severity": "high",
            "condition": {
                "kind": "threshold",
                "limits": [
                    {"metric": "systolic", "at_least": 180.0, "clear": 175.0},
                    {"metric": "diastolic", "at_least": 120.0},
                ],
                "clear_after_seconds": 0,
            },
            "guidance": "Repeat the measurement now.",
            "source": "NICE NG136",
        });
        let definition = Definition::parse(&json).unwrap();
        assert_eq!(serde_json::to_value(&definition).unwrap(), json);
        assert_eq!(serde_json::from_value::<Definition>(json).unwrap(), definition);
        assert_eq!(definition.metrics(), [Metric::Systolic, Metric::Diastolic]);
    }
}
