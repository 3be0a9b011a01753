//! What has to be done to the episodes in the record so that they are those that the readings say.

use chrono::{DateTime, Utc};

use crate::Episode;

/// An episode as the record has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// What the record calls it.
    pub id: i64,
    /// What the readings said. Its `version`, `excess` and `detail` are of no account here.
    pub episode: Episode,
}

/// One change of the episodes of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Amendment {
    /// What an episode rested on is gone: it is closed, visibly.
    Withdraw {
        /// Which.
        id: i64,
    },
    /// An episode goes on, ends, or turns out to be another than was thought.
    Amend {
        /// Which.
        id: i64,
        /// What the readings say now.
        episode: Box<Episode>,
        /// What happened to it.
        change: Change,
    },
    /// There is another episode.
    Raise(Box<Episode>),
}

/// What happened to an episode that was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// It was late, and has turned out to last until now.
    pub became_current: bool,
    /// It was over, and is not.
    pub reopened: bool,
    /// It is over.
    pub cleared: bool,
    /// Its past has changed: when it began, its worst reading before, or when it ended.
    pub amended: bool,
}

/// How the record is brought in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciliation {
    /// The computed episodes are all that there are.
    Exact,
    /// They come from readings until this time, apart from what the rule remembers, and add to the episodes in
    /// the record. None of these is taken away, ended or reopened. One that lasts beyond the time is left as it
    /// is: the rule may remember it, and would undo the change with its next reading.
    Additive(DateTime<Utc>),
}

/// Finds the amendments, in the order in which they must be made so that a rule never has two open episodes.
/// Both lists are in the order of time; `stored` lacks those that were withdrawn or had ended before the time
/// from which the computed ones are.
pub fn reconcile(stored: &[Stored], computed: &[Episode], how: Reconciliation) -> Vec<Amendment> {
    match how {
        Reconciliation::Exact => replace(stored, computed),
        Reconciliation::Additive(until) => add(stored, computed, until),
    }
}

fn replace(stored: &[Stored], computed: &[Episode]) -> Vec<Amendment> {
    let partner = partners(stored, computed);
    let mut amendments = Vec::new();
    for (index, stored) in stored.iter().enumerate() {
        if !partner.contains(&Some(index)) {
            amendments.push(Amendment::Withdraw { id: stored.id });
        }
    }
    let paired = computed.iter().zip(&partner);
    let (over, open): (Vec<_>, Vec<_>) = paired.partition(|(episode, _)| episode.cleared_at.is_some());
    for (episode, partner) in over.into_iter().chain(open) {
        match partner.map(|index| &stored[index]) {
            Some(stored) => amendments.extend(amend(stored, episode.clone())),
            None => amendments.push(Amendment::Raise(Box::new(episode.clone()))),
        }
    }
    amendments
}

fn add(stored: &[Stored], computed: &[Episode], until: DateTime<Utc>) -> Vec<Amendment> {
    let ended = |episode: &Episode| Episode {
        // What is open when the readings end is not open now, and nothing is known of it beyond them.
        cleared_at: Some(episode.cleared_at.unwrap_or(episode.latest.at).min(until)),
        ..episode.clone()
    };
    let computed: Vec<_> = computed.iter().map(ended).collect();
    let mut amendments = Vec::new();
    for (episode, partner) in computed.iter().zip(partners(stored, &computed)) {
        match partner.map(|index| &stored[index]) {
            Some(stored) if stored.episode.cleared_at.is_some_and(|end| end <= until) => {
                amendments.extend(amend(stored, widened(&stored.episode, episode)));
            }
            Some(_) => {}
            // A part of one that is in the record is no other.
            None if stored.iter().any(|stored| overlap(&stored.episode, episode)) => {}
            None => amendments.push(Amendment::Raise(Box::new(episode.clone()))),
        }
    }
    amendments
}

/// Which stored episode each computed one is. The open one of the record, to which somebody may have seen, comes
/// first: it is the one whose condition came to hold with the same readings, also if that has ended and another
/// is open now; else the one that is open. The others are found in the same way.
fn partners(stored: &[Stored], computed: &[Episode]) -> Vec<Option<usize>> {
    let likenesses: [fn(&Episode, &Episode) -> bool; 4] = [
        |stored, computed| is_open(stored) && stored.met_at == computed.met_at,
        |stored, computed| is_open(stored) && is_open(computed) && overlap(stored, computed),
        |stored, computed| stored.met_at == computed.met_at,
        overlap,
    ];
    let mut partners = vec![None; computed.len()];
    for alike in likenesses {
        for (index, episode) in computed.iter().enumerate() {
            if partners[index].is_none() {
                partners[index] = stored.iter().enumerate().position(|(index, stored)| {
                    !partners.contains(&Some(index)) && alike(&stored.episode, episode)
                });
            }
        }
    }
    partners
}

