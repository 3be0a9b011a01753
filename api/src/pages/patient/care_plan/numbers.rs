//! The numbers of a rule that a form sets: limits, durations, counts. Each is found again by its path in the definition,
//! which is what an error about it names.

use homeward_alerts::metric_in_words;
use homeward_record::Metric;
use serde_json::{Number, Value, json};

use crate::pages::Form;
use crate::pages::problems::Problems;

/// A number of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// Where it stands in the definition: `condition.limits[0].below`.
    pub(super) path: String,
    pub(super) label: String,
    pub(super) unit: &'static str,
    /// The number, in that unit.
    number: f64,
    /// What one of the unit is in the definition.
    factor: f64,
    /// Whether the definition has whole numbers there.
    whole: bool,
}

/// What a number is in.
#[derive(Clone, Copy)]
enum In {
    Seconds,
    Count,
    Percent,
    /// The unit of the rule's metric.
    Metric,
}

/// The numbers beside limits, in the order in which one reads them.
const NUMBERS: [(&str, &str, In); 22] = [
    ("fall_per_minute", "Falls each minute by", In::Metric),
    ("rise_per_minute", "Rises each minute by", In::Metric),
    ("toward", "Towards", In::Metric),
    ("ahead_seconds", "Which it would reach within", In::Seconds),
    ("total_at_least", "Total from which it is raised", In::Count),
    (
        "single_at_least",
        "Score of one parameter from which it is raised",
        In::Count,
    ),
    (
        "scale",
        "Scale for oxygen saturation: 1, or 2 for a target of 88 to 92 %",
        In::Count,
    ),
    ("window_seconds", "Measured within", In::Seconds),
    ("clear_total", "Over at a total of at most", In::Count),
    ("for_seconds", "For how long", In::Seconds),
    ("max_gap_seconds", "Longest gap between two readings", In::Seconds),
    ("over_seconds", "Rate over at most", In::Seconds),
    ("min_span_seconds", "Rate over at least", In::Seconds),
    (
        "expected_every_seconds",
        "A reading is expected every",
        In::Seconds,
    ),
    ("times", "How many times", In::Count),
    ("of", "Of how many of the last readings", In::Count),
    ("within_seconds", "No older than", In::Seconds),
    ("days", "Over how many days", In::Count),
    ("min_days", "Of these, with measurements at least", In::Count),
    (
        "min_active_percent",
        "Readings that there must be, of those expected",
        In::Percent,
    ),
    ("interval_seconds", "The sensor measures every", In::Seconds),
    (
        "clear_after_seconds",
        "Over after so long back in order",
        In::Seconds,
    ),
];

/// The bounds, and how one says them.
const BOUNDS: [(&str, &str, bool); 4] = [
    ("below", "below", true),
    ("at_most", "at or below", true),
    ("at_least", "at or above", false),
    ("above", "above", false),
];

/// The numbers of a rule that can be set.
pub(super) fn fields(definition: &Value) -> Vec<Field> {
    let condition = &definition["condition"];
    let mut fields = Vec::new();
    for (index, limit) in items(condition, "limits") {
        of_limit(&mut fields, &format!("condition.limits[{index}]"), limit);
    }
    for (index, change) in items(condition, "changes") {
        of_change(&mut fields, &format!("condition.changes[{index}]"), change);
    }
    for (index, figure) in items(condition, "figures") {
        of_figure(
            &mut fields,
            &format!("condition.figures[{index}]"),
            figure,
            metric_of(condition),
        );
    }
    for (name, label, what) in NUMBERS {
        let path = format!("condition.{name}");
        fields.extend(field(
            path,
            label.to_owned(),
            &condition[name],
            what,
            metric_of(condition),
        ));
    }
    let again = &definition["repeat_seconds"];
    let label = "Told again, until somebody has it, every".to_owned();
    fields.extend(field(
        "repeat_seconds".to_owned(),
        label,
        again,
        In::Seconds,
        None,
    ));
    fields
}

fn items<'a>(condition: &'a Value, name: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    condition[name].as_array().into_iter().flatten().enumerate()
}

fn metric_of(json: &Value) -> Option<Metric> {
    json["metric"].as_str()?.parse().ok()
}

fn name_of(metric: Option<Metric>) -> &'static str {
    metric.map_or("", |metric| metric_in_words(metric).0)
}

