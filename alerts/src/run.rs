//! What a track remembers of one limit while readings breach it, and how a reading changes that.

use chrono::{DateTime, Utc};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};

use crate::definition::Timing;
use crate::{Definition, Limit, Point, Side};

/// The runs of a track: one for every limit that is not quiet.
pub(crate) type Runs = Vec<Run>;

/// A limit that readings breach or have breached. Named by metric and side, which a rule has once: so a
/// run outlives a change of the rule's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    metric: Metric,
    side: Side,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Phase {
    /// Readings breach, not yet for long enough.
    Counting {
        first: Point,
        latest_at: DateTime<Utc>,
        worst: Point,
    },
    /// The condition is met; from this time the late track counts its gaps.
    Met { latest_at: DateTime<Utc> },
    /// The condition was met; readings are back within the clear value since this time.
    Clearing { since: DateTime<Utc> },
}

/// The two ways of judging.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Track {
    /// Of readings in order. A met limit ends by hysteresis, and only by readings: silence clears nothing.
    Live,
    /// Of overtaken readings. A met limit ends at the first reading that does not breach it, or at a gap.
    Late,
}

/// What a reading means for the track.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    /// No limit that is met is breached by it.
    Nothing,
    /// A limit is met by it.
    Completed { first: Point, worst: Point },
    /// It breaches a limit that was met before.
    Further,
}

/// Judges a reading by the limits of its metric.
pub(crate) fn judge(runs: &mut Runs, rule: &Definition, point: &Point, track: Track) -> Outcome {
    let timing = rule.condition.timing();
    let mut result = Outcome::Nothing;
    for limit in rule.condition.limits() {
        if limit.metric != point.metric {
            continue;
        }
        let index = runs.iter().position(|run| run.is_of(limit));
        let phase = index.map(|index| runs[index].phase.clone());
        let (phase, outcome) = if limit.bound.is_breached_by(point.value) {
            breach(phase, rule, timing, point, track)
        } else {
            (recover(phase, limit, timing, point, track), Outcome::Nothing)
        };
        match (index, phase) {
            (Some(index), Some(phase)) => runs[index].phase = phase,
            (Some(index), None) => drop(runs.remove(index)),
            (None, Some(phase)) => runs.push(Run::of(limit, phase)),
            (None, None) => {}
        }
        if outcome != Outcome::Nothing {
            result = outcome;
        }
    }
    result
}

/// The phase of a limit after a reading that breaches it.
fn breach(
    phase: Option<Phase>,
    rule: &Definition,
    timing: Timing,
    point: &Point,
    track: Track,
) -> (Option<Phase>, Outcome) {
    let met = Phase::Met { latest_at: point.at };
    let broken = |latest_at: DateTime<Utc>| point.at - latest_at > timing.max_gap;
    let (first, worst) = match phase {
        Some(Phase::Counting {
            first,
            latest_at,
            worst,
        }) if !broken(latest_at) => (first, rule.worse(worst, *point)),
        Some(Phase::Met { latest_at }) if track == Track::Live || !broken(latest_at) => {
            return (Some(met), Outcome::Further);
        }
        Some(Phase::Clearing { .. }) => return (Some(met), Outcome::Further),
        None | Some(Phase::Counting { .. } | Phase::Met { .. }) => (*point, *point),
    };
    if point.at - first.at >= timing.hold {
        return (Some(met), Outcome::Completed { first, worst });
    }
    let counting = Phase::Counting {
        first,
        latest_at: point.at,
        worst,
    };
    (Some(counting), Outcome::Nothing)
}

/// The phase of a limit after a reading that does not breach it.
fn recover(
    phase: Option<Phase>,
    limit: &Limit,
    timing: Timing,
    point: &Point,
    track: Track,
) -> Option<Phase> {
    let back = limit.is_cleared_by(point.value);
    let since = match phase {
        None | Some(Phase::Counting { .. }) => return None,
        Some(Phase::Met { .. }) if track == Track::Late => return None,
        Some(Phase::Met { .. }) if !back => return phase,
        // Short of the clear value: the clearing is interrupted.
        Some(Phase::Clearing { .. }) if !back => return Some(Phase::Met { latest_at: point.at }),
        Some(Phase::Met { .. }) => point.at,
        Some(Phase::Clearing { since }) => since,
    };
    (point.at - since < timing.clear_after).then_some(Phase::Clearing { since })
}

/// Whether a limit of the rule is met. Runs of limits that the rule no longer has hold nothing.
pub(crate) fn any_met(runs: &Runs, rule: &Definition) -> bool {
    runs.iter()
        .any(|run| !matches!(run.phase, Phase::Counting { .. }) && run.belongs_to(rule))
}

/// Takes back a clearing that began before `at`, when it turns out that a reading breached the limit then.
pub(crate) fn interrupt_clearing(runs: &mut Runs, limit: &Limit, at: DateTime<Utc>) {
    for run in runs.iter_mut().filter(|run| run.is_of(limit)) {
        match run.phase {
            Phase::Clearing { since } if since <= at => run.phase = Phase::Met { latest_at: at },
            Phase::Clearing { .. } | Phase::Met { .. } | Phase::Counting { .. } => {}
        }
    }
}

/// The latest time that the runs know of.
pub(crate) fn latest_at(runs: &Runs) -> Option<DateTime<Utc>> {
    let times = runs.iter().map(|run| match run.phase {
        Phase::Counting { latest_at, .. } | Phase::Met { latest_at } => latest_at,
        Phase::Clearing { since } => since,
    });
    times.max()
}

impl Run {
    fn of(limit: &Limit, phase: Phase) -> Run {
        Run {
            metric: limit.metric,
            side: limit.bound.side(),
            phase,
        }
    }

    fn is_of(&self, limit: &Limit) -> bool {
        self.metric == limit.metric && self.side == limit.bound.side()
    }

    /// Whether the rule still has the limit.
    pub(crate) fn belongs_to(&self, rule: &Definition) -> bool {
        rule.condition.limits().iter().any(|limit| self.is_of(limit))
    }
}
