//! The recorder, which holds samples back and counts them in batches, against one that counts each sample where it belongs at once: any
//! samples in any order, taken whenever, sum up to the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_measure::{
    Bad, Cell, Counts, End, ErrorClass, Histogram, Layout, Objective, ObjectiveCount, Population, Recorder,
    RequestId, Sample, Second, Snapshot, Split, Window, WindowId,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// The shortest duration that no batch holds.
const LONG: u64 = 1 << 31;

/// Two requests; a warm-up, two judged windows that meet within a second, and hooks.
fn layout() -> Layout {
    let window = |name: &str, judged| Window { name: name.into(), judged, spans: vec![] };
    let of = |request: Option<u16>, window: Option<u16>, bad| Objective {
        population: Population::Requests,
        request: request.map(RequestId),
        window: window.map(WindowId),
        bad,
    };
    let slower = |nanos, succeeded_only| Bad::Slower { nanos, succeeded_only };
    Layout {
        requests: vec!["a".into(), "b".into()],
        windows: vec![
            window("main", true),
            window("warmup", false),
            window("burst", true),
            window("hooks", false),
        ],
        segments: vec![(SECOND, WindowId(1)), (5 * SECOND / 2, WindowId(0)), (4 * SECOND, WindowId(2))],
        hooks: Some(WindowId(3)),
        objectives: vec![
            of(None, None, slower(50_000_000, false)),
            of(Some(1), None, slower(LONG - 1, true)),
            of(None, Some(2), slower(LONG + 5, false)),
            of(None, None, Bad::Failed { classes: vec![] }),
            of(Some(0), Some(0), Bad::Failed { classes: vec![ErrorClass::Reset] }),
            of(None, None, Bad::Status { ranges: vec![(200, 200), (500, 599)] }),
        ],
        ..Layout::default()
    }
}

fn is_bad(bad: &Bad, sample: &Sample) -> Option<bool> {
    let (status, error) = (sample.end.status(), sample.end.error());
    match bad {
        Bad::Slower { succeeded_only: true, .. } if error.is_some() => None,
        Bad::Slower { nanos, .. } => Some(status.is_none() || sample.latency > *nanos),
        Bad::Failed { classes } => {
            Some(error.is_some_and(|class| classes.is_empty() || classes.contains(&class)))
        }
        Bad::Status { ranges } => {
            Some(status.is_some_and(|s| ranges.iter().any(|(from, to)| (*from..=*to).contains(&s))))
        }
        Bad::NotGood => None,
    }
}

/// What was measured, counted sample by sample.
#[derive(Default)]
struct Naive {
    cells: BTreeMap<(RequestId, WindowId), Cell>,
    series: BTreeMap<u64, Second>,
    sum: Snapshot,
}

impl Naive {
    fn second(&mut self, nanos: u64) -> &mut Second {
        let second = nanos / SECOND;
        self.series.entry(second).or_insert_with(|| Second {
            second: second as u32,
            latency: Histogram::at_scale(3),
            ..Second::default()
        })
    }

    fn asked(&mut self, layout: &Layout, sample: &Sample) {
        self.second(sample.intended).asked += 1;
        let judged = layout.is_judged(layout.window_at(sample.intended));
        self.sum.health.due += u64::from(sample.scheduled && judged);
    }

    fn record(&mut self, layout: &Layout, sample: &Sample) {
        let window = if sample.hook { WindowId(3) } else { layout.window_at(sample.intended) };
        let key = (sample.request, window);
        let cell = self.cells.entry(key).or_insert_with(|| empty(key));
        count(&mut cell.counts, sample);
        let error = sample.end.error();
        if sample.end.status().is_some() {
            cell.latency.record(sample.latency);
            cell.service.record(sample.service);
            if error.is_none() {
                cell.succeeded.record(sample.latency);
            }
        }
        let Split { dns, connect, tls, first_byte } = sample.split;
        for (histogram, nanos) in [
            (&mut cell.dns, dns),
            (&mut cell.connect, connect),
            (&mut cell.tls, tls),
            (&mut cell.first_byte, first_byte),
        ] {
            if nanos > 0 {
                histogram.record(nanos);
            }
        }
        if sample.hook {
            return;
        }
        let judged = layout.is_judged(window);
        let verdicts = layout.objectives.iter().map(|objective| {
            let here = objective.window.map_or(judged, |only| only == window)
                && objective.request.is_none_or(|only| only == sample.request);
            if here { is_bad(&objective.bad, sample) } else { None }
        });
        let verdicts: Vec<Option<bool>> = verdicts.collect();
        let second = self.second(sample.intended);
        second.sent += u64::from(sample.end.was_sent());
        second.failed += u64::from(error.is_some());
        if sample.end.status().is_some() {
            second.complete += 1;
            second.latency.record(sample.latency);
        } else {
            second.incomplete += 1;
        }
        judge(&mut second.objectives, &verdicts);
        judge(&mut self.sum.objectives, &verdicts);
        if sample.scheduled && judged {
            self.sum.health.delivered += u64::from(sample.end != End::Unsent);
            if sample.end.was_sent() {
                self.sum.health.lateness.record(sample.lateness);
            }
        }
    }

