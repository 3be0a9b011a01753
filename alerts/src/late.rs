//! The late track: readings that newer ones have overtaken.

use crate::run::{self, Outcome, Track};
use crate::state::{Late, LateEpisode, Memory};
use crate::{Definition, Effect, Point};

/// Judges a reading measured before the latest judged one.
pub(crate) fn judge(
    rule: &Definition,
    memory: &mut Memory,
    point: Point,
    on_time: bool,
    effects: &mut Vec<Effect>,
) {
    let breached = rule.breached_by(&point);
    if let (Some(open), Some(limit)) = (&mut memory.open, breached)
        && point.at >= open.onset.at
    {
        run::interrupt_clearing(&mut memory.runs, limit, point.at);
        open.extend(rule, point, point, on_time, effects);
        return;
    }
    if breached.is_none() && memory.late.is_none() {
        return;
    }
    let mut late = match memory.late.take() {
        Some(late) if point.at >= late.latest_at => late,
        _ => Box::new(Late {
            latest_at: point.at,
            episode: None,
            runs: Vec::new(),
        }),
    };
    late.latest_at = point.at;
    let outcome = run::judge(&mut late.runs, rule, &point, Track::Late);
    if !run::any_met(&late.runs, rule) {
        late.episode = None;
    }
    match outcome {
        Outcome::Nothing => {}
        Outcome::Completed { first, worst } => late.add(rule, first, point, worst, effects),
        Outcome::Further => late.add(rule, point, point, point, effects),
    }
    memory.late = (!late.runs.is_empty()).then_some(late);
}

impl Late {
    fn add(
        &mut self,
        rule: &Definition,
        first: Point,
        latest: Point,
        worst: Point,
        effects: &mut Vec<Effect>,
    ) {
        match &mut self.episode {
            Some(episode) => {
                episode.worst = rule.worse(episode.worst, worst);
                effects.push(Effect::LateContinue {
                    onset_at: episode.onset_at,
                    latest,
                    worst: episode.worst,
                });
            }
            none => {
                *none = Some(LateEpisode {
                    onset_at: first.at,
                    worst,
                });
                effects.push(Effect::Late {
                    onset: first,
                    latest,
                    worst,
                });
            }
        }
    }
}
