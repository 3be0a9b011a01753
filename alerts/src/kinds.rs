//! The kinds of conditions. Each says in its own file what it is in JSON, what it remembers, and what a moment
//! tells its channels.

mod change;
mod home_average;
mod local_day;
mod news2;
mod rate;
mod repeated;
mod silence;
mod sustained;
mod threshold;
mod time_in_range;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub use self::change::{Change, Changes, Direction};
pub use self::home_average::HomeAverage;
pub use self::local_day::Zone;
pub(crate) use self::news2::{METRICS as NEWS2_METRICS, Scores as News2Scores, Vitals};
pub use self::news2::{News2, Scale};
pub use self::rate::Rate;
pub use self::repeated::Repeated;
pub use self::silence::Silence;
pub use self::sustained::{Sustained, Unless};
pub use self::threshold::Threshold;
pub use self::time_in_range::{Figure, Percent, Share, TimeInRange};
use crate::channel::Timing;
use crate::course::Course;
use crate::signal::Signal;
use crate::{Limit, Observation};

/// When a rule raises an episode, and when it clears it. Tagged by `kind` in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Condition {
    /// One reading beyond any of the limits.
    Threshold(Threshold),
    /// Readings beyond one and the same limit for a time.
    Sustained(Sustained),
    /// So many of the last readings beyond a limit.
    Repeated(Repeated),
    /// A value higher or lower than it was within a time.
    Change(Changes),
    /// A value that rises or falls fast towards a bound.
    Rate(Rate),
    /// The average of a course of blood-pressure measurements at home.
    HomeAverage(HomeAverage),
    /// Shares of the readings of many days within ranges.
    TimeInRange(TimeInRange),
    /// The National Early Warning Score 2.
    News2(News2),
    /// Nothing measured for too long: raised by a timer, cleared by a reading.
    Silence(Silence),
}

/// What a condition remembers of the readings beside its channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recollection {
    /// Nothing, or nothing yet.
    #[default]
    Nothing,
    Sustained(sustained::Memory),
    Repeated(repeated::Memory),
    Change(change::Memory),
    Rate(rate::Memory),
    HomeAverage(Course),
    TimeInRange(time_in_range::Days),
    News2(news2::Vitals),
}

/// The signals of a moment, by the keys of their channels, in the order of the channels. Most conditions have one or
/// two, and each reading makes some for each rule.
pub(crate) type Signals = SmallVec<[(u16, Signal); 2]>;

/// The memory of a kind, begun anew if it is another's.
macro_rules! recollect {
    ($memory:expr, $kind:ident) => {{
        if !matches!($memory, Recollection::$kind(_)) {
            *$memory = Recollection::$kind(Default::default());
        }
        let Recollection::$kind(memory) = $memory else {
            unreachable!("just made so")
        };
        memory
    }};
}

impl Condition {
    /// What the moment tells the channels.
    pub(crate) fn signals(&self, memory: &mut Recollection, moment: &[Observation]) -> Signals {
        match self {
            Condition::Threshold(kind) => of_limits(&kind.limits, moment),
            Condition::Sustained(kind) => match &kind.unless {
                None => of_limits(&kind.limits, moment),
                Some(unless) => kind.signals(unless, recollect!(memory, Sustained), moment),
            },
            Condition::Repeated(kind) => kind.signals(recollect!(memory, Repeated), moment),
            Condition::Change(kind) => kind.signals(recollect!(memory, Change), moment),
            Condition::Rate(kind) => kind.signals(recollect!(memory, Rate), moment),
            Condition::HomeAverage(kind) => kind.signals(recollect!(memory, HomeAverage), moment),
            Condition::TimeInRange(kind) => kind.signals(recollect!(memory, TimeInRange), moment),
            Condition::News2(kind) => kind.signals(recollect!(memory, News2), moment),
            Condition::Silence(_) => Signals::new(),
        }
    }

    /// Whether the moment ends what channels are counting, whatever their signals.
    pub(crate) fn interrupts(&self, moment: &[Observation]) -> bool {
        match self {
            Condition::Sustained(Sustained {
                unless: Some(unless), ..
            }) => unless.is_met_in(moment),
            _ => false,
        }
    }

    /// The keys of the channels.
    pub(crate) fn keys(&self) -> Vec<u16> {
        let indexed = |n: usize| (0..n).map(index_key).collect();
        match self {
            Condition::Change(kind) => indexed(kind.changes.len()),
            Condition::TimeInRange(kind) => indexed(kind.figures.len()),
            Condition::Rate(_) | Condition::News2(_) | Condition::Silence(_) => indexed(1),
            _ => self.limits().iter().map(limit_key).collect(),
        }
    }

