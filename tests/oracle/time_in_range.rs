//! Time in range: the share of readings in a range, over whole days.

use chrono::{Days, NaiveDate};
use homeward_record::Metric;
use serde_json::Value;

use super::Observation;
use super::episode::{Channel, Contribution, Scored, Signal};
use super::json;
use super::limit::{self, Bound, Side, relative};
use super::moment::Moment;

pub(crate) fn channels(condition: &Value, moments: &[Moment<'_>]) -> Vec<Channel> {
    let zone = json::zone(condition);
    let dates: Vec<NaiveDate> = moments.iter().map(|moment| moment.date(zone)).collect();
    json::list(condition, "figures")
        .iter()
        .map(|figure| {
            (0..moments.len())
                .map(|now| {
                    let first_of_date = now > 0 && dates[now] > dates[now - 1];
                    if first_of_date {
                        signal(condition, figure, &moments[..=now], &dates[..=now])
                    } else {
                        Signal::Nothing
                    }
                })
                .collect()
        })
        .collect()
}

/// What the last of these moments, the first of its date, says.
fn signal(condition: &Value, figure: &Value, moments: &[Moment<'_>], dates: &[NaiveDate]) -> Signal {
    let metric = json::metric(condition);
    let days = json::count(condition, "days") as u64;
    let now = moments.len() - 1;
    let own = moments[now]
        .of(metric)
        .last()
        .expect("the moments are this metric's");
    let values: Vec<&Observation> = moments[..now]
        .iter()
        .zip(dates)
        .filter(|(_, date)| **date < dates[now] && **date + Days::new(days) >= dates[now])
        .flat_map(|(moment, _)| moment.of(metric))
        .collect();
    let n = values.len() as f64;
    let expected = days as f64 * 86_400.0 / json::number(condition, "interval_seconds");
    if values.is_empty() || 100.0 * n / expected < json::number(condition, "min_active_percent") {
        return Signal::Nothing;
    }

    let meeting = values.iter().filter(|o| meets(figure, metric, o.value)).count();
    let percent = 100.0 * meeting as f64 / n;
    let over = json::optional_number(figure, "over_percent");
    let limit = over.unwrap_or_else(|| json::number(figure, "under_percent"));
    let clear = json::optional_number(figure, "clear");
    let (breaches, back) = if over.is_some() {
        (percent > limit, clear.is_none_or(|clear| percent <= clear))
    } else {
        (percent < limit, clear.is_none_or(|clear| percent >= clear))
    };
    if breaches {
        let reading = Scored {
            reading: own.reading(Some(percent)),
            excess: relative(percent, limit),
        };
        Signal::breach(Contribution {
            onset: reading.reading.clone(),
            latest: reading.clone(),
            worst: reading,
            on_time: own.on_time(),
        })
    } else if back {
        Signal::Back
    } else {
        Signal::Between
    }
}

/// Whether a value is one of those whose share is taken.
fn meets(figure: &Value, metric: Metric, value: f64) -> bool {
    if let Some(bound) = limit::bound(figure) {
        return bound.meets(metric, value);
    }
    let from = Bound {
        side: Side::AtLeast,
        number: json::number(figure, "from"),
    };
    let to = Bound {
        side: Side::AtMost,
        number: json::number(figure, "to"),
    };
    from.meets(metric, value) && to.meets(metric, value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{check, on};
    use super::*;

    const DAY: i64 = 1440;

    /// Two days' figures of readings that are expected every six hours.
    fn condition(figure: &Value) -> Value {
        json!({"kind": "time_in_range", "metric": "glucose", "figures": [figure], "days": 2,
            "min_active_percent": 50, "interval_seconds": 21600, "zone": "UTC"})
    }

    /// A day's readings, six hours apart from midnight.
    fn day(day: i64, values: &[f64]) -> Vec<Observation> {
        (0..)
            .zip(values)
            .map(|(quarter, value)| on(1, Metric::Glucose, day * DAY + quarter * 360, *value))
            .collect()
    }

    #[test]
    fn judged_by_the_first_reading_of_the_next_date() {
        let low = condition(&json!({"below": 3.9, "over_percent": 25, "clear": 20}));
        let mut series = [day(0, &[3.0, 3.0, 6.0, 6.0]), day(1, &[6.0])].concat();
        // Four of eight expected are enough, and half of them are low.
        check(&low, &series, &["6@1440[50] 6@1440[50] 6@1440[50] open"]);
        // At the day after, 2 of 8 are low: 25 is no breach and not yet back. Then none of 5.
        series.extend(day(1, &[6.0, 6.0, 6.0, 6.0]).split_off(1));
        series.extend(day(2, &[7.0]));
        check(&low, &series, &["6@1440[50] 6@1440[50] 6@1440[50] open"]);
        series.extend(day(3, &[8.0]));
        check(&low, &series, &["6@1440[50] 6@1440[50] 6@1440[50] 4320"]);
    }

    #[test]
    fn too_few_readings_say_nothing() {
        let low = condition(&json!({"below": 3.9, "over_percent": 25}));
        let series = [day(0, &[3.0, 3.0, 3.0]), day(1, &[6.0])].concat();
        check(&low, &series, &[]);
        check(&low, &series[..1], &[]);
    }

    #[test]
    fn a_range_with_its_ends() {
        let in_range = condition(&json!({"from": 3.9, "to": 10.0, "under_percent": 70}));
        let series = |values: &[f64]| [day(0, values), day(1, &[6.0])].concat();
        check(&in_range, &series(&[3.9, 10.0, 6.0, 3.8]), &[]);
        check(
            &in_range,
            &series(&[3.9, 10.0, 3.8, 10.1]),
            &["6@1440[50] 6@1440[50] 6@1440[50] open"],
        );
    }
}
