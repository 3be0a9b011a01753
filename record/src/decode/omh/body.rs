//! The body of a data point: what was measured, and what is said of it.

use super::time::TimeFrame;
use crate::decode::Reason;
use crate::decode::collect::{Fault, Value, quote, show};
use crate::decode::json::Node;
use crate::{Circumstances, Context, Metric, unit};

/// The schema of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BloodGlucose,
    BloodPressure,
    BodyTemperature,
    BodyWeight,
    HeartRate,
    OxygenSaturation,
    RespiratoryRate,
    StepCount,
}

/// A body, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Body {
    pub(super) kind: Kind,
    /// The numbers in stored units, with the paths of their fields.
    numbers: Vec<(Metric, f64, String)>,
    pub(super) time: TimeFrame,
    /// What the numbers are of the measurements of an interval; none where they are one measurement.
    pub(super) statistic: Option<&'static str>,
    /// Per what the statistic is: `d`, `session`, …
    pub(super) denominator: Option<String>,
    pub(super) context: Context,
    /// Where the body is in the message.
    path: String,
}

const SPECIMENS: [&str; 8] = [
    "capillary blood",
    "interstitial fluid",
    "breath",
    "lacrimal fluid",
    "saliva",
    "sweat",
    "tears",
    "urine",
];
const MEALS: [&str; 11] = [
    "fasting",
    "not fasting",
    "before meal",
    "after meal",
    "before breakfast",
    "after breakfast",
    "before lunch",
    "after lunch",
    "before dinner",
    "after dinner",
    "2 hours postprandial",
];
const SLEEP: [&str; 3] = ["before sleeping", "during sleep", "on waking"];
const ACTIVITY: [&str; 5] = [
    "at rest",
    "active",
    "before exercise",
    "after exercise",
    "during exercise",
];
const POSTURES: [&str; 4] = ["sitting", "lying down", "standing", "semi-recumbent"];
/// Where a cuff can be (body-location).
const CUFF_SITES: [&str; 12] = [
    "left ankle",
    "right ankle",
    "left hip",
    "right hip",
    "left thigh",
    "right thigh",
    "left thorax",
    "middle left thorax",
    "left upper arm",
    "right upper arm",
    "left wrist",
    "right wrist",
];
const TEMPERATURE_SITES: [&str; 10] = [
    "axillary",
    "finger",
    "forehead",
    "oral",
    "rectal",
    "temporal artery",
    "toe",
    "tympanic",
    "wrist",
    "vagina",
];
const STATISTICS: [&str; 17] = [
    "average",
    "count",
    "maximum",
    "median",
    "minimum",
    "standard deviation",
    "sum",
    "variance",
    "20th percentile",
    "80th percentile",
    "lower quartile",
    "upper quartile",
    "quartile deviation",
    "1st quintile",
    "2nd quintile",
    "3rd quintile",
    "4th quintile",
];

