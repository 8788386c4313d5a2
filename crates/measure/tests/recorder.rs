//! The recorder against plain counting over a list of samples.

use std::sync::Arc;

use plimsoll_measure::{
    Bad, Counts, EXAMPLE_CHARS, End, ErrorClass, FAILURE_GROUPS, Failure, Layout, Metric, MetricId,
    MetricKind, MetricTotal, Objective, ObjectiveCount, Observation, Population, Recorder, RequestId, Sample,
    Second, Snapshot, Split, Window, WindowId, coalesce,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

const OK: MetricId = MetricId(0);
const TOKEN: MetricId = MetricId(2);
const ORDERS: MetricId = MetricId(3);
const HITS: MetricId = MetricId(4);
const JOB: MetricId = MetricId(5);

/// Two requests and a metric of each kind; warm-up of 2 s, then `main` to 6 s, then `burst`; and the window of hooks.
fn layout() -> Arc<Layout> {
    let window =
        |name: &str, judged, spans: &[_]| Window { name: name.into(), judged, spans: spans.to_vec() };
    let of = |population, request: Option<u16>, window: Option<u16>, bad| Objective {
        population,
        request: request.map(RequestId),
        window: window.map(WindowId),
        bad,
    };
    let objective = |request, window, bad| of(Population::Requests, request, window, bad);
    let metric = |name: &str, kind, request: Option<u16>| Metric {
        name: name.into(),
        kind,
        request: request.map(RequestId),
    };
    let slower = |succeeded_only| Bad::Slower { nanos: 50_000_000, succeeded_only };
    Arc::new(Layout {
        requests: vec!["a".into(), "b".into()],
        windows: vec![
            window("main", true, &[(2 * SECOND, 6 * SECOND)]),
            window("warmup", false, &[]),
            window("burst", true, &[(6 * SECOND, 10 * SECOND)]),
            window("hooks", false, &[]),
        ],
        metrics: vec![
            metric("ok", MetricKind::Check, Some(0)),
            metric("ok", MetricKind::Check, Some(1)),
            metric("capture token", MetricKind::Fault, Some(1)),
            metric("orders", MetricKind::Counter, None),
            metric("hits", MetricKind::Rate, None),
            metric("job", MetricKind::Trend, None),
        ],
        hooks: Some(WindowId(3)),
        segments: vec![(2 * SECOND, WindowId(1)), (6 * SECOND, WindowId(0)), (10 * SECOND, WindowId(2))],
        objectives: vec![
            objective(None, None, slower(false)),
            objective(Some(1), None, slower(true)),
            objective(None, Some(2), Bad::Failed { classes: vec![] }),
            objective(
                Some(0),
                Some(0),
                Bad::Failed { classes: vec![ErrorClass::Timeout, ErrorClass::Reset] },
            ),
            objective(None, None, Bad::Status { ranges: vec![(429, 429), (500, 599)] }),
            of(Population::Checks { check: None }, None, None, Bad::NotGood),
            of(Population::Checks { check: None }, Some(1), Some(2), Bad::NotGood),
            of(Population::Checks { check: Some(MetricId(0)) }, None, None, Bad::NotGood),
            of(Population::Metric(HITS), None, None, Bad::NotGood),
            of(Population::Metric(JOB), None, None, Bad::NotGood),
            of(Population::Metric(JOB), None, None, slower(false)),
            of(Population::Metric(JOB), None, Some(0), slower(true)),
            of(Population::Metric(ORDERS), None, None, Bad::NotGood),
        ],
    })
}

fn sample(request: u16, intended: u64, latency: u64, end: End) -> Sample {
    Sample {
        request: RequestId(request),
        intended,
        latency,
        service: latency / 2,
        lateness: latency / 10,
        split: Split { dns: 0, connect: latency / 20, tls: 0, first_byte: latency / 3 },
        received: 100,
        end,
        scheduled: true,
        retry: false,
        hook: false,
    }
}

fn ok(status: u16) -> End {
    End::Complete { status, error: (status >= 400).then_some(ErrorClass::Status) }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let end = prop_oneof![
        6 => Just(ok(200)),
        2 => prop_oneof![Just(ok(429)), Just(ok(503)), Just(ok(404))],
        1 => Just(End::Complete { status: 200, error: Some(ErrorClass::Body) }),
        1 => prop_oneof![Just(ErrorClass::Timeout), Just(ErrorClass::Reset)].prop_map(End::Incomplete),
        1 => Just(End::NotSent(ErrorClass::Connect)),
        1 => Just(End::Unfinished),
        1 => Just(End::Unsent),
    ];
    let latency = prop_oneof![Just(50_000_000u64), Just(50_000_001), 1..100_000_000u64];
    let flags = (prop::bool::ANY, prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (0..2u16, 0..12 * SECOND, latency, end, flags).prop_map(
        |(request, intended, latency, end, (scheduled, retry, hook))| Sample {
            scheduled,
            retry,
            hook,
            ..sample(request, intended, latency, end)
        },
    )
}

/// An observation that its metric may make.
type Seen = (MetricId, u64, bool, Observation);

fn any_seen() -> impl Strategy<Value = Seen> {
    let good = |metrics: std::ops::RangeInclusive<u16>| {
        (metrics, prop::bool::ANY).prop_map(|(metric, good)| (MetricId(metric), Observation::Good(good)))
    };
    let took = prop_oneof![Just(50_000_000u64), Just(50_000_001), 0..100_000_000u64];
    let ended = prop_oneof![
        4 => took.prop_map(Observation::Done),
        1 => Just(Observation::NotDone),
        1 => Just(Observation::TimedOut),
    ];
    let what = prop_oneof![
        3 => good(0..=2),
        1 => (0..100u64).prop_map(|n| (ORDERS, Observation::Add(n))),
        1 => good(4..=4),
        3 => ended.prop_map(|ended| (JOB, ended)),
    ];
    (what, 0..12 * SECOND, prop::bool::weighted(0.1))
        .prop_map(|((metric, what), at, hook)| (metric, at, hook, what))
}

/// What a recorder is told.
#[derive(Clone, Copy, Debug)]
enum Event {
    Request(Sample),
    Seen(Seen),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![any_sample().prop_map(Event::Request), any_seen().prop_map(Event::Seen)]
}

fn tell(recorder: &mut Recorder, event: &Event) {
    match event {
        Event::Request(sample) => {
            record(recorder, &[*sample]);
            if let Some(class) = sample.end.error() {
                // One example for each cause, so that it does not matter whose is kept.
                let (request, status) = (sample.request, sample.end.status());
                recorder.failed(request, 0, class, status, || format!("{request:?} {class:?} {status:?}"));
            }
        }
        Event::Seen((metric, at, hook, what)) => recorder.observe(*metric, *at, *hook, *what),
    }
}

fn record(recorder: &mut Recorder, samples: &[Sample]) {
    for sample in samples {
        if !sample.hook {
            recorder.asked(sample.intended, sample.scheduled);
        }
        recorder.record(sample);
    }
}

fn bad(rule: &Bad, sample: &Sample) -> Option<bool> {
    let class = match sample.end {
        End::Complete { error, .. } => error,
        End::Incomplete(class) | End::NotSent(class) => Some(class),
        End::Unfinished | End::Unsent => Some(ErrorClass::Timeout),
    };
    let status = if let End::Complete { status, .. } = sample.end { Some(status) } else { None };
    match rule {
        Bad::Slower { succeeded_only: true, .. } if class.is_some() => None,
        Bad::Slower { nanos, .. } => Some(status.is_none() || sample.latency > *nanos),
        Bad::Failed { classes } => {
            Some(class.is_some_and(|class| classes.is_empty() || classes.contains(&class)))
        }
        Bad::Status { ranges } => {
            Some(status.is_some_and(|s| ranges.iter().any(|(a, b)| *a <= s && s <= *b)))
        }
        Bad::NotGood => None,
    }
}

fn bad_of(rule: &Bad, metric: MetricId, what: Observation) -> Option<bool> {
    match (rule, what) {
        (Bad::NotGood, Observation::Good(true)) if metric == TOKEN => None,
        (Bad::NotGood, Observation::Good(good)) => Some(!good),
        (Bad::NotGood, Observation::Done(_)) => Some(false),
        (Bad::NotGood, Observation::NotDone | Observation::TimedOut) => Some(true),
        (Bad::Slower { nanos, .. }, Observation::Done(took)) => Some(took > *nanos),
        (Bad::Slower { succeeded_only: false, .. }, Observation::TimedOut) => Some(true),
        _ => None,
    }
}

proptest! {
    #[test]
    fn merged_splits_equal_one_recorder(
        events in prop::collection::vec((any_event(), 0..4usize, prop::bool::weighted(0.1)), 0..120),
        backwards: bool,
    ) {
        let mut whole = Recorder::new(layout());
        let mut parts: Vec<Recorder> = (0..4).map(|_| Recorder::new(layout())).collect();
        let mut deltas = Vec::new();
        for (event, part, take) in &events {
            tell(&mut whole, event);
            tell(&mut parts[*part], event);
            if *take {
                deltas.push(parts[*part].take());
            }
        }
        deltas.extend(parts.iter_mut().map(Recorder::take));
        if backwards {
            deltas.reverse();
        }
        // ((a + b) + (c + d)) + …: pairs first, so that association differs from arrival.
        let pairs = deltas.chunks(2).map(|pair| pair.iter().fold(Snapshot::default(), |mut sum, delta| { sum.merge(delta); sum }));
        let mut merged = Snapshot::default();
        pairs.for_each(|pair| merged.merge(&pair));
        let expected = whole.take();
        prop_assert_eq!(&merged, &expected);
        let text = serde_json::to_string(&merged).unwrap();
        prop_assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), expected);
    }

    #[test]
    fn objectives_count_exactly(events in prop::collection::vec(any_event(), 0..160)) {
        let samples: Vec<Sample> = events.iter().filter_map(|event| match event {
            Event::Request(sample) if !sample.hook => Some(*sample),
            _ => None,
        }).collect();
        let seen: Vec<Seen> = events.iter().filter_map(|event| match event {
            Event::Seen(seen) if !seen.2 => Some(*seen),
            _ => None,
        }).collect();
        let layout = layout();
        let mut recorder = Recorder::new(Arc::clone(&layout));
        events.iter().for_each(|event| tell(&mut recorder, event));
        let snapshot = recorder.take();
        for (at, objective) in layout.objectives.iter().enumerate() {
            let in_window = |nanos: u64| {
                let window = layout.window_at(nanos);
                objective.window.map_or(layout.is_judged(window), |w| w == window)
            };
            let requests = samples.iter().filter(|s| {
                objective.population == Population::Requests
                    && objective.request.is_none_or(|r| r == s.request)
                    && in_window(s.intended)
            });
            let observed = seen.iter().filter(|(metric, nanos, _, _)| {
                let metric_of = &layout.metrics[usize::from(metric.0)];
                let belongs = match objective.population {
                    Population::Requests => false,
                    // Both checks have that name.
                    Population::Checks { check: Some(_) } => metric.0 < 2,
                    Population::Checks { check: None } => metric.0 < 3,
                    Population::Metric(only) => only == *metric,
                };
                belongs && objective.request.is_none_or(|r| metric_of.request == Some(r)) && in_window(*nanos)
            });
            let of_requests = requests.filter_map(|s| bad(&objective.bad, s));
            let of_metrics = observed.filter_map(|(metric, _, _, what)| bad_of(&objective.bad, *metric, *what));
            let verdicts: Vec<bool> = of_requests.chain(of_metrics).collect();
            let expected = ObjectiveCount {
                total: verdicts.len() as u64,
                bad: verdicts.iter().filter(|bad| **bad).count() as u64,
            };
            prop_assert_eq!(snapshot.objectives.get(at).copied().unwrap_or_default(), expected);
            let by_second = snapshot.series.iter().filter_map(|s| s.objectives.get(at));
            let sums = by_second.fold((0, 0), |(total, bad), count| (total + count.total, bad + count.bad));
            prop_assert_eq!(sums, (expected.total, expected.bad));
        }
    }

    #[test]
    fn folding_keeps_every_count(samples in prop::collection::vec(any_sample(), 1..60), points in 1..14u32) {
        let mut recorder = Recorder::new(layout());
        record(&mut recorder, &samples);
        let mut series = recorder.take().series;
        let total = |series: &[Second]| series.iter().fold(Second::default(), |mut sum, s| { sum.merge(s); sum });
        let before = total(&series);
        let per_point = coalesce(&mut series, points);
        prop_assert_eq!(total(&series), before);
        prop_assert!(series.len() <= points as usize);
        prop_assert!(series.iter().all(|s| s.second % per_point == 0));
        let once = series.clone();
        coalesce(&mut series, points);
        prop_assert_eq!(series, once);
    }
}

