//! The engine against the slow oracle: the same episodes, however the readings arrive.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::oracle::{self, series};
use crate::parse;
use crate::testing::{delayed, episodes, rule};
use crate::{
    Again, Amendment, Checkpoint, Definition, Episode, Mark, Observation, Reconciliation, Stored, Track,
    Version, reconcile, undisturbed_before,
};

/// A patient's record of one rule: what a store would keep.
#[derive(Default)]
struct Record {
    readings: BTreeMap<(DateTime<Utc>, i16, i64), Observation>,
    episodes: Vec<Stored>,
    withdrawn: BTreeSet<i64>,
    checkpoints: Vec<Checkpoint>,
    /// The readings that came too late to be judged with the others.
    too_late: Vec<Observation>,
}

impl Record {
    /// Stores a batch and has it judged. Answers the track after it.
    fn deliver(&mut self, mut track: Track, batch: &[Observation]) -> Track {
        let mut new = Vec::new();
        for observation in batch {
            let key = (observation.at, observation.metric.code(), observation.device.0);
            if self.readings.insert(key, *observation).is_none() {
                new.push(*observation);
            }
        }
        new.sort_by_key(Observation::key);
        let own = track.own(&new);
        let (too_late, own) = track.split(&own);
        self.too_late.extend(too_late);
        if let Some(again) = track.go_back(too_late) {
            track = self.judge_again(track, again, too_late);
        }
        if own.is_empty() {
            return track;
        }
        if !track.is_in_order(own) {
            let again = track.go_back(own).unwrap();
            return self.judge_again(track, again, own);
        }
        let judged = track.judge(own);
        self.bring_in_line(track, None, &judged.episodes, Reconciliation::Exact)
    }

    /// Takes a reading back.
    fn correct(&mut self, mut track: Track, reading: &Observation) -> Track {
        let key = (reading.at, reading.metric.code(), reading.device.0);
        let Some(removed) = self.readings.remove(&key) else {
            return track;
        };
        let mut again = track.go_back(&[removed]).unwrap();
        if let Again::Apart(..) = again {
            let episodes = self.episodes.iter().map(|stored| &stored.episode);
            again = track.start_anew(undisturbed_before(removed.at, episodes));
        }
        self.judge_again(track, again, &[removed])
    }

    fn judge_again(&mut self, mut track: Track, again: Again, changed: &[Observation]) -> Track {
        let (since, judged, how) = match again {
            Again::After(after) => {
                let again = self.measured(after, DateTime::<Utc>::MAX_UTC);
                let judged = track.judge_again(&track.own(&again), None);
                (after, judged, Reconciliation::Exact)
            }
            Again::Apart(after, until) => {
                let around = self.measured(after, until);
                let judged = track.judge_apart(&track.own(&around), changed);
                (after, judged, Reconciliation::Additive(until))
            }
            Again::Anew(after, since) => {
                let again = self.measured(after, DateTime::<Utc>::MAX_UTC);
                let mut judged = track.judge_again(&track.own(&again), Some(since));
                judged.retain(|episode| episode.cleared_at.is_none_or(|end| end > since));
                (since, judged, Reconciliation::Exact)
            }
        };
        self.bring_in_line(track, Some(since), &judged, how)
    }

    fn bring_in_line(
        &mut self,
        mut track: Track,
        since: Option<DateTime<Utc>>,
        judged: &[Episode],
        how: Reconciliation,
    ) -> Track {
        let open_or_since = |stored: &&Stored| {
            let end = stored.episode.cleared_at;
            end.is_none_or(|end| since.is_some_and(|since| end > since))
        };
        let stored: Vec<_> = self.episodes.iter().filter(open_or_since).cloned().collect();
        for amendment in reconcile(&stored, judged, how) {
            self.amend(amendment);
        }
        if let Some(checkpoints) = track.unsaved() {
            self.checkpoints = checkpoints.to_vec();
        }
        track
    }

