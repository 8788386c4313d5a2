//! A fault: what disturbs the service, as it is written in JSON and Rust, and checked with the counts of its rules.
//! `faults.rs` keeps the one that is set, `plan.rs` applies it to requests.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::ConfigError;
use crate::law::{Latency, When};
use crate::limit::{Limit, covers};
use crate::rule::{ArmedRule, Disturbance, Instead, Rule, is_zero};

/// A disturbance of the running service, on top of its configuration. The fields up to `drop` are a rule of their
/// own (`Rule`), `rules` are further ones with sequences of their own; where several act on one request, the first of
/// `rules` wins, and the fault's own fields come last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Only requests whose path begins like this, or whose pattern this is; all if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether `path` is the whole path or pattern, not its beginning.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// Only requests with this method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The share of requests, between 0 and 1, answered with an error; spread evenly, never random.
    pub error_rate: f64,
    /// The status of these errors.
    pub status: u16,
    /// Milliseconds on top of the latency of the route.
    pub latency_ms: f64,
    /// A law in place of the latency of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Milliseconds on top, more with every minute since the fault was set.
    #[serde(skip_serializing_if = "is_zero")]
    pub drift_ms_per_minute: f64,
    /// Leaves requests unanswered until the fault is cleared or replaced; then they are answered.
    pub stall: bool,
    /// Requests left unanswered in the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang: Option<When>,
    /// Requests whose connection is reset (HTTP/2: whose stream is reset).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<When>,
    /// Requests whose connection is ended without an answer (HTTP/2: whose stream is cancelled).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<When>,
    /// Further disturbances.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Beginnings of paths that are cut off: their requests are not answered until this changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partition: Vec<String>,
    /// Whether `/readyz` and `/health/ready` say that the service is ready.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub ready: bool,
    /// Bytes of memory that every request under `path` makes the process keep until the fault is cleared, 1 GiB at most.
    #[serde(skip_serializing_if = "is_none")]
    pub leak_bytes: usize,
    /// Rate limits in place of the configured ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Limit>>,
    /// Changes of the settings of the Aragora endpoints (`Aragora`): only what is named changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aragora: Option<Value>,
    /// Holds back every answer of the server, whatever its path, for so many milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_ms: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Default for Fault {
    fn default() -> Self {
        let rule = Rule::default();
        Fault {
            path: None,
            exact: false,
            method: None,
            error_rate: rule.error_rate,
            status: rule.status,
            latency_ms: rule.latency_ms,
            latency: None,
            drift_ms_per_minute: rule.drift_ms_per_minute,
            stall: false,
            hang: None,
            reset: None,
            drop: None,
            rules: Vec::new(),
            partition: Vec::new(),
            ready: true,
            leak_bytes: 0,
            limits: None,
            aragora: None,
            freeze_ms: None,
        }
    }
}

impl Fault {
    /// The fault's own fields as a rule.
    fn own_rule(&self) -> Rule {
        Rule {
            path: self.path.clone(),
            exact: self.exact,
            method: self.method.clone(),
            error_rate: self.error_rate,
            status: self.status,
            latency_ms: self.latency_ms,
            latency: self.latency.clone(),
            drift_ms_per_minute: self.drift_ms_per_minute,
            stall: self.stall,
            hang: self.hang,
            reset: self.reset,
            drop: self.drop,
        }
    }
}

/// A checked fault with the counts of the requests that its rules cover.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) fault: Fault,
    rules: Box<[ArmedRule]>,
}

impl Armed {
    /// Checks a fault that is set now.
    pub(crate) fn new(fault: Fault, now: Instant) -> Result<Self, ConfigError> {
        let own = ArmedRule::new(fault.own_rule(), now, &str::to_owned)?;
        let listed = fault.rules.iter().enumerate();
        let listed =
            listed.map(|(i, rule)| ArmedRule::new(rule.clone(), now, &|field| format!("rules[{i}].{field}")));
        let rules = listed.chain([Ok(own)]).collect::<Result<_, _>>()?;
        if let Some(prefix) = fault.partition.iter().find(|prefix| !prefix.starts_with('/')) {
            return Err(ConfigError::at("partition", format!("{prefix:?} is no path; begin it with '/'")));
        }
        Ok(Armed { rules, fault })
    }

    /// Takes the request's place in all sequences that concern it and says what is done to it.
    pub(crate) fn disturb(&self, asked: (&str, &str), name: &str, now: Instant) -> Disturbance {
        let mut disturbance = Disturbance::default();
        if self.fault.partition.iter().any(|prefix| asked.0.starts_with(prefix.as_str())) {
            disturbance.instead = Some(Instead::Stall);
        }
        self.rules.iter().for_each(|rule| rule.disturb(asked, name, now, &mut disturbance));
        disturbance
    }

    /// Bytes that a request makes the process keep.
    pub(crate) fn leaks(&self, asked: (&str, &str), name: &str) -> usize {
        let Fault { path, exact, method, leak_bytes, .. } = &self.fault;
        let covered = *leak_bytes > 0 && covers((path.as_deref(), *exact, method.as_deref()), asked, name);
        if covered { *leak_bytes } else { 0 }
    }
}
