//! A cuff: twice a day two measurements about a minute apart, with the cuff's flag of an irregular pulse.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric};

use super::random::Random;
use super::{Taken, Tape, decimal};

const CUFF: DeviceId = DeviceId(31);
const OTHER_CUFF: DeviceId = DeviceId(32);

/// Systolic levels of some days, around the limits of a home average.
const LEVELS: [f64; 8] = [118.0, 128.0, 133.0, 136.0, 141.0, 149.0, 152.0, 160.0];

struct Cuff<'a> {
    random: &'a mut Random,
    tape: Tape,
    /// In kilopascal to a tenth, or in whole millimetres of mercury.
    kilopascal: bool,
    level: f64,
    /// The chance of an irregular pulse.
    irregular: f64,
}

pub(crate) fn course(random: &mut Random, start: DateTime<Utc>, days: i64) -> Vec<Taken> {
    let kilopascal = random.chance(0.2);
    let mut cuff = Cuff {
        random,
        tape: Tape::new(Metric::Systolic, CUFF.0, start),
        kilopascal,
        level: 134.0,
        irregular: 0.05,
    };
    for day in 0..days {
        if cuff.random.chance(0.2) {
            cuff.level = cuff.random.one_of(&LEVELS);
            cuff.irregular = cuff.random.one_of(&[0.02, 0.1, 0.6]);
        }
        if cuff.random.chance(0.12) {
            continue;
        }
        let midnight = start + TimeDelta::days(day);
        // Some evenings are so late that in another zone they are the day after.
        for hours in [(6.5, 9.0), (19.0, 23.9)] {
            if cuff.random.chance(0.9) {
                let hour = cuff.random.between(hours.0, hours.1);
                cuff.tape.now = midnight + TimeDelta::seconds((hour * 3600.0) as i64);
                cuff.session();
            }
        }
    }
    cuff.tape.taken
}

impl Cuff<'_> {
    fn session(&mut self) {
        let crisis = self.random.chance(0.1);
        let measurements = self.random.one_of(&[1, 2, 2, 2, 2, 3]);
        for _ in 0..measurements {
            if crisis {
                let systolic = self
                    .random
                    .one_of(&[174.0, 175.0, 176.0, 179.0, 180.0, 181.0, 192.0]);
                let diastolic = self.random.one_of(&[98.0, 114.0, 115.0, 119.0, 120.0, 124.0]);
                self.measurement(CUFF, systolic, diastolic);
            } else {
                let systolic = self.level + self.random.between(-7.0, 7.0);
                let diastolic = self.level * 0.63 + self.random.between(-5.0, 5.0);
                self.measurement(CUFF, systolic, diastolic);
            }
            if self.random.chance(0.03) {
                let systolic = self.level + self.random.between(-12.0, 12.0);
                self.measurement(OTHER_CUFF, systolic, self.level * 0.6);
            }
            let pause = self.random.one_of(&[59, 60, 61, 75, 120]);
            self.tape.pass(pause);
        }
    }

    fn measurement(&mut self, cuff: DeviceId, systolic: f64, diastolic: f64) {
        let systolic = self.stored(systolic);
        let diastolic = self.stored(diastolic);
        self.tape.also(Metric::Systolic, cuff, systolic);
        self.tape.also(Metric::Diastolic, cuff, diastolic);
        // Some cuffs do not look.
        if self.random.chance(0.9) {
            let irregular = if self.random.chance(self.irregular) {
                1.0
            } else {
                0.0
            };
            self.tape.also(Metric::IrregularPulse, cuff, irregular);
        }
    }

    fn stored(&self, value: f64) -> f64 {
        if self.kilopascal {
            decimal(decimal(value / 7.50062, 1) * 7.50062, 6)
        } else {
            value.round()
        }
    }
}
