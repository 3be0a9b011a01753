//! What a rule waits for, in plain English.

use homeward_record::Metric;

use super::time::seconds;
use super::words::{amount, bound, count, exact, exact_number, list, noun, number, percent, subject, unit};
use crate::kinds::{
    Change, Changes, Condition, Direction, Figure, HomeAverage, News2, Percent, Rate, Repeated, Scale, Share,
    Silence, Sustained, TimeInRange, Unless,
};
use crate::{Limit, Side};

/// When a rule raises an alert, and when that is over, such as "Glucose below 3.9 mmol/L for 15 minutes; a gap of more
/// than 1 hour begins the count anew. Over when it is at or above 4.2 mmol/L again for 15 minutes."
pub fn condition_in_words(condition: &Condition) -> String {
    match condition {
        Condition::Threshold(kind) => {
            let raised = format!("{} in a single reading.", limits(&kind.limits));
            raised + &over(&kind.limits, kind.clear_after_seconds)
        }
        Condition::Sustained(kind) => sustained(kind),
        Condition::Repeated(kind) => repeated(kind),
        Condition::Change(kind) => changes(kind),
        Condition::Rate(kind) => rate(kind),
        Condition::HomeAverage(kind) => home_average(kind),
        Condition::TimeInRange(kind) => time_in_range(kind),
        Condition::News2(kind) => news2(kind),
        Condition::Silence(kind) => silence(kind),
    }
}

/// A metric as one says it at the beginning of a sentence, and its unit as one says it after a number: "Glucose",
/// "mmol/L". What has no unit has an empty one.
pub fn metric_in_words(metric: Metric) -> (&'static str, &'static str) {
    (subject(metric), unit(metric).trim_start())
}

/// "Systolic blood pressure at or above 180 mmHg or diastolic blood pressure at or above 120 mmHg"
fn limits(limits: &[Limit]) -> String {
    let told: Vec<String> = limits
        .iter()
        .enumerate()
        .map(|(index, limit)| match index {
            0 => beyond(subject(limit.metric), limit),
            _ => beyond(&noun(limit.metric), limit),
        })
        .collect();
    told.join(" or ")
}

fn beyond(name: &str, limit: &Limit) -> String {
    match limit.metric {
        // What a cuff saw is no number to people.
        Metric::IrregularPulse => name.to_owned(),
        metric => format!("{name} {}", bound(metric, limit.bound)),
    }
}

/// " Over when it is at or above 3.9 mmol/L again for 15 minutes."
fn over(limits: &[Limit], clear_after_seconds: u32) -> String {
    let back = |limit: &Limit| {
        let back = match (limit.metric, limit.clear, limit.bound.side()) {
            (Metric::IrregularPulse, ..) => "not seen".to_owned(),
            (_, None, _) => "within the limit".to_owned(),
            (metric, Some(clear), Side::Low) => format!("at or above {}", exact(metric, clear)),
            (metric, Some(clear), Side::High) => format!("at or below {}", exact(metric, clear)),
        };
        match limits {
            [_] => format!("it is {back}"),
            _ => format!("{} is {back}", noun(limit.metric)),
        }
    };
    let back: Vec<String> = limits.iter().map(back).collect();
    format!(
        " Over when {} again{}.",
        list(&back),
        lasting(clear_after_seconds)
    )
}

/// " for 15 minutes", or nothing where the first reading suffices.
fn lasting(clear_after_seconds: u32) -> String {
    match clear_after_seconds {
        0 => String::new(),
        after => format!(" for {}", seconds(after)),
    }
}

fn sustained(kind: &Sustained) -> String {
    let circumstance = match &kind.unless {
        None => String::new(),
        Some(unless) => format!(
            ", without {} in the {} before",
            circumstance(unless),
            seconds(unless.within_seconds)
        ),
    };
    let raised = format!(
        "{} for {}{circumstance}; a gap of more than {} begins the count anew.",
        limits(&kind.limits),
        seconds(kind.for_seconds),
        seconds(kind.max_gap_seconds)
    );
    raised + &over(&kind.limits, kind.clear_after_seconds)
}

fn circumstance(unless: &Unless) -> String {
    let (metric, number) = (unless.metric, unless.bound.value());
    match metric {
        // Any step is one.
        Metric::Steps if number <= 1.0 => "a step".to_owned(),
        metric => format!("{} {}", noun(metric), bound(metric, unless.bound)),
    }
}

