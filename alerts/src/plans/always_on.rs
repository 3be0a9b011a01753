//! What a plan may not take from a rule that is always on.
//!
//! Such a rule is there because nobody should be able to switch it off, and there are many ways to do that without
//! leaving it out: a bound that nothing reaches, an alert that nobody is told of, one that never clears and so never
//! is raised again. So whatever the programme's rule raises must be raised, told and told again no later by the
//! adjusted one. What it is called, and what it suggests, is the team's.

use homeward_store::outbox::DEFAULT_ESCALATION;

use crate::kinds::{Condition, Threshold};
use crate::limit::comparable;
use crate::{Bound, Definition, DefinitionError, Limit, Side};

/// Makes sure that `adjusted` is no less strict than `base`.
///
/// - The severity, the kind of condition, and the metrics and sides of its limits stay as they are.
/// - A bound may only be moved so that whatever was beyond it still is, and no farther than to where the programme's
///   rule clears. There is no further limit: an alert for it would be open while the first one is passed.
/// - The way from the bound to `clear`, and `clear_after_seconds`, may only get less: an alert that does not clear
///   is not raised again. So it is also with a bound that is beyond what people have when they are well.
/// - Each role is told no later, and everything is told again no less often, and to the same role in the end.
///
/// A condition of another kind than a threshold stays as it is.
pub(super) fn check(base: &Definition, adjusted: &Definition) -> Result<(), DefinitionError> {
    if adjusted.severity != base.severity {
        return Err(error("severity", format!("must stay {}", base.severity)));
    }
    match (&base.condition, &adjusted.condition) {
        (Condition::Threshold(base), Condition::Threshold(adjusted)) => check_threshold(base, adjusted)?,
        (base, adjusted) if base == adjusted => {}
        _ => return Err(error("condition", "must stay as the programme has it")),
    }
    check_escalation(base, adjusted)?;
    if base
        .repeat_seconds
        .is_some_and(|most| adjusted.repeat_seconds.is_none_or(|repeat| repeat > most))
    {
        let most = base.repeat_seconds.unwrap_or(0);
        let problem = format!("must be there, and at most {most}");
        return Err(error("repeat_seconds", problem));
    }
    Ok(())
}

fn check_threshold(base: &Threshold, adjusted: &Threshold) -> Result<(), DefinitionError> {
    let same =
        |one: &Limit, other: &Limit| one.metric == other.metric && one.bound.side() == other.bound.side();
    let pairs: Vec<(usize, &Limit, &Limit)> = base
        .limits
        .iter()
        .filter_map(|limit| {
            let index = adjusted.limits.iter().position(|other| same(limit, other))?;
            Some((index, limit, &adjusted.limits[index]))
        })
        .collect();
    if pairs.len() != base.limits.len() || adjusted.limits.len() != base.limits.len() {
        let problem = "must have the limits that the programme has, and no others";
        return Err(error("condition.limits", problem));
    }
    for (index, base, adjusted) in pairs {
        let field = |name: &str| format!("condition.limits[{index}].{name}");
        if !covers(adjusted.bound, base.bound, base) {
            let (name, value) = (name(base.bound), base.bound.value());
            return Err(error(
                field(self::name(adjusted.bound)),
                format!("must be no less strict than {name} {value}"),
            ));
        }
        if !reaches_no_farther(adjusted.bound, base) {
            let farthest = base.clear.unwrap_or(base.bound.value());
            let problem = format!("must be no farther than {farthest}, or the alert would not clear");
            return Err(error(field(self::name(adjusted.bound)), problem));
        }
        if way_to_clear(adjusted) > way_to_clear(base) {
            let problem = format!("must be no farther than {} from the bound", way_to_clear(base));
            return Err(error(field("clear"), problem));
        }
    }
    if adjusted.clear_after_seconds > base.clear_after_seconds {
        let problem = format!("must be at most {}", base.clear_after_seconds);
        return Err(error("condition.clear_after_seconds", problem));
    }
    Ok(())
}

/// Whether all that is beyond `inner` is beyond `outer`, which is of the same metric and side.
fn covers(outer: Bound, inner: Bound, limit: &Limit) -> bool {
    let number = |bound: Bound| comparable(limit.metric, bound.value());
    let (outer_number, inner_number) = (number(outer), number(inner));
    let with_the_number = |bound| matches!(bound, Bound::AtMost(_) | Bound::AtLeast(_));
    let farther_out = match limit.bound.side() {
        Side::Low => outer_number > inner_number,
        Side::High => outer_number < inner_number,
    };
    farther_out || (outer_number == inner_number && (with_the_number(outer) || !with_the_number(inner)))
}