    fn take(self) -> Snapshot {
        Snapshot {
            cells: self.cells.into_values().collect(),
            series: self.series.into_values().collect(),
            ..self.sum
        }
    }
}

fn empty((request, window): (RequestId, WindowId)) -> Cell {
    let new = Histogram::new;
    Cell {
        request,
        window,
        counts: Counts::default(),
        latency: new(),
        succeeded: new(),
        service: new(),
        dns: new(),
        connect: new(),
        tls: new(),
        first_byte: new(),
    }
}

fn count(counts: &mut Counts, sample: &Sample) {
    let (status, error) = (sample.end.status(), sample.end.error());
    *(if sample.end.was_sent() { &mut counts.sent } else { &mut counts.not_sent }) += 1;
    *(if status.is_some() { &mut counts.complete } else { &mut counts.incomplete }) += 1;
    counts.unfinished += u64::from(sample.end == End::Unfinished);
    counts.unsent += u64::from(sample.end == End::Unsent);
    counts.failed += u64::from(error.is_some());
    error.into_iter().for_each(|class| *counts.classes.entry(class).or_default() += 1);
    status.into_iter().for_each(|status| *counts.statuses.entry(status).or_default() += 1);
    counts.received += sample.received;
    counts.retries += u64::from(sample.retry);
}

/// Nothing is shown where all is zero.
fn judge(counts: &mut Vec<ObjectiveCount>, verdicts: &[Option<bool>]) {
    if verdicts.iter().any(Option::is_some) {
        counts.resize(verdicts.len(), ObjectiveCount::default());
    }
    for (count, bad) in counts.iter_mut().zip(verdicts) {
        count.total += u64::from(bad.is_some());
        count.bad += u64::from(*bad == Some(true));
    }
}

/// Mostly successes of one kind, so that batches fill up; and all else in between.
fn any_sample() -> impl Strategy<Value = Sample> {
    let end = prop_oneof![
        40 => Just(End::Complete { status: 200, error: None }),
        4 => Just(End::Complete { status: 204, error: None }),
        1 => Just(End::Complete { status: 503, error: Some(ErrorClass::Status) }),
        1 => Just(End::Complete { status: 200, error: Some(ErrorClass::Body) }),
        1 => Just(End::Incomplete(ErrorClass::Reset)),
        1 => Just(End::NotSent(ErrorClass::Connect)),
        1 => Just(End::Unfinished),
        1 => Just(End::Unsent),
    ];
    let edges = prop_oneof![
        Just(0),
        Just(1),
        Just(50_000_000u64),
        Just(50_000_001),
        LONG - 2..LONG + 7,
        Just(1 << 53),
        Just(u64::MAX)
    ];
    let duration = prop_oneof![40 => 100_000..90_000_000u64, 1 => edges, 1 => 1..LONG];
    let durations = (duration.clone(), prop_oneof![20 => Just(5_000), 1 => duration.clone()], duration);
    let opened = prop_oneof![20 => Just((0, 0, 0)), 1 => (0..2_000u64, 0..3_000u64, 0..4_000u64)];
    let odd = || prop::bool::weighted(0.02);
    let intended =
        prop_oneof![20 => 0..1_000_000u64, 20 => 2_499_000_000..2_501_000_000u64, 1 => 0..5 * SECOND];
    let flags = (prop::bool::weighted(0.9), odd(), odd(), odd());
    (0..3u16, intended, durations, end, opened, flags).prop_map(
        |(request, intended, (latency, late, first_byte), end, (dns, connect, tls), flags)| {
            let (scheduled, retry, hook, no_byte) = flags;
            Sample {
                request: RequestId(request / 2),
                intended,
                latency,
                service: if scheduled { latency.saturating_sub(late) } else { latency },
                lateness: if scheduled { late } else { 0 },
                split: Split { dns, connect, tls, first_byte: if no_byte { 0 } else { first_byte } },
                received: latency % 1_000,
                end,
                scheduled,
                retry,
                hook,
            }
        },
    )
}

