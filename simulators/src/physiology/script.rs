use std::str::FromStr;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{DAY, DeviceKind, HOUR, MINUTE};
use crate::noise::{mix_values, smoothstep};

/// Something that happens to a simulated patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// What happens.
    pub kind: ScriptKind,
    /// When: of a hypo and of a crisis the moment at which the limit is crossed, of all others the beginning.
    pub at: DateTime<Utc>,
}

/// What may happen to a simulated patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptKind {
    /// Glucose falls for an hour, below 3.0 mmol/L at the script's time, stays there for half an hour, and
    /// recovers.
    Hypo,
    /// Glucose falls from 10.8 to 4.2 mmol/L within half an hour, and goes no lower.
    RapidFall,
    /// Glucose of 16.8 mmol/L for seven hours, as after a forgotten dose.
    HighGlucose,
    /// Glucose of some 11 mmol/L from then on.
    RaisedGlucose,
    /// From then on the glucose sensor measures no more.
    SilentSensor,
    /// Blood pressure of 180/120 and more from the script's time, for an hour, then falling; the patient
    /// measures again and again.
    HypertensiveCrisis,
    /// Blood pressures of some 143/89 for eight days.
    RaisedPressure,
    /// Three of four measurements meet an irregular pulse, for two days.
    IrregularPulse,
    /// A heart rate of 134 at rest, for an hour and a half.
    FastHeart,
    /// Over 18 hours respirations, pulse and temperature rise, saturation and pressure fall: NEWS2 of 8 for a
    /// day, then recovery.
    Infection,
    /// Over ten hours a chronic disease of the lungs gets worse: fast breathing, a saturation of 84 %, in the end
    /// confusion; recovery after a day.
    LungExacerbation,
    /// 3.6 kg more within five days; treated, and gone after five more.
    FluidRetention,
    /// Over six hours heart rate rises, oxygen saturation falls, blood pressure drifts up to a crisis, and
    /// glucose stays above 13.9 mmol/L; then, slowly, recovery.
    Deterioration,
}

impl ScriptKind {
    /// Every kind, with its name on the command line.
    pub const ALL: [(ScriptKind, &str); 13] = [
        (ScriptKind::Hypo, "hypo"),
        (ScriptKind::RapidFall, "rapid_fall"),
        (ScriptKind::HighGlucose, "high_glucose"),
        (ScriptKind::RaisedGlucose, "raised_glucose"),
        (ScriptKind::SilentSensor, "silent_sensor"),
        (ScriptKind::HypertensiveCrisis, "hypertensive_crisis"),
        (ScriptKind::RaisedPressure, "raised_pressure"),
        (ScriptKind::IrregularPulse, "irregular_pulse"),
        (ScriptKind::FastHeart, "fast_heart"),
        (ScriptKind::Infection, "infection"),
        (ScriptKind::LungExacerbation, "lung_exacerbation"),
        (ScriptKind::FluidRetention, "fluid_retention"),
        (ScriptKind::Deterioration, "deterioration"),
    ];
}

/// Where a script draws a value, and how strongly: 0 leaves it, 1 has it there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pull {
    weight: f64,
    target: f64,
}

impl Pull {
    pub(super) fn on(self, value: f64) -> f64 {
        mix_values(value, self.target, self.weight)
    }
}

/// What remains of a value's noise while a script has it: enough to look alive, too little to cross back
/// over the limit that the script is there to cross.
pub(super) fn calmed(noise: f64, pulls: impl Iterator<Item = Pull>) -> f64 {
    let strongest = pulls.fold(0.0, |most: f64, pull| most.max(pull.weight));
    noise * (1.0 - 0.85 * strongest)
}

const CRISIS_HOLD: i64 = HOUR;
const DETERIORATION_RISE: i64 = 6 * HOUR;
const DETERIORATION_END: i64 = 10 * HOUR;
/// What fluid retention amounts to, kg.
const FLUID: f64 = 3.6;

impl Script {
    /// When it begins to show.
    pub fn begin(&self) -> DateTime<Utc> {
        let before = match self.kind {
            ScriptKind::Hypo | ScriptKind::RapidFall | ScriptKind::HypertensiveCrisis => TimeDelta::hours(1),
            _ => TimeDelta::zero(),
        };
        self.at - before
    }

    fn since(&self, at: i64) -> i64 {
        at - self.at.timestamp()
    }

