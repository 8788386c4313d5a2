//! Nothing is lost between a snapshot and its series: sums over series are the snapshot's own, whatever was recorded, however many
//! names there are; and a run is all zeros before anything was.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plimsoll_measure::{
    Bad, End, ErrorClass, Gauges, Histogram, Layout, Metric, MetricId, MetricKind, Objective, Observation,
    Population, Recorder, RequestId, Sample, Snapshot, Split, Window, WindowId,
};
use plimsoll_slo::{Facts, Kind, Outcome, Severity, Slo, SloResult, Stat};
use plimsoll_telemetry::inventory::{self, *};
use plimsoll_telemetry::{Family, Identity, Load, RunSeries, Value, Workers, run_series};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// `requests` names, warm-up of two seconds, then `main`, hooks; one trend, one counter, one check.
fn layout(requests: usize) -> Layout {
    let window = |name: &str, judged| Window { name: name.to_owned(), judged, spans: Vec::new() };
    let metric = |name: &str, kind, request| Metric { name: name.to_owned(), kind, request };
    Layout {
        requests: (0..requests).map(|at| format!("GET /{at}")).collect(),
        windows: vec![window("main", true), window("warmup", false), window("hooks", false)],
        hooks: Some(WindowId(2)),
        segments: vec![(2 * SECOND, WindowId(1)), (10 * SECOND, WindowId(0))],
        metrics: vec![
            metric("shown", MetricKind::Check, Some(RequestId(0))),
            metric("items", MetricKind::Counter, None),
            metric("job", MetricKind::Trend, None),
        ],
        objectives: vec![Objective {
            population: Population::Requests,
            request: None,
            window: None,
            bad: Bad::Slower { nanos: 300_000_000, succeeded_only: false },
        }],
    }
}

fn slo() -> Slo {
    Slo {
        name: "p95".to_owned(),
        severity: Severity::Error,
        request: None,
        metric: None,
        window: None,
        kind: Kind::Latency { stat: Stat::Percentile(9_500), at_most: 300_000_000, succeeded_only: false },
        objective: Some(0),
        abort_after: None,
        min_samples: None,
    }
}

fn identity(worker: Option<u32>) -> Identity {
    Identity { namespace: "shop".into(), test: "checkout".into(), run: "checkout-1".into(), worker }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A run of this snapshot.
fn of<'a>(
    identity: &'a Identity,
    layout: &'a Layout,
    snapshot: Option<&'a Snapshot>,
    facts: &'a Facts,
    slos: &'a [Slo],
) -> RunSeries<'a> {
    RunSeries {
        identity,
        since: at(1_000),
        layout,
        snapshot,
        shed: false,
        slos,
        results: &[],
        facts,
        phase: "Running",
        verdict: None,
        start: Some(at(1_010)),
        end: None,
        workers: Some(Workers { desired: 2, ready: 2, lost: 0 }),
        load: Load::default(),
    }
}

fn family<'a>(families: &'a [Family], metric: &'static inventory::Metric) -> &'a Family {
    families.iter().find(|family| std::ptr::eq(family.metric, metric)).unwrap()
}

/// Sum over all series of a counter.
fn total(families: &[Family], metric: &'static inventory::Metric) -> u64 {
    let points = &family(families, metric).points;
    points
        .iter()
        .map(|point| if let Value::Count(count) = point.value { count } else { panic!("{point:?}") })
        .sum()
}

/// Sum over all series of a histogram, and of what has no end.
fn merged(families: &[Family], metric: &'static inventory::Metric) -> (Histogram, u64) {
    let mut sum = (Histogram::new(), 0);
    for point in &family(families, metric).points {
        let Value::Histogram { durations, endless, .. } = &point.value else { panic!("{point:?}") };
        sum.0.merge(durations);
        sum.1 += endless;
    }
    sum
}

fn ends() -> impl Strategy<Value = End> {
    let class = proptest::sample::select(ErrorClass::ALL.to_vec());
    prop_oneof![
        4 => (100u16..600).prop_map(|status| End::Complete { status, error: None }),
        1 => (100u16..600).prop_map(|status| End::Complete { status, error: Some(ErrorClass::Status) }),
        1 => class.clone().prop_map(End::Incomplete),
        1 => class.prop_map(End::NotSent),
        1 => Just(End::Unfinished),
        1 => Just(End::Unsent),
    ]
}

