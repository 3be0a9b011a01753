use super::About;
use super::time::seconds;
use super::words::{amount, exact, quantity, subject};
use crate::Mark;
use crate::kinds::{Change, Changes, Direction, NOISE};

/// "Weight 84.3 kg, 2.4 kg more than the 81.9 kg of 19 November (limit 2.0 kg in 3 days)"
pub(super) fn sentence(kind: &Changes, about: &About<'_>) -> Option<String> {
    let Mark {
        metric, at, value, ..
    } = about.latest;
    let change = change(kind, about)?;
    let by = |figure: f64| {
        let enough = change.direction.amount() - NOISE;
        amount(metric, figure, |told| told >= enough)
    };
    let calendar = about.calendar();
    let (more, rising, rise) = match change.direction {
        Direction::Rise(_) => ("more", "rising", "rise"),
        Direction::Fall(_) => ("less", "falling", "fall"),
    };
    let mut sentence = format!(
        "{} {}, {} {more} than ",
        subject(metric),
        quantity(metric, value, |_| true),
        by(about.latest.figure?)
    );
    let from: Option<Mark> = about.detail("from");
    sentence += &match from {
        Some(from) => format!(
            "the {} of {}",
            quantity(metric, from.value, |_| true),
            calendar.time_or_day(from.at)
        ),
        None => "before".to_owned(),
    };
    sentence += &format!(
        " (limit {} in {})",
        exact(metric, change.direction.amount()),
        seconds(change.within_seconds)
    );
    if from.is_none_or(|from| from.at > about.onset.at) && at > about.onset.at {
        sentence += &format!("; {rising} since {}", calendar.time_or_day(about.onset.at));
    }
    if let Some(figure) = worst(about, &change) {
        sentence += &format!(
            "; greatest {rise} {}, to {} at {}",
            by(figure),
            quantity(metric, about.worst.value, |_| true),
            calendar.time(about.worst.at)
        );
    }
    Some(sentence + &about.ending())
}

/// The change of the latest reading: the one that the detail names, or else the only one that it can be.
fn change(kind: &Changes, about: &About<'_>) -> Option<Change> {
    let Mark { metric, value, .. } = about.latest;
    let figure = about.latest.figure?;
    let from: Option<Mark> = about.detail("from");
    let rose = from.map(|from| value >= from.value);
    let within: Option<u32> = about.detail("within_seconds");
    let mut fitting = kind.changes.iter().filter(|change| {
        change.metric == metric
            && change.direction.amount() <= figure + NOISE
            && rose.is_none_or(|rose| rose == matches!(change.direction, Direction::Rise(_)))
            && within.is_none_or(|within| within == change.within_seconds)
    });
    let first = fitting.next().copied();
    // Of several, the detail of an old episode does not say which.
    first.filter(|_| within.is_some() || fitting.next().is_none())
}

/// The greatest change, where it was another than the latest. It is one of the same kind, unless the rule has
/// several: then nobody knows.
fn worst(about: &About<'_>, change: &Change) -> Option<f64> {
    let figure = about.worst.figure?;
    let same = about.worst.metric == change.metric && figure > about.latest.figure?;
    same.then_some(figure)
}
