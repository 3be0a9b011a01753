//! Alerts along a line of time, drawn here: a lane for each rule. It shows what the list of alerts says.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::Definition;
use homeward_store::alerts::Episode;

use crate::pages::moment::ZONE;
use crate::request::Window;

/// The drawing, in units of its own.
const WIDTH: f64 = 720.0;
const LANE: f64 = 56.0;
/// The least width of a bar: an alert of a minute is to be seen among days.
const LEAST: f64 = 4.0;

/// How many days or hours there are between two marks of the axis, at the most.
const MARKS: i32 = 4;

/// Shown by `{% include "pages/patient/timeline.html" %}`, as the field `timeline` of a page.
pub(super) struct Timeline {
    pub(super) height: f64,
    pub(super) lanes: Vec<Lane>,
    /// Where the axis has marks, and what stands there.
    pub(super) axis: Vec<(String, String)>,
}

/// The alerts of one rule.
pub(super) struct Lane {
    pub(super) rule: String,
    pub(super) text_y: f64,
    pub(super) bars: Vec<Bar>,
}

/// An alert. The more severe, the higher: not by its colour alone.
pub(super) struct Bar {
    pub(super) severity: String,
    pub(super) x: String,
    pub(super) y: f64,
    pub(super) width: String,
    pub(super) height: f64,
}

impl Timeline {
    /// The drawing of alerts of a window; `None` without any.
    pub(super) fn of(episodes: &[Episode], window: Window) -> Option<Timeline> {
        let mut rules: BTreeMap<&str, Vec<&Episode>> = BTreeMap::new();
        for episode in episodes {
            rules.entry(&episode.code).or_default().push(episode);
        }
        if rules.is_empty() {
            return None;
        }
        let lanes: Vec<Lane> = (0_u32..)
            .zip(rules.values())
            .map(|(index, episodes)| lane(f64::from(index) * LANE, episodes, window))
            .collect();
        Some(Timeline {
            height: lanes.len() as f64 * LANE + 32.0,
            lanes,
            axis: axis(window),
        })
    }
}

fn lane(top: f64, episodes: &[&Episode], window: Window) -> Lane {
    let first = episodes.first();
    let definition = first.and_then(|episode| Definition::parse(&episode.definition).ok());
    let code = first.map(|episode| episode.code.clone()).unwrap_or_default();
    Lane {
        rule: definition.map_or(code, |definition| definition.name),
        text_y: top + 26.0,
        bars: episodes.iter().map(|episode| bar(top, episode, window)).collect(),
    }
}

fn bar(top: f64, episode: &Episode, window: Window) -> Bar {
    let until = episode.ended_at.or(episode.cleared_at).unwrap_or(window.to);
    let (from, to) = (x(episode.onset.at, window), x(until, window));
    let width = (to - from).max(LEAST);
    let height = match episode.severity.as_str() {
        "high" => 20.0,
        "medium" => 14.0,
        "low" => 9.0,
        _ => 5.0,
    };
    Bar {
        severity: episode.severity.clone(),
        x: format!("{:.1}", from.min(WIDTH - LEAST)),
        y: top + 50.0 - height,
        width: format!("{width:.1}"),
        height,
    }
}

/// Where a time is, as far as it is within the window.
fn x(at: DateTime<Utc>, window: Window) -> f64 {
    let whole = (window.to - window.from).as_seconds_f64();
    let part = (at - window.from).as_seconds_f64();
    (part / whole).clamp(0.0, 1.0) * WIDTH
}

fn axis(window: Window) -> Vec<(String, String)> {
    let length = window.to - window.from;
    let format = if length > TimeDelta::days(2) {
        "%-d %b"
    } else {
        "%H:%M"
    };
    let mark = |index: i32| {
        let at = window.from + length * index / MARKS;
        (
            format!("{:.1}", x(at, window)),
            ZONE.local(at).format(format).to_string(),
        )
    };
    (0..MARKS).map(mark).collect()
}