fn of_limit(fields: &mut Vec<Field>, path: &str, limit: &Value) {
    let metric = metric_of(limit);
    // Whether a cuff saw it or not: there is nothing to set.
    if metric == Some(Metric::IrregularPulse) {
        return;
    }
    let name = name_of(metric);
    for (bound, words, low) in BOUNDS {
        if limit[bound].is_null() {
            continue;
        }
        fields.extend(field(
            format!("{path}.{bound}"),
            format!("{name} {words}"),
            &limit[bound],
            In::Metric,
            metric,
        ));
        let back = if low { "at or above" } else { "at or below" };
        let label = format!("{name}: over when {back}");
        fields.extend(field(
            format!("{path}.clear"),
            label,
            &limit["clear"],
            In::Metric,
            metric,
        ));
    }
}

fn of_change(fields: &mut Vec<Field>, path: &str, change: &Value) {
    let metric = metric_of(change);
    let name = name_of(metric);
    for (key, label, what) in [
        ("rise", "rises by", In::Metric),
        ("fall", "falls by", In::Metric),
        ("within_seconds", "changes so within", In::Seconds),
        ("clear", "over when the change is at most", In::Metric),
    ] {
        fields.extend(field(
            format!("{path}.{key}"),
            format!("{name} {label}"),
            &change[key],
            what,
            metric,
        ));
    }
}

fn of_figure(fields: &mut Vec<Field>, path: &str, figure: &Value, metric: Option<Metric>) {
    let unit = metric.map_or("", |metric| metric_in_words(metric).1);
    let within = figure["from"].as_f64().zip(figure["to"].as_f64());
    let beyond = BOUNDS
        .iter()
        .find_map(|(bound, words, _)| Some((*words, figure[*bound].as_f64()?)));
    let share = match (within, beyond) {
        (Some((from, to)), _) => format!("between {from} and {to} {unit}"),
        (None, Some((words, bound))) => format!("{words} {bound} {unit}"),
        (None, None) => return,
    };
    for (key, label) in [
        ("over_percent", "more than"),
        ("under_percent", "fewer than"),
        ("clear", "over at"),
    ] {
        let label = format!("Readings {share}: {label}");
        fields.extend(field(
            format!("{path}.{key}"),
            label,
            &figure[key],
            In::Percent,
            None,
        ));
    }
}

/// The field of a number, if there is one.
fn field(path: String, label: String, json: &Value, what: In, metric: Option<Metric>) -> Option<Field> {
    let number = json.as_f64()?;
    let (unit, factor) = match what {
        In::Seconds => longest_unit(number),
        In::Count => ("", 1.0),
        In::Percent => ("%", 1.0),
        In::Metric => (metric.map_or("", |metric| metric_in_words(metric).1), 1.0),
    };
    Some(Field {
        path,
        label,
        unit,
        number: number / factor,
        factor,
        whole: matches!(what, In::Seconds | In::Count),
    })
}

