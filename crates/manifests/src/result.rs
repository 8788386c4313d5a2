//! The full result of a run in a ConfigMap: every request name and window with its histograms, SLOs, the series of seconds. Written
//! by the operator before it tells anybody the verdict, read back by [`read_result`] after a restart or a restore.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use plimsoll_api::status::StoredResult;
use plimsoll_api::v1alpha1::LoadTestRun;
use plimsoll_measure::{Histogram, Snapshot};

use crate::names::{PLAN_HASH_ANNOTATION, RESULT_KEY, SPEC_HASH_ANNOTATION, metadata, result_name};
use crate::{BuildError, MAX_BYTES};

/// No result is larger than this when unpacked; more is not one of ours.
const MAX_UNPACKED: u64 = 256 << 20;

/// The ConfigMap of a result. What does not fit is left out, least important first, and named in `leftOut`.
///
/// # Errors
/// If it cannot be written as JSON, or does not fit even so.
pub fn result(run: &LoadTestRun, stored: StoredResult) -> Result<ConfigMap, BuildError> {
    within(run, stored, MAX_BYTES)
}

fn within(run: &LoadTestRun, mut stored: StoredResult, limit: usize) -> Result<ConfigMap, BuildError> {
    let name = run.metadata.name.as_deref().ok_or(BuildError::NoName)?;
    let mut packed = pack(&stored)?;
    for shed in [shed_series_histograms, shed_split, shed_service, shed_latency] {
        if packed.len() <= limit {
            break;
        }
        stored.left_out.push(shed(&mut stored.snapshot).to_owned());
        packed = pack(&stored)?;
    }
    if packed.len() > limit {
        let bytes = packed.len();
        return Err(BuildError::TooLarge { bytes, part: RESULT_KEY, largest: bytes, limit });
    }
    let mut metadata = metadata(run, &run.spec.test_ref.name, result_name(name));
    metadata.annotations = Some(BTreeMap::from([
        (SPEC_HASH_ANNOTATION.to_owned(), stored.spec_hash.clone()),
        (PLAN_HASH_ANNOTATION.to_owned(), stored.plan_hash.clone()),
    ]));
    let binary_data = BTreeMap::from([(RESULT_KEY.to_owned(), ByteString(packed))]);
    Ok(ConfigMap { metadata, immutable: Some(true), binary_data: Some(binary_data), ..ConfigMap::default() })
}

/// Reads what [`result`] wrote.
///
/// # Errors
/// If it is missing, broken, or of a newer version.
pub fn read_result(map: &ConfigMap) -> Result<StoredResult, BuildError> {
    let broken =
        |why: String| BuildError::Broken { name: map.metadata.name.clone().unwrap_or_default(), why };
    let packed = map.binary_data.as_ref().and_then(|data| data.get(RESULT_KEY));
    let packed = packed.ok_or_else(|| broken(format!("{RESULT_KEY} is missing")))?;
    let mut text = String::new();
    let unpacked = GzDecoder::new(packed.0.as_slice()).take(MAX_UNPACKED).read_to_string(&mut text);
    unpacked.map_err(|error| broken(format!("{RESULT_KEY} cannot be unpacked: {error}")))?;
    serde_json::from_str(&text).map_err(|error| broken(format!("{RESULT_KEY} cannot be read: {error}")))
}

fn pack(stored: &StoredResult) -> Result<Vec<u8>, BuildError> {
    let failed = |error: String| BuildError::Json { part: RESULT_KEY, error };
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut packed, stored).map_err(|error| failed(error.to_string()))?;
    packed.flush().map_err(|error| failed(error.to_string()))?;
    packed.finish().map_err(|error| failed(error.to_string()))
}

fn shed_series_histograms(snapshot: &mut Snapshot) -> &'static str {
    for second in &mut snapshot.series {
        second.latency = Histogram::default();
    }
    "latencies by second"
}