#[test]
fn each_end_is_counted_where_it_belongs() {
    let mut recorder = Recorder::new(layout());
    let at = 3 * SECOND;
    let ends = [
        ok(200),
        ok(503),
        End::Incomplete(ErrorClass::Reset),
        End::NotSent(ErrorClass::Dns),
        End::Unfinished,
        End::Unsent,
    ];
    ends.iter().for_each(|end| record(&mut recorder, &[sample(0, at, 1_000_000, *end)]));
    record(&mut recorder, &[sample(0, SECOND, 1_000_000, ok(200)), sample(1, at, 1_000_000, ok(200))]);
    let snapshot = recorder.take();
    let counts = snapshot.counts(&layout(), Some(RequestId(0)), None);
    let expected = Counts {
        sent: 4,
        not_sent: 2,
        complete: 2,
        incomplete: 4,
        unfinished: 1,
        unsent: 1,
        failed: 5,
        classes: [
            (ErrorClass::Dns, 1),
            (ErrorClass::Timeout, 2),
            (ErrorClass::Reset, 1),
            (ErrorClass::Status, 1),
        ]
        .into(),
        statuses: [(200, 1), (503, 1)].into(),
        received: 600,
        retries: 0,
    };
    assert_eq!(counts, expected);
    assert_eq!(snapshot.counts(&layout(), None, None).requests(), 7, "the judged part");
    assert_eq!(snapshot.counts(&layout(), None, Some(WindowId(1))).requests(), 1, "the warm-up");
    assert_eq!(snapshot.total().requests(), 8, "the whole run");
    assert!(!snapshot.is_exact(), "one request was in flight at the end");
    let succeeded = snapshot.histogram(&layout(), None, None, |cell| &cell.succeeded);
    assert_eq!(succeeded.count(), 2);
    assert_eq!(
        (snapshot.health.due, snapshot.health.delivered),
        (7, 6),
        "what was never tried was not delivered"
    );
    assert_eq!(snapshot.health.lateness.count(), 5);
}

