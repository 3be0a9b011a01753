//! From JSON to a [`Definition`], strictly: every error names the field by its path.

use std::fmt::Display;

use homeward_record::Metric;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Bound, Condition, Definition, Limit, Side};

/// The longest duration a rule may count, in seconds: 31 days. A longer one asks about a trend, which is
/// not what an alert is for.
const LONGEST_SECONDS: u32 = 31 * 24 * 60 * 60;

/// The longest name, in characters: it is the headline of an alert.
const LONGEST_NAME: usize = 80;

/// The longest other text, in characters: a paragraph.
const LONGEST_TEXT: usize = 1_000;

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
    let known = ["name", "severity", "condition", "guidance", "source"];
    let fields = Fields::of(json, "", &known)?;
    Ok(Definition {
        name: fields.text("name", LONGEST_NAME)?,
        severity: fields.required("severity")?,
        condition: condition(fields.value("condition")?, "condition")?,
        guidance: fields.text("guidance", LONGEST_TEXT)?,
        source: fields.text("source", LONGEST_TEXT)?,
    })
}

fn condition(json: &Value, path: &str) -> Result<Condition, DefinitionError> {
    let kind: String = Fields::of_any(json, path)?.required("kind")?;
    match kind.as_str() {
        "threshold" => {
            let fields = Fields::of(json, path, &["kind", "limits", "clear_after_seconds"])?;
            Ok(Condition::Threshold {
                limits: limits(&fields)?,
                clear_after_seconds: fields.seconds_or_zero("clear_after_seconds")?,
            })
        }
        "sustained" => {
            let known = [
                "kind",
                "limits",
                "for_seconds",
                "max_gap_seconds",
                "clear_after_seconds",
            ];
            let fields = Fields::of(json, path, &known)?;
            Ok(Condition::Sustained {
                limits: limits(&fields)?,
                for_seconds: fields.seconds("for_seconds")?,
                max_gap_seconds: fields.seconds("max_gap_seconds")?,
                clear_after_seconds: fields.seconds_or_zero("clear_after_seconds")?,
            })
        }
        other => Err(error(
            format!("{path}.kind"),
            format!("{other:?} is not a kind of condition: expected threshold or sustained"),
        )),
    }
}

fn limits(fields: &Fields<'_>) -> Result<Vec<Limit>, DefinitionError> {
    let path = fields.path("limits");
    let Value::Array(values) = fields.value("limits")? else {
        return Err(error(path, "expected a list"));
    };
    if values.is_empty() {
        return Err(error(path, "expected at least one limit"));
    }
    let mut limits: Vec<Limit> = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let limit = limit(value, &path)?;
        if let Some(other) = limits.iter().find(|other| other.metric == limit.metric) {
            agree(other, &limit, &path)?;
        }
        limits.push(limit);
    }
    Ok(limits)
}

fn limit(json: &Value, path: &str) -> Result<Limit, DefinitionError> {
    let known = ["metric", "below", "at_most", "at_least", "above", "clear"];
    let fields = Fields::of(json, path, &known)?;
    let metric: Metric = fields.required("metric")?;
    let bounds = [
        fields.number("below", metric)?.map(Bound::Below),
        fields.number("at_most", metric)?.map(Bound::AtMost),
        fields.number("at_least", metric)?.map(Bound::AtLeast),
        fields.number("above", metric)?.map(Bound::Above),
    ];
    let mut given = bounds.into_iter().flatten();
    let (Some(bound), None) = (given.next(), given.next()) else {
        return Err(error(
            path,
            "expected exactly one of below, at_most, at_least, above",
        ));
    };
    let clear = fields.number("clear", metric)?;
    if let Some(clear) = clear {
        let right = match bound {
            Bound::Below(bound) => clear >= bound,
            Bound::AtMost(bound) => clear > bound,
            Bound::AtLeast(bound) => clear < bound,
            Bound::Above(bound) => clear <= bound,
        };
        if !right {
            let problem = format!("{clear} breaches the limit itself, so nothing could clear at it");
            return Err(error(fields.path("clear"), problem));
        }
    }
    Ok(Limit { metric, bound, clear })
}

