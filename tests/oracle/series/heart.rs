//! A watch: heart rate every minute or few, steps while walking, and a chest strap now and then.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric};

use super::random::Random;
use super::{Taken, Tape};

const WATCH: DeviceId = DeviceId(21);
const STRAP: DeviceId = DeviceId(22);

struct Watch<'a> {
    random: &'a mut Random,
    tape: Tape,
}

pub(crate) fn week(random: &mut Random, start: DateTime<Utc>, days: i64) -> Vec<Taken> {
    let tape = Tape::new(Metric::HeartRate, WATCH.0, start);
    let mut watch = Watch { random, tape };
    let end = start + TimeDelta::days(days);
    while watch.tape.now < end {
        watch.something_happens();
    }
    watch.tape.taken.retain(|taken| taken.at < end);
    watch.tape.taken
}

impl Watch<'_> {
    fn something_happens(&mut self) {
        match self.random.whole(0, 9) {
            0..=3 => self.rest(),
            4 => self.fast((121, 140), (5, 40)),
            5 => self.fast((34, 39), (5, 30)),
            6 => {
                let edge = self.random.one_of(&[40, 120]);
                self.fast((edge - 1, edge + 1), (10, 40));
            }
            7 | 8 => self.walk(),
            _ => self.gap(),
        }
    }

    fn rest(&mut self) {
        let around = self.random.whole(55, 85);
        for _ in 0..self.random.whole(10, 80) {
            let beats = self.random.whole(around - 6, around + 6);
            let step = self.random.one_of(&[120, 180, 180, 240]);
            self.beat(beats, step);
            if self.random.chance(0.05) {
                self.steps(0);
            }
        }
    }

    /// A rate within bounds for so many minutes, each minute, with a reading missing or off now and then.
    fn fast(&mut self, beats: (i64, i64), minutes: (i64, i64)) {
        // Some are steady, so that they last; some are not.
        let off = self.random.one_of(&[0.0, 0.0, 0.08]);
        for _ in 0..self.random.whole(minutes.0, minutes.1) {
            let value = if self.random.chance(off) {
                self.random.whole(beats.0 - 4, beats.1 + 4)
            } else {
                self.random.whole(beats.0, beats.1)
            };
            let longer = self.random.one_of(&[60, 120, 240, 300, 301]);
            let step = if self.random.chance(0.9) { 60 } else { longer };
            self.beat(value, step);
        }
    }

    /// Steps every five minutes; the last of them may be long over, or not, when the pulse is down.
    fn walk(&mut self) {
        for minute in 0..self.random.whole(6, 50) {
            if minute % 5 == 0 {
                let steps = self.random.one_of(&[0, 1, 80, 300, 520]);
                self.steps(steps);
            }
            let beats = self.random.whole(112, 160);
            self.beat(beats, 60);
        }
        if self.random.chance(0.6) {
            self.fast((121, 135), (8, 30));
        }
    }

    fn gap(&mut self) {
        let seconds = self.random.one_of(&[299, 300, 301, 600, 601, 7200, 20_000]);
        self.tape.pass(seconds);
    }

    fn beat(&mut self, beats: i64, step: i64) {
        self.tape.measure(beats as f64);
        if self.random.chance(0.02) {
            let other = beats + self.random.whole(-8, 8);
            self.tape.also(Metric::HeartRate, STRAP, other as f64);
        }
        self.tape.pass(step);
    }

    fn steps(&mut self, steps: i64) {
        self.tape.also(Metric::Steps, WATCH, steps as f64);
    }
}