fn repeated(kind: &Repeated) -> String {
    let raised = format!(
        "{} in {} of the last {} measurements, none of them older than {}.",
        limits(&kind.limits),
        kind.times,
        kind.of,
        seconds(kind.within_seconds)
    );
    raised + &over(&kind.limits, kind.clear_after_seconds)
}

fn changes(kind: &Changes) -> String {
    let told: Vec<String> = kind.changes.iter().enumerate().map(change).collect();
    let back: Vec<String> = kind
        .changes
        .iter()
        .map(|change| match change.clear {
            Some(clear) => amount(change.metric, clear, |told| told == clear),
            None => "what it takes".to_owned(),
        })
        .collect();
    format!(
        "{}. Over when the change is no more than {}{}.",
        told.join(", or "),
        list(&back),
        lasting(kind.clear_after_seconds)
    )
}

/// "Weight 2.0 kg or more above the lowest of the 3 days before"
fn change((index, change): (usize, &Change)) -> String {
    let by = change.direction.amount();
    let from = match change.direction {
        Direction::Rise(_) => "above the lowest",
        Direction::Fall(_) => "below the highest",
    };
    let name = match index {
        0 => subject(change.metric).to_owned(),
        _ => noun(change.metric),
    };
    format!(
        "{name} {} or more {from} of the {} before",
        amount(change.metric, by, |told| told == by),
        seconds(change.within_seconds)
    )
}

fn rate(kind: &Rate) -> String {
    let by = kind.direction.amount();
    let (moving, beyond) = match kind.direction {
        Direction::Rise(_) => ("rising", "above"),
        Direction::Fall(_) => ("falling", "below"),
    };
    format!(
        "{} {moving} by {} {} a minute or more over {} to {}, which would be {beyond} {} within {}. Over when that is \
         so no more{}.",
        subject(kind.metric),
        number(by, 2, |told| told == by),
        unit(kind.metric).trim_start(),
        seconds(kind.min_span_seconds),
        seconds(kind.over_seconds),
        exact(kind.metric, kind.toward),
        seconds(kind.ahead_seconds),
        lasting(kind.clear_after_seconds)
    )
}

fn home_average(kind: &HomeAverage) -> String {
    let raised = format!(
        "{} on average of a course of {} days at home, the first day left out, once {} days have measurements.",
        limits(&kind.limits),
        kind.days,
        kind.min_days
    );
    raised + &over(&kind.limits, kind.clear_after_seconds)
}

fn time_in_range(kind: &TimeInRange) -> String {
    let figure = |figure: &Figure| {
        let share = match figure.share {
            Share::Beyond(limit) => bound(kind.metric, limit),
            Share::Within { from, to } => {
                format!(
                    "between {} and {}",
                    exact_number(kind.metric, from),
                    exact(kind.metric, to)
                )
            }
        };
        let exactly = |value| percent(value, |told| told == value);
        let limit = match figure.limit {
            Percent::OverPercent(value) => format!("over {}", exactly(value)),
            Percent::UnderPercent(value) => format!("under {}", exactly(value)),
        };
        format!("{limit} of them {share}")
    };
    let figures: Vec<String> = kind.figures.iter().map(figure).collect();
    let active = kind.min_active_percent;
    format!(
        "Of the {} readings of {} days, {}; judged once a day, where there are at least {} of the readings of a sensor \
         that sends one every {}.",
        noun(kind.metric),
        kind.days,
        figures.join(", or "),
        percent(active, |told| told == active),
        seconds(kind.interval_seconds)
    )
}

fn news2(kind: &News2) -> String {
    let scale = match kind.scale {
        Scale::One => "",
        Scale::Two => " on scale 2",
    };
    let limits = match (kind.total_at_least, kind.single_at_least) {
        (Some(total), Some(single)) => format!("of {total} or more, or {single} or more in one parameter,"),
        (Some(total), None) => format!("of {total} or more"),
        (None, Some(single)) => format!("with {single} or more in one parameter"),
        (None, None) => String::new(),
    };
    let back = match (kind.clear_total, kind.total_at_least) {
        (Some(clear), _) => format!("complete and at most {clear}"),
        (None, Some(total)) => format!("complete and below {total}"),
        (None, None) => "complete, without such a parameter".to_owned(),
    };
    format!(
        "NEWS2{scale} {limits} of measurements within {}. Over when it is {back}{}.",
        seconds(kind.window_seconds),
        lasting(kind.clear_after_seconds)
    )
}

