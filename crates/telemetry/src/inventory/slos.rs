//! SLOs: the counters that decide them, and their results so far or at the end. Filled by `../series/slos.rs`.

use super::{RESULT, RUN, SEVERITY, SIDE, SLO, UNIT, declare};

declare! {
    /// In scope.
    SLO_EVENTS = "plimsoll.slo.events", "plimsoll_slo_events_total", Counter, "{event}", [SLO], RUN,
        "What an SLO counts: requests, checks or observations in its scope. Only of SLOs that are decided by counters.";
    /// Good.
    SLO_GOOD = "plimsoll.slo.good", "plimsoll_slo_good_total", Counter, "{event}", [SLO], RUN,
        "Of the events of an SLO, the good ones: at most the bound, or not failed.";
    /// The result.
    SLO_RESULT = "plimsoll.slo.result", "plimsoll_slo_result", Gauge, "{result}", [SLO, SEVERITY, RESULT], RUN,
        "1 for the result that an SLO has on what was measured so far, and at the end for the one it was judged by; 0 for the others.";
    /// The value.
    SLO_VALUE = "plimsoll.slo.value", "plimsoll_slo_value", Gauge, "{value}", [SLO, UNIT], RUN,
        "The number that the status shows for an SLO; +Inf where it shows `>max`. Absent while there is none.";
    /// The bound.
    SLO_BOUND = "plimsoll.slo.bound", "plimsoll_slo_bound", Gauge, "{value}", [SLO, UNIT, SIDE], RUN,
        "The bound that an SLO holds its value against.";
}
