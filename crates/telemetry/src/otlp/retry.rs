//! Which failures of an export are tried again, and when: the tables of the OTLP specification ("Failures", "Retryable Response Codes").
//! For metrics (`metrics.rs`); the library's exporters of spans and logs do the same.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Pause before the second attempt.
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause that is our own choice.
const LONGEST: Duration = Duration::from_secs(5);
/// Longest pause that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// What comes after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Another attempt would fail as well.
    No,
    /// After a pause of our own choice.
    Soon,
    /// Not before this time is over: the receiver said so.
    After(Duration),
}

/// Of an answer over gRPC.
pub(super) fn of_status(status: &Status) -> Again {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match (status.code(), asked) {
        (Code::ResourceExhausted | Code::Unavailable, Some(pause)) => Again::After(pause.min(LONGEST_ASKED)),
        // Without RetryInfo the receiver does not say that it will recover.
        (Code::ResourceExhausted, None) => Again::No,
        (
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss,
            _,
        ) => Again::Soon,
        _ => Again::No,
    }
}

/// Of a status over HTTP. A date in Retry-After counts as none: clocks differ.
pub(super) fn of_http(status: u16, headers: &HeaderMap) -> Again {
    let asked =
        headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    match (status, asked) {
        (429 | 503, Some(seconds)) => Again::After(Duration::from_secs(seconds).min(LONGEST_ASKED)),
        (429 | 502 | 503 | 504, _) => Again::Soon,
        _ => Again::No,
    }
}

/// Pauses that double, with a random part so that many senders do not come at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    random: RandomState,
    attempts: u64,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST, random: RandomState::new(), attempts: 0 }
    }

    /// The pause before the next attempt: between half and all of what is due, and at least what was asked for.
    pub(super) fn pause(&mut self, again: Again) -> Option<Duration> {
        let due = self.next;
        self.next = (due * 2).min(LONGEST);
        self.attempts += 1;
        let share = (self.random.hash_one(self.attempts) % 1024) as u32;
        let own = due / 2 + due / 2 * share / 1024;
        match again {
            Again::No => None,
            Again::Soon => Some(own),
            Again::After(asked) => Some(asked + own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn the_specifications_tables() {
        for code in [
            Code::Unavailable,
            Code::DataLoss,
            Code::Aborted,
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::OutOfRange,
        ] {
            assert_eq!(of_status(&Status::new(code, "")), Again::Soon, "{code:?}");
        }
        for code in [
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::InvalidArgument,
            Code::Unimplemented,
            Code::Internal,
            Code::Unknown,
            Code::ResourceExhausted,
        ] {
            assert_eq!(of_status(&Status::new(code, "")), Again::No, "{code:?}");
        }
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(7)));
        let status = Status::with_error_details(Code::ResourceExhausted, "", details);
        assert_eq!(of_status(&status), Again::After(Duration::from_secs(7)));

        let none = HeaderMap::new();
        for status in [429, 502, 503, 504] {
            assert_eq!(of_http(status, &none), Again::Soon, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 500, 501] {
            assert_eq!(of_http(status, &none), Again::No, "{status}");
        }
        let asked = HeaderMap::from_iter([(http::header::RETRY_AFTER, "3".parse().unwrap())]);
        assert_eq!(of_http(503, &asked), Again::After(Duration::from_secs(3)));
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_vary() {
        let mut backoff = Backoff::new();
        let mut due = FIRST;
        for _ in 0..12 {
            let pause = backoff.pause(Again::Soon).unwrap();
            assert!(pause >= due / 2 && pause <= due, "{pause:?} of {due:?}");
            due = (due * 2).min(LONGEST);
        }
        assert!(backoff.pause(Again::After(Duration::from_secs(9))).unwrap() >= Duration::from_secs(9));
        assert_eq!(backoff.pause(Again::No), None);
    }
}