fn is_open(episode: &Episode) -> bool {
    episode.cleared_at.is_none()
}

fn overlap(one: &Episode, other: &Episode) -> bool {
    let end = |episode: &Episode| episode.cleared_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
    one.met_at <= end(other) && other.met_at <= end(one)
}

fn amend(stored: &Stored, episode: Episode) -> Option<Amendment> {
    let before = &stored.episode;
    let (was_over, is_over) = (before.cleared_at.is_some(), episode.cleared_at.is_some());
    let change = Change {
        became_current: before.late && !episode.late,
        reopened: was_over && !is_over,
        cleared: !was_over && is_over,
        amended: before.onset != episode.onset
            || episode.latest.at < before.latest.at
            || (was_over && before.cleared_at != episode.cleared_at),
    };
    let same = before.onset == episode.onset
        && before.met_at == episode.met_at
        && before.latest == episode.latest
        && before.worst == episode.worst
        && before.late == episode.late
        && before.cleared_at == episode.cleared_at;
    (!same).then(|| Amendment::Amend {
        id: stored.id,
        episode: Box::new(episode),
        change,
    })
}

/// An episode that is over, made at least what another says it is.
fn widened(before: &Episode, other: &Episode) -> Episode {
    let mut episode = other.clone();
    if before.onset.at <= episode.onset.at {
        episode.onset = before.onset;
    }
    episode.met_at = episode.met_at.min(before.met_at);
    if before.latest.at >= episode.latest.at {
        episode.latest = before.latest;
        episode.detail = before.detail.clone();
    }
    if before.excess >= episode.excess {
        episode.worst = before.worst;
        episode.excess = before.excess;
    }
    episode.late &= before.late;
    episode.cleared_at = before.cleared_at.max(episode.cleared_at);
    episode
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;

    use super::*;
    use crate::Mark;
    use crate::testing::minute;

    /// An episode of a threshold, from one minute to another.
    fn episode(from: i64, to: Option<i64>) -> Episode {
        let mark = Mark::of(crate::testing::point(Metric::Glucose, from, 2.5), None);
        Episode {
            version: 1,
            met_at: minute(from),
            onset: mark,
            latest: mark,
            worst: mark,
            excess: 0.1,
            late: false,
            detail: None,
            cleared_at: to.map(minute),
        }
    }

    /// What is done with each, as lines: a stored one is named by the minute from which it was.
    #[track_caller]
    fn check(stored: &[(i64, Option<i64>)], computed: &[(i64, Option<i64>)], expected: &[&str]) {
        let stored: Vec<_> = stored
            .iter()
            .map(|(from, to)| Stored {
                id: *from,
                episode: episode(*from, *to),
            })
            .collect();
        let computed: Vec<_> = computed.iter().map(|(from, to)| episode(*from, *to)).collect();
        let span = |episode: &Episode| {
            let minutes = |at: DateTime<Utc>| (at - minute(0)).num_minutes();
            let end = episode.cleared_at.map(minutes);
            format!(
                "{}-{}",
                minutes(episode.met_at),
                end.map_or(String::new(), |end| end.to_string())
            )
        };
        let line = |amendment: &Amendment| match amendment {
            Amendment::Withdraw { id } => format!("{id} withdrawn"),
            Amendment::Amend { id, episode, .. } => format!("{id} is {}", span(episode)),
            Amendment::Raise(episode) => format!("{} raised", span(episode)),
        };
        let found = reconcile(&stored, &computed, Reconciliation::Exact);
        assert_eq!(found.iter().map(line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_ends_and_what_begins_in_one_batch_are_two() {
        // Whoever has seen to the first has not seen the second.
        check(
            &[(0, None)],
            &[(0, Some(10)), (15, None)],
            &["0 is 0-10", "15- raised"],
        );
        check(
            &[(0, None)],
            &[(0, Some(10)), (15, Some(20)), (25, None)],
            &["0 is 0-10", "15-20 raised", "25- raised"],
        );
    }

    #[test]
    fn an_episode_that_turns_out_to_be_another_stays_itself() {
        check(&[(10, None)], &[(5, None)], &["10 is 5-"]);
        check(&[(0, Some(10))], &[(0, None)], &["0 is 0-"]);
        check(
            &[(0, Some(10)), (20, None)],
            &[(0, None)],
            &["0 withdrawn", "20 is 0-"],
        );
        check(
            &[(0, Some(30))],
            &[(0, Some(10)), (20, Some(30))],
            &["0 is 0-10", "20-30 raised"],
        );
        check(&[(0, Some(10)), (20, None)], &[(20, None)], &["0 withdrawn"]);
    }
}