fn samples(requests: u16) -> impl Strategy<Value = Sample> {
    let time = 0..20 * SECOND;
    let all =
        (0..requests, 0..12 * SECOND, time.clone(), time.clone(), 0..SECOND, ends(), any::<[bool; 3]>());
    all.prop_map(|(request, intended, latency, service, phase, end, [scheduled, retry, hook])| Sample {
        request: RequestId(request),
        intended,
        latency,
        service,
        lateness: phase,
        split: Split { dns: phase, connect: phase / 2, tls: phase / 3, first_byte: service / 2 },
        received: latency / 7,
        end,
        scheduled: scheduled && !hook,
        retry,
        hook,
    })
}

fn recorded(layout: &Layout, samples: &[Sample]) -> Snapshot {
    let mut recorder = Recorder::new(Arc::new(layout.clone()));
    for sample in samples {
        recorder.record(sample);
        if !sample.hook {
            recorder.asked(sample.intended, sample.scheduled);
        }
        recorder.observe(MetricId(0), sample.intended, sample.hook, Observation::Good(sample.retry));
        recorder.observe(MetricId(1), sample.intended, sample.hook, Observation::Add(sample.received));
        recorder.observe(MetricId(2), sample.intended, sample.hook, Observation::Done(sample.latency));
        recorder.observe(MetricId(2), sample.intended, sample.hook, Observation::TimedOut);
    }
    recorder.take()
}

fn check_sums(layout: &Layout, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let (identity, facts, slos) = (identity(None), Facts::default(), [slo()]);
    let families = run_series(&of(&identity, layout, Some(snapshot), &facts, &slos));
    let all = snapshot.total();
    prop_assert_eq!(total(&families, &REQUESTS_SENT), all.sent);
    prop_assert_eq!(total(&families, &REQUESTS_FAILED), all.failed);
    prop_assert_eq!(total(&families, &REQUESTS_INCOMPLETE), all.incomplete);
    prop_assert_eq!(total(&families, &REQUESTS_UNFINISHED), all.unfinished);
    prop_assert_eq!(total(&families, &REQUESTS_NOT_SENT), all.not_sent);
    prop_assert_eq!(total(&families, &REQUESTS_RETRIED), all.retries);
    prop_assert_eq!(total(&families, &RECEIVED), all.received);
    if all.complete > 0 {
        prop_assert_eq!(total(&families, &RESPONSES), all.complete);
    }
    prop_assert_eq!(
        total(&families, &REQUESTS_ASKED),
        snapshot.series.iter().map(|second| second.asked).sum::<u64>()
    );
    prop_assert_eq!(total(&families, &ARRIVALS_ASKED), snapshot.health.due);
    let mut cells = (Histogram::new(), Histogram::new(), Histogram::new(), Histogram::new());
    for cell in &snapshot.cells {
        cells.0.merge(&cell.latency);
        cells.1.merge(&cell.service);
        cells.2.merge(&cell.first_byte);
        cells.3.merge(&cell.tls);
    }
    prop_assert_eq!(merged(&families, &REQUEST_LATENCY), (cells.0, all.incomplete));
    prop_assert_eq!(merged(&families, &REQUEST_DURATION), (cells.1, 0));
    prop_assert_eq!(merged(&families, &FIRST_BYTE), (cells.2, 0));
    prop_assert_eq!(merged(&families, &TLS_DURATION), (cells.3, 0));
    let objective = snapshot.objectives.first().copied().unwrap_or_default();
    prop_assert_eq!(total(&families, &SLO_EVENTS), objective.total);
    prop_assert_eq!(total(&families, &SLO_GOOD), objective.total - objective.bad);
    let of_metrics =
        |of: fn(&plimsoll_measure::MetricCell) -> u64| snapshot.metrics.iter().map(of).sum::<u64>();
    prop_assert_eq!(total(&families, &METRIC_EVENTS), of_metrics(|cell| cell.count));
    prop_assert_eq!(total(&families, &METRIC_GOOD), of_metrics(|cell| cell.good));
    prop_assert_eq!(total(&families, &METRIC_SUM), of_metrics(|cell| cell.sum));
    prop_assert_eq!(merged(&families, &METRIC_DURATION).1, of_metrics(|cell| cell.timed_out));
    well_formed(&families)
}

