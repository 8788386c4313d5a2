//! The run itself: where it stands, how it ended, when what took place, and who works on it. Filled by `../series/run.rs`.

use super::{CAPPED, PHASE, REASON, RUN, RUN_AND_WORKER, STATE, VERDICT, WINDOW, declare};

declare! {
    /// The phase.
    RUN_PHASE = "plimsoll.run.phase", "plimsoll_run_phase", Gauge, "{phase}", [PHASE], RUN,
        "1 for the phase that the run is in, 0 for the others.";
    /// The verdict.
    RUN_VERDICT = "plimsoll.run.verdict", "plimsoll_run_verdict", Gauge, "{verdict}", [VERDICT, REASON], RUN,
        "1 for the run's verdict and its reason. The other verdicts are 0, without a reason; before the end all are.";
    /// The start.
    RUN_START = "plimsoll.run.start.timestamp", "plimsoll_run_start_timestamp_seconds", Gauge, "s", [], RUN,
        "When the load began, seconds since 1970; absent before.";
    /// The end.
    RUN_END = "plimsoll.run.end.timestamp", "plimsoll_run_end_timestamp_seconds", Gauge, "s", [], RUN,
        "When the verdict was there, seconds since 1970; absent before.";
    /// When a window begins.
    WINDOW_START = "plimsoll.window.start.timestamp", "plimsoll_window_start_timestamp_seconds", Gauge, "s", [WINDOW], RUN,
        "When the first stretch of a window begins by the plan, seconds since 1970; absent before the start, and for windows without a \
         time of their own.";
    /// When a window ends.
    WINDOW_END = "plimsoll.window.end.timestamp", "plimsoll_window_end_timestamp_seconds", Gauge, "s", [WINDOW], RUN,
        "When the last stretch of a window ends by the plan, seconds since 1970.";
    /// Start skew.
    START_SKEW = "plimsoll.run.start.skew", "plimsoll_run_start_skew_seconds", Gauge, "s", [], RUN,
        "Time between the first requests of the first and the last worker: `validity.maxStartSkew` is on it. Absent before they are sent.";
    /// Workers.
    WORKERS = "plimsoll.workers", "plimsoll_workers", Gauge, "{worker}", [STATE], RUN,
        "Workers of the run.";
    /// What the caps left out.
    CARDINALITY_DROPPED = "plimsoll.cardinality.dropped", "plimsoll_cardinality_dropped", Gauge, "{name}", [CAPPED], RUN_AND_WORKER,
        "Names that have no series of their own, since there are more than the caps allow: requests, windows and statuses beyond them \
         are summed up as `_other`, SLOs and metrics are left out.";
}