    /// The track as another process would find it.
    fn resume(&self, definition: &Definition) -> Track {
        let json = serde_json::to_string(&self.checkpoints).unwrap();
        let version = Version {
            id: 1,
            from: DateTime::UNIX_EPOCH,
            until: None,
            definition: definition.clone(),
        };
        let mut track = Track::new(vec![version], serde_json::from_str(&json).unwrap());
        let readings = self.measured(track.resume_after(), DateTime::<Utc>::MAX_UTC);
        track.judge(&track.own(&readings));
        track
    }

    fn measured(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Observation> {
        let within = |o: &&Observation| o.at > after && o.at <= until;
        self.readings.values().filter(within).copied().collect()
    }

    fn amend(&mut self, amendment: Amendment) {
        match amendment {
            Amendment::Raise(episode) => {
                let id = i64::try_from(self.episodes.len() + self.withdrawn.len()).unwrap();
                self.episodes.push(Stored {
                    id,
                    episode: *episode,
                });
            }
            Amendment::Amend { id, episode, .. } => {
                let stored = self.episodes.iter_mut().find(|stored| stored.id == id).unwrap();
                stored.episode = *episode;
            }
            Amendment::Withdraw { id } => {
                self.withdrawn.insert(id);
                self.episodes.retain(|stored| stored.id != id);
            }
        }
        self.episodes.sort_by_key(|stored| stored.episode.met_at);
        let open = self
            .episodes
            .iter()
            .filter(|stored| stored.episode.cleared_at.is_none());
        assert!(open.count() <= 1, "a rule has one open episode");
    }
}

fn observation(o: &oracle::Observation) -> Observation {
    Observation {
        metric: o.metric,
        at: o.at,
        value: o.value,
        device: o.device,
        received_at: o.received_at,
    }
}

/// Whether both found the same episodes. Figures may differ by the noise of summing in another order.
fn same(found: &[Episode], expected: &[oracle::Episode]) -> bool {
    let close = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
        (one, other) => one == other,
    };
    let mark = |mark: &Mark, reading: &oracle::Reading| {
        (mark.metric, mark.at, mark.value) == (reading.metric, reading.at, reading.value)
            && close(mark.figure, reading.figure)
    };
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| {
            mark(&found.onset, &expected.onset)
                && mark(&found.latest, &expected.latest)
                && mark(&found.worst, &expected.worst)
                && found.cleared_at == expected.cleared_at
                && found.late == expected.late
        })
}

fn check(kind: &str, seed: u64, condition: &Value, found: &[Episode], expected: &[oracle::Episode]) {
    if same(found, expected) {
        return;
    }
    let different = found
        .iter()
        .zip(expected)
        .find(|(found, expected)| !same(std::slice::from_ref(*found), std::slice::from_ref(*expected)));
    panic!(
        "{kind}, seed {seed}, {condition}: {} episodes, expected {}; first difference {different:#?}",
        found.len(),
        expected.len()
    );
}

/// The first plain episode that is not among the found ones, as it is or (if it is over) widened; else the first
/// open one found that is not plain.
fn unlike(found: &[Stored], plain: &[Stored]) -> Option<Episode> {
    let covers = |found: &Episode, plain: &Episode| match (found.cleared_at, plain.cleared_at) {
        (Some(found_end), Some(plain_end)) => {
            found.onset.at <= plain.onset.at
                && found.met_at <= plain.met_at
                && found.latest.at >= plain.latest.at
                && found.excess >= plain.excess
                && found_end >= plain_end
        }
        _ => found == plain,
    };
    let is_in = |one: &Episode, others: &[Stored], alike: &dyn Fn(&Episode, &Episode) -> bool| {
        others.iter().any(|other| alike(&other.episode, one))
    };
    let mut missing = plain
        .iter()
        .filter(|plain| !is_in(&plain.episode, found, &covers));
    let open = found.iter().filter(|found| found.episode.cleared_at.is_none());
    let mut extra = open.filter(|found| !is_in(&found.episode, plain, &|one, other| one == other));
    missing
        .next()
        .or_else(|| extra.next())
        .map(|stored| stored.episode.clone())
}

