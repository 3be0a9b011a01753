use homeward_record::Metric;
use serde_json::Value;

use super::DefinitionError;
use super::fields::{Fields, error};
use crate::kinds::{
    Change, Changes, Condition, Direction, Figure, HomeAverage, News2, Percent, Rate, Repeated, Scale, Share,
    Silence, Sustained, Threshold, TimeInRange, Unless, Zone,
};
use crate::{Bound, Limit, Side};

const BOUNDS: [&str; 4] = ["below", "at_most", "at_least", "above"];

/// The most readings that a rule may count.
const MOST_READINGS: u32 = 100;

/// The most days that a rule may look at.
const MOST_DAYS: u32 = 31;

/// The longest time over which a rate is taken, in seconds; a longer one is a change.
const LONGEST_RATE_SECONDS: u32 = 3_600;

/// How old a vital sign may be to count, unless a rule says otherwise: the 15 minutes of a set of observations.
const NEWS2_WINDOW_SECONDS: u32 = 900;

pub(super) fn condition(json: &Value, path: &str) -> Result<Condition, DefinitionError> {
    let kind: String = Fields::of_any(json, path)?.required("kind")?;
    let fields = |known: &[&str]| {
        let mut all = vec!["kind"];
        all.extend(known);
        Fields::of(json, path, &all)
    };
    Ok(match kind.as_str() {
        "threshold" => Condition::Threshold(threshold(&fields(&["limits", "clear_after_seconds"])?)?),
        "sustained" => Condition::Sustained(sustained(&fields(&[
            "limits",
            "for_seconds",
            "max_gap_seconds",
            "unless",
            "clear_after_seconds",
        ])?)?),
        "repeated" => Condition::Repeated(repeated(&fields(&[
            "limits",
            "times",
            "of",
            "within_seconds",
            "clear_after_seconds",
        ])?)?),
        "change" => Condition::Change(changes(&fields(&["changes", "clear_after_seconds"])?)?),
        "rate" => Condition::Rate(rate(&fields(&[
            "metric",
            "fall_per_minute",
            "rise_per_minute",
            "over_seconds",
            "min_span_seconds",
            "toward",
            "ahead_seconds",
            "clear_after_seconds",
        ])?)?),
        "home_average" => Condition::HomeAverage(home_average(&fields(&[
            "limits",
            "days",
            "min_days",
            "zone",
            "clear_after_seconds",
        ])?)?),
        "time_in_range" => Condition::TimeInRange(time_in_range(&fields(&[
            "metric",
            "figures",
            "days",
            "min_active_percent",
            "interval_seconds",
            "zone",
            "clear_after_seconds",
        ])?)?),
        "news2" => Condition::News2(news2(&fields(&[
            "scale",
            "total_at_least",
            "single_at_least",
            "window_seconds",
            "clear_total",
            "clear_after_seconds",
        ])?)?),
        "silence" => Condition::Silence(silence(&fields(&["metric", "expected_every_seconds", "times"])?)?),
        other => {
            return Err(error(
                format!("{path}.kind"),
                format!(
                    "{other:?} is not a kind of condition: expected threshold, sustained, repeated, change, rate, \
                     home_average, time_in_range, news2 or silence"
                ),
            ));
        }
    })
}

fn threshold(fields: &Fields<'_>) -> Result<Threshold, DefinitionError> {
    Ok(Threshold {
        limits: limits(fields)?,
        clear_after_seconds: clear_after(fields)?,
    })
}

fn sustained(fields: &Fields<'_>) -> Result<Sustained, DefinitionError> {
    Ok(Sustained {
        limits: limits(fields)?,
        for_seconds: fields.seconds("for_seconds")?,
        max_gap_seconds: fields.seconds("max_gap_seconds")?,
        unless: match fields.given("unless") {
            Some(json) => Some(unless(json, &fields.path("unless"))?),
            None => None,
        },
        clear_after_seconds: clear_after(fields)?,
    })
}

fn unless(json: &Value, path: &str) -> Result<Unless, DefinitionError> {
    let known = [
        "metric",
        "below",
        "at_most",
        "at_least",
        "above",
        "within_seconds",
    ];
    let fields = Fields::of(json, path, &known)?;
    let metric = fields.required("metric")?;
    Ok(Unless {
        metric,
        bound: bound(&fields, metric)?,
        within_seconds: fields.seconds("within_seconds")?,
    })
}

fn repeated(fields: &Fields<'_>) -> Result<Repeated, DefinitionError> {
    let of = fields.within("of", 1..=MOST_READINGS)?;
    Ok(Repeated {
        limits: limits(fields)?,
        times: fields.within("times", 1..=of)?,
        of,
        within_seconds: fields.seconds("within_seconds")?,
        clear_after_seconds: clear_after(fields)?,
    })
}

