use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::decode::BATTERY_LEVEL;
use homeward_record::{DeviceId, DeviceTopic, Metric, PayloadKind, unit};
use serde::{Serialize, Serializer};

/// What a device measured, as the native JSON of the wire format has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Measurement {
    /// A heart rate, /min.
    HeartRate {
        /// When.
        at: DateTime<Utc>,
        /// How fast.
        #[serde(serialize_with = "number")]
        value: f64,
    },
    /// An oxygen saturation, %.
    Spo2 {
        /// When.
        at: DateTime<Utc>,
        /// How much.
        #[serde(serialize_with = "number")]
        value: f64,
    },
    /// The steps of an interval.
    Steps {
        /// Its beginning.
        from: DateTime<Utc>,
        /// Its end.
        at: DateTime<Utc>,
        /// How many.
        value: u32,
    },
    /// A blood pressure, mm\[Hg\].
    BloodPressure {
        /// When.
        at: DateTime<Utc>,
        /// The upper pressure.
        #[serde(serialize_with = "number")]
        systolic: f64,
        /// The lower pressure.
        #[serde(serialize_with = "number")]
        diastolic: f64,
        /// The heart rate that the cuff saw, /min.
        #[serde(serialize_with = "optional_number", skip_serializing_if = "Option::is_none")]
        pulse: Option<f64>,
        /// Whether the cuff saw an irregular pulse, where it looks for one.
        #[serde(skip_serializing_if = "Option::is_none")]
        irregular_pulse: Option<bool>,
    },
    /// Respirations, /min.
    RespiratoryRate {
        /// When.
        at: DateTime<Utc>,
        /// How many.
        #[serde(serialize_with = "number")]
        value: f64,
    },
    /// Oxygen that the patient is given, L/min; 0 is air.
    SupplementalOxygen {
        /// When.
        at: DateTime<Utc>,
        /// How much.
        #[serde(serialize_with = "number")]
        value: f64,
    },
    /// A body temperature, Cel.
    BodyTemperature {
        /// When.
        at: DateTime<Utc>,
        /// How warm.
        #[serde(serialize_with = "number")]
        value: f64,
    },
    /// A level of consciousness.
    Consciousness {
        /// When.
        at: DateTime<Utc>,
        /// Which.
        value: Consciousness,
    },
    /// A body weight, kg.
    BodyWeight {
        /// When.
        at: DateTime<Utc>,
        /// How much.
        #[serde(serialize_with = "number")]
        value: f64,
    },
    /// A glucose concentration.
    Glucose {
        /// When.
        at: DateTime<Utc>,
        /// How much, in `unit`.
        #[serde(serialize_with = "number")]
        value: f64,
        /// The unit of `value`.
        unit: GlucoseUnit,
        /// What was measured in.
        sample: Sample,
        /// Relation to a meal, where the patient said so.
        #[serde(skip_serializing_if = "Option::is_none")]
        meal: Option<Meal>,
    },
}

/// A level of consciousness, as far as simulated patients have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Consciousness {
    /// Alert.
    #[serde(rename = "A")]
    Alert,
    /// Newly confused.
    #[serde(rename = "C")]
    Confused,
}

/// The unit of a glucose concentration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum GlucoseUnit {
    /// Millimoles per litre.
    #[serde(rename = "mmol/L")]
    MmolPerL,
    /// Milligrams per decilitre.
    #[serde(rename = "mg/dL")]
    MgPerDl,
}

/// What glucose was measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sample {
    /// By a sensor under the skin.
    Interstitial,
    /// By a meter, from a fingertip.
    CapillaryBlood,
}

/// How a glucose measurement relates to a meal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meal {
    /// Within the hour before one.
    Before,
    /// About two hours after one.
    After,
    /// After a night.
    Fasting,
    /// At no particular time.
    Casual,
    /// Before going to bed.
    Bedtime,
}

/// One number that the record holds of a measurement, in the stored unit: what a test looks for there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// What was measured.
    pub metric: Metric,
    /// When.
    pub at: DateTime<Utc>,
    /// The value in [`Metric::unit`].
    pub value: f64,
}

