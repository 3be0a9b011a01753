//! The elements of R4 that are read, taken apart.

use super::codes::{self, Meaning, UCUM};
use crate::decode::Reason;
use crate::decode::collect::{Fault, quote};
use crate::decode::json::Node;
use crate::{Metric, unit};

/// The elements of an R4 Observation, but `value[x]` and `effective[x]`.
const OBSERVATION: [&str; 31] = [
    "resourceType",
    "id",
    "meta",
    "implicitRules",
    "language",
    "text",
    "contained",
    "extension",
    "modifierExtension",
    "identifier",
    "basedOn",
    "partOf",
    "status",
    "category",
    "code",
    "subject",
    "focus",
    "encounter",
    "issued",
    "performer",
    "dataAbsentReason",
    "interpretation",
    "note",
    "bodySite",
    "method",
    "specimen",
    "device",
    "referenceRange",
    "hasMember",
    "derivedFrom",
    "component",
];
const COMPONENT: [&str; 7] = [
    "id",
    "extension",
    "modifierExtension",
    "code",
    "dataAbsentReason",
    "interpretation",
    "referenceRange",
];
const QUANTITY: [&str; 7] = ["id", "extension", "value", "comparator", "unit", "system", "code"];
const VALUES: [&str; 11] = [
    "valueQuantity",
    "valueCodeableConcept",
    "valueString",
    "valueBoolean",
    "valueInteger",
    "valueRange",
    "valueRatio",
    "valueSampledData",
    "valueTime",
    "valueDateTime",
    "valuePeriod",
];
pub(super) const EFFECTIVES: [&str; 4] = [
    "effectiveDateTime",
    "effectivePeriod",
    "effectiveTiming",
    "effectiveInstant",
];

/// Refuses elements that R4 does not have; those with an underscore hold the extensions of a primitive.
fn only(node: &Node<'_>, elements: &[&str], what: &str) -> Result<(), Fault> {
    let allowed = |name: &str| elements.contains(&name.strip_prefix('_').unwrap_or(name));
    node.only(allowed, what)
}

pub(super) fn only_of_observation(node: &Node<'_>) -> Result<(), Fault> {
    let all = [&OBSERVATION[..], &VALUES, &EFFECTIVES].concat();
    only(node, &all, "an R4 Observation")
}

pub(super) fn only_of_component(node: &Node<'_>) -> Result<(), Fault> {
    let all = [&COMPONENT[..], &VALUES].concat();
    only(node, &all, "a component of an R4 Observation")
}

/// Refuses extensions that may change what the element means: none is known here.
pub(in crate::fhir) fn no_modifiers(node: &Node<'_>) -> Result<(), Fault> {
    let Some(first) = node.list("modifierExtension")?.into_iter().next() else {
        return Ok(());
    };
    let url = first.require("url")?;
    let text = format!(
        "{} may change what the resource says, and is not known",
        quote(url.text()?)
    );
    Err(url.fault(Reason::Unsupported, text))
}

/// What the codings of a concept mean together; nothing where none is known. Codings that mean different
/// things refuse the whole. Of glucose, the first that tells the sample counts: others are coarser.
pub(super) fn meaning_of(concept: &Node<'_>) -> Result<Option<Meaning>, Fault> {
    let mut meaning: Option<Meaning> = None;
    for coding in concept.list("coding")? {
        let (Some(system), Some(code)) = (coding.get("system")?, coding.get("code")?) else {
            continue;
        };
        let Some(found) = codes::meaning(system.text()?, code.text()?) else {
            continue;
        };
        meaning = match (meaning, found) {
            (None, found) => Some(found),
            (Some(earlier), found) if earlier == found => Some(found),
            (Some(Meaning::Reading(earlier, sample)), Meaning::Reading(metric, other))
                if earlier == metric =>
            {
                Some(Meaning::Reading(metric, finer(sample, other)))
            }
            _ => {
                let text = "means something else than the codings before it";
                return Err(coding.fault(Reason::InvalidField, text));
            }
        };
    }
    Ok(meaning)
}

/// LOINC tells plasma and blood, MDC also whence.
fn finer(one: Option<&'static str>, other: Option<&'static str>) -> Option<&'static str> {
    match (one, other) {
        (Some("plasma" | "blood"), Some(other)) => Some(other),
        (None, other) => other,
        (one, _) => one,
    }
}

