use super::{Condition, DAY, DeviceKind, HOUR, MINUTE, Patient, Script, Span, bell, round_to, time};
use crate::measurement::{GlucoseUnit, Meal, Measurement, Sample};
use crate::noise::{Noise, mix_values, smoothstep};

/// How a patient's glucose behaves. Concentrations in mmol/L.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    /// Between meals.
    base: f64,
    /// Rise in the early morning.
    dawn: f64,
    /// Rise an hour after an ordinary meal.
    meal: f64,
    /// Probability a day of a stretch below 3.9.
    lows: f64,
    /// Probability a day of a stretch above 13.9.
    highs: f64,
}

/// Of the stretches below 3.9, the part that goes below 3.0.
const SERIOUS_LOWS: f64 = 0.08;
/// Sensors trail the blood: minutes, typical of published devices.
const SENSOR_LAG: i64 = 8 * MINUTE;

impl Traits {
    pub(super) fn of(noise: Noise, condition: Condition) -> Traits {
        if condition == Condition::Pregnant {
            return Traits {
                base: noise.within(1, 4.9, 5.5),
                dawn: noise.within(2, 0.2, 0.6),
                meal: noise.within(3, 1.0, 1.9),
                lows: noise.within(4, 0.04, 0.20),
                highs: 0.0,
            };
        }
        let poorly_controlled = noise.uniform(0) < 0.12;
        let more = if poorly_controlled { 1.0 } else { 0.0 };
        Traits {
            base: noise.within(1, 5.9, 7.8) + 1.6 * more,
            dawn: noise.within(2, 0.4, 1.5),
            meal: noise.within(3, 2.0, 4.2) + 0.8 * more,
            lows: noise.within(4, 0.08, 0.42),
            highs: noise.within(5, 0.06, 0.26) + 0.20 * more,
        }
    }
}

impl Patient {
    /// The values of a glucose sensor: its grid, and a scan by hand where a script has one.
    pub(super) fn cgm(&self, every: i64, span: Span) -> Vec<Measurement> {
        let noise = self.noise.stream("cgm");
        let phase = (noise.uniform(0) * every as f64) as i64;
        let regular = span.grid(every, phase).filter(|at| {
            !self.sensor_is_silent(*at) && !self.scripts.iter().any(|script| script.silences(*at))
        });
        regular
            .chain(span.scripted(&self.scripts, DeviceKind::Cgm))
            .map(|at| {
                let seconds = at as f64;
                let error = 0.10 * noise.smooth(seconds, 1_200.0) + 0.09 * noise.gauss(at);
                let normal = self.normal_glucose(at - SENSOR_LAG);
                self.glucose_measurement(at, normal, error, Sample::Interstitial, None)
            })
            .collect()
    }

    /// The tests of a meter: around meals and at bedtime, and when a script has the patient feel unwell.
    pub(super) fn meter(&self, span: Span) -> Vec<Measurement> {
        let noise = self.noise.stream("meter");
        let measurement = |at: i64, meal| {
            let normal = self.normal_glucose(at);
            let error = 0.2 * noise.gauss(at);
            self.glucose_measurement(at, normal, error, Sample::CapillaryBlood, Some(meal))
        };
        let mut measurements = Vec::new();
        for day in span.periods(DAY) {
            let [breakfast, _, dinner] = self.meals(day).map(|meal| meal.at);
            let bedtime = day * DAY + 22 * HOUR + (noise.within(day, 0.0, 45.0) * MINUTE as f64) as i64;
            let tests = [
                (breakfast - 10 * MINUTE, Meal::Fasting),
                (dinner - 10 * MINUTE, Meal::Before),
                (dinner + 2 * HOUR, Meal::After),
                (bedtime, Meal::Bedtime),
            ];
            for (which, (at, meal)) in (0..).zip(tests) {
                let forgotten = noise.stream("forgotten").uniform(day * 4 + which) < 0.06;
                if span.contains(at) && !forgotten {
                    measurements.push(measurement(at, meal));
                }
            }
        }
        let unwell = span.scripted(&self.scripts, DeviceKind::Meter);
        measurements.extend(unwell.into_iter().map(|at| measurement(at, Meal::Casual)));
        measurements
    }

    fn glucose_measurement(
        &self,
        at: i64,
        normal: f64,
        error: f64,
        sample: Sample,
        meal: Option<Meal>,
    ) -> Measurement {
        let value = self.drawn(normal, error, at, Script::glucose);
        Measurement::Glucose {
            at: time(at),
            value: round_to(value.clamp(2.0, 24.0), 10.0),
            unit: GlucoseUnit::MmolPerL,
            sample,
            meal,
        }
    }