/// A message as a device publishes it, and what it says.
#[derive(Clone, Debug)]
pub struct Message {
    /// How it is written, which its topic says.
    pub kind: PayloadKind,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// The readings in it, as the record keeps them.
    pub readings: Vec<Measured>,
}

impl Measurement {
    /// When it was taken; of an interval, its end.
    pub fn at(&self) -> DateTime<Utc> {
        match self {
            Measurement::HeartRate { at, .. }
            | Measurement::Spo2 { at, .. }
            | Measurement::Steps { at, .. }
            | Measurement::BloodPressure { at, .. }
            | Measurement::RespiratoryRate { at, .. }
            | Measurement::SupplementalOxygen { at, .. }
            | Measurement::BodyTemperature { at, .. }
            | Measurement::Consciousness { at, .. }
            | Measurement::BodyWeight { at, .. }
            | Measurement::Glucose { at, .. } => *at,
        }
    }

    /// The numbers that the record holds of it.
    pub fn readings(&self) -> Vec<Measured> {
        let at = self.at();
        let reading = |metric, value| Measured { metric, at, value };
        match *self {
            Measurement::HeartRate { value, .. } => vec![reading(Metric::HeartRate, value)],
            Measurement::Spo2 { value, .. } => vec![reading(Metric::Spo2, value)],
            Measurement::Steps { value, .. } => vec![reading(Metric::Steps, f64::from(value))],
            Measurement::RespiratoryRate { value, .. } => vec![reading(Metric::RespiratoryRate, value)],
            Measurement::SupplementalOxygen { value, .. } => vec![reading(Metric::SupplementalOxygen, value)],
            Measurement::BodyTemperature { value, .. } => vec![reading(Metric::BodyTemperature, value)],
            Measurement::Consciousness { value, .. } => {
                vec![reading(Metric::Consciousness, f64::from(value as u8))]
            }
            Measurement::BodyWeight { value, .. } => vec![reading(Metric::BodyWeight, value)],
            Measurement::BloodPressure {
                systolic,
                diastolic,
                pulse,
                irregular_pulse,
                ..
            } => [
                Some(reading(Metric::Systolic, systolic)),
                Some(reading(Metric::Diastolic, diastolic)),
                pulse.map(|pulse| reading(Metric::HeartRate, pulse)),
                irregular_pulse.map(|seen| reading(Metric::IrregularPulse, f64::from(u8::from(seen)))),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Measurement::Glucose { value, unit, .. } => {
                let stored = match unit {
                    GlucoseUnit::MmolPerL => value,
                    GlucoseUnit::MgPerDl => unit::mg_per_dl_to_mmol_per_l(value),
                };
                vec![reading(Metric::Glucose, stored)]
            }
        }
    }

    /// The same measurement as a device reports it whose clock is wrong by this much.
    pub fn shifted(mut self, by: TimeDelta) -> Measurement {
        if let Measurement::Steps { from, .. } = &mut self {
            *from += by;
        }
        match &mut self {
            Measurement::HeartRate { at, .. }
            | Measurement::Spo2 { at, .. }
            | Measurement::Steps { at, .. }
            | Measurement::BloodPressure { at, .. }
            | Measurement::RespiratoryRate { at, .. }
            | Measurement::SupplementalOxygen { at, .. }
            | Measurement::BodyTemperature { at, .. }
            | Measurement::Consciousness { at, .. }
            | Measurement::BodyWeight { at, .. }
            | Measurement::Glucose { at, .. } => *at += by,
        }
        self
    }
}

impl Message {
    /// A message with these measurements.
    pub fn new(measurements: &[Measurement]) -> Result<Message> {
        #[derive(Serialize)]
        struct Upload<'a> {
            readings: &'a [Measurement],
        }
        let upload = Upload {
            readings: measurements,
        };
        Ok(Message {
            kind: PayloadKind::Readings,
            payload: serde_json::to_vec(&upload).context("writing a message as JSON")?,
            readings: measurements.iter().flat_map(Measurement::readings).collect(),
        })
    }

    /// A message that says how full the device's battery is, in percent.
    pub fn battery(percent: u8) -> Message {
        Message {
            kind: PayloadKind::Gatt {
                characteristic: BATTERY_LEVEL,
                captured: None,
            },
            payload: vec![percent],
            readings: Vec::new(),
        }
    }