    /// The limits of readings, where it has such.
    pub fn limits(&self) -> &[Limit] {
        match self {
            Condition::Threshold(Threshold { limits, .. })
            | Condition::Sustained(Sustained { limits, .. })
            | Condition::Repeated(Repeated { limits, .. })
            | Condition::HomeAverage(HomeAverage { limits, .. }) => limits,
            Condition::Change(_)
            | Condition::Rate(_)
            | Condition::TimeInRange(_)
            | Condition::News2(_)
            | Condition::Silence(_) => &[],
        }
    }

    /// The metrics that it looks at, each once. Readings of others change nothing.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> = self.limits().iter().map(|limit| limit.metric).collect();
        match self {
            Condition::Sustained(kind) => metrics.extend(kind.unless.iter().map(|unless| unless.metric)),
            Condition::Change(kind) => metrics.extend(kind.changes.iter().map(|change| change.metric)),
            Condition::Rate(kind) => metrics.push(kind.metric),
            Condition::TimeInRange(kind) => metrics.push(kind.metric),
            Condition::News2(_) => metrics.extend(NEWS2_METRICS),
            Condition::Silence(kind) => metrics.push(kind.metric),
            Condition::Threshold(_) | Condition::Repeated(_) | Condition::HomeAverage(_) => {}
        }
        metrics.sort_unstable();
        metrics.dedup();
        metrics
    }

    pub(crate) fn timing(&self) -> Timing {
        let seconds = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
        let (hold, max_gap) = match self {
            Condition::Sustained(kind) => (seconds(kind.for_seconds), seconds(kind.max_gap_seconds)),
            _ => (TimeDelta::zero(), TimeDelta::MAX),
        };
        let clear_after_seconds = match self {
            Condition::Threshold(kind) => kind.clear_after_seconds,
            Condition::Sustained(kind) => kind.clear_after_seconds,
            Condition::Repeated(kind) => kind.clear_after_seconds,
            Condition::Change(kind) => kind.clear_after_seconds,
            Condition::Rate(kind) => kind.clear_after_seconds,
            Condition::HomeAverage(kind) => kind.clear_after_seconds,
            Condition::TimeInRange(kind) => kind.clear_after_seconds,
            Condition::News2(kind) => kind.clear_after_seconds,
            Condition::Silence(_) => 0,
        };
        Timing {
            hold,
            max_gap,
            clear_after: seconds(clear_after_seconds),
        }
    }

    /// How far back a reading still has a say in what it makes of the next one, while no episode is open.
    pub(crate) fn lookback(&self) -> TimeDelta {
        let seconds = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
        let days = |days: u32| TimeDelta::days(i64::from(days) + 2);
        match self {
            Condition::Threshold(_) | Condition::Silence(_) => TimeDelta::zero(),
            Condition::Sustained(kind) => {
                // Whether the first of its breaches is one hangs on what was before that.
                let unless = kind.unless.as_ref().map_or(0, |unless| unless.within_seconds);
                seconds(unless) + seconds(kind.for_seconds) + seconds(kind.max_gap_seconds)
            }
            Condition::Repeated(kind) => seconds(kind.within_seconds),
            Condition::Change(kind) => {
                let longest = kind.changes.iter().map(|change| change.within_seconds).max();
                seconds(longest.unwrap_or(0))
            }
            Condition::Rate(kind) => seconds(kind.over_seconds),
            Condition::HomeAverage(kind) => days(kind.days),
            Condition::TimeInRange(kind) => days(kind.days),
            Condition::News2(kind) => seconds(kind.window_seconds),
        }
    }
}

/// The signals of limits that look at nothing but the moment.
fn of_limits(limits: &[Limit], moment: &[Observation]) -> Signals {
    limits
        .iter()
        .filter_map(|limit| Some((limit_key(limit), crate::signal::of_limit(limit, moment)?)))
        .collect()
}

/// Names a limit by metric and side, which a rule has once: so what is remembered of it outlives a change of
/// its numbers.
fn limit_key(limit: &Limit) -> u16 {
    limit.metric.code().unsigned_abs() * 2 + limit.bound.side() as u16
}

/// Names the channels of a condition that has no limits.
fn index_key(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// The observations of a metric, in their order.
fn of_metric(
    moment: &[Observation],
    metric: Metric,
) -> impl DoubleEndedIterator<Item = &Observation> + Clone {
    moment
        .iter()
        .filter(move |observation| observation.metric == metric)
}

/// When a moment was; a moment is never empty.
fn time_of(moment: &[Observation]) -> DateTime<Utc> {
    moment[0].at
}

/// Far less than any device resolves, and more than the noise of the arithmetic: 72.3 − 70.3 is to be 2.
pub(crate) const NOISE: f64 = 1e-9;
