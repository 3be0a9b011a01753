use std::str::FromStr;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{DeviceKind, HOUR, MINUTE};
use crate::noise::{mix_values, smoothstep};

/// Something that happens to a simulated patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// What happens.
    pub kind: ScriptKind,
    /// When: of a hypo and of a crisis the moment at which the limit is crossed, of a deterioration its
    /// beginning.
    pub at: DateTime<Utc>,
}

/// What may happen to a simulated patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptKind {
    /// Glucose falls for an hour, below 3.0 mmol/L at the script's time, stays there for half an hour, and
    /// recovers.
    Hypo,
    /// Blood pressure of 180/120 and more from the script's time, for an hour, then falling; the patient
    /// measures again and again.
    HypertensiveCrisis,
    /// Over six hours heart rate rises, oxygen saturation falls, blood pressure drifts up to a crisis, and
    /// glucose stays above 13.9 mmol/L; then, slowly, recovery.
    Deterioration,
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

impl Script {
    fn since(&self, at: i64) -> i64 {
        at - self.at.timestamp()
    }

    pub(super) fn glucose(&self, at: i64) -> Pull {
        let since = self.since(at);
        match self.kind {
            ScriptKind::Hypo => hypo(since as f64 / MINUTE as f64),
            ScriptKind::HypertensiveCrisis => Pull::default(),
            ScriptKind::Deterioration => Pull {
                weight: plateau(since, 2 * HOUR, DETERIORATION_END, 4 * HOUR),
                target: 16.5,
            },
        }
    }

    pub(super) fn systolic(&self, at: i64) -> Pull {
        Pull {
            weight: self.pressure(at),
            target: 191.0,
        }
    }

    pub(super) fn diastolic(&self, at: i64) -> Pull {
        Pull {
            weight: self.pressure(at),
            target: 126.0,
        }
    }

    fn pressure(&self, at: i64) -> f64 {
        let since = self.since(at);
        match self.kind {
            ScriptKind::Hypo => 0.0,
            // A readable rise before, far from the limit; the crisis begins at its time and not earlier.
            ScriptKind::HypertensiveCrisis if since < 0 => 0.25 * ramp(since + HOUR, HOUR),
            ScriptKind::HypertensiveCrisis => 1.0 - ramp(since - CRISIS_HOLD, 3 * HOUR),
            ScriptKind::Deterioration => plateau(since, DETERIORATION_RISE, DETERIORATION_END, 5 * HOUR),
        }
    }

    pub(super) fn heart_rate(&self, at: i64) -> Pull {
        let since = self.since(at);
        match self.kind {
            ScriptKind::Hypo => Pull {
                weight: 0.5 * plateau(since + 10 * MINUTE, 10 * MINUTE, 40 * MINUTE, 30 * MINUTE),
                target: 104.0,
            },
            ScriptKind::HypertensiveCrisis => Pull {
                weight: 0.6 * self.pressure(at),
                target: 106.0,
            },
            ScriptKind::Deterioration => Pull {
                weight: plateau(since, DETERIORATION_RISE, DETERIORATION_END, 5 * HOUR),
                target: 127.0,
            },
        }
    }

    pub(super) fn spo2(&self, at: i64) -> Pull {
        match self.kind {
            ScriptKind::Hypo | ScriptKind::HypertensiveCrisis => Pull::default(),
            ScriptKind::Deterioration => Pull {
                weight: plateau(self.since(at), DETERIORATION_RISE, DETERIORATION_END, 5 * HOUR),
                target: 88.0,
            },
        }
    }

    /// How ill the patient is, who then moves less.
    pub(super) fn illness(&self, at: i64) -> Pull {
        match self.kind {
            ScriptKind::Hypo | ScriptKind::HypertensiveCrisis => Pull::default(),
            ScriptKind::Deterioration => Pull {
                weight: plateau(self.since(at), HOUR, DETERIORATION_END, 5 * HOUR),
                target: 1.0,
            },
        }
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
            (ScriptKind::Deterioration, DeviceKind::Cuff | DeviceKind::Meter) => every(60),
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
        Ok(match text {
            "hypo" => ScriptKind::Hypo,
            "hypertensive_crisis" => ScriptKind::HypertensiveCrisis,
            "deterioration" => ScriptKind::Deterioration,
            _ => bail!("there is no script {text:?}: use hypo, hypertensive_crisis or deterioration"),
        })
    }
}
