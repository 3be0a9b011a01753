//! What every wire format has in common: the checks of a measurement that was read, and the outcome of its
//! message.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{DecodeContext, MAX_CLOCK_AHEAD, Reason, Rejection, Upload};
use crate::{Context, Metric, Reading};

/// Why one measurement is refused, before its place in the message is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// The field at fault as the message spells it; empty where it is the measurement as a whole.
    pub(crate) field: Cow<'static, str>,
    pub(crate) reason: Reason,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(field: impl Into<Cow<'static, str>>, reason: Reason, text: impl Into<String>) -> Fault {
        Fault {
            field: field.into(),
            reason,
            text: text.into(),
        }
    }
}

/// One number of a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Value<'f> {
    pub(crate) metric: Metric,
    /// In the metric's stored unit.
    pub(crate) value: f64,
    /// The field that it was read from.
    pub(crate) field: &'f str,
}

/// Collects the measurements of one message, and checks each.
pub(crate) struct Collector<'c> {
    context: &'c DecodeContext,
    upload: Upload,
    seen: Seen,
}

impl<'c> Collector<'c> {
    pub(crate) fn new(context: &'c DecodeContext, expected: usize) -> Collector<'c> {
        Collector {
            context,
            upload: Upload {
                readings: Vec::with_capacity(expected),
                rejected: Vec::new(),
            },
            seen: Seen::default(),
        }
    }

    /// Takes a measurement whole, or says why not and takes nothing of it. `time` is the time and the name
    /// of its field.
    pub(crate) fn measurement(
        &mut self,
        time: (&str, DateTime<Utc>),
        values: &[Value<'_>],
        context: Context,
    ) -> Result<(), Fault> {
        let at = whole_microseconds(time.1);
        self.check_time(time.0, at)?;
        if let Some(from) = context.from {
            self.check_time("from", from)?;
        }
        for value in values {
            check_value(value)?;
        }
        check_pressures(values)?;
        for value in values {
            match self.seen.value(value.metric, at, &self.upload.readings) {
                Some(earlier) if earlier != value.value => return Err(contradiction(value)),
                _ => {}
            }
        }
        for value in values {
            if self.seen.value(value.metric, at, &self.upload.readings).is_none() {
                self.push(at, value, context.clone());
            }
        }
        Ok(())
    }

    /// Notes that the measurement at this place was refused; without a place, the message is one measurement.
    pub(crate) fn reject(&mut self, index: Option<usize>, fault: Fault) {
        let Fault { field, reason, text } = fault;
        let detail = match index {
            Some(index) if field.is_empty() => format!("readings[{index}]: {text}"),
            Some(index) => format!("readings[{index}].{field}: {text}"),
            None => format!("{field}: {text}"),
        };
        self.upload.rejected.push(Rejection::new(index, reason, detail));
    }

    /// Notes that the measurement at this place was refused. The fault's field is spelled from the top of the
    /// message, place and all.
    pub(crate) fn reject_in_full(&mut self, index: Option<usize>, fault: Fault) {
        let Fault { field, reason, text } = fault;
        let detail = if field.is_empty() {
            text
        } else {
            format!("{field}: {text}")
        };
        self.upload.rejected.push(Rejection::new(index, reason, detail));
    }

    pub(crate) fn finish(self) -> Upload {
        self.upload
    }

    fn push(&mut self, at: DateTime<Utc>, value: &Value<'_>, context: Context) {
        self.seen.insert(value, at);
        self.upload.readings.push(Reading {
            metric: value.metric,
            at,
            // Adding zero turns the negative zero, which JSON and FLOAT can both say, into the plain one.
            value: value.value + 0.0,
            context,
        });
    }

    fn check_time(&self, field: &str, at: DateTime<Utc>) -> Result<(), Fault> {
        let ahead = at.signed_duration_since(self.context.received_at);
        if ahead > MAX_CLOCK_AHEAD {
            let minutes = MAX_CLOCK_AHEAD.num_minutes();
            let text = format!(
                "{} is more than {minutes} minutes after the message arrived: is the device's clock wrong?",
                show_time(at)
            );
            return Err(Fault::new(field.to_owned(), Reason::InFuture, text));
        }
        if -ahead > self.context.retention {
            let days = self.context.retention.num_days();
            let text = format!(
                "{} is further back than the {days} days for which readings are kept",
                show_time(at)
            );
            return Err(Fault::new(field.to_owned(), Reason::TooOld, text));
        }
        Ok(())
    }
}

/// The time in whole microseconds, as the store keeps it. Also resolves leap seconds, which the store has
/// none of: 23:59:60 becomes the second after it.
pub(crate) fn whole_microseconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

/// A number for people: a very large or small one by its exponent, so that no text grows with it.
pub(crate) fn show(value: f64) -> String {
    match value.abs() {
        0.0 | 1e-4..1e9 => format!("{value}"),
        _ => format!("{value:e}"),
    }
}

fn show_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A text of the message for people: quoted, control characters escaped, and cut where it is long.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 40;
    let head: String = text.chars().take(LONGEST).collect();
    let rest = if head.len() < text.len() { "…" } else { "" };
    format!("{head:?}{rest}")
}

fn check_value(value: &Value<'_>) -> Result<(), Fault> {
    let plausible = value.metric.plausible();
    // A NaN is in no range.
    if plausible.contains(&value.value) {
        return Ok(());
    }
    let text = format!(
        "{} {} is outside the plausible {} to {}",
        show(value.value),
        value.metric.unit(),
        plausible.start(),
        plausible.end()
    );
    Err(Fault::new(value.field.to_owned(), Reason::Implausible, text))
}

/// The pressure at the heart's beat is above that between beats; otherwise fields were swapped.
fn check_pressures(values: &[Value<'_>]) -> Result<(), Fault> {
    let pressure = |metric| values.iter().find(|value| value.metric == metric);
    match (pressure(Metric::Systolic), pressure(Metric::Diastolic)) {
        (Some(systolic), Some(diastolic)) if systolic.value <= diastolic.value => {
            let text = format!(
                "{} mm[Hg] is not below the systolic {} mm[Hg]",
                show(diastolic.value),
                show(systolic.value)
            );
            Err(Fault::new(diastolic.field.to_owned(), Reason::Implausible, text))
        }
        _ => Ok(()),
    }
}

fn contradiction(value: &Value<'_>) -> Fault {
    let text = format!(
        "the message gives another {} for the same time before this one",
        value.metric
    );
    Fault::new(value.field.to_owned(), Reason::InvalidField, text)
}

/// The readings of this message by metric and time. Devices send in the order of time, so the table is made
/// only for a message that does not.
struct Seen {
    /// The latest time of each metric, Unix microseconds.
    latest: [i64; Metric::ALL.len()],
    values: Option<HashMap<(Metric, i64), f64>>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            latest: [i64::MIN; Metric::ALL.len()],
            values: None,
        }
    }
}

impl Seen {
    fn value(&mut self, metric: Metric, at: DateTime<Utc>, readings: &[Reading]) -> Option<f64> {
        let at = at.timestamp_micros();
        if at > self.latest[slot(metric)] {
            return None;
        }
        let key = |reading: &Reading| (reading.metric, reading.at.timestamp_micros());
        self.values
            .get_or_insert_with(|| {
                readings
                    .iter()
                    .map(|reading| (key(reading), reading.value))
                    .collect()
            })
            .get(&(metric, at))
            .copied()
    }

    fn insert(&mut self, value: &Value<'_>, at: DateTime<Utc>) {
        let at = at.timestamp_micros();
        let latest = &mut self.latest[slot(value.metric)];
        *latest = at.max(*latest);
        if let Some(values) = &mut self.values {
            values.insert((value.metric, at), value.value);
        }
    }
}

/// The metrics' numbers count from 1.
fn slot(metric: Metric) -> usize {
    metric as usize - 1
}
