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

#[cfg(test)]
mod tests {
    use homeward_record::Metric::Glucose;

    use crate::Observation;
    use crate::testing::{check, delayed, glucose_low, glucose_very_low};

    fn glucose(minutes: i64, value: f64, expected: &'static str) -> (Observation, &'static str) {
        (delayed(Glucose, minutes, value, 1), expected)
    }

    fn backfill(minutes: i64, value: f64, expected: &'static str) -> (Observation, &'static str) {
        (delayed(Glucose, minutes, value, 600), expected)
    }

    #[test]
    fn overtaken_readings_make_episodes_that_are_over() {
        check(
            &glucose_very_low(),
            &[
                glucose(100, 5.0, ""),
                backfill(0, 2.9, "late 0=2.9 to 0=2.9 worst 0=2.9"),
                backfill(5, 2.7, "late of 0 to 5=2.7 worst 5=2.7"),
                backfill(10, 2.8, "late of 0 to 10=2.8 worst 5=2.7"),
                // Another device at the same time.
                backfill(10, 2.9, "late of 0 to 10=2.9 worst 5=2.7"),
                // In range is in range here: no hysteresis.
                backfill(15, 3.0, ""),
                backfill(20, 2.9, "late 20=2.9 to 20=2.9 worst 20=2.9"),
                // The live track knows nothing of it.
                glucose(105, 5.0, ""),
                glucose(110, 2.9, "raise 110=2.9 by 110=2.9 worst 110=2.9"),
                // Older than the late track's latest: anew.
                backfill(3, 2.9, "late 3=2.9 to 3=2.9 worst 3=2.9"),
                backfill(20, 2.5, "late of 3 to 20=2.5 worst 20=2.5"),
            ],
        );
    }

    #[test]
    fn overtaken_readings_count_their_own_time() {
        check(
            &glucose_low(),
            &[
                glucose(300, 5.0, ""),
                backfill(0, 3.5, ""),
                backfill(10, 3.4, ""),
                // After a gap the count starts anew.
                backfill(41, 3.6, ""),
                backfill(55, 3.6, ""),
                backfill(56, 3.7, "late 41=3.6 to 56=3.7 worst 41=3.6"),
                backfill(86, 3.5, "late of 41 to 86=3.5 worst 86=3.5"),
                // And so it does after a gap in the episode.
                backfill(117, 3.5, ""),
                backfill(132, 3.5, "late 117=3.5 to 132=3.5 worst 117=3.5"),
                // Going back starts anew as well.
                backfill(130, 3.5, ""),
                backfill(140, 3.5, ""),
            ],
        );
    }

    #[test]
    fn overtaken_readings_inside_the_open_episode_belong_to_it() {
        check(
            &glucose_very_low(),
            &[
                glucose(0, 2.9, "raise 0=2.9 by 0=2.9 worst 0=2.9"),
                glucose(20, 2.9, "continue 20=2.9 worst 0=2.9"),
                glucose(10, 2.5, "continue 20=2.9 worst 10=2.5"),
                glucose(11, 2.6, ""),
                glucose(12, 5.0, ""),
                glucose(30, 3.5, ""),
                glucose(25, 2.8, "continue 25=2.8 worst 10=2.5"),
                glucose(-1, 2.8, "late -1=2.8 to -1=2.8 worst -1=2.8"),
                glucose(35, 4.0, "clear 35=4"),
                glucose(26, 2.8, "late of -1 to 26=2.8 worst -1=2.8"),
            ],
        );
    }

    #[test]
    fn a_breach_that_is_found_afterwards_interrupts_the_clearing() {
        check(
            &glucose_low(),
            &[
                glucose(0, 3.5, ""),
                glucose(15, 3.5, "raise 0=3.5 by 15=3.5 worst 0=3.5"),
                glucose(20, 4.0, ""),
                glucose(30, 4.0, ""),
                glucose(25, 3.8, "continue 25=3.8 worst 0=3.5"),
                glucose(35, 4.0, ""),
                glucose(49, 4.0, ""),
                glucose(50, 4.0, "clear 50=4"),
            ],
        );
    }
}