#[test]
fn a_request_belongs_to_the_second_of_its_intended_start() {
    let mut recorder = Recorder::new(layout());
    recorder.asked(2 * SECOND, true);
    assert_eq!(recorder.take().series.len(), 1);
    record(&mut recorder, &[sample(0, 9 * SECOND, 5, ok(200))]);
    recorder.record(&sample(0, 2 * SECOND + 1, 7 * SECOND, ok(200)));
    let series = recorder.take().series;
    let seen: Vec<_> = series.iter().map(|s| (s.second, s.asked, s.sent, s.complete)).collect();
    assert_eq!(seen, [(2, 0, 1, 1), (9, 1, 1, 1)]);
    assert_eq!(series[0].latency.scale(), 3);
    assert_eq!(recorder.take(), Snapshot::default());
}

#[test]
fn waits_are_counted_in_the_judged_part_only() {
    let mut recorder = Recorder::new(layout());
    recorder.wait_ended(SECOND, 70);
    recorder.wait_ended(3 * SECOND, 80);
    recorder.health().connections += 3;
    let health = recorder.take().health;
    assert_eq!((health.waits.count(), health.waits.max(), health.connections), (1, Some(80), 3));
    assert_eq!(recorder.take(), Snapshot::default());
}

#[test]
fn samples_of_no_request_are_left_out() {
    let mut recorder = Recorder::new(layout());
    recorder.record(&sample(2, 3 * SECOND, 5, ok(200)));
    Recorder::new(Arc::new(Layout::default())).record(&sample(0, 0, 5, ok(200)));
    assert_eq!(recorder.take(), Snapshot::default());
}

