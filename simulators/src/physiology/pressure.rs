use super::{DAY, DeviceKind, HOUR, MINUTE, Patient, Script, Span, time};
use crate::measurement::Measurement;
use crate::noise::Noise;

/// How a patient's blood pressure behaves, in mm\[Hg\].
#[derive(Clone, Debug)]
pub(super) struct Traits {
    systolic: f64,
    diastolic: f64,
    /// Probability that a measurement meets an irregular pulse.
    irregular: f64,
}

impl Traits {
    pub(super) fn of(noise: Noise) -> Traits {
        let poorly_controlled = noise.uniform(0) < 0.15;
        let more = if poorly_controlled { 1.0 } else { 0.0 };
        let often_irregular = noise.uniform(3) < 0.03;
        Traits {
            systolic: 124.0 + 5.0 * noise.gauss(1) + 17.0 * more,
            diastolic: 75.0 + 4.0 * noise.gauss(2) + 11.0 * more,
            irregular: if often_irregular { 0.35 } else { 0.003 },
        }
    }
}

/// Mornings and evenings at which the patient forgets to measure.
const FORGOTTEN: f64 = 0.04;

impl Patient {
    /// Two readings at least a minute apart in the morning and two in the evening, as NICE NG136 asks, and
    /// more when a script makes the patient feel unwell.
    pub(super) fn cuff(&self, span: Span) -> Vec<Measurement> {
        let noise = self.noise.stream("cuff");
        let mut moments = Vec::new();
        for half_day in span.periods(DAY / 2) {
            let begin = half_day * (DAY / 2) + 7 * HOUR;
            let first = begin + noise.within(half_day, 0.0, 100.0 * MINUTE as f64) as i64;
            let pause = noise.stream("pause").within(half_day, 65.0, 130.0) as i64;
            if noise.stream("forgotten").uniform(half_day) >= FORGOTTEN {
                moments.extend([first, first + pause]);
            }
        }
        moments.retain(|at| span.contains(*at));
        moments.extend(span.scripted(&self.scripts, DeviceKind::Cuff));
        moments.into_iter().map(|at| self.blood_pressure(at)).collect()
    }

    pub(super) fn blood_pressure(&self, at: i64) -> Measurement {
        let noise = self.noise.stream("pressure");
        let morning = if at.rem_euclid(DAY) < DAY / 2 { 1.0 } else { -1.0 };
        // What a week, a day and a single measurement do to it; systolic and diastolic move together.
        let week = noise.stream("week").smooth(at as f64, 5.0 * DAY as f64);
        let day = noise.stream("day").smooth(at as f64, DAY as f64 / 2.0);
        let moment = noise.stream("moment").gauss(at);
        let apart = noise.stream("apart").gauss(at);
        let systolic = self.pressure.systolic + 1.5 * morning + 2.5 * week + 4.0 * day;
        let diastolic = self.pressure.diastolic + 1.0 * morning + 1.5 * week + 2.0 * day;
        let scripted = self.scripts.iter().map(|script| script.irregular_pulse(at));
        let irregular = scripted.fold(self.pressure.irregular, f64::max);
        Measurement::BloodPressure {
            at: time(at),
            systolic: self
                .drawn(systolic, 4.0 * moment, at, Script::systolic)
                .round()
                .clamp(85.0, 240.0),
            diastolic: self
                .drawn(diastolic, 1.5 * moment + 2.0 * apart, at, Script::diastolic)
                .round()
                .clamp(45.0, 150.0),
            pulse: Some((self.resting_heart_rate(at) + 1.5 * moment).round()),
            irregular_pulse: Some(noise.stream("irregular").uniform(at) < irregular),
        }
    }
}
