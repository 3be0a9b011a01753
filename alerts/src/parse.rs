//! From JSON to a [`Definition`], strictly: every error names the field by its path.

mod condition;
mod fields;

use serde::Deserialize;
use serde_json::Value;

use self::fields::{Fields, error};
use crate::definition::Level;
use crate::{Definition, kinds::Condition};

/// The longest name, in characters: it is the headline of an alert.
const LONGEST_NAME: usize = 80;

/// The longest other text, in characters: a paragraph.
const LONGEST_TEXT: usize = 1_000;

/// The most levels of escalation.
const MOST_LEVELS: usize = 8;

/// How often a level may be told again, in seconds: from a minute to a day.
const REPEAT_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;

/// Why a JSON value is not a rule definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct DefinitionError {
    /// The path of the field, such as `condition.limits[1].clear`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

pub(crate) fn definition(json: &Value) -> Result<Definition, DefinitionError> {
    let known = [
        "name",
        "severity",
        "condition",
        "guidance",
        "source",
        "escalation",
        "repeat_seconds",
    ];
    let fields = Fields::of(json, "", &known)?;
    Ok(Definition {
        name: fields.text("name", LONGEST_NAME)?,
        severity: fields.required("severity")?,
        condition: condition(fields.value("condition")?)?,
        guidance: fields.text("guidance", LONGEST_TEXT)?,
        source: fields.text("source", LONGEST_TEXT)?,
        escalation: escalation(&fields)?,
        repeat_seconds: fields.optional_within("repeat_seconds", REPEAT_SECONDS)?,
    })
}

pub(crate) fn condition(json: &Value) -> Result<Condition, DefinitionError> {
    condition::condition(json, "condition")
}

fn escalation(fields: &Fields<'_>) -> Result<Option<Vec<Level>>, DefinitionError> {
    if fields.given("escalation").is_none() {
        return Ok(None);
    }
    let levels = fields.list("escalation", |value, path| {
        Level::deserialize(value).map_err(|source| error(path, source))
    })?;
    let path = || fields.path("escalation");
    if levels.len() > MOST_LEVELS {
        return Err(error(path(), format!("more than {MOST_LEVELS} levels")));
    }
    if !levels.is_sorted_by(|one, next| one.after_seconds < next.after_seconds) {
        return Err(error(path(), "each level must come later than the one before"));
    }
    Ok(Some(levels))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn low_glucose() -> Value {
        json!({
            "name": "Glucose low",
            "severity": "medium",
            "condition": {
                "kind": "sustained",
                "limits": [{"metric": "glucose", "below": 3.9, "clear": 4.2}],
                "for_seconds": 900,
                "max_gap_seconds": 1800,
            },
            "guidance": "Measure again.",
            "source": "A test.",
        })
    }

    /// The error after `change` was made to a right definition.
    fn wrong(change: impl FnOnce(&mut Value)) -> String {
        let mut json = low_glucose();
        change(&mut json);
        Definition::parse(&json).unwrap_err().to_string()
    }

    #[test]
    fn the_shape_is_strict() {
        assert!(Definition::parse(&low_glucose()).is_ok());
        assert_eq!(
            Definition::parse(&json!([])).unwrap_err().to_string(),
            "definition: expected an object"
        );
        let unknown = wrong(|json| json["colour"] = json!("red"));
        assert!(unknown.starts_with("colour: unknown field; known here are name, severity"));
        assert_eq!(wrong(|json| json["name"] = json!(" ")), "name: is blank");
        assert_eq!(
            wrong(|json| json["name"] = json!("n".repeat(81))),
            "name: is longer than 80 characters"
        );
        assert!(wrong(|json| json["severity"] = json!("urgent")).starts_with("severity: unknown variant"));
        assert_eq!(
            wrong(|json| drop(json.as_object_mut().unwrap().remove("source"))),
            "source: missing"
        );
        assert!(
            wrong(|json| json["condition"]["kind"] = json!("mood")).starts_with("condition.kind: \"mood\"")
        );
        let foreign = wrong(|json| json["condition"]["kind"] = json!("threshold"));
        assert!(foreign.starts_with("condition.for_seconds: unknown field"));
    }

    #[test]
    fn durations_are_checked() {
        let with = |name: &'static str, value: Value| wrong(move |json| json["condition"][name] = value);
        assert_eq!(
            with("for_seconds", json!(0)),
            "condition.for_seconds: must be positive"
        );
        assert!(with("for_seconds", json!(-1)).starts_with("condition.for_seconds: invalid value"));
        assert!(with("for_seconds", json!("15m")).starts_with("condition.for_seconds: invalid type"));
        assert_eq!(
            with("max_gap_seconds", json!(0)),
            "condition.max_gap_seconds: must be positive"
        );
        assert_eq!(
            with("clear_after_seconds", json!(2_678_401)),
            "condition.clear_after_seconds: is longer than 2678400"
        );
    }

    #[test]
    fn limits_are_checked() {
        let check = |limits: Value, expected: &str| {
            let error = wrong(|json| json["condition"]["limits"] = limits);
            assert!(error.starts_with(expected), "{error}");
        };
        check(json!([]), "condition.limits: expected at least one");
        check(json!({}), "condition.limits: expected a list");
        check(json!([3.9]), "condition.limits[0]: expected an object");
        check(
            json!([{"metric": "sugar", "below": 3.9}]),
            "condition.limits[0].metric: unknown variant",
        );
        check(
            json!([{"metric": "glucose"}]),
            "condition.limits[0]: expected exactly one of below",
        );
        check(
            json!([{"metric": "glucose", "below": 3.9, "above": 10.0}]),
            "condition.limits[0]: expected exactly one of below",
        );
        check(
            json!([{"metric": "glucose", "below": "3.9"}]),
            "condition.limits[0].below: invalid type",
        );
        check(
            json!([{"metric": "glucose", "below": 70}]),
            "condition.limits[0].below: 70 is no plausible value of glucose, which is in mmol/L from 0.5 to 50",
        );
        check(
            json!([{"metric": "glucose", "below": 3.9, "clear": 3.8}]),
            "condition.limits[0].clear: 3.8 breaches the limit itself",
        );
        check(
            json!([{"metric": "glucose", "at_most": 3.9, "clear": 3.9}]),
            "condition.limits[0].clear: 3.9 breaches",
        );
        check(
            json!([{"metric": "glucose", "at_least": 10, "clear": 10}]),
            "condition.limits[0].clear: 10 breaches",
        );
        check(
            json!([{"metric": "glucose", "above": 10, "clear": 10.5}]),
            "condition.limits[0].clear: 10.5 breaches",
        );
        check(
            json!([{"metric": "glucose", "below": 3.9}, {"metric": "glucose", "at_most": 3.0}]),
            "condition.limits[1]: glucose has another limit on the same side",
        );
        check(
            json!([{"metric": "glucose", "above": 5}, {"metric": "glucose", "below": 6}]),
            "condition.limits[1]: the limits of glucose leave no value at which both are clear",
        );
        check(
            json!([{"metric": "glucose", "above": 10, "clear": 4}, {"metric": "glucose", "below": 3, "clear": 4.5}]),
            "condition.limits[1]: the limits of glucose leave no value",
        );
    }
}
