//! Prints what a histogram and a recorder cost per sample: `cargo run --release -p plimsoll-measure --example record_cost`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use plimsoll_measure::{
    Bad, End, Histogram, Layout, Objective, Population, Recorder, RequestId, Sample, Split, Window, WindowId,
};

const SAMPLES: usize = 4_000_000;

/// Samples of a second.
const SECOND: u64 = 100_000;

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

/// Records as many samples as there are, in all of which a second's take is included, and prints the mean and the least disturbed second.
fn record(what: &str, latencies: &[u64], sample: impl Fn(u64, u64) -> Sample) {
    let mut recorder = Recorder::new(Arc::new(layout()));
    let start = Instant::now();
    let (mut second, mut least) = (start, f64::MAX);
    for (at, latency) in latencies.iter().cycle().copied().enumerate().take(SAMPLES) {
        let at = at as u64;
        let sample = sample(at, latency);
        recorder.asked(sample.intended, sample.scheduled);
        recorder.record(black_box(&sample));
        if at % SECOND == SECOND - 1 {
            black_box(recorder.take());
            least = least.min(second.elapsed().as_nanos() as f64 / SECOND as f64);
            second = Instant::now();
        }
    }
    print(&format!("recorder, {what}, a second's take of 100 000 included"), start);
    println!("  in the least disturbed of {} seconds: {least:.1} ns a sample", SAMPLES as u64 / SECOND);
    let taken = Instant::now();
    let delta = recorder.take();
    println!("  empty take: {:.1} µs, {} cells", taken.elapsed().as_nanos() as f64 / 1e3, delta.cells.len());
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

    let open = |at: u64, latency: u64| Sample {
        request: RequestId((at % 10) as u16),
        intended: at * 10_000,
        latency,
        service: latency - 5_000,
        lateness: 5_000,
        split: Split { first_byte: latency - 10_000, ..Split::default() },
        received: 512,
        end: End::Complete { status: 200, error: None },
        scheduled: true,
        retry: false,
        hook: false,
    };
    record("open model", &latencies, open);
    record("closed model", &latencies, |at, latency| Sample {
        service: latency,
        lateness: 0,
        scheduled: false,
        ..open(at, latency)
    });
}
