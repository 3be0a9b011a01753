//! From an Observation to what was measured.

use chrono::{DateTime, Utc};

use super::codes::{CONTROL_LOCATION, LEVELS, MDC, MEALS, Meaning, SNOMED, YES_NO};
use super::elements::{
    EFFECTIVES, choice, meaning_of, name_of, no_modifiers, only_of_component, only_of_observation, quantity,
    value_of,
};
use super::{CAUTION, READING_CONTEXT};
use crate::decode::collect::{Collector, Fault, Value, quote, show};
use crate::decode::json::Node;
use crate::decode::omh::LONGEST_MEASUREMENT;
use crate::decode::{Reason, rfc3339};
use crate::{Circumstances, Context, Metric};

/// The profiles of personal health devices: the components of their Observations are what one device measured
/// at one time, also where the whole has a code of its maker's.
const PERSONAL_HEALTH_DEVICES: &str = "http://hl7.org/fhir/uv/phd/StructureDefinition/";
const LONGEST_TEXT: usize = 60;
const MOST_CAUTIONS: usize = 16;

/// What an Observation says.
pub(in crate::fhir) struct Measured {
    time: (String, DateTime<Utc>),
    /// The numbers in stored units, with the paths of their elements.
    numbers: Vec<(Metric, f64, String)>,
    context: Context,
}

impl Measured {
    /// Takes it whole, or says what is wrong and takes nothing of it.
    pub(in crate::fhir) fn measure(self, collector: &mut Collector<'_>) -> Result<(), Fault> {
        let values: Vec<Value<'_>> = self
            .numbers
            .iter()
            .map(|(metric, value, field)| Value {
                metric: *metric,
                value: *value,
                field,
            })
            .collect();
        collector.measurement((&self.time.0, self.time.1), &values, self.context)
    }
}

/// Reads an Observation, or says why it is no measurement that can be stored.
pub(in crate::fhir) fn read(node: &Node<'_>) -> Result<Measured, Fault> {
    only_of_observation(node)?;
    no_modifiers(node)?;
    check_status(node)?;
    check_subject(node)?;
    let code = node.require("code")?;
    let meaning = meaning_of(&code)?;
    let mut found = Found::default();
    match (meaning, value_of(node)?, node.get("dataAbsentReason")?) {
        (_, Some(_), Some(absent)) => {
            let text = "cannot be said of an Observation that has a value";
            return Err(absent.fault(Reason::InvalidField, text));
        }
        (_, None, Some(absent)) => return Err(not_measured(&absent)?),
        (None, value, None) => {
            if value.is_some() || !is_of_personal_health_device(node)? {
                return Err(unknown(&code)?);
            }
        }
        (Some(Meaning::BloodPressure), Some((_, value)), None) => {
            let text = "a blood pressure has its numbers in components";
            return Err(value.fault(Reason::InvalidField, text));
        }
        (Some(Meaning::BloodPressure), None, None) => {}
        (Some(meaning), value, None) => {
            let (element, value) = value.ok_or_else(|| {
                node.fault_in(
                    "value",
                    Reason::InvalidField,
                    "is missing, and so is dataAbsentReason",
                )
            })?;
            found.take(meaning, element, &value)?;
        }
    }
    for component in node.list("component")? {
        found.take_component(&component)?;
    }
    let from_panel = meaning == Some(Meaning::BloodPressure);
    found.check(node, from_panel)?;
    if found.numbers.is_empty() {
        return Err(unknown(&code)?);
    }
    found.take_site(node)?;
    found.take_extension(node)?;
    let steps = found.numbers.iter().any(|(metric, ..)| *metric == Metric::Steps);
    let time = effective(node, steps, &mut found.context)?;
    let circumstances = found.circumstances;
    Ok(Measured {
        time,
        numbers: found.numbers,
        context: Context {
            circumstances: (circumstances != Circumstances::default()).then(|| Box::new(circumstances)),
            ..found.context
        },
    })
}

