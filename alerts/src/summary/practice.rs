//! What a programme wants of its patients, as far as an overview of many can tell: read off the programme's rules.

use homeward_record::Metric;

use crate::{Change, Condition, Programme};

/// What an overview asks of each patient of a programme.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// The programme.
    pub programme: &'static Programme,
    /// The rules that judge whether a patient is in target: those of averages, shares of time, scores and changes. As
    /// long as one of them has an open episode, the patient is out of target.
    pub target_codes: Vec<&'static str>,
    /// What there must be to tell.
    pub enough: Enough,
    /// The rule that knows how often the programme's main metric is expected, and that metric.
    pub expected: Option<(&'static str, Metric)>,
}

/// What readings there must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enough {
    /// Of each of these.
    pub metrics: Vec<Metric>,
    /// Within so many days.
    pub days: u32,
    /// On so many of these.
    pub least_days: u32,
    /// And so many readings.
    pub least_readings: u64,
    /// Of a sensor that sends one every so many seconds; none: it is not about a sensor.
    pub interval_seconds: Option<u32>,
}

/// The goals of all programmes that have one.
pub fn goals() -> Vec<Goal> {
    Programme::names()
        .filter_map(Programme::named)
        .filter_map(goal)
        .collect()
}

fn goal(programme: &'static Programme) -> Option<Goal> {
    let conditions = || {
        programme
            .rules
            .iter()
            .map(|rule| (rule.code.as_str(), &rule.definition.condition))
    };
    let judged: Vec<_> = conditions()
        .filter_map(|(code, condition)| Some((code, enough_for(condition)?)))
        .collect();
    let silences = conditions().filter_map(|(code, condition)| match condition {
        Condition::Silence(rule) => Some((code, rule)),
        _ => None,
    });
    let first_told = silences.min_by_key(|(_, rule)| rule.times);
    Some(Goal {
        programme,
        target_codes: judged.iter().map(|(code, _)| *code).collect(),
        // Rules of one programme judge one thing, at several limits.
        enough: judged.into_iter().next()?.1,
        expected: first_told.map(|(code, rule)| (code, rule.metric)),
    })
}

/// What there must be for such a condition to say anything; none for a condition that judges single readings, which
/// are no target.
fn enough_for(condition: &Condition) -> Option<Enough> {
    Some(match condition {
        Condition::HomeAverage(rule) => Enough {
            metrics: condition.metrics(),
            days: rule.days,
            least_days: rule.min_days,
            least_readings: 0,
            interval_seconds: None,
        },
        Condition::TimeInRange(rule) => Enough {
            metrics: vec![rule.metric],
            days: rule.days,
            least_days: 1,
            least_readings: expected_readings(rule.days, rule.interval_seconds, rule.min_active_percent),
            interval_seconds: Some(rule.interval_seconds),
        },
        // A set of all seven once a day.
        Condition::News2(_) => Enough {
            metrics: condition.metrics(),
            days: 1,
            least_days: 1,
            least_readings: 1,
            interval_seconds: None,
        },
        Condition::Change(rule) => Enough {
            metrics: condition.metrics(),
            days: longest_days(&rule.changes),
            least_days: 2,
            least_readings: 2,
            interval_seconds: None,
        },
        _ => return None,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some thousands of readings"
)]
fn expected_readings(days: u32, interval_seconds: u32, percent: f64) -> u64 {
    (f64::from(days) * 86_400.0 / f64::from(interval_seconds) * percent / 100.0).ceil() as u64
}

fn longest_days(changes: &[Change]) -> u32 {
    let longest = changes.iter().map(|change| change.within_seconds).max();
    longest.unwrap_or(0).div_ceil(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_programme_has_a_goal() {
        let told: Vec<_> = goals()
            .iter()
            .map(|goal| {
                let Enough {
                    metrics,
                    days,
                    least_days,
                    least_readings,
                    ..
                } = &goal.enough;
                let metric = goal.expected.map(|(_, metric)| metric.name());
                let wanted = (metrics.len(), *days, *least_days, *least_readings);
                (
                    goal.programme.name.as_str(),
                    goal.target_codes.len(),
                    wanted,
                    metric,
                )
            })
            .collect();
        let glucose = (1, 14, 1, 2_823);
        let pressure = (2, 7, 4, 0);
        assert_eq!(
            told,
            [
                ("hypertension", 2, pressure, Some("systolic")),
                ("hypertension-over-80", 2, pressure, Some("systolic")),
                ("diabetes-type-1", 1, glucose, Some("glucose")),
                ("diabetes-type-2", 1, glucose, Some("glucose")),
                ("diabetes-older", 1, glucose, Some("glucose")),
                ("diabetes-pregnancy", 1, glucose, Some("glucose")),
                ("virtual-ward", 2, (7, 1, 1, 1), Some("spo2")),
                ("copd", 2, (7, 1, 1, 1), Some("spo2")),
                ("heart-failure", 1, (1, 8, 2, 2), Some("body_weight")),
            ]
        );
    }
}