fn shed_split(snapshot: &mut Snapshot) -> &'static str {
    for cell in &mut snapshot.cells {
        for histogram in [&mut cell.dns, &mut cell.connect, &mut cell.tls, &mut cell.first_byte] {
            *histogram = Histogram::default();
        }
    }
    "histograms of DNS, connect, TLS and first byte"
}

fn shed_service(snapshot: &mut Snapshot) -> &'static str {
    for cell in &mut snapshot.cells {
        cell.service = Histogram::default();
        cell.succeeded = Histogram::default();
    }
    "histograms of service time and of succeeded requests"
}

/// The last that can go: the percentiles of the status and of the judgement are figures, and stay.
fn shed_latency(snapshot: &mut Snapshot) -> &'static str {
    for cell in &mut snapshot.cells {
        cell.latency = Histogram::default();
    }
    snapshot.health.lateness = Histogram::default();
    snapshot.health.waits = Histogram::default();
    "all other histograms, and with them the percentiles by request"
}

#[cfg(test)]
mod tests {
    use plimsoll_api::status::RESULT_VERSION;
    use plimsoll_api::v1alpha1::{LoadTestRunSpec, TestRef};
    use plimsoll_measure::Second;

    use super::*;

    fn run() -> LoadTestRun {
        LoadTestRun::new(
            "checkout-1a2b3c4d",
            LoadTestRunSpec { test_ref: TestRef { name: "checkout".into() }, ..LoadTestRunSpec::default() },
        )
    }

    #[test]
    fn a_result_comes_back_as_it_was() {
        let mut stored = StoredResult {
            version: RESULT_VERSION,
            spec_hash: "s".into(),
            plan_hash: "p".into(),
            ..StoredResult::default()
        };
        stored.snapshot.series = vec![Second { second: 3, sent: 7, ..Second::default() }];
        let map = result(&run(), stored.clone()).unwrap();
        let back = read_result(&map).unwrap();
        assert_eq!(back, stored);
        assert_eq!(map.metadata.name.as_deref(), Some("checkout-1a2b3c4d-result"));
        assert_eq!(map.immutable, Some(true));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_named() {
        let mut stored = StoredResult::default();
        let latency = |second: u64| {
            let mut latency = Histogram::at_scale(8);
            (1..200).for_each(|n| latency.record(n * n * (second + 1_000)));
            latency
        };
        let seconds =
            (0..100u32).map(|second| Second { second, latency: latency(second.into()), ..Second::default() });
        stored.snapshot.series = seconds.collect();
        let whole = pack(&stored).unwrap().len();
        let back = read_result(&within(&run(), stored.clone(), whole / 2).unwrap()).unwrap();
        assert_eq!(back.left_out, ["latencies by second"]);
        assert_eq!(back.snapshot.series.len(), 100);
        let error = within(&run(), stored, 100).unwrap_err().to_string();
        assert!(error.contains("result.json.gz"), "{error}");
    }

    #[test]
    fn counts_fit_when_no_histogram_does() {
        let mut stored = StoredResult::default();
        (1..20_000u64).for_each(|n| stored.snapshot.health.lateness.record(n * n * 1_000));
        stored.snapshot.health.due = 7;
        let whole = pack(&stored).unwrap().len();
        let back = read_result(&within(&run(), stored, whole / 2).unwrap()).unwrap();
        assert_eq!((back.left_out.len(), back.snapshot.health.due), (4, 7));
        assert!(back.snapshot.health.lateness.is_empty());
    }

    #[test]
    fn nonsense_is_an_error_that_names_the_config_map() {
        let mut map = result(&run(), StoredResult::default()).unwrap();
        map.binary_data = Some(BTreeMap::from([(RESULT_KEY.to_owned(), ByteString(b"nonsense".to_vec()))]));
        let error = read_result(&map).unwrap_err().to_string();
        assert!(error.contains("checkout-1a2b3c4d-result"), "{error}");
    }
}