#[test]
fn judged_time_is_cut_where_the_measurement_ends() {
    let layout = layout();
    assert_eq!(layout.judged_spans(None), [(2 * SECOND, 6 * SECOND), (6 * SECOND, 10 * SECOND)]);
    assert_eq!(layout.judged_time(None, u64::MAX), 8 * SECOND);
    assert_eq!(layout.judged_time(None, 7 * SECOND), 5 * SECOND);
    assert_eq!(layout.judged_time(Some(WindowId(2)), 7 * SECOND), SECOND);
    assert_eq!(layout.judged_time(Some(WindowId(1)), u64::MAX), 0);
}

#[test]
fn hooks_are_counted_in_their_window_and_nowhere_else() {
    let mut recorder = Recorder::new(layout());
    let at = 3 * SECOND;
    recorder.record(&Sample { hook: true, ..sample(0, at, 1_000_000, ok(503)) });
    recorder.observe(OK, at, true, Observation::Good(false));
    recorder.failed(RequestId(0), at, ErrorClass::Status, Some(503), || "503".to_owned());
    let snapshot = recorder.take();
    assert_eq!(snapshot.counts(&layout(), None, None).requests(), 0, "not judged");
    assert_eq!(snapshot.counts(&layout(), None, Some(WindowId(3))).failed, 1);
    assert_eq!(snapshot.total().sent, 1, "the target received it");
    assert_eq!(snapshot.metric(&layout(), OK, None), MetricTotal::default());
    assert_eq!(snapshot.metric(&layout(), OK, Some(WindowId(3))).count, 1);
    assert_eq!((snapshot.series, snapshot.objectives), (vec![], vec![]));
    assert_eq!(snapshot.health, plimsoll_measure::Health::default());
    assert_eq!(snapshot.failures.len(), 1, "failures of hooks are shown");
    let without = Layout { hooks: None, ..Layout::clone(&layout()) };
    let mut recorder = Recorder::new(Arc::new(without));
    recorder.record(&Sample { hook: true, ..sample(0, at, 1_000_000, ok(200)) });
    assert_eq!(recorder.take(), Snapshot::default());
}

