//! A series of the last 24 hours as a line no larger than a few words, drawn here: it needs no script.

use std::fmt::{self, Display, Formatter, Write};

use askama::filters::HtmlSafe;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::reading_in_words;
use homeward_record::{Metric, Point};
use homeward_store::trends::TrendPoint;

/// How far back the line goes.
pub(super) const SPAN: TimeDelta = TimeDelta::hours(24);

/// The size of the drawing, and the space around the line, in which the marks at its end have room.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 32.0;
const MARGIN: f64 = 4.0;
/// What a point of the line takes as text, twice around the area and once along the line, and all else.
const POINT_LENGTH: usize = 3 * 7;
const REST_LENGTH: usize = 512;

/// `{{ spark }}` shows the line, with what it says for those who do not see it.
#[derive(Hash)]
pub(super) struct Spark(String);

impl Spark {
    /// The line of a series, oldest first, until `now`, and an alert's latest and worst reading of it.
    pub(super) fn new(points: &[TrendPoint], latest: Point, worst: Point, now: DateTime<Utc>) -> Spark {
        let from = now - SPAN;
        let (subject, _) = reading_in_words(latest.metric, latest.value);
        let in_span = |point: &Point| point.metric == latest.metric && point.at >= from && point.at <= now;
        let mut line: Vec<TrendPoint> = points.to_vec();
        if in_span(&latest) && line.last().is_none_or(|last| last.at < latest.at) {
            line.push(TrendPoint {
                at: latest.at,
                n: 1,
                min: latest.value,
                mean: latest.value,
                max: latest.value,
            });
        }
        let Some(last) = line.last().copied() else {
            return Spark(format!(
                "<span class=\"hw-spark\">{subject}: nothing in the last 24 hours</span>"
            ));
        };
        let marks = [&latest, &worst];
        let marked = marks
            .into_iter()
            .filter(|point| in_span(point))
            .map(|point| point.value);
        let low = line
            .iter()
            .map(|point| point.min)
            .chain(marked.clone())
            .fold(f64::INFINITY, f64::min);
        let high = line
            .iter()
            .map(|point| point.max)
            .chain(marked)
            .fold(f64::NEG_INFINITY, f64::max);
        let frame = Frame { from, low, high };
        let in_words = |value: f64| reading_in_words(latest.metric, value).1;
        let says = match latest.metric {
            Metric::IrregularPulse => format!(
                "{subject} in the last 24 hours: {}",
                seen_in_words(if points.is_empty() { &line } else { points })
            ),
            _ => format!(
                "{subject} in the last 24 hours: lowest {}, highest {}, last {}",
                in_words(low),
                in_words(high),
                in_words(last.mean)
            ),
        };
        let mut svg = String::with_capacity(REST_LENGTH + line.len() * POINT_LENGTH);
        let _ = write!(
            svg,
            "<svg class=\"hw-spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" \
             aria-label=\"{says}\"><path d=\"M"
        );
        // From the first to the last along the highest values, and back along the lowest.
        for point in &line {
            frame.put(&mut svg, point.at, point.max);
        }
        for point in line.iter().rev() {
            frame.put(&mut svg, point.at, point.min);
        }
        svg += "Z\" fill=\"currentColor\" fill-opacity=\".25\"/><polyline points=\"";
        for point in &line {
            frame.put(&mut svg, point.at, point.mean);
        }
        svg += "\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/>";
        let end = (last.at, last.mean);
        frame.mark(&mut svg, end, "3\" fill=\"currentColor\"");
        if in_span(&worst) && worst.at != last.at {
            frame.mark(
                &mut svg,
                (worst.at, worst.value),
                "3\" fill=\"none\" stroke=\"currentColor\"",
            );
        }
        Spark(svg + "</svg>")
    }
}

/// In how many measurements a cuff saw something.
fn seen_in_words(points: &[TrendPoint]) -> String {
    let measurements: i64 = points.iter().map(|point| point.n).sum();
    #[expect(clippy::cast_precision_loss, reason = "a day has few measurements")]
    let seen: f64 = points.iter().map(|point| point.mean * point.n as f64).sum();
    match (measurements, seen.round()) {
        (1, 0.0) => "not seen in the one measurement".to_owned(),
        (1, _) => "seen in the one measurement".to_owned(),
        (_, seen) => format!("seen in {seen} of {measurements} measurements"),
    }
}

/// What the drawing spans.
struct Frame {
    from: DateTime<Utc>,
    low: f64,
    high: f64,
}

