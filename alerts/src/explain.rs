//! Episodes in plain English.

use chrono::{DateTime, Utc};
use homeward_record::Metric;

use crate::{Bound, Definition, Limit, Point, Side};

/// Says in one sentence what an episode is about, such as "Glucose 2.7 mmol/L, below 3.0 mmol/L since
/// 08:05 UTC; lowest 2.5 mmol/L at 08:10 UTC."
///
/// The points are those that the episode keeps. Times are UTC and say so; the day is given where it is not
/// that of the latest point.
pub fn explain(definition: &Definition, onset: &Point, latest: &Point, worst: &Point) -> String {
    let time = |at| time(at, latest.at);
    let limit = definition.breached_by(latest);
    let mut sentence = format!("{} {}", subject(latest.metric), quantity(latest, limit));
    match (limit, definition.breached_by(onset)) {
        (Some(limit), Some(since)) if since == limit => {
            sentence += &format!(", {} since {}", bound(limit), time(onset.at));
        }
        (Some(limit), _) => {
            sentence += &format!(", {}; outside the limits since {}", bound(limit), time(onset.at));
        }
        (None, _) => sentence += &format!(" at {}", time(latest.at)),
    }
    if let Some(limit) = definition.breached_by(worst)
        && (worst.metric, worst.value) != (latest.metric, latest.value)
    {
        let extreme = match limit.bound.side() {
            Side::Low => "lowest",
            Side::High => "highest",
        };
        let of = if worst.metric == latest.metric {
            String::new()
        } else {
            format!("{} ", lower_first(subject(worst.metric)))
        };
        sentence += &format!(
            "; {extreme} {of}{} at {}",
            quantity(worst, Some(limit)),
            time(worst.at)
        );
    }
    sentence + "."
}

/// A time of day, with the day where it is another than that of `latest`.
fn time(at: DateTime<Utc>, latest: DateTime<Utc>) -> String {
    if at.date_naive() == latest.date_naive() {
        at.format("%H:%M UTC").to_string()
    } else {
        at.format("%H:%M UTC on %-d %B %Y").to_string()
    }
}

fn bound(limit: &Limit) -> String {
    let words = match limit.bound {
        Bound::Below(_) => "below",
        Bound::AtMost(_) => "at or below",
        Bound::AtLeast(_) => "at or above",
        Bound::Above(_) => "above",
    };
    let number = limit.bound.value();
    let exact = |text: &str| text.parse() == Ok(number);
    format!(
        "{words} {}",
        with_unit(limit.metric, &decimal(limit.metric, number, exact))
    )
}

/// A value with its unit. Where rounding would make it look as if it did not breach its limit (2.96 is
/// below 3.0, "3.0" is not), it is given with more decimals.
fn quantity(point: &Point, limit: Option<&Limit>) -> String {
    let honest = |text: &str| match (limit, text.parse()) {
        (Some(limit), Ok(shown)) => limit.is_breached_by(shown),
        _ => true,
    };
    with_unit(point.metric, &decimal(point.metric, point.value, honest))
}

/// A number with as many decimals as the metric is usually told in, or up to six until it is `good`; six
/// are what the record keeps of a converted value.
fn decimal(metric: Metric, value: f64, good: impl Fn(&str) -> bool) -> String {
    let usual = match metric {
        Metric::BodyTemperature | Metric::Glucose | Metric::BodyWeight => 1,
        _ => 0,
    };
    let texts = (usual..=6).map(|decimals| format!("{value:.decimals$}"));
    texts
        .clone()
        .find(|text| good(text))
        .unwrap_or_else(|| format!("{value:.usual$}"))
}

fn with_unit(metric: Metric, number: &str) -> String {
    let unit = match metric {
        Metric::HeartRate => " beats a minute",
        Metric::Spo2 => "%",
        Metric::RespiratoryRate => " breaths a minute",
        Metric::BodyTemperature => " °C",
        Metric::Systolic | Metric::Diastolic => " mmHg",
        Metric::Glucose => " mmol/L",
        Metric::Steps => " steps",
        Metric::BodyWeight => " kg",
        Metric::Consciousness | Metric::IrregularPulse => "",
        Metric::SupplementalOxygen => " L/min",
    };
    format!("{number}{unit}")
}

fn subject(metric: Metric) -> &'static str {
    match metric {
        Metric::HeartRate => "Heart rate",
        Metric::Spo2 => "Oxygen saturation",
        Metric::RespiratoryRate => "Respiratory rate",
        Metric::BodyTemperature => "Temperature",
        Metric::Systolic => "Systolic blood pressure",
        Metric::Diastolic => "Diastolic blood pressure",
        Metric::Glucose => "Glucose",
        Metric::Steps => "Activity",
        Metric::BodyWeight => "Weight",
        Metric::Consciousness => "Level of consciousness (0 alert to 4 unresponsive)",
        Metric::SupplementalOxygen => "Supplemental oxygen",
        Metric::IrregularPulse => "Irregular pulse (1 seen, 0 not seen)",
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::testing::{blood_pressure_crisis, glucose_very_low, point};

    use super::*;

    #[test]
    fn sentences() {
        let check = |rule: &Definition, [onset, latest, worst]: [Point; 3], expected: &str| {
            assert_eq!(explain(rule, &onset, &latest, &worst), expected);
        };
        let glucose = |minute, value| point(Metric::Glucose, minute, value);
        let low = glucose_very_low();
        check(
            &low,
            [glucose(5, 2.7); 3],
            "Glucose 2.7 mmol/L, below 3.0 mmol/L since 08:05 UTC.",
        );
        check(
            &low,
            [glucose(5, 2.7), glucose(15, 2.9), glucose(10, 2.0)],
            "Glucose 2.9 mmol/L, below 3.0 mmol/L since 08:05 UTC; lowest 2.0 mmol/L at 08:10 UTC.",
        );
        check(
            &low,
            [glucose(-600, 2.7), glucose(5, 2.96), glucose(-600, 2.7)],
            "Glucose 2.96 mmol/L, below 3.0 mmol/L since 22:00 UTC on 21 November 2026; lowest 2.7 mmol/L at \
             22:00 UTC on 21 November 2026.",
        );
        check(&low, [glucose(5, 3.4); 3], "Glucose 3.4 mmol/L at 08:05 UTC.");

        let crisis = blood_pressure_crisis();
        let systolic = point(Metric::Systolic, 20, 180.0099);
        check(
            &crisis,
            [systolic; 3],
            "Systolic blood pressure 180 mmHg, at or above 180 mmHg since 08:20 UTC.",
        );
        check(
            &crisis,
            [
                point(Metric::Diastolic, 1, 121.0),
                systolic,
                point(Metric::Diastolic, 2, 130.0),
            ],
            "Systolic blood pressure 180 mmHg, at or above 180 mmHg; outside the limits since 08:01 UTC; highest \
             diastolic blood pressure 130 mmHg at 08:02 UTC.",
        );
    }
}
