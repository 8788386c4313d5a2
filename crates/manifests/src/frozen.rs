//! The run as it was accepted: an immutable ConfigMap, written once by [`Frozen::config_map`], read back after a restart by
//! [`Frozen::read`]; workers read `plan.json` and `ca.crt` of it (`worker/src/main.rs`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use plimsoll_api::Resolved;
use plimsoll_api::v1alpha1::{LoadTestRun, LoadTestSpec};
use plimsoll_plan::Plan;
use plimsoll_slo::{Slo, Validity};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::BuildError;
use crate::names::{PLAN_HASH_ANNOTATION, SPEC_HASH_ANNOTATION, metadata, plan_name};

/// Most bytes of a run's ConfigMap: 900 KiB, below the API server's 1 MiB.
pub const MAX_BYTES: usize = 900 * 1024;

/// `runPolicy.startTimeout` of a test that names none.
const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(600);

const PLAN: &str = "plan.json";
const SLOS: &str = "slos.json";
const VALIDITY: &str = "validity.json";
const SPEC: &str = "spec.json";
const NOTICES: &str = "notices.json";
const CA: &str = "ca.crt";

/// The run as it was accepted: what it does, what it is judged by, and under which name.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// What workers do.
    pub plan: Arc<Plan>,
    /// What they are judged by.
    pub slos: Arc<Vec<Slo>>,
    /// When the run is valid.
    pub validity: Validity,
    /// The resolved spec: profile and overrides merged in.
    pub spec: Arc<LoadTestSpec>,
    /// What the run does not do as its spec might suggest.
    pub notices: Arc<Vec<String>>,
    /// Hash of the test's own spec without its run policy.
    pub spec_hash: String,
    /// SHA-256 of `plan.json`, hexadecimal: what workers and operator compare.
    pub plan_hash: String,
    plan_json: Arc<str>,
}

impl Frozen {
    /// Freezes a resolved run; `spec_hash` is that of the test's own spec, [`plimsoll_api::spec_hash`].
    ///
    /// # Errors
    /// If a part cannot be written as JSON.
    pub fn new(resolved: &Resolved, spec_hash: String) -> Result<Self, BuildError> {
        let plan_json = json(PLAN, &resolved.plan)?;
        Ok(Self {
            plan: Arc::new(resolved.plan.clone()),
            slos: Arc::new(resolved.slos.clone()),
            validity: resolved.validity.clone(),
            spec: Arc::new(resolved.spec.clone()),
            notices: Arc::new(resolved.notices.clone()),
            spec_hash,
            plan_hash: sha256(plan_json.as_bytes()),
            plan_json: plan_json.into(),
        })
    }

    /// The ConfigMap of a run.
    ///
    /// # Errors
    /// If it would be larger than [`MAX_BYTES`], or the run has no name.
    pub fn config_map(&self, run: &LoadTestRun, ca_pem: &str) -> Result<ConfigMap, BuildError> {
        let name = run.metadata.name.as_deref().ok_or(BuildError::NoName)?;
        let parts = [
            (PLAN, self.plan_json.to_string()),
            (SLOS, json(SLOS, &*self.slos)?),
            (VALIDITY, json(VALIDITY, &self.validity)?),
            (SPEC, json(SPEC, &*self.spec)?),
            (NOTICES, json(NOTICES, &*self.notices)?),
            (CA, ca_pem.to_owned()),
        ];
        let bytes = parts.iter().map(|(key, text)| key.len() + text.len()).sum();
        if bytes > MAX_BYTES {
            let (part, largest) = parts
                .iter()
                .map(|(key, text)| (*key, text.len()))
                .max_by_key(|(_, length)| *length)
                .unwrap_or((PLAN, 0));
            return Err(BuildError::TooLarge { bytes, part, largest, limit: MAX_BYTES });
        }
        let mut metadata = metadata(run, &self.plan.run.test, plan_name(name));
        metadata.annotations = Some(BTreeMap::from([
            (PLAN_HASH_ANNOTATION.to_owned(), self.plan_hash.clone()),
            (SPEC_HASH_ANNOTATION.to_owned(), self.spec_hash.clone()),
        ]));
        let data = parts.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
        Ok(ConfigMap { metadata, immutable: Some(true), data: Some(data), ..ConfigMap::default() })
    }

    /// Reads what [`Frozen::config_map`] wrote.
    ///
    /// # Errors
    /// If a part is missing or unreadable, or the plan is not the one whose hash is on the label.
    pub fn read(map: &ConfigMap) -> Result<Self, BuildError> {
        let plan_json = part(map, PLAN)?;
        let plan_hash = sha256(plan_json.as_bytes());
        let noted = |key: &str| map.metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned();
        if noted(PLAN_HASH_ANNOTATION).as_ref() != Some(&plan_hash) {
            return Err(broken(
                map,
                format!("{PLAN} has another hash than the annotation {PLAN_HASH_ANNOTATION}"),
            ));
        }
        Ok(Self {
            plan: Arc::new(parse(map, PLAN)?),
            slos: Arc::new(parse(map, SLOS)?),
            validity: parse(map, VALIDITY)?,
            spec: Arc::new(parse(map, SPEC)?),
            notices: Arc::new(parse(map, NOTICES)?),
            spec_hash: noted(SPEC_HASH_ANNOTATION).unwrap_or_default(),
            plan_hash,
            plan_json: plan_json.into(),
        })
    }

    /// How long the workers may take to be ready.
    #[must_use]
    pub fn start_timeout(&self) -> Duration {
        let given = self.spec.run_policy.as_ref().and_then(|policy| policy.start_timeout);
        given.map_or(DEFAULT_START_TIMEOUT, |given| Duration::from_nanos(given.nanos))
    }

    /// Nanoseconds from the start to the latest moment at which work may be in flight, that of the teardown included.
    #[must_use]
    pub fn latest_end(&self) -> u64 {
        self.plan.duration.saturating_add(self.plan.graceful_stop).saturating_add(self.plan.teardown_time())
    }
}

fn part<'a>(map: &'a ConfigMap, key: &str) -> Result<&'a str, BuildError> {
    let found = map.data.as_ref().and_then(|data| data.get(key));
    found.map(String::as_str).ok_or_else(|| broken(map, format!("{key} is missing")))
}

fn parse<T: DeserializeOwned>(map: &ConfigMap, key: &str) -> Result<T, BuildError> {
    serde_json::from_str(part(map, key)?)
        .map_err(|error| broken(map, format!("{key} cannot be read: {error}")))
}

fn broken(map: &ConfigMap, why: String) -> BuildError {
    BuildError::Broken { name: map.metadata.name.clone().unwrap_or_default(), why }
}

fn json<T: Serialize>(part: &'static str, value: &T) -> Result<String, BuildError> {
    serde_json::to_string(value).map_err(|error| BuildError::Json { part, error: error.to_string() })
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
