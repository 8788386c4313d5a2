//! The recorder against plain counting over a list of samples.

use std::sync::Arc;

use plimsoll_measure::{
    Bad, Counts, End, ErrorClass, Layout, Objective, ObjectiveCount, Population, Recorder, RequestId, Sample,
    Second, Snapshot, Split, Window, WindowId, coalesce,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// Two requests; warm-up of 2 s, then `main` to 6 s, then `burst`.
fn layout() -> Arc<Layout> {
    let window =
        |name: &str, judged, spans: &[_]| Window { name: name.into(), judged, spans: spans.to_vec() };
    let objective = |request: Option<u16>, window: Option<u16>, bad| Objective {
        population: Population::Requests,
        request: request.map(RequestId),
        window: window.map(WindowId),
        bad,
    };
    let slower = |succeeded_only| Bad::Slower { nanos: 50_000_000, succeeded_only };
    Arc::new(Layout {
        requests: vec!["a".into(), "b".into()],
        windows: vec![
            window("main", true, &[(2 * SECOND, 6 * SECOND)]),
            window("warmup", false, &[]),
            window("burst", true, &[(6 * SECOND, 10 * SECOND)]),
        ],
        metrics: Vec::new(),
        hooks: None,
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
    (0..2u16, 0..12 * SECOND, latency, end)
        .prop_map(|(request, intended, latency, end)| sample(request, intended, latency, end))
}

fn record(recorder: &mut Recorder, samples: &[Sample]) {
    for sample in samples {
        recorder.asked(sample.intended, sample.scheduled);
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

proptest! {
    #[test]
    fn merged_splits_equal_one_recorder(
        samples in prop::collection::vec((any_sample(), 0..4usize, prop::bool::weighted(0.1)), 0..120),
        backwards: bool,
    ) {
        let mut whole = Recorder::new(layout());
        let mut parts: Vec<Recorder> = (0..4).map(|_| Recorder::new(layout())).collect();
        let mut deltas = Vec::new();
        for (sample, part, take) in &samples {
            record(&mut whole, &[*sample]);
            record(&mut parts[*part], &[*sample]);
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
    fn objectives_count_exactly(samples in prop::collection::vec(any_sample(), 0..120)) {
        let layout = layout();
        let mut recorder = Recorder::new(Arc::clone(&layout));
        record(&mut recorder, &samples);
        let snapshot = recorder.take();
        for (at, objective) in layout.objectives.iter().enumerate() {
            let in_scope = samples.iter().filter(|s| {
                let window = layout.window_at(s.intended);
                objective.request.is_none_or(|r| r == s.request)
                    && objective.window.map_or(layout.is_judged(window), |w| w == window)
            });
            let verdicts: Vec<bool> = in_scope.filter_map(|s| bad(&objective.bad, s)).collect();
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
