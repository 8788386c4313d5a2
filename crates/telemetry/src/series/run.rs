//! Where a run stands, when what takes place, who works on it, and what the caps left out.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Series, Workers, value};
use crate::inventory::{
    CAPPED, CARDINALITY_DROPPED, PHASE, REASON, RUN_END, RUN_PHASE, RUN_START, RUN_VERDICT, START_SKEW,
    STATE, VERDICT, WINDOW, WINDOW_END, WINDOW_START, WORKERS,
};

/// Phases of a run in their order.
const PHASES: [&str; 5] = ["Pending", "Starting", "Running", "Collecting", "Finished"];
/// Verdicts of a run.
const VERDICTS: [&str; 4] = ["Passed", "Failed", "Inconclusive", "Error"];

pub(super) fn phase(series: &mut Series<'_>) {
    let (phase, verdict) = (series.run.phase, series.run.verdict);
    for name in PHASES {
        series.gauge(&RUN_PHASE, &[(PHASE, value(name))], flag(name == phase));
    }
    for name in VERDICTS {
        let reason = verdict.filter(|(verdict, _)| *verdict == name).map(|(_, reason)| reason);
        let labels = [(VERDICT, value(name)), (REASON, value(reason.unwrap_or_default()))];
        series.gauge(&RUN_VERDICT, &labels, flag(reason.is_some()));
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

pub(super) fn run(series: &mut Series<'_>) {
    let run = series.run;
    if let Some(at) = run.start.and_then(epoch) {
        series.gauge(&RUN_START, &[], at);
    }
    if let Some(at) = run.end.and_then(epoch) {
        series.gauge(&RUN_END, &[], at);
    }
    if let Some(start) = run.start {
        windows(series, start);
    }
    if let Some(skew) = run.facts.start_skew {
        series.gauge(&START_SKEW, &[], super::seconds(skew));
    }
    if let Some(Workers { desired, ready, lost }) = run.workers {
        for (state, count) in [("desired", desired), ("ready", ready), ("lost", lost)] {
            series.gauge(&WORKERS, &[(STATE, value(state))], f64::from(count));
        }
    }
}

/// Begin and end of every window that has a time, by the segments of the plan; those beyond the cap are in none.
fn windows(series: &mut Series<'_>, start: SystemTime) {
    let layout = series.run.layout;
    let capped = series.caps.windows > 0;
    for (at, name) in series.windows.clone().iter().enumerate() {
        if capped && at >= crate::inventory::MAX_WINDOWS {
            return;
        }
        let mut begins = 0;
        let mut span: Option<(u64, u64)> = None;
        for (end, window) in &layout.segments {
            if usize::from(window.0) == at && begins < *end {
                span = Some((span.map_or(begins, |(first, _)| first), *end));
            }
            begins = *end;
        }
        let Some((first, last)) = span else { continue };
        let labels = [(WINDOW, Arc::clone(name))];
        let moment = |nanos| start.checked_add(Duration::from_nanos(nanos)).and_then(epoch);
        if let Some(first) = moment(first) {
            series.gauge(&WINDOW_START, &labels, first);
        }
        // The last segment may be open-ended.
        if let Some(last) = moment(last).filter(|_| last < u64::MAX / 2) {
            series.gauge(&WINDOW_END, &labels, last);
        }
    }
}

/// How many names have no series of their own.
pub(super) fn dropped(series: &mut Series<'_>) {
    let caps = series.caps;
    for (of, count) in [
        ("request", caps.requests),
        ("window", caps.windows),
        ("status", caps.statuses),
        ("slo", caps.slos),
        ("metric", caps.metrics),
    ] {
        series.gauge(&CARDINALITY_DROPPED, &[(CAPPED, value(of))], count as f64);
    }
}

/// Seconds since 1970.
fn epoch(at: SystemTime) -> Option<f64> {
    at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}
