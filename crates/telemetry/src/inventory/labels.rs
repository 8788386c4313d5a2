//! Every label. Values are names that somebody chose in a manifest, or words of a closed set; never URLs, bodies or messages.

use super::Label;

const fn label(otel: &'static str, prometheus: &'static str, meaning: &'static str) -> Label {
    Label { otel, prometheus, meaning }
}

const fn own(name: &'static str, meaning: &'static str) -> Label {
    label(name, name, meaning)
}

/// Namespace of the LoadTest.
pub const TEST_NAMESPACE: Label =
    own("test_namespace", "Namespace of the test and its run; empty for `plimsoll run`.");
/// Name of the LoadTest.
pub const TEST: Label = own("test", "Name of the LoadTest.");
/// Name of the LoadTestRun.
pub const RUN_NAME: Label = own("run", "Name of the LoadTestRun.");
/// Index of a worker.
pub const WORKER: Label =
    own("worker", "Index of the worker, from 0; series merged over all workers do not have it.");
/// Name of a request.
pub const REQUEST: Label = own("request", "Name of the request, as SLOs refer to it: never a URL.");
/// Name of a window.
pub const WINDOW: Label = own(
    "window",
    "Name of the window: `main`, `warmup`, `cooldown`, `hooks`, or one that the profile names.",
);
/// Class of a failure.
pub const ERROR_TYPE: Label = label(
    "error.type",
    "error_type",
    "Why a request failed: DNS, Connect, TLS, Timeout, Reset, Protocol, Status or Body.",
);
/// Status of a response.
pub const STATUS: Label = label(
    "http.response.status_code",
    "http_response_status_code",
    "Status of a response; statuses that nobody has registered and few servers send are summed up as `_other`.",
);
/// Name of an SLO.
pub const SLO: Label = own("slo", "Name of the SLO.");
/// Severity of an SLO.
pub const SEVERITY: Label = own("severity", "What a miss does: Info, Warning, Error or Critical.");
/// Result of an SLO.
pub const RESULT: Label = own("result", "Met, Missed or Unknown.");
/// Unit of an SLO's value.
pub const UNIT: Label = own(
    "unit",
    "What the number is in: `seconds`, `ratio`, `per_second`, `count`, or the unit that a query's SLO names.",
);
/// Side of a bound.
pub const SIDE: Label = own("side", "Which side is allowed: `at_most` or `at_least`.");
/// Phase of a run.
pub const PHASE: Label = own("phase", "Pending, Starting, Running, Collecting or Finished.");
/// Verdict of a run.
pub const VERDICT: Label = own("verdict", "Passed, Failed, Inconclusive or Error.");
/// Reason of a verdict.
pub const REASON: Label =
    own("reason", "Why the verdict is what it is: the reason of the status, such as SLOMissed.");
/// State of workers.
pub const STATE: Label = own(
    "state",
    "`desired`: of the plan. `ready`: there, before the start ready for it. `lost`: given up after the start.",
);
/// Name of a metric that a manifest defines.
pub const METRIC: Label =
    own("metric", "Name of the check, rate, counter, trend or fault, as SLOs refer to it.");
/// What arrivals waited for.
pub const HELD_BY: Label = own(
    "by",
    "`generator`: a core without time. `target`: answers, as many as `maxInFlight` allows being awaited. `connections`: a free one. \
     `limits`: a place in a capped step.",
);
/// What a cap is on.
pub const CAPPED: Label =
    own("of", "What there is too much of: `request`, `window`, `status`, `slo` or `metric`.");
/// Step of a reconcile.
pub const STEP: Label = own("step", "Which step failed: observe, apply or status.");
/// What is written to the API server.
pub const WRITE: Label = own("kind", "What was written: status, a kind of object, or an event.");
