//! A slow second opinion for tests: which episodes a series of readings in order makes, worked out from
//! the whole series by the words of [`step`](crate::step), sharing no code with it.

use chrono::TimeDelta;

use crate::{Bound, Condition, Definition, Limit, Observation, Point};

/// An episode, told by the numbers of readings in the series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Episode {
    pub(crate) onset: usize,
    pub(crate) raised: usize,
    pub(crate) latest: usize,
    /// How far the worst is beyond its bound, as a share of the bound.
    pub(crate) worst: f64,
    pub(crate) cleared: Option<usize>,
}

/// How one limit sees the series: for every reading, of its metric or not.
struct View {
    /// The limit is met once the reading is known.
    met: Vec<bool>,
    /// The reading breaches the limit by this share of the bound.
    excess: Vec<Option<f64>>,
    /// Where the span of breaching readings that ends here began, if the span completes the condition.
    completes: Vec<Option<usize>>,
}

pub(crate) fn episodes(rule: &Definition, series: &[Observation]) -> Vec<Episode> {
    let views: Vec<View> = rule
        .condition
        .limits()
        .iter()
        .map(|limit| view(&rule.condition, limit, series))
        .collect();
    let open = |n: usize| views.iter().any(|view| view.met[n]);
    let mut episodes = Vec::new();
    let mut n = 0;
    while n < series.len() {
        if !open(n) {
            n += 1;
            continue;
        }
        let raised = n;
        while n < series.len() && open(n) {
            n += 1;
        }
        episodes.push(episode(&views, raised, n, series.len()));
    }
    episodes
}

/// The episode whose readings are `raised..end`.
fn episode(views: &[View], raised: usize, end: usize, len: usize) -> Episode {
    let onset = views
        .iter()
        .filter_map(|view| view.completes[raised])
        .min()
        .expect("an episode begins with a reading that completes");
    let mut latest = raised;
    let mut worst = 0.0_f64;
    for view in views {
        for n in raised..end {
            let Some(excess) = view.excess[n] else { continue };
            if !view.met[n] {
                continue;
            }
            latest = latest.max(n);
            worst = worst.max(excess);
            if n == 0 || !view.met[n - 1] {
                let first = view.completes[n].expect("a limit is met first by a reading that completes");
                worst = (first..n).filter_map(|n| view.excess[n]).fold(worst, f64::max);
            }
        }
    }
    Episode {
        onset,
        raised,
        latest,
        worst,
        cleared: (end < len).then_some(end),
    }
}

fn view(condition: &Condition, limit: &Limit, series: &[Observation]) -> View {
    let (hold, max_gap, clear_after) = match *condition {
        Condition::Threshold {
            clear_after_seconds, ..
        } => (0, u32::MAX, clear_after_seconds),
        Condition::Sustained {
            for_seconds,
            max_gap_seconds,
            clear_after_seconds,
            ..
        } => (for_seconds, max_gap_seconds, clear_after_seconds),
    };
    let own: Vec<usize> = (0..series.len())
        .filter(|&n| series[n].metric == limit.metric)
        .collect();
    let completes_at = |n: usize| {
        longest_span(series, &own, n, hold, max_gap, |value| {
            breaches(limit.bound, value)
        })
    };
    let clears_at = |n: usize| {
        longest_span(series, &own, n, clear_after, u32::MAX, |value| {
            is_back(limit, value)
        })
    };
    let met_at = |n: usize| {
        let before = || own.iter().rev().copied().skip_while(move |&own| own > n);
        let completed = before().find(|&own| completes_at(own).is_some());
        let cleared = before().find(|&own| clears_at(own).is_some());
        completed > cleared
    };
    let excess_at = |n: usize| {
        let bound = number(limit.bound);
        (own.contains(&n) && breaches(limit.bound, series[n].value))
            .then(|| (series[n].value - bound).abs() / bound)
    };
    View {
        met: (0..series.len()).map(met_at).collect(),
        excess: (0..series.len()).map(excess_at).collect(),
        completes: (0..series.len()).map(completes_at).collect(),
    }
}

/// The beginning of the longest span of readings among `own` that ends with `n`, all of which are `good`
/// and none further from the next than `max_gap` seconds, if it is at least `seconds` long.
fn longest_span(
    series: &[Observation],
    own: &[usize],
    n: usize,
    seconds: u32,
    max_gap: u32,
    good: impl Fn(f64) -> bool,
) -> Option<usize> {
    let apart = |from: usize, to: usize| series[to].at - series[from].at;
    let duration = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
    let end = own.iter().position(|&own| own == n)?;
    let starts = (0..=end).find(|&start| {
        let span = &own[start..=end];
        span.iter().all(|&n| good(series[n].value))
            && span
                .windows(2)
                .all(|pair| apart(pair[0], pair[1]) <= duration(max_gap))
            && apart(own[start], n) >= duration(seconds)
    })?;
    Some(own[starts])
}

fn breaches(bound: Bound, value: f64) -> bool {
    match bound {
        Bound::Below(number) => value < number,
        Bound::AtMost(number) => value <= number,
        Bound::AtLeast(number) => value >= number,
        Bound::Above(number) => value > number,
    }
}

fn is_back(limit: &Limit, value: f64) -> bool {
    let number = limit.clear.unwrap_or(number(limit.bound));
    let beyond = match limit.bound {
        Bound::Below(_) | Bound::AtMost(_) => value >= number,
        Bound::AtLeast(_) | Bound::Above(_) => value <= number,
    };
    beyond && !breaches(limit.bound, value)
}

fn number(bound: Bound) -> f64 {
    match bound {
        Bound::Below(number) | Bound::AtMost(number) | Bound::AtLeast(number) | Bound::Above(number) => {
            number
        }
    }
}

/// The share of its bound by which a point is beyond it.
pub(crate) fn excess(rule: &Definition, point: &Point) -> f64 {
    let limits = rule.condition.limits().iter();
    limits
        .filter(|limit| limit.metric == point.metric && breaches(limit.bound, point.value))
        .map(|limit| (point.value - number(limit.bound)).abs() / number(limit.bound))
        .fold(0.0, f64::max)
}
