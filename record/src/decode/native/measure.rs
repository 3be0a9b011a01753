//! What the fields of one measurement mean.

use chrono::{DateTime, Utc};

use super::item::{Field, Item, Number, Scalar, Text};
use crate::decode::collect::{Collector, Fault, Value, quote, show};
use crate::decode::{Reason, parse_time};
use crate::{Context, Metric, unit};

/// What a glucose value may have been measured in.
const SAMPLES: [&str; 10] = [
    "interstitial",
    "capillary_blood",
    "capillary_plasma",
    "venous_blood",
    "venous_plasma",
    "arterial_blood",
    "arterial_plasma",
    "blood",
    "plasma",
    "control_solution",
];
/// How a glucose measurement may relate to a meal.
const MEALS: [&str; 5] = ["before", "after", "fasting", "casual", "bedtime"];
/// The levels of consciousness, in the order of their stored values ([`Metric::Consciousness`]).
const LEVELS: [&str; 5] = ["A", "C", "V", "P", "U"];

/// Takes one measurement whole, or says what is wrong with it.
pub(super) fn measure(item: &Item<'_>, collector: &mut Collector<'_>) -> Result<(), Fault> {
    let Some(Text(kind)) = &item.kind else {
        return Err(missing(Field::Type));
    };
    match kind.as_ref() {
        "heart_rate" => number(item, Metric::HeartRate, &[], collector),
        "spo2" => number(item, Metric::Spo2, &[], collector),
        "respiratory_rate" => number(item, Metric::RespiratoryRate, &[], collector),
        "body_temperature" => number(item, Metric::BodyTemperature, FAHRENHEIT, collector),
        "body_weight" => number(item, Metric::BodyWeight, POUND, collector),
        "supplemental_oxygen" => number(item, Metric::SupplementalOxygen, &[], collector),
        "blood_pressure" => blood_pressure(item, collector),
        "glucose" => glucose(item, collector),
        "steps" => steps(item, collector),
        "consciousness" => consciousness(item, collector),
        other => {
            let text = format!("{} is not a type that this version takes", quote(other));
            Err(Fault::new(Field::Type.name(), Reason::Unsupported, text))
        }
    }
}

/// A unit beside the stored one, and the way from it to the stored one.
type OtherUnit = (&'static str, fn(f64) -> f64);
const FAHRENHEIT: &[OtherUnit] = &[("[degF]", unit::fahrenheit_to_celsius)];
const POUND: &[OtherUnit] = &[("[lb_av]", unit::pounds_to_kg)];
const KILOPASCAL: &[OtherUnit] = &[("kPa", unit::kpa_to_mmhg)];
const MG_PER_DL: &[OtherUnit] = &[("mg/dL", unit::mg_per_dl_to_mmol_per_l)];

/// A measurement that is one number.
fn number(
    item: &Item<'_>,
    metric: Metric,
    others: &[OtherUnit],
    collector: &mut Collector<'_>,
) -> Result<(), Fault> {
    only(item, &[Field::Value, Field::Unit])?;
    let at = at(item)?;
    let value = in_stored_unit(item, metric, others)?(plain_value(item)?);
    collector.measurement(at, &[from_field(Field::Value, metric, value)], Context::default())
}

fn blood_pressure(item: &Item<'_>, collector: &mut Collector<'_>) -> Result<(), Fault> {
    only(
        item,
        &[
            Field::Systolic,
            Field::Diastolic,
            Field::Unit,
            Field::Pulse,
            Field::IrregularPulse,
        ],
    )?;
    let at = at(item)?;
    let convert = in_stored_unit(item, Metric::Systolic, KILOPASCAL)?;
    let pressure = |field, metric, given: Option<Number>| match given {
        Some(Number(value)) => Ok(from_field(field, metric, convert(value))),
        None => Err(missing(field)),
    };
    let systolic = pressure(Field::Systolic, Metric::Systolic, item.systolic)?;
    let diastolic = pressure(Field::Diastolic, Metric::Diastolic, item.diastolic)?;
    let pulse = item
        .pulse
        .map(|Number(value)| from_field(Field::Pulse, Metric::HeartRate, value));
    let irregular = item
        .irregular_pulse
        .map(|seen| from_field(Field::IrregularPulse, Metric::IrregularPulse, f64::from(seen)));
    let context = Context::default();
    match (pulse, irregular) {
        (None, None) => collector.measurement(at, &[systolic, diastolic], context),
        (Some(one), None) | (None, Some(one)) => {
            collector.measurement(at, &[systolic, diastolic, one], context)
        }
        (Some(pulse), Some(irregular)) => {
            collector.measurement(at, &[systolic, diastolic, pulse, irregular], context)
        }
    }
}

fn glucose(item: &Item<'_>, collector: &mut Collector<'_>) -> Result<(), Fault> {
    only(item, &[Field::Value, Field::Unit, Field::Sample, Field::Meal])?;
    let at = at(item)?;
    let value = in_stored_unit(item, Metric::Glucose, MG_PER_DL)?(plain_value(item)?);
    let sample = one_of(Field::Sample, item.sample.as_ref(), &SAMPLES)?;
    if sample == Some("control_solution") {
        let text = "a control solution was measured, not the patient";
        return Err(Fault::new(Field::Sample.name(), Reason::ControlSolution, text));
    }
    let meal = one_of(Field::Meal, item.meal.as_ref(), &MEALS)?;
    let context = Context {
        sample: sample.map(Into::into),
        meal: meal.map(Into::into),
        ..Context::default()
    };
    collector.measurement(at, &[from_field(Field::Value, Metric::Glucose, value)], context)
}

fn steps(item: &Item<'_>, collector: &mut Collector<'_>) -> Result<(), Fault> {
    only(item, &[Field::From, Field::Value, Field::Unit])?;
    let at = at(item)?;
    let Some(from) = &item.from else {
        return Err(missing(Field::From));
    };
    let from = time(Field::From, from)?;
    if from >= at.1 {
        let text = "the interval has to begin before it ends (`at`)";
        return Err(Fault::new(Field::From.name(), Reason::InvalidField, text));
    }
    in_stored_unit(item, Metric::Steps, &[])?;
    let value = plain_value(item)?;
    if value.fract() != 0.0 {
        let text = format!("{} is not a whole number of steps", show(value));
        return Err(Fault::new(Field::Value.name(), Reason::InvalidField, text));
    }
    let context = Context {
        from: Some(from),
        ..Context::default()
    };
    collector.measurement(at, &[from_field(Field::Value, Metric::Steps, value)], context)
}

fn consciousness(item: &Item<'_>, collector: &mut Collector<'_>) -> Result<(), Fault> {
    only(item, &[Field::Value])?;
    let at = at(item)?;
    let level = match &item.value {
        Some(Scalar::Text(Text(level))) => LEVELS.iter().zip(0u8..).find(|(name, _)| *name == level),
        Some(Scalar::Number(_)) => None,
        None => return Err(missing(Field::Value)),
    };
    let Some((_, level)) = level else {
        let text = format!("has to be one of {}, as a text", LEVELS.join(", "));
        return Err(Fault::new(Field::Value.name(), Reason::InvalidField, text));
    };
    let value = from_field(Field::Value, Metric::Consciousness, f64::from(level));
    collector.measurement(at, &[value], Context::default())
}

fn from_field(field: Field, metric: Metric, value: f64) -> Value<'static> {
    Value {
        metric,
        value,
        field: field.name(),
    }
}

