//! A glucose sensor: every few minutes, with lows, highs, fast falls, values on the edges, and gaps; and now
//! and then a finger-prick meter at the same time.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric};

use super::random::Random;
use super::{Taken, Tape, decimal};

const SENSOR: i64 = 11;
const METER: DeviceId = DeviceId(12);
/// Comes before the sensor where devices are in order.
const OLD_METER: DeviceId = DeviceId(3);

/// Edges of the ranges, in each unit.
const EDGES_MMOL: [f64; 8] = [3.0, 3.9, 3.9, 4.4, 10.0, 10.1, 13.9, 13.9];
const EDGES_MG: [f64; 8] = [54.0, 70.0, 70.0, 79.0, 180.0, 181.0, 250.0, 250.0];

struct Sensor<'a> {
    random: &'a mut Random,
    tape: Tape,
    /// In whole mg/dL, or in tenths of mmol/L.
    mg: bool,
    step_minutes: i64,
    /// Seconds by which a reading may miss its time.
    jitter: i64,
    /// mmol/L, before noise and rounding.
    level: f64,
    /// How much of the time is ordinary.
    calm: f64,
}

/// So many days of a reading every few minutes.
pub(crate) fn week(random: &mut Random, start: DateTime<Utc>, days: i64, step_minutes: i64) -> Vec<Taken> {
    let mg = random.chance(0.5);
    let jitter = if random.chance(0.25) { 20 } else { 0 };
    let mut sensor = Sensor {
        random,
        tape: Tape::new(Metric::Glucose, SENSOR, start),
        mg,
        step_minutes,
        jitter,
        level: 6.5,
        calm: 0.0,
    };
    let end = start + TimeDelta::days(days);
    while sensor.tape.now < end {
        sensor.something_happens();
    }
    sensor.tape.taken.retain(|taken| taken.at < end);
    sensor.tape.taken
}

impl Sensor<'_> {
    fn something_happens(&mut self) {
        if self.random.chance(0.03) {
            self.calm = self.random.one_of(&[0.0, 0.3, 0.97, 0.97]);
        }
        if self.random.chance(self.calm) {
            self.ordinary();
            return;
        }
        match self.random.whole(0, 11) {
            0..=2 => self.ordinary(),
            3 | 4 => self.low(),
            5 | 6 => self.high(),
            7 | 8 => self.fall(),
            9 | 10 => self.edge(),
            _ => self.gap(),
        }
        if self.random.chance(0.15) {
            self.gap();
        }
    }

    fn ordinary(&mut self) {
        let level = self.random.between(5.0, 9.0);
        self.towards(level, (20, 60));
        self.hold((60, 240));
    }

    fn low(&mut self) {
        let level = self.random.between(2.2, 3.9);
        self.towards(level, (15, 60));
        self.hold((0, 60));
        let level = self.random.between(4.5, 8.0);
        self.towards(level, (10, 40));
    }

    fn high(&mut self) {
        let level = self.random.between(10.5, 20.0);
        self.towards(level, (30, 90));
        self.hold((10, 260));
        self.towards(7.5, (40, 120));
    }

    /// At a rate about 0.17 mmol/L a minute.
    fn fall(&mut self) {
        let level = self.random.between(8.0, 12.0);
        self.towards(level, (20, 50));
        let target = self.random.between(2.6, 5.0);
        let rate = self.random.between(0.12, 0.24);
        let minutes = ((level - target) / rate).round() as i64;
        self.towards(target, (minutes, minutes));
        self.hold((0, 20));
        self.towards(6.0, (20, 40));
    }

    /// On an edge, or a step of the unit beside it.
    fn edge(&mut self) {
        let which = usize::try_from(self.random.whole(0, 7)).expect("an index is not negative");
        let (edge, unit) = if self.mg {
            (EDGES_MG[which], 1.0)
        } else {
            (EDGES_MMOL[which], 0.1)
        };
        self.level = if self.mg { edge / 18.0182 } else { edge };
        for _ in 0..self.random.whole(6, 24) {
            let beside = self.random.one_of(&[-1.0, 0.0, 0.0, 1.0]);
            self.reading_in_unit(edge + beside * unit);
        }
    }

    /// Nothing for a while; sometimes a second more than it seems, so that all later times are odd.
    fn gap(&mut self) {
        let minutes = match self.random.whole(0, 3) {
            0 => self.random.whole(15, 30),
            1 => 30 - self.step_minutes,
            2 => 25,
            _ => self.random.whole(40, 400),
        };
        let odd = self.random.one_of(&[0, 0, 1]);
        self.tape.pass(minutes * 60 + odd);
    }

    fn towards(&mut self, level: f64, minutes: (i64, i64)) {
        let steps = (self.random.whole(minutes.0, minutes.1) / self.step_minutes).max(1);
        let step = (level - self.level) / steps as f64;
        for _ in 0..steps {
            self.level += step;
            self.reading();
        }
    }

    fn hold(&mut self, minutes: (i64, i64)) {
        for _ in 0..self.random.whole(minutes.0, minutes.1) / self.step_minutes {
            self.reading();
        }
    }

    fn reading(&mut self) {
        let value = self.level + self.random.between(-0.12, 0.12);
        self.reading_in_unit(if self.mg { value * 18.0182 } else { value });
    }

    fn reading_in_unit(&mut self, value: f64) {
        self.tape.measure(stored(self.mg, value));
        if self.random.chance(0.02) {
            let device = self.random.one_of(&[METER, OLD_METER]);
            let value = self.level + self.random.between(-0.8, 0.8);
            let in_unit = if self.mg { value } else { value * 18.0182 };
            self.tape.also(Metric::Glucose, device, stored(!self.mg, in_unit));
        }
        let late = self.random.whole(-self.jitter, self.jitter);
        self.tape.pass(self.step_minutes * 60 + late);
    }
}

/// A value of a unit as it is stored.
fn stored(mg: bool, value: f64) -> f64 {
    if mg {
        decimal(value.round() / 18.0182, 6)
    } else {
        decimal(value, 1)
    }
}
