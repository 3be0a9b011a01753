//! The live track: readings in order of measurement.

use crate::run::{self, Outcome, Track};
use crate::state::{Memory, Open};
use crate::{Definition, Effect, Observation, Point, RuleState, late};

/// Judges one observation: what the rule remembers after it, and what has to be done about it.
///
/// An observation of a metric that the rule does not look at changes nothing. Each reading must come once:
/// a reading sent again is kept away by the store.
///
/// **In order** is a reading measured at or after the latest time that this rule has judged; equal times
/// (another device, another metric of one measurement) are in order. It runs the live track:
///
/// - A limit of a threshold is met by a breaching reading; of a sustained condition by breaching readings
///   that span at least `for_seconds`, where no two consecutive ones of that metric are further apart than
///   `max_gap_seconds`. A reading that does not breach, and a gap, end the count.
/// - When a limit is met and no episode is open: [`Effect::Raise`]. While one is open, every reading that
///   breaches a met limit is [`Effect::Continue`]; silence changes nothing, however long.
/// - A met limit clears when readings at or beyond its `clear` value, with none other between, span at
///   least `clear_after_seconds`. Silence alone never clears: it takes a reading at either end, though a
///   gap between them does no harm. A reading between the bound and `clear` starts this time anew.
/// - When no limit is met any more: [`Effect::Clear`], and the rule is armed again. So of two metrics of
///   one measurement each is judged by itself, in the order in which they come: feed them in one order.
///
/// **Overtaken** is a reading measured before that. One that breaches inside the open episode (at or after
/// its onset) belongs to it: [`Effect::Continue`], if it is the worst or the latest. Any other runs the late
/// track, a second memory judged by itself in its own order: a met limit is [`Effect::Late`], an episode
/// that is over already; further breaching readings are [`Effect::LateContinue`]; a reading that does not
/// breach, or in a sustained condition a gap, ends it; and a reading before the late track's own latest
/// starts the track anew.
///
/// The two tracks do not see each other's readings. So a sustained condition that is met only by both
/// together is not found, the late readings of a threshold make one episode also when a reading between
/// them, judged live, was in range, and an episode may be added for a time in which a cleared one lay.
/// Judging reordered history exactly is a later version's business.
pub fn step(rule: &Definition, mut state: RuleState, observation: &Observation) -> (RuleState, Vec<Effect>) {
    let limits = rule.condition.limits();
    // An empty vector does not allocate, and a reading that changes nothing leaves it empty.
    let mut effects = Vec::new();
    if limits.iter().any(|limit| limit.metric == observation.metric) {
        let point = observation.point();
        let on_time = !observation.is_late();
        if state.latest.is_none_or(|latest| point.at >= latest) {
            state.latest = Some(point.at);
            judge(rule, &mut state.memory, point, on_time, &mut effects);
        } else {
            late::judge(rule, &mut state.memory, point, on_time, &mut effects);
        }
    }
    (state, effects)
}

fn judge(rule: &Definition, memory: &mut Memory, point: Point, on_time: bool, effects: &mut Vec<Effect>) {
    let outcome = run::judge(&mut memory.runs, rule, &point, Track::Live);
    let (first, worst) = match outcome {
        Outcome::Completed { first, worst } => (first, worst),
        Outcome::Further => (point, point),
        Outcome::Nothing => {
            if memory.open.is_some() && !run::any_met(&memory.runs, rule) {
                memory.open = None;
                memory.runs.retain(|run| run.belongs_to(rule));
                effects.push(Effect::Clear { at: point });
            }
            return;
        }
    };
    match &mut memory.open {
        Some(open) => open.extend(rule, point, worst, on_time, effects),
        none => {
            let late = !on_time;
            *none = Some(Open {
                onset: first,
                latest: point,
                worst,
                late,
            });
            effects.push(Effect::Raise {
                onset: first,
                point,
                worst,
                late,
            });
        }
    }
}

impl Open {
    /// Adds a breaching reading to the episode, `worst` being it or a worse one that came with it.
    pub(crate) fn extend(
        &mut self,
        rule: &Definition,
        point: Point,
        worst: Point,
        on_time: bool,
        effects: &mut Vec<Effect>,
    ) {
        let before = (self.latest, self.worst);
        if point.at >= self.latest.at {
            self.latest = point;
        }
        self.worst = rule.worse(self.worst, worst);
        if (self.latest, self.worst) != before {
            effects.push(Effect::Continue {
                latest: self.latest,
                worst: self.worst,
            });
        }
        if self.late && on_time {
            self.late = false;
            effects.push(Effect::BecameCurrent { point });
        }
    }
}
