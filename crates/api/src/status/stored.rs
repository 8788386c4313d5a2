//! The full result of a run: everything that was counted, with the names and rules to read and judge it again. Written as
//! `stored_form.rs` says; `report/` prints it.

use plimsoll_measure::{Layout, Second, Snapshot, coalesce};
use plimsoll_plan::{Plan, RunId};
use plimsoll_slo::{Facts, Judgement, Slo, Validity};
use serde::{Deserialize, Serialize};

use super::stored_form::Form;
use super::{Measured, RunView};
use crate::v1alpha1::LoadTestRunStatus;

/// Version of the form of a stored result; older ones are read, newer ones refused.
pub const RESULT_VERSION: u32 = 1;
/// Most points of the series of a stored result.
pub const MAX_POINTS: u32 = 600;

/// The full result of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Form", try_from = "Form")]
pub struct StoredResult {
    /// [`RESULT_VERSION`] of the program that wrote it.
    pub version: u32,
    /// Which run.
    pub run: RunId,
    /// URL of the target.
    pub target: String,
    /// Hash of the test's spec without its run policy.
    pub spec_hash: String,
    /// SHA-256 of the plan; empty if the run was refused before it had one.
    pub plan_hash: String,
    /// The run's status at its end.
    pub status: LoadTestRunStatus,
    /// The judgement; absent if it was never judged.
    pub judgement: Option<Judgement>,
    /// What was judged.
    pub slos: Vec<Slo>,
    /// When the run was to be valid.
    pub validity: Option<Validity>,
    /// What the judge knew beside the counts.
    pub facts: Facts,
    /// Planned duration in nanoseconds.
    pub duration: u64,
    /// Names and windows that the snapshot's numbers stand for.
    pub layout: Layout,
    /// Everything that was measured, over all workers.
    pub snapshot: Snapshot,
    /// Seconds per point of the snapshot's series.
    pub seconds_per_point: u32,
    /// Users that the profile asked for in the middle of each point of the series; empty without a load of the closed model.
    pub users: Vec<u64>,
    /// Arrivals per 1000 minutes that the profile asked for in the middle of each point; empty without a load of the open model.
    pub rates: Vec<u64>,
    /// What was left out to save room, in words.
    pub left_out: Vec<String>,
}

impl StoredResult {
    /// The result of a run whose status says its verdict.
    #[must_use]
    pub fn new(view: &RunView, status: &LoadTestRunStatus) -> Self {
        let results = status.results.clone().unwrap_or_default();
        let empty = Self {
            version: RESULT_VERSION,
            spec_hash: results.spec_hash.unwrap_or_default(),
            plan_hash: results.plan_hash.unwrap_or_default(),
            status: status.clone(),
            judgement: view.judgement.cloned(),
            seconds_per_point: 1,
            ..Self::default()
        };
        let Some(Measured { plan, slos, validity, merged, facts }) = view.measured else { return empty };
        let mut snapshot = merged.clone();
        let seconds_per_point = coalesce(&mut snapshot.series, MAX_POINTS);
        let series = &snapshot.series;
        let users = asked(series, seconds_per_point, plan.has_users(), |at| plan.users_at(at));
        let rates = asked(series, seconds_per_point, plan.has_arrivals(), |at| plan.rate_at(at));
        Self {
            run: plan.run.clone(),
            target: url(plan),
            slos: slos.to_vec(),
            validity: Some(validity.clone()),
            facts: facts.clone(),
            duration: plan.duration,
            layout: plan.layout.clone(),
            snapshot,
            seconds_per_point,
            users,
            rates,
            ..empty
        }
    }
}

/// What a plan asks for in the middle of each point of a series, if it asks for it at all.
fn asked(series: &[Second], seconds_per_point: u32, is_asked: bool, at: impl Fn(u64) -> u64) -> Vec<u64> {
    let middle = |point: &Second| (u64::from(point.second) * 2 + u64::from(seconds_per_point)) * 500_000_000;
    if is_asked { series.iter().map(|point| at(middle(point))).collect() } else { Vec::new() }
}

fn url(plan: &Plan) -> String {
    let target = &plan.target;
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    let usual = matches!((target.scheme.as_str(), target.port), ("http", 80) | ("https", 443));
    let port = if usual { String::new() } else { format!(":{}", target.port) };
    format!("{}://{host}{port}{}", target.scheme, target.base_path)
}
