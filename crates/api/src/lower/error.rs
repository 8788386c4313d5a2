//! Why a LoadTest cannot be resolved. Collected by the sibling files, so that all of them are said at once.

use crate::v1alpha1::ProfileKind;

/// Why a LoadTest cannot be run as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A field that cannot be.
    #[error("{path}: {message}")]
    Invalid {
        /// Path of the field, such as `spec.slos[0].window`.
        path: String,
        /// What is wrong, and the remedy.
        message: String,
    },
    /// A profile that is not there; `plimsoll validate` lists it as unchecked.
    #[error("{path}: there is no {kind:?} named {name:?}: create it, or use a preset")]
    MissingProfile {
        /// Path of the reference.
        path: String,
        /// Its kind.
        kind: ProfileKind,
        /// Its name.
        name: String,
    },
}

impl LowerError {
    /// Path of the field.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Invalid { path, .. } | Self::MissingProfile { path, .. } => path,
        }
    }

    /// What is wrong, without the path.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Invalid { message, .. } => message.clone(),
            Self::MissingProfile { path, .. } => self.to_string().replacen(&format!("{path}: "), "", 1),
        }
    }
}

/// Errors found so far.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<LowerError>);

impl Errors {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(LowerError::Invalid { path: path.into(), message: message.into() });
    }

    /// Adds an error, unless it has been said already.
    pub(super) fn push(&mut self, error: LowerError) {
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    /// Drops what is said of names that steps would have brought.
    pub(super) fn drop_unknown_names(&mut self) {
        let of_names = [".request", ".metric", ".checkRate.check"];
        self.0.retain(|error| {
            !(error.path().contains("slos[") && of_names.iter().any(|end| error.path().ends_with(end)))
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn finish(mut self) -> Result<(), Vec<LowerError>> {
        if self.0.iter().any(|error| matches!(error, LowerError::MissingProfile { .. })) {
            self.0.retain(is_independent);
        }
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Whether an error stands, whatever a missing profile would have said.
fn is_independent(error: &LowerError) -> bool {
    let LowerError::Invalid { path, .. } = error else { return true };
    let brought_by_profile =
        path.contains(".slos[") && (path.ends_with(".window") || path.ends_with(".name"));
    let by_window = path.starts_with("spec.timeline[") && path.ends_with(".at");
    !brought_by_profile
        && !by_window
        && !path.starts_with("spec.profile")
        && !path.starts_with("spec.overrides.profile")
}
