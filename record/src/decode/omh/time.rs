//! When it was measured: `effective_time_frame`.

use chrono::{DateTime, TimeDelta, Utc};

use crate::decode::Reason;
use crate::decode::collect::{Fault, quote};
use crate::decode::json::Node;
use crate::decode::rfc3339;

/// What a document's time frame says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TimeFrame {
    At(DateTime<Utc>),
    /// Beginning and end, in whichever order the document has them.
    Interval(DateTime<Utc>, DateTime<Utc>),
    /// A date and `morning`, `afternoon`, `evening` or `night`.
    PartOfDay,
}

const PARTS_OF_DAY: [&str; 4] = ["morning", "afternoon", "evening", "night"];

/// The units of a duration that last equally long always, in milliseconds (duration-unit-value). Months and
/// years do not, and no measurement takes one.
const DURATIONS: [(&str, f64); 6] = [
    ("ms", 1.0),
    ("sec", 1e3),
    ("min", 60e3),
    ("h", 3_600e3),
    ("d", 86_400e3),
    ("wk", 604_800e3),
];

impl TimeFrame {
    pub(super) fn read(body: &Node<'_>) -> Result<TimeFrame, Fault> {
        let Some(frame) = body.get("effective_time_frame")? else {
            let text = "is missing: a reading needs its time";
            return Err(body.fault_in("effective_time_frame", Reason::NoTime, text));
        };
        frame.only(
            |name| ["date_time", "time_interval"].contains(&name),
            "a time frame",
        )?;
        match (frame.get("date_time")?, frame.get("time_interval")?) {
            (Some(at), None) => Ok(TimeFrame::At(rfc3339(&at)?)),
            (None, Some(interval)) => read_interval(&interval),
            _ => {
                let text = "has to have either date_time or time_interval";
                Err(frame.fault(Reason::NoTime, text))
            }
        }
    }
}

fn read_interval(interval: &Node<'_>) -> Result<TimeFrame, Fault> {
    const FIELDS: [&str; 5] = [
        "start_date_time",
        "end_date_time",
        "duration",
        "date",
        "part_of_day",
    ];
    interval.only(|name| FIELDS.contains(&name), "a time interval")?;
    if let Some(part) = interval.get("part_of_day")? {
        part.one_of(&PARTS_OF_DAY)?;
        interval.require("date")?.text()?;
        return Ok(TimeFrame::PartOfDay);
    }
    let time = |field| interval.get(field)?.map(|node| rfc3339(&node)).transpose();
    let (start, end) = (time("start_date_time")?, time("end_date_time")?);
    let duration = interval.get("duration")?;
    match (start, end, &duration) {
        (Some(start), Some(end), None) => Ok(TimeFrame::Interval(start, end)),
        (Some(start), None, Some(lasts)) => {
            let end = start.checked_add_signed(duration_of(lasts)?);
            end.map(|end| TimeFrame::Interval(start, end))
                .ok_or_else(|| too_long(lasts))
        }
        (None, Some(end), Some(lasts)) => {
            let start = end.checked_sub_signed(duration_of(lasts)?);
            start
                .map(|start| TimeFrame::Interval(start, end))
                .ok_or_else(|| too_long(lasts))
        }
        _ => {
            let text = "has to have two of start_date_time, end_date_time and duration";
            Err(interval.fault(Reason::NoTime, text))
        }
    }
}

fn duration_of(duration: &Node<'_>) -> Result<TimeDelta, Fault> {
    duration.only(|name| ["value", "unit"].contains(&name), "a duration")?;
    let unit = duration.require("unit")?;
    let given = unit.text()?;
    let Some((_, millis)) = DURATIONS.iter().find(|(name, _)| *name == given) else {
        let names: Vec<_> = DURATIONS.iter().map(|(name, _)| *name).collect();
        let text = format!("{} is not one of {}", quote(given), names.join(", "));
        return Err(unit.fault(Reason::InvalidUnit, text));
    };
    let millis = duration.require("value")?.number()? * millis;
    // A thousand years, in milliseconds: within what a TimeDelta holds.
    if !(0.0..3.2e13).contains(&millis) {
        return Err(too_long(duration));
    }
    Ok(TimeDelta::microseconds((millis * 1e3).round() as i64))
}

fn too_long(duration: &Node<'_>) -> Fault {
    duration.fault(Reason::InvalidField, "is no duration of a measurement")
}
