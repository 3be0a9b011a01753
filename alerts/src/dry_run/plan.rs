//! Plans to try, as JSON.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::TrialRule;
use crate::{Definition, DefinitionError, Programme};

/// The most rules of a plan: each is judged over the whole history. Programmes have ten at most.
const MOST_RULES: usize = 100;

/// The longest code, in characters.
const LONGEST_CODE: usize = 100;

impl TrialRule {
    /// Reads a rule with its code, `{"code": "glucose-low", "definition": {…}}`, strictly: an error names the
    /// field, beginning with `path`. The `always_on` of a programme's rule may be there, and changes nothing.
    pub fn parse(json: &Value, path: &str) -> Result<TrialRule, DefinitionError> {
        let error = |field: String, problem: String| Err(DefinitionError { field, problem });
        let Value::Object(fields) = json else {
            return error(path.to_owned(), "expected an object".to_owned());
        };
        let known = ["code", "definition", "always_on"];
        if let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            let problem = format!("unknown field; known here are {}", known.join(", "));
            return error(format!("{path}.{unknown}"), problem);
        }
        let code = match fields.get("code") {
            Some(Value::String(code)) if !code.trim().is_empty() => code,
            Some(_) => return error(format!("{path}.code"), "expected a text".to_owned()),
            None => return error(format!("{path}.code"), "missing".to_owned()),
        };
        if code.chars().count() > LONGEST_CODE {
            let problem = format!("is longer than {LONGEST_CODE} characters");
            return error(format!("{path}.code"), problem);
        }
        let Some(definition) = fields.get("definition") else {
            return error(format!("{path}.definition"), "missing".to_owned());
        };
        let definition = Definition::parse(definition).map_err(|error| DefinitionError {
            field: format!("{path}.definition.{}", error.field),
            ..error
        })?;
        Ok(TrialRule {
            code: code.as_str().into(),
            definition: Arc::new(definition),
        })
    }

    /// Reads a plan: a list of rules, in which a code stands once.
    pub fn parse_plan(json: &Value, path: &str) -> Result<Vec<TrialRule>, DefinitionError> {
        let error = |field: String, problem: String| Err(DefinitionError { field, problem });
        let rules = match json {
            Value::Array(rules) if rules.is_empty() => {
                return error(path.to_owned(), "expected at least one rule".to_owned());
            }
            Value::Array(rules) if rules.len() > MOST_RULES => {
                return error(path.to_owned(), format!("has more than {MOST_RULES} rules"));
            }
            Value::Array(rules) => rules,
            _ => return error(path.to_owned(), "expected a list of rules".to_owned()),
        };
        let mut plan: Vec<TrialRule> = Vec::with_capacity(rules.len());
        let mut codes = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let rule = TrialRule::parse(rule, &path)?;
            if !codes.insert(Arc::clone(&rule.code)) {
                let problem = format!("{} is the code of an earlier rule", rule.code);
                return error(format!("{path}.code"), problem);
            }
            plan.push(rule);
        }
        Ok(plan)
    }

    /// The rules of a programme.
    pub fn of_programme(programme: &Programme) -> Vec<TrialRule> {
        let rule = |rule: &crate::ProgrammeRule| TrialRule {
            code: rule.code.as_str().into(),
            definition: Arc::new(rule.definition.clone()),
        };
        programme.rules.iter().map(rule).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn low() -> Value {
        json!({
            "code": "low",
            "definition": {
                "name": "Glucose low", "severity": "low", "guidance": "None.", "source": "A test.",
                "condition": {"kind": "threshold", "limits": [{"metric": "glucose", "below": 3.9}]},
            },
        })
    }

    #[test]
    fn a_programme_can_be_written_as_a_plan() {
        let programme = Programme::named("diabetes-type-1").unwrap();
        let rules = serde_json::to_value(&programme.rules).unwrap();
        let plan = TrialRule::parse_plan(&rules, "plan").unwrap();
        assert_eq!(plan.len(), programme.rules.len());
        for (one, other) in plan.iter().zip(TrialRule::of_programme(programme)) {
            assert_eq!((&one.code, &one.definition), (&other.code, &other.definition));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |plan: Value, expected: &str| {
            let error = TrialRule::parse_plan(&plan, "plan").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        let with = |change: fn(&mut Value)| {
            let mut second = low();
            second["code"] = json!("other");
            change(&mut second);
            json!([low(), second])
        };
        check(json!({}), "plan: expected a list of rules");
        check(json!([]), "plan: expected at least one rule");
        check(json!(vec![low(); 101]), "plan: has more than 100 rules");
        check(json!([low(), 1]), "plan[1]: expected an object");
        check(
            json!([low(), low()]),
            "plan[1].code: low is the code of an earlier rule",
        );
        check(
            with(|rule| rule["code"] = json!("")),
            "plan[1].code: expected a text",
        );
        check(
            with(|rule| rule["code"] = json!("c".repeat(101))),
            "plan[1].code: is longer than 100 characters",
        );
        check(
            with(|rule| drop(rule.as_object_mut().unwrap().remove("code"))),
            "plan[1].code: missing",
        );
        check(
            with(|rule| drop(rule.as_object_mut().unwrap().remove("definition"))),
            "plan[1].definition: missing",
        );
        check(
            with(|rule| rule["name"] = json!("Low")),
            "plan[1].name: unknown field; known here are code, definition, always_on",
        );
        check(
            with(|rule| rule["definition"]["condition"]["limits"][0]["below"] = json!(70)),
            "plan[1].definition.condition.limits[0].below: 70 is no plausible value of glucose",
        );
    }
}
