//! Prints what a histogram and a recorder cost per sample: `cargo run --release -p plimsoll-measure --example record_cost`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use plimsoll_measure::{
    Bad, End, Histogram, Layout, Objective, Population, Recorder, RequestId, Sample, Split, Window, WindowId,
};

const SAMPLES: usize = 4_000_000;

/// Latencies of 0.2 ms to 25 ms, log-uniform, in a fixed pseudo-random order.
fn latencies() -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let uniform = (state >> 11) as f64 / (1u64 << 53) as f64;
        (200_000.0 * (uniform * 7.0).exp2()) as u64
    };
    (0..65_536).map(|_| next()).collect()
}

fn layout() -> Layout {
    let slower = |nanos| Objective {
        population: Population::Requests,
        request: None,
        window: None,
        bad: Bad::Slower { nanos, succeeded_only: false },
    };
    Layout {
        requests: (0..10).map(|n| format!("GET /{n}")).collect(),
        windows: vec![Window { name: "main".into(), judged: true, spans: vec![(0, u64::MAX)] }],
        segments: vec![(u64::MAX, WindowId(0))],
        metrics: Vec::new(),
        hooks: None,
        objectives: vec![
            slower(5_000_000),
            slower(50_000_000),
            Objective {
                population: Population::Requests,
                request: None,
                window: None,
                bad: Bad::Failed { classes: Vec::new() },
            },
        ],
    }
}

fn print(what: &str, start: Instant) {
    println!("{what}: {:.1} ns a sample", start.elapsed().as_nanos() as f64 / SAMPLES as f64);
}

fn main() {
    let latencies = latencies();
    let mut histogram = Histogram::new();
    let start = Instant::now();
    for nanos in latencies.iter().cycle().take(SAMPLES) {
        histogram.record(black_box(*nanos));
    }
    print("histogram", start);
    black_box(&histogram);

    let mut recorder = Recorder::new(Arc::new(layout()));
    let start = Instant::now();
    for (at, latency) in latencies.iter().cycle().copied().enumerate().take(SAMPLES) {
        let at = at as u64;
        let intended = at * 10_000;
        recorder.asked(intended, true);
        recorder.record(black_box(&Sample {
            request: RequestId((at % 10) as u16),
            intended,
            latency,
            service: latency - 5_000,
            lateness: 5_000,
            split: Split { first_byte: latency - 10_000, ..Split::default() },
            received: 512,
            end: End::Complete { status: 200, error: None },
            scheduled: true,
            retry: false,
            hook: false,
        }));
        if at % 100_000 == 99_999 {
            black_box(recorder.take());
        }
    }
    print("recorder, a second's take of 100 000 included", start);

    let taken = Instant::now();
    let delta = recorder.take();
    println!("empty take: {:.1} µs, {} cells", taken.elapsed().as_nanos() as f64 / 1e3, delta.cells.len());
}