    /// The topic to which a device publishes it.
    pub(crate) fn topic(&self, device: DeviceId) -> String {
        let kind = self.kind;
        DeviceTopic { device, kind }.to_string()
    }
}

/// Whole numbers without a decimal point, as devices write them.
fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

fn optional_number<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => number(value, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use homeward_record::decode::{DecodeContext, decode};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn one_of_each() -> Vec<Measurement> {
        let at = at("2026-11-22T08:00:00Z");
        vec![
            Measurement::HeartRate { at, value: 86.08 },
            Measurement::Spo2 { at, value: 97.0 },
            Measurement::Steps {
                from: at - TimeDelta::hours(1),
                at,
                value: 812,
            },
            Measurement::BloodPressure {
                at: at + TimeDelta::seconds(5),
                systolic: 134.0,
                diastolic: 84.0,
                pulse: Some(71.0),
                irregular_pulse: Some(true),
            },
            Measurement::Glucose {
                at,
                value: 153.0,
                unit: GlucoseUnit::MgPerDl,
                sample: Sample::Interstitial,
                meal: None,
            },
            Measurement::Glucose {
                at: at + TimeDelta::seconds(5),
                value: 6.1,
                unit: GlucoseUnit::MmolPerL,
                sample: Sample::CapillaryBlood,
                meal: Some(Meal::Before),
            },
            Measurement::RespiratoryRate { at, value: 16.0 },
            Measurement::SupplementalOxygen { at, value: 0.0 },
            Measurement::BodyTemperature { at, value: 36.7 },
            Measurement::Consciousness {
                at,
                value: Consciousness::Alert,
            },
            Measurement::Consciousness {
                at: at + TimeDelta::seconds(5),
                value: Consciousness::Confused,
            },
            Measurement::BodyWeight { at, value: 81.3 },
        ]
    }

    #[test]
    fn the_json_is_that_of_the_wire_format() {
        let message = Message::new(&one_of_each()).unwrap();
        let text = String::from_utf8(message.payload).unwrap();
        for part in [
            r#"{"type":"heart_rate","at":"2026-11-22T08:00:00Z","value":86.08}"#,
            r#"{"type":"spo2","at":"2026-11-22T08:00:00Z","value":97}"#,
            r#"{"type":"steps","from":"2026-11-22T07:00:00Z","at":"2026-11-22T08:00:00Z","value":812}"#,
            r#""systolic":134,"diastolic":84,"pulse":71,"irregular_pulse":true}"#,
            r#""value":153,"unit":"mg/dL","sample":"interstitial"}"#,
            r#""value":6.1,"unit":"mmol/L","sample":"capillary_blood","meal":"before"}"#,
            r#"{"type":"supplemental_oxygen","at":"2026-11-22T08:00:00Z","value":0}"#,
            r#"{"type":"body_temperature","at":"2026-11-22T08:00:00Z","value":36.7}"#,
            r#"{"type":"consciousness","at":"2026-11-22T08:00:00Z","value":"A"}"#,
            r#"{"type":"body_weight","at":"2026-11-22T08:00:00Z","value":81.3}"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn the_record_reads_what_the_message_says() {
        let measurements = one_of_each();
        for shift in [TimeDelta::zero(), TimeDelta::minutes(-3)] {
            let shifted: Vec<_> = measurements.iter().map(|m| m.clone().shifted(shift)).collect();
            let message = Message::new(&shifted).unwrap();
            let context = DecodeContext {
                received_at: at("2026-11-22T08:10:00Z"),
                retention: TimeDelta::days(1),
                utc_offset: TimeDelta::zero(),
            };
            let upload = decode(PayloadKind::Readings, &message.payload, &context);
            assert_eq!(upload.rejected, []);
            let stored: Vec<_> = upload
                .readings
                .iter()
                .map(|r| Measured {
                    metric: r.metric,
                    at: r.at,
                    value: r.value,
                })
                .collect();
            assert_eq!(stored, message.readings);
            assert_eq!(shifted[2].at(), at("2026-11-22T08:00:00Z") + shift);
        }
    }
}