/// In the order of the inventory, nothing twice, no label that the inventory does not name.
fn well_formed(families: &[Family]) -> Result<(), TestCaseError> {
    let order: Vec<usize> = families
        .iter()
        .map(|family| inventory::all().position(|metric| std::ptr::eq(metric, family.metric)).unwrap())
        .collect();
    prop_assert!(order.is_sorted_by(|one, next| one < next));
    for family in families {
        let mut seen = BTreeSet::new();
        for point in &family.points {
            prop_assert!(
                seen.insert(point.labels.clone()),
                "{} twice: {:?}",
                family.metric.otel,
                point.labels
            );
            prop_assert!(point.labels.iter().all(|(label, _)| family.metric.has_label(label.prometheus)));
            prop_assert_eq!(
                point.since.is_some(),
                matches!(family.metric.kind, inventory::Kind::Counter | inventory::Kind::Histogram)
            );
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn sums_over_series_are_the_snapshots(samples in proptest::collection::vec(samples(3), 0..120)) {
        let layout = layout(3);
        check_sums(&layout, &recorded(&layout, &samples))?;
    }

    #[test]
    fn nothing_is_lost_beyond_the_caps(samples in proptest::collection::vec(samples(150), 0..120)) {
        let layout = layout(150);
        let snapshot = recorded(&layout, &samples);
        check_sums(&layout, &snapshot)?;
        let (identity, facts) = (identity(None), Facts::default());
        let families = run_series(&of(&identity, &layout, Some(&snapshot), &facts, &[]));
        let names: BTreeSet<&str> = family(&families, &REQUESTS_SENT).points.iter().map(|point| point.label(REQUEST)).collect();
        prop_assert_eq!(names.len(), MAX_REQUESTS + 1);
        let dropped: BTreeMap<&str, &Value> =
            family(&families, &CARDINALITY_DROPPED).points.iter().map(|point| (point.label(CAPPED), &point.value)).collect();
        prop_assert_eq!(dropped["request"], &Value::Gauge(50.0));
    }
}

#[test]
fn an_accepted_run_is_all_zeros() {
    let (layout, identity, facts, slos) = (layout(2), identity(None), Facts::default(), [slo()]);
    let none = Snapshot::default();
    let families = run_series(&of(&identity, &layout, Some(&none), &facts, &slos));
    let pairs: Vec<(&str, &str)> = family(&families, &REQUESTS_SENT)
        .points
        .iter()
        .map(|point| (point.label(REQUEST), point.label(WINDOW)))
        .collect();
    assert_eq!(pairs, [("GET /0", "main"), ("GET /0", "warmup"), ("GET /1", "main"), ("GET /1", "warmup")]);
    assert_eq!(family(&families, &REQUESTS_FAILED).points.len(), 4 * ErrorClass::ALL.len());
    for family in &families {
        let counts = |value: &Value| match value {
            Value::Count(count) => *count == 0,
            Value::Seconds(seconds) => *seconds == 0.0,
            Value::Histogram { durations, endless, .. } => durations.is_empty() && *endless == 0,
            Value::Gauge(_) => true,
        };
        assert!(family.points.iter().all(|point| counts(&point.value)), "{}", family.metric.otel);
    }
    // All that a run can say of itself, but for what only a load, a skew or an end brings.
    let said: BTreeSet<&str> = families.iter().map(|family| family.metric.otel).collect();
    let missing: Vec<&str> = inventory::all()
        .filter(|metric| metric.places.contains(&Place::Run) && !said.contains(metric.otel))
        .map(|metric| metric.otel)
        .collect();
    let of_now = [
        "plimsoll.responses",
        "plimsoll.users.asked",
        "plimsoll.arrivals.rate",
        "plimsoll.users.active",
        "http.client.active_requests",
        "http.client.open_connections",
        "plimsoll.slo.value",
        "plimsoll.run.end.timestamp",
        "plimsoll.run.start.skew",
        "plimsoll.generator.cpu.time",
    ];
    assert_eq!(missing, of_now);
}

#[test]
fn what_is_not_known_is_not_said() {
    let (layout, identity, facts) = (layout(1), identity(None), Facts::default());
    let families = run_series(&of(&identity, &layout, None, &facts, &[slo()]));
    assert!(
        families.iter().all(|family| !matches!(
            family.metric.kind,
            inventory::Kind::Counter | inventory::Kind::Histogram
        ))
    );
    assert!(!family(&families, &RUN_PHASE).points.is_empty());

    // A stored result without its histograms must not read as one that began anew.
    let mut snapshot = recorded(&layout, &[sample(200)]);
    snapshot.cells.iter_mut().for_each(|cell| cell.service = Histogram::new());
    let series = RunSeries { shed: true, ..of(&identity, &layout, Some(&snapshot), &facts, &[]) };
    let families = run_series(&series);
    assert!(families.iter().all(|family| !std::ptr::eq(family.metric, &REQUEST_DURATION)));
    assert_eq!(merged(&families, &REQUEST_LATENCY).0.count(), 1);
}

fn sample(status: u16) -> Sample {
    Sample {
        request: RequestId(0),
        intended: 3 * SECOND,
        latency: 40_000_000,
        service: 40_000_000,
        lateness: 0,
        split: Split::default(),
        received: 100,
        end: End::Complete { status, error: None },
        scheduled: false,
        retry: false,
        hook: false,
    }
}

#[test]
fn a_status_that_nobody_knows_makes_no_series() {
    let (layout, identity, facts) = (layout(1), identity(None), Facts::default());
    let samples: Vec<Sample> = (600..700).chain([200, 204]).map(sample).collect();
    let snapshot = recorded(&layout, &samples);
    let families = run_series(&of(&identity, &layout, Some(&snapshot), &facts, &[]));
    let by_status: Vec<(&str, &Value)> = family(&families, &RESPONSES)
        .points
        .iter()
        .map(|point| (point.label(STATUS), &point.value))
        .collect();
    assert_eq!(
        by_status,
        [("200", &Value::Count(1)), ("204", &Value::Count(1)), ("_other", &Value::Count(100))]
    );
}

#[test]
fn a_worker_says_what_it_measured_and_nothing_of_the_run() {
    let (layout, identity, facts) = (layout(1), identity(Some(3)), Facts::default());
    let snapshot = recorded(&layout, &[sample(200)]);
    let gauges = Gauges { users: 5, requests: 4, connections: 7, cpu: 2 * SECOND };
    let load = Load { users: None, rate: None, gauges: Some(gauges) };
    let series = RunSeries { workers: None, load, ..of(&identity, &layout, Some(&snapshot), &facts, &[]) };
    let families = run_series(&series);
    for family in &families {
        assert!(family.metric.places.contains(&Place::Worker), "{}", family.metric.otel);
        assert!(family.points.iter().all(|point| point.label(WORKER) == "3"));
    }
    assert_eq!(family(&families, &USERS_ACTIVE).points[0].value, Value::Gauge(5.0));
    assert_eq!(family(&families, &GENERATOR_CPU).points[0].value, Value::Seconds(2.0));
}

#[test]
fn the_end_of_a_run_is_told() {
    let (layout, identity, slos) = (layout(1), identity(None), [slo()]);
    let facts = Facts { start_skew: Some(2_500_000), ..Facts::default() };
    let snapshot = recorded(&layout, &[sample(200)]);
    let result = SloResult {
        name: "p95".into(),
        severity: Severity::Error,
        outcome: Outcome::Missed,
        value: Some("612.4ms".into()),
        bound: "≤ 300ms".into(),
        share: None,
        tally: None,
        samples: 1,
        message: String::new(),
    };
    let results = [result];
    let series = RunSeries {
        results: &results,
        phase: "Finished",
        verdict: Some(("Failed", "SLOMissed")),
        end: Some(at(1_030)),
        ..of(&identity, &layout, Some(&snapshot), &facts, &slos)
    };
    let families = run_series(&series);
    let told = |metric, labels: &[&str]| {
        let found = family(&families, metric).points.iter().find(|point| {
            labels.iter().all(|value| point.labels.iter().any(|(_, found)| **found == **value))
        });
        let Value::Gauge(number) = found.unwrap().value else { panic!() };
        number
    };
    assert_eq!(told(&RUN_PHASE, &["Finished"]), 1.0);
    assert_eq!(told(&RUN_PHASE, &["Running"]), 0.0);
    assert_eq!(told(&RUN_VERDICT, &["Failed", "SLOMissed"]), 1.0);
    assert_eq!(told(&RUN_VERDICT, &["Passed"]), 0.0);
    assert_eq!(told(&SLO_RESULT, &["p95", "Error", "Missed"]), 1.0);
    assert_eq!(told(&SLO_RESULT, &["p95", "Error", "Met"]), 0.0);
    assert_eq!(told(&SLO_VALUE, &["p95", "seconds"]), 0.6124);
    assert_eq!(told(&SLO_BOUND, &["p95", "seconds", "at_most"]), 0.3);
    assert_eq!(told(&RUN_END, &[]), 1_030.0);
    assert_eq!(told(&START_SKEW, &[]), 0.0025);
    assert_eq!((told(&WINDOW_START, &["main"]), told(&WINDOW_END, &["main"])), (1_012.0, 1_020.0));
    assert_eq!((told(&WINDOW_START, &["warmup"]), told(&WINDOW_END, &["warmup"])), (1_010.0, 1_012.0));
}
