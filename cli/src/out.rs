//! Standard output and standard error. Whoever reads them may go away (`plimsoll run … | head -1`): that ends the output, not the program.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("standard output cannot be written"),
    }
}

/// Writes a line to standard error; without one there is nobody to tell.
pub(crate) fn say(line: &impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