fn missing(field: Field) -> Fault {
    Fault::new(field.name(), Reason::InvalidField, "is missing")
}

/// Refuses fields that this type of measurement does not have, beside the two that all have.
fn only(item: &Item<'_>, own: &[Field]) -> Result<(), Fault> {
    let allowed = own
        .iter()
        .fold(Field::Type.bit() | Field::At.bit(), |set, field| {
            set | field.bit()
        });
    let foreign = item.present & !allowed;
    match Field::ALL.into_iter().find(|field| foreign & field.bit() != 0) {
        None => Ok(()),
        Some(field) => {
            let text = "is no field of this type of reading";
            Err(Fault::new(field.name(), Reason::InvalidField, text))
        }
    }
}

/// The way from the unit that the measurement is given in to the stored one.
fn in_stored_unit(item: &Item<'_>, metric: Metric, others: &[OtherUnit]) -> Result<fn(f64) -> f64, Fault> {
    let Some(Text(given)) = &item.unit else {
        return Ok(|value| value);
    };
    if given == metric.unit() {
        return Ok(|value| value);
    }
    if let Some((_, convert)) = others.iter().find(|(name, _)| name == given) {
        return Ok(*convert);
    }
    let mut text = format!(
        "{} is not a unit of this type: expected {}",
        quote(given),
        metric.unit()
    );
    for (name, _) in others {
        text.push_str(" or ");
        text.push_str(name);
    }
    Err(Fault::new(Field::Unit.name(), Reason::InvalidUnit, text))
}

fn plain_value(item: &Item<'_>) -> Result<f64, Fault> {
    match item.value {
        Some(Scalar::Number(value)) => Ok(value),
        Some(Scalar::Text(_)) => {
            let text = "has to be a number, without quotes";
            Err(Fault::new(Field::Value.name(), Reason::InvalidField, text))
        }
        None => Err(missing(Field::Value)),
    }
}

fn one_of(
    field: Field,
    given: Option<&Text<'_>>,
    choices: &[&'static str],
) -> Result<Option<&'static str>, Fault> {
    let Some(Text(given)) = given else {
        return Ok(None);
    };
    match choices.iter().find(|choice| *choice == given) {
        Some(choice) => Ok(Some(choice)),
        None => {
            let text = format!("{} is not one of {}", quote(given), choices.join(", "));
            Err(Fault::new(field.name(), Reason::InvalidField, text))
        }
    }
}

fn at(item: &Item<'_>) -> Result<(&'static str, DateTime<Utc>), Fault> {
    match &item.at {
        Some(text) => Ok((Field::At.name(), time(Field::At, text)?)),
        None => Err(Fault::new(
            Field::At.name(),
            Reason::NoTime,
            "is missing: a reading needs its time",
        )),
    }
}

/// An RFC 3339 time, in whole microseconds.
fn time(field: Field, text: &Text<'_>) -> Result<DateTime<Utc>, Fault> {
    let Text(text) = text;
    parse_time(text).map_err(|(reason, text)| Fault::new(field.name(), reason, text))
}
