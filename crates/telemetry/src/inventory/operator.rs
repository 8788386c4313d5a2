//! The operator, of itself. Filled by `operator/src/web.rs`.

use super::{OPERATOR, PHASE, STEP, WRITE, declare};

declare! {
    /// Leadership.
    OPERATOR_LEADER = "plimsoll.operator.leader", "plimsoll_operator_leader", Gauge, "{leader}", [], OPERATOR,
        "1 while this process leads; the sum over all replicas should be 1.";
    /// Reconciles.
    OPERATOR_RECONCILES = "plimsoll.operator.reconciles", "plimsoll_operator_reconciles_total", Counter, "{reconcile}", [], OPERATOR,
        "Reconciles of tests and runs.";
    /// Failed reconciles.
    OPERATOR_RECONCILE_ERRORS = "plimsoll.operator.reconcile.errors", "plimsoll_operator_reconcile_errors_total", Counter, "{reconcile}",
        [STEP], OPERATOR, "Reconciles that failed, by the step that did; they are repeated.";
    /// Duration of reconciles.
    OPERATOR_RECONCILE_DURATION = "plimsoll.operator.reconcile.duration", "plimsoll_operator_reconcile_duration_seconds", Histogram, "s",
        [], OPERATOR, "How long reconciles took.";
    /// Writes.
    OPERATOR_API_WRITES = "plimsoll.operator.api.writes", "plimsoll_operator_api_writes_total", Counter, "{write}", [WRITE], OPERATOR,
        "Writes to the API server.";
    /// Runs.
    OPERATOR_RUNS = "plimsoll.operator.runs", "plimsoll_operator_runs", Gauge, "{run}", [PHASE], OPERATOR,
        "Runs that there are, by phase; those that are Pending wait for their turn. Only the leader counts them.";
    /// Sessions.
    OPERATOR_SESSIONS = "plimsoll.operator.sessions", "plimsoll_operator_sessions", UpDownCounter, "{session}", [], OPERATOR,
        "Workers that are connected to this process.";
}
