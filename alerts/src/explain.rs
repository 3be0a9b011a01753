//! Episodes in plain English.

mod change;
mod home_average;
mod limits;
mod news2;
#[cfg(test)]
mod properties;
mod rate;
mod rule;
mod silence;
#[cfg(test)]
mod tests;
mod time;
mod time_in_range;
mod words;

use chrono::{DateTime, Utc};
use homeward_record::Metric;
use serde::Deserialize;
use serde_json::Value;

pub use self::rule::{condition_in_words, metric_in_words};
use self::time::Calendar;
pub use self::words::count as count_in_words;
use self::words::{quantity, subject};
use crate::kinds::Condition;
use crate::{Definition, Episode, Mark};

/// The longest explanation, in characters.
const LONGEST: usize = 300;

/// What an explanation says of an episode.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The reading with which it began.
    pub onset: Mark,
    /// Its newest reading.
    pub latest: Mark,
    /// Its worst reading.
    pub worst: Mark,
    /// What else the rule's kind noted, as of the latest reading. Without it, as in an old record, the
    /// explanation says less.
    pub detail: Option<&'a Value>,
    /// When the reading was measured that cleared it; none while it is open.
    pub cleared_at: Option<DateTime<Utc>>,
}

impl<'a> From<&'a Episode> for About<'a> {
    fn from(episode: &'a Episode) -> About<'a> {
        About {
            onset: episode.onset,
            latest: episode.latest,
            worst: episode.worst,
            detail: episode.detail.as_ref(),
            cleared_at: episode.cleared_at,
        }
    }
}

/// A reading as one says it: what was measured, and the value with its unit, such as "Glucose" and "2.7 mmol/L".
pub fn reading_in_words(metric: Metric, value: f64) -> (&'static str, String) {
    (subject(metric), quantity(metric, value, |_| true))
}

/// Says in one sentence what was measured, against which limit, and since when, such as "Glucose 2.7 mmol/L,
/// below 3.0 mmol/L since 08:05 GMT; lowest 2.5 mmol/L at 08:10 GMT." The sentence for what the plan suggests
/// is the definition's guidance.
///
/// `definition` is the version of the rule that raised the episode. Where the readings do not fit it, since a
/// later version has gone on with the episode, the sentence is the reading alone.
///
/// Values are rounded as the metric is usually told, but never so that one beyond its limit looks as if it were
/// not. Times are by the clock of [`Zone::PATIENTS`](crate::Zone::PATIENTS) and name it; a day is given where it is not
/// that of the latest reading. Days of a course or a profile are those of the rule's own zone. No sentence is longer
/// than 300 characters.
pub fn explain(definition: &Definition, about: &About<'_>) -> String {
    let sentence = match &definition.condition {
        Condition::Threshold(kind) => limits::threshold(kind, about),
        Condition::Sustained(kind) => limits::sustained(kind, about),
        Condition::Repeated(kind) => limits::repeated(kind, about),
        Condition::Change(kind) => change::sentence(kind, about),
        Condition::Rate(kind) => rate::sentence(kind, about),
        Condition::HomeAverage(kind) => home_average::sentence(kind, about),
        Condition::TimeInRange(kind) => time_in_range::sentence(kind, about),
        Condition::News2(kind) => news2::sentence(kind, about),
        Condition::Silence(kind) => silence::sentence(kind, about),
    };
    let mut sentence = sentence.unwrap_or_else(|| about.reading_alone());
    // Only numbers that no patient has are so long.
    while sentence.chars().count() >= LONGEST
        && let Some(last_clause) = sentence.rfind("; ")
    {
        sentence.truncate(last_clause);
    }
    sentence + "."
}

impl About<'_> {
    fn calendar(&self) -> Calendar {
        Calendar::of(self.latest.at)
    }

    /// "since 08:05 GMT", or "from 08:05 to 08:40 GMT" of an episode that is over.
    fn span(&self) -> String {
        let calendar = self.calendar();
        match self.cleared_at {
            None => format!("since {}", calendar.time(self.onset.at)),
            Some(cleared_at) => calendar.span(self.onset.at, cleared_at),
        }
    }

    /// What follows where the sentence has not said that the episode is over.
    fn ending(&self) -> String {
        self.cleared_at
            .map(|at| format!("; over since {}", self.calendar().time(at)))
            .unwrap_or_default()
    }

    /// Whether the worst reading tells more than the latest.
    fn worst_differs(&self) -> bool {
        let told = |mark: &Mark| (mark.metric, mark.figure.unwrap_or(mark.value));
        told(&self.worst) != told(&self.latest)
    }

    /// A part of the detail; `None` where it is missing or another kind's.
    fn detail<'de, T: Deserialize<'de>>(&'de self, name: &str) -> Option<T> {
        T::deserialize(self.detail?.get(name)?).ok()
    }

    fn reading_alone(&self) -> String {
        let Mark {
            metric, at, value, ..
        } = self.latest;
        if metric == Metric::IrregularPulse {
            let seen = if value > 0.0 { "Irregular" } else { "No irregular" };
            return format!("{seen} pulse at {}", self.calendar().time(at));
        }
        format!(
            "{} {} at {}",
            subject(metric),
            quantity(metric, value, |_| true),
            self.calendar().time(at)
        )
    }
}
