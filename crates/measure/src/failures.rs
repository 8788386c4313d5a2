//! Failed requests by cause, with an example of each: a bounded table that merges in any order. Grown by `recorder.rs`, part of
//! `snapshot.rs`.
//!
//! Of too many causes those that are first in order keep a row of their own; since every part of a sum keeps those, too, their counts
//! are whole, and the others are summed up in one row per request.

use std::cmp::Ordering;

use crate::{ErrorClass, Failure, RequestId};

/// Most causes that a snapshot tells apart; the others are summed up in one row per request.
pub const FAILURE_GROUPS: usize = 200;

/// Most characters of an example.
pub const EXAMPLE_CHARS: usize = 300;

/// Causes that a recorder remembers to have an example of.
const KNOWN: usize = 4 * FAILURE_GROUPS;

/// Causes of one request that are likely to be all there are.
const LIKELY: u8 = 8;

/// What makes two failures the same; sums of a request are last.
type Key = (ClassOrSum, Option<u16>, RequestId);

/// Orders `None` after all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ClassOrSum {
    Class(ErrorClass),
    Sum,
}

impl Failure {
    fn key(&self) -> Key {
        key(self.request, self.class, self.status)
    }

    /// Adds requests that failed of the same cause; the example is that of the earliest.
    fn absorb(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        if other.example_rank().cmp(&self.example_rank()) == Ordering::Less {
            (self.at, self.example) = (other.at, other.example);
        }
    }

    fn example_rank(&self) -> (bool, u64, &str) {
        (self.example.is_empty(), self.at, &self.example)
    }
}

fn key(request: RequestId, class: Option<ErrorClass>, status: Option<u16>) -> Key {
    (class.map_or(ClassOrSum::Sum, ClassOrSum::Class), status, request)
}

/// Adds failures to others; both are in order, and within bounds.
pub(crate) fn merge(failures: &mut Vec<Failure>, other: &[Failure]) {
    for failure in other {
        insert(failures, failure.clone());
    }
    bound(failures);
}

fn insert(failures: &mut Vec<Failure>, failure: Failure) {
    match failures.binary_search_by_key(&failure.key(), Failure::key) {
        Ok(at) => failures[at].absorb(failure),
        Err(at) => failures.insert(at, failure),
    }
}

/// Sums up what is beyond the first [`FAILURE_GROUPS`] causes.
fn bound(failures: &mut Vec<Failure>) {
    let causes = failures.partition_point(|failure| failure.class.is_some());
    if causes > FAILURE_GROUPS {
        let rest: Vec<Failure> = failures.drain(FAILURE_GROUPS..causes).collect();
        for failure in rest {
            insert(failures, Failure { class: None, status: None, ..failure });
        }
    }
}

/// The failures of one thread.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Since the last take.
    failures: Vec<Failure>,
    /// Causes that had their example, in order.
    known: Vec<Key>,
    /// How many of them each request has.
    examples: Vec<u8>,
}

impl Failures {
    pub(crate) fn new(requests: usize) -> Self {
        Self { examples: vec![0; requests], ..Self::default() }
    }

    /// Counts a failed request; nothing is done for one that the layout does not have.
    pub(crate) fn record(
        &mut self,
        (request, at): (RequestId, u64),
        class: ErrorClass,
        status: Option<u16>,
        example: impl FnOnce() -> String,
    ) {
        let Some(examples) = self.examples.get_mut(usize::from(request.0)) else { return };
        let key = key(request, Some(class), status);
        let mut failure =
            Failure { request, class: Some(class), status, count: 1, at, example: String::new() };
        if let Err(place) = self.known.binary_search(&key)
            && self.known.len() < KNOWN
        {
            self.known.insert(place, key);
            *examples = examples.saturating_add(1);
            failure.example = shorten(example());
        }
        insert(&mut self.failures, failure);
        if self.failures.len() > 2 * FAILURE_GROUPS {
            bound(&mut self.failures);
        }
    }

    pub(crate) fn wants_example(&self, request: RequestId) -> bool {
        self.examples.get(usize::from(request.0)).is_some_and(|n| *n < LIKELY) && self.known.len() < KNOWN
    }

    pub(crate) fn take(&mut self) -> Vec<Failure> {
        bound(&mut self.failures);
        std::mem::take(&mut self.failures)
    }
}

/// The first [`EXAMPLE_CHARS`] characters of an example, the last of them an ellipsis if there are more.
#[must_use]
pub fn shorten(mut example: String) -> String {
    if let Some((end, _)) = example.char_indices().nth(EXAMPLE_CHARS) {
        let last = example[..end].char_indices().next_back().map_or(0, |(at, _)| at);
        example.truncate(last);
        example.push('…');
    }
    example
}