#[test]
fn a_metric_counts_what_its_kind_says() {
    let mut recorder = Recorder::new(layout());
    let mut see = |metric, at, what| recorder.observe(metric, at, false, what);
    let (warmup, main, burst) = (SECOND, 3 * SECOND, 7 * SECOND);
    see(ORDERS, warmup, Observation::Add(1_000));
    see(ORDERS, main, Observation::Add(3));
    see(ORDERS, burst, Observation::Add(0));
    see(HITS, main, Observation::Good(true));
    see(HITS, main, Observation::Good(false));
    see(TOKEN, main, Observation::Good(true));
    see(TOKEN, main, Observation::Good(false));
    for what in
        [Observation::Done(7_000_000), Observation::NotDone, Observation::TimedOut, Observation::TimedOut]
    {
        see(JOB, main, what);
    }
    see(MetricId(6), main, Observation::Good(false));
    let snapshot = recorder.take();
    let total = |metric, window| snapshot.metric(&layout(), metric, window);
    let figures = |total: MetricTotal| (total.count, total.good, total.sum, total.timed_out);
    assert_eq!(figures(total(ORDERS, None)), (2, 0, 3, 0));
    assert_eq!(figures(total(ORDERS, Some(WindowId(1)))), (1, 0, 1_000, 0));
    assert_eq!(figures(total(HITS, None)), (2, 1, 0, 0));
    assert_eq!(figures(total(TOKEN, None)), (1, 0, 0, 0), "what did not go wrong is not counted");
    assert_eq!(figures(total(JOB, None)), (4, 1, 0, 2));
    assert_eq!(total(JOB, None).histogram.max(), Some(7_000_000));
    assert_eq!(snapshot.metrics.len(), 6);
    assert!(snapshot.metrics.is_sorted_by_key(|cell| (cell.metric, cell.window)));
    assert_eq!(recorder.take(), Snapshot::default(), "the recorder starts afresh");
}