impl Frame {
    /// To the whole unit, as it is drawn.
    fn place(&self, at: DateTime<Utc>, value: f64) -> (i32, i32) {
        // Both are of a day at most, and exact.
        #[expect(clippy::cast_precision_loss, reason = "a day has few seconds")]
        let share = (at - self.from).num_seconds() as f64 / SPAN.num_seconds() as f64;
        let height = self.high - self.low;
        let level = if height > 0.0 {
            (value - self.low) / height
        } else {
            0.5
        };
        let x = MARGIN + share.clamp(0.0, 1.0) * (WIDTH - 2.0 * MARGIN);
        let y = HEIGHT - MARGIN - level * (HEIGHT - 2.0 * MARGIN);
        #[expect(clippy::cast_possible_truncation, reason = "within the drawing")]
        let unit = |length: f64| length.round() as i32;
        (unit(x), unit(y))
    }

    fn put(&self, svg: &mut String, at: DateTime<Utc>, value: f64) {
        let (x, y) = self.place(at, value);
        // A string takes all.
        let _ = write!(svg, "{x},{y} ");
    }

    fn mark(&self, svg: &mut String, (at, value): (DateTime<Utc>, f64), rest: &str) {
        let (x, y) = self.place(at, value);
        let _ = write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{rest}/>");
    }
}

impl Display for Spark {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// It is made of numbers, and of names of metrics and units.
impl HtmlSafe for Spark {}

#[cfg(test)]
mod tests {
    use homeward_record::Metric;
    use insta::assert_snapshot;

    use super::*;
    use crate::testing::{at, now};

    fn glucose(time: &str, value: f64) -> Point {
        Point {
            at: at(time),
            metric: Metric::Glucose,
            value,
        }
    }

    #[test]
    fn a_day_is_drawn_and_told() {
        let hour = |time, min, mean, max| TrendPoint {
            at: at(time),
            n: 12,
            min,
            mean,
            max,
        };
        let points = [
            hour("2026-11-21T13:00:00Z", 5.0, 6.0, 7.0),
            hour("2026-11-22T00:00:00Z", 6.0, 8.0, 10.0),
            hour("2026-11-22T11:00:00Z", 2.5, 3.0, 4.0),
        ];
        let latest = glucose("2026-11-22T11:55:00Z", 2.6);
        let worst = glucose("2026-11-22T11:53:00Z", 2.4);
        assert_snapshot!(Spark::new(&points, latest, worst, now()), @r#"<svg class="hw-spark" viewBox="0 0 120 32" width="120" height="32" role="img" aria-label="Glucose in the last 24 hours: lowest 2.4 mmol/L, highest 10.0 mmol/L, last 2.6 mmol/L"><path d="M9,13 60,4 111,23 116,27 116,27 111,28 60,17 9,20 Z" fill="currentColor" fill-opacity=".25"/><polyline points="9,17 60,10 111,26 116,27 " fill="none" stroke="currentColor" stroke-width="1.5"/><circle cx="116" cy="27" r="3" fill="currentColor"/><circle cx="115" cy="28" r="3" fill="none" stroke="currentColor"/></svg>"#);
    }

    #[test]
    fn a_day_without_readings_says_so() {
        let long_ago = glucose("2026-11-01T11:55:00Z", 2.6);
        assert_snapshot!(
            Spark::new(&[], long_ago, long_ago, now()),
            @r#"<span class="hw-spark">Glucose: nothing in the last 24 hours</span>"#
        );
    }

    #[test]
    fn of_a_pulse_that_was_irregular_it_is_told_how_often() {
        let hour = |time, n, mean| TrendPoint {
            at: at(time),
            n,
            min: 0.0,
            mean,
            max: 1.0,
        };
        let points = [
            hour("2026-11-21T20:00:00Z", 3, 1.0 / 3.0),
            hour("2026-11-22T11:00:00Z", 2, 0.5),
        ];
        let latest = Point {
            at: at("2026-11-22T11:55:00Z"),
            metric: Metric::IrregularPulse,
            value: 1.0,
        };
        for (points, expected) in [
            (&points[..], "seen in 2 of 5 measurements\""),
            (&[], "seen in the one measurement\""),
        ] {
            let drawn = Spark::new(points, latest, latest, now()).0;
            let says = format!("aria-label=\"Irregular pulse in the last 24 hours: {expected}");
            assert!(drawn.contains(&says), "{drawn}");
        }
    }

    #[test]
    fn one_reading_is_a_dot_in_the_middle() {
        let only = glucose("2026-11-22T11:55:00Z", 2.6);
        assert!(
            Spark::new(&[], only, only, now())
                .0
                .contains(r#"<circle cx="116" cy="16" r="3""#),
        );
    }
}
