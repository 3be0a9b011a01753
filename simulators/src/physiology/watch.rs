use super::{DAY, DeviceKind, HOUR, MINUTE, Patient, Script, Span, hour_of_day, time};
use crate::measurement::Measurement;
use crate::noise::{Noise, smoothstep};

/// How a patient's heart, lungs and legs behave.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    /// Heart rate at rest and awake, /min.
    resting: f64,
    /// How much the patient moves: 1 is a brisk walk now and then.
    mobility: f64,
    /// Oxygen saturation, %.
    spo2: f64,
    /// Hours of day of waking and of falling asleep.
    awake: (f64, f64),
}

/// The band in which a patient's heart rate stays without a script. Patients at home walk; they do not run.
/// The default plans ask about resting rates below 40 and above 120.
const HEART_RATE: (f64, f64) = (46.0, 116.0);
/// Saturation is read at random once in a stretch of this length.
const SPO2_EVERY: i64 = 3 * HOUR;
/// The part of the saturation readings that comes out at 93 or 94 %: a loose strap or a cold hand.
const SPO2_SLIPS: f64 = 0.004;
/// Steps of a minute of full activity.
const STEPS_PER_MINUTE: f64 = 105.0;

impl Traits {
    pub(super) fn of(noise: Noise) -> Traits {
        Traits {
            resting: noise.within(0, 58.0, 78.0),
            mobility: noise.within(1, 0.35, 1.0),
            spo2: noise.within(2, 96.6, 98.2),
            awake: (noise.within(3, 6.0, 7.5), noise.within(4, 21.8, 23.3)),
        }
    }
}

impl Patient {
    /// Heart rates on a grid, steps at every full hour, saturation at random, and when a script has it.
    pub(super) fn watch(&self, every: i64, span: Span) -> Vec<Measurement> {
        let noise = self.noise.stream("watch");
        let phase = (noise.uniform(0) * every as f64) as i64;
        let mut measurements: Vec<_> = span
            .grid(every, phase)
            .map(|at| Measurement::HeartRate {
                at: time(at),
                value: self.heart_rate(at),
            })
            .collect();
        measurements.extend(span.grid(HOUR, 0).map(|at| Measurement::Steps {
            from: time(at - HOUR),
            at: time(at),
            value: self.steps(at - HOUR),
        }));
        let by_habit = span
            .periods(SPO2_EVERY)
            .map(|n| n * SPO2_EVERY + noise.stream("spo2").within(n, 0.0, SPO2_EVERY as f64) as i64)
            .filter(|at| span.contains(*at));
        let moments = by_habit.chain(span.scripted(&self.scripts, DeviceKind::Smartwatch));
        measurements.extend(moments.map(|at| Measurement::Spo2 {
            at: time(at),
            value: self.spo2(at),
        }));
        measurements
    }

    fn heart_rate(&self, at: i64) -> f64 {
        let noise = self.noise.stream("heart");
        let normal = self.unscripted_resting_rate(at) + 42.0 * self.activity(at);
        let error = 1.2 * noise.gauss(at);
        self.drawn(
            normal.clamp(HEART_RATE.0, HEART_RATE.1),
            error,
            at,
            Script::heart_rate,
        )
        .round()
    }

    /// The heart rate of the patient sitting still, without the noise of a device.
    pub(super) fn resting_heart_rate(&self, at: i64) -> f64 {
        let normal = self.unscripted_resting_rate(at);
        self.drawn(
            normal.clamp(HEART_RATE.0, HEART_RATE.1),
            0.0,
            at,
            Script::heart_rate,
        )
    }

    fn unscripted_resting_rate(&self, at: i64) -> f64 {
        let noise = self.noise.stream("heart");
        let asleep = 1.0 - self.awake(at);
        self.watch.resting - 8.0 * asleep + 2.5 * noise.smooth(at as f64, 1_800.0)
    }

    fn spo2(&self, at: i64) -> f64 {
        let noise = self.noise.stream("saturation");
        let slip = noise.stream("slip").uniform(at) < SPO2_SLIPS;
        let normal = if slip {
            93.6
        } else {
            self.watch.spo2 - 0.4 * (1.0 - self.awake(at))
        };
        let floor = if slip { 93.0 } else { 95.0 };
        let settled = (normal + 0.5 * noise.gauss(at)).clamp(floor, 100.0);
        self.drawn(settled, 0.0, at, Script::spo2).round()
    }

    /// Steps of the hour that begins at `from`.
    fn steps(&self, from: i64) -> u32 {
        let minutes = (0..60).map(|minute| self.activity(from + minute * MINUTE));
        (minutes.sum::<f64>() * STEPS_PER_MINUTE) as u32
    }

    /// How much the patient moves, from 0 to 1: now and then while awake, less during an illness.
    fn activity(&self, at: i64) -> f64 {
        let noise = self.noise.stream("activity");
        let urge = noise.smooth(at as f64, 1_200.0) + 0.4 * noise.stream("day").smooth(at as f64, DAY as f64);
        let moving = ((urge - 0.7) / 1.5).clamp(0.0, 1.0);
        let ill = self.drawn(0.0, 0.0, at, Script::illness);
        moving * self.watch.mobility * self.awake(at) * (1.0 - ill)
    }

    /// 1 while awake, 0 while asleep, in between for half an hour.
    fn awake(&self, at: i64) -> f64 {
        let hour = hour_of_day(at);
        let (wakes, sleeps) = self.watch.awake;
        smoothstep((hour - wakes) * 2.0) - smoothstep((hour - sleeps) * 2.0)
    }
}
