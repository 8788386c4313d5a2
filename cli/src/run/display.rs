//! Progress on standard error: one line that is redrawn on a terminal, a plain line every five seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use plimsoll_api::status::asked_load;
use plimsoll_measure::{Layout, Snapshot};
use plimsoll_plan::Plan;
use plimsoll_slo::{Outcome, Slo, Validity, judge, text};

use super::drive::Now;
use crate::out::say;

/// Distance of plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// Characters of the bar.
const BAR: usize = 20;

/// Where progress goes.
pub(super) struct Display {
    mode: Mode,
    /// Elapsed time of the last plain line.
    last: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Quiet,
    Plain,
    Terminal,
}

impl Display {
    pub(super) fn new(quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Terminal,
            (false, false) => Mode::Plain,
        };
        Self { mode, last: None }
    }

    /// A line that stays.
    pub(super) fn say(&mut self, line: &str) {
        if self.mode == Mode::Quiet {
            return;
        }
        self.clear();
        say(&line);
    }

    /// Shows the run as it is now, if it is time to.
    pub(super) fn show(&mut self, name: &str, plan: &Plan, slos: &[Slo], validity: &Validity, now: &Now<'_>) {
        let Some(elapsed) = now.elapsed else { return };
        match self.mode {
            Mode::Quiet => {}
            Mode::Plain => {
                if self.last.is_none_or(|last| elapsed >= last + PLAIN_EVERY) {
                    self.last = Some(elapsed);
                    say(&format_args!("{name}: {}", line(plan, slos, validity, now, elapsed)));
                }
            }
            Mode::Terminal => {
                let line = line(plan, slos, validity, now, elapsed);
                redraw(&format!("{} {line}", bar(elapsed, plan.duration)));
            }
        }
    }

    /// Takes the redrawn line away.
    pub(super) fn clear(&mut self) {
        if self.mode == Mode::Terminal {
            redraw("");
        }
    }
}

/// Puts text in place of the terminal's last line. A terminal that is gone is noticed when the report is printed.
fn redraw(text: &str) {
    let mut terminal = std::io::stderr().lock();
    let _ = write!(terminal, "\r\x1b[2K{text}").and_then(|()| terminal.flush());
}

/// `12s of 20s, 20 users, 143.2/s, p95 6.1ms, errors 0%, 3 of 4 SLOs met`
fn line(plan: &Plan, slos: &[Slo], validity: &Validity, now: &Now<'_>, elapsed: Duration) -> String {
    let nanos = nanos(elapsed);
    let clock = clock(plan, elapsed);
    let load = asked_load(plan, Some(nanos));
    format!("{clock}, {load}, {}", measured(&plan.layout, slos, validity, now))
}

/// `12s of 20s`
pub(super) fn clock(plan: &Plan, elapsed: Duration) -> String {
    let whole = text::duration_exact(plan.duration);
    let over = nanos(elapsed) >= plan.duration;
    if over { format!("{whole}, finishing") } else { format!("{}s of {whole}", elapsed.as_secs()) }
}

fn measured(layout: &Layout, slos: &[Slo], validity: &Validity, now: &Now<'_>) -> String {
    let judgement = judge(slos, validity, layout, now.merged, now.facts);
    let met = judgement.results.iter().filter(|result| result.outcome == Outcome::Met).count();
    format!("{}, {met} of {} met", recent(now.merged), text::counted(slos.len() as u64, "SLO"))
}

/// Rate over the last full seconds, p95 and errors over the whole run so far.
fn recent(merged: &Snapshot) -> String {
    let total = merged.total();
    let complete: u64 = merged.series.iter().rev().skip(1).take(3).map(|second| second.complete).sum();
    let seconds = merged.series.len().saturating_sub(1).min(3) as u64;
    let rate = text::rate(complete, seconds * 1_000_000_000);
    let mut latency = plimsoll_measure::Histogram::default();
    for cell in &merged.cells {
        latency.merge(&cell.latency);
    }
    let p95 =
        latency.percentile(9_500, total.incomplete).finite().map_or_else(|| "-".to_owned(), text::duration);
    format!("{rate}, p95 {p95}, errors {}", text::share(total.failed, total.requests()))
}

fn bar(elapsed: Duration, whole: u64) -> String {
    let part = u128::from(nanos(elapsed).min(whole)) * BAR as u128 / u128::from(whole.max(1));
    let filled = usize::try_from(part).unwrap_or(BAR);
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
