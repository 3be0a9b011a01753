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

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use homeward_record::Metric::{Diastolic, Glucose, HeartRate, Systolic};
    use serde_json::json;

    use crate::LATE_AFTER;
    use crate::testing::{
        blood_pressure_crisis, check, delayed, glucose_low, glucose_very_low, minute, rule, shorthand,
    };

    use super::*;

    /// Glucose measured at a minute, in time, and what it does.
    fn glucose(minutes: i64, value: f64, expected: &'static str) -> (Observation, &'static str) {
        (delayed(Glucose, minutes, value, 1), expected)
    }

    #[test]
    fn a_threshold_raises_once_and_rearms_after_clearing() {
        check(
            &glucose_very_low(),
            &[
                glucose(0, 3.0, ""),
                glucose(5, 2.9, "raise 5=2.9 by 5=2.9 worst 5=2.9"),
                glucose(10, 2.6, "continue 10=2.6 worst 10=2.6"),
                glucose(15, 2.8, "continue 15=2.8 worst 10=2.6"),
                glucose(20, 3.8, ""),
                glucose(25, 2.9, "continue 25=2.9 worst 10=2.6"),
                glucose(500, 2.9, "continue 500=2.9 worst 10=2.6"),
                glucose(505, 3.9, "clear 505=3.9"),
                glucose(510, 3.5, ""),
                glucose(515, 2.5, "raise 515=2.5 by 515=2.5 worst 515=2.5"),
            ],
        );
    }

    #[test]
    fn other_metrics_change_nothing() {
        check(
            &glucose_very_low(),
            &[
                (delayed(HeartRate, 10, 2.0, 1), ""),
                glucose(5, 2.9, "raise 5=2.9 by 5=2.9 worst 5=2.9"),
                (delayed(HeartRate, 10, 80.0, 1), ""),
            ],
        );
    }

    #[test]
    fn either_number_of_a_blood_pressure_suffices() {
        let pressure = |minutes, systolic, diastolic, expected: [&'static str; 2]| {
            [
                (delayed(Systolic, minutes, systolic, 1), expected[0]),
                (delayed(Diastolic, minutes, diastolic, 1), expected[1]),
            ]
        };
        let series = [
            pressure(0, 179.0, 119.0, ["", ""]),
            pressure(5, 180.0, 90.0, ["raise 5=180 by 5=180 worst 5=180", ""]),
            // 121 is relatively further beyond 120 than 181 beyond 180.
            pressure(
                10,
                181.0,
                121.0,
                ["continue 10=181 worst 10=181", "continue 10=121 worst 10=121"],
            ),
            pressure(15, 150.0, 118.0, ["", ""]),
            pressure(20, 150.0, 115.0, ["", "clear 20=115"]),
        ];
        check(&blood_pressure_crisis(), series.as_flattened());
    }

    #[test]
    fn a_sustained_condition_counts_readings_not_silence() {
        check(
            &glucose_low(),
            &[
                glucose(0, 3.8, ""),
                glucose(14, 3.7, ""),
                // Back in range: the count ends.
                glucose(15, 3.9, ""),
                glucose(16, 3.8, ""),
                glucose(26, 3.6, ""),
                // 31 minutes of silence: the count starts anew.
                glucose(57, 3.7, ""),
                glucose(67, 3.5, ""),
                glucose(72, 3.8, "raise 57=3.7 by 72=3.8 worst 67=3.5"),
                // While open, silence changes nothing.
                glucose(200, 3.8, "continue 200=3.8 worst 67=3.5"),
            ],
        );
    }

    #[test]
    fn clearing_takes_its_time() {
        check(
            &glucose_low(),
            &[
                glucose(0, 3.5, ""),
                glucose(15, 3.5, "raise 0=3.5 by 15=3.5 worst 0=3.5"),
                glucose(20, 4.0, ""),
                glucose(34, 4.0, ""),
                glucose(35, 3.8, "continue 35=3.8 worst 0=3.5"),
                glucose(40, 4.0, ""),
                glucose(55, 4.0, "clear 55=4"),
                // Also across a gap: in range at either end of it.
                glucose(60, 3.5, ""),
                glucose(75, 3.5, "raise 60=3.5 by 75=3.5 worst 60=3.5"),
                glucose(80, 4.0, ""),
                glucose(400, 4.0, "clear 400=4"),
            ],
        );
        let with_hysteresis = rule(json!({
            "kind": "threshold",
            "limits": [{"metric": "glucose", "below": 3.0, "clear": 4.0}],
            "clear_after_seconds": 600,
        }));
        check(
            &with_hysteresis,
            &[
                glucose(0, 2.0, "raise 0=2 by 0=2 worst 0=2"),
                glucose(5, 4.5, ""),
                // Neither breaching nor back: the time starts anew.
                glucose(10, 3.5, ""),
                glucose(15, 4.5, ""),
                glucose(20, 4.5, ""),
                glucose(25, 4.5, "clear 25=4.5"),
            ],
        );
    }

    #[test]
    fn both_sides_of_a_metric_make_one_episode() {
        let outside = rule(json!({
            "kind": "threshold",
            "limits": [{"metric": "glucose", "below": 4.0}, {"metric": "glucose", "above": 10.0}],
        }));
        check(
            &outside,
            &[
                glucose(0, 3.0, "raise 0=3 by 0=3 worst 0=3"),
                glucose(5, 11.0, "continue 5=11 worst 0=3"),
                glucose(10, 14.0, "continue 10=14 worst 10=14"),
                glucose(15, 10.0, "clear 15=10"),
            ],
        );
    }

    #[test]
    fn a_late_episode_becomes_current_once() {
        let very_low = glucose_very_low();
        let late = |minutes, value| delayed(Glucose, minutes, value, 60);
        check(
            &very_low,
            &[
                (late(0, 2.9), "raise late 0=2.9 by 0=2.9 worst 0=2.9"),
                (late(5, 2.8), "continue 5=2.8 worst 5=2.8"),
                glucose(65, 2.9, "continue 65=2.9 worst 5=2.8; became current 65=2.9"),
                glucose(70, 2.9, "continue 70=2.9 worst 5=2.8"),
                glucose(75, 4.0, "clear 75=4"),
                (late(80, 2.9), "raise late 80=2.9 by 80=2.9 worst 80=2.9"),
                glucose(85, 4.0, "clear 85=4"),
            ],
        );
        let mut reading = delayed(Glucose, 0, 2.0, 0);
        reading.received_at = minute(0) + LATE_AFTER;
        check(&very_low, &[(reading, "raise 0=2 by 0=2 worst 0=2")]);
        reading.received_at += TimeDelta::microseconds(1);
        check(&very_low, &[(reading, "raise late 0=2 by 0=2 worst 0=2")]);
    }

    #[test]
    fn equal_times_are_in_order() {
        check(
            &glucose_very_low(),
            &[
                glucose(5, 4.0, ""),
                glucose(5, 2.9, "raise 5=2.9 by 5=2.9 worst 5=2.9"),
                glucose(5, 4.0, "clear 5=4"),
            ],
        );
    }

    #[test]
    fn a_changed_rule_goes_on_with_the_open_episode() {
        let (state, _) = step(
            &glucose_very_low(),
            RuleState::default(),
            &delayed(Glucose, 0, 2.0, 1),
        );
        let other_metric = rule(json!({
            "kind": "threshold", "limits": [{"metric": "heart_rate", "above": 120}],
        }));
        let (state, effects) = step(&other_metric, state, &delayed(HeartRate, 5, 80.0, 1));
        assert_eq!(shorthand(&effects), "clear 5=80");
        assert!(!state.has_open_episode());
        assert_eq!(serde_json::to_value(&state).unwrap(), json!({}));
    }
}