/// Single samples, and runs of them that fill batches.
fn any_length() -> impl Strategy<Value = u64> {
    prop_oneof![9 => Just(1), 1 => 100..300u64]
}

/// A sample like this one that took longer.
fn later(sample: &Sample, by: u64) -> Sample {
    Sample {
        latency: sample.latency.saturating_add(by),
        service: sample.service.saturating_add(by),
        ..*sample
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn batches_count_what_single_samples_count(
        runs in prop::collection::vec((any_sample(), any_length(), prop::bool::weighted(0.05)), 0..200),
    ) {
        let layout = layout();
        let mut recorder = Recorder::new(Arc::new(layout.clone()));
        let (mut naive, mut sum) = (Naive::default(), Snapshot::default());
        for (first, length, take) in runs {
            for sample in (0..length).map(|n| later(&first, 30_011 * n)) {
                if !sample.hook {
                    recorder.asked(sample.intended, sample.scheduled);
                    naive.asked(&layout, &sample);
                }
                recorder.record(&sample);
                naive.record(&layout, &sample);
            }
            if take {
                sum.merge(&recorder.take());
            }
        }
        sum.merge(&recorder.take());
        prop_assert_eq!(sum, naive.take());
        prop_assert_eq!(recorder.take(), Snapshot::default());
    }
}

/// A sample that a batch holds.
fn plain(nanos: u64) -> Sample {
    Sample {
        request: RequestId(0),
        intended: 3 * SECOND,
        latency: nanos,
        service: nanos,
        lateness: 0,
        split: Split { first_byte: nanos, ..Split::default() },
        received: 7,
        end: End::Complete { status: 200, error: None },
        scheduled: false,
        retry: false,
        hook: false,
    }
}

#[test]
fn small_counters_do_not_overflow_between_two_takes() {
    const TIMES: u64 = 3 * 65_536 + 17;
    let mut recorder = Recorder::new(Arc::new(layout()));
    (0..TIMES).for_each(|_| recorder.record(&plain(1_000_000)));
    let snapshot = recorder.take();
    let cell = &snapshot.cells[0];
    for histogram in [&cell.latency, &cell.succeeded, &cell.service, &cell.first_byte] {
        assert_eq!(histogram.buckets().map(|(_, n)| n).collect::<Vec<_>>(), [TIMES]);
        assert_eq!((histogram.count(), histogram.sum()), (TIMES, u128::from(TIMES) * 1_000_000));
    }
    assert_eq!((cell.counts.complete, cell.counts.received), (TIMES, 7 * TIMES));
    assert_eq!((snapshot.series[0].sent, snapshot.series[0].latency.count()), (TIMES, TIMES));
    assert_eq!(snapshot.objectives[0], ObjectiveCount { total: TIMES, bad: 0 });
}

#[test]
fn every_sample_is_seen_by_the_next_take() {
    let mut recorder = Recorder::new(Arc::new(layout()));
    for n in 1..200 {
        (0..n).for_each(|_| recorder.record(&plain(1_000_000)));
        assert_eq!(recorder.take().total().complete, n);
    }
}

#[test]
fn a_batch_of_zeros_is_counted() {
    let mut recorder = Recorder::new(Arc::new(layout()));
    let sample = Sample { scheduled: true, service: 0, ..plain(0) };
    let sample = Sample { split: Split { first_byte: 1, ..Split::default() }, ..sample };
    (0..1_000).for_each(|_| recorder.record(&sample));
    let snapshot = recorder.take();
    let cell = &snapshot.cells[0];
    for histogram in [&cell.latency, &cell.service, &snapshot.series[0].latency, &snapshot.health.lateness] {
        assert_eq!((histogram.count(), histogram.zero(), histogram.buckets().count()), (1_000, 1_000, 0));
    }
    assert_eq!(cell.first_byte.buckets().map(|(_, n)| n).collect::<Vec<_>>(), [1_000]);
}

#[test]
fn a_latency_that_is_the_bound_is_not_over_it() {
    const BOUND: u64 = 50_000_000;
    for (latencies, bad) in [([BOUND, BOUND], 0), ([BOUND, BOUND + 1], 1), ([BOUND + 1, BOUND + 1], 2)] {
        let mut recorder = Recorder::new(Arc::new(layout()));
        latencies.into_iter().for_each(|latency| recorder.record(&plain(latency)));
        let count = recorder.take().objectives[0];
        assert_eq!(count, ObjectiveCount { total: 2, bad }, "{latencies:?}");
    }
}