#[test]
fn retries_are_requests_that_are_counted_beside() {
    let mut recorder = Recorder::new(layout());
    let first = sample(0, 3 * SECOND, 1_000_000, ok(503));
    record(&mut recorder, &[first, Sample { retry: true, ..first }]);
    let counts = recorder.take().counts(&layout(), None, None);
    assert_eq!((counts.sent, counts.failed, counts.retries), (2, 2, 1));
}

#[test]
fn only_what_begins_an_arrival_is_delivered() {
    let mut recorder = Recorder::new(layout());
    let at = 3 * SECOND;
    record(&mut recorder, &[sample(0, at, 1_000_000, ok(200))]);
    record(&mut recorder, &[Sample { scheduled: false, ..sample(0, at, 1_000_000, ok(200)) }]);
    recorder.asked(at, true);
    recorder.served(at);
    recorder.served(SECOND);
    let snapshot = recorder.take();
    assert_eq!((snapshot.health.due, snapshot.health.delivered), (2, 2));
    assert_eq!(snapshot.health.lateness.count(), 1);
    assert_eq!((snapshot.series[0].asked, snapshot.series[0].sent), (3, 2));
}

fn failed(recorder: &mut Recorder, request: u16, at: u64, status: u16, example: &str) -> bool {
    let mut asked = false;
    recorder.failed(RequestId(request), at, ErrorClass::Status, Some(status), || {
        asked = true;
        example.to_owned()
    });
    asked
}

#[test]
fn an_example_is_asked_for_once_and_the_earliest_stays() {
    let (mut a, mut b) = (Recorder::new(layout()), Recorder::new(layout()));
    assert!(a.wants_example(RequestId(0)) && !a.wants_example(RequestId(2)));
    assert!(failed(&mut a, 0, 9, 503, "full"));
    assert!(!failed(&mut a, 0, 5, 503, "never asked"));
    assert!(failed(&mut b, 0, 7, 503, "shedding"));
    let (first, other) = (a.take(), b.take());
    assert!(!failed(&mut a, 0, 20, 503, "nor after a take"));
    let later = a.take();
    assert_eq!((later.failures[0].count, later.failures[0].example.as_str()), (1, ""));
    for order in [[&first, &other, &later], [&later, &other, &first], [&other, &later, &first]] {
        let mut sum = Snapshot::default();
        order.iter().for_each(|part| sum.merge(part));
        let want = Failure {
            request: RequestId(0),
            class: Some(ErrorClass::Status),
            status: Some(503),
            count: 4,
            at: 7,
            example: "shedding".to_owned(),
        };
        assert_eq!(sum.failures, [want]);
    }
    for status in 500..508 {
        assert!(a.wants_example(RequestId(0)), "{status}");
        failed(&mut a, 0, 1, status, "x");
    }
    assert!(!a.wants_example(RequestId(0)), "eight causes have one");
    assert!(a.wants_example(RequestId(1)));
}

