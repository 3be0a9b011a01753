//! How far a dry run has come, in one line.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use homeward_alerts::dry_run::Progress;

use crate::demo::progress::{grouped, rate};

/// How often the line is written anew on a terminal, and how often one is written elsewhere: for a log.
const ON_A_TERMINAL: Duration = Duration::from_millis(100);
const ELSEWHERE: Duration = Duration::from_secs(5);

/// Back to the beginning of the line, and erase it.
const CLEAR: &str = "\r\x1b[K";

/// Shows progress on the standard error.
pub(super) struct Line {
    terminal: bool,
    begun: Instant,
    shown: Instant,
}

impl Line {
    pub(super) fn new() -> Line {
        let now = Instant::now();
        Line {
            terminal: stderr().is_terminal(),
            begun: now,
            shown: now,
        }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let every = if self.terminal { ON_A_TERMINAL } else { ELSEWHERE };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let line = line(progress, self.begun.elapsed());
        // Progress that nobody can see is no reason to stop.
        let _ = match self.terminal {
            true => write!(stderr(), "{CLEAR}{line}"),
            false => writeln!(stderr(), "{line}"),
        };
    }

    /// Makes room for what comes next.
    pub(super) fn clear(&self) {
        if self.terminal {
            let _ = write!(stderr(), "{CLEAR}");
        }
    }
}

fn line(progress: &Progress, elapsed: Duration) -> String {
    let mut line = format!(
        "{:.0} % of {}, {} readings, {} a second",
        (progress.done * 100.0).floor(),
        match progress.patients {
            1 => "1 patient".to_owned(),
            patients => format!("{} patients", grouped(patients as u64)),
        },
        grouped(progress.readings),
        grouped(rate(progress.readings, elapsed)),
    );
    if progress.done > 0.01 && progress.done < 1.0 {
        let left = elapsed.as_secs_f64() * (1.0 - progress.done) / progress.done;
        line += &format!(", about {left:.0} s left");
    }
    line
}
