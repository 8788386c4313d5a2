//! Failures of a run by cause, each with its first example. Shown by `report/` and the live page of `plimsoll run --ui`.

use std::cmp::Reverse;

use plimsoll_measure::{ErrorClass, Failure, Layout, Snapshot};
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
    /// What usually helps, where something does.
    pub remedy: Option<&'static str>,
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
                remedy: remedy(failure),
            }
        })
        .collect()
}

/// What usually helps against a cause.
fn remedy(failure: &Failure) -> Option<&'static str> {
    Some(match (failure.class?, failure.status) {
        (ErrorClass::Dns, _) => {
            "the name does not resolve: check the host of target.url, and in a cluster the Service's name and namespace"
        }
        // As `crates/engine/src/flight.rs` and `crates/engine/src/dial.rs` say it.
        (_, _) if failure.example.starts_with("never begun: ") => {
            "what held them up, the generator or the target, is in the run's message"
        }
        (_, _) if failure.example.starts_with("the generator ran out of ") => {
            "this is the generator's, not the target's: see the generator's limits in the run's message"
        }
        (ErrorClass::Connect, _) => {
            "nobody accepts connections: check that the target is up and that target.url names its port"
        }
        (ErrorClass::Tls, _) => {
            "the TLS handshake fails: give a private CA as target.tls.ca, another name as target.tls.serverName"
        }
        (ErrorClass::Timeout, _) => {
            "the target answers too late or not at all: look at its load and logs; a step's http.timeout says how long is waited"
        }
        (ErrorClass::Status, Some(401 | 403)) => {
            "the target refuses the credentials: check the secret behind vars and the authorization header (plimsoll try shows one exchange), or name the status in expect.status"
        }
        (ErrorClass::Status, Some(429)) => {
            "the target limits the rate: lower the load, raise or switch off its limiter, or name 429 in expect.status and judge its share by statusRate"
        }
        (ErrorClass::Status, Some(404)) => {
            "the target does not know the path or the id: check path and what is captured (plimsoll try shows one exchange)"
        }
        _ => return None,
    })
}
