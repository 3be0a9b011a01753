//! Simulated patients, and conditions to judge them by: what is usual, and what is rare and awkward, often.
//!
//! A seed gives the same series on every machine: nothing here but sums, products and roundings.

mod arrival;
mod conditions;
mod glucose;
mod heart;
mod pressure;
mod random;
mod vitals;
mod weight;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric};

use self::arrival::Delays;
use self::random::Random;
use super::Observation;

pub(crate) use self::arrival::{repeated, shuffled};
pub(crate) use self::conditions::{KINDS, conditions};

/// A measurement, before it is on its way.
#[derive(Clone, Copy, Debug)]
struct Taken {
    metric: Metric,
    at: DateTime<Utc>,
    value: f64,
    device: DeviceId,
}

/// A patient's readings for the conditions of a kind, in the order in which they come; each key once.
///
/// A week, or four where readings are so few that a week would decide little. Nothing comes more than 20 hours
/// after its measurement.
///
/// # Panics
///
/// On a kind that is not one of [`KINDS`].
pub(crate) fn patient_week(seed: u64, kind: &str) -> Vec<Observation> {
    let number = KINDS
        .iter()
        .position(|other| *other == kind)
        .unwrap_or_else(|| panic!("no series for the kind {kind}"));
    let mut random = Random::new(seed.wrapping_mul(KINDS.len() as u64).wrapping_add(number as u64));
    let start = random.one_of(&STARTS).parse().expect("the starts are times");
    let random = &mut random;
    let taken = match kind {
        "threshold" => [
            glucose::week(random, start, 7, 5),
            pressure::course(random, start, 7),
            vitals::spot_checks(random, start, 7),
        ]
        .concat(),
        "sustained" => [glucose::week(random, start, 7, 5), heart::week(random, start, 7)].concat(),
        "repeated" => [
            glucose::week(random, start, 7, 5),
            pressure::course(random, start, 28),
        ]
        .concat(),
        "change" => [
            weight::daily(random, start, 28),
            glucose::week(random, start, 4, 5),
        ]
        .concat(),
        "rate" => glucose::week(random, start, 7, 5),
        "home_average" => pressure::course(random, start, 28),
        "time_in_range" => glucose::week(random, start, 28, 15),
        "news2" => vitals::sets(random, start, 7),
        _ => unreachable!("the kinds are those above"),
    };
    let delays = match kind {
        "change" | "home_average" | "repeated" => Delays {
            stretches: 10,
            longest_hours: 20,
        },
        _ => Delays {
            stretches: 6,
            longest_hours: 9,
        },
    };
    arrival::on_their_way(random, taken, &delays)
}

/// How long a patient of all programmes is watched: over so many days, on the last ones of which the sensor and
/// the watch measure, which have much to say, and the ward's nurse.
pub(crate) struct Days {
    pub(crate) all: i64,
    pub(crate) sensor: i64,
    pub(crate) watch: i64,
    pub(crate) ward: i64,
}

/// A patient with every device, for the rules of all programmes together. Readings are as those of
/// [`patient_week`]: nothing comes more than 20 hours after its measurement.
pub(crate) fn patient_of_all_programmes(seed: u64, days: &Days) -> Vec<Observation> {
    let mut random = Random::new(seed);
    let random = &mut random;
    let start: DateTime<Utc> = random.one_of(&STARTS).parse().expect("the starts are times");
    let last = |last: i64| start + TimeDelta::days(days.all - last);
    let taken = [
        glucose::week(random, last(days.sensor), days.sensor, 5),
        heart::week(random, last(days.watch), days.watch),
        pressure::course(random, start, days.all),
        weight::daily(random, start, days.all),
        vitals::sets(random, last(days.ward), days.ward),
    ]
    .concat();
    let delays = Delays {
        stretches: 6,
        longest_hours: 9,
    };
    arrival::on_their_way(random, taken, &delays)
}

/// The beginnings of weeks: an ordinary one, and ones in which London's clocks go forward or back, on 29 March
/// and 25 October 2026.
const STARTS: [&str; 4] = [
    "2026-06-01T00:00:00Z",
    "2026-03-25T00:00:00Z",
    "2026-10-21T00:00:00Z",
    "2026-10-04T22:30:00Z",
];

/// A value to a decimal place, as the double nearest to the decimal.
fn decimal(value: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (value * scale).round() / scale
}

