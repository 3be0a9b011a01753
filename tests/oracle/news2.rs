//! NEWS2: the sum of seven parameters' sub-scores, each by its last value within a window.

use chrono::TimeDelta;
use homeward_record::Metric;
use serde_json::Value;

use super::Observation;
use super::episode::{Channel, Scored, Signal};
use super::json;
use super::moment::Moment;
use super::score::{Scale, sub_score};

pub(crate) const PARAMETERS: [Metric; 7] = [
    Metric::RespiratoryRate,
    Metric::Spo2,
    Metric::SupplementalOxygen,
    Metric::Systolic,
    Metric::HeartRate,
    Metric::Consciousness,
    Metric::BodyTemperature,
];

pub(crate) fn channels(condition: &Value, moments: &[Moment<'_>]) -> Vec<Channel> {
    let signals = (0..moments.len()).map(|now| signal(condition, &moments[..=now]));
    vec![signals.collect()]
}

/// What the last of these moments says.
fn signal(condition: &Value, moments: &[Moment<'_>]) -> Signal {
    let scale = match json::whole(condition, "scale") {
        1 => Scale::One,
        2 => Scale::Two,
        other => panic!("NEWS2 has no scale {other}"),
    };
    let window = json::optional_seconds(condition, "window_seconds").unwrap_or(TimeDelta::minutes(15));
    let total_limit = json::optional_whole(condition, "total_at_least");
    let single_limit = json::optional_whole(condition, "single_at_least");

    let latest_of = |parameter| latest(parameter, window, moments).unwrap_or_default();
    let oxygen = latest_of(Metric::SupplementalOxygen);
    let on_oxygen = (!oxygen.is_empty()).then(|| oxygen.iter().any(|o| o.value > 0.0));
    let score = |o: &Observation| sub_score(scale, o.metric, o.value, on_oxygen);
    // Of several at one time the highest; a score that is known is higher than one that is not.
    let sub_scores = PARAMETERS.map(|parameter| latest_of(parameter).iter().map(score).max().flatten());
    let complete = sub_scores.iter().all(Option::is_some);
    let known: Vec<i64> = sub_scores
        .iter()
        .flatten()
        .map(|score| i64::from(*score))
        .collect();
    let total: i64 = known.iter().sum();

    let breaches = total_limit.is_some_and(|limit| total >= limit)
        || single_limit.is_some_and(|limit| known.iter().any(|score| *score >= limit));
    // A condition on single scores alone asks nothing of the total.
    let clear = json::optional_whole(condition, "clear_total").or(total_limit.map(|limit| limit - 1));
    if breaches {
        let now = moments[moments.len() - 1];
        let reading = first_highest(now, |o| score(o).unwrap_or(0));
        let figure = total as f64;
        let scored = Scored {
            reading: reading.reading(Some(figure)),
            excess: figure / total_limit.unwrap_or(0).max(1) as f64,
        };
        Signal::breach_by(scored, reading.on_time())
    } else if clear.is_some_and(|clear| total > clear) {
        // What is missing can only add to it.
        Signal::Between
    } else if complete {
        Signal::Back
    } else {
        Signal::Nothing
    }
}

/// The observations of a parameter at the last time within the window that has any.
fn latest(parameter: Metric, window: TimeDelta, moments: &[Moment<'_>]) -> Option<Vec<Observation>> {
    let now = moments[moments.len() - 1].at;
    moments
        .iter()
        .filter(|moment| now - moment.at <= window)
        .map(|moment| moment.of(parameter).copied().collect::<Vec<_>>())
        .rfind(|of_moment| !of_moment.is_empty())
}

/// The observation of a moment that scores highest, the first of equals.
fn first_highest(moment: Moment<'_>, score: impl Fn(&Observation) -> u32) -> &Observation {
    moment
        .observations
        .iter()
        .reduce(|first, next| if score(next) > score(first) { next } else { first })
        .expect("a moment has an observation")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{check, delayed, on};
    use super::*;

    /// A set of one moment that scores nothing.
    fn well(minute: i64) -> Vec<Observation> {
        vitals(minute, [16.0, 97.0, 0.0, 124.0, 72.0, 0.0, 36.8])
    }

    /// In the order of [`PARAMETERS`].
    fn vitals(minute: i64, values: [f64; 7]) -> Vec<Observation> {
        PARAMETERS
            .into_iter()
            .zip(values)
            .map(|(parameter, value)| on(1, parameter, minute, value))
            .collect()
    }

    fn total(limit: u32) -> Value {
        json!({"kind": "news2", "scale": 1, "total_at_least": limit, "window_seconds": 900})
    }

    #[test]
    fn the_sum_of_seven() {
        // 2 + 1 + 2 + 0 + 1 + 0 + 1. Metric codes put the pulse first and respirations third.
        let ill = vitals(0, [22.0, 95.0, 2.0, 120.0, 95.0, 0.0, 38.5]);
        check(&total(7), &ill, &["22@0[7] 22@0[7] 22@0[7] open"]);
        check(&total(8), &ill, &[]);
        let series = [ill, well(60)].concat();
        check(&total(7), &series, &["22@0[7] 22@0[7] 22@0[7] 60"]);
    }

    #[test]
    fn what_is_missing_scores_nothing_and_clears_nothing() {
        let mut series = vitals(0, [25.0, 91.0, 0.0, 120.0, 70.0, 0.0, 37.0]);
        // An hour later a set without a temperature, then the temperature, exactly 15 minutes after it.
        series.extend(well(60).into_iter().take(6));
        check(&total(5), &series, &["91@0[6] 91@0[6] 91@0[6] open"]);
        let temperature = |minute| on(1, Metric::BodyTemperature, minute, 36.5);
        let too_late = [series.clone(), vec![temperature(76)]].concat();
        check(&total(5), &too_late, &["91@0[6] 91@0[6] 91@0[6] open"]);
        series.push(temperature(75));
        check(&total(5), &series, &["91@0[6] 91@0[6] 91@0[6] 75"]);
    }

    #[test]
    fn an_incomplete_score_stops_the_time_to_clear_only_where_it_is_too_high() {
        let mut condition = total(5);
        condition["clear_total"] = json!(2);
        condition["clear_after_seconds"] = json!(3600);
        let with_alone = |alone: Observation| {
            let ill = vitals(0, [25.0, 91.0, 0.0, 120.0, 70.0, 0.0, 37.0]);
            [ill, well(60), vec![alone], well(120)].concat()
        };
        let low = with_alone(on(1, Metric::HeartRate, 90, 115.0));
        check(&condition, &low, &["91@0[6] 91@0[6] 91@0[6] 120"]);
        let high = with_alone(on(1, Metric::HeartRate, 90, 131.0));
        check(&condition, &high, &["91@0[6] 91@0[6] 91@0[6] open"]);
    }

    #[test]
    fn an_incomplete_score_may_breach() {
        let series = [
            on(1, Metric::RespiratoryRate, 0, 26.0),
            delayed(on(1, Metric::Spo2, 10, 90.0), 600),
        ];
        check(&total(6), &series, &["90@10[6] 90@10[6] 90@10[6] open late"]);
        check(&total(7), &series, &[]);
    }

    #[test]
    fn a_single_score() {
        let single = json!({"kind": "news2", "scale": 1, "single_at_least": 3, "window_seconds": 900});
        let series = [
            vitals(0, [16.0, 97.0, 0.0, 124.0, 72.0, 1.0, 36.8]),
            vitals(5, [21.0, 95.0, 2.0, 124.0, 72.0, 0.0, 36.8]),
        ]
        .concat();
        check(&single, &series, &["1@0[3] 1@0[3] 1@0[3] 5"]);
    }

    #[test]
    fn clearing_takes_a_total_low_enough() {
        let mut condition = total(5);
        condition["clear_total"] = json!(2);
        let series = [
            vitals(0, [25.0, 92.0, 0.0, 124.0, 72.0, 0.0, 36.8]),
            vitals(60, [22.0, 95.0, 0.0, 124.0, 72.0, 0.0, 36.8]),
            vitals(120, [22.0, 96.0, 0.0, 124.0, 72.0, 0.0, 36.8]),
        ]
        .concat();
        check(&condition, &series, &["25@0[5] 25@0[5] 25@0[5] 120"]);
        check(&total(5), &series, &["25@0[5] 25@0[5] 25@0[5] 60"]);
    }

    #[test]
    fn the_second_scale_with_oxygen_unknown_is_incomplete() {
        let scale_2 = json!({"kind": "news2", "scale": 2, "total_at_least": 3, "window_seconds": 900});
        let unknown: Vec<Observation> = vitals(60, [16.0, 97.0, 0.0, 124.0, 72.0, 0.0, 36.8])
            .into_iter()
            .filter(|o| o.metric != Metric::SupplementalOxygen)
            .collect();
        let series = [vitals(0, [25.0, 97.0, 0.0, 124.0, 72.0, 0.0, 36.8]), unknown].concat();
        check(&scale_2, &series, &["25@0[3] 25@0[3] 25@0[3] open"]);
        // Oxygen in the window makes it 2 + 3.
        let with_oxygen = [series, vec![on(1, Metric::SupplementalOxygen, 50, 1.0)]].concat();
        check(&scale_2, &with_oxygen, &["25@0[3] 97@60[5] 97@60[5] open"]);
    }

    #[test]
    fn the_last_value_counts_and_of_two_devices_the_higher_score() {
        let mut series = well(0);
        series.extend([
            on(1, Metric::RespiratoryRate, 5, 26.0),
            on(2, Metric::RespiratoryRate, 5, 16.0),
            on(1, Metric::Systolic, 6, 120.0),
            on(1, Metric::RespiratoryRate, 10, 18.0),
        ]);
        // At 6 the score is still 3, by a reading that adds nothing to it.
        check(&total(3), &series, &["26@5[3] 120@6[3] 26@5[3] 10"]);
    }
}
