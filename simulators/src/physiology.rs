//! Patients made of arithmetic.
//!
//! A simulated patient is a function of time: what a device reads at a moment follows from the seed, the
//! patient's number and the moment alone. So a back-fill and a live run agree, however the time between is
//! cut, and a test can ask again for what a device has sent.
//!
//! The models are plausible rather than true: day rhythms, meals, activity and noise that remembers, with
//! values that most clinicians would not look twice at. Most patients are well controlled, as most patients
//! of a programme are; the rare events are scheduled outright, so that the load of alerts can be set.
//!
//! Days are those of UTC: the simulated patients live in Britain in winter.

mod battery;
mod glucose;
mod pressure;
mod script;
mod vitals;
mod watch;
mod weight;

use chrono::{DateTime, TimeDelta, Utc};
use script::{Pull, calmed};
use serde::{Deserialize, Serialize};

pub use script::{Script, ScriptKind};

use crate::measurement::Measurement;
use crate::noise::Noise;

/// What kind of device it is, and so what it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Heart rate every few minutes, steps by the hour, oxygen saturation now and then.
    Smartwatch,
    /// Blood pressure, two readings in the morning and two in the evening (NICE NG136).
    Cuff,
    /// Glucose under the skin every five minutes.
    Cgm,
    /// Glucose of a fingertip, a few times a day.
    Meter,
    /// A set of vital signs four times a day: all that NEWS2 asks for.
    Hub,
    /// Body weight every morning.
    Scale,
}

/// How a patient's body differs from most others'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Not in any way that matters here.
    #[default]
    Usual,
    /// Pregnant, with glucose in the narrower range that is asked for then.
    Pregnant,
    /// A chronic disease of the lungs: a saturation around 90 %, for some with oxygen at home.
    ChronicLungs,
}

/// A device as the physiology knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// What it measures.
    pub kind: DeviceKind,
    /// Time between heart rates of a watch, or between values of a glucose sensor; without it, five minutes.
    pub every: Option<TimeDelta>,
}

/// Time between measurements where a device has no interval of its own.
const EVERY: TimeDelta = TimeDelta::minutes(5);
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

impl Device {
    /// A device with the interval that is usual for its kind.
    pub fn new(kind: DeviceKind) -> Device {
        Device { kind, every: None }
    }

    fn every_s(self) -> i64 {
        self.every.unwrap_or(EVERY).num_seconds().max(1)
    }
}

/// A simulated patient.
#[derive(Clone, Debug)]
pub struct Patient {
    noise: Noise,
    glucose: glucose::Traits,
    pressure: pressure::Traits,
    watch: watch::Traits,
    vitals: vitals::Traits,
    weight: weight::Traits,
    scripts: Vec<Script>,
}

impl Patient {
    /// The patient with this number in the simulation with this seed.
    pub fn new(seed: u64, number: u64) -> Patient {
        Patient::with_condition(seed, number, Condition::Usual)
    }

    /// The patient with this number, if this were so.
    pub fn with_condition(seed: u64, number: u64, condition: Condition) -> Patient {
        let noise = Noise::new(seed, number);
        Patient {
            noise,
            glucose: glucose::Traits::of(noise.stream("glucose traits"), condition),
            pressure: pressure::Traits::of(noise.stream("pressure traits")),
            watch: watch::Traits::of(noise.stream("watch traits")),
            vitals: vitals::Traits::of(noise.stream("vital traits"), condition),
            weight: weight::Traits::of(noise.stream("weight traits")),
            scripts: Vec::new(),
        }
    }

    /// The same patient, to whom this happens.
    pub fn with_scripts(mut self, scripts: impl IntoIterator<Item = Script>) -> Patient {
        self.scripts.extend(scripts);
        self
    }

    /// What this patient's device measures from `from` up to, not including, `to`, in the order of time.
    ///
    /// However a time is cut into pieces, the measurements of the pieces are those of the whole.
    pub fn readings(&self, device: Device, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Measurement> {
        // Measurements are taken at whole seconds: a bound within a second stands for the next whole one.
        let span = Span {
            from: (from + TimeDelta::nanoseconds(999_999_999)).timestamp(),
            to: (to + TimeDelta::nanoseconds(999_999_999)).timestamp(),
        };
        let mut measurements = match device.kind {
            DeviceKind::Smartwatch => self.watch(device.every_s(), span),
            DeviceKind::Cuff => self.cuff(span),
            DeviceKind::Cgm => self.cgm(device.every_s(), span),
            DeviceKind::Meter => self.meter(span),
            DeviceKind::Hub => self.hub(span),
            DeviceKind::Scale => self.scale(span),
        };
        measurements.sort_by_key(Measurement::at);
        measurements.dedup_by_key(|measurement| (std::mem::discriminant(measurement), measurement.at()));
        measurements
    }

    /// A value and its noise as the scripts have them, each of which may draw it.
    fn drawn(&self, value: f64, noise: f64, at: i64, pull: fn(&Script, i64) -> Pull) -> f64 {
        let pulls = || self.scripts.iter().map(|script| pull(script, at));
        pulls().fold(value, |value, pull| pull.on(value)) + calmed(noise, pulls())
    }
}

/// A half-open stretch of time in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: i64,
    to: i64,
}

impl Span {
    fn contains(self, at: i64) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// The moments `phase`, `phase + every`, … within it.
    fn grid(self, every: i64, phase: i64) -> impl Iterator<Item = i64> {
        let first = phase + (self.from - phase + every - 1).div_euclid(every) * every;
        (first..self.to).step_by(usize::try_from(every).unwrap_or(1))
    }

    /// The numbers of the periods of this length that reach into it, and the one before, in which something
    /// may begin that reaches into it.
    fn periods(self, length: i64) -> std::ops::RangeInclusive<i64> {
        self.from.div_euclid(length) - 1..=self.to.div_euclid(length)
    }

    /// The moments within it at which the scripts have this kind of device measure, beside its habit.
    fn scripted(self, scripts: &[Script], kind: DeviceKind) -> Vec<i64> {
        scripts
            .iter()
            .flat_map(|script| script.measures(kind))
            .filter(|at| self.contains(*at))
            .collect()
    }
}

/// Seconds since 1970 as a time. The moments of a simulation are within what a time can say.
fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

/// Hours since midnight.
fn hour_of_day(at: i64) -> f64 {
    at.rem_euclid(DAY) as f64 / HOUR as f64
}

/// A bell around an hour of the day, across midnight: 1 at `peak`, 0.6 at one `width` from it.
fn bell(at: i64, peak: f64, width: f64) -> f64 {
    let apart = (hour_of_day(at) - peak + 12.0).rem_euclid(24.0) - 12.0;
    (-0.5 * (apart / width).powi(2)).exp()
}

/// To a multiple of a device's resolution.
fn round_to(value: f64, digits_per_unit: f64) -> f64 {
    (value * digits_per_unit).round() / digits_per_unit
}

#[cfg(test)]
mod tests;