    /// How much of what happens is there, from 0 to 1.
    fn course(&self, at: i64) -> f64 {
        let since = self.since(at);
        match self.kind {
            ScriptKind::Hypo => plateau(since + 10 * MINUTE, 10 * MINUTE, 40 * MINUTE, 30 * MINUTE),
            ScriptKind::RapidFall => plateau(since + HOUR, 40 * MINUTE, 2 * HOUR, 50 * MINUTE),
            ScriptKind::HighGlucose => plateau(since, 90 * MINUTE, 7 * HOUR, 150 * MINUTE),
            ScriptKind::RaisedGlucose => 0.7 * ramp(since, 12 * HOUR),
            ScriptKind::SilentSensor => 0.0,
            // A readable rise before, far from the limit; the crisis begins at its time and not earlier.
            ScriptKind::HypertensiveCrisis if since < 0 => 0.25 * ramp(since + HOUR, HOUR),
            ScriptKind::HypertensiveCrisis => 1.0 - ramp(since - CRISIS_HOLD, 3 * HOUR),
            ScriptKind::RaisedPressure => 0.85 * plateau(since, 12 * HOUR, 8 * DAY, DAY),
            ScriptKind::IrregularPulse => f64::from(u8::from((0..2 * DAY).contains(&since))),
            ScriptKind::FastHeart => plateau(since, 10 * MINUTE, 90 * MINUTE, 30 * MINUTE),
            ScriptKind::Infection => plateau(since, 18 * HOUR, 42 * HOUR, 30 * HOUR),
            ScriptKind::LungExacerbation => plateau(since, 10 * HOUR, 34 * HOUR, 24 * HOUR),
            ScriptKind::FluidRetention => {
                let days = since as f64 / DAY as f64;
                (days / 5.0).clamp(0.0, 1.0) - ((days - 6.0) / 5.0).clamp(0.0, 1.0)
            }
            ScriptKind::Deterioration => plateau(since, DETERIORATION_RISE, DETERIORATION_END, 5 * HOUR),
        }
    }

    /// Draws towards a value as far as what happens is there, where it draws at all.
    fn towards(&self, at: i64, target: Option<f64>) -> Pull {
        target.map_or(Pull::default(), |target| Pull {
            weight: self.course(at),
            target,
        })
    }

    pub(super) fn glucose(&self, at: i64) -> Pull {
        let since = self.since(at);
        let minutes = since as f64 / MINUTE as f64;
        match self.kind {
            ScriptKind::Hypo => hypo(minutes),
            ScriptKind::RapidFall => {
                self.towards(at, Some(mix_values(10.8, 4.2, (minutes / 30.0).clamp(0.0, 1.0))))
            }
            ScriptKind::HighGlucose => self.towards(at, Some(16.8)),
            ScriptKind::RaisedGlucose => self.towards(at, Some(13.0)),
            ScriptKind::Deterioration => Pull {
                weight: plateau(since, 2 * HOUR, DETERIORATION_END, 4 * HOUR),
                target: 16.5,
            },
            _ => Pull::default(),
        }
    }

    pub(super) fn systolic(&self, at: i64) -> Pull {
        let target = match self.kind {
            ScriptKind::HypertensiveCrisis | ScriptKind::Deterioration => Some(191.0),
            ScriptKind::RaisedPressure => Some(146.0),
            ScriptKind::Infection => Some(106.0),
            _ => None,
        };
        self.towards(at, target)
    }

    pub(super) fn diastolic(&self, at: i64) -> Pull {
        let target = match self.kind {
            ScriptKind::HypertensiveCrisis | ScriptKind::Deterioration => Some(126.0),
            ScriptKind::RaisedPressure => Some(91.0),
            ScriptKind::Infection => Some(64.0),
            _ => None,
        };
        self.towards(at, target)
    }

    /// The probability that a measurement meets an irregular pulse.
    pub(super) fn irregular_pulse(&self, at: i64) -> f64 {
        match self.kind {
            ScriptKind::IrregularPulse => 0.75 * self.course(at),
            _ => 0.0,
        }
    }

    pub(super) fn heart_rate(&self, at: i64) -> Pull {
        let (share, target) = match self.kind {
            ScriptKind::Hypo => (0.5, 104.0),
            ScriptKind::HypertensiveCrisis => (0.6, 106.0),
            ScriptKind::FastHeart => (1.0, 134.0),
            ScriptKind::Infection => (1.0, 114.0),
            ScriptKind::LungExacerbation => (1.0, 117.0),
            ScriptKind::Deterioration => (1.0, 127.0),
            _ => return Pull::default(),
        };
        Pull {
            weight: share * self.course(at),
            target,
        }
    }

    pub(super) fn spo2(&self, at: i64) -> Pull {
        let target = match self.kind {
            ScriptKind::Infection => Some(93.0),
            ScriptKind::LungExacerbation => Some(84.0),
            ScriptKind::Deterioration => Some(88.0),
            _ => None,
        };
        self.towards(at, target)
    }

