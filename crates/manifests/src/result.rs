//! The full result of a run in a ConfigMap: every request name and window with its histograms, SLOs, the series of seconds. Written
//! by the operator before it tells anybody the verdict, read back by [`read_result`] after a restart or a restore.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use plimsoll_api::v1alpha1::{LoadTestRun, LoadTestRunStatus};
use plimsoll_measure::{Histogram, Layout, Snapshot, coalesce};
use serde::{Deserialize, Serialize};

use crate::names::{PLAN_HASH_ANNOTATION, RESULT_KEY, SPEC_HASH_ANNOTATION, metadata, result_name};
use crate::{BuildError, MAX_BYTES};

/// Version of the result's format.
const VERSION: u32 = 1;
/// Most points of the series of seconds.
const MAX_POINTS: u32 = 600;
/// No result is larger than this when unpacked; more is not one of ours.
const MAX_UNPACKED: u64 = 256 << 20;

/// The full result of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredResult {
    /// Version of the format.
    pub version: u32,
    /// Hash of the test's spec without its run policy.
    pub spec_hash: String,
    /// SHA-256 of the plan; empty if the run was refused before it had one.
    pub plan_hash: String,
    /// The run's status at its end.
    pub status: LoadTestRunStatus,
    /// Names and windows that the snapshot's numbers stand for.
    pub layout: Layout,
    /// Everything that was measured, over all workers.
    pub snapshot: Snapshot,
    /// Seconds per point of the snapshot's series.
    pub seconds_per_point: u32,
    /// What was left out so that it fits into a ConfigMap, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// The ConfigMap of a result. What does not fit is left out, least important first, and named in `leftOut`.
///
/// # Errors
/// If it cannot be written as JSON, or does not fit even so.
pub fn result(run: &LoadTestRun, stored: StoredResult) -> Result<ConfigMap, BuildError> {
    within(run, stored, MAX_BYTES)
}

fn within(run: &LoadTestRun, mut stored: StoredResult, limit: usize) -> Result<ConfigMap, BuildError> {
    let name = run.metadata.name.as_deref().ok_or(BuildError::NoName)?;
    stored.version = VERSION;
    stored.seconds_per_point = coalesce(&mut stored.snapshot.series, MAX_POINTS);
    let mut packed = pack(&stored)?;
    for shed in [shed_series_histograms, shed_split, shed_service] {
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
    let stored: StoredResult = serde_json::from_str(&text)
        .map_err(|error| broken(format!("{RESULT_KEY} cannot be read: {error}")))?;
    if stored.version > VERSION {
        return Err(broken(format!(
            "{RESULT_KEY} has version {}, this program reads up to {VERSION}",
            stored.version
        )));
    }
    Ok(stored)
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

#[cfg(test)]
mod tests {
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
        let mut stored =
            StoredResult { spec_hash: "s".into(), plan_hash: "p".into(), ..StoredResult::default() };
        stored.snapshot.series = vec![Second { second: 3, sent: 7, ..Second::default() }];
        let map = result(&run(), stored.clone()).unwrap();
        let back = read_result(&map).unwrap();
        assert_eq!(back, StoredResult { version: VERSION, seconds_per_point: 1, ..stored });
        assert_eq!(map.metadata.name.as_deref(), Some("checkout-1a2b3c4d-result"));
        assert_eq!(map.immutable, Some(true));
    }

    #[test]
    fn a_long_series_is_folded_without_losing_a_request() {
        let mut stored = StoredResult::default();
        stored.snapshot.series =
            (0..10_000).map(|second| Second { second, sent: 1, ..Second::default() }).collect();
        let back = read_result(&result(&run(), stored).unwrap()).unwrap();
        assert!(back.snapshot.series.len() <= 600);
        assert_eq!(back.snapshot.series.iter().map(|second| second.sent).sum::<u64>(), 10_000);
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
    fn nonsense_is_an_error_that_names_the_config_map() {
        let mut map = result(&run(), StoredResult::default()).unwrap();
        map.binary_data = Some(BTreeMap::from([(RESULT_KEY.to_owned(), ByteString(b"nonsense".to_vec()))]));
        let error = read_result(&map).unwrap_err().to_string();
        assert!(error.contains("checkout-1a2b3c4d-result"), "{error}");
    }
}
