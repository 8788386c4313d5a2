//! Names that steps count under: requests, metrics and concurrency limits, each once however many steps share it. Filled by `steps.rs`
//! and its siblings; `slos.rs` looks names up in the layout that it becomes.

use std::collections::{BTreeSet, HashMap};

use plimsoll_measure::{Layout, Metric, MetricKind, RequestId};
use plimsoll_scenario::Limit;

use super::error::Errors;

/// More indexes than a plan can hold.
const MOST: usize = 65_535;

/// The names so far.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) layout: Layout,
    pub(super) limits: Vec<Limit>,
    /// Where each limit was written.
    pub(super) limits_at: Vec<String>,
    requests: HashMap<String, u16>,
    /// Checks and faults are told apart by their request, too.
    metrics: HashMap<(String, Option<MetricKindKey>), u16>,
    /// Where each metric was first made.
    metrics_at: Vec<String>,
    /// Limits that are taken while another is held.
    nested: BTreeSet<(u16, u16)>,
}

/// What tells checks and faults of one name apart.
type MetricKindKey = (bool, Option<RequestId>);

impl Registry {
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, ..Self::default() }
    }

    /// Index of a request name; steps of one name count together.
    pub(super) fn request(&mut self, name: &str, at: &str, errors: &mut Errors) -> RequestId {
        if let Some(known) = self.requests.get(name) {
            return RequestId(*known);
        }
        let Some(index) = next(self.layout.requests.len()) else {
            errors.add(at, "more than 65535 request names: give steps common names");
            return RequestId(0);
        };
        self.layout.requests.push(name.to_owned());
        self.requests.insert(name.to_owned(), index);
        RequestId(index)
    }

    /// The name of a request.
    pub(super) fn name_of(&self, request: RequestId) -> &str {
        self.layout.requests.get(usize::from(request.0)).map_or("", String::as_str)
    }

    /// Index of a metric; steps that make metrics of one name and kind count together.
    pub(super) fn metric(
        &mut self,
        name: &str,
        kind: MetricKind,
        request: Option<RequestId>,
        at: &str,
        errors: &mut Errors,
    ) -> u16 {
        let of_step = matches!(kind, MetricKind::Check | MetricKind::Fault);
        let key = (name.to_owned(), of_step.then_some((kind == MetricKind::Check, request)));
        if let Some(&known) = self.metrics.get(&key) {
            let index = usize::from(known);
            let metric = &mut self.layout.metrics[index];
            if metric.kind != kind {
                let first = &self.metrics_at[index];
                let (was, is) = (word(metric.kind), word(kind));
                errors.add(
                    at,
                    format!("{name:?} is the name of a {was} already, at {first}: a {is} needs another"),
                );
            } else if metric.request != request {
                metric.request = None;
            }
            return known;
        }
        let Some(index) = next(self.layout.metrics.len()) else {
            errors.add(
                at,
                "more than 65535 metrics and checks: give steps common names, so that they share theirs",
            );
            return 0;
        };
        self.layout.metrics.push(Metric { name: name.to_owned(), kind, request });
        self.metrics_at.push(at.to_owned());
        self.metrics.insert(key, index);
        index
    }

    /// Index of a concurrency limit; `held` are those that the user has a place of already.
    pub(super) fn limit(
        &mut self,
        (group, max): (&str, u64),
        held: &[u16],
        at: &str,
        errors: &mut Errors,
    ) -> Option<u16> {
        let found = self.limits.iter().position(|limit| limit.name == group);
        if let Some(index) = found
            && self.limits[index].max != max
        {
            let (other, first) = (self.limits[index].max, &self.limits_at[index]);
            let message = format!(
                "{max}, but at {first} the same group {group:?} has {other}: make them equal, or name another group"
            );
            errors.add(format!("{at}.concurrency.max"), message);
        }
        let index = next(found.unwrap_or(self.limits.len()))?;
        if found.is_none() {
            let waiting = self.metric(
                &format!("{group} waiting"),
                MetricKind::Trend,
                None,
                &format!("{at}.concurrency"),
                errors,
            );
            self.limits.push(Limit { name: group.to_owned(), max, waiting });
            self.limits_at.push(format!("{at}.concurrency.max"));
        }
        for outer in held {
            let other = &self.limits[usize::from(*outer)].name;
            let problem = if *outer == index {
                format!(
                    "a place of {group:?} is held already, so that users would wait for themselves for ever"
                )
            } else if self.leads(index, *outer) {
                format!(
                    "a place of {group:?} is asked for while one of {other:?} is held, and elsewhere the other way round, so that users would wait for each other for ever"
                )
            } else {
                self.nested.insert((*outer, index));
                continue;
            };
            errors.add(format!("{at}.concurrency"), format!("{problem}: limit only the outer step"));
        }
        Some(index)
    }

    /// Whether somebody who holds a place of `from` asks for one of `to`, or for one whose holders do, over any number of limits.
    fn leads(&self, from: u16, to: u16) -> bool {
        let mut known = BTreeSet::from([from]);
        let mut ahead = vec![from];
        while let Some(outer) = ahead.pop() {
            let inner = self.nested.range((outer, 0)..=(outer, u16::MAX)).map(|(_, inner)| *inner);
            ahead.extend(inner.filter(|inner| known.insert(*inner)));
        }
        known.contains(&to)
    }
}

fn next(index: usize) -> Option<u16> {
    u16::try_from(index).ok().filter(|_| index < MOST)
}

pub(super) fn word(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Check | MetricKind::Fault => "check",
        MetricKind::Counter => "counter",
        MetricKind::Rate => "rate",
        MetricKind::Trend => "trend",
    }
}