/// Only what is final is a reading. What is preliminary, amended or corrected would need a stored one to
/// change, and none ever does.
fn check_status(node: &Node<'_>) -> Result<(), Fault> {
    let status = node.require("status")?;
    let text = match status.text()? {
        "final" => return Ok(()),
        "preliminary" => "preliminary: send the final one",
        "amended" | "corrected" => {
            "a stored reading is never changed: have it marked as entered in error, and send the right one \
             with its own time"
        }
        "entered-in-error" => "readings are marked as entered in error in the record, not by their device",
        "registered" | "cancelled" | "unknown" => "says that nothing was measured",
        other => {
            let text = format!("{} is no status of an Observation", quote(other));
            return Err(status.fault(Reason::InvalidField, text));
        }
    };
    Err(status.fault(Reason::NotMeasured, text))
}

/// Refuses what is about something else than the patient, and rules that are not known.
fn check_subject(node: &Node<'_>) -> Result<(), Fault> {
    if node.get("implicitRules")?.is_some() {
        let text = "the resource follows rules of its own, which this version does not know";
        return Err(node.fault_in("implicitRules", Reason::Unsupported, text));
    }
    if !node.list("focus")?.is_empty() {
        let text = "the Observation is about something else than the patient";
        return Err(node.fault_in("focus", Reason::Unsupported, text));
    }
    Ok(())
}

