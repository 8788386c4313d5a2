//! Steps: whether and how often they are done, and what is made of the response. What they do is in `actions.rs`; flows are put in
//! place of the steps that run them.

use plimsoll_measure::{MetricKind, RequestId};
use plimsoll_scenario::{
    Assign, Check, Condition, Measure, MeasureKind, OnFailure, Repeat, Retry, Step, StepAction, Wait,
};

use super::context::{Context, Place};
use super::error::Errors;
use crate::GoDuration;
use crate::v1alpha1 as api;

/// Most steps of a script, flows put in place.
const MOST_STEPS: usize = 10_000;

impl Context<'_> {
    /// Steps in the list at `list`, such as `spec.flows[0].steps`.
    pub(super) fn steps(&mut self, steps: &[api::Step], list: &str, place: &Place<'_>) -> Vec<Step> {
        let lowered =
            steps.iter().enumerate().map(|(i, step)| self.step(step, format!("{list}[{i}]"), place));
        lowered.collect()
    }

    pub(super) fn step(&mut self, step: &api::Step, at: String, place: &Place<'_>) -> Step {
        self.steps += 1;
        self.refuse_actions(step, &at);
        let request = self.request(step, &at);
        let limit = step.concurrency.as_ref().and_then(|cap| {
            let group = self.group_of(step, cap, request, &at);
            self.registry.limit((&group, cap.max), &place.held, &at, self.errors)
        });
        let when = step.when.as_ref().map(|when| self.condition(when, "when", format!("{at}.when"), request));
        let chance = step.chance.map(|chance| {
            if chance.ppb > 1_000_000_000 {
                self.errors.add(format!("{at}.chance"), format!("{chance} is more than 100%"));
            }
            chance.ppb.min(1_000_000_000)
        });
        let retry = step.retry.as_ref().and_then(|retry| self.retry(step, retry, request, &at));
        let on_failure = step.on_failure.map_or(place.on_failure, |on_failure| match on_failure {
            api::OnFailure::Continue => OnFailure::Continue,
            api::OnFailure::EndIteration => OnFailure::EndIteration,
            api::OnFailure::EndUser => OnFailure::EndUser,
        });
        let inner = Place {
            held: place.held.iter().copied().chain(limit).collect(),
            // A flow of setup that may fail may do so at each of its steps.
            on_failure: if on_failure == OnFailure::Continue { on_failure } else { place.on_failure },
            ..place.clone()
        };
        let action = self.action(step, request, &at, &inner);
        Step {
            when,
            chance,
            repeat: step
                .repeat
                .as_ref()
                .map(|repeat| Repeat { times: repeat.times, gap: repeat.gap.map_or(0, |gap| gap.nanos) }),
            retry,
            limit,
            on_failure,
            checks: self.checks(&step.check, &format!("{at}.check"), request),
            captures: self.assigns(&step.capture, "capture", &at, request),
            sets: self.assigns(&step.set, "set", &at, request),
            metrics: self.measures(step, &at, request),
            ..Step::new(at, action)
        }
    }

    /// A step has one action, or makes something of the last response.
    fn refuse_actions(&mut self, step: &api::Step, at: &str) {
        let given = [
            ("http", step.http.is_some()),
            ("poll", step.poll.is_some()),
            ("websocket", step.websocket.is_some()),
            ("sse", step.sse.is_some()),
            ("pause", step.pause.is_some()),
            ("run", step.run.is_some()),
        ];
        let after = [
            ("check", step.check.is_empty()),
            ("capture", step.capture.is_empty()),
            ("set", step.set.is_empty()),
            ("metrics", step.metrics.is_empty()),
        ];
        let after: Vec<&str> = after.iter().filter(|(_, empty)| !empty).map(|(field, _)| *field).collect();
        let given: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(field, _)| *field).collect();
        match given.as_slice() {
            [] if after.is_empty() => self.errors.add(
                at,
                "a step without an action and without check, capture, set or metrics does nothing: give it one",
            ),
            [_, _, ..] => self.errors.add(
                at,
                format!("a step has at most one action, but this one has {}: make them steps of their own", given.join(" and ")),
            ),
            [action @ ("pause" | "run")] => {
                let remedy = if *action == "run" { "write it on the steps of the flow" } else { "write it on a step of its own" };
                for field in after {
                    self.errors.add(format!("{at}.{field}"), format!("{action} has no response: {remedy}"));
                }
            }
            _ => {}
        }
    }

    /// The name that a step's places of a concurrency limit go by.
    fn group_of(&self, step: &api::Step, cap: &api::Cap, request: Option<RequestId>, at: &str) -> String {
        let requested = || request.map(|request| self.registry.name_of(request).to_owned());
        let name = cap.group.clone().or_else(|| step.name.clone()).or_else(requested);
        name.or_else(|| step.run.clone()).unwrap_or_else(|| at.to_owned())
    }

    fn retry(
        &mut self,
        step: &api::Step,
        retry: &api::Retry,
        request: Option<RequestId>,
        at: &str,
    ) -> Option<Retry> {
        let Some(request) = request else {
            let message = match &step.run {
                Some(_) => "a flow is not tried again as a whole: write retry on its steps",
                None => "nothing is sent that could be tried again: remove retry",
            };
            self.errors.add(format!("{at}.retry"), message);
            return None;
        };
        if retry.attempts < 2 {
            // The first attempt is all there is.
            return None;
        }
        let name = format!("{} after retries", self.registry.name_of(request));
        Some(Retry {
            attempts: retry.attempts,
            delay: retry.delay.map_or(0, |delay| delay.nanos),
            factor: retry.factor.unwrap_or(1).saturating_mul(1000),
            max_delay: retry.max_delay.unwrap_or(GoDuration::from_secs(30)).nanos,
            on: retry.status.iter().map(|status| (status.from, status.to)).collect(),
            honour_retry_after: retry.honour_retry_after.unwrap_or_default(),
            metric: self.metric(&name, MetricKind::Rate, Some(request), &format!("{at}.retry")),
        })
    }

    /// The steps of a flow, in place of the one that runs it.
    pub(super) fn run(&mut self, name: &str, at: &str, place: &Place<'_>) -> StepAction {
        if self.flows.endless {
            return StepAction::Nothing;
        }
        if self.steps > MOST_STEPS {
            let message = format!(
                "flows run flows so often that they come to more than {MOST_STEPS} steps: use repeat, or run fewer"
            );
            if !std::mem::replace(&mut self.too_many, true) {
                self.errors.add(format!("{at}.run"), message);
            }
            return StepAction::Nothing;
        }
        // What is unknown was refused before.
        let Some((index, flow)) = self.flows.find(name) else { return StepAction::Nothing };
        StepAction::Run(self.steps(&flow.steps, &format!("spec.flows[{index}].steps"), place))
    }

    pub(super) fn metric(
        &mut self,
        name: &str,
        kind: MetricKind,
        request: Option<RequestId>,
        at: &str,
    ) -> u16 {
        self.registry.metric(name, kind, request, at, self.errors)
    }

    /// An expression that decides; `fault` is the name of its failures to be computed.
    pub(super) fn condition(
        &mut self,
        expr: &str,
        fault: &str,
        at: String,
        request: Option<RequestId>,
    ) -> Condition {
        let fault = self.metric(fault, MetricKind::Fault, request, &at);
        Condition { expr: expr.to_owned(), at, fault }
    }

    pub(super) fn checks(
        &mut self,
        checks: &api::Expressions,
        list: &str,
        request: Option<RequestId>,
    ) -> Vec<Check> {
        let mut lowered = Vec::with_capacity(checks.len());
        for (name, expr) in checks {
            let at = field(list, name);
            if name.is_empty() || name.chars().count() > 128 {
                self.errors.add(at.as_str(), "the name of a check has 1 to 128 characters");
            }
            let metric = self.metric(name, MetricKind::Check, request, &at);
            lowered.push(Check { name: name.clone(), expr: expr.clone(), at, metric });
        }
        lowered
    }

    /// Assignments in the map `list` of what stands at `at`.
    pub(super) fn assigns(
        &mut self,
        map: &api::Expressions,
        list: &str,
        at: &str,
        request: Option<RequestId>,
    ) -> Vec<Assign> {
        let mut lowered = Vec::with_capacity(map.len());
        for (name, expr) in map {
            let at = field(&format!("{at}.{list}"), name);
            if !is_variable(name) {
                let message = format!(
                    "{name:?} is not a name of letters, digits and _ that does not begin with a digit: it becomes user.NAME"
                );
                self.errors.add(at.as_str(), message);
            }
            let fault = self.metric(&format!("{list} {name}"), MetricKind::Fault, request, &at);
            lowered.push(Assign { name: name.clone(), expr: expr.clone(), at, fault });
        }
        lowered
    }

    fn measures(&mut self, step: &api::Step, at: &str, request: Option<RequestId>) -> Vec<Measure> {
        let mut lowered = Vec::with_capacity(step.metrics.len());
        for (name, measure) in &step.metrics {
            let at = field(&format!("{at}.metrics"), name);
            if name.is_empty() || name.chars().count() > 128 {
                self.errors.add(at.as_str(), "the name of a metric has 1 to 128 characters");
            }
            let (kind, counted, expr, word) = match (&measure.counter, &measure.rate, &measure.trend) {
                (Some(expr), None, None) => (MeasureKind::Counter, MetricKind::Counter, expr, "counter"),
                (None, Some(expr), None) => (MeasureKind::Rate, MetricKind::Rate, expr, "rate"),
                (None, None, Some(expr)) => (MeasureKind::Trend, MetricKind::Trend, expr, "trend"),
                _ => {
                    self.errors.add(at, "a metric has exactly one of counter, rate and trend");
                    continue;
                }
            };
            let metric = self.metric(name, counted, request, &at);
            let fault = self.metric(&format!("metric {name}"), MetricKind::Fault, request, &at);
            lowered.push(Measure { expr: expr.clone(), at: format!("{at}.{word}"), kind, metric, fault });
        }
        lowered
    }
}

/// The path of a field with any name, as `read.rs` displays it.
pub(super) fn field(map: &str, name: &str) -> String {
    crate::read::field_path(map, name)
}

fn is_variable(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && name.len() <= 40
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(inside)
}

/// A length of time; what it lacks or contradicts is said at its path.
pub(super) fn wait(wait: api::Wait, at: &str, errors: &mut Errors) -> Wait {
    match (wait.min, wait.max, wait.constant, wait.exponential) {
        (Some(min), Some(max), None, None) => {
            if min > max {
                errors.add(format!("{at}.min"), format!("{min} is more than max, {max}"));
            }
            Wait::Uniform { min: min.nanos, max: max.nanos.max(min.nanos) }
        }
        (None, None, Some(constant), None) => Wait::Uniform { min: constant.nanos, max: constant.nanos },
        (None, None, None, Some(mean)) => Wait::Exponential { mean: mean.nanos },
        _ => {
            errors.add(at, "give either min and max, or constant, or exponential");
            Wait::Uniform { min: 0, max: 0 }
        }
    }
}
