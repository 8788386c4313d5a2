//! What the steps of a script refer to: request names, metrics and limits of the plan. Checked by `check.rs`.

use plimsoll_scenario::{
    Action, Assign, Check, Condition, HttpStep, Reading, Scenario, Script, Step, StepAction, StreamMetrics,
    WebSocketAction,
};

/// Something of the plan that a step refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Request(u16),
    Metric(u16),
    Limit(u16),
}

/// The first reference that `wrong` says is one, and where it stands in the manifest.
pub(crate) fn find(script: &Script, wrong: impl Fn(Reference) -> bool) -> Option<(String, Reference)> {
    let mut search = Search { wrong, found: None };
    for limit in &script.limits {
        search.metric(&limit.name, limit.waiting);
    }
    script.scenarios.iter().for_each(|scenario| search.scenario(scenario));
    script.setup.iter().chain(&script.teardown).for_each(|step| search.step(step));
    script.timeline.iter().for_each(|call| search.step(&call.step));
    search.found
}

struct Search<F> {
    wrong: F,
    found: Option<(String, Reference)>,
}

impl<F: Fn(Reference) -> bool> Search<F> {
    fn see(&mut self, at: &str, reference: Reference) {
        if self.found.is_none() && (self.wrong)(reference) {
            self.found = Some((at.to_owned(), reference));
        }
    }

    fn metric(&mut self, at: &str, metric: u16) {
        self.see(at, Reference::Metric(metric));
    }

    fn scenario(&mut self, scenario: &Scenario) {
        self.assigns(&scenario.state);
        scenario.on_start.iter().chain(&scenario.on_stop).for_each(|step| self.step(step));
        match &scenario.action {
            Action::Steps(steps) => steps.iter().for_each(|step| self.step(step)),
            Action::Tasks(tasks) => {
                for task in tasks {
                    self.conditions(task.when.as_ref());
                    task.steps.iter().for_each(|step| self.step(step));
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        self.conditions(step.when.as_ref());
        if let Some(retry) = &step.retry {
            self.metric(&step.at, retry.metric);
        }
        if let Some(limit) = step.limit {
            self.see(&step.at, Reference::Limit(limit));
        }
        self.action(step);
        self.checks(&step.checks);
        self.assigns(&step.captures);
        self.assigns(&step.sets);
        for measure in &step.metrics {
            self.metric(&measure.at, measure.metric);
            self.metric(&measure.at, measure.fault);
        }
    }

    fn action(&mut self, step: &Step) {
        match &step.action {
            StepAction::Http(http) => self.http(http),
            StepAction::Poll(poll) => {
                self.http(&poll.http);
                self.conditions([&poll.done].into_iter().chain(&poll.failed));
                self.metric(&step.at, poll.metric);
            }
            StepAction::WebSocket(socket) => {
                self.http(&socket.handshake);
                self.stream(&step.at, &socket.metrics);
                socket.script.iter().for_each(|item| self.item(item));
            }
            StepAction::Sse(sse) => {
                self.http(&sse.http);
                self.conditions(sse.until.as_ref());
                self.reading(&sse.reading);
                self.assigns(&sse.captures);
                self.stream(&step.at, &sse.metrics);
            }
            StepAction::Run(steps) => steps.iter().for_each(|step| self.step(step)),
            StepAction::Pause(_) | StepAction::Nothing => {}
        }
    }

    fn item(&mut self, item: &WebSocketAction) {
        match item {
            WebSocketAction::Receive { until, reading, captures, .. } => {
                self.conditions(until.as_ref());
                self.reading(reading);
                self.assigns(captures);
            }
            WebSocketAction::Hold { reading, .. } => self.reading(reading),
            WebSocketAction::Send { .. }
            | WebSocketAction::Ping { .. }
            | WebSocketAction::Pause(_)
            | WebSocketAction::Close { .. }
            | WebSocketAction::AwaitClose { .. } => {}
        }
    }

    fn http(&mut self, http: &HttpStep) {
        self.see(&http.at, Reference::Request(http.request));
    }

    fn reading(&mut self, reading: &Reading) {
        self.conditions(reading.sent_at.as_ref());
        self.checks(&reading.checks);
    }

    fn stream(&mut self, at: &str, metrics: &StreamMetrics) {
        let StreamMetrics { first_message, message, ping, session, sent, received, skewed } = *metrics;
        for metric in [first_message, message, ping, session, sent, received, skewed] {
            self.metric(at, metric);
        }
    }

    fn conditions<'a>(&mut self, conditions: impl IntoIterator<Item = &'a Condition>) {
        for condition in conditions {
            self.metric(&condition.at, condition.fault);
        }
    }

    fn checks(&mut self, checks: &[Check]) {
        for check in checks {
            self.metric(&check.at, check.metric);
        }
    }

    fn assigns(&mut self, assigns: &[Assign]) {
        for assign in assigns {
            self.metric(&assign.at, assign.fault);
        }
    }
}
