//! Repeated: a limit that some of the last readings breach.

use serde_json::Value;

use super::Observation;
use super::episode::{Breach, Channel, Contribution, Signal, first_greatest};
use super::json;
use super::limit::{self, Limit};
use super::moment::Moment;

pub(crate) fn channels(condition: &Value, moments: &[Moment<'_>]) -> Vec<Channel> {
    limit::limits(condition)
        .iter()
        .map(|limit| {
            (0..moments.len())
                .map(|now| signal(condition, limit, &moments[..=now]))
                .collect()
        })
        .collect()
}

/// What the last of these moments says.
fn signal(condition: &Value, limit: &Limit, moments: &[Moment<'_>]) -> Signal {
    let within = json::seconds(condition, "within_seconds");
    let now = moments[moments.len() - 1];
    let own: Vec<&Observation> = now.of(limit.metric).collect();
    if own.is_empty() {
        return Signal::Nothing;
    }

    let backwards = moments
        .iter()
        .rev()
        .flat_map(|moment| moment.of(limit.metric).collect::<Vec<_>>().into_iter().rev());
    let mut last: Vec<&Observation> = backwards
        .take(json::count(condition, "of"))
        .filter(|observation| now.at - observation.at <= within)
        .collect();
    last.reverse();

    let breaching = |of: &[&Observation]| -> Vec<Observation> {
        of.iter()
            .filter(|o| limit.breaches(o.value))
            .map(|o| **o)
            .collect()
    };
    let repeats = breaching(&last);
    let enough = repeats.len() >= json::count(condition, "times");
    let own_breaches = breaching(&own);
    if enough && !own_breaches.is_empty() {
        let going_on = Contribution {
            onset: repeats[0].reading(None),
            latest: first_greatest(own_breaches.iter().map(|o| limit.scored(o))),
            worst: first_greatest(repeats.iter().map(|o| limit.scored(o))),
            on_time: own_breaches.iter().any(Observation::on_time),
        };
        // The earlier breaches are part of what made it met.
        let on_time = going_on.on_time || repeats.iter().any(Observation::on_time);
        Signal::Breach(Box::new(Breach {
            beginning: Some(Contribution {
                on_time,
                ..going_on.clone()
            }),
            going_on,
        }))
    } else if !enough && own.iter().all(|o| limit.back(o.value)) {
        Signal::Back
    } else {
        Signal::Between
    }
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;
    use serde_json::json;

    use super::super::testing::{check, delayed, heart, hearts, on};
    use super::*;

    fn condition(times: u32, of: u32, within: u32) -> Value {
        json!({"kind": "repeated", "limits": [{"metric": "heart_rate", "above": 120, "clear": 115}],
            "times": times, "of": of, "within_seconds": within})
    }

    #[test]
    fn two_of_the_last_three() {
        let values = [130.0, 100.0, 100.0, 125.0, 100.0, 122.0, 100.0];
        check(&condition(2, 3, 3600), &hearts(&values), &["125@3 122@5 125@3 6"]);
        // At 2, two of three still breach: not back yet, though the reading itself is.
        let values = [130.0, 125.0, 100.0, 100.0];
        check(&condition(2, 3, 3600), &hearts(&values), &["130@0 125@1 130@0 3"]);
    }

    #[test]
    fn between_is_not_back() {
        let values = [130.0, 130.0, 118.0, 118.0, 118.0, 115.0];
        check(&condition(2, 3, 3600), &hearts(&values), &["130@0 130@1 130@0 5"]);
    }

    #[test]
    fn old_ones_do_not_count() {
        let series = |second| [heart(0, 130.0), heart(second, 130.0)];
        check(&condition(2, 3, 600), &series(10), &["130@0 130@10 130@0 open"]);
        check(&condition(2, 3, 600), &series(11), &[]);
    }

    #[test]
    fn each_of_a_moment_counts() {
        let pair = |minute, first, second| {
            [
                on(1, Metric::HeartRate, minute, first),
                on(2, Metric::HeartRate, minute, second),
            ]
        };
        check(
            &condition(2, 3, 600),
            &pair(0, 130.0, 140.0),
            &["130@0 140@0 140@0 open"],
        );
        // The first of three has left the last three when the moment's own two have come.
        let series = [pair(0, 130.0, 100.0), pair(1, 100.0, 125.0)].concat();
        check(&condition(2, 3, 600), &series, &[]);
        check(&condition(2, 4, 600), &series, &["130@0 125@1 130@0 open"]);
    }

    #[test]
    fn an_earlier_breach_on_time_is_enough() {
        let series = [heart(0, 130.0), delayed(heart(1, 130.0), 60)];
        check(&condition(2, 3, 600), &series, &["130@0 130@1 130@0 open"]);
        let series = series.map(|o| delayed(o, 60));
        check(&condition(2, 3, 600), &series, &["130@0 130@1 130@0 open late"]);
    }
}
