//! Rate: a value that moves fast towards a bound.

use serde_json::Value;

use super::Observation;
use super::episode::{Channel, Contribution, Scored, Signal};
use super::json;
use super::moment::Moment;

/// Rates this near count as equal.
const TOLERANCE: f64 = 1e-9;

pub(crate) fn channels(condition: &Value, moments: &[Moment<'_>]) -> Vec<Channel> {
    let metric = json::metric(condition);
    // Each moment has the observation of its last device.
    let line: Vec<&Observation> = moments
        .iter()
        .filter_map(|moment| moment.of(metric).last())
        .collect();
    vec![line.iter().map(|now| signal(condition, now, &line)).collect()]
}

fn signal(condition: &Value, now: &Observation, line: &[&Observation]) -> Signal {
    let over = json::seconds(condition, "over_seconds");
    let min_span = json::seconds(condition, "min_span_seconds");
    let toward = json::number(condition, "toward");
    let ahead = json::number(condition, "ahead_seconds");
    let falling = json::optional_number(condition, "fall_per_minute");
    let limit = falling.unwrap_or_else(|| json::number(condition, "rise_per_minute"));

    let oldest = line
        .iter()
        .find(|then| now.at - then.at <= over && now.at - then.at >= min_span && then.at < now.at);
    let Some(oldest) = oldest else {
        return Signal::Nothing;
    };
    let minutes = (now.at - oldest.at).as_seconds_f64() / 60.0;
    let rate = (now.value - oldest.value) / minutes;
    let expected = now.value + rate * ahead / 60.0;
    let (figure, beyond) = if falling.is_some() {
        (-rate, expected < toward)
    } else {
        (rate, expected > toward)
    };
    if figure < limit - TOLERANCE || !beyond {
        return Signal::Back;
    }
    let reading = Scored {
        reading: now.reading(Some(figure)),
        excess: figure / limit,
    };
    Signal::breach(Contribution {
        onset: oldest.reading(Some(figure)),
        latest: reading.clone(),
        worst: reading,
        on_time: now.on_time(),
    })
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;
    use serde_json::json;

    use super::super::testing::{check, delayed, on};
    use super::*;

    fn glucose(minute: i64, value: f64) -> Observation {
        on(1, Metric::Glucose, minute, value)
    }

    fn falling() -> Value {
        json!({"kind": "rate", "metric": "glucose", "fall_per_minute": 0.125, "over_seconds": 900,
            "min_span_seconds": 600, "toward": 4.5, "ahead_seconds": 1200})
    }

    #[test]
    fn falls_fast_towards_the_bound() {
        let series = [
            glucose(0, 12.0),
            glucose(5, 10.0),
            // 0.4 a minute, and 0 in twenty minutes.
            glucose(10, 8.0),
            // 0.4 a minute from minute 0, still within 15 minutes.
            glucose(15, 6.0),
            // 0.25 a minute since minute 5.
            glucose(20, 6.25),
            // 0.125 a minute since minute 10, and 3.625 to be expected.
            glucose(25, 6.125),
            // 0.2 a minute the other way.
            glucose(30, 9.0),
        ];
        check(&falling(), &series, &["12@0[0.4] 6.125@25[0.125] 8@10[0.4] 30"]);
        check(&falling(), &series[1..2], &[]);
    }

    #[test]
    fn falling_far_from_the_bound_is_back() {
        let series = [glucose(0, 20.0), glucose(10, 17.0), glucose(20, 14.0)];
        // 0.3 a minute: 11 and 8 to be expected.
        check(&falling(), &series, &[]);
        // Exactly at the bound is not beyond it: 7.0 - 20 * 0.125 = 4.5.
        check(&falling(), &[glucose(0, 8.25), glucose(10, 7.0)], &[]);
        check(
            &falling(),
            &[glucose(0, 8.1875), glucose(10, 6.9375)],
            &["8.1875@0[0.125] 6.9375@10[0.125] 6.9375@10[0.125] open"],
        );
    }

    #[test]
    fn without_a_reading_of_the_right_age_nothing() {
        let series = [glucose(0, 8.0), glucose(9, 4.0), glucose(26, 3.0)];
        check(&falling(), &series, &[]);
    }

    #[test]
    fn the_last_device_of_a_moment_counts() {
        let series = [
            glucose(0, 12.0),
            on(2, Metric::Glucose, 0, 8.0),
            delayed(glucose(10, 9.0), 60),
            delayed(on(2, Metric::Glucose, 10, 6.0), 60),
        ];
        check(&falling(), &series, &["8@0[0.2] 6@10[0.2] 6@10[0.2] open late"]);
    }

    #[test]
    fn rises_towards_a_bound() {
        let condition = json!({"kind": "rate", "metric": "glucose", "rise_per_minute": 0.25,
            "over_seconds": 900, "min_span_seconds": 600, "toward": 14, "ahead_seconds": 600});
        check(
            &condition,
            &[glucose(0, 9.0), glucose(10, 12.0)],
            &["9@0[0.3] 12@10[0.3] 12@10[0.3] open"],
        );
    }
}
