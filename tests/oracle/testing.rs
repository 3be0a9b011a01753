//! Small series for the oracle's own tests. Times are minutes from an arbitrary start.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric};
use serde_json::Value;

use super::{Episode, Observation, Reading};

/// Monday, 1 June 2026, 00:00 UTC, and so many minutes.
pub(crate) fn at(minute: i64) -> DateTime<Utc> {
    "2026-06-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
}

/// A reading of a device that came at once.
pub(crate) fn on(device: i64, metric: Metric, minute: i64, value: f64) -> Observation {
    Observation {
        metric,
        at: at(minute),
        value,
        device: DeviceId(device),
        received_at: at(minute),
    }
}

pub(crate) fn heart(minute: i64, value: f64) -> Observation {
    on(1, Metric::HeartRate, minute, value)
}

/// Heart rates a minute apart, from minute 0.
pub(crate) fn hearts(values: &[f64]) -> Vec<Observation> {
    (0..)
        .zip(values)
        .map(|(minute, value)| heart(minute, *value))
        .collect()
}

/// The same observation, so many minutes on its way.
pub(crate) fn delayed(observation: Observation, minutes: i64) -> Observation {
    Observation {
        received_at: observation.at + TimeDelta::minutes(minutes),
        ..observation
    }
}

/// An episode as a line: minutes and values of onset, latest and worst, minute of clearing.
pub(crate) fn line(episode: &Episode) -> String {
    let minute = |time: DateTime<Utc>| (time - at(0)).num_minutes();
    let reading = |reading: &Reading| {
        let figure = reading
            .figure
            .map(|figure| format!("[{figure}]"))
            .unwrap_or_default();
        format!("{}@{}{figure}", reading.value, minute(reading.at))
    };
    let end = episode
        .cleared_at
        .map_or("open".into(), |end| minute(end).to_string());
    let late = if episode.late { " late" } else { "" };
    let Episode {
        onset, latest, worst, ..
    } = episode;
    format!(
        "{} {} {} {end}{late}",
        reading(onset),
        reading(latest),
        reading(worst)
    )
}

/// Checks the episodes of a condition, as lines.
#[track_caller]
pub(crate) fn check(condition: &Value, observations: &[Observation], expected: &[&str]) {
    let lines: Vec<String> = super::episodes(condition, observations)
        .iter()
        .map(line)
        .collect();
    assert_eq!(lines, expected, "{condition}");
}
