//! Change: a value that has risen above, or fallen below, another of the time before.

use homeward_record::Metric;
use serde_json::Value;

use super::Observation;
use super::episode::{Channel, Contribution, Scored, Signal, first_greatest};
use super::json;
use super::moment::Moment;

/// Two decimals whose difference is meant to be an amount differ from it by less than this.
const TOLERANCE: f64 = 1e-9;

pub(crate) fn metrics(condition: &Value) -> Vec<Metric> {
    json::list(condition, "changes")
        .iter()
        .map(json::metric)
        .collect()
}

pub(crate) fn channels(condition: &Value, moments: &[Moment<'_>]) -> Vec<Channel> {
    json::list(condition, "changes")
        .iter()
        .map(|change| moments.iter().map(|now| signal(change, *now, moments)).collect())
        .collect()
}

fn signal(change: &Value, now: Moment<'_>, moments: &[Moment<'_>]) -> Signal {
    let metric = json::metric(change);
    let within = json::seconds(change, "within_seconds");
    let rise = json::optional_number(change, "rise");
    let amount = rise.unwrap_or_else(|| json::number(change, "fall"));

    let before = moments
        .iter()
        .filter(|then| then.at < now.at && now.at - then.at <= within)
        .flat_map(|then| then.of(metric));
    // Of equal ones the latest.
    let reference = before.reduce(|first: &Observation, next| {
        let further = if rise.is_some() {
            next.value <= first.value
        } else {
            next.value >= first.value
        };
        if further { next } else { first }
    });
    let Some(reference) = reference else {
        return Signal::Nothing;
    };
    let figure = |observation: &Observation| {
        if rise.is_some() {
            observation.value - reference.value
        } else {
            reference.value - observation.value
        }
    };

    let own: Vec<&Observation> = now.of(metric).collect();
    if own.is_empty() {
        return Signal::Nothing;
    }
    let greatest = first_greatest(own.iter().map(|observation| Scored {
        reading: observation.reading(Some(figure(observation))),
        excess: figure(observation) / amount,
    }));
    let greatest_figure = greatest.reading.figure;
    let breaches = |figure: f64| figure >= amount - TOLERANCE;
    let clear = json::optional_number(change, "clear");
    if greatest_figure.is_some_and(breaches) {
        Signal::breach(Contribution {
            onset: reference.reading(greatest_figure),
            latest: greatest.clone(),
            worst: greatest,
            on_time: own.iter().any(|o| breaches(figure(o)) && o.on_time()),
        })
    } else if greatest_figure.is_some_and(|figure| clear.is_none_or(|clear| figure <= clear + TOLERANCE)) {
        Signal::Back
    } else {
        Signal::Between
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{check, on};
    use super::*;

    const DAY: i64 = 1440;

    fn weight(day: i64, value: f64) -> Observation {
        on(1, Metric::BodyWeight, day * DAY, value)
    }

    fn gain() -> Value {
        json!({"kind": "change", "changes": [
            {"metric": "body_weight", "rise": 2, "within_seconds": 3 * 86400, "clear": 1},
            {"metric": "body_weight", "rise": 3, "within_seconds": 7 * 86400, "clear": 2}]})
    }

    #[test]
    fn two_kilograms_in_three_days() {
        let series = [
            weight(0, 62.3),
            weight(1, 62.1),
            weight(2, 63.0),
            weight(3, 64.1),
            weight(4, 64.0),
            weight(5, 63.5),
            weight(6, 63.0),
        ];
        // Its double is a hair below 2.0. On day 5 the lowest of three days is 63.0.
        let gained = 64.1 - 62.1;
        assert!(gained < 2.0);
        let line = format!("62.1@1440[{gained}] 64.1@4320[{gained}] 64.1@4320[{gained}] 7200");
        check(&gain(), &series, &[&line]);
    }

    #[test]
    fn the_latest_of_equal_references_and_the_window_with_its_edge() {
        let condition = json!({"kind": "change",
            "changes": [{"metric": "body_weight", "fall": 2, "within_seconds": 3 * 86400}]});
        let series = [
            weight(0, 80.0),
            weight(1, 80.0),
            weight(3, 78.0),
            weight(4, 78.0),
            weight(5, 78.0),
        ];
        check(&condition, &series, &["80@1440[2] 78@5760[2] 78@4320[2] 7200"]);
    }

    #[test]
    fn nothing_to_compare_with_says_nothing() {
        let condition = json!({"kind": "change",
            "changes": [{"metric": "body_weight", "rise": 2, "within_seconds": 3 * 86400}]});
        let series = [weight(0, 80.0), weight(1, 83.0), weight(5, 80.0), weight(6, 80.0)];
        check(&condition, &series, &["80@0[3] 83@1440[3] 83@1440[3] 8640"]);
    }

    #[test]
    fn those_of_one_moment_do_not_see_each_other() {
        let condition = json!({"kind": "change",
            "changes": [{"metric": "body_weight", "rise": 2, "within_seconds": 3 * 86400}]});
        let pair = |day, first, second| [weight(day, first), on(2, Metric::BodyWeight, day * DAY, second)];
        check(&condition, &pair(0, 80.0, 85.0), &[]);
        let series = [pair(0, 80.0, 85.0), pair(1, 81.0, 83.0)].concat();
        check(&condition, &series, &["80@0[3] 83@1440[3] 83@1440[3] open"]);
    }

    #[test]
    fn the_earlier_onset_and_the_greater_excess_of_two_channels() {
        let series = [weight(0, 80.0), weight(5, 81.0), weight(6, 83.2)];
        // Rise of 2.2 over 2 since day 5, and of 3.2 over 3 since day 0: the first has the greater excess.
        let short = 83.2 - 81.0;
        let long = 83.2 - 80.0;
        let line = format!("80@0[{long}] 83.2@8640[{short}] 83.2@8640[{short}] open");
        check(&gain(), &series, &[&line]);
    }
}