/// Whether a bound of the same metric and side is no farther than where the base clears.
fn reaches_no_farther(bound: Bound, base: &Limit) -> bool {
    let number = |value: f64| comparable(base.metric, value);
    let farthest = number(base.clear.unwrap_or(base.bound.value()));
    match base.bound.side() {
        Side::Low => number(bound.value()) <= farthest,
        Side::High => number(bound.value()) >= farthest,
    }
}

fn way_to_clear(limit: &Limit) -> f64 {
    let way = limit.clear.map_or(0.0, |clear| clear - limit.bound.value());
    // Without the noise of the arithmetic.
    (way.abs() * 1e6).round() / 1e6
}

fn check_escalation(base: &Definition, adjusted: &Definition) -> Result<(), DefinitionError> {
    let (base, adjusted) = (levels(base), levels(adjusted));
    for (after, role) in &base {
        if !adjusted.iter().any(|(other, to)| to == role && other <= after) {
            let problem = format!("must tell the {role} after {after} seconds at the latest");
            return Err(error("escalation", problem));
        }
    }
    // What is told again is told to the role of the latest level.
    let Some((after, role)) = base.last() else {
        return Ok(());
    };
    let latest = adjusted.iter().rposition(|(other, _)| other <= after);
    let again = adjusted.iter().skip(latest.unwrap_or(0));
    if again.into_iter().any(|(_, to)| to != role) {
        let problem = format!("must tell the {role}, and nobody else, from {after} seconds on");
        return Err(error("escalation", problem));
    }
    Ok(())
}

/// After how many seconds which role is told.
fn levels(definition: &Definition) -> Vec<(u32, &'static str)> {
    match &definition.escalation {
        Some(levels) => levels
            .iter()
            .map(|level| (level.after_seconds, level.to.as_str()))
            .collect(),
        None => DEFAULT_ESCALATION
            .iter()
            .filter(|default| default.severity == definition.severity.as_str())
            .flat_map(|default| default.levels.iter().copied())
            .collect(),
    }
}

fn name(bound: Bound) -> &'static str {
    match bound {
        Bound::Below(_) => "below",
        Bound::AtMost(_) => "at_most",
        Bound::AtLeast(_) => "at_least",
        Bound::Above(_) => "above",
    }
}