/// The conditions of a kind that the product takes: the oracle knows some without a duration, and some that
/// clear where they breach.
fn conditions(kind: &str) -> Vec<Value> {
    let mut conditions = series::conditions(kind);
    let all = conditions.len();
    conditions.retain(|condition| parse::condition(condition).is_ok());
    assert!(conditions.len() + 2 >= all, "most conditions of {kind} are taken");
    conditions
}

/// A thousand patient-weeks in all.
const SEEDS_OF_A_KIND: u64 = 125;

#[test]
fn the_oracle_agrees_on_a_thousand_patient_weeks() {
    for kind in series::KINDS {
        let mut episodes_of_kind = 0;
        for seed in 0..SEEDS_OF_A_KIND {
            let week = series::patient_week(seed, kind);
            let observations: Vec<_> = week.iter().map(observation).collect();
            for condition in conditions(kind) {
                let expected = oracle::episodes(&condition, &week);
                let found = episodes(&rule(condition.clone()), observations.clone());
                check(kind, seed, &condition, &found, &expected);
                episodes_of_kind += expected.len();
            }
        }
        assert!(episodes_of_kind > 500, "{kind}: only {episodes_of_kind} episodes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_any_batches_any_hand_over_the_same_episodes(
        seed in 0_u64..10_000,
        kind in 0..series::KINDS.len(),
        shuffle in prop::collection::vec((0_i64..24 * 60, 1_usize..400, prop::bool::weighted(0.1)), 40),
    ) {
        let kind = series::KINDS[kind];
        let week = series::patient_week(seed, kind);
        for condition in conditions(kind) {
            let definition = rule(condition.clone());
            // Each reading comes up to the allowed lateness after its time; some come twice.
            let mut arriving: Vec<_> = Vec::new();
            for (index, o) in week.iter().enumerate() {
                let (minutes, _, twice) = shuffle[index * 7 % shuffle.len()];
                let late = if minutes % 3 == 0 { minutes } else { minutes % 5 };
                arriving.push((o.at + TimeDelta::minutes(late), observation(o)));
                if twice {
                    arriving.push((o.at + TimeDelta::minutes(minutes), observation(o)));
                }
            }
            arriving.sort_by_key(|(arrival, o)| (*arrival, o.key()));
            let mut record = Record::default();
            let mut track = record.resume(&definition);
            let mut rest = &arriving[..];
            let mut batches = shuffle.iter().cycle();
            while !rest.is_empty() {
                let (_, size, hand_over) = batches.next().unwrap();
                let (batch, after) = rest.split_at((*size).min(rest.len()));
                let batch: Vec<_> = batch.iter().map(|(_, o)| *o).collect();
                track = record.deliver(track, &batch);
                if *hand_over {
                    track = record.resume(&definition);
                }
                rest = after;
            }
            let found = |record: &Record| record.episodes.iter().map(|stored| stored.episode.clone()).collect::<Vec<_>>();
            check(kind, seed, &condition, &found(&record), &oracle::episodes(&condition, &week));

            // Some readings turn out to have been entered in error: of the last day, and of any day.
            let mut rest = week.clone();
            let last = week.iter().map(|o| o.at).max().unwrap();
            let recent: Vec<_> = week.iter().filter(|o| last - o.at < TimeDelta::hours(23)).collect();
            let all: Vec<_> = week.iter().collect();
            for (index, (pick, step, hand_over)) in shuffle[..8].iter().enumerate() {
                let among = if index % 2 == 0 { &recent } else { &all };
                let wrong = among[(usize::try_from(*pick).unwrap() * 7 + step) % among.len()];
                rest.retain(|o| o != wrong);
                track = record.correct(track, &observation(wrong));
                if *hand_over {
                    track = record.resume(&definition);
                }
            }
            check(kind, seed, &condition, &found(&record), &oracle::episodes(&condition, &rest));
        }
    }

    #[test]
    fn what_comes_too_late_adds_or_widens_and_changes_nothing_else(
        seed in 0_u64..10_000,
        kind in 0..series::KINDS.len(),
        shuffle in prop::collection::vec((0_i64..24 * 60, 1_usize..400, prop::bool::weighted(0.1)), 40),
    ) {
        let kind = series::KINDS[kind];
        let week = series::patient_week(seed, kind);
        for condition in conditions(kind) {
            let definition = rule(condition.clone());
            // Some readings come up to a day after their time, and some one to four days.
            let mut arriving: Vec<_> = Vec::new();
            for (index, o) in week.iter().enumerate() {
                let minutes = shuffle[index * 7 % shuffle.len()].0;
                let late = match minutes % 6 {
                    0 => minutes,
                    1 | 2 => 24 * 60 + 3 * minutes,
                    _ => minutes % 5,
                };
                let arrival = o.at + TimeDelta::minutes(late);
                arriving.push(Observation { received_at: o.received_at.max(arrival), ..observation(o) });
            }
            arriving.sort_by_key(|o| (o.received_at, o.key()));
            // The same without what came too late.
            let (mut record, mut plain) = (Record::default(), Record::default());
            let (mut track, mut plain_track) = (record.resume(&definition), plain.resume(&definition));
            let mut rest = &arriving[..];
            for (_, size, hand_over) in shuffle.iter().cycle() {
                let (batch, after) = rest.split_at((*size).min(rest.len()));
                track = record.deliver(track, batch);
                let mut others = batch.to_vec();
                others.retain(|o| !record.too_late.contains(o));
                plain_track = plain.deliver(plain_track, &others);
                if *hand_over {
                    track = record.resume(&definition);
                    plain_track = plain.resume(&definition);
                }
                prop_assert_eq!(track.memory(), plain_track.memory());
                prop_assert_eq!(track.checkpoints(), plain_track.checkpoints());
                prop_assert_eq!(unlike(&record.episodes, &plain.episodes), None, "{} {} {}", kind, seed, condition);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
        }
    }
}

/// Readings of one metric, some minutes apart, that breach a limit at 10 or not.
fn readings() -> impl Strategy<Value = Vec<Observation>> {
    prop::collection::vec((1_i64..40, prop::bool::weighted(0.8)), 1..120).prop_map(|steps| {
        let mut minutes = 0;
        let reading = |(gap, high)| {
            minutes += gap;
            delayed(Metric::Glucose, minutes, if high { 12.0 } else { 7.0 }, 1)
        };
        steps.into_iter().map(reading).collect()
    })
}

proptest! {
    #[test]
    fn no_sustained_rule_fires_before_its_duration_or_across_a_gap(readings in readings()) {
        let (hold, max_gap) = (TimeDelta::minutes(60), TimeDelta::minutes(30));
        let definition = rule(json!({
            "kind": "sustained", "limits": [{"metric": "glucose", "above": 10.0}], "for_seconds": 3_600,
            "max_gap_seconds": 1_800,
        }));
        for episode in episodes(&definition, readings.clone()) {
            prop_assert!(episode.met_at - episode.onset.at >= hold);
            let run: Vec<_> = readings
                .iter()
                .filter(|o| o.at >= episode.onset.at && o.at <= episode.met_at)
                .collect();
            prop_assert!(run.iter().all(|o| o.value > 10.0));
            prop_assert!(run.windows(2).all(|pair| pair[1].at - pair[0].at <= max_gap));
        }
    }

    #[test]
    fn a_rule_clears_before_it_is_armed_again(readings in readings(), clear_after in 0_u32..7_200) {
        let definition = rule(json!({
            "kind": "threshold", "limits": [{"metric": "glucose", "above": 10.0}],
            "clear_after_seconds": clear_after,
        }));
        let episodes = episodes(&definition, readings);
        for pair in episodes.windows(2) {
            let cleared = pair[0].cleared_at.expect("only the last one is open");
            prop_assert!(cleared < pair[1].met_at && pair[0].latest.at < cleared);
        }
    }
}
