//! From readings to Observations.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::build::{coding, instant};
use super::codes::{ABSENT, LEVELS, MDC, MEAL_CONTEXT, MEALS, SNOMED, UCUM, blood_pressure, code_of};
use super::{CAUTION, ObservationId, READING_CONTEXT};
use crate::fhir::passport::{Kept, KeptReading, keep};
use crate::{Context, DeviceId, Metric, PatientId, Reading};

/// The code system of the categories of Observations.
pub const OBSERVATION_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";

/// A reading of the record.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'r> {
    /// Whose it is.
    pub patient: PatientId,
    /// What measured it.
    pub device: DeviceId,
    /// What was measured.
    pub reading: &'r Reading,
    /// When the record received it.
    pub received_at: DateTime<Utc>,
    /// How it was judged; none where nobody has.
    pub interpretation: Option<Interpretation>,
    /// Whether it counts.
    pub status: Status,
}

/// Whether a reading counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It does.
    Final,
    /// Somebody marked it: it counts for nothing.
    EnteredInError,
}

/// How a value lies to its limits (HL7 v3 ObservationInterpretation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpretation {
    /// Within them.
    Normal,
    /// Above.
    High,
    /// Far above.
    CriticallyHigh,
    /// Below.
    Low,
    /// Far below.
    CriticallyLow,
}

impl Interpretation {
    fn coding(self) -> Json {
        let (code, display) = match self {
            Interpretation::Normal => ("N", "Normal"),
            Interpretation::High => ("H", "High"),
            Interpretation::CriticallyHigh => ("HH", "Critical high"),
            Interpretation::Low => ("L", "Low"),
            Interpretation::CriticallyLow => ("LL", "Critical low"),
        };
        coding(INTERPRETATION, code, display)
    }
}

/// The Observations that readings are: one each, but for the two pressures of a measurement and what the cuff
/// said of the pulse, which are one panel. In the order of patient, time, device and metric.
///
/// The identifier of an Observation follows from what identifies the reading, so it stays the same however
/// often it is asked for.
pub fn observations(observed: &[Observed<'_>]) -> Vec<Json> {
    grouped(observed).iter().map(|group| resource(group)).collect()
}

/// The same for a passport: each carries its readings exactly.
pub fn kept_observations(observed: &[Observed<'_>]) -> Vec<Json> {
    let kept = |group: &Vec<&Observed<'_>>| {
        let mut resource = resource(group);
        for one in group {
            let reading = one.reading;
            let exact = KeptReading {
                metric: reading.metric,
                at: reading.at,
                value: reading.value,
                received_at: one.received_at,
                context: reading.context.clone(),
            };
            keep(&mut resource, Kept::Reading, &exact);
        }
        resource
    };
    grouped(observed).iter().map(kept).collect()
}

/// The readings of each Observation, which is a panel where a pressure is among them.
fn grouped<'o, 'r>(observed: &'o [Observed<'r>]) -> Vec<Vec<&'o Observed<'r>>> {
    let mut groups: BTreeMap<_, Vec<&Observed<'_>>> = BTreeMap::new();
    for one in observed {
        let key = (one.patient, one.reading.at, one.device, one.status);
        groups.entry(key).or_default().push(one);
    }
    let mut grouped = Vec::with_capacity(observed.len());
    for mut group in groups.into_values() {
        group.sort_by_key(|one| one.reading.metric);
        let pressed = group.iter().any(|one| is_pressure(one.reading.metric));
        let (panel, others): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|one| pressed && is_of_panel(one.reading.metric));
        grouped.extend(others.into_iter().map(|one| vec![one]));
        grouped.extend((!panel.is_empty()).then_some(panel));
    }
    grouped
}

