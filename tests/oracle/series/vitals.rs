//! A virtual ward: sets of vital signs every few hours, not always whole, in better and worse hours.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric};

use super::random::Random;
use super::{Taken, Tape, decimal};

const NURSE: i64 = 51;
const OXIMETER: DeviceId = DeviceId(52);

/// How the patient is: for each parameter the values between which it is.
struct Health {
    respirations: (i64, i64),
    spo2: (i64, i64),
    oxygen: f64,
    systolic: (i64, i64),
    pulse: (i64, i64),
    /// The chance of being other than alert.
    confused: f64,
    temperature: (f64, f64),
}

const WELL: Health = Health {
    respirations: (12, 20),
    spo2: (94, 99),
    oxygen: 0.1,
    systolic: (108, 145),
    pulse: (55, 92),
    confused: 0.0,
    temperature: (36.1, 37.6),
};

const UNWELL: Health = Health {
    respirations: (17, 25),
    spo2: (90, 96),
    oxygen: 0.5,
    systolic: (94, 125),
    pulse: (80, 118),
    confused: 0.05,
    temperature: (37.2, 39.2),
};

const ILL: Health = Health {
    respirations: (20, 30),
    spo2: (82, 94),
    oxygen: 0.8,
    systolic: (84, 112),
    pulse: (96, 138),
    confused: 0.3,
    temperature: (34.8, 39.8),
};

/// Sets for NEWS2.
pub(crate) fn sets(random: &mut Random, start: DateTime<Utc>, days: i64) -> Vec<Taken> {
    let mut tape = Tape::new(Metric::Spo2, NURSE, start);
    let end = start + TimeDelta::days(days);
    // How often a parameter of a set is missing, and how spread out in time a set is.
    let missing = random.one_of(&[0.01, 0.04, 0.1]);
    let spread = random.one_of(&[0.0, 0.2, 0.5]);
    let mut health = &WELL;
    while tape.now < end {
        if random.chance(0.25) {
            health = random.one_of(&[&WELL, &WELL, &UNWELL, &ILL]);
        }
        let next = tape.now + TimeDelta::minutes(random.one_of(&[60, 120, 240, 240, 360]));
        set(random, &mut tape, health, missing, spread);
        tape.now = next;
    }
    tape.taken.retain(|taken| taken.at < end);
    tape.taken
}

/// One set. The window is 15 minutes, so some sets span just that or a second more.
fn set(random: &mut Random, tape: &mut Tape, health: &Health, missing: f64, spread: f64) {
    let on_oxygen = random.chance(health.oxygen);
    let confused = random.chance(health.confused);
    for metric in [
        Metric::SupplementalOxygen,
        Metric::Spo2,
        Metric::RespiratoryRate,
        Metric::Systolic,
        Metric::HeartRate,
        Metric::Consciousness,
        Metric::BodyTemperature,
    ] {
        if random.chance(spread) {
            let pause = random.one_of(&[20, 45, 60, 120, 300, 900, 901]);
            tape.pass(pause);
        }
        if random.chance(missing) {
            continue;
        }
        let within = |random: &mut Random, (low, high): (i64, i64)| random.whole(low, high) as f64;
        let value = match metric {
            Metric::SupplementalOxygen if on_oxygen => random.one_of(&[0.4, 1.0, 2.0, 4.0]),
            Metric::Consciousness if confused => within(random, (1, 4)),
            Metric::RespiratoryRate => within(random, health.respirations),
            Metric::Spo2 => within(random, health.spo2) + random.one_of(&[0.0, 0.0, 0.0, 0.5, 0.4]),
            Metric::Systolic => within(random, health.systolic),
            Metric::HeartRate => within(random, health.pulse) + random.one_of(&[0.0, 0.0, 0.0, 0.5]),
            Metric::BodyTemperature => {
                let degrees = random.between(health.temperature.0, health.temperature.1);
                // Hundredths that end in five are halves of a tenth.
                let half = random.one_of(&[0.0, 0.0, 0.05]);
                decimal(decimal(degrees, 1) + half, 2)
            }
            _ => 0.0,
        };
        tape.also(metric, DeviceId(NURSE), value);
        let second = [Metric::Spo2, Metric::HeartRate].contains(&metric) && random.chance(0.1);
        if second {
            let other = (value + within(random, (-4, 4))).min(100.0);
            tape.also(metric, OXIMETER, other);
        }
    }
}

/// Oxygen saturation several times a day.
pub(crate) fn spot_checks(random: &mut Random, start: DateTime<Utc>, days: i64) -> Vec<Taken> {
    let mut tape = Tape::new(Metric::Spo2, OXIMETER.0, start);
    let end = start + TimeDelta::days(days);
    let mut around = 96;
    while tape.now < end {
        if random.chance(0.15) {
            around = random.one_of(&[91, 92, 93, 95, 97]);
        }
        let value = random.whole(around - 2, around + 2);
        tape.measure(value as f64);
        let pause = random.one_of(&[60, 600, 3600, 7200, 14_400]);
        tape.pass(pause);
    }
    tape.taken
}
