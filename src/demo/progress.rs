//! How far the back-fill has come.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use homeward_simulators::Progress;

/// The length of the bar, in characters.
const CELLS: usize = 30;

/// The time between two lines where there is no terminal: for a log.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Back to the beginning of the line, and erase it.
const CLEAR: &str = "\r\x1b[K";

/// Shows the progress of the back-fill on the standard error: a bar on a terminal, else a line now and then.
pub(super) struct Bar {
    terminal: bool,
    begun: Instant,
    shown: Option<Instant>,
}

impl Bar {
    pub(super) fn new() -> Bar {
        Bar {
            terminal: stderr().is_terminal(),
            begun: Instant::now(),
            shown: None,
        }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let line = line(progress, self.begun.elapsed());
        // Progress that nobody can see is no reason to stop.
        if self.terminal {
            let _ = write!(stderr(), "{CLEAR}[{}] {line}", cells(progress.done));
        } else if self.shown.is_none_or(|shown| shown.elapsed() >= PLAIN_EVERY) {
            self.shown = Some(Instant::now());
            let _ = writeln!(stderr(), "{line}");
        }
    }

    /// Makes room for another line, after which the bar may be shown again.
    pub(super) fn clear(&self) {
        if self.terminal {
            let _ = write!(stderr(), "{CLEAR}");
        }
    }

    /// How long it has taken.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

fn cells(done: f64) -> String {
    // `as` takes what is out of range to the nearest end of it.
    let full = ((done * CELLS as f64) as usize).min(CELLS);
    format!("{}{}", "#".repeat(full), ".".repeat(CELLS - full))
}

fn line(progress: &Progress, elapsed: Duration) -> String {
    let readings = progress.counts.readings;
    let mut line = format!(
        "{:.0} %, {} readings, {} a second",
        (progress.done * 100.0).floor(),
        grouped(readings),
        grouped(rate(readings, elapsed)),
    );
    if progress.done > 0.01 && progress.done < 1.0 {
        let left = elapsed.as_secs_f64() * (1.0 - progress.done) / progress.done;
        line += &format!(", about {left:.0} s left");
    }
    if let Some(trouble) = &progress.trouble {
        line += &format!(" ({trouble})");
    }
    line
}

/// How many a second.
pub(crate) fn rate(count: u64, elapsed: Duration) -> u64 {
    (count as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

/// A number with a comma at each thousand.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use homeward_simulators::Counts;

    use super::*;

    #[test]
    fn progress_is_a_line_with_the_rate_and_what_is_left() {
        let mut progress = Progress {
            devices: 5,
            connected: 4,
            done: 0.25,
            live: false,
            counts: Counts {
                readings: 1_234_567,
                ..Counts::default()
            },
            trouble: None,
        };
        let seconds = Duration::from_secs;
        assert_eq!(
            line(&progress, seconds(10)),
            "25 %, 1,234,567 readings, 123,456 a second, about 30 s left"
        );
        progress.done = 1.0;
        progress.trouble = Some("no broker".to_owned());
        assert_eq!(
            line(&progress, seconds(10)),
            "100 %, 1,234,567 readings, 123,456 a second (no broker)"
        );
        assert_eq!(
            (cells(0.5).matches('#').count(), cells(2.0).len()),
            (CELLS / 2, CELLS)
        );
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (123_456, "123,456"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