fn resource(group: &[&Observed<'_>]) -> Json {
    match group {
        [one] if !is_pressure(one.reading.metric) => single(one),
        panel => blood_pressure_panel(panel),
    }
}

fn is_pressure(metric: Metric) -> bool {
    matches!(metric, Metric::Systolic | Metric::Diastolic)
}

fn is_of_panel(metric: Metric) -> bool {
    is_pressure(metric) || metric == Metric::IrregularPulse
}

fn single(one: &Observed<'_>) -> Json {
    let reading = one.reading;
    let code = code_of(reading.metric, reading.context.sample.as_deref());
    let mut resource = frame(one, code, category_of(reading.metric));
    let (element, value) = value(reading);
    resource[element] = value;
    if let Some(interpretation) = one.interpretation {
        resource["interpretation"] = json!([{"coding": [interpretation.coding()]}]);
    }
    let meal = reading
        .context
        .meal
        .as_deref()
        .and_then(|word| MEALS.iter().find(|(.., name)| *name == word));
    if let Some((code, display, word)) = meal {
        resource["component"] = json!([{
            "code": {"coding": [coding(MDC, MEAL_CONTEXT.0, MEAL_CONTEXT.1)], "text": "Relation to a meal"},
            "valueCodeableConcept": {"coding": [coding(MDC, code, display)], "text": word},
        }]);
    }
    resource
}

fn blood_pressure_panel(panel: &[&Observed<'_>]) -> Json {
    let mut resource = frame(panel[0], blood_pressure(), "vital-signs");
    let mut components = Vec::with_capacity(panel.len());
    for metric in [Metric::Systolic, Metric::Diastolic, Metric::IrregularPulse] {
        let code = code_of(metric, None);
        match panel.iter().find(|one| one.reading.metric == metric) {
            Some(one) => {
                let (element, value) = value(one.reading);
                let mut component = json!({"code": code});
                component[element] = value;
                if let Some(interpretation) = one.interpretation {
                    component["interpretation"] = json!([{"coding": [interpretation.coding()]}]);
                }
                components.push(component);
            }
            None if is_pressure(metric) => {
                let absent = json!({"coding": [coding(ABSENT, "unknown", "Unknown")]});
                components.push(json!({"code": code, "dataAbsentReason": absent}));
            }
            None => {}
        }
    }
    resource["component"] = components.into();
    resource
}

/// What every Observation has.
fn frame(one: &Observed<'_>, code: Json, category: &str) -> Json {
    let reading = one.reading;
    let id = ObservationId {
        patient: one.patient,
        device: one.device,
        metric: reading.metric,
        at: reading.at,
    };
    let status = match one.status {
        Status::Final => "final",
        Status::EnteredInError => "entered-in-error",
    };
    let mut resource = json!({
        "resourceType": "Observation",
        "id": id.to_string(),
        "status": status,
        "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": category}]}],
        "code": code,
        "subject": {"reference": format!("Patient/{}", one.patient)},
        "issued": instant(one.received_at),
        "device": {"reference": format!("Device/{}", one.device)},
    });
    let context = &reading.context;
    match context.from {
        Some(from) => {
            resource["effectivePeriod"] = json!({"start": instant(from), "end": instant(reading.at)});
        }
        None => resource["effectiveDateTime"] = instant(reading.at).into(),
    }
    if let Some(site) = context.circumstances.as_ref().and_then(|said| said.site.as_ref()) {
        resource["bodySite"] = json!({"text": site});
    }
    if let Some(extension) = extension(context) {
        resource["extension"] = json!([extension]);
    }
    resource
}

/// What FHIR has no element for.
fn extension(context: &Context) -> Option<Json> {
    let part = |name: &str, text: &str| json!({"url": name, "valueString": text});
    let mut parts: Vec<Json> = context.cautions.iter().map(|text| part(CAUTION, text)).collect();
    if let Some(said) = &context.circumstances {
        let named = [
            ("posture", &said.posture),
            ("activity", &said.activity),
            ("sleep", &said.sleep),
            ("meal", &said.meal),
            ("oxygen_delivery", &said.oxygen_delivery),
        ];
        let given = named
            .iter()
            .filter_map(|(name, text)| Some((name, text.as_deref()?)));
        parts.extend(given.map(|(name, text)| part(name, text)));
    }
    (!parts.is_empty()).then(|| json!({"url": READING_CONTEXT, "extension": parts}))
}

/// The element that holds the value, and the value.
fn value(reading: &Reading) -> (&'static str, Json) {
    match reading.metric {
        Metric::Consciousness => {
            let level = LEVELS
                .iter()
                .zip(0u8..)
                .find(|(_, level)| f64::from(*level) == reading.value);
            let concept =
                level.map(|((code, display), _)| json!({"coding": [coding(SNOMED, code, display)]}));
            (
                "valueCodeableConcept",
                concept.unwrap_or_else(|| json!({"text": "unknown"})),
            )
        }
        Metric::IrregularPulse => ("valueBoolean", (reading.value != 0.0).into()),
        metric => (
            "valueQuantity",
            json!({"value": reading.value, "unit": metric.unit(), "system": UCUM, "code": metric.unit()}),
        ),
    }
}

/// The category under which a metric's readings are written.
pub fn category_of(metric: Metric) -> &'static str {
    match metric {
        Metric::Glucose => "laboratory",
        Metric::Steps => "activity",
        Metric::Consciousness => "exam",
        Metric::SupplementalOxygen => "therapy",
        _ => "vital-signs",
    }
}
