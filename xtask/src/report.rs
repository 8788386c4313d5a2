//! What a person sees of a long command: one line per step with its purpose, and how long it took.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs one step, saying first what it is and afterwards how long it took.
///
/// # Errors
/// The step's own.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {what}");
    let start = Instant::now();
    let result = work();
    match &result {
        Ok(_) => println!("    done in {}", seconds(start.elapsed())),
        Err(_) => println!("    failed after {}", seconds(start.elapsed())),
    }
    result
}

/// Says that a step had nothing to do.
pub fn cached(what: &str) {
    println!("ok  {what}");
}

/// Whether nothing may be skipped: `CI=true`.
pub fn strict() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Says loudly that something does not run on this machine. Tests call it too: it writes past the capture of
/// the test harness, and into the file that `cargo xtask test` lists at its end.
///
/// # Errors
/// With `CI=true`, where nothing may be skipped.
pub fn skip(what: &str, why: &str) -> Result<()> {
    if strict() {
        anyhow::bail!("{what} cannot be skipped with CI=true: {why}");
    }
    allowed_skip(what, why);
    Ok(())
}

/// Says loudly that something does not run, where even CI has to live with it.
pub fn allowed_skip(what: &str, why: &str) {
    let line = format!("SKIPPED {what}: {why}");
    // Losing the line is no reason to fail: standard error may be closed.
    let _ = writeln!(std::io::stderr(), "{line}");
    SKIPPED.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
    if let Some(list) = std::env::var_os(SKIPPED_LIST) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(list);
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}

/// What this process has skipped so far.
pub fn skipped() -> Vec<String> {
    SKIPPED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

static SKIPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The variable that names the file in which skipped things are listed.
pub const SKIPPED_LIST: &str = "PLIMSOLL_SKIPPED_LIST";

/// A duration for people: `840ms`, `4.2s`, `3m07s`.
pub fn seconds(time: Duration) -> String {
    let millis = time.as_millis();
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{}m{:02}s", millis / 60_000, millis / 1_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let cases = [(0, "0ms"), (999, "999ms"), (1_000, "1.0s"), (59_999, "59.9s"), (187_400, "3m07s")];
        for (millis, text) in cases {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }
}
