//! A scale: each morning, with days missed, fluid that is gained and lost again, and another scale at times.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric};

use super::random::Random;
use super::{Taken, Tape, decimal};

const SCALE: i64 = 41;
const OTHER_SCALE: DeviceId = DeviceId(40);

pub(crate) fn daily(random: &mut Random, start: DateTime<Utc>, days: i64) -> Vec<Taken> {
    let pounds = random.chance(0.3);
    // Always at one time, or not: windows of whole days end exactly on a reading, or do not.
    let exact = random.chance(0.6);
    let mut weight = random.between(58.0, 96.0);
    let mut tape = Tape::new(Metric::BodyWeight, SCALE, start);
    let mut day = 0;
    while day < days {
        // So many days in which it changes by so much a day.
        let change = match random.whole(0, 4) {
            0 | 1 => random.between(0.5, 1.1),
            2 => random.between(-1.2, -0.6),
            _ => 0.0,
        };
        for _ in 0..random.whole(2, 5) {
            weight += change;
            let minutes = if exact { 0 } else { random.whole(-90, 90) };
            tape.now = start + TimeDelta::days(day) + TimeDelta::minutes(420 + minutes);
            day += 1;
            if random.chance(0.1) {
                continue;
            }
            let value = weight + 0.1 * random.whole(-2, 2) as f64;
            tape.measure(stored(pounds, value));
            if random.chance(0.08) {
                let value = weight + random.between(-0.6, 1.2);
                tape.also(Metric::BodyWeight, OTHER_SCALE, stored(false, value));
            }
            if random.chance(0.1) {
                // Once more, after breakfast.
                tape.pass(3600);
                tape.measure(stored(pounds, value + 0.5));
            }
        }
    }
    let end = start + TimeDelta::days(days);
    tape.taken.retain(|taken| taken.at < end);
    tape.taken
}

/// In kilograms, of a scale that shows tenths of its unit.
fn stored(pounds: bool, kilograms: f64) -> f64 {
    if pounds {
        decimal(decimal(kilograms / 0.453_592_37, 1) * 0.453_592_37, 6)
    } else {
        decimal(kilograms, 1)
    }
}