/// A unit as the schemas spell it, and the way to the stored one.
type Unit = (&'static str, fn(f64) -> f64);

fn same(value: f64) -> f64 {
    value
}

fn grams_to_kg(value: f64) -> f64 {
    value / 1e3
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::BloodGlucose,
        Kind::BloodPressure,
        Kind::BodyTemperature,
        Kind::BodyWeight,
        Kind::HeartRate,
        Kind::OxygenSaturation,
        Kind::RespiratoryRate,
        Kind::StepCount,
    ];

    /// The name of the schema in a header.
    pub(super) fn schema(self) -> &'static str {
        match self {
            Kind::BloodGlucose => "blood-glucose",
            Kind::BloodPressure => "blood-pressure",
            Kind::BodyTemperature => "body-temperature",
            Kind::BodyWeight => "body-weight",
            Kind::HeartRate => "heart-rate",
            Kind::OxygenSaturation => "oxygen-saturation",
            Kind::RespiratoryRate => "respiratory-rate",
            Kind::StepCount => "step-count",
        }
    }

    /// The fields of its numbers, with the units that each may have. The first has to be there, and tells the
    /// kind; of a blood pressure both.
    fn numbers(self) -> &'static [(&'static str, Metric, &'static [Unit])] {
        const PRESSURE: &[Unit] = &[("mmHg", same)];
        match self {
            Kind::BloodGlucose => &[(
                "blood_glucose",
                Metric::Glucose,
                &[("mmol/L", same), ("mg/dL", unit::mg_per_dl_to_mmol_per_l)],
            )],
            Kind::BloodPressure => &[
                ("systolic_blood_pressure", Metric::Systolic, PRESSURE),
                ("diastolic_blood_pressure", Metric::Diastolic, PRESSURE),
            ],
            Kind::BodyTemperature => &[(
                "body_temperature",
                Metric::BodyTemperature,
                &[("C", same), ("F", unit::fahrenheit_to_celsius)],
            )],
            Kind::BodyWeight => &[(
                "body_weight",
                Metric::BodyWeight,
                &[("kg", same), ("lb", unit::pounds_to_kg), ("g", grams_to_kg)],
            )],
            Kind::HeartRate => &[("heart_rate", Metric::HeartRate, &[("beats/min", same)])],
            Kind::OxygenSaturation => &[
                ("oxygen_saturation", Metric::Spo2, &[("%", same)]),
                (
                    "supplemental_oxygen_flow_rate",
                    Metric::SupplementalOxygen,
                    &[("L/min", same)],
                ),
            ],
            Kind::RespiratoryRate => &[(
                "respiratory_rate",
                Metric::RespiratoryRate,
                &[("breaths/min", same)],
            )],
            Kind::StepCount => &[("step_count", Metric::Steps, &[("steps", same)])],
        }
    }

    /// Its fields beside the numbers and those that all have.
    fn others(self) -> &'static [&'static str] {
        match self {
            Kind::BloodGlucose => &[
                "specimen_source",
                "temporal_relationship_to_meal",
                "temporal_relationship_to_sleep",
            ],
            Kind::BloodPressure => &[
                "body_posture",
                "measurement_location",
                "temporal_relationship_to_physical_activity",
            ],
            Kind::BodyTemperature => &["measurement_location", "temporal_relationship_to_sleep"],
            Kind::BodyWeight => &[],
            Kind::HeartRate => &[
                "temporal_relationship_to_physical_activity",
                "temporal_relationship_to_sleep",
            ],
            Kind::OxygenSaturation => &[
                "oxygen_therapy_mode_of_administration",
                "system",
                "measurement_method",
            ],
            Kind::RespiratoryRate => &["temporal_relationship_to_physical_activity"],
            Kind::StepCount => &["descriptive_statistic_denominator"],
        }
    }

    /// The kind of a body, by its fields.
    fn of(body: &Node<'_>) -> Result<Kind, Fault> {
        let tells = |kind: &Kind| -> Result<bool, Fault> {
            let told = match kind {
                Kind::BloodPressure => kind.numbers(),
                _ => &kind.numbers()[..1],
            };
            for (field, ..) in told {
                if body.get(field)?.is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let mut found = Vec::new();
        for kind in Kind::ALL {
            if tells(&kind)? {
                found.push(kind);
            }
        }
        match found[..] {
            [kind] => Ok(kind),
            [] => {
                let fields = Kind::ALL.map(|kind| kind.numbers()[0].0).join(", ");
                let text = format!("holds no measurement that this version takes: none of {fields}");
                Err(body.fault(Reason::Unsupported, text))
            }
            [first, second, ..] => {
                let text = format!("is both a {} and a {}", first.schema(), second.schema());
                Err(body.fault(Reason::InvalidField, text))
            }
        }
    }
}

impl Body {
    pub(super) fn read(body: &Node<'_>) -> Result<Body, Fault> {
        let kind = Kind::of(body)?;
        let common = ["effective_time_frame", "descriptive_statistic", "user_notes"];
        let own = |name: &str| {
            kind.numbers().iter().any(|(field, ..)| *field == name)
                || kind.others().contains(&name)
                || common.contains(&name)
        };
        body.only(own, &format!("a {}", kind.schema()))?;
        let mut numbers = Vec::with_capacity(2);
        for (index, (field, metric, units)) in kind.numbers().iter().enumerate() {
            match body.get(field)? {
                Some(node) => numbers.push(read_number(&node, *metric, units)?),
                None if index == 0 || kind == Kind::BloodPressure => {
                    body.require(field)?;
                }
                None => {}
            }
        }
        let choice = |field, choices| body.get(field)?.map(|node| node.one_of(choices)).transpose();
        let statistic = choice("descriptive_statistic", &STATISTICS)?;
        let denominator = match body.get("descriptive_statistic_denominator")? {
            Some(node) => Some(short_text(&node)?),
            None => None,
        };
        let context = read_context(body, kind)?;
        let time = TimeFrame::read(body)?;
        if kind == Kind::StepCount && matches!(time, TimeFrame::At(_)) {
            let text = "steps are counted in an interval (time_interval), not at a time";
            return Err(body.fault_in("effective_time_frame.date_time", Reason::InvalidField, text));
        }
        Ok(Body {
            kind,
            numbers,
            time,
            statistic,
            denominator,
            context,
            path: body.path().into(),
        })
    }

    pub(super) fn values<'s>(&'s self) -> Vec<Value<'s>> {
        let value = |(metric, value, field): &'s (Metric, f64, String)| Value {
            metric: *metric,
            value: *value,
            field,
        };
        self.numbers.iter().map(value).collect()
    }

    /// The path of one of its fields.
    pub(super) fn path_of(&self, field: &str) -> String {
        match self.path.as_str() {
            "" => field.into(),
            path => format!("{path}.{field}"),
        }
    }
}

