use homeward_record::Metric;

use super::About;
use super::time::Calendar;
use super::words::{bound, extreme, noun, quantity};
use crate::kinds::HomeAverage;
use crate::{Limit, Mark};

/// "Average home systolic blood pressure 142 mmHg over 12 readings on 4 days after the first, at or above
/// 135 mmHg since 12 November; 2 of these days have fewer than two readings"
pub(super) fn sentence(kind: &HomeAverage, about: &About<'_>) -> Option<String> {
    let (limit, average) = average(kind, &about.latest)?;
    let calendar = Calendar::within(kind.zone, about.latest.at);
    let day = |mark: &Mark| calendar.day(kind.zone.date(mark.at));
    let mut sentence = format!("Average home {} {average}", noun(about.latest.metric));
    let days: Option<u64> = about.detail("days");
    let readings: Option<u64> = about.detail("readings");
    if let (Some(days), Some(readings)) = (days, readings) {
        let days = days.saturating_sub(1);
        let plural = |n| if n == 1 { "" } else { "s" };
        sentence += &format!(
            " over {readings} reading{} on {days} day{} after the first",
            plural(readings),
            plural(days)
        );
    }
    sentence += &format!(", {}", bound(limit.metric, limit.bound));
    let same_limit = average_limit(kind, &about.onset).is_some_and(|onset| onset == limit);
    sentence += if same_limit { "" } else { "; outside the limits" };
    sentence += &format!(" since {}", day(&about.onset));
    match about.detail("days_with_fewer_than_two").unwrap_or(0_u64) {
        0 => {}
        1 => sentence += "; 1 of these days has fewer than two readings",
        short => sentence += &format!("; {short} of these days have fewer than two readings"),
    }
    if let Some((worst, average)) = self::average(kind, &about.worst).filter(|_| about.worst_differs()) {
        let of = match worst.metric {
            metric if metric == limit.metric => "",
            Metric::Systolic => "systolic ",
            _ => "diastolic ",
        };
        sentence += &format!(
            "; {} average {of}{average} on {}",
            extreme(worst),
            day(&about.worst)
        );
    }
    Some(sentence + &about.ending())
}

/// The limit of the average that a reading made, and the average.
fn average<'a>(kind: &'a HomeAverage, mark: &Mark) -> Option<(&'a Limit, String)> {
    let limit = average_limit(kind, mark)?;
    let average = quantity(limit.metric, mark.figure?, |told| limit.is_breached_by(told));
    Some((limit, average))
}

fn average_limit<'a>(kind: &'a HomeAverage, mark: &Mark) -> Option<&'a Limit> {
    let figure = mark.figure?;
    kind.limits
        .iter()
        .find(|limit| limit.metric == mark.metric && limit.is_breached_by(figure))
}
