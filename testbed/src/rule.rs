//! One disturbance of a running service: which requests it covers, and what it does to them. A fault (`fault.rs`)
//! has one of its own and a list of further ones; `plan.rs` applies them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::law::{Latency, When, delay};
use crate::limit::covers;
use crate::reply::{self, Reply};
use crate::route::unavailable;
use crate::table::injected;

/// The longest delay that a drift may reach.
const MAX_DRIFT: Duration = Duration::from_secs(600);

/// A disturbance of the requests that it covers. Its selections count these requests from the moment it is set. Where
/// several of its laws hit one request, a reset wins over a drop, a drop over a stall, a stall over an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// Only requests whose path begins like this, or whose pattern (`/api/debates/{id}`) this is; all if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether `path` is the whole path or pattern, not its beginning.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// Only requests with this method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The share of requests, between 0 and 1, answered with an error; spread evenly, never random.
    pub error_rate: f64,
    /// The status of these errors.
    pub status: u16,
    /// Milliseconds on top of the latency of the route.
    pub latency_ms: f64,
    /// A law in place of the latency of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Milliseconds on top, more with every minute since the fault was set; ten minutes at most.
    #[serde(skip_serializing_if = "is_zero")]
    pub drift_ms_per_minute: f64,
    /// Leaves requests unanswered until the fault is changed or ended; then they are answered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stall: bool,
    /// Requests left unanswered in the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang: Option<When>,
    /// Requests whose connection is reset (HTTP/2: whose stream is reset).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<When>,
    /// Requests whose connection is ended without an answer (HTTP/2: whose stream is cancelled).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<When>,
}

impl Default for Rule {
    fn default() -> Self {
        Rule {
            path: None,
            exact: false,
            method: None,
            error_rate: 0.0,
            status: unavailable(),
            latency_ms: 0.0,
            latency: None,
            drift_ms_per_minute: 0.0,
            stall: false,
            hang: None,
            reset: None,
            drop: None,
        }
    }
}

/// Whether a number is left out of a document.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
pub(crate) fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// What a disturbance puts in place of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Instead {
    Reset,
    Drop,
    Stall,
    Error(Reply),
}

/// What the rules of a fault do to one request.
#[derive(Debug, Default)]
pub(crate) struct Disturbance {
    pub(crate) added: Duration,
    /// In place of the latency of the route.
    pub(crate) latency: Option<Duration>,
    pub(crate) instead: Option<Instead>,
}

/// A checked rule and its own count of the requests it covers.
#[derive(Debug)]
pub(crate) struct ArmedRule {
    rule: Rule,
    added: Duration,
    latency: Option<Box<[Duration]>>,
    errors: When,
    error: Reply,
    since: Instant,
    next: AtomicU64,
}

impl ArmedRule {
    /// Checks a rule; `at` makes the field of an error from its last part.
    pub(crate) fn new(rule: Rule, since: Instant, at: &dyn Fn(&str) -> String) -> Result<Self, ConfigError> {
        let wrong = |field: &'static str| move |problem: String| ConfigError::at(at(field), problem);
        let errors = When::Rate(rule.error_rate);
        errors.check().map_err(wrong("errorRate"))?;
        for (field, when) in [("reset", rule.reset), ("drop", rule.drop), ("hang", rule.hang)] {
            when.map_or(Ok(()), When::check).map_err(wrong(field))?;
        }
        delay(rule.drift_ms_per_minute).map_err(wrong("driftMsPerMinute"))?;
        Ok(ArmedRule {
            added: delay(rule.latency_ms).map_err(wrong("latencyMs"))?,
            latency: rule.latency.as_ref().map(Latency::cycle).transpose().map_err(wrong("latency"))?,
            errors,
            error: injected(reply::status(rule.status).map_err(wrong("status"))?),
            since,
            next: AtomicU64::new(0),
            rule,
        })
    }

    /// Takes the request's place in the rule's sequences, if the rule covers it, and adds what it does.
    pub(crate) fn disturb(&self, asked: (&str, &str), name: &str, now: Instant, onto: &mut Disturbance) {
        let rule = &self.rule;
        if !covers((rule.path.as_deref(), rule.exact, rule.method.as_deref()), asked, name) {
            return;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        onto.added += self.added + self.drift(now);
        if let (None, Some(cycle)) = (onto.latency, &self.latency) {
            onto.latency = cycle.get((number % cycle.len() as u64) as usize).copied();
        }
        if onto.instead.is_none() {
            onto.instead = self.instead(number);
        }
    }

    fn instead(&self, number: u64) -> Option<Instead> {
        let hits = |when: Option<When>| when.is_some_and(|when| when.hits(number));
        if hits(self.rule.reset) {
            Some(Instead::Reset)
        } else if hits(self.rule.drop) {
            Some(Instead::Drop)
        } else if self.rule.stall || hits(self.rule.hang) {
            Some(Instead::Stall)
        } else if self.errors.hits(number) {
            Some(Instead::Error(self.error.clone()))
        } else {
            None
        }
    }

    fn drift(&self, now: Instant) -> Duration {
        let minutes = now.saturating_duration_since(self.since).as_secs_f64() / 60.0;
        let ms = self.rule.drift_ms_per_minute * minutes;
        Duration::from_secs_f64((ms / 1e3).clamp(0.0, MAX_DRIFT.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_replace_additions_add_up_and_the_first_act_wins() {
        let now = Instant::now();
        let arm = |rule: Rule| ArmedRule::new(rule, now, &|field| field.to_owned()).unwrap();
        let law = Some(Latency::Sequence(vec![5.0, 9.0]));
        let rules = [
            arm(Rule {
                path: Some("/a".into()),
                latency: law,
                drop: Some(When::Every(2)),
                ..Rule::default()
            }),
            arm(Rule { latency_ms: 1.0, error_rate: 1.0, drift_ms_per_minute: 60.0, ..Rule::default() }),
        ];
        let one = |path: &str| {
            let mut disturbance = Disturbance::default();
            let later = now + Duration::from_secs(2);
            rules.iter().for_each(|rule| rule.disturb((path, "GET"), path, later, &mut disturbance));
            let acts = disturbance.instead.map(|act| format!("{act:?}")).unwrap_or_default();
            let act = acts.split('(').next().unwrap_or_default().to_owned();
            (disturbance.added.as_millis(), disturbance.latency.map(|time| time.as_millis()), act)
        };
        assert_eq!(one("/a"), (3, Some(5), "Error".into()));
        assert_eq!(one("/a"), (3, Some(9), "Drop".into()));
        assert_eq!(one("/b"), (3, None, "Error".into()));
    }

    #[test]
    fn wrong_fields_are_named_in_their_place() {
        let wrong = |rule: Rule| {
            ArmedRule::new(rule, Instant::now(), &|field| format!("rules[2].{field}")).unwrap_err().field
        };
        assert_eq!(wrong(Rule { error_rate: 1.5, ..Rule::default() }), "rules[2].errorRate");
        assert_eq!(wrong(Rule { hang: Some(When::Every(0)), ..Rule::default() }), "rules[2].hang");
        assert_eq!(wrong(Rule { status: 99, ..Rule::default() }), "rules[2].status");
        assert_eq!(wrong(Rule { drift_ms_per_minute: -1.0, ..Rule::default() }), "rules[2].driftMsPerMinute");
    }
}
