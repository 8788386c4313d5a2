//! What is known while a script is lowered: `steps.rs`, `actions.rs` and `streams.rs` add to it.

use std::collections::BTreeMap;

use plimsoll_scenario::{Field, OnFailure};

use super::error::Errors;
use super::flows::Flows;
use super::origins::Origins;
use super::registry::Registry;
use super::target;
use crate::v1alpha1::{LoadTestSpec, Scenario};

/// A script that is being lowered.
pub(super) struct Context<'a> {
    pub(super) spec: &'a LoadTestSpec,
    /// Put before the path of every request.
    pub(super) base_path: String,
    pub(super) registry: Registry,
    pub(super) flows: Flows<'a>,
    pub(super) origins: Origins,
    /// Steps so far, flows put in place.
    pub(super) steps: usize,
    /// There are more of them than a plan may have, and that has been said.
    pub(super) too_many: bool,
    pub(super) errors: &'a mut Errors,
}

/// Where a step is done.
#[derive(Clone, Debug, Default)]
pub(super) struct Place<'p> {
    /// The scenario whose headers count, and its path; none in onStart, onStop, setup, teardown and timeline.
    pub(super) scenario: Option<(&'p Scenario, &'p str)>,
    /// Concurrency limits that the user has a place of.
    pub(super) held: Vec<u16>,
    /// What a failure means where a step does not say so.
    pub(super) on_failure: OnFailure,
}

impl Context<'_> {
    /// Target, scenario and step headers; the later replaces the earlier, whatever the case of its name. The step's stand at `at`.
    pub(super) fn headers(
        &mut self,
        own: &BTreeMap<String, String>,
        at: &str,
        place: &Place<'_>,
    ) -> Vec<Field> {
        let of_scenario = place.scenario.map(|(scenario, at)| (at, &scenario.headers));
        let who = place.scenario.map_or("", |(scenario, _)| scenario.name.as_str());
        let sources =
            [("spec.target", &self.spec.target.headers)].into_iter().chain(of_scenario).chain([(at, own)]);
        let mut merged: Vec<Field> = Vec::new();
        for (source, headers) in sources {
            for (name, value) in headers {
                merged.retain(|field| !field.name.eq_ignore_ascii_case(name));
                merged.push(target::field(name, value));
                self.origins.note(format!("{at}.headers.{name}"), format!("{source}.headers.{name}"), who);
            }
        }
        merged
    }
}
