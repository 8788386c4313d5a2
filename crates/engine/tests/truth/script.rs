//! Scripts for tests: metrics by name, expressions, and what a run observed of them.

use plimsoll_measure::{Metric, MetricCell, MetricId, MetricKind, Snapshot, Window, WindowId};
use plimsoll_plan::Plan;
use plimsoll_scenario::{
    Assign, Body, Check, Condition, Field, HttpStep, OnFailure, PollStep, Repeat, Retry, Step, StepAction,
};
use plimsoll_testbed::{Aragora, Auth, Config};

use crate::support::{MILLI, SECOND, get, quiet};

/// Metrics of a script as it is written down.
#[derive(Default)]
pub(crate) struct Metrics(Vec<Metric>);

impl Metrics {
    pub(crate) fn add(&mut self, name: &str, kind: MetricKind) -> u16 {
        self.0.push(Metric { name: name.into(), kind, request: None });
        u16::try_from(self.0.len() - 1).unwrap()
    }

    pub(crate) fn condition(&mut self, name: &str, expr: &str) -> Condition {
        Condition { expr: expr.into(), at: format!("test {name}"), fault: self.add(name, MetricKind::Fault) }
    }

    pub(crate) fn check(&mut self, name: &str, expr: &str) -> Check {
        let metric = self.add(name, MetricKind::Check);
        Check { name: name.into(), expr: expr.into(), at: format!("test {name}"), metric }
    }

    pub(crate) fn assign(&mut self, name: &str, expr: &str) -> Assign {
        let fault = self.add(&format!("capture {name}"), MetricKind::Fault);
        Assign { name: name.into(), expr: expr.into(), at: format!("test {name}"), fault }
    }

    pub(crate) fn retry(&mut self, attempts: u32, delay: u64) -> Retry {
        Retry {
            attempts,
            delay: delay * MILLI,
            factor: 2000,
            max_delay: 30 * SECOND,
            on: vec![],
            honour_retry_after: false,
            metric: self.add("after retries", MetricKind::Rate),
        }
    }

    /// Asks for `path` every so many milliseconds.
    pub(crate) fn poll(&mut self, path: &str, every: u64, limit: u64, done: &str, failed: &str) -> Step {
        let poll = PollStep {
            http: get(path),
            every: every * MILLI,
            limit: limit * MILLI,
            done: self.condition("done", done),
            failed: (!failed.is_empty()).then(|| self.condition("failed", failed)),
            metric: self.add("job", MetricKind::Trend),
        };
        Step::new("test poll", StepAction::Poll(Box::new(poll)))
    }

    /// Makes them the plan's, with a window for hooks.
    pub(crate) fn put(self, plan: &mut Plan) {
        plan.layout.metrics = self.0;
        plan.layout.windows.push(Window { name: "hooks".into(), judged: false, spans: vec![] });
        plan.layout.hooks = Some(WindowId(1));
        // A request name more than the plan's first scenario has does no harm.
        let highest = 8;
        for number in plan.layout.requests.len()..highest {
            plan.layout.requests.push(format!("request {number}"));
        }
    }
}

/// What was observed of a metric in the main window; nothing counts as zeros.
pub(crate) fn observed(snapshot: &Snapshot, metric: u16) -> MetricCell {
    observed_in(snapshot, metric, 0)
}

pub(crate) fn observed_in(snapshot: &Snapshot, metric: u16, window: u16) -> MetricCell {
    let key = (MetricId(metric), WindowId(window));
    let found = snapshot.metrics.iter().find(|cell| (cell.metric, cell.window) == key);
    found.cloned().unwrap_or_else(|| MetricCell {
        metric: key.0,
        window: key.1,
        count: 0,
        good: 0,
        sum: 0,
        timed_out: 0,
        histogram: plimsoll_measure::Histogram::new(),
    })
}

/// Requests sent under a name in a window.
pub(crate) fn sent_in(snapshot: &Snapshot, request: u16, window: u16) -> u64 {
    let cells = snapshot.cells.iter();
    cells
        .filter(|cell| (cell.request.0, cell.window.0) == (request, window))
        .map(|cell| cell.counts.sent)
        .sum()
}

pub(crate) fn post(path: &str, json: serde_json::Value) -> HttpStep {
    HttpStep { method: "POST".into(), body: Body::Json(json), ..get(path) }
}

/// The same request under another name.
pub(crate) fn named(request: u16, step: HttpStep) -> HttpStep {
    HttpStep { request, ..step }
}

/// With an `authorization` header.
pub(crate) fn bearer(token: &str, step: HttpStep) -> HttpStep {
    let value = format!("Bearer ${{{token}}}");
    HttpStep { headers: vec![Field { name: "authorization".into(), value }], ..step }
}

/// A login of an address of the user's own; the captures are the token.
pub(crate) fn login(metrics: &mut Metrics, request: u16) -> Step {
    let email =
        serde_json::json!({"email": "${'u' + string(run.user)}@load.test", "password": "${'secret'}"});
    let mut step = crate::support::http(named(request, post("/api/auth/login", email)));
    step.captures = vec![metrics.assign("token", "body.access_token")];
    step.on_failure = OnFailure::EndUser;
    step
}

/// The Aragora endpoints; with tokens or without.
pub(crate) fn aragora(required: bool) -> Config {
    let auth = Auth { required, ..Auth::default() };
    Config { aragora: Aragora { auth, ..Aragora::default() }, ..quiet() }
}

pub(crate) fn repeat(times: u32, gap: u64) -> Option<Repeat> {
    Some(Repeat { times, gap: gap * MILLI })
}

/// Twenty seeds that belong to a test.
pub(crate) fn seeds(test: &str) -> impl Iterator<Item = u64> {
    // FNV-1a (Fowler, Noll, Vo).
    let hash = test.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (0..20).map(move |number| hash.wrapping_add(number))
}

/// Fails unless `hits` of `trials` is what this share gives, but for one in a million of such tests: a binomial count lies within
/// 4.9 of its standard deviations of the mean, and one more for being whole.
pub(crate) fn assert_share(hits: u64, trials: u64, share: f64, what: &str) {
    let (n, mean) = (trials as f64, trials as f64 * share);
    let bound = 4.9 * (n * share * (1.0 - share)).sqrt() + 1.0;
    assert!(
        (hits as f64 - mean).abs() <= bound,
        "{what}: {hits} of {trials}, expected {mean:.1} ± {bound:.1}"
    );
}