/// Whether two limits of one metric leave room between them, in which both are clear.
fn agree(one: &Limit, other: &Limit, path: &str) -> Result<(), DefinitionError> {
    let (low, high) = match (one.bound.side(), other.bound.side()) {
        (Side::Low, Side::High) => (one, other),
        (Side::High, Side::Low) => (other, one),
        (Side::Low, Side::Low) | (Side::High, Side::High) => {
            let problem = format!("{} has another limit on the same side", other.metric);
            return Err(error(path, problem));
        }
    };
    let healthy_from = low.clear.unwrap_or(low.bound.value());
    let healthy_to = high.clear.unwrap_or(high.bound.value());
    if healthy_from < healthy_to {
        Ok(())
    } else {
        let problem = format!(
            "the limits of {} leave no value at which both are clear",
            low.metric
        );
        Err(error(path, problem))
    }
}

/// The fields of one JSON object and where it stands.
struct Fields<'a> {
    path: &'a str,
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn of_any(json: &'a Value, path: &'a str) -> Result<Fields<'a>, DefinitionError> {
        match json {
            Value::Object(object) => Ok(Fields { path, object }),
            _ if path.is_empty() => Err(error("definition", "expected an object")),
            _ => Err(error(path, "expected an object")),
        }
    }

    fn of(json: &'a Value, path: &'a str, known: &[&str]) -> Result<Fields<'a>, DefinitionError> {
        let fields = Fields::of_any(json, path)?;
        match fields.object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => {
                let problem = format!("unknown field; known here are {}", known.join(", "));
                Err(error(fields.path(unknown), problem))
            }
            None => Ok(fields),
        }
    }

    fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn value(&self, name: &str) -> Result<&'a Value, DefinitionError> {
        self.object
            .get(name)
            .ok_or_else(|| error(self.path(name), "missing"))
    }

    fn required<T: Deserialize<'a>>(&self, name: &str) -> Result<T, DefinitionError> {
        T::deserialize(self.value(name)?).map_err(|source| error(self.path(name), source))
    }

    fn text(&self, name: &str, longest: usize) -> Result<String, DefinitionError> {
        let text: String = self.required(name)?;
        if text.trim().is_empty() {
            return Err(error(self.path(name), "is blank"));
        }
        if text.chars().count() > longest {
            return Err(error(
                self.path(name),
                format!("is longer than {longest} characters"),
            ));
        }
        Ok(text)
    }

    fn number(&self, name: &str, metric: Metric) -> Result<Option<f64>, DefinitionError> {
        if !self.object.contains_key(name) {
            return Ok(None);
        }
        let number: f64 = self.required(name)?;
        let plausible = metric.plausible();
        if plausible.contains(&number) {
            return Ok(Some(number));
        }
        let problem = format!(
            "{number} is no plausible value of {metric}, which is in {} from {} to {}",
            metric.unit(),
            plausible.start(),
            plausible.end()
        );
        Err(error(self.path(name), problem))
    }

    fn seconds(&self, name: &str) -> Result<u32, DefinitionError> {
        match self.required(name)? {
            0 => Err(error(self.path(name), "must be positive")),
            seconds if seconds > LONGEST_SECONDS => Err(error(
                self.path(name),
                format!("is longer than {LONGEST_SECONDS}"),
            )),
            seconds => Ok(seconds),
        }
    }

    fn seconds_or_zero(&self, name: &str) -> Result<u32, DefinitionError> {
        match self.object.get(name) {
            None => Ok(0),
            Some(zero) if zero.as_u64() == Some(0) => Ok(0),
            Some(_) => self.seconds(name),
        }
    }
}

fn error(field: impl Into<String>, problem: impl Display) -> DefinitionError {
    DefinitionError {
        field: field.into(),
        problem: problem.to_string(),
    }
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
            wrong(|json| json["condition"]["kind"] = json!("rate")).starts_with("condition.kind: \"rate\"")
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
        check(json!([]), "condition.limits: expected at least one limit");
        check(json!({}), "condition.limits: expected a list");
        check(json!([3.9]), "condition.limits[0]: expected an object");
        check(
            json!([{"metric": "sugar", "below": 3.9}]),
            "condition.limits[0].metric: unknown variant",
        );
        check(
            json!([{"metric": "glucose"}]),
            "condition.limits[0]: expected exactly one of",
        );
        check(
            json!([{"metric": "glucose", "below": 3.9, "above": 10.0}]),
            "condition.limits[0]: expected exactly one of",
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