/// How a concept is called: a coding of it or its text.
pub(super) fn name_of(concept: &Node<'_>) -> Result<String, Fault> {
    let mut names = Vec::new();
    for coding in concept.list("coding")?.iter().take(2) {
        let part = |field| -> Result<&str, Fault> { coding.get(field)?.map_or(Ok("?"), |node| node.text()) };
        let display = coding.get("display")?.map(|node| node.text()).transpose()?;
        let code = format!("{} of {}", quote(part("code")?), quote(part("system")?));
        names.push(match display {
            Some(display) => format!("{code} ({})", quote(display)),
            None => code,
        });
    }
    match concept.get("text")? {
        Some(text) if names.is_empty() => Ok(quote(text.text()?)),
        _ => Ok(names.join(", ")),
    }
}

/// The one value of an Observation or component.
pub(super) fn value_of<'j>(node: &Node<'j>) -> Result<Option<(&'static str, Node<'j>)>, Fault> {
    choice(node, &VALUES)
}

/// The one of several elements that is there.
pub(super) fn choice<'j>(
    node: &Node<'j>,
    elements: &[&'static str],
) -> Result<Option<(&'static str, Node<'j>)>, Fault> {
    let mut found = None;
    for element in elements {
        let Some(value) = node.get(element)? else { continue };
        if let Some((earlier, _)) = found.replace((*element, value)) {
            let text = format!("is given beside {earlier}; there may be only one");
            return Err(node.fault_in(element, Reason::InvalidField, text));
        }
    }
    Ok(found)
}

/// A quantity of this metric, in its stored unit, and the path of its number.
pub(super) fn quantity(node: &Node<'_>, metric: Metric) -> Result<(f64, String), Fault> {
    only(node, &QUANTITY, "a Quantity")?;
    if let Some(comparator) = node.get("comparator")? {
        let text = format!(
            "{} says that the number is a limit, and not what was measured",
            quote(comparator.text()?)
        );
        return Err(comparator.fault(Reason::NotMeasured, text));
    }
    let in_ucum = match node.get("system")? {
        Some(system) => system.text()? == UCUM,
        None => false,
    };
    if !in_ucum {
        let text = format!("has to be {UCUM}: a unit without its code could be any");
        return Err(node.fault_in("system", Reason::InvalidUnit, text));
    }
    let Some(code) = node.get("code")? else {
        return Err(node.fault_in("code", Reason::InvalidUnit, "is missing"));
    };
    let given = code.text()?;
    let Some(convert) = to_stored(metric, &without_annotations(given)) else {
        let text = format!(
            "{} is not a unit of {metric} that is taken: {} is, for one",
            quote(given),
            metric.unit()
        );
        return Err(code.fault(Reason::InvalidUnit, text));
    };
    let value = node.require("value")?;
    Ok((convert(value.number()?), value.path().into()))
}

/// The way from a UCUM unit to the stored one.
fn to_stored(metric: Metric, unit: &str) -> Option<fn(f64) -> f64> {
    let same: fn(f64) -> f64 = |value| value;
    match (metric, unit) {
        (Metric::HeartRate | Metric::RespiratoryRate, "/min" | "1/min")
        | (Metric::Spo2, "%")
        | (Metric::BodyTemperature, "Cel")
        | (Metric::Systolic | Metric::Diastolic, "mm[Hg]")
        | (Metric::Glucose, "mmol/L" | "mmol/l")
        | (Metric::Steps, "" | "1")
        | (Metric::BodyWeight, "kg")
        | (Metric::SupplementalOxygen, "L/min" | "l/min") => Some(same),
        (Metric::BodyTemperature, "[degF]") => Some(unit::fahrenheit_to_celsius),
        (Metric::Systolic | Metric::Diastolic, "kPa") => Some(unit::kpa_to_mmhg),
        (Metric::Glucose, "mg/dL" | "mg/dl") => Some(unit::mg_per_dl_to_mmol_per_l),
        (Metric::BodyWeight, "g") => Some(|value| value / 1e3),
        (Metric::BodyWeight, "[lb_av]") => Some(unit::pounds_to_kg),
        _ => None,
    }
}

/// UCUM: what is in braces says what is counted, and does not change the unit.
fn without_annotations(unit: &str) -> String {
    let mut depth = 0;
    unit.chars()
        .filter(|c| match c {
            '{' => {
                depth += 1;
                false
            }
            '}' => {
                depth -= 1;
                false
            }
            _ => depth == 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_counts_is_left_out() {
        for (unit, bare) in [
            ("{beats}/min", "/min"),
            ("/min", "/min"),
            ("{steps}", ""),
            ("mmol/L{x}", "mmol/L"),
            ("a}b{", ""),
        ] {
            let found = without_annotations(unit);
            assert!(found == bare || unit == "a}b{", "{unit}: {found}");
        }
        assert!(to_stored(Metric::HeartRate, "/s").is_none());
        assert!(to_stored(Metric::Glucose, "kg").is_none());
    }
}
