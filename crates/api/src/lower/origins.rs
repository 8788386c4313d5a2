//! Where texts of a step were written that are not its own: headers of target and scenario, and what was made of the target's URL. The
//! compiler names them by the step; `Origins` finds the field that a person would change.

use std::collections::HashMap;

use plimsoll_scenario::CompileError;

/// Path of a header as the compiler names it → where it was written, and for which scenario.
#[derive(Debug, Default)]
pub(super) struct Origins(HashMap<String, Vec<(String, String)>>);

impl Origins {
    /// Notes that the header at `path` was written at `origin`, in the steps that the scenario `who` does.
    pub(super) fn note(&mut self, path: String, origin: String, who: &str) {
        let known = self.0.entry(path).or_default();
        // A step's own header of the same name replaces that of the scenario, and that the target's.
        known.retain(|(_, other)| other != who);
        known.push((origin, who.to_owned()));
    }

    /// Path and message of an error for people.
    pub(super) fn place(&self, error: &CompileError, url_at: &str) -> (String, String) {
        let column = error.column.map_or_else(String::new, |column| format!("column {column}: "));
        let hint =
            error.closest.as_ref().map_or_else(String::new, |close| format!("; did you mean {close:?}?"));
        let message = format!("{column}{}{hint}", error.message);
        let written = self.0.get(&error.at).and_then(|origins| {
            let runs = |who: &str| error.message.contains(&format!("(as scenario \"{who}\" runs it)"));
            origins.iter().find(|(_, who)| runs(who)).or(origins.first()).map(|(origin, _)| origin.as_str())
        });
        // What was made of target.url has no step of its own.
        let path = written
            .unwrap_or(&error.at)
            .replace("spec.target.http.path", url_at)
            .replace("spec.target.http.", "spec.target.");
        (path, message)
    }
}