fn is_of_personal_health_device(node: &Node<'_>) -> Result<bool, Fault> {
    let Some(meta) = node.get("meta")? else {
        return Ok(false);
    };
    for profile in meta.list("profile")? {
        if profile.text()?.starts_with(PERSONAL_HEALTH_DEVICES) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn not_measured(absent: &Node<'_>) -> Result<Fault, Fault> {
    let text = format!("the device has no number here: {}", name_of(absent)?);
    Ok(absent.fault(Reason::NotMeasured, text))
}

fn unknown(code: &Node<'_>) -> Result<Fault, Fault> {
    let text = format!("{} is no measurement that this version takes", name_of(code)?);
    Ok(code.fault(Reason::Unsupported, text))
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    numbers: Vec<(Metric, f64, String)>,
    context: Context,
    circumstances: Circumstances,
}

impl Found {
    fn take_component(&mut self, component: &Node<'_>) -> Result<(), Fault> {
        only_of_component(component)?;
        no_modifiers(component)?;
        let Some(meaning) = meaning_of(&component.require("code")?)? else {
            return Ok(());
        };
        match (value_of(component)?, component.get("dataAbsentReason")?) {
            (Some((element, value)), None) => self.take(meaning, element, &value),
            (Some(_), Some(absent)) => {
                let text = "cannot be said of a component that has a value";
                Err(absent.fault(Reason::InvalidField, text))
            }
            // A pulse beside the pressure is left out, as if the device had not sent it.
            (None, Some(_)) if meaning == Meaning::Reading(Metric::HeartRate, None) => Ok(()),
            (None, Some(absent)) => Err(not_measured(&absent)?),
            (None, None) => Err(component.fault_in("value", Reason::InvalidField, "is missing")),
        }
    }

    /// Takes one value of the Observation.
    fn take(&mut self, meaning: Meaning, element: &'static str, value: &Node<'_>) -> Result<(), Fault> {
        match meaning {
            Meaning::Reading(metric, sample) => {
                if self.numbers.iter().any(|(earlier, ..)| *earlier == metric) {
                    let text = format!("the Observation gives another {metric} before this one");
                    return Err(value.fault(Reason::InvalidField, text));
                }
                let (number, path) = number(metric, element, value)?;
                self.numbers.push((metric, number, path));
                if metric == Metric::Glucose {
                    self.context.sample = sample.map(Into::into);
                }
            }
            Meaning::Control => return Err(control_solution(value)),
            Meaning::SampleLocation => {
                if element == "valueCodeableConcept" && coded(value, MDC, |code| code == CONTROL_LOCATION)? {
                    return Err(control_solution(value));
                }
            }
            Meaning::Meal => {
                expect("valueCodeableConcept", element, value)?;
                for (code, _, word) in MEALS {
                    if coded(value, MDC, |given| given == code)? {
                        self.context.meal = Some(word.into());
                    }
                }
            }
            Meaning::Caution(name) => {
                if yes(element, value)? {
                    self.context.cautions.push(name.into());
                }
            }
            Meaning::BloodPressure => {
                let text = "a blood pressure cannot be a part of another Observation";
                return Err(value.fault(Reason::InvalidField, text));
            }
        }
        Ok(())
    }

    /// Both pressures or none.
    fn check(&self, node: &Node<'_>, panel: bool) -> Result<(), Fault> {
        let has = |metric| self.numbers.iter().any(|(found, ..)| *found == metric);
        let text = match (has(Metric::Systolic), has(Metric::Diastolic)) {
            (false, false) if panel => "has neither a systolic nor a diastolic pressure",
            (true, false) => "has a systolic and no diastolic pressure",
            (false, true) => "has a diastolic and no systolic pressure",
            _ => return Ok(()),
        };
        Err(node.fault_in("component", Reason::InvalidField, text))
    }

    fn take_site(&mut self, node: &Node<'_>) -> Result<(), Fault> {
        let Some(site) = node.get("bodySite")? else {
            return Ok(());
        };
        let coded = site.list("coding")?.into_iter().next();
        let display = coded.map(|coding| coding.get("display")).transpose()?.flatten();
        self.circumstances.site = match site.get("text")?.or(display) {
            Some(text) => Some(short_text(&text)?),
            None => None,
        };
        Ok(())
    }

    fn take_extension(&mut self, node: &Node<'_>) -> Result<(), Fault> {
        for extension in node.list("extension")? {
            if extension.require("url")?.text()? != READING_CONTEXT {
                continue;
            }
            for part in extension.list("extension")? {
                let text = part.require("valueString")?;
                let value = short_text(&text)?;
                let said = &mut self.circumstances;
                let name = part.require("url")?;
                let slot = match name.text()? {
                    CAUTION => {
                        let word = value.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                        if !word || self.context.cautions.len() == MOST_CAUTIONS {
                            return Err(text.fault(Reason::InvalidField, "is no caution of a device"));
                        }
                        self.context.cautions.push(value);
                        continue;
                    }
                    "posture" => &mut said.posture,
                    "site" => &mut said.site,
                    "activity" => &mut said.activity,
                    "sleep" => &mut said.sleep,
                    "meal" => &mut said.meal,
                    "oxygen_delivery" => &mut said.oxygen_delivery,
                    other => {
                        let text = format!("{} is no part of the context of a reading", quote(other));
                        return Err(name.fault(Reason::InvalidField, text));
                    }
                };
                *slot = Some(value);
            }
        }
        Ok(())
    }
}

/// The number of a reading.
fn number(metric: Metric, element: &'static str, value: &Node<'_>) -> Result<(f64, String), Fault> {
    match metric {
        Metric::Consciousness => {
            expect("valueCodeableConcept", element, value)?;
            for ((code, _), level) in LEVELS.iter().zip(0u8..) {
                if coded(value, SNOMED, |given| given == *code)? {
                    return Ok((level.into(), value.path().into()));
                }
            }
            let text = format!("{} is no level of consciousness", name_of(value)?);
            Err(value.fault(Reason::InvalidField, text))
        }
        Metric::IrregularPulse => Ok((f64::from(yes(element, value)?), value.path().into())),
        _ if element == "valueSampledData" => {
            let text = "a waveform is no measurement of one time, which this version takes alone";
            Err(value.fault(Reason::Unsupported, text))
        }
        _ => {
            expect("valueQuantity", element, value)?;
            let (number, path) = quantity(value, metric)?;
            if metric == Metric::Steps && number.fract() != 0.0 {
                let text = format!("{} is not a whole number of steps", show(number));
                return Err(Fault::new(path, Reason::InvalidField, text));
            }
            Ok((number, path))
        }
    }
}

fn expect(expected: &str, element: &str, value: &Node<'_>) -> Result<(), Fault> {
    if element == expected {
        return Ok(());
    }
    let text = format!("the value has to be a {expected}");
    Err(value.fault(Reason::InvalidField, text))
}

/// Whether a bit is set: as a boolean, or as the code Y.
fn yes(element: &str, value: &Node<'_>) -> Result<bool, Fault> {
    if element == "valueBoolean" {
        return value.boolean();
    }
    expect("valueCodeableConcept", element, value)?;
    if coded(value, YES_NO, |code| code == "Y")? {
        return Ok(true);
    }
    if coded(value, YES_NO, |code| code == "N")? {
        return Ok(false);
    }
    Err(value.fault(Reason::InvalidField, "is neither yes nor no"))
}

/// Whether a concept has such a code of this system.
fn coded(concept: &Node<'_>, system: &str, is: impl Fn(&str) -> bool) -> Result<bool, Fault> {
    for coding in concept.list("coding")? {
        if let (Some(given), Some(code)) = (coding.get("system")?, coding.get("code")?)
            && given.text()? == system
            && is(code.text()?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn control_solution(value: &Node<'_>) -> Fault {
    let text = "a control solution was measured, not the patient";
    value.fault(Reason::ControlSolution, text)
}

/// When it was measured, of a period its end, and the element that says so.
fn effective(node: &Node<'_>, steps: bool, context: &mut Context) -> Result<(String, DateTime<Utc>), Fault> {
    let Some((element, value)) = choice(node, &EFFECTIVES)? else {
        let text = "is missing: a reading needs its time";
        return Err(node.fault_in("effective", Reason::NoTime, text));
    };
    match element {
        "effectiveDateTime" | "effectiveInstant" if steps => {
            let text = "steps are counted in a period (effectivePeriod), not at a time";
            Err(value.fault(Reason::InvalidField, text))
        }
        "effectiveDateTime" | "effectiveInstant" => Ok((value.path().into(), time(&value)?)),
        "effectivePeriod" => {
            let (start, end) = (time(&value.require("start")?)?, time(&value.require("end")?)?);
            if start >= end {
                let text = "the period has to begin before it ends";
                return Err(value.fault(Reason::InvalidField, text));
            }
            if !steps && end - start > LONGEST_MEASUREMENT {
                let minutes = LONGEST_MEASUREMENT.num_minutes();
                let text = format!("covers more than {minutes} minutes: a summary, and no measurement");
                return Err(value.fault(Reason::NotMeasured, text));
            }
            context.from = Some(start);
            Ok((value.path().into(), end))
        }
        _ => Err(value.fault(Reason::NoTime, "is no time of one measurement")),
    }
}

/// FHIR's dateTime may be a date, a month or a year, which is no time of a measurement.
fn time(node: &Node<'_>) -> Result<DateTime<Utc>, Fault> {
    let text = node.text()?;
    let digits = |c: char| c.is_ascii_digit() || c == '-';
    if (4..=10).contains(&text.len()) && text.chars().all(digits) {
        let text = format!("{} has no time of day", quote(text));
        return Err(node.fault(Reason::NoTime, text));
    }
    rfc3339(node)
}

/// A text of a few words.
fn short_text(node: &Node<'_>) -> Result<String, Fault> {
    let text = node.text()?;
    if text.is_empty() || text.len() > LONGEST_TEXT || text.contains(char::is_control) {
        let text = format!("has to be a text of at most {LONGEST_TEXT} bytes");
        return Err(node.fault(Reason::InvalidField, text));
    }
    Ok(text.into())
}
