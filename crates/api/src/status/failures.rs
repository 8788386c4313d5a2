//! Failures of a run by cause, each with its first example. Shown by `report/` and the live page of `plimsoll run --ui`.

use std::cmp::Reverse;

use plimsoll_measure::{Layout, Snapshot};
use plimsoll_slo::class_name;

/// One cause of failed requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureGroup {
    /// Request and cause: `POST /orders: Status 503`.
    pub cause: String,
    /// How often.
    pub count: u64,
    /// What the first one said: the beginning of the response's body, or the network's error; may be empty.
    pub example: String,
}

/// The causes, the most frequent first.
#[must_use]
pub fn failures(layout: &Layout, merged: &Snapshot) -> Vec<FailureGroup> {
    let mut failures: Vec<_> = merged.failures.iter().filter(|failure| failure.count > 0).collect();
    failures.sort_by_key(|failure| (Reverse(failure.count), failure.request, failure.class));
    failures
        .into_iter()
        .map(|failure| {
            let request = layout.requests.get(usize::from(failure.request.0)).map_or("?", String::as_str);
            let class = failure.class.map_or("other causes", class_name);
            // The example of a status says which.
            let status = failure.status.filter(|_| failure.example.is_empty());
            let status = status.map_or_else(String::new, |status| format!(" {status}"));
            FailureGroup {
                cause: format!("{request}: {class}{status}"),
                count: failure.count,
                example: failure.example.clone(),
            }
        })
        .collect()
}
