//! Runs made by a real recorder, for the tables of `kinds.rs` and `verdicts.rs`.

use std::sync::Arc;

use plimsoll_measure::{
    Bad, End, ErrorClass, Layout, Metric, MetricId, MetricKind, Objective, Observation, Population, Recorder,
    RequestId, Sample, Snapshot, Split, Window, WindowId,
};
use plimsoll_slo::{Facts, Judgement, Kind, Severity, Slo, SloResult, Stat, Validity, judge};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
pub(crate) const PERCENT: u64 = 10_000_000;

/// Warm-up of 2 s, then `main` until 12 s, then `burst` until 22 s; one request name `a`, one `b`.
pub(crate) fn layout(objectives: Vec<Objective>) -> Layout {
    let window = |name: &str, spans: &[_]| Window {
        name: name.into(),
        judged: !spans.is_empty(),
        spans: spans.to_vec(),
    };
    Layout {
        requests: vec!["a".into(), "b".into()],
        windows: vec![
            window("main", &[(2 * SECOND, 12 * SECOND)]),
            window("warmup", &[]),
            window("burst", &[(12 * SECOND, 22 * SECOND)]),
        ],
        segments: vec![(2 * SECOND, WindowId(1)), (12 * SECOND, WindowId(0)), (22 * SECOND, WindowId(2))],
        objectives,
        metrics: metrics(),
        ..Layout::default()
    }
}

pub(crate) const VALID: MetricId = MetricId(0);
pub(crate) const FRESH: MetricId = MetricId(1);
pub(crate) const CAPTURE: MetricId = MetricId(2);
pub(crate) const ORDERS: MetricId = MetricId(3);
pub(crate) const HITS: MetricId = MetricId(4);
pub(crate) const JOB: MetricId = MetricId(5);
/// What could not be computed of them.
pub(crate) const ORDERS_FAULT: MetricId = MetricId(6);
pub(crate) const HITS_FAULT: MetricId = MetricId(7);
pub(crate) const JOB_FAULT: MetricId = MetricId(8);

/// A metric of each kind; the checks belong to requests `a` and `b`.
fn metrics() -> Vec<Metric> {
    let metric = |name: &str, kind, request: Option<u16>| Metric {
        name: name.into(),
        kind,
        request: request.map(RequestId),
    };
    vec![
        metric("valid", MetricKind::Check, Some(0)),
        metric("fresh", MetricKind::Check, Some(1)),
        metric("capture token", MetricKind::Fault, Some(0)),
        metric("orders", MetricKind::Counter, None),
        metric("hits", MetricKind::Rate, None),
        metric("job", MetricKind::Trend, None),
        metric("metric orders", MetricKind::Fault, Some(0)),
        metric("metric hits", MetricKind::Fault, Some(1)),
        metric("metric job", MetricKind::Fault, Some(1)),
    ]
}

/// `n` observations of a metric at 3 s.
pub(crate) fn seen(n: usize, metric: MetricId, what: Observation) -> Vec<(MetricId, u64, Observation)> {
    vec![(metric, 3 * SECOND, what); n]
}

pub(crate) fn validity() -> Validity {
    Validity {
        min_samples: None,
        min_delivered: 95 * PERCENT,
        max_lateness: 10 * MS,
        max_start_skew: 100 * MS,
        on_worker_loss: plimsoll_slo::WorkerLossPolicy::Inconclusive,
    }
}

pub(crate) fn facts() -> Facts {
    Facts { open_model: true, workers: 2, start_skew: Some(MS), measured: 22 * SECOND, ..Facts::default() }
}

pub(crate) fn slo(name: &str, kind: Kind) -> Slo {
    Slo {
        name: name.into(),
        severity: Severity::Error,
        request: None,
        metric: None,
        window: None,
        kind,
        objective: None,
        abort_after: None,
        min_samples: None,
    }
}