/// A number with its unit, in the stored one.
fn read_number(node: &Node<'_>, metric: Metric, units: &[Unit]) -> Result<(Metric, f64, String), Fault> {
    node.only(|name| ["value", "unit"].contains(&name), "a value with its unit")?;
    let unit = node.require("unit")?;
    let given = unit.text()?;
    let Some((_, convert)) = units.iter().find(|(name, _)| *name == given) else {
        let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        let text = format!("{} is not one of {}", quote(given), names.join(", "));
        return Err(unit.fault(Reason::InvalidUnit, text));
    };
    let value = node.require("value")?;
    let number = value.number()?;
    if metric == Metric::Steps && number.fract() != 0.0 {
        let text = format!("{} is not a whole number of steps", show(number));
        return Err(value.fault(Reason::InvalidField, text));
    }
    Ok((metric, convert(number), value.path().into()))
}

/// What is said of the measurement beside its numbers.
fn read_context(body: &Node<'_>, kind: Kind) -> Result<Context, Fault> {
    let choice = |field, choices: &[&'static str]| match body.get(field) {
        Ok(Some(node)) => node.one_of(choices).map(Some),
        Ok(None) => Ok(None),
        Err(fault) => Err(fault),
    };
    let sites: &[&str] = match kind {
        Kind::BodyTemperature => &TEMPERATURE_SITES,
        _ => &CUFF_SITES,
    };
    // The only ones there are, and what the metric says already.
    choice("system", &["peripheral capillary"])?;
    choice("measurement_method", &["pulse oximetry"])?;
    let meal = choice("temporal_relationship_to_meal", &MEALS)?;
    let circumstances = Circumstances {
        posture: choice("body_posture", &POSTURES)?.map(Into::into),
        site: choice("measurement_location", sites)?.map(Into::into),
        activity: choice("temporal_relationship_to_physical_activity", &ACTIVITY)?.map(Into::into),
        sleep: choice("temporal_relationship_to_sleep", &SLEEP)?.map(Into::into),
        meal: meal
            .filter(|said| !["fasting", "before meal", "after meal"].contains(said))
            .map(Into::into),
        oxygen_delivery: choice("oxygen_therapy_mode_of_administration", &["nasal cannula"])?.map(Into::into),
    };
    Ok(Context {
        sample: sample(body)?.map(Into::into),
        meal: meal.and_then(relation_to_meal).map(Into::into),
        circumstances: (circumstances != Circumstances::default()).then(|| Box::new(circumstances)),
        ..Context::default()
    })
}

/// What glucose was measured in.
fn sample(body: &Node<'_>) -> Result<Option<&'static str>, Fault> {
    let Some(specimen) = body.get("specimen_source")? else {
        return Ok(None);
    };
    match specimen.one_of(&SPECIMENS)? {
        "capillary blood" => Ok(Some("capillary_blood")),
        "interstitial fluid" => Ok(Some("interstitial")),
        other => {
            let text = format!("{other} has glucose of another range than blood, which rules would misjudge");
            Err(specimen.fault(Reason::Unsupported, text))
        }
    }
}

/// The relation to a meal in the record's words. "Not fasting" is none of them.
fn relation_to_meal(said: &'static str) -> Option<&'static str> {
    match said {
        "fasting" => Some("fasting"),
        "not fasting" => None,
        "2 hours postprandial" => Some("after"),
        said if said.starts_with("before") => Some("before"),
        _ => Some("after"),
    }
}

/// A text that is a word or two.
fn short_text(node: &Node<'_>) -> Result<String, Fault> {
    let text = node.text()?;
    if text.is_empty() || text.len() > 40 || text.contains(char::is_control) {
        return Err(node.fault(Reason::InvalidField, "has to be a word"));
    }
    Ok(text.into())
}
