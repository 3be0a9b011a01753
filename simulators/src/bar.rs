use std::cell::RefCell;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use homeward_simulators::{Counts, Progress};

/// Shows progress on the standard error: as a bar on a terminal, else as a plain line now and then.
pub(crate) struct Bar {
    terminal: bool,
    last: RefCell<Option<Instant>>,
}

const CELLS: usize = 24;
/// Between two plain lines: often enough to see that it goes on, rarely enough for a log.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// Back to the beginning of the line, which is then erased.
const CLEAR: &str = "\r\x1b[K";

impl Bar {
    pub(crate) fn new() -> Bar {
        Bar {
            terminal: stderr().is_terminal(),
            last: RefCell::new(None),
        }
    }

    pub(crate) fn show(&self, progress: &Progress) {
        // Progress that nobody can see is no reason to stop.
        let _no_matter = if self.terminal {
            let cells = bar(progress.done);
            write!(stderr(), "{CLEAR}[{cells}] {}", text(progress)).is_ok()
        } else {
            let now = Instant::now();
            let mut last = self.last.borrow_mut();
            let due = last.is_none_or(|last| now - last >= PLAIN_EVERY);
            due && {
                *last = Some(now);
                writeln!(stderr(), "{}", text(progress)).is_ok()
            }
        };
    }

    /// Leaves the line to others.
    pub(crate) fn finish(&self) {
        clear_line(self.terminal);
    }
}

/// Erases what a bar may have left on the line.
pub(crate) fn clear_line(terminal: bool) {
    if terminal {
        let _no_matter = write!(stderr(), "{CLEAR}").is_ok();
    }
}

fn bar(done: f64) -> String {
    let full = (done * CELLS as f64) as usize;
    let full = full.min(CELLS);
    "#".repeat(full) + &".".repeat(CELLS - full)
}

fn text(progress: &Progress) -> String {
    let Counts {
        sent, acknowledged, ..
    } = progress.counts;
    let how_far = if progress.live {
        "live".into()
    } else {
        format!("{:3.0} %", (progress.done * 100.0).floor())
    };
    format!(
        "{how_far}, {} of {} devices connected, sent {sent}, acknowledged {acknowledged}",
        progress.connected, progress.devices
    )
}

/// What came of it, in a line.
pub(crate) fn summary(counts: &Counts) -> String {
    let Counts {
        sent,
        acknowledged,
        resent,
        refused,
        readings,
        ..
    } = counts;
    format!(
        "sent {sent}, acknowledged {acknowledged}, resent {resent}, refused {refused} ({readings} readings acknowledged)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_line() {
        let mut progress = Progress {
            devices: 5,
            connected: 4,
            done: 0.5,
            live: false,
            counts: Counts {
                sent: 12,
                acknowledged: 9,
                ..Counts::default()
            },
            trouble: None,
        };
        assert_eq!(bar(progress.done), "############............");
        assert_eq!(
            text(&progress),
            " 50 %, 4 of 5 devices connected, sent 12, acknowledged 9"
        );
        progress.live = true;
        assert!(text(&progress).starts_with("live, 4 of 5"));
        assert_eq!((bar(1.0).len(), bar(0.0).len()), (CELLS, CELLS));
        let expected = "sent 12, acknowledged 9, resent 0, refused 0 (0 readings acknowledged)";
        assert_eq!(summary(&progress.counts), expected);
    }
}
