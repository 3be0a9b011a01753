//! What a rule remembers of one channel of its condition, and how a signal changes that.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::Mark;
use crate::signal::{Breach, Signal, worse};

/// How long the parts of a condition take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// From the first to the latest of an unbroken run of breaches, until the condition is met.
    pub(crate) hold: TimeDelta,
    /// The longest time between two breaches of an unbroken run.
    pub(crate) max_gap: TimeDelta,
    /// From the first signal that a met condition is over until it clears.
    pub(crate) clear_after: TimeDelta,
}

/// A channel that is not quiet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Channel {
    /// Names the channel within its rule.
    pub(crate) key: u16,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Phase {
    /// Breaches follow each other, not yet for long enough.
    Counting {
        since: DateTime<Utc>,
        onset: Mark,
        latest_at: DateTime<Utc>,
        worst: (Mark, f64),
        on_time: bool,
    },
    /// The condition is met.
    Met,
    /// The condition was met, and is over since this time.
    Clearing { since: DateTime<Utc> },
}

/// The channels of a rule that are not quiet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Channels(Vec<Channel>);

impl Channels {
    pub(crate) fn are_quiet(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn any_met(&self) -> bool {
        self.0
            .iter()
            .any(|channel| !matches!(channel.phase, Phase::Counting { .. }))
    }

    /// Takes a signal. Answers the breach, with what the channel counted before, if the channel is met.
    pub(crate) fn take(
        &mut self,
        key: u16,
        at: DateTime<Utc>,
        signal: Signal,
        timing: Timing,
    ) -> Option<Breach> {
        if self.0.is_empty() && !matches!(signal, Signal::Breach(_)) {
            return None;
        }
        let index = self.0.iter().position(|channel| channel.key == key);
        let phase = index.map(|index| self.0.swap_remove(index).phase);
        let (phase, breach) = match signal {
            Signal::Breach(breach) => after_breach(phase, at, *breach, timing),
            Signal::Between => (after_between(phase), None),
            Signal::Back => (after_back(phase, at, timing), None),
        };
        self.0.extend(phase.map(|phase| Channel { key, phase }));
        self.0.sort_unstable_by_key(|channel| channel.key);
        breach
    }

    /// Ends what is being counted.
    pub(crate) fn stop_counting(&mut self) {
        self.0
            .retain(|channel| !matches!(channel.phase, Phase::Counting { .. }));
    }

    /// Forgets the channels that a changed rule does not have.
    pub(crate) fn keep(&mut self, keys: &[u16]) {
        self.0.retain(|channel| keys.contains(&channel.key));
    }
}

fn after_breach(
    phase: Option<Phase>,
    at: DateTime<Utc>,
    mut breach: Breach,
    timing: Timing,
) -> (Option<Phase>, Option<Breach>) {
    let mut begun = at;
    match phase {
        Some(Phase::Met | Phase::Clearing { .. }) => {
            breach.run_on_time = breach.on_time;
            return (Some(Phase::Met), Some(breach));
        }
        Some(Phase::Counting {
            since,
            onset,
            latest_at,
            worst,
            on_time,
        }) if at - latest_at <= timing.max_gap => {
            begun = since;
            breach.onset = onset;
            breach.worst = worse(worst, breach.worst);
            breach.run_on_time |= on_time;
        }
        None | Some(Phase::Counting { .. }) => {}
    }
    if at - begun >= timing.hold {
        return (Some(Phase::Met), Some(breach));
    }
    let counting = Phase::Counting {
        since: begun,
        onset: breach.onset,
        latest_at: at,
        worst: breach.worst,
        on_time: breach.run_on_time,
    };
    (Some(counting), None)
}

fn after_between(phase: Option<Phase>) -> Option<Phase> {
    match phase {
        None | Some(Phase::Counting { .. }) => None,
        Some(Phase::Met | Phase::Clearing { .. }) => Some(Phase::Met),
    }
}

fn after_back(phase: Option<Phase>, at: DateTime<Utc>, timing: Timing) -> Option<Phase> {
    let since = match phase {
        None | Some(Phase::Counting { .. }) => return None,
        Some(Phase::Met) => at,
        Some(Phase::Clearing { since }) => since,
    };
    (at - since < timing.clear_after).then_some(Phase::Clearing { since })
}
