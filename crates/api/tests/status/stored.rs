//! The stored result, which comes back as it was and can be judged again, and the report that is made of it.

use std::fs;
use std::path::PathBuf;

use plimsoll_api::status::{MAX_POINTS, RunView, StoredResult, report, run_status};
use plimsoll_api::v1alpha1::{Phase, RunResults};
use plimsoll_measure::{End, ErrorClass, Sample};
use plimsoll_slo::judge;

use crate::support::{MS, OPEN, Run, SECOND, SHOP, answered, of_one_name, ok, run, sample, samples};

fn stored(run: &Run) -> StoredResult {
    stored_with(run, &[])
}

fn stored_with(run: &Run, notices: &[String]) -> StoredResult {
    let judgement = run.judged();
    let results =
        RunResults { spec_hash: Some("5e".into()), plan_hash: Some("91".into()), ..RunResults::default() };
    let view = RunView { judgement: Some(&judgement), notices, results, ..run.view(Phase::Finished) };
    StoredResult::new(&view, &run_status(&view))
}

/// A mixed run: two names, errors, slow ones, and some without a response.
fn mixed() -> Run {
    let mut all = samples(6_000, 30, 4);
    for (at, sample) in all.iter_mut().enumerate() {
        sample.latency += (at as u64 * 7_919) % (20 * MS);
        sample.service = sample.latency;
        match at % 1_000 {
            500 => sample.end = answered(503),
            501 => sample.end = End::Incomplete(ErrorClass::Timeout),
            502 => sample.end = End::NotSent(ErrorClass::Connect),
            _ => {}
        }
        if at < 40 {
            sample.split.connect = MS / 3;
        }
    }
    run(SHOP, all)
}

#[test]
fn a_result_comes_back_and_is_judged_the_same() {
    let run = mixed();
    let result = stored(&run);
    let text = serde_json::to_string(&result).unwrap();
    let back: StoredResult = serde_json::from_str(&text).unwrap();
    assert_eq!(back, result);
    assert_eq!(back.snapshot, run.merged);
    let again = judge(&back.slos, back.validity.as_ref().unwrap(), &back.layout, &back.snapshot, &back.facts);
    assert_eq!(Some(again), back.judgement);
    assert_eq!(
        (back.spec_hash.as_str(), back.plan_hash.as_str(), back.target.as_str()),
        ("5e", "91", "http://shop.web:8080/v1")
    );

    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let row = &json["requests"][1];
    assert_eq!((row["request"].as_str(), row["counts"]["sent"].is_u64()), (Some("GET /items"), true));
    assert!(row["percentiles"]["p95"].as_u64().unwrap() > 20 * MS, "readable without our histograms");
    assert!(row["service"].is_null(), "equals the latency");
    let point = &json["series"][10];
    assert_eq!(
        (point["second"].as_u64(), point["users"].as_u64()),
        (Some(10), Some(11)),
        "10.5 users are 11"
    );
    assert_eq!(point["asked"].as_u64(), Some(200));
}

#[test]
fn what_cannot_be_read_says_why() {
    let text = serde_json::to_string(&stored(&mixed())).unwrap();
    let error = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        serde_json::from_str::<StoredResult>(&text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert!(error("\"version\":1", "\"version\":2").contains("has version 2, this program reads up to 1"));
    assert!(
        error("\"request\":\"GET /items\",\"window\"", "\"request\":\"GET /cart\",\"window\"")
            .contains("\"GET /cart\"")
    );
}

#[test]
fn a_long_series_is_folded() {
    let manifest = OPEN.replace("duration: 10s", "duration: 1h");
    let run = run(&manifest, (0..3_600).map(|s| sample(0, s * SECOND, 20 * MS, ok())));
    let result = stored(&run);
    assert_eq!((result.seconds_per_point, result.snapshot.series.len() <= MAX_POINTS as usize), (8, true));
    assert_eq!(result.snapshot.series.iter().map(|point| point.sent).sum::<u64>(), 3_600);
    assert_eq!(result.rates.len(), result.snapshot.series.len());
    assert!(result.rates.iter().all(|rate| *rate == 12_000_000), "per 1000 minutes");
}

#[test]
fn a_large_run_stays_small() {
    // 40 names in 4 windows, 800 000 requests whose latencies have no pattern.
    let steps: String =
        (0..40).map(|n| format!("    - {{name: step-{n:02}, http: {{path: /{n}}}}}\n")).collect();
    let manifest = format!(
        "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {{name: large}}
spec:
  target: {{url: http://shop.web}}
  profile:
    warmup: 10s
    stages:
    - {{duration: 100s, users: 100, window: one}}
    - {{duration: 100s, users: 100, window: two}}
    - {{duration: 100s, users: 100, window: three}}
  scenarios:
  - name: all
    steps:
{steps}  slos:
  - {{name: p95, latency: {{stat: p95, atMost: 100ms}}}}
"
    );
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let samples = (0..800_000u64).map(|i| {
        // Log-normal: a median of 20 ms, a tail of seconds.
        let normal: f64 = (0..12).map(|_| random()).sum::<f64>() - 6.0;
        let latency = (20.0 * MS as f64 * (0.8 * normal).exp()) as u64;
        let split = plimsoll_measure::Split { first_byte: latency * 9 / 10, ..Default::default() };
        Sample { split, ..sample((i % 40) as u16, i * 375_000, latency, ok()) }
    });
    let run = run(&manifest, samples);
    assert_eq!(run.merged.cells.len(), 160);
    let text = serde_json::to_string(&stored(&run)).unwrap();
    // Packed by gzip, as it lies in its ConfigMap, it takes less than a fifth of that.
    assert!(text.len() < 2_000_000, "{} bytes", text.len());
}

fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/status/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, known, "{}: UPDATE=1 cargo test -p plimsoll-api writes it", path.display());
    for line in text.lines() {
        assert!(line.chars().count() <= 100 && line.trim_end() == line, "{line:?}");
    }
}

#[test]
fn reports() {
    golden("passed.txt", &report(&stored(&run(SHOP, samples(6_000, 30, 4)))));
    let notices = ["runPolicy.schedule is not acted on by this version, which starts runs on changes and by LoadTestRuns only".into()];
    let mut failed = mixed();
    failed.facts.workers_lost = 1;
    failed.workers.lost = 1;
    failed.resolved.validity.on_worker_loss = plimsoll_slo::WorkerLossPolicy::Continue;
    failed.merged.health.throttled = failed.merged.health.wall / 500;
    golden("failed.txt", &report(&stored_with(&failed, &notices)));
    golden("too-few.txt", &report(&stored(&run(OPEN, of_one_name(12, 10, 0)))));
    let mut open = of_one_name(2_000, 10, 2);
    open[1_850..].iter_mut().for_each(|sample| sample.end = End::Unfinished);
    golden("open.txt", &report(&stored(&run(OPEN, open))));
    let mut unreachable = run(SHOP, []);
    unreachable.facts.measured = 0;
    unreachable.facts.error = Some((
        plimsoll_slo::Reason::TargetUnreachable,
        "http://shop.web:8080: connection refused: check spec.target.url and that the service listens".into(),
    ));
    golden("unreachable.txt", &report(&stored(&unreachable)));
}
