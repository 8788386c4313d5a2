//! Which shape and SLOs a test ends up with: preset or ref, then the test's own fields, then those of the run.

use super::error::{Errors, LowerError};
use super::{References, shape};
use crate::presets;
use crate::v1alpha1::{LoadProfileSpec, LoadTestSpec, Overrides, Preset, Profile, Shape, Slo};

/// The shape of a run, all overrides merged, and the SLOs that its profile brings.
pub(super) struct Merged {
    pub(super) shape: Shape,
    pub(super) slos: Vec<Slo>,
}

pub(super) fn resolve(
    spec: &LoadTestSpec,
    overrides: &Overrides,
    refs: &References,
    errors: &mut Errors,
) -> Merged {
    let own = over(None, &spec.profile, "spec.profile", refs, errors);
    match &overrides.profile {
        None => own,
        Some(profile) => over(Some(own), profile, "spec.overrides.profile", refs, errors),
    }
}

/// A profile over a base; its own preset or ref takes the place of the base.
fn over(base: Option<Merged>, profile: &Profile, at: &str, refs: &References, errors: &mut Errors) -> Merged {
    shape::check(&profile.shape, at, errors);
    shape::check_duration(&profile.shape, at, errors);
    if profile.preset.is_some() && profile.reference.is_some() {
        errors.add(at, "preset and ref exclude each other: keep one and override its fields");
    }
    let named = named(profile, at, refs, errors).map(|spec| Merged { shape: spec.shape, slos: spec.slos });
    let Some(base) = named.or(base) else {
        return Merged { shape: profile.shape.clone(), slos: Vec::new() };
    };
    Merged { shape: shape::over(&base.shape, &profile.shape, at, errors), slos: base.slos }
}

/// The profile that a preset or ref names.
fn named(profile: &Profile, at: &str, refs: &References, errors: &mut Errors) -> Option<LoadProfileSpec> {
    if let Some(preset) = profile.preset {
        return Some(presets::profile(preset));
    }
    let reference = profile.reference.as_ref()?;
    let path = format!("{at}.ref");
    let Some(found) = refs.profiles.get(reference) else {
        let (kind, name) = (reference.kind, reference.name.clone());
        errors.push(LowerError::MissingProfile { path, kind, name });
        // Something to check the rest of the test against.
        return Some(presets::profile(Preset::Smoke));
    };
    let mut spec = found.clone();
    shape::check(&spec.shape, at, errors);
    if let Err(message) = shape::spell_out(&mut spec.shape) {
        errors.add(format!("{at}.duration"), format!("{:?} {}: {message}", reference.kind, reference.name));
    }
    Some(spec)
}