fn changes(fields: &Fields<'_>) -> Result<Changes, DefinitionError> {
    Ok(Changes {
        changes: fields.list("changes", change)?,
        clear_after_seconds: clear_after(fields)?,
    })
}

fn change(json: &Value, path: &str) -> Result<Change, DefinitionError> {
    let fields = Fields::of(json, path, &["metric", "rise", "fall", "within_seconds", "clear"])?;
    let metric: Metric = fields.required("metric")?;
    let span = metric.plausible().end() - metric.plausible().start();
    let direction = fields.one_of(&["rise", "fall"], |name| {
        let amount = positive(&fields, name, span)?;
        Ok(match name {
            "rise" => Direction::Rise(amount),
            _ => Direction::Fall(amount),
        })
    })?;
    let clear = fields.optional_within("clear", -span..=span)?;
    if clear.is_some_and(|clear| clear >= direction.amount()) {
        return Err(error(
            fields.path("clear"),
            "must be less than the change that it clears",
        ));
    }
    Ok(Change {
        metric,
        direction,
        within_seconds: fields.seconds("within_seconds")?,
        clear,
    })
}

fn rate(fields: &Fields<'_>) -> Result<Rate, DefinitionError> {
    let metric: Metric = fields.required("metric")?;
    let span = metric.plausible().end() - metric.plausible().start();
    let direction = fields.one_of(&["fall_per_minute", "rise_per_minute"], |name| {
        let rate = positive(fields, name, span)?;
        Ok(match name {
            "fall_per_minute" => Direction::Fall(rate),
            _ => Direction::Rise(rate),
        })
    })?;
    let over_seconds = fields.within("over_seconds", 1..=LONGEST_RATE_SECONDS)?;
    Ok(Rate {
        metric,
        direction,
        over_seconds,
        min_span_seconds: fields.within("min_span_seconds", 1..=over_seconds)?,
        toward: fields.plausible("toward", metric)?,
        ahead_seconds: fields.seconds_or_zero("ahead_seconds")?,
        clear_after_seconds: clear_after(fields)?,
    })
}

fn home_average(fields: &Fields<'_>) -> Result<HomeAverage, DefinitionError> {
    let limits = limits(fields)?;
    let pressure = |limit: &Limit| matches!(limit.metric, Metric::Systolic | Metric::Diastolic);
    if let Some(index) = limits.iter().position(|limit| !pressure(limit)) {
        let path = fields.path(&format!("limits[{index}].metric"));
        return Err(error(path, "expected systolic or diastolic"));
    }
    let days = fields.within("days", 2..=MOST_DAYS)?;
    Ok(HomeAverage {
        limits,
        days,
        min_days: fields.within("min_days", 2..=days)?,
        zone: zone(fields)?,
        clear_after_seconds: clear_after(fields)?,
    })
}

fn time_in_range(fields: &Fields<'_>) -> Result<TimeInRange, DefinitionError> {
    let metric: Metric = fields.required("metric")?;
    Ok(TimeInRange {
        metric,
        figures: fields.list("figures", |json, path| figure(json, path, metric))?,
        days: fields.within("days", 1..=MOST_DAYS)?,
        min_active_percent: fields.within("min_active_percent", 1.0..=100.0)?,
        interval_seconds: fields.within("interval_seconds", 1..=86_400)?,
        zone: zone(fields)?,
        clear_after_seconds: clear_after(fields)?,
    })
}

fn figure(json: &Value, path: &str, metric: Metric) -> Result<Figure, DefinitionError> {
    let known = [
        "below",
        "at_most",
        "at_least",
        "above",
        "from",
        "to",
        "over_percent",
        "under_percent",
        "clear",
    ];
    let fields = Fields::of(json, path, &known)?;
    let share = match fields.optional::<f64>("from")? {
        None => Share::Beyond(bound(&fields, metric)?),
        Some(_) => {
            let (from, to) = (fields.plausible("from", metric)?, fields.plausible("to", metric)?);
            if from > to {
                return Err(error(fields.path("to"), "must not be below from"));
            }
            Share::Within { from, to }
        }
    };
    let limit = fields.one_of(&["over_percent", "under_percent"], |name| {
        let percent = fields.within(name, 0.0..=100.0)?;
        Ok(match name {
            "over_percent" => Percent::OverPercent(percent),
            _ => Percent::UnderPercent(percent),
        })
    })?;
    let clear = fields.optional_within("clear", 0.0..=100.0)?;
    if clear.is_some_and(|clear| limit.is_breached_by(clear)) {
        return Err(error(
            fields.path("clear"),
            "breaches the limit itself, so nothing could clear at it",
        ));
    }
    Ok(Figure { share, limit, clear })
}