    pub(super) fn respirations(&self, at: i64) -> Pull {
        let target = match self.kind {
            ScriptKind::Infection => Some(23.0),
            ScriptKind::LungExacerbation => Some(27.0),
            ScriptKind::Deterioration => Some(24.0),
            _ => None,
        };
        self.towards(at, target)
    }

    pub(super) fn temperature(&self, at: i64) -> Pull {
        let target = match self.kind {
            ScriptKind::Infection => Some(38.8),
            ScriptKind::LungExacerbation => Some(38.3),
            ScriptKind::Deterioration => Some(38.6),
            _ => None,
        };
        self.towards(at, target)
    }

    /// Whether the patient is confused: 1 is yes.
    pub(super) fn confusion(&self, at: i64) -> Pull {
        let confused = self.kind == ScriptKind::LungExacerbation && self.course(at) > 0.99;
        Pull {
            weight: f64::from(u8::from(confused)),
            target: 1.0,
        }
    }

    /// Fluid that the body keeps, kg.
    pub(super) fn fluid(&self, at: i64) -> f64 {
        match self.kind {
            ScriptKind::FluidRetention => FLUID * self.course(at),
            _ => 0.0,
        }
    }

    /// How ill the patient is, who then moves less.
    pub(super) fn illness(&self, at: i64) -> Pull {
        let weight = match self.kind {
            ScriptKind::FastHeart => plateau(self.since(at) + HOUR, HOUR, 3 * HOUR, HOUR),
            ScriptKind::Infection | ScriptKind::LungExacerbation => self.course(at),
            ScriptKind::Deterioration => plateau(self.since(at), HOUR, DETERIORATION_END, 5 * HOUR),
            _ => 0.0,
        };
        Pull { weight, target: 1.0 }
    }

    /// Whether the glucose sensor is silent.
    pub(super) fn silences(&self, at: i64) -> bool {
        self.kind == ScriptKind::SilentSensor && self.since(at) >= 0
    }

    /// The moments at which the patient measures because of what happens, beside the device's habit. The
    /// first is at the script's time or soon after: whoever feels ill reaches for the device.
    pub(super) fn measures(&self, device: DeviceKind) -> Vec<i64> {
        let begin = self.at.timestamp();
        let after = |minutes: &[i64]| minutes.iter().map(|m| begin + m * MINUTE).collect();
        let every = |minutes: i64| {
            (0..=DETERIORATION_END / (minutes * MINUTE))
                .map(|n| begin + n * minutes * MINUTE)
                .collect()
        };
        match (self.kind, device) {
            (ScriptKind::Hypo, DeviceKind::Cgm) => after(&[0, 1]),
            (ScriptKind::Hypo, DeviceKind::Meter) => after(&[0, 15, 40]),
            (ScriptKind::HypertensiveCrisis, DeviceKind::Cuff) => after(&[0, 1, 10, 30, 59, 120]),
            (ScriptKind::Deterioration, DeviceKind::Smartwatch) => every(10),
            (ScriptKind::Deterioration, DeviceKind::Cuff | DeviceKind::Meter | DeviceKind::Hub) => every(60),
            _ => Vec::new(),
        }
    }
}

/// Glucose of a hypo, `m` minutes from its time: drawn down to just above 3.0 before, just below at 0,
/// above again after half an hour, and released.
fn hypo(m: f64) -> Pull {
    let weight = smoothstep((m + 60.0) / 50.0) - smoothstep((m - 34.0) / 50.0);
    let between = |from: (f64, f64), to: (f64, f64)| {
        let part = (m - from.0) / (to.0 - from.0);
        mix_values(from.1, to.1, part.clamp(0.0, 1.0))
    };
    let target = match m {
        m if m < -10.0 => between((-60.0, 5.0), (-10.0, 3.5)),
        m if m < 0.0 => between((-10.0, 3.5), (-1.0, 3.22)),
        m if m < 12.0 => between((0.0, 2.82), (12.0, 2.58)),
        m if m < 29.0 => between((12.0, 2.58), (29.0, 2.8)),
        _ => between((29.0, 2.8), (40.0, 4.2)),
    };
    Pull { weight, target }
}

/// From 0 at 0 to 1 at `length`, smoothly.
fn ramp(since: i64, length: i64) -> f64 {
    smoothstep(since as f64 / length as f64)
}

/// Up within `rise`, 1 until `end`, down within `fall`.
fn plateau(since: i64, rise: i64, end: i64, fall: i64) -> f64 {
    ramp(since, rise) - ramp(since - end, fall)
}

impl FromStr for ScriptKind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<ScriptKind> {
        let named = ScriptKind::ALL.iter().find(|(_, name)| *name == text);
        let (kind, _) = named.with_context(|| {
            let names = ScriptKind::ALL.map(|(_, name)| name).join(", ");
            format!("there is no script {text:?}: use one of {names}")
        })?;
        Ok(*kind)
    }
}