/// The longest unit of which a duration is a whole number, and more than one.
fn longest_unit(seconds: f64) -> (&'static str, f64) {
    let units = [("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)];
    let fits = |(_, length): &&(&str, f64)| seconds % length == 0.0 && seconds > *length;
    match seconds {
        0.0 => ("minutes", 60.0),
        _ => units.iter().find(fits).copied().unwrap_or(("seconds", 1.0)),
    }
}

impl Field {
    /// The number as a form shows it.
    pub(super) fn shown(&self) -> String {
        // Without the noise of a division.
        let number = (self.number * 1e6).round() / 1e6;
        format!("{number}")
    }

    /// The number with its unit.
    fn told(&self) -> String {
        format!("{} {}", self.shown(), self.unit).trim_end().to_owned()
    }

    /// Sets what was typed.
    fn set(&self, definition: &mut Value, typed: &str) -> Result<(), String> {
        if typed == self.shown() {
            return Ok(());
        }
        let number: f64 = typed
            .parse()
            .map_err(|_| format!("{}: type a number", self.label))?;
        let number = number * self.factor;
        let pointer = format!("/{}", self.path.replace(['.', '['], "/").replace(']', ""));
        let place = definition.pointer_mut(&pointer);
        let place = place.ok_or_else(|| format!("{}: there is no such number", self.label))?;
        *place = match self.whole {
            // Whoever typed it is told if it is none, and so is whoever typed too much of one.
            true if number.fract() == 0.0 && (0.0..=1e9).contains(&number) => json!(number as u64),
            true => return Err(format!("{}: type a whole number", self.label)),
            false => Number::from_f64(number)
                .map(Value::Number)
                .ok_or_else(|| format!("{}: type a number", self.label))?,
        };
        Ok(())
    }
}

/// A definition with what was typed into the form of its numbers, its severity and its guidance.
pub(super) fn edited(definition: &Value, form: &Form, problems: &mut Problems) -> Value {
    let mut edited = definition.clone();
    for field in fields(definition) {
        let set = field.set(&mut edited, form.text(&field.path));
        problems.take(&field.path, set);
    }
    edited["severity"] = json!(form.text("severity"));
    edited["guidance"] = json!(form.text("guidance"));
    edited
}

/// How a definition differs from an earlier one, in words; empty where it does not.
pub(super) fn differences(former: &Value, definition: &Value) -> Vec<String> {
    let (before, after) = (fields(former), fields(definition));
    let mut told = Vec::new();
    let text = |json: &Value| json.as_str().unwrap_or_default().to_owned();
    if former["severity"] != definition["severity"] {
        told.push(format!(
            "severity {} instead of {}",
            text(&definition["severity"]),
            text(&former["severity"])
        ));
    }
    for field in &after {
        match before.iter().find(|other| other.path == field.path) {
            Some(other) if other.told() == field.told() => {}
            Some(other) => told.push(format!(
                "{}: {} instead of {}",
                field.label,
                field.told(),
                other.told()
            )),
            None => told.push(format!("{}: {}", field.label, field.told())),
        }
    }
    for field in before
        .iter()
        .filter(|field| !after.iter().any(|other| other.path == field.path))
    {
        told.push(format!("no longer {}: {}", field.label, field.told()));
    }
    if former["name"] != definition["name"] {
        told.push(format!("called “{}”", text(&definition["name"])));
    }
    if former["guidance"] != definition["guidance"] {
        told.push(format!("what to do: “{}”", text(&definition["guidance"])));
    }
    if told.is_empty() && former != definition {
        told.push("in details that this page does not show".to_owned());
    }
    told
}

#[cfg(test)]
mod tests {
    use homeward_alerts::{Definition, Programme};

    use super::*;

    fn definition(programme: &str, code: &str) -> Value {
        let rules = &Programme::named(programme).unwrap().rules;
        let rule = rules.iter().find(|rule| rule.code == code).unwrap();
        serde_json::to_value(&rule.definition).unwrap()
    }

    fn told(definition: &Value) -> Vec<String> {
        let fields = fields(definition);
        fields
            .iter()
            .map(|field| format!("{}: {}", field.label, field.told()))
            .collect()
    }

    #[test]
    fn durations_are_told_in_the_longest_unit() {
        assert_eq!(
            told(&definition("diabetes-type-1", "glucose-low")),
            [
                "Glucose below: 3.9 mmol/L",
                "Glucose: over when at or above: 4.2 mmol/L",
                "For how long: 15 minutes",
                "Longest gap between two readings: 30 minutes",
                "Over after so long back in order: 15 minutes",
            ]
        );
    }

    #[test]
    fn every_number_of_every_programme_can_be_set_to_what_it_is() {
        for rule in Programme::names()
            .filter_map(Programme::named)
            .flat_map(|programme| &programme.rules)
        {
            let definition = serde_json::to_value(&rule.definition).unwrap();
            assert!(
                !fields(&definition).is_empty() || rule.code == "irregular-pulse",
                "{}",
                rule.code
            );
            for field in fields(&definition) {
                let mut changed = definition.clone();
                // Typed in another way, so that it is set.
                field
                    .set(
                        &mut changed,
                        &format!("{}.0", field.shown().trim_end_matches(".0")),
                    )
                    .unwrap_or_else(|_| {
                        field.set(&mut changed, &field.shown()).unwrap();
                    });
                let same = Definition::parse(&changed).unwrap();
                assert_eq!(same, rule.definition, "{} {}", rule.code, field.path);
            }
        }
    }

    #[test]
    fn what_is_typed_is_set_or_said_to_be_wrong() {
        let base = definition("diabetes-type-1", "glucose-low");
        let fields = fields(&base);
        let mut changed = base.clone();
        for (field, typed) in fields.iter().zip(["3.5", "4", "20", "30", "15"]) {
            field.set(&mut changed, typed).unwrap();
        }
        assert_eq!(changed["condition"]["limits"][0]["below"], 3.5);
        assert_eq!(changed["condition"]["for_seconds"], 1_200);
        assert_eq!(
            differences(&base, &changed),
            [
                "Glucose below: 3.5 mmol/L instead of 3.9 mmol/L",
                "Glucose: over when at or above: 4 mmol/L instead of 4.2 mmol/L",
                "For how long: 20 minutes instead of 15 minutes",
            ]
        );
        assert_eq!(differences(&base, &base), [""; 0]);
        assert_eq!(
            fields[0].set(&mut changed, "low").unwrap_err(),
            "Glucose below: type a number"
        );
        assert_eq!(
            fields[2].set(&mut changed, "0.001").unwrap_err(),
            "For how long: type a whole number"
        );
    }
}
