//! For how much of a time the readings of a sensor speak.
//!
//! The consensus wants a sensor to be active for 70 % of two weeks. How many readings that takes hangs on the sensor:
//! most send one every 5 minutes, FreeStyle Libre stores one every 15, some send one every minute. As iglu and cgmanalysis
//! do, the interval is read off the series: the usual distance between readings that follow each other. Here it is that of
//! each device on each day, so that a series may go over from one sensor to another, and one of [`INTERVALS`], so that
//! what is missing makes it no longer.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_record::DeviceId;

use super::Sample;

/// The times between two readings of sensors that there are, in minutes, the shortest first; and below how many minutes a
/// distance is taken for each. Twice five minutes is a missed reading, not another sensor.
const INTERVALS: [(u32, i64); 3] = [(1, 3), (5, 11), (15, 23)];

/// What is taken for the interval where no reading has a neighbour, in minutes: that of most sensors.
const MOST_SENSORS: u32 = 5;

/// Of the time that is spoken for, the share, in percent, from which an interval is told.
const TOLD_PERCENT: i32 = 10;

/// For how much of a time readings speak.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Active {
    /// All of it together.
    pub(super) time: TimeDelta,
    /// The intervals of the sensors, in minutes, the shortest first. There is more than one where a sensor took the place
    /// of another.
    pub(super) interval_minutes: Vec<u32>,
}

