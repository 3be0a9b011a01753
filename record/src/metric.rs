use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a stored reading measures. A blood-pressure measurement is two readings of one time: systolic and
/// diastolic.
///
/// The numbers are those of the store: never reuse or change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Metric {
    /// Heart rate, /min.
    HeartRate = 1,
    /// Oxygen saturation by pulse oximetry, %.
    Spo2 = 2,
    /// Respirations, /min.
    RespiratoryRate = 3,
    /// Body temperature, Cel.
    BodyTemperature = 4,
    /// Systolic blood pressure, mm\[Hg\].
    Systolic = 5,
    /// Diastolic blood pressure, mm\[Hg\].
    Diastolic = 6,
    /// Glucose, mmol/L.
    Glucose = 7,
    /// Steps in an interval that ends at the reading's time, {steps}.
    Steps = 8,
    /// Body weight, kg.
    BodyWeight = 9,
    /// Level of consciousness on the ACVPU scale: 0 alert, 1 new confusion, 2 voice, 3 pain, 4 unresponsive.
    Consciousness = 10,
    /// Supplemental oxygen, L/min; 0 is air.
    SupplementalOxygen = 11,
    /// Whether a cuff saw an irregular pulse during a measurement: 0 no, 1 yes.
    IrregularPulse = 12,
}

impl Metric {
    /// Every metric, in the order of their numbers.
    pub const ALL: [Metric; 12] = [
        Metric::HeartRate,
        Metric::Spo2,
        Metric::RespiratoryRate,
        Metric::BodyTemperature,
        Metric::Systolic,
        Metric::Diastolic,
        Metric::Glucose,
        Metric::Steps,
        Metric::BodyWeight,
        Metric::Consciousness,
        Metric::SupplementalOxygen,
        Metric::IrregularPulse,
    ];

    /// The number under which the store keeps it.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The metric with this number in the store.
    pub fn from_code(code: i16) -> Option<Metric> {
        Metric::ALL.into_iter().find(|metric| metric.code() == code)
    }

    /// The name in wire formats and the API, the same as its serde form.
    pub fn name(self) -> &'static str {
        match self {
            Metric::HeartRate => "heart_rate",
            Metric::Spo2 => "spo2",
            Metric::RespiratoryRate => "respiratory_rate",
            Metric::BodyTemperature => "body_temperature",
            Metric::Systolic => "systolic",
            Metric::Diastolic => "diastolic",
            Metric::Glucose => "glucose",
            Metric::Steps => "steps",
            Metric::BodyWeight => "body_weight",
            Metric::Consciousness => "consciousness",
            Metric::SupplementalOxygen => "supplemental_oxygen",
            Metric::IrregularPulse => "irregular_pulse",
        }
    }

    /// The UCUM unit in which values are stored and answered.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::HeartRate | Metric::RespiratoryRate => "/min",
            Metric::Spo2 => "%",
            Metric::BodyTemperature => "Cel",
            Metric::Systolic | Metric::Diastolic => "mm[Hg]",
            Metric::Glucose => "mmol/L",
            Metric::Steps => "{steps}",
            Metric::BodyWeight => "kg",
            Metric::Consciousness | Metric::IrregularPulse => "1",
            Metric::SupplementalOxygen => "L/min",
        }
    }

    /// The values that a living person can have, in the stored unit. What is outside is a fault of the
    /// device or of its handling, and is rejected as implausible rather than judged.
    ///
    /// These are limits of plausibility set for this product, wide on purpose, not limits of health: they
    /// span the measuring ranges of approved devices (for glucose 0.6–33.3 mmol/L on meters, for
    /// pressure 0–300 mm\[Hg\] on cuffs) and survivable extremes.
    pub fn plausible(self) -> RangeInclusive<f64> {
        match self {
            Metric::HeartRate => 20.0..=300.0,
            Metric::Spo2 => 40.0..=100.0,
            Metric::RespiratoryRate => 2.0..=80.0,
            Metric::BodyTemperature => 25.0..=45.0,
            Metric::Systolic => 40.0..=300.0,
            Metric::Diastolic => 20.0..=200.0,
            Metric::Glucose => 0.5..=50.0,
            Metric::Steps => 0.0..=100_000.0,
            Metric::BodyWeight => 0.4..=500.0,
            Metric::Consciousness => 0.0..=4.0,
            Metric::SupplementalOxygen => 0.0..=80.0,
            Metric::IrregularPulse => 0.0..=1.0,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = ();

    fn from_str(name: &str) -> Result<Metric, ()> {
        Metric::ALL
            .into_iter()
            .find(|metric| metric.name() == name)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_code(metric.code()), Some(metric));
            assert_eq!(metric.name().parse(), Ok(metric));
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{metric}\""));
        }
        assert_eq!(Metric::from_code(0), None);
        assert_eq!("blood_pressure".parse::<Metric>(), Err(()));
    }
}
