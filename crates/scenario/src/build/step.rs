//! Steps: what they do, and what is made of the response.

use super::Builder;
use super::expression::Sight;
use crate::after::After;
use crate::compiled::{CompiledPoll, CompiledStep, CompiledStepAction, Needs};
use crate::model::{PollStep, Step, StepAction};

impl<'a> Builder<'a> {
    pub(super) fn steps(&mut self, steps: &'a [Step]) -> Vec<CompiledStep> {
        steps.iter().map(|step| self.step(step)).collect()
    }

    pub(super) fn step(&mut self, step: &'a Step) -> CompiledStep {
        *self.visits.entry(&step.at).or_default() += 1;
        let when = step.when.as_ref().map(|when| self.when(when));
        let action = match &step.action {
            StepAction::Http(http) => {
                let at = format!("{}.http", step.at);
                CompiledStepAction::Http(Box::new(self.http(http, &at, "*/*")))
            }
            StepAction::Poll(poll) => CompiledStepAction::Poll(Box::new(self.poll(poll, &step.at))),
            StepAction::WebSocket(socket) => {
                CompiledStepAction::WebSocket(Box::new(self.web_socket(socket, &step.at)))
            }
            StepAction::Sse(sse) => CompiledStepAction::Sse(Box::new(self.sse(sse, &step.at))),
            StepAction::Pause(wait) => CompiledStepAction::Pause(*wait),
            StepAction::Run(steps) => CompiledStepAction::Run(self.steps(steps)),
            StepAction::Nothing => CompiledStepAction::Nothing,
        };
        let sight = match &step.action {
            StepAction::WebSocket(_) | StepAction::Sse(_) => Sight::MESSAGE,
            _ => Sight::RESPONSE,
        };
        let after = After {
            checks: self.checks(&step.checks, sight),
            captures: self.assigns(&step.captures, sight),
            sets: self.assigns(&step.sets, sight),
            metrics: self.measures(&step.metrics, sight),
        };
        CompiledStep {
            at: step.at.clone(),
            when,
            chance: step.chance,
            repeat: step.repeat,
            retry: step.retry.clone(),
            limit: step.limit,
            on_failure: step.on_failure,
            action,
            after,
            needs: Needs::default(),
            keeps_last: false,
        }
    }

    fn poll(&mut self, poll: &PollStep, at: &str) -> CompiledPoll {
        CompiledPoll {
            http: self.http(&poll.http, &format!("{at}.poll.http"), "*/*"),
            every: poll.every,
            limit: poll.limit,
            done: self.condition(&poll.done, Sight::RESPONSE),
            failed: poll.failed.as_ref().map(|failed| self.condition(failed, Sight::RESPONSE)),
            metric: poll.metric,
        }
    }
}
