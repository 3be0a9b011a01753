//! From the signals of a rule's channels to its episodes.

use chrono::TimeDelta;

use super::moment::Moment;
use super::{Episode, Reading};

/// The signals of a channel, one for each moment.
pub(crate) type Channel = Vec<Signal>;

/// What a moment says about a channel.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    Nothing,
    Back,
    Between,
    Breach(Box<Breach>),
}

#[derive(Clone, Debug)]
pub(crate) struct Breach {
    /// What speaks for the channel where it was met before.
    pub(crate) going_on: Contribution,
    /// What speaks for it where this moment makes it met; none where this breach is not enough for that.
    pub(crate) beginning: Option<Contribution>,
}

/// What a breach brings to an episode.
#[derive(Clone, Debug)]
pub(crate) struct Contribution {
    pub(crate) onset: Reading,
    pub(crate) latest: Scored,
    pub(crate) worst: Scored,
    /// Whether any breaching reading that comes with it was on time.
    pub(crate) on_time: bool,
}

/// A reading, and how far it breaches.
#[derive(Clone, Debug)]
pub(crate) struct Scored {
    pub(crate) reading: Reading,
    pub(crate) excess: f64,
}

impl Signal {
    /// A breach that is what it is, whatever the channel was before.
    pub(crate) fn breach(contribution: Contribution) -> Signal {
        Signal::Breach(Box::new(Breach {
            beginning: Some(contribution.clone()),
            going_on: contribution,
        }))
    }

    /// A breach by one reading that is its own onset.
    pub(crate) fn breach_by(reading: Scored, on_time: bool) -> Signal {
        Signal::breach(Contribution {
            onset: reading.reading.clone(),
            latest: reading.clone(),
            worst: reading,
            on_time,
        })
    }
}

/// The reading with the greatest excess, the first of equals.
///
/// # Panics
///
/// When there is none.
pub(crate) fn first_greatest(readings: impl IntoIterator<Item = Scored>) -> Scored {
    readings
        .into_iter()
        .reduce(|first, next| if next.excess > first.excess { next } else { first })
        .expect("the greatest of none is not asked for")
}

/// The episodes that these signals make.
pub(crate) fn from_signals(
    moments: &[Moment<'_>],
    channels: &[Channel],
    clear_after: TimeDelta,
) -> Vec<Episode> {
    let met: Vec<Vec<bool>> = channels
        .iter()
        .map(|channel| {
            let over: Vec<bool> = (0..moments.len())
                .map(|now| back_for(moments, channel, clear_after, now))
                .collect();
            (0..moments.len())
                .map(|now| is_met(channel, &over, now))
                .collect()
        })
        .collect();
    // A rule has an open episode after a moment exactly if one of its channels is met after it.
    let open: Vec<bool> = (0..moments.len())
        .map(|now| met.iter().any(|channel| channel[now]))
        .collect();
    (0..moments.len())
        .filter(|first| open[*first] && (*first == 0 || !open[*first - 1]))
        .map(|first| {
            let end = (first..moments.len()).find(|now| !open[*now]);
            let contributions: Vec<Vec<&Contribution>> = (first..end.unwrap_or(moments.len()))
                .map(|now| contributions(channels, &met, now))
                .filter(|of_moment| !of_moment.is_empty())
                .collect();
            Episode {
                cleared_at: end.map(|end| moments[end].at),
                ..episode(&contributions)
            }
        })
        .collect()
}

/// Whether a channel is met after a moment: of all that makes it met or unmet until then, the last makes it
/// met.
fn is_met(channel: &Channel, over: &[bool], now: usize) -> bool {
    (0..=now)
        .rev()
        .find_map(|then| match &channel[then] {
            Signal::Breach(breach) if breach.beginning.is_some() => Some(true),
            Signal::Back if over[then] => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}

/// Whether a channel has been back for so long: some moment at least that long ago was back, and nothing since
/// was anything else.
fn back_for(moments: &[Moment<'_>], channel: &Channel, clear_after: TimeDelta, now: usize) -> bool {
    (0..=now)
        .rev()
        .take_while(|then| matches!(channel[*then], Signal::Back | Signal::Nothing))
        .any(|then| {
            matches!(channel[then], Signal::Back) && moments[now].at - moments[then].at >= clear_after
        })
}

/// What the channels that breach in a moment while they are met bring to the episode, in their order.
fn contributions<'a>(channels: &'a [Channel], met: &[Vec<bool>], now: usize) -> Vec<&'a Contribution> {
    channels
        .iter()
        .zip(met)
        .filter(|(_, met)| met[now])
        .filter_map(|(channel, met)| match &channel[now] {
            Signal::Breach(breach) if now > 0 && met[now - 1] => Some(&breach.going_on),
            Signal::Breach(breach) => breach.beginning.as_ref(),
            _ => None,
        })
        .collect()
}

/// An open episode of these contributions, given moment by moment.
fn episode(contributions: &[Vec<&Contribution>]) -> Episode {
    let onset = contributions[0]
        .iter()
        .map(|contribution| &contribution.onset)
        .min_by_key(|onset| onset.at)
        .expect("what raises an episode has an onset");
    let last = contributions.last().expect("an episode is raised by something");
    let latest = first_greatest(last.iter().map(|contribution| contribution.latest.clone()));
    let worst = first_greatest(contributions.iter().flat_map(|of_moment| {
        let mut worst: Vec<Scored> = of_moment.iter().map(|c| c.worst.clone()).collect();
        // Of several with one excess in a moment the earlier reading wins, then the earlier channel.
        worst.sort_by_key(|worst| worst.reading.at);
        worst
    }));
    Episode {
        onset: onset.clone(),
        latest: latest.reading,
        worst: worst.reading,
        cleared_at: None,
        late: !contributions
            .iter()
            .flatten()
            .any(|contribution| contribution.on_time),
    }
}
