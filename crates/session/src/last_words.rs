//! A worker's termination message: what it counted, when its session could not tell, or why it could not start. Written by the
//! worker, read by the operator from the pod's status.

use plimsoll_measure::{Counts, Layout, Snapshot};
use serde::{Deserialize, Serialize};

use crate::{Final, HelloInfo};

/// Most bytes of a pod's termination message.
pub const LAST_WORDS_LIMIT: usize = 4096;

/// The last resort of a worker's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LastWords {
    /// Namespace and name of the run.
    pub run: String,
    /// The worker's share.
    pub index: u32,
    /// Why the worker could not start; nothing was counted then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Counts of the judged windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<Figures>,
    /// Counts of the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Figures>,
    /// See [`Final::skew`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew: Option<u64>,
    /// The objectives' counters in their order, `[in scope, bad]`; as many as fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<(u64, u64)>,
}

/// The counts of [`LastWords`]; see [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Figures {
    pub sent: u64,
    pub not_sent: u64,
    pub complete: u64,
    pub incomplete: u64,
    pub unfinished: u64,
    pub failed: u64,
}

impl Figures {
    fn of(counts: &Counts) -> Self {
        Self {
            sent: counts.sent,
            not_sent: counts.not_sent,
            complete: counts.complete,
            incomplete: counts.incomplete,
            unfinished: counts.unfinished,
            failed: counts.failed,
        }
    }
}

impl LastWords {
    /// What a worker counted.
    #[must_use]
    pub fn of(hello: &HelloInfo, total: &Snapshot, layout: &Layout, last: &Final) -> Self {
        Self {
            run: hello.run.to_string(),
            index: hello.index,
            cause: None,
            judged: Some(Figures::of(&total.counts(layout, None, None))),
            total: Some(Figures::of(&total.total())),
            skew: last.skew,
            objectives: total.objectives.iter().map(|count| (count.total, count.bad)).collect(),
        }
    }

    /// Why a worker could not start.
    #[must_use]
    pub fn cause(run: &str, index: u32, cause: &str) -> Self {
        Self { run: run.to_owned(), index, cause: Some(cause.to_owned()), ..Self::default() }
    }

    /// As text of at most [`LAST_WORDS_LIMIT`] bytes; what does not fit is cut from the end of `objectives` and `cause`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut words = self.clone();
        loop {
            let text = serde_json::to_string(&words).unwrap_or_default();
            if text.len() <= LAST_WORDS_LIMIT {
                return text;
            }
            match &mut words.cause {
                // A character may take several bytes as text and six as JSON, so it is cut in proportion, until it fits.
                Some(cause) if !cause.is_empty() => {
                    let keep = (cause.len() * LAST_WORDS_LIMIT / text.len()).min(cause.len() - 1);
                    let keep = (0..=keep).rev().find(|at| cause.is_char_boundary(*at)).unwrap_or_default();
                    cause.truncate(keep);
                }
                _ if words.objectives.pop().is_some() => {}
                _ => return String::new(),
            }
        }
    }

    /// Reads a termination message; nothing if it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_fit_into_a_termination_message_and_come_back() {
        let small =
            LastWords { run: "a/b".to_owned(), index: 3, objectives: vec![(1, 2)], ..LastWords::default() };
        assert_eq!(LastWords::parse(&small.render()), Some(small));
        let many = LastWords { objectives: vec![(u64::MAX, u64::MAX); 1_000], ..LastWords::default() };
        let text = many.render();
        assert!(text.len() <= LAST_WORDS_LIMIT && text.len() > LAST_WORDS_LIMIT - 100);
        let back = LastWords::parse(&text).unwrap();
        assert_eq!(back.objectives, many.objectives[..back.objectives.len()]);
        let long = LastWords::cause("a/b", 0, &"\u{1}ü\"".repeat(3_000));
        let back = LastWords::parse(&long.render()).unwrap();
        assert!(
            long.cause.unwrap().starts_with(back.cause.as_deref().filter(|cause| cause.len() > 400).unwrap())
        );
        assert_eq!(LastWords::parse("OOMKilled"), None);
    }
}
