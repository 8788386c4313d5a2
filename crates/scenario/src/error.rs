//! What can be wrong with a scenario: found by `build/` (before any traffic, or with the values of the run) or while
//! rendering (`request.rs`). No message ever holds the value of a variable.

use std::fmt;

/// A text of the manifest that is not valid; found before any traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Where the text stands in the manifest: `spec.scenarios[0].steps[1].http.path`.
    pub at: String,
    /// Byte offset of the fault in the text.
    pub offset: usize,
    /// Its column in characters, from 1; the fault is in the text as a whole when absent.
    pub column: Option<usize>,
    /// What is wrong and, where known, what to do.
    pub message: String,
    /// The valid name nearest to a misspelt one.
    pub closest: Option<String>,
}

impl std::error::Error for CompileError {}

impl CompileError {
    /// A fault of the thing at `at` as a whole.
    pub(crate) fn whole(at: &str, message: impl Into<String>) -> Self {
        Self { at: at.to_owned(), offset: 0, column: None, message: message.into(), closest: None }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        if let Some(column) = self.column {
            write!(f, " (column {column})")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.closest {
            Some(closest) => write!(f, "; did you mean \"{closest}\"?"),
            None => Ok(()),
        }
    }
}

/// The values of the run do not fit the scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// A variable has no value.
    #[error("vars.{name}: no value was given")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A text cannot be made with these values.
    #[error("{at}: {message}")]
    Unfit {
        /// Where the text stands in the manifest.
        at: String,
        /// What is wrong; holds no value.
        message: String,
    },
}

impl From<CompileError> for BindError {
    /// A fault that shows only when tables have their text.
    fn from(error: CompileError) -> Self {
        let column = error.column.map_or_else(String::new, |column| format!(" (column {column})"));
        let closest = error.closest.map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
        Self::Unfit { at: format!("{}{column}", error.at), message: format!("{}{closest}", error.message) }
    }
}

/// A request could not be made: an expression failed, or gave a header value that may not be sent. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct RenderError {
    /// Where the text stands in the manifest.
    pub at: String,
    /// What is wrong; holds no value.
    pub message: String,
}

/// A fault within one text, before it is known where the text stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bytes from the beginning of the text.
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) closest: Option<String>,
}

impl Fault {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into(), closest: None }
    }

    /// The fault in the text `text` that stands at `at`.
    pub(crate) fn place(self, at: &str, text: &str) -> CompileError {
        let before = text.get(..self.offset).unwrap_or(text);
        CompileError {
            at: at.to_owned(),
            offset: self.offset,
            column: Some(before.chars().count() + 1),
            message: self.message,
            closest: self.closest,
        }
    }
}

/// The candidate nearest to a misspelt name, if any is near: at most a third of its letters differ, and at least one may, but the first
/// one of names of two or three letters.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = name.to_lowercase();
    let length = lower.chars().count();
    let allowed = (length / 3).max(1);
    // One letter is much of a short name: "get" is no misspelt "set".
    let like = |candidate: &str| {
        !(2..=3).contains(&length) || candidate.to_lowercase().chars().next() == lower.chars().next()
    };
    candidates
        .into_iter()
        .filter(|candidate| like(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_near_enough_are_suggested() {
        assert_eq!(did_you_mean("randint", ["pick", "randInt"]), Some("randInt".into()));
        assert_eq!(did_you_mean("tokn", ["token", "key"]), Some("token".into()));
        assert_eq!(did_you_mean("password", ["key", "agent"]), None);
        assert_eq!(did_you_mean("get", ["set", "sett"]), None);
        assert_eq!(did_you_mean("ste", ["set"]), Some("set".into()));
    }

    #[test]
    fn a_placed_fault_counts_characters() {
        let error = Fault { closest: Some("vars".into()), ..Fault::new(3, "unknown name \"var\"") }
            .place("spec.x", "ü$var");
        assert_eq!(error.to_string(), "spec.x (column 3): unknown name \"var\"; did you mean \"vars\"?");
    }
}