/// Goes through time step by step, and remembers what was measured.
struct Tape {
    metric: Metric,
    device: DeviceId,
    now: DateTime<Utc>,
    taken: Vec<Taken>,
}

impl Tape {
    fn new(metric: Metric, device: i64, now: DateTime<Utc>) -> Tape {
        let device = DeviceId(device);
        Tape {
            metric,
            device,
            now,
            taken: Vec::new(),
        }
    }

    fn measure(&mut self, value: f64) {
        let (metric, device) = (self.metric, self.device);
        self.also(metric, device, value);
    }

    /// Another metric's value or another device's, at the same time.
    fn also(&mut self, metric: Metric, device: DeviceId, value: f64) {
        let at = self.now;
        self.taken.push(Taken {
            metric,
            at,
            value,
            device,
        });
    }

    fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{Episode, episodes};
    use super::*;

    const SEEDS: u64 = 12;

    #[test]
    fn a_seed_is_a_series() {
        for kind in KINDS {
            assert_eq!(patient_week(7, kind), patient_week(7, kind));
            assert_ne!(patient_week(7, kind), patient_week(8, kind));
        }
    }

    #[test]
    fn series_are_what_the_engine_may_be_given() {
        for (seed, kind) in (0..SEEDS).flat_map(|seed| KINDS.map(|kind| (seed, kind))) {
            let series = patient_week(seed, kind);
            let keys: HashSet<_> = series.iter().map(|o| (o.metric, o.at, o.device)).collect();
            assert_eq!(keys.len(), series.len(), "{kind} {seed}");
            assert!(series.is_sorted_by_key(|o| o.received_at));
            for o in &series {
                assert!(o.metric.plausible().contains(&o.value), "{kind} {seed} {o:?}");
                assert_eq!(o.value, decimal(o.value, 6), "{kind} {seed}");
                let way = o.received_at - o.at;
                assert!(
                    TimeDelta::zero() <= way && way <= TimeDelta::hours(20),
                    "{kind} {seed} {o:?}"
                );
            }
        }
    }

    #[test]
    fn the_order_of_observations_does_not_matter_and_repeats_do_not_count() {
        for kind in KINDS {
            let series = patient_week(3, kind);
            let again = repeated(11, &series);
            assert!(again.len() > series.len());
            for condition in conditions(kind) {
                let expected = episodes(&condition, &series);
                assert_eq!(episodes(&condition, &shuffled(5, &series)), expected);
                assert_eq!(episodes(&condition, &again), expected);
            }
        }
    }

    /// What happens to each condition in all weeks: episodes of these sorts.
    fn tally(kind: &str) -> Vec<Tally> {
        let weeks: Vec<Vec<Observation>> = (0..SEEDS).map(|seed| patient_week(seed, kind)).collect();
        conditions(kind)
            .iter()
            .map(|condition| {
                let by_week: Vec<Vec<Episode>> = weeks.iter().map(|week| episodes(condition, week)).collect();
                let count = |of: fn(&Episode) -> bool| by_week.iter().flatten().filter(|e| of(e)).count();
                Tally {
                    weeks: by_week.iter().filter(|episodes| !episodes.is_empty()).count(),
                    weeks_with_several: by_week.iter().filter(|episodes| episodes.len() > 1).count(),
                    episodes: count(|_| true),
                    open: count(|episode| episode.cleared_at.is_none()),
                    late: count(|episode| episode.late),
                }
            })
            .collect()
    }

    #[derive(Debug)]
    struct Tally {
        weeks: usize,
        weeks_with_several: usize,
        episodes: usize,
        open: usize,
        late: usize,
    }

    #[test]
    fn rare_things_happen_often() {
        for kind in KINDS {
            let tally = tally(kind);
            println!("{kind}");
            for condition in &tally {
                println!("    {condition:?}");
            }
            let weeks = SEEDS as usize;
            for condition in &tally {
                assert!(
                    condition.weeks * 2 >= weeks,
                    "{kind}: few weeks with episodes: {condition:?}"
                );
                assert!(
                    condition.weeks_with_several > 0,
                    "{kind}: none with several: {condition:?}"
                );
            }
            assert!(tally.iter().any(|c| c.weeks_with_several * 2 > weeks), "{kind}");
            assert!(tally.iter().any(|c| c.late > 0), "{kind}: none late");
            assert!(tally.iter().any(|c| c.open > 0), "{kind}: none open at the end");
        }
    }
}