pub(crate) fn p(q: u32, at_most: u64) -> Kind {
    Kind::Latency { stat: Stat::Percentile(q), at_most, succeeded_only: false }
}

pub(crate) fn errors(at_most: u64) -> Kind {
    Kind::ErrorRate { at_most, classes: vec![], within: None }
}

pub(crate) fn ok() -> End {
    End::Complete { status: 200, error: None }
}

pub(crate) fn answered(status: u16) -> End {
    End::Complete { status, error: (status >= 400).then_some(ErrorClass::Status) }
}

/// One request of name `a`.
pub(crate) fn request(intended: u64, latency: u64, end: End) -> Sample {
    Sample {
        request: RequestId(0),
        intended,
        latency,
        service: latency,
        lateness: 10_000,
        split: Split::default(),
        received: 1,
        end,
        scheduled: true,
        retry: false,
        hook: false,
    }
}

/// `n` requests of this latency and end, at 3 s.
pub(crate) fn many(n: usize, latency: u64, end: End) -> Vec<Sample> {
    vec![request(3 * SECOND, latency, end); n]
}

/// A run of these SLOs: its counters are in the layout, one each as the kind needs it.
pub(crate) struct Run {
    pub(crate) slos: Vec<Slo>,
    pub(crate) validity: Validity,
    pub(crate) layout: Layout,
    pub(crate) merged: Snapshot,
    pub(crate) facts: Facts,
}

/// Status ranges of `statusRate` SLOs in these tests.
pub(crate) const SHED: (u16, u16) = (429, 429);

impl Run {
    pub(crate) fn new(slos: Vec<Slo>, samples: &[Sample]) -> Self {
        Self::observed(slos, samples, &[])
    }

    pub(crate) fn observed(
        mut slos: Vec<Slo>,
        samples: &[Sample],
        seen: &[(MetricId, u64, Observation)],
    ) -> Self {
        let mut objectives = Vec::new();
        for slo in &mut slos {
            let bad = match &slo.kind {
                Kind::Latency { stat: Stat::Percentile(_), at_most, succeeded_only } => {
                    Bad::Slower { nanos: *at_most, succeeded_only: *succeeded_only }
                }
                Kind::ErrorRate { classes, .. } => Bad::Failed { classes: classes.clone() },
                Kind::TimeoutRate { .. } => Bad::Failed { classes: vec![ErrorClass::Timeout] },
                Kind::CheckRate { .. } | Kind::MetricRate { .. } => Bad::NotGood,
                Kind::StatusRate { .. } => Bad::Status { ranges: vec![SHED] },
                _ => continue,
            };
            slo.objective = Some(objectives.len());
            let population = match (&slo.kind, slo.metric) {
                (Kind::CheckRate { .. }, check) => Population::Checks { check },
                (_, Some(metric)) => Population::Metric(metric),
                (_, None) => Population::Requests,
            };
            objectives.push(Objective { population, request: slo.request, window: slo.window, bad });
        }
        let layout = layout(objectives);
        let mut recorder = Recorder::new(Arc::new(layout.clone()));
        for sample in samples {
            recorder.asked(sample.intended, sample.scheduled);
            recorder.record(sample);
        }
        for (metric, at, what) in seen {
            recorder.observe(*metric, *at, false, *what);
        }
        let merged = recorder.take();
        Self { slos, validity: validity(), layout, merged, facts: facts() }
    }

    pub(crate) fn judge(&self) -> Judgement {
        judge(&self.slos, &self.validity, &self.layout, &self.merged, &self.facts)
    }

    pub(crate) fn live(&self, elapsed: u64) -> Option<(usize, String)> {
        plimsoll_slo::live(&self.slos, &self.validity, &self.layout, &self.merged, &self.facts, elapsed)
    }
}

/// The result of one SLO over these samples.
pub(crate) fn result(slo: Slo, samples: &[Sample]) -> SloResult {
    Run::new(vec![slo], samples).judge().results.remove(0)
}
