//! Threshold: a limit that a single reading breaches.

use serde_json::Value;

use super::episode::Channel;
use super::limit;
use super::moment::Moment;

pub(crate) fn channels(condition: &Value, moments: &[Moment<'_>]) -> Vec<Channel> {
    limit::limits(condition)
        .iter()
        .map(|limit| moments.iter().map(|moment| limit.signal(*moment)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;
    use serde_json::json;

    use super::super::Observation;
    use super::super::testing::{check, delayed, heart, hearts, on};

    #[test]
    fn raises_goes_on_and_clears() {
        let condition =
            json!({"kind": "threshold", "limits": [{"metric": "heart_rate", "above": 120, "clear": 110}]});
        let values = [100.0, 120.0, 121.0, 130.0, 115.0, 125.0, 110.0, 121.0];
        check(
            &condition,
            &hearts(&values),
            &["121@2 125@5 130@3 6", "121@7 121@7 121@7 open"],
        );
        let mut shuffled = hearts(&values);
        shuffled.reverse();
        shuffled.rotate_left(3);
        shuffled.extend(hearts(&values));
        check(
            &condition,
            &shuffled,
            &["121@2 125@5 130@3 6", "121@7 121@7 121@7 open"],
        );
    }

    #[test]
    fn clearing_takes_its_time_and_starts_again_after_what_is_not_back() {
        let condition = json!({"kind": "threshold", "clear_after_seconds": 120,
            "limits": [{"metric": "heart_rate", "above": 120, "clear": 110}]});
        // Back at 1 and 2, then between: clearing starts anew at 4, and 6 is exactly two minutes later.
        let values = [121.0, 100.0, 100.0, 115.0, 100.0, 100.0, 100.0, 100.0];
        check(&condition, &hearts(&values), &["121@0 121@0 121@0 6"]);
        // One back alone clears nothing, however long ago the breach was.
        check(
            &condition,
            &[heart(0, 121.0), heart(90, 100.0)],
            &["121@0 121@0 121@0 open"],
        );
    }

    #[test]
    fn two_channels_are_one_episode() {
        let condition = json!({"kind": "threshold", "limits": [
            {"metric": "systolic", "at_least": 180, "clear": 175},
            {"metric": "diastolic", "at_least": 120, "clear": 115}]});
        let pair = |minute, systolic, diastolic| {
            [
                on(1, Metric::Systolic, minute, systolic),
                on(1, Metric::Diastolic, minute, diastolic),
            ]
        };
        // At 0 the diastolic has the greater excess; at 1 the systolic alone breaches, and the diastolic is
        // back; at 2 it is the other way round; at 3 the diastolic is between; at 4 all are back. The next is
        // raised by two of one excess.
        let series: Vec<Observation> = [
            pair(0, 189.0, 132.0),
            pair(1, 181.0, 110.0),
            pair(2, 170.0, 122.0),
            pair(3, 175.0, 118.0),
            pair(4, 175.0, 115.0),
            pair(5, 198.0, 132.0),
        ]
        .concat();
        check(
            &condition,
            &series,
            &["189@0 122@2 132@0 4", "198@5 198@5 198@5 open"],
        );
    }

    #[test]
    fn one_channel_may_take_over_in_the_moment_in_which_another_clears() {
        let condition = json!({"kind": "threshold", "limits": [
            {"metric": "heart_rate", "above": 120}, {"metric": "heart_rate", "below": 40}]});
        check(&condition, &hearts(&[121.0, 39.0, 60.0]), &["121@0 39@1 39@1 2"]);
    }

    #[test]
    fn of_two_devices_any_breaches_and_all_are_back() {
        let condition =
            json!({"kind": "threshold", "limits": [{"metric": "heart_rate", "above": 120, "clear": 110}]});
        let pair = |minute, first, second| {
            [
                on(1, Metric::HeartRate, minute, first),
                on(2, Metric::HeartRate, minute, second),
            ]
        };
        let series = [
            pair(0, 121.0, 125.0),
            pair(1, 100.0, 115.0),
            pair(2, 130.0, 90.0),
            pair(3, 110.0, 109.0),
        ]
        .concat();
        check(&condition, &series, &["125@0 130@2 130@2 3"]);
    }

    #[test]
    fn late_until_a_breaching_reading_is_on_time() {
        let condition = json!({"kind": "threshold", "limits": [{"metric": "heart_rate", "above": 120}]});
        let late = [delayed(heart(0, 130.0), 16), heart(1, 100.0)];
        check(&condition, &late, &["130@0 130@0 130@0 1 late"]);
        let edge = [delayed(heart(0, 130.0), 15), heart(1, 100.0)];
        check(&condition, &edge, &["130@0 130@0 130@0 1"]);
        let later = [delayed(heart(0, 130.0), 16), heart(1, 125.0)];
        check(&condition, &later, &["130@0 125@1 130@0 open"]);
    }
}
