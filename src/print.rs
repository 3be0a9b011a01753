//! What a command answers.

use std::io::{ErrorKind, Write, stdout};

use anyhow::{Context, Result};

/// Prints it to the standard output. That nobody reads to the end is no error: `homeward dry-run … | head`.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not print the answer"),
    }
}
