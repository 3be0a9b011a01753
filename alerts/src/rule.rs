//! The engine: what a rule remembers, and how a moment changes it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::channel::Channels;
use crate::kinds::{Condition, Recollection};
use crate::signal::{Breach, Signal, worse};
use crate::{Definition, Mark, Observation};

/// What a rule remembers of a patient between moments. The default knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The version of the rule that judged last; 0 before any.
    #[serde(default)]
    pub(crate) version: i64,
    /// The open episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Episode>,
    /// The channels of the condition that are not quiet.
    #[serde(default, skip_serializing_if = "Channels::are_quiet")]
    channels: Channels,
    /// What else the condition goes by.
    #[serde(default, skip_serializing_if = "is_nothing")]
    recollection: Recollection,
}

fn is_nothing(recollection: &Recollection) -> bool {
    *recollection == Recollection::Nothing
}

/// What readings say of a time in which a rule's condition held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Episode {
    /// The version of the rule that raised it: what the caller calls it.
    pub version: i64,
    /// When the readings were measured by which the condition came to hold.
    pub met_at: DateTime<Utc>,
    /// The reading with which it began.
    pub onset: Mark,
    /// Its newest reading.
    pub latest: Mark,
    /// Its worst reading.
    pub worst: Mark,
    /// How far that was beyond its limit, as a share of it.
    pub excess: f64,
    /// None of its readings has arrived on time.
    pub late: bool,
    /// What else an explanation needs, as of the latest reading; see the kinds of conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// When the reading was measured that cleared it; none while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<DateTime<Utc>>,
}

/// What a moment did.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing to an episode.
    Quiet,
    /// It raised the episode that is now open.
    Raised,
    /// The open episode goes on with it.
    Continued,
    /// It cleared the episode that was open.
    Cleared(Episode),
}

/// Judges a moment: all that was measured at one time, in the order of [`Observation::key`], and later than
/// what was judged before.
///
/// - Each channel of the condition (a limit, a change, a share …) takes what the moment tells it. It is met once
///   its breaches have lasted as long as the condition demands, and no longer met once it has been back for
///   `clear_after_seconds`: back within `clear` at every reading from the first to the last of that time.
/// - A channel that is breached while it is met raises an episode, or goes on with the open one. When no channel
///   is met any more, the episode is cleared, and the rule is armed again. One moment never does both.
/// - Silence neither raises nor clears: it takes a reading to know.
///
/// With `armed` false the rule only remembers, as for readings from before there was the rule, or from before a time at
/// which no episode is known to have been open: its channels count, and none is met, so that whatever comes next is not
/// taken to go on with something that was.
pub fn step(rule: Rule<'_>, memory: &mut Memory, moment: &[Observation], armed: bool) -> Outcome {
    let Some(at) = moment.first().map(|observation| observation.at) else {
        return Outcome::Quiet;
    };
    let condition = &rule.definition.condition;
    if let Condition::Silence(silence) = condition {
        return match moment.iter().any(|observation| silence.is_ended_by(observation)) {
            true => memory.clear(at),
            false => Outcome::Quiet,
        };
    }
    if condition.interrupts(moment) {
        memory.channels.stop_counting();
    }
    let signals = condition.signals(&mut memory.recollection, moment);
    let begins = |(_, signal): &(u16, Signal)| matches!(signal, Signal::Breach(_));
    if memory.channels.are_quiet() && !signals.iter().any(begins) {
        // As nearly always: no channel counts, and none begins to.
        return memory.clear(at);
    }
    let mut timing = condition.timing();
    if !armed && memory.open.is_none() {
        if timing.hold.is_zero() {
            return Outcome::Quiet;
        }
        timing.hold = TimeDelta::MAX;
    }
    let mut breach: Option<Breach> = None;
    for (key, signal) in signals {
        if let Some(next) = memory.channels.take(key, at, signal, timing) {
            breach = Some(match breach {
                Some(breach) => breach.and(next),
                None => next,
            });
        }
    }
    match breach {
        Some(breach) => memory.breach(rule, at, breach),
        None if !memory.channels.any_met() => memory.clear(at),
        None => Outcome::Quiet,
    }
}

/// A version of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// What the caller calls it.
    pub version: i64,
    /// What it says.
    pub definition: &'a Definition,
}

impl Memory {
    /// What a rule remembers that has the open episode and nothing else: a rule of silence.
    pub fn of_silence(open: Episode) -> Memory {
        Memory {
            open: Some(open),
            ..Memory::default()
        }
    }

    /// The open episode.
    pub fn open(&self) -> Option<&Episode> {
        self.open.as_ref()
    }

    /// Whether no episode is open and none is about to be.
    pub(crate) fn is_quiet(&self) -> bool {
        self.open.is_none() && self.channels.are_quiet()
    }

    /// Goes from one version of a rule to another: what the other does not have is forgotten, but for the open
    /// episode. If its condition does not hold by the other version, the next moment clears it.
    pub(crate) fn change_version(&mut self, from: Option<&Definition>, to: Rule<'_>) {
        let kind = |definition: &Definition| std::mem::discriminant(&definition.condition);
        if from.is_none_or(|from| kind(from) != kind(to.definition)) {
            self.channels = Channels::default();
            self.recollection = Recollection::Nothing;
        }
        self.channels.keep(&to.definition.condition.keys());
        self.version = to.version;
    }

    fn breach(&mut self, rule: Rule<'_>, at: DateTime<Utc>, breach: Breach) -> Outcome {
        let (worst, excess) = breach.worst;
        match &mut self.open {
            Some(open) => {
                open.latest = breach.latest;
                (open.worst, open.excess) = worse((open.worst, open.excess), (worst, excess));
                open.late &= !breach.run_on_time;
                open.detail = breach.detail;
                Outcome::Continued
            }
            open => {
                *open = Some(Episode {
                    version: rule.version,
                    met_at: at,
                    onset: breach.onset,
                    latest: breach.latest,
                    worst,
                    excess,
                    late: !breach.run_on_time,
                    detail: breach.detail,
                    cleared_at: None,
                });
                Outcome::Raised
            }
        }
    }

    fn clear(&mut self, at: DateTime<Utc>) -> Outcome {
        match self.open.take() {
            Some(open) => Outcome::Cleared(Episode {
                cleared_at: Some(at),
                ..open
            }),
            None => Outcome::Quiet,
        }
    }
}

impl Breach {
    /// Two channels that are breached at one moment, the earlier channel first.
    fn and(self, other: Breach) -> Breach {
        let run_on_time = self.run_on_time || other.run_on_time;
        let onset = if other.onset.at < self.onset.at {
            other.onset
        } else {
            self.onset
        };
        let worst = worse(self.worst, other.worst);
        let leading = if other.excess > self.excess { other } else { self };
        Breach {
            onset,
            worst,
            run_on_time,
            ..leading
        }
    }
}
