//! Checks a profile that tests share before any test refers to it. Called by `read.rs` for LoadProfile and ClusterLoadProfile.

use std::collections::BTreeMap;

use plimsoll_plan::RunId;

use super::{LowerError, References, lower};
use crate::GoDuration;
use crate::v1alpha1::{
    LoadProfileSpec, LoadTest, LoadTestSpec, Profile, ProfileKind, ProfileRef, Shape, Target,
};

/// What no test could make good: the path in the profile, and the message. What only a test knows, such as names of requests and
/// metrics, is not checked.
pub(crate) fn check_profile(spec: &LoadProfileSpec) -> Vec<(String, String)> {
    let reference = ProfileRef { kind: ProfileKind::LoadProfile, name: "checked".to_owned() };
    let profile = Profile {
        reference: Some(reference.clone()),
        shape: left_to_tests(&spec.shape),
        ..Profile::default()
    };
    let target = Target { url: "http://any".to_owned(), ..Target::default() };
    let test = LoadTest::new("any", LoadTestSpec { target, profile, ..LoadTestSpec::default() });
    let refs = References { profiles: BTreeMap::from([(reference, spec.clone())]) };
    let errors = lower(&test, None, &refs, RunId::default(), 0).err().unwrap_or_default();
    errors
        .iter()
        .filter(|error| {
            ![".request", ".metric", ".checkRate.check"].iter().any(|end| error.path().ends_with(end))
        })
        .map(|error| in_profile(error, spec))
        .collect()
}

/// What a profile may leave to the tests that refer to it: how long, and how many users a percentage is of.
fn left_to_tests(shape: &Shape) -> Shape {
    let arrival_stages = shape.arrivals.as_ref().and_then(|arrivals| arrivals.stages.as_ref());
    let timeless = shape.duration.is_none() && shape.stages.is_none() && arrival_stages.is_none();
    let uncounted = shape.users.is_none() && shape.stages.is_some();
    Shape {
        duration: timeless.then(|| GoDuration::from_secs(24 * 3600)),
        users: uncounted.then_some(100),
        ..Shape::default()
    }
}

/// The same error as the profile's own document has it.
fn in_profile(error: &LowerError, spec: &LoadProfileSpec) -> (String, String) {
    let mut path = error.path().replacen("spec.profile", "spec", 1);
    if let Some((name, rest)) = path.strip_prefix("spec.slos[name=").and_then(|rest| rest.split_once(']'))
        && let Some(at) = spec.slos.iter().position(|slo| slo.name == name)
    {
        path = format!("spec.slos[{at}]{rest}");
    }
    // Where a test would say whose fault it is, that is plain here.
    let message = error.message().replace("spec.profile", "spec").replace("LoadProfile checked: ", "");
    (path, message)
}