fn silence(kind: &Silence) -> String {
    format!(
        "No {} reading for {}: {} times the {} in which one is expected. Over with the next reading.",
        noun(kind.metric),
        super::time::duration(kind.limit()),
        count(kind.times.into()),
        seconds(kind.expected_every_seconds)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Programme;

    fn told(programme: &str, code: &str) -> String {
        let rules = &Programme::named(programme).unwrap().rules;
        let rule = rules.iter().find(|rule| rule.code == code);
        let rule = rule.unwrap_or_else(|| panic!("{code} of {programme}"));
        condition_in_words(&rule.definition.condition)
    }

    #[test]
    fn every_kind_is_told() {
        for (programme, code, expected) in [
            (
                "hypertension",
                "blood-pressure-crisis",
                "Systolic blood pressure at or above 180 mmHg or diastolic blood pressure at or above 120 mmHg in a \
                 single reading. Over when systolic blood pressure is at or below 175 mmHg and diastolic blood pressure \
                 is at or below 115 mmHg again.",
            ),
            (
                "diabetes-type-1",
                "glucose-low",
                "Glucose below 3.9 mmol/L for 15 minutes; a gap of more than 30 minutes begins the count anew. Over \
                 when it is at or above 4.2 mmol/L again for 15 minutes.",
            ),
            (
                "hypertension",
                "irregular-pulse",
                "Irregular pulse in 2 of the last 3 measurements, none of them older than 7 days. Over when it is not \
                 seen again for 3 days.",
            ),
            (
                "heart-failure",
                "weight-gain",
                "Weight 2.0 kg or more above the lowest of the 3 days 4 hours before, or weight 3.0 kg or more above \
                 the lowest of the 7 days 4 hours before. Over when the change is no more than 1.0 kg and 2.0 kg for 20 \
                 hours.",
            ),
            (
                "diabetes-type-1",
                "glucose-falling-fast",
                "Glucose falling by 0.17 mmol/L a minute or more over 9 minutes to 16 minutes, which would be below \
                 4.4 mmol/L within 15 minutes. Over when that is so no more for 30 minutes.",
            ),
            (
                "hypertension",
                "home-average-above-target",
                "Systolic blood pressure at or above 135 mmHg or diastolic blood pressure at or above 85 mmHg on \
                 average of a course of 7 days at home, the first day left out, once 4 days have measurements. Over when \
                 systolic blood pressure is at or below 133 mmHg and diastolic blood pressure is at or below 83 mmHg \
                 again for 2 days.",
            ),
            (
                "diabetes-older",
                "glucose-time-in-range",
                "Of the glucose readings of 14 days, under 50 % of them between 3.9 and 10.0 mmol/L, or over 1 % of \
                 them below 3.9 mmol/L, or over 10 % of them above 13.9 mmol/L; judged once a day, where there are at \
                 least 70 % of the readings of a sensor that sends one every 5 minutes.",
            ),
            (
                "copd",
                "early-warning-score-medium",
                "NEWS2 on scale 2 of 5 or more, or 3 or more in one parameter, of measurements within 15 minutes. Over \
                 when it is complete and at most 4 for 1 hour.",
            ),
            (
                "diabetes-type-1",
                "glucose-silent",
                "No glucose reading for 6 hours: 2 times the 3 hours in which one is expected. Over with the next \
                 reading.",
            ),
            (
                "heart-failure",
                "resting-heart-rate",
                "Heart rate above 120 beats a minute or heart rate below 40 beats a minute for 10 minutes, without a \
                 step in the 10 minutes before; a gap of more than 15 minutes begins the count anew. Over when heart rate \
                 is at or below 110 beats a minute and heart rate is at or above 45 beats a minute again for 30 minutes.",
            ),
        ] {
            assert_eq!(told(programme, code), expected);
        }
    }

    #[test]
    fn a_metric_without_a_unit_has_none() {
        assert_eq!(metric_in_words(Metric::Glucose), ("Glucose", "mmol/L"));
        assert_eq!(
            metric_in_words(Metric::Consciousness),
            ("Level of consciousness", "")
        );
    }
}