fn news2(fields: &Fields<'_>) -> Result<News2, DefinitionError> {
    let total_at_least = fields.optional_within("total_at_least", 1..=20)?;
    let single_at_least = fields.optional_within("single_at_least", 1..=3)?;
    if total_at_least.is_none() && single_at_least.is_none() {
        return Err(error(
            fields.path("total_at_least"),
            "missing, and single_at_least is missing too",
        ));
    }
    let clear_total = fields.optional_within("clear_total", 0..=19)?;
    if clear_total
        .zip(total_at_least)
        .is_some_and(|(clear, total)| clear >= total)
    {
        return Err(error(
            fields.path("clear_total"),
            "must be less than total_at_least",
        ));
    }
    Ok(News2 {
        scale: match fields.within("scale", 1..=2)? {
            1 => Scale::One,
            _ => Scale::Two,
        },
        total_at_least,
        single_at_least,
        window_seconds: match fields.given("window_seconds") {
            Some(_) => fields.seconds("window_seconds")?,
            None => NEWS2_WINDOW_SECONDS,
        },
        clear_total,
        clear_after_seconds: clear_after(fields)?,
    })
}

fn silence(fields: &Fields<'_>) -> Result<Silence, DefinitionError> {
    Ok(Silence {
        metric: fields.required("metric")?,
        expected_every_seconds: fields.seconds("expected_every_seconds")?,
        times: fields.within("times", 1..=MOST_READINGS)?,
    })
}

fn limits(fields: &Fields<'_>) -> Result<Vec<Limit>, DefinitionError> {
    let mut limits: Vec<Limit> = Vec::new();
    fields.list("limits", |json, path| {
        let limit = limit(json, path)?;
        if let Some(other) = limits.iter().find(|other| other.metric == limit.metric) {
            agree(other, &limit, path)?;
        }
        limits.push(limit);
        Ok(())
    })?;
    Ok(limits)
}

fn limit(json: &Value, path: &str) -> Result<Limit, DefinitionError> {
    let known = ["metric", "below", "at_most", "at_least", "above", "clear"];
    let fields = Fields::of(json, path, &known)?;
    let metric: Metric = fields.required("metric")?;
    let bound = bound(&fields, metric)?;
    let clear = fields.number("clear", metric)?;
    if let Some(clear) = clear.filter(|clear| bound.is_met_by(metric, *clear)) {
        let problem = format!("{clear} breaches the limit itself, so nothing could clear at it");
        return Err(error(fields.path("clear"), problem));
    }
    Ok(Limit { metric, bound, clear })
}

fn bound(fields: &Fields<'_>, metric: Metric) -> Result<Bound, DefinitionError> {
    fields.one_of(&BOUNDS, |name| {
        let number = fields.plausible(name, metric)?;
        Ok(match name {
            "below" => Bound::Below(number),
            "at_most" => Bound::AtMost(number),
            "at_least" => Bound::AtLeast(number),
            _ => Bound::Above(number),
        })
    })
}

/// Whether two limits of one metric leave room between them, in which both are clear.
fn agree(one: &Limit, other: &Limit, path: &str) -> Result<(), DefinitionError> {
    let (low, high) = match (one.bound.side(), other.bound.side()) {
        (Side::Low, Side::High) => (one, other),
        (Side::High, Side::Low) => (other, one),
        (Side::Low, Side::Low) | (Side::High, Side::High) => {
            let problem = format!("{} has another limit on the same side", other.metric);
            return Err(error(path, problem));
        }
    };
    let healthy_from = low.clear.unwrap_or(low.bound.value());
    let healthy_to = high.clear.unwrap_or(high.bound.value());
    if healthy_from < healthy_to {
        Ok(())
    } else {
        let problem = format!(
            "the limits of {} leave no value at which both are clear",
            low.metric
        );
        Err(error(path, problem))
    }
}

fn positive(fields: &Fields<'_>, name: &str, most: f64) -> Result<f64, DefinitionError> {
    let number: f64 = fields.within(name, 0.0..=most)?;
    if number > 0.0 {
        Ok(number)
    } else {
        Err(error(fields.path(name), "must be positive"))
    }
}

fn zone(fields: &Fields<'_>) -> Result<Zone, DefinitionError> {
    let name: String = fields.required("zone")?;
    Zone::named(&name).ok_or_else(|| {
        error(
            fields.path("zone"),
            format!("{name:?} is not a time zone such as Europe/London"),
        )
    })
}

fn clear_after(fields: &Fields<'_>) -> Result<u32, DefinitionError> {
    fields.seconds_or_zero("clear_after_seconds")
}
