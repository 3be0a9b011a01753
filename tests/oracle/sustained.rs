//! Sustained: a limit that readings breach for a time, without too large a gap, and perhaps not after steps.

use chrono::{DateTime, Utc};
use homeward_record::Metric;
use serde_json::Value;

use super::episode::{Breach, Channel, Contribution, Signal, first_greatest};
use super::json;
use super::limit;
use super::moment::Moment;

pub(crate) fn metrics(condition: &Value) -> Vec<Metric> {
    let unless = condition.get("unless").map(json::metric);
    limit::metrics(condition).into_iter().chain(unless).collect()
}

pub(crate) fn channels(condition: &Value, moments: &[Moment<'_>]) -> Vec<Channel> {
    let hold = json::seconds(condition, "for_seconds");
    let max_gap = json::seconds(condition, "max_gap_seconds");
    let excluding = excluding(condition, moments);
    let is_excluded = |now: DateTime<Utc>| {
        let within = condition
            .get("unless")
            .map(|unless| json::seconds(unless, "within_seconds"));
        within.is_some_and(|within| excluding.iter().any(|then| *then <= now && now - *then < within))
    };
    let is_excluded: Vec<bool> = moments.iter().map(|moment| is_excluded(moment.at)).collect();

    limit::limits(condition)
        .iter()
        .map(|limit| {
            let alone: Channel = moments
                .iter()
                .zip(&is_excluded)
                .map(|(moment, excluded)| {
                    if *excluded {
                        Signal::Nothing
                    } else {
                        limit.signal(*moment)
                    }
                })
                .collect();
            (0..moments.len())
                .map(|now| {
                    let Signal::Breach(breach) = &alone[now] else {
                        return alone[now].clone();
                    };
                    let run = run(moments, &alone, now, |earlier, later| {
                        later - earlier <= max_gap
                            && !excluding.iter().any(|then| earlier < *then && *then <= later)
                    });
                    let start = run
                        .last()
                        .map_or(moments[now].at, |first| first.latest.reading.at);
                    let long_enough = moments[now].at - start >= hold;
                    Signal::Breach(Box::new(Breach {
                        going_on: breach.going_on.clone(),
                        beginning: long_enough.then(|| beginning(&run)),
                    }))
                })
                .collect()
        })
        .collect()
}

/// The times with an observation that excludes.
fn excluding(condition: &Value, moments: &[Moment<'_>]) -> Vec<DateTime<Utc>> {
    let Some(unless) = condition.get("unless") else {
        return Vec::new();
    };
    let metric = json::metric(unless);
    let bound = limit::bound(unless).unwrap_or_else(|| panic!("no bound in {unless}"));
    moments
        .iter()
        .filter(|moment| moment.of(metric).any(|o| bound.meets(metric, o.value)))
        .map(|moment| moment.at)
        .collect()
}

/// The breaches that count together with the one of this moment, the latest first: back from it, as long as
/// the metric's moments breach and each is near enough to the next.
fn run<'a>(
    moments: &[Moment<'_>],
    alone: &'a Channel,
    now: usize,
    near: impl Fn(DateTime<Utc>, DateTime<Utc>) -> bool,
) -> Vec<&'a Contribution> {
    let mut run = Vec::new();
    let mut first = now;
    for then in (0..=now).rev() {
        match &alone[then] {
            Signal::Nothing => {}
            Signal::Breach(breach) if near(moments[then].at, moments[first].at) => {
                first = then;
                run.push(&breach.going_on);
            }
            _ => break,
        }
    }
    run
}

/// What a run brings that was held long enough.
fn beginning(run: &[&Contribution]) -> Contribution {
    Contribution {
        onset: run[run.len() - 1].onset.clone(),
        latest: run[0].latest.clone(),
        worst: first_greatest(run.iter().rev().map(|breach| breach.worst.clone())),
        on_time: run.iter().any(|breach| breach.on_time),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Observation;
    use super::super::testing::{check, delayed, heart, hearts, on};
    use super::*;

    fn condition() -> Value {
        json!({"kind": "sustained", "limits": [{"metric": "heart_rate", "above": 120}],
            "for_seconds": 600, "max_gap_seconds": 300})
    }

    fn resting() -> Value {
        let mut condition = condition();
        condition["unless"] = json!({"metric": "steps", "above": 0, "within_seconds": 600});
        condition
    }

    /// A breach each minute from one to another.
    fn fast(from: i64, to: i64) -> Vec<Observation> {
        (from..=to).map(|minute| heart(minute, 130.0)).collect()
    }

    fn steps(minute: i64, value: f64) -> Observation {
        on(2, Metric::Steps, minute, value)
    }

    #[test]
    fn met_when_held_exactly_long_enough() {
        check(&condition(), &fast(0, 9), &[]);
        check(&condition(), &fast(0, 10), &["130@0 130@10 130@0 open"]);
        let mut values = vec![121.0; 12];
        values[4] = 140.0;
        values.push(120.0);
        check(&condition(), &hearts(&values), &["121@0 121@11 140@4 12"]);
        values[7] = 119.0;
        check(&condition(), &hearts(&values), &[]);
    }

    #[test]
    fn a_larger_gap_starts_a_new_run_until_met() {
        let at = |minutes: &[i64]| -> Vec<Observation> {
            minutes.iter().map(|minute| heart(*minute, 130.0)).collect()
        };
        check(&condition(), &at(&[0, 5, 10]), &["130@0 130@10 130@0 open"]);
        check(&condition(), &at(&[0, 5, 11, 15, 20]), &[]);
        check(
            &condition(),
            &at(&[0, 5, 11, 15, 20, 21]),
            &["130@11 130@21 130@11 open"],
        );
        check(&condition(), &at(&[0, 5, 10, 500]), &["130@0 130@500 130@0 open"]);
        // Other metrics between do not interrupt.
        let mut others = at(&[0, 5, 10]);
        others.push(on(1, Metric::Spo2, 7, 97.0));
        check(&condition(), &others, &["130@0 130@10 130@0 open"]);
    }

    #[test]
    fn after_steps_nothing_counts_until_exactly_ten_minutes_later() {
        let after = |last: i64| [vec![steps(0, 20.0)], fast(0, last)].concat();
        check(&resting(), &after(19), &[]);
        check(&resting(), &after(20), &["130@10 130@20 130@10 open"]);
        // An interval without steps excludes nothing.
        let still = [vec![steps(0, 0.0)], fast(0, 10)].concat();
        check(&resting(), &still, &["130@0 130@10 130@0 open"]);
    }

    #[test]
    fn steps_end_a_run_also_between_two_readings() {
        let mut series = fast(0, 9);
        series.push(steps(9, 5.0));
        series.extend(fast(10, 28));
        check(&resting(), &series, &[]);
        series.extend(fast(29, 29));
        check(&resting(), &series, &["130@19 130@29 130@19 open"]);
    }

    #[test]
    fn while_met_steps_neither_clear_nor_go_on() {
        let mut series = fast(0, 10);
        series.extend([steps(12, 5.0), heart(13, 150.0), heart(14, 80.0), heart(22, 80.0)]);
        check(&resting(), &series, &["130@0 130@10 130@0 22"]);
        let mut with_time = resting();
        with_time["clear_after_seconds"] = json!(180);
        series.extend([steps(23, 5.0), heart(24, 80.0), heart(33, 80.0)]);
        // Back at 22 and 33, with nothing between that says otherwise.
        check(&with_time, &series, &["130@0 130@10 130@0 33"]);
    }

    #[test]
    fn a_run_with_one_reading_on_time_is_not_late() {
        let mut series: Vec<Observation> = fast(0, 10).into_iter().map(|o| delayed(o, 30)).collect();
        check(&condition(), &series, &["130@0 130@10 130@0 open late"]);
        series[0] = heart(0, 130.0);
        check(&condition(), &series, &["130@0 130@10 130@0 open"]);
    }
}
