//! Resolves a LoadTest to a plan: profile, defaults, names, windows, objectives. Refuses what cannot be, naming path and remedy.
//!
//! Runs in the operator and in `plimsoll run`; its errors name paths, which `read.rs` turns into lines. `status/mod.rs` is its other side.

mod actions;
mod conditions;
mod context;
mod data;
mod error;
mod flows;
mod load;
mod notices;
mod origins;
mod overrides;
mod profile;
mod prometheus;
mod registry;
mod scenarios;
mod shape;
mod shared;
mod slos;
mod steps;
mod streams;
mod target;
mod timeline;
mod vars;
mod windows;
mod workers;

use std::collections::BTreeMap;

use plimsoll_plan::{PLAN_VERSION, Plan, RunId};
use plimsoll_scenario::did_you_mean;
use plimsoll_slo::Validity;

use error::Errors;
pub use error::LowerError;
pub use prometheus::questions;
pub(crate) use shared::check_profile;
pub use slos::relower;
pub use target::target_host;
pub(crate) use target::without_credentials;

use crate::v1alpha1::{LoadProfileSpec, LoadTest, LoadTestSpec, Overrides, Profile, ProfileRef};

/// What a LoadTest may refer to outside of itself.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// LoadProfiles of the test's namespace and ClusterLoadProfiles.
    pub profiles: BTreeMap<ProfileRef, LoadProfileSpec>,
}

/// A LoadTest as it will be run.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What the workers execute.
    pub plan: Plan,
    /// What is judged; objectives are indexes into the plan's layout.
    pub slos: Vec<plimsoll_slo::Slo>,
    /// When the run is valid.
    pub validity: Validity,
    /// What the run does not do as its spec might suggest.
    pub notices: Vec<String>,
    /// The spec with its profile, its SLOs and the run's overrides merged in.
    pub spec: LoadTestSpec,
}

/// Resolves a test, with a run's overrides, to a plan. `seed` is that of every random choice of the run.
///
/// # Errors
/// Everything that keeps the test from being run, each with the path of the field.
pub fn lower(
    test: &LoadTest,
    overrides: Option<&Overrides>,
    refs: &References,
    run: RunId,
    seed: u64,
) -> Result<Resolved, Vec<LowerError>> {
    let mut errors = Errors::default();
    let overrides = overrides.cloned().unwrap_or_default();
    let base = &test.spec;
    let profile = profile::resolve(base, &overrides, refs, &mut errors);
    let mut spec = overrides::merge(base, &overrides, &mut errors);
    let merged_slos = slos::merge(&profile.slos, base, &overrides, &mut errors);
    spec.slos = merged_slos.iter().map(|(_, slo)| slo.clone()).collect();
    spec.profile = Profile { preset: None, reference: None, shape: profile.shape.clone() };

    let load = load::lower(&spec, &profile.shape, &mut errors);
    let hooks = !(spec.setup.is_empty() && spec.teardown.is_empty() && spec.timeline.is_empty());
    let layout = windows::layout(&load, hooks, &mut errors);
    let url_at = if overrides.target.is_some() { "spec.overrides.target.url" } else { "spec.target.url" };
    let target = target::lower(&spec, url_at, load.is_all_open(), &mut errors);
    let vars = vars::lower(&spec, &mut errors);
    let mut lowered = scenarios::lower(&spec, &target, &load, layout, &mut errors);
    let slos = slos::lower(&merged_slos, &mut lowered.layout, &mut errors);
    if lowered.incomplete {
        errors.drop_unknown_names();
    }
    prometheus::check_server(&spec, &mut errors);
    let validity = workers::validity(&spec);
    workers::check_template(&spec, &mut errors);
    let mut notices = notices::of(&spec, &load);
    if errors.is_empty() {
        lowered.compile(&vars, &mut errors);
    }
    let workers = workers::count(&spec, &load, &target, &lowered, &mut notices, &mut errors);
    let plan = Plan {
        version: PLAN_VERSION,
        run,
        seed,
        workers,
        target: target.plan,
        vars,
        script: lowered.script,
        duration: load.duration,
        graceful_stop: load.graceful_stop,
        loads: load.groups.into_iter().map(|group| group.load).collect(),
        layout: lowered.layout,
    };
    if errors.is_empty()
        && let Err(wrong) = plan.check()
    {
        errors.add("spec.profile", wrong.to_string());
    }
    errors.finish()?;
    Ok(Resolved { plan, slos, validity, notices, spec })
}

/// The message of a name that is none of those there are.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match did_you_mean(name, known.iter().copied()) {
        Some(close) => format!("there is no {what} {name:?}; did you mean {close:?}?"),
        None => {
            if known.is_empty() {
                return format!("there is no {what} {name:?}, nor any other");
            }
            let some = known.iter().take(10).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let more = if known.len() > 10 { " …" } else { "" };
            let are = if known.len() == 1 { "is only" } else { "are" };
            format!("there is no {what} {name:?}; there {are} {some}{more}")
        }
    }
}
