use homeward_record::Metric;
use serde_json::Value;

use super::About;
use super::time::Calendar;
use super::words::{bound, count, exact, exact_number, noun, number, percent};
use crate::Mark;
use crate::kinds::{Figure, Percent, Share, TimeInRange};

/// "61 % of 3,980 glucose readings of the 14 days before 22 November between 3.9 and 10.0 mmol/L, under 70 %
/// (sensor active 98 %); off target since 15 November"
pub(super) fn sentence(kind: &TimeInRange, about: &About<'_>) -> Option<String> {
    let figure = figure(kind, about)?;
    let calendar = Calendar::within(kind.zone, about.latest.at);
    let day = |mark: &Mark| calendar.day(kind.zone.date(mark.at));
    let told = |value| percent(value, |told| figure.limit.is_breached_by(told));
    let days = match kind.days {
        1 => "the day".to_owned(),
        days => format!("the {days} days"),
    };
    let readings: Option<u64> = about.detail("readings");
    let readings = match readings {
        Some(1) => format!("1 {} reading", noun(kind.metric)),
        Some(n) => format!("{} {} readings", count(n), noun(kind.metric)),
        None => format!("the {} readings", noun(kind.metric)),
    };
    let limit = figure.limit.value();
    let mut sentence = format!(
        "{} of {readings} of {days} before {} {}, {} {}",
        told(about.latest.figure?),
        day(&about.latest),
        share(kind.metric, figure.share),
        match figure.limit {
            Percent::OverPercent(_) => "over",
            Percent::UnderPercent(_) => "under",
        },
        number(limit, 0, |told| told == limit) + " %"
    );
    if let Some(active) = about.detail("active_percent") {
        let active = percent(active, |told| told >= kind.min_active_percent);
        sentence += &format!(" (sensor active {active})");
    }
    sentence += &format!("; off target since {}", day(&about.onset));
    // The worst reading does not say of which share it is.
    if let ([_], Some(worst)) = (&kind.figures[..], about.worst.figure)
        && about.worst_differs()
        && figure.limit.is_breached_by(worst)
    {
        let extreme = match figure.limit {
            Percent::OverPercent(_) => "highest",
            Percent::UnderPercent(_) => "lowest",
        };
        sentence += &format!("; {extreme} {} on {}", told(worst), day(&about.worst));
    }
    Some(sentence + &about.ending())
}

/// The share of the latest reading: the one that the detail names, or else the only one that it can be.
fn figure<'a>(kind: &'a TimeInRange, about: &About<'_>) -> Option<&'a Figure> {
    let percent = about
        .latest
        .figure
        .filter(|_| about.latest.metric == kind.metric)?;
    let named: Option<Value> = about.detail("figure");
    let mut fitting = kind.figures.iter().filter(|figure| {
        figure.limit.is_breached_by(percent)
            && named
                .as_ref()
                .is_none_or(|named| serde_json::to_value(figure).is_ok_and(|figure| figure == *named))
    });
    let first = fitting.next()?;
    (named.is_some() || fitting.next().is_none()).then_some(first)
}

fn share(metric: Metric, share: Share) -> String {
    match share {
        Share::Beyond(limit) => bound(metric, limit),
        Share::Within { from, to } => {
            format!("between {} and {}", exact_number(metric, from), exact(metric, to))
        }
    }
}