/// For how much of the time from `from` until `to` these samples of it, which are sorted by time, speak. Each speaks until
/// the next of its device; where one is missing, for an interval. What several devices speak for counts once.
///
/// With `interval_minutes` the sensor is known to measure so often.
pub(super) fn active(
    samples: &[Sample],
    interval_minutes: Option<u32>,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Active {
    let next = next_of_device(samples);
    let found = Intervals::of(samples, &next);
    let mut times: BTreeMap<Option<u32>, TimeDelta> = BTreeMap::new();
    let mut spoken_until = from;
    for (sample, next) in samples.iter().zip(next) {
        let minutes = interval_minutes.or_else(|| found.of_sample(sample));
        let until = speaks_until(sample.at, next, minutes.unwrap_or(MOST_SENSORS)).min(to);
        let begins = sample.at.max(spoken_until);
        if until > begins {
            *times.entry(minutes).or_default() += until - begins;
            spoken_until = until;
        }
    }
    let time: TimeDelta = times.values().sum();
    let told = |(minutes, of_interval): (Option<u32>, TimeDelta)| {
        minutes.filter(|_| of_interval * 100 >= time * TOLD_PERCENT)
    };
    Active {
        time,
        interval_minutes: times.into_iter().filter_map(told).collect(),
    }
}

/// Until the next reading, unless that is later by half an interval than it should be.
fn speaks_until(at: DateTime<Utc>, next: Option<DateTime<Utc>>, interval_minutes: u32) -> DateTime<Utc> {
    let interval = TimeDelta::minutes(interval_minutes.into());
    next.filter(|next| *next - at <= interval * 3 / 2)
        .unwrap_or(at + interval)
}

/// For each sample, when the same device measured next.
fn next_of_device(samples: &[Sample]) -> Vec<Option<DateTime<Utc>>> {
    let mut later: BTreeMap<DeviceId, DateTime<Utc>> = BTreeMap::new();
    let mut next: Vec<_> = samples
        .iter()
        .rev()
        .map(|sample| later.insert(sample.device, sample.at))
        .collect();
    next.reverse();
    next
}

/// How many distances there are of each of [`INTERVALS`].
type Counts = [u32; INTERVALS.len()];

/// With a meter somebody measures now and then, and sometimes twice. Of a sensor there are so many distances like an
/// interval, at least, for each that is longer than [`LONG`].
const SENSOR_TIMES: u32 = 4;
/// See [`SENSOR_TIMES`].
const LONG: TimeDelta = TimeDelta::hours(1);

/// The usual intervals.
#[derive(Default)]
struct Intervals {
    of_days: BTreeMap<(DeviceId, NaiveDate), Counts>,
    /// Beside those the distances that are [`LONG`].
    of_devices: BTreeMap<DeviceId, (Counts, u32)>,
}

impl Intervals {
    fn of(samples: &[Sample], next: &[Option<DateTime<Utc>>]) -> Intervals {
        let mut intervals = Intervals::default();
        for (sample, next) in samples.iter().zip(next) {
            let Some(next) = next else { continue };
            let distance = *next - sample.at;
            let like = |(_, below): &(u32, i64)| distance < TimeDelta::minutes(*below);
            let (of_device, long) = intervals.of_devices.entry(sample.device).or_default();
            match INTERVALS.iter().position(like) {
                Some(place) => {
                    of_device[place] += 1;
                    let day = (sample.device, sample.at.date_naive());
                    intervals.of_days.entry(day).or_default()[place] += 1;
                }
                None => *long += u32::from(distance > LONG),
            }
        }
        intervals
    }

    /// That of the day, or where nothing has a neighbour on it, of the device; in minutes. None of a meter's.
    fn of_sample(&self, sample: &Sample) -> Option<u32> {
        let (of_device, long) = self.of_devices.get(&sample.device)?;
        let is_sensor = of_device.iter().sum::<u32>() >= (SENSOR_TIMES * long).max(1);
        let day = (sample.device, sample.at.date_naive());
        is_sensor.then(|| usual(self.of_days.get(&day).unwrap_or(of_device)))
    }
}

/// The interval of most distances; of several as many, the shortest.
fn usual(counts: &Counts) -> u32 {
    let most = counts.iter().copied().max().unwrap_or(0);
    let first = counts.iter().position(|count| *count == most).unwrap_or(0);
    INTERVALS[first].0
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60;

    fn minute(minute: i64) -> DateTime<Utc> {
        "2026-11-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
    }

    /// Readings of a device at these minutes.
    fn of(device: i64, minutes: impl IntoIterator<Item = i64>) -> Vec<Sample> {
        let sample = |at| Sample {
            at: minute(at),
            device: DeviceId(device),
            value: 6.0,
        };
        minutes.into_iter().map(sample).collect()
    }

    fn every(minutes: usize, from: i64, until: i64) -> impl Iterator<Item = i64> {
        (from..until).step_by(minutes)
    }

    /// Checks the percentage of so many days that is spoken for, and the intervals.
    fn check(what: &str, days: i64, mut samples: Vec<Sample>, percent: f64, intervals: &[u32]) {
        samples.sort_by_key(|sample| (sample.at, sample.device));
        let window = (minute(0), minute(days * DAY));
        let found = active(&samples, None, window);
        let of_window = 100.0 * found.time.as_seconds_f64() / (window.1 - window.0).as_seconds_f64();
        assert!((of_window - percent).abs() < 0.05, "{what}: {of_window} %");
        assert_eq!(found.interval_minutes, intervals, "{what}");
    }

    #[test]
    fn the_interval_is_that_of_the_series() {
        check("nothing", 14, Vec::new(), 0.0, &[]);
        for minutes in [1, 5, 15] {
            let what = format!("every {minutes} minutes");
            let interval = [u32::try_from(minutes).unwrap()];
            check(&what, 14, of(1, every(minutes, 0, 14 * DAY)), 100.0, &interval);
            let half = of(1, every(minutes, 0, 7 * DAY));
            check(&format!("{what} of half the time"), 14, half, 50.0, &interval);
        }
        check("every 3 minutes", 1, of(1, every(3, 0, DAY)), 100.0, &[5]);
        check(
            "a meter",
            14,
            of(1, every(360, 0, 14 * DAY)),
            100.0 * 5.0 / 360.0,
            &[],
        );
    }

    #[test]
    fn what_is_missing_makes_it_no_longer() {
        let but = |missing: fn(i64) -> bool| -> Vec<i64> {
            every(5, 0, 14 * DAY)
                .filter(|minute| !missing(minute / 5))
                .collect()
        };
        check("each tenth", 14, of(1, but(|n| n % 10 == 0)), 90.0, &[5]);
        check("each third", 14, of(1, but(|n| n % 3 == 0)), 66.7, &[5]);
        check("each other", 14, of(1, but(|n| n % 2 == 0)), 50.0, &[5]);
        check("by night", 14, of(1, but(|n| n % 288 < 96)), 66.7, &[5]);
        let libre = every(15, 0, 14 * DAY).filter(|minute| minute / 15 % 4 != 0);
        check("each fourth of 15 minutes", 14, of(1, libre), 75.0, &[15]);
    }

    #[test]
    fn a_sensor_may_take_the_place_of_another() {
        let (first, then) = (every(15, 0, 7 * DAY), every(5, 7 * DAY, 14 * DAY));
        check(
            "another device",
            14,
            [of(1, first), of(2, then)].concat(),
            100.0,
            &[5, 15],
        );
        let (first, then) = (every(15, 0, 7 * DAY), every(5, 7 * DAY, 14 * DAY));
        check(
            "by the same telephone",
            14,
            of(1, first.chain(then)),
            100.0,
            &[5, 15],
        );
        let (first, then) = (every(5, 0, 13 * DAY), every(15, 13 * DAY, 14 * DAY));
        check("on the last day", 14, of(1, first.chain(then)), 100.0, &[5]);
    }

    #[test]
    fn what_is_measured_besides_counts_once() {
        let libre = || of(1, every(15, 0, 14 * DAY));
        // Whoever looks at the sensor between two stored readings, and whoever pricks a finger.
        let looks = every(97, 4, 14 * DAY).filter(|minute| minute % 15 != 0);
        check("looks", 14, [libre(), of(1, looks)].concat(), 100.0, &[15]);
        check(
            "a meter",
            14,
            [libre(), of(2, every(361, 7, 14 * DAY))].concat(),
            100.0,
            &[15],
        );
        check(
            "two sensors",
            14,
            [libre(), of(2, every(5, 0, 14 * DAY))].concat(),
            100.0,
            &[15],
        );
    }

    #[test]
    fn readings_come_a_little_early_or_late() {
        let jitter = |n: i64| TimeDelta::seconds([0, 70, -50, 20, -75][usize::try_from(n % 5).unwrap()]);
        for minutes in [5, 15] {
            let mut samples = of(1, every(minutes, 0, 14 * DAY));
            for (n, sample) in (0..).zip(&mut samples) {
                sample.at += jitter(n);
            }
            let interval = [u32::try_from(minutes).unwrap()];
            check(&format!("every {minutes} minutes"), 14, samples, 100.0, &interval);
        }
    }

    #[test]
    fn an_interval_that_is_named_holds() {
        let samples = of(1, every(5, 0, 60));
        let window = (minute(0), minute(60));
        let found = active(&samples, Some(1), window);
        assert_eq!((found.time.num_minutes(), found.interval_minutes), (12, vec![1]));
        // Nothing speaks for what is after the end.
        let found = active(&samples, Some(30), window);
        assert_eq!((found.time.num_minutes(), found.interval_minutes), (60, vec![30]));
    }
}
