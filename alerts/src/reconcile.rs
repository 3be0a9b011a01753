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
    /// They add to those in the record, of which none is taken away or ended.
    Additive,
    /// They are all that there are, but how long the last of them lasts is not known.
    Around,
}

/// Finds the amendments, in the order in which they must be made so that a rule never has two open episodes.
/// Both lists are in the order of time; `stored` lacks those that were withdrawn or had ended before the time
/// from which the computed ones are.
pub fn reconcile(stored: &[Stored], computed: &[Episode], how: Reconciliation) -> Vec<Amendment> {
    let partner = partners(stored, computed);
    let mut amendments = Vec::new();
    for (index, stored) in stored.iter().enumerate() {
        if how != Reconciliation::Additive && !partner.contains(&Some(index)) {
            amendments.push(Amendment::Withdraw { id: stored.id });
        }
    }
    let paired = computed.iter().zip(&partner);
    let (over, open): (Vec<_>, Vec<_>) = paired.partition(|(episode, _)| episode.cleared_at.is_some());
    for (episode, partner) in over.into_iter().chain(open) {
        match partner.map(|index| &stored[index]) {
            Some(stored) => amendments.extend(amend(stored, episode, how)),
            None => {
                let mut episode = episode.clone();
                if how != Reconciliation::Exact {
                    // It was judged apart from what is known now, so it is not open now.
                    episode.cleared_at = episode.cleared_at.or(Some(episode.latest.at));
                }
                amendments.push(Amendment::Raise(Box::new(episode)));
            }
        }
    }
    amendments
}

/// Which stored episode each computed one is: one that it overlaps, the open one for the open one.
fn partners(stored: &[Stored], computed: &[Episode]) -> Vec<Option<usize>> {
    let mut partners = vec![None; computed.len()];
    let by_openness = |open_only: bool, partners: &mut Vec<Option<usize>>| {
        for (index, episode) in computed.iter().enumerate() {
            if partners[index].is_some() || (open_only && episode.cleared_at.is_some()) {
                continue;
            }
            partners[index] = stored.iter().enumerate().position(|(index, stored)| {
                let free = !partners.contains(&Some(index));
                let open = stored.episode.cleared_at.is_none();
                free && (open || !open_only) && overlap(&stored.episode, episode)
            });
        }
    };
    by_openness(true, &mut partners);
    by_openness(false, &mut partners);
    partners
}

fn overlap(one: &Episode, other: &Episode) -> bool {
    let end = |episode: &Episode| episode.cleared_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
    one.met_at <= end(other) && other.met_at <= end(one)
}

fn amend(stored: &Stored, computed: &Episode, how: Reconciliation) -> Option<Amendment> {
    let before = &stored.episode;
    let mut episode = computed.clone();
    match how {
        Reconciliation::Exact => {}
        Reconciliation::Additive => widen(&mut episode, before),
        Reconciliation::Around if computed.cleared_at.is_none() => {
            // What came later is as it was.
            episode.latest = before.latest;
            episode.detail = before.detail.clone();
            episode.cleared_at = before.cleared_at;
        }
        Reconciliation::Around => {}
    }
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

/// Makes an episode at least what the record has it to be.
fn widen(episode: &mut Episode, before: &Episode) {
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
    episode.cleared_at = before
        .cleared_at
        .and_then(|end| Some(end.max(episode.cleared_at?)));
}
