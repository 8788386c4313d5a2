//! Runs of a real manifest, recorded by a real recorder and judged, for the other files of this folder.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use plimsoll_api::status::{Measured, RunView};
use plimsoll_api::v1alpha1::{LoadTestRunStatus, Phase, WorkerCounts};
use plimsoll_api::{Object, References, Resolved, lower, read};
use plimsoll_measure::{End, ErrorClass, Recorder, RequestId, Sample, Snapshot, Split};
use plimsoll_plan::RunId;
use plimsoll_slo::{Facts, Judgement, judge};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

/// Two request names, a warm-up of 5 s, the windows `calm` until 20 s and `busy` until 30 s.
pub(crate) const SHOP: &str = "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: shop, namespace: web}
spec:
  target: {url: http://shop.web:8080/v1}
  profile:
    warmup: 5s
    stages:
    - {duration: 20s, users: 20, window: calm}
    - {duration: 10s, users: 40, window: busy}
  scenarios:
  - name: visitor
    steps:
    - {name: GET /items, http: {path: /items}}
    - {name: POST /cart, http: {method: POST, path: /cart}}
  slos:
  - {name: p95, latency: {stat: p95, atMost: 100ms}}
  - {name: p99, latency: {stat: p99, atMost: 300ms}, severity: Warning}
  - {name: errors, errorRate: {atMost: 1%}}
  - {name: busy-p95, window: busy, latency: {stat: p95, atMost: 150ms}}
  - {name: cart, request: POST /cart, latency: {stat: p99.9, atMost: 1s}}
  workers: {count: 2}
";

/// One request name, one request every 5 ms.
pub(crate) const OPEN: &str = "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: open, namespace: web}
spec:
  target: {url: http://shop.web/}
  profile: {duration: 10s, arrivals: {rate: 200/s}}
  slos:
  - {name: p95, latency: {stat: p95, atMost: 100ms}}
";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the runs of these tests start.
pub(crate) fn start() -> Timestamp {
    time("2030-01-02T03:04:05.678901Z")
}

pub(crate) fn later(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond(start().as_microsecond() + seconds * 1_000_000).unwrap()
}

/// A test with an SLO on a query.
pub(crate) const MANIFEST_WITH_QUERY: &str = "\
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: shop, namespace: web}
spec:
  target: {url: http://shop}
  profile: {users: 2, duration: 30s}
  slos:
  - {name: errors, errorRate: {atMost: 1%}}
  - {name: cpu, prometheus: {query: max(cpu), atMost: 0.8, unit: cores}}
";

/// A manifest with its plan, and what was measured of it.
pub(crate) struct Run {
    pub(crate) resolved: Resolved,
    pub(crate) merged: Snapshot,
    pub(crate) facts: Facts,
    pub(crate) workers: WorkerCounts,
}

pub(crate) fn run(manifest: &str, samples: impl IntoIterator<Item = Sample>) -> Run {
    let documents = read("test.yaml", manifest).unwrap();
    let Object::LoadTest(test) = &documents[0].object else { panic!("a LoadTest") };
    let id = RunId { namespace: "web".into(), test: "shop".into(), name: "shop-1a2b3c4d".into() };
    let resolved = lower(test, None, &References::default(), id, 7).unwrap();
    let merged = record(&resolved, samples);
    let workers = resolved.plan.workers;
    let open_model = resolved.plan.has_arrivals();
    let measured = resolved.plan.duration;
    let facts = Facts { open_model, workers, start_skew: Some(3_100_000), measured, ..Facts::default() };
    Run { resolved, merged, facts, workers: WorkerCounts { desired: workers, ready: workers, lost: 0 } }
}

fn record(resolved: &Resolved, samples: impl IntoIterator<Item = Sample>) -> Snapshot {
    let mut recorder = Recorder::new(Arc::new(resolved.plan.layout.clone()));
    let scheduled = resolved.plan.has_arrivals();
    for sample in samples {
        let sample = Sample { scheduled, ..sample };
        recorder.asked(sample.intended, scheduled);
        recorder.record(&sample);
    }
    recorder.wait_ended(15 * SECOND, MS / 5);
    recorder.health().wall = 2 * resolved.plan.duration;
    recorder.health().connections = 40;
    recorder.take()
}

impl Run {
    pub(crate) fn judged(&self) -> Judgement {
        let Resolved { plan, slos, validity, .. } = &self.resolved;
        judge(slos, validity, &plan.layout, &self.merged, &self.facts)
    }

    /// A view of a phase, with what is known then.
    pub(crate) fn view(&self, phase: Phase) -> RunView<'_> {
        let Resolved { plan, slos, validity, .. } = &self.resolved;
        let measured = Measured { plan, slos, validity, merged: &self.merged, facts: &self.facts };
        RunView {
            queued_at: Some(later(-20)),
            started_at: Some(start()).filter(|_| phase >= Phase::Running),
            workers: Some(self.workers),
            measured: Some(measured),
            ..RunView::new(3, phase, later(40))
        }
    }

    /// The status at its end.
    pub(crate) fn finished(&self) -> LoadTestRunStatus {
        let judgement = self.judged();
        let view = RunView { judgement: Some(&judgement), ..self.view(Phase::Finished) };
        plimsoll_api::status::run_status(&view)
    }
}

pub(crate) fn ok() -> End {
    End::Complete { status: 200, error: None }
}

pub(crate) fn answered(status: u16) -> End {
    End::Complete { status, error: (status >= 400).then_some(ErrorClass::Status) }
}

pub(crate) fn sample(request: u16, intended: u64, latency: u64, end: End) -> Sample {
    let split = Split { dns: 0, connect: 0, tls: 0, first_byte: latency / 2 };
    Sample {
        request: RequestId(request),
        intended,
        latency,
        service: latency,
        lateness: MS / 10,
        split,
        received: 1_200,
        end,
        scheduled: false,
        retry: false,
        hook: false,
    }
}

/// `n` requests spread evenly over `seconds`, alternating between two names; `slow` of 100 take 200 ms, the others 20 ms.
pub(crate) fn samples(n: u64, seconds: u64, slow: u64) -> Vec<Sample> {
    let each = |i: u64| {
        let latency = if i % 100 < slow { 200 * MS } else { 20 * MS };
        sample((i / 7 % 2) as u16, i * seconds * SECOND / n, latency, ok())
    };
    (0..n).map(each).collect()
}

/// The same of one name only.
pub(crate) fn of_one_name(n: u64, seconds: u64, slow: u64) -> Vec<Sample> {
    let samples = samples(n, seconds, slow).into_iter();
    samples.map(|sample| Sample { request: RequestId(0), ..sample }).collect()
}