fn error(field: impl Into<String>, problem: impl std::fmt::Display) -> DefinitionError {
    DefinitionError {
        field: field.into(),
        problem: format!("{problem}, since the rule is always on"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Programme;

    /// What is said of very low glucose when `change` is made to it.
    fn said(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let programme = Programme::named("diabetes-type-1").unwrap();
        let base = &programme.rules[0];
        assert!(base.always_on);
        let mut json = serde_json::to_value(&base.definition).unwrap();
        change(&mut json);
        let adjusted = Definition::parse(&json).unwrap();
        check(&base.definition, &adjusted).map_err(|error| error.to_string())
    }

    fn limits(limits: Value) -> Result<(), String> {
        said(|json| json["condition"]["limits"] = limits)
    }

    #[test]
    fn it_may_be_made_stricter_and_told_in_other_words() {
        assert_eq!(said(|_| {}), Ok(()));
        assert_eq!(
            said(|json| {
                json["name"] = json!("Glucose very low: call the daughter");
                json["guidance"] = json!("Call.");
                json["repeat_seconds"] = json!(600);
                json["escalation"] = json!([{"after_seconds": 0, "to": "team"}, {"after_seconds": 300, "to": "lead"},
                    {"after_seconds": 600, "to": "on_call"}]);
            }),
            Ok(())
        );
        for limit in [
            json!({"below": 3.5, "clear": 4.4}),
            json!({"below": 3.0}),
            json!({"below": 3.0, "clear": 3.2}),
            json!({"at_most": 3.0, "clear": 3.9}),
            json!({"below": 3.9, "clear": 4.8}),
            json!({"below": 3.9}),
            // 54 mg/dL.
            json!({"below": 2.996_970, "clear": 3.8}),
        ] {
            let mut limit = limit;
            limit["metric"] = json!("glucose");
            assert_eq!(limits(json!([limit])), Ok(()), "{limit}");
        }
    }

    #[test]
    fn it_may_not_be_made_laxer() {
        let check = |limit: Value, expected: &str| {
            let mut limit = limit;
            limit["metric"] = json!("glucose");
            let expected = format!("{expected}, since the rule is always on");
            assert_eq!(limits(json!([limit])), Err(expected), "{limit}");
        };
        check(
            json!({"below": 2.9, "clear": 3.5}),
            "condition.limits[0].below: must be no less strict than below 3",
        );
        check(
            json!({"at_most": 2.9}),
            "condition.limits[0].at_most: must be no less strict than below 3",
        );
        check(
            json!({"below": 3.0, "clear": 20.0}),
            "condition.limits[0].clear: must be no farther than 0.9 from the bound",
        );
        // One alert that never clears, and so is never raised again.
        check(
            json!({"below": 50, "clear": 50}),
            "condition.limits[0].below: must be no farther than 3.9, or the alert would not clear",
        );
        check(
            json!({"at_most": 4.0}),
            "condition.limits[0].at_most: must be no farther than 3.9, or the alert would not clear",
        );
        check(
            json!({"below": 3.9, "clear": 4.9}),
            "condition.limits[0].clear: must be no farther than 0.9 from the bound",
        );
        check(
            json!({"above": 3.0}),
            "condition.limits: must have the limits that the programme has, and no others",
        );
        let low = json!({"metric": "glucose", "below": 3.0});
        for others in [
            json!([low, {"metric": "glucose", "above": 13.9}]),
            json!([{"metric": "spo2", "below": 90}]),
        ] {
            assert!(
                limits(others)
                    .unwrap_err()
                    .starts_with("condition.limits: must have")
            );
        }
    }

    #[test]
    fn it_must_be_told_as_soon_and_as_often() {
        let check = |change: fn(&mut Value), expected: &str| {
            let expected = format!("{expected}, since the rule is always on");
            assert_eq!(said(change), Err(expected));
        };
        check(
            |json| json["severity"] = json!("medium"),
            "severity: must stay high",
        );
        check(
            |json| {
                json["condition"] = json!({"kind": "sustained", "limits": [{"metric": "glucose", "below": 3.5}],
                    "for_seconds": 60, "max_gap_seconds": 600});
            },
            "condition: must stay as the programme has it",
        );
        check(
            |json| json["condition"]["clear_after_seconds"] = json!(60),
            "condition.clear_after_seconds: must be at most 0",
        );
        check(
            |json| json["repeat_seconds"] = json!(901),
            "repeat_seconds: must be there, and at most 900",
        );
        check(
            |json| drop(json.as_object_mut().unwrap().remove("repeat_seconds")),
            "repeat_seconds: must be there, and at most 900",
        );
        check(
            |json| json["escalation"] = json!([{"after_seconds": 0, "to": "lead"}]),
            "escalation: must tell the team after 0 seconds at the latest",
        );
        check(
            |json| {
                json["escalation"] = json!([{"after_seconds": 0, "to": "team"}, {"after_seconds": 901, "to": "lead"},
                    {"after_seconds": 3600, "to": "on_call"}]);
            },
            "escalation: must tell the lead after 900 seconds at the latest",
        );
    }

    #[test]
    fn it_must_be_told_again_to_the_same_role() {
        let escalation = |levels: &[(u32, &str)]| {
            let levels = levels.iter();
            let levels = levels.map(|(after, to)| json!({"after_seconds": after, "to": to}));
            let levels: Value = levels.collect();
            said(|json| json["escalation"] = levels)
        };
        for levels in [
            &[(0, "team"), (900, "lead"), (3600, "on_call"), (7200, "on_call")][..],
            &[(0, "team"), (60, "on_call"), (900, "lead"), (1800, "on_call")],
        ] {
            assert_eq!(escalation(levels), Ok(()), "{levels:?}");
        }
        for levels in [
            &[(0, "team"), (900, "lead"), (3600, "on_call"), (3601, "team")][..],
            // The lead would be told again until two hours are over.
            &[(0, "team"), (60, "on_call"), (900, "lead"), (7200, "on_call")],
            &[
                (0, "team"),
                (900, "lead"),
                (3600, "on_call"),
                (3700, "team"),
                (7200, "on_call"),
            ],
        ] {
            let expected = "escalation: must tell the on_call, and nobody else, from 3600 seconds on";
            let expected = format!("{expected}, since the rule is always on");
            assert_eq!(escalation(levels), Err(expected), "{levels:?}");
        }
    }

    #[test]
    fn a_high_bound_goes_no_lower_than_to_where_it_clears() {
        let of = |limit: Value| {
            let condition = json!({"kind": "threshold", "limits": [limit]});
            crate::testing::rule(condition)
        };
        let base = of(json!({"metric": "systolic", "at_least": 180, "clear": 175}));
        for (bound, good) in [(180, true), (175, true), (174, false), (40, false)] {
            let adjusted = of(json!({"metric": "systolic", "at_least": bound}));
            assert_eq!(check(&base, &adjusted).is_ok(), good, "{bound}");
        }
    }
}
