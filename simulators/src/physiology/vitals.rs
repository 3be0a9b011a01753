use super::{Condition, DAY, DeviceKind, HOUR, MINUTE, Patient, Script, Span, round_to, time};
use crate::measurement::{Consciousness, Measurement};
use crate::noise::Noise;

/// A patient's vital signs at rest, beside pressure and pulse.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    /// Respirations, /min.
    respirations: f64,
    /// Oxygen saturation, %, and where it stays without a script.
    spo2: f64,
    spo2_within: (f64, f64),
    /// Oxygen at home, L/min.
    oxygen: f64,
    /// Body temperature, Cel.
    temperature: f64,
}

/// Hours of the day at which a set is due, and how late it may be.
const ROUNDS: [i64; 4] = [8, 13, 18, 22];
const LATE_BY: i64 = 30 * MINUTE;
/// Sets that the patient forgets.
const FORGOTTEN: f64 = 0.03;
/// The part of the sets in which a cold hand has a healthy saturation read as 94 %.
const SPO2_SLIPS: f64 = 0.01;

impl Traits {
    pub(super) fn of(noise: Noise, condition: Condition) -> Traits {
        let chronic = condition == Condition::ChronicLungs;
        let (respirations, spo2, spo2_within) = match chronic {
            true => ((15.5, 18.0), (89.6, 91.0), (88.0, 92.0)),
            false => ((13.5, 17.0), (96.8, 98.2), (96.0, 100.0)),
        };
        let has_oxygen = chronic && noise.uniform(4) < 0.3;
        Traits {
            respirations: noise.within(0, respirations.0, respirations.1),
            spo2: noise.within(1, spo2.0, spo2.1),
            spo2_within,
            oxygen: if has_oxygen {
                noise.within(2, 1.0, 2.4).round()
            } else {
                0.0
            },
            temperature: noise.within(3, 36.4, 36.9),
        }
    }
}

impl Patient {
    /// Sets of vital signs, each measured at one time: four a day, and when a script has the patient feel unwell.
    pub(super) fn hub(&self, span: Span) -> Vec<Measurement> {
        let noise = self.noise.stream("hub");
        let mut moments = Vec::new();
        for day in span.periods(DAY) {
            for (which, hour) in (0..).zip(ROUNDS) {
                let place = day * 4 + which;
                let late = noise.within(place, 0.0, LATE_BY as f64) as i64;
                if noise.stream("forgotten").uniform(place) >= FORGOTTEN {
                    moments.push(day * DAY + hour * HOUR + late);
                }
            }
        }
        moments.retain(|at| span.contains(*at));
        moments.extend(span.scripted(&self.scripts, DeviceKind::Hub));
        moments.into_iter().flat_map(|at| self.vital_signs(at)).collect()
    }

    fn vital_signs(&self, at: i64) -> [Measurement; 6] {
        let noise = self.noise.stream("vitals");
        let traits = &self.vitals;
        let error = |name| noise.stream(name).gauss(at);
        let slip = traits.oxygen == 0.0 && noise.stream("slip").uniform(at) < SPO2_SLIPS;
        let (lowest, highest) = traits.spo2_within;
        let saturation = match slip {
            true => lowest - 2.0,
            false => (traits.spo2 + 0.6 * error("spo2")).clamp(lowest, highest),
        };
        let confused = self.drawn(0.0, 0.0, at, Script::confusion) > 0.5;
        let when = time(at);
        [
            Measurement::RespiratoryRate {
                at: when,
                value: self
                    .drawn(
                        traits.respirations,
                        error("respirations"),
                        at,
                        Script::respirations,
                    )
                    .round(),
            },
            Measurement::Spo2 {
                at: when,
                value: self.drawn(saturation, 0.0, at, Script::spo2).round(),
            },
            Measurement::SupplementalOxygen {
                at: when,
                value: traits.oxygen,
            },
            self.blood_pressure(at),
            Measurement::Consciousness {
                at: when,
                value: if confused {
                    Consciousness::Confused
                } else {
                    Consciousness::Alert
                },
            },
            Measurement::BodyTemperature {
                at: when,
                value: round_to(
                    self.drawn(
                        traits.temperature,
                        0.15 * error("temperature"),
                        at,
                        Script::temperature,
                    ),
                    10.0,
                ),
            },
        ]
    }
}