#[test]
fn an_example_is_cut_between_characters() {
    let mut recorder = Recorder::new(layout());
    let (fits, long) = ("ü".repeat(EXAMPLE_CHARS), "ü".repeat(EXAMPLE_CHARS + 1));
    failed(&mut recorder, 0, 1, 500, &fits);
    failed(&mut recorder, 0, 1, 501, &long);
    let failures = recorder.take().failures;
    assert_eq!(failures[0].example, fits);
    assert_eq!(failures[1].example, format!("{}…", "ü".repeat(EXAMPLE_CHARS - 1)));
}

proptest! {
    #[test]
    fn too_many_causes_are_summed_up_whatever_the_order(
        statuses in prop::collection::vec((0..2u16, 300..599u16, 0..8usize), 300..900),
        backwards: bool,
    ) {
        let mut whole = Recorder::new(layout());
        let mut parts: Vec<Recorder> = (0..8).map(|_| Recorder::new(layout())).collect();
        for (request, status, part) in &statuses {
            // The earliest is the first that is told.
            failed(&mut whole, *request, 0, *status, &status.to_string());
            failed(&mut parts[*part], *request, 0, *status, &status.to_string());
        }
        let mut deltas: Vec<Snapshot> = parts.iter_mut().map(Recorder::take).collect();
        if backwards {
            deltas.reverse();
        }
        let mut sums: Vec<Snapshot> = deltas.chunks(3).map(|some| some.iter().fold(Snapshot::default(), |mut sum, delta| { sum.merge(delta); sum })).collect();
        let mut merged = sums.remove(0);
        sums.iter().for_each(|sum| merged.merge(sum));
        let expected = whole.take();
        prop_assert_eq!(&merged.failures, &expected.failures);
        prop_assert_eq!(merged.failures.iter().map(|f| f.count).sum::<u64>(), statuses.len() as u64);
        let mut causes: Vec<(u16, u16)> = statuses.iter().map(|(request, status, _)| (*status, *request)).collect();
        causes.sort_unstable();
        causes.dedup();
        let (own, rest): (Vec<&Failure>, Vec<&Failure>) = merged.failures.iter().partition(|f| f.class.is_some());
        prop_assert_eq!(own.len(), causes.len().min(FAILURE_GROUPS));
        let kept: Vec<(u16, u16)> = own.iter().filter_map(|f| Some((f.status?, f.request.0))).collect();
        prop_assert_eq!(&kept[..], &causes[..kept.len()], "those that are first in order keep a row");
        prop_assert!(rest.len() <= 2 && (causes.len() > FAILURE_GROUPS || rest.is_empty()));
        for failure in own {
            let count = statuses.iter().filter(|(request, status, _)| (Some(*status), *request) == (failure.status, failure.request.0)).count();
            prop_assert_eq!(failure.count, count as u64, "the counts of a cause are whole");
        }
    }
}

#[test]
fn a_layout_of_before_is_read() {
    let text = r#"{"requests":["a"],"windows":[],"segments":[],
        "objectives":[{"request":null,"window":null,"bad":{"failed":{"classes":[]}}}]}"#;
    let layout: Layout = serde_json::from_str(text).unwrap();
    assert_eq!(layout.objectives[0].population, Population::Requests);
    assert_eq!((layout.metrics, layout.hooks), (vec![], None));
    let counts = r#"{"sent":1,"notSent":0,"complete":1,"incomplete":0,"unfinished":0,"unsent":0,"failed":0,"classes":{},"statuses":{},"received":0}"#;
    assert_eq!(serde_json::from_str::<Counts>(counts).unwrap().retries, 0);
}
