//! A slow second opinion on the alert engine: the episodes of any condition but silence, worked out anew from
//! a patient's whole series.
//!
//! It shares no code with the engine and remembers nothing from one moment to the next: for each moment it
//! looks back over the series and says what the rule's text says. A new kind is a file that gives each
//! channel's signals; [`episode`] makes episodes of signals, for all kinds alike.
//!
//! [`series`] makes patients to judge, and conditions to judge them by.
#![allow(
    dead_code,
    reason = "the test binaries that include this use different parts of it"
)]

mod change;
mod episode;
mod home_average;
mod json;
mod limit;
mod moment;
mod news2;
mod rate;
mod repeated;
mod score;
pub(crate) mod series;
mod sustained;
#[cfg(test)]
mod testing;
mod threshold;
mod time_in_range;

use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, Metric};
use serde_json::Value;

use self::episode::Channel;
use self::moment::Moment;

/// One stored reading, with when it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Observation {
    pub(crate) metric: Metric,
    /// When it was measured.
    pub(crate) at: DateTime<Utc>,
    /// In the metric's stored unit.
    pub(crate) value: f64,
    pub(crate) device: DeviceId,
    /// When it came.
    pub(crate) received_at: DateTime<Utc>,
}

/// A reading as an episode keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) metric: Metric,
    pub(crate) at: DateTime<Utc>,
    pub(crate) value: f64,
    /// What was computed when this reading spoke for the channel, for kinds that compute something.
    pub(crate) figure: Option<f64>,
}

/// A time in which a rule's condition was met.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Episode {
    pub(crate) onset: Reading,
    pub(crate) latest: Reading,
    pub(crate) worst: Reading,
    /// When the moment that cleared it was measured; none while it is open.
    pub(crate) cleared_at: Option<DateTime<Utc>>,
    /// None of its breaching readings came within 15 minutes of its measurement.
    pub(crate) late: bool,
}

/// The episodes of a rule's condition over a whole series, in the order of time.
///
/// `observations` may be in any order and hold those of other metrics. Of several with one metric, time and
/// device the first counts.
///
/// # Panics
///
/// On a condition that is not well formed, and on the kind `silence`, which readings alone do not decide.
pub(crate) fn episodes(condition: &Value, observations: &[Observation]) -> Vec<Episode> {
    let kind = json::text(condition, "kind");
    let (metrics, channels): (Vec<Metric>, Judge) = match kind {
        "threshold" => (limit::metrics(condition), threshold::channels),
        "sustained" => (sustained::metrics(condition), sustained::channels),
        "repeated" => (limit::metrics(condition), repeated::channels),
        "change" => (change::metrics(condition), change::channels),
        "rate" => (vec![json::metric(condition)], rate::channels),
        "home_average" => (limit::metrics(condition), home_average::channels),
        "time_in_range" => (vec![json::metric(condition)], time_in_range::channels),
        "news2" => (news2::PARAMETERS.to_vec(), news2::channels),
        _ => panic!("no kind for this oracle: {kind}"),
    };
    let series = moment::in_order(observations, &metrics);
    let moments = moment::moments(&series);
    let clear_after = json::optional_seconds(condition, "clear_after_seconds").unwrap_or_default();
    episode::from_signals(&moments, &channels(condition, &moments), clear_after)
}

/// The signals of every channel of a condition, one for each moment.
type Judge = fn(&Value, &[Moment<'_>]) -> Vec<Channel>;
