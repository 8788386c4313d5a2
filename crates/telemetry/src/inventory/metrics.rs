//! What scenarios measure beside requests: checks, rates, counters, trends, polls, sockets, faults. Filled by `../series/metrics.rs`.

use super::{METRIC, REQUEST, RUN_AND_WORKER, WINDOW, declare};

declare! {
    /// Observations.
    METRIC_EVENTS = "plimsoll.metric.events", "plimsoll_metric_events_total", Counter, "{event}", [METRIC, REQUEST, WINDOW], RUN_AND_WORKER,
        "Observations of a check, rate, counter or trend, and occurrences of a fault. `request` is that of its step, or empty.";
    /// Good ones.
    METRIC_GOOD = "plimsoll.metric.good", "plimsoll_metric_good_total", Counter, "{event}", [METRIC, REQUEST, WINDOW], RUN_AND_WORKER,
        "Of the events: checks that passed, a rate's true, what a trend says is done. 0 for counters and faults.";
    /// Sum of a counter.
    METRIC_SUM = "plimsoll.metric.sum", "plimsoll_metric_sum_total", Counter, "{unit}", [METRIC, REQUEST, WINDOW], RUN_AND_WORKER,
        "Sum of a counter that a scenario keeps. Only of counters.";
    /// How long it took.
    METRIC_DURATION = "plimsoll.metric.duration", "plimsoll_metric_duration_seconds", Histogram, "s", [METRIC, REQUEST, WINDOW],
        RUN_AND_WORKER, "Durations that a trend measured of what was done. What came to no end in its time counts as slower than every \
         bound. Only of trends.";
}