    /// Glucose in the blood, without what scripts do to it.
    fn normal_glucose(&self, at: i64) -> f64 {
        let traits = &self.glucose;
        let noise = self.noise.stream("glucose");
        let seconds = at as f64;
        let day = at.div_euclid(DAY);
        let eaten: f64 = [day - 1, day]
            .into_iter()
            .flat_map(|day| self.meals(day))
            .map(|meal| meal.size * traits.meal * meal_response(at - meal.at))
            .sum();
        let drift =
            0.45 * noise.smooth(seconds, 10_800.0) + 0.20 * noise.stream("fast").smooth(seconds, 2_400.0);
        let value = traits.base + traits.dawn * bell(at, 6.5, 1.5) + eaten + drift;
        let settled = bent(value, 5.0, 4.2, 11.0, 13.4);
        [day - 1, day]
            .into_iter()
            .flat_map(|day| [self.low(day), self.high(day)])
            .flatten()
            .fold(settled, |value, event| event.on(value, at))
    }

    fn meals(&self, day: i64) -> [MealTaken; 3] {
        let noise = self.noise.stream("meals");
        [(7.6, 0.6, 0.85), (12.8, 0.7, 1.0), (18.6, 0.9, 1.1)].map(|(hour, spread, size): (f64, f64, f64)| {
            let place = day * 24 + hour as i64;
            let hour = hour + noise.within(place, -spread, spread);
            MealTaken {
                at: day * DAY + (hour * HOUR as f64) as i64,
                size: size * noise.stream("size").within(place, 0.7, 1.3),
            }
        })
    }

    /// The stretch below 3.9 that begins on this day, if one does.
    fn low(&self, day: i64) -> Option<Event> {
        let noise = self.noise.stream("lows");
        let depth = if noise.uniform(day * 8 + 1) < SERIOUS_LOWS {
            noise.within(day * 8 + 2, 2.5, 2.85)
        } else {
            noise.within(day * 8 + 2, 3.3, 3.7)
        };
        (noise.uniform(day * 8) < self.glucose.lows).then(|| Event {
            begin: day * DAY + noise.within(day * 8 + 3, 0.0, DAY as f64) as i64,
            // Slowly enough not to count as a dangerous fall, 0.17 mmol/L a minute, from any height.
            rise: 100 * MINUTE,
            hold: noise.within(day * 8 + 4, 15.0, 35.0) as i64 * MINUTE,
            fall: 45 * MINUTE,
            target: depth,
        })
    }

    /// The stretch above 13.9 that begins on this day, if one does: a forgotten dose.
    fn high(&self, day: i64) -> Option<Event> {
        let noise = self.noise.stream("highs");
        (noise.uniform(day * 8) < self.glucose.highs).then(|| Event {
            begin: day * DAY + (noise.within(day * 8 + 1, 12.5, 21.0) * HOUR as f64) as i64,
            rise: 80 * MINUTE,
            hold: noise.within(day * 8 + 2, 100.0, 210.0) as i64 * MINUTE,
            fall: 150 * MINUTE,
            target: noise.within(day * 8 + 3, 14.3, 17.5),
        })
    }

    /// Now and then a sensor is out of reach of its receiver for half an hour or so.
    fn sensor_is_silent(&self, at: i64) -> bool {
        let noise = self.noise.stream("silence");
        let day = at.div_euclid(DAY);
        let begin = day * DAY + noise.within(day * 4 + 1, 0.0, 22.5 * HOUR as f64) as i64;
        let length = noise.within(day * 4 + 2, 20.0, 80.0) as i64 * MINUTE;
        noise.uniform(day * 4) < 0.04 && (begin..begin + length).contains(&at)
    }
}

struct MealTaken {
    at: i64,
    size: f64,
}

/// A stretch of time in which glucose is drawn to a value.
struct Event {
    begin: i64,
    rise: i64,
    hold: i64,
    fall: i64,
    target: f64,
}

impl Event {
    fn on(&self, value: f64, at: i64) -> f64 {
        let since = (at - self.begin) as f64;
        let up = smoothstep(since / self.rise as f64);
        let down = smoothstep((since - (self.rise + self.hold) as f64) / self.fall as f64);
        mix_values(value, self.target, up - down)
    }
}

/// Part of a meal's rise that is there after `since` seconds: all of it after 65 minutes, a quarter after
/// four hours.
fn meal_response(since: i64) -> f64 {
    let peaks = since as f64 / (65.0 * MINUTE as f64);
    if (0.0..6.0).contains(&peaks) {
        peaks * (1.0 - peaks).exp()
    } else {
        0.0
    }
}

/// Leaves what is between `low` and `high`, and bends what is outside so that it never passes the limits
/// beyond: a body, and its treatment, work against extremes.
fn bent(value: f64, low: f64, lowest: f64, high: f64, highest: f64) -> f64 {
    if value < low {
        lowest + (low - lowest) * ((value - low) / (low - lowest)).exp()
    } else if value > high {
        highest - (highest - high) * ((high - value) / (highest - high)).exp()
    } else {
        value
    }
}
