//! How measurements come: most at once, some hours late, whole stretches together when a phone was off.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::Observation;
use super::Taken;
use super::random::Random;

/// How much comes late.
pub(crate) struct Delays {
    /// So many times nothing was sent for a while, and all of it afterwards.
    pub(crate) stretches: usize,
    /// The longest of these.
    pub(crate) longest_hours: i64,
}

/// When each of these comes, in that order. A key that was taken twice comes once.
pub(crate) fn on_their_way(random: &mut Random, taken: Vec<Taken>, delays: &Delays) -> Vec<Observation> {
    let first = taken.iter().map(|taken| taken.at).min().unwrap_or_default();
    let last = taken.iter().map(|taken| taken.at).max().unwrap_or_default();
    let span = (last - first).num_seconds();
    // Some phones are off more often than on.
    let often = random.one_of(&[1, 1, 1, 5]);
    let stretches: Vec<(DateTime<Utc>, DateTime<Utc>)> = (0..often * delays.stretches)
        .map(|_| {
            let from = first + TimeDelta::seconds(random.whole(0, span));
            // A second less than the longest, for the way itself.
            let until = from + TimeDelta::seconds(random.whole(1200, delays.longest_hours * 3600 - 60));
            (from, until)
        })
        .collect();

    let mut keys = HashSet::new();
    let mut coming: Vec<Observation> = taken
        .into_iter()
        .filter(|taken| keys.insert((taken.metric, taken.at, taken.device)))
        .map(
            |Taken {
                 metric,
                 at,
                 value,
                 device,
             }| {
                let stretch = stretches.iter().find(|(from, until)| *from <= at && at < *until);
                let received_at = match stretch {
                    Some((_, until)) => *until + TimeDelta::seconds(random.whole(0, 5)),
                    None => at + TimeDelta::seconds(delay(random)),
                };
                Observation {
                    metric,
                    at,
                    value,
                    device,
                    received_at,
                }
            },
        )
        .collect();
    coming.sort_by_key(|o| (o.received_at, o.at, o.metric, o.device));
    coming
}

/// Seconds on the way, of a reading by itself. A reading that took 15 minutes is on time, and a second later
/// it is not.
fn delay(random: &mut Random) -> i64 {
    match random.whole(0, 99) {
        0 => 900,
        1 => 901,
        2 => random.whole(60, 3600),
        3 => random.whole(3600, 20 * 3600),
        _ => random.whole(0, 4),
    }
}

/// The same series with some observations sent again, hours later or at once, and some of those with another
/// value under the same key, which must not count.
pub(crate) fn repeated(seed: u64, series: &[Observation]) -> Vec<Observation> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for observation in series {
        all.push(*observation);
        if random.chance(0.05) {
            let received_at = observation.received_at + TimeDelta::seconds(random.whole(0, 7200));
            let other = if random.chance(0.3) {
                random.between(0.8, 1.25)
            } else {
                1.0
            };
            let value = observation.value * other;
            all.push(Observation {
                value,
                received_at,
                ..*observation
            });
        }
    }
    // Stable: what came first stays before what was sent again.
    all.sort_by_key(|observation| observation.received_at);
    all
}

/// The same observations in some other order.
pub(crate) fn shuffled(seed: u64, series: &[Observation]) -> Vec<Observation> {
    let mut random = Random::new(seed);
    let mut rest = series.to_vec();
    let mut order = Vec::new();
    while !rest.is_empty() {
        let last = i64::try_from(rest.len()).expect("series are short") - 1;
        let chosen = usize::try_from(random.whole(0, last)).expect("an index is not negative");
        order.push(rest.swap_remove(chosen));
    }
    order
}
