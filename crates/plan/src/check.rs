//! What a plan must satisfy before anybody works on it; `plimsoll-api` makes such plans, a worker checks what it reads.

use crate::curve::{LONGEST, MOST};
use crate::references::{self, Reference};
use crate::{Load, LoadGroup, PLAN_VERSION, Plan, Ramp};

/// A plan that cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Made by a newer program.
    #[error(
        "the plan has version {found}, this program reads up to {PLAN_VERSION}; use the worker image of the operator's version"
    )]
    Version {
        /// The plan's.
        found: u32,
    },
    /// Nobody to execute it.
    #[error("the plan has no workers; set at least 1")]
    NoWorkers,
    /// Nothing to do.
    #[error("the plan has no scenario with a weight over 0")]
    NoScenario,
    /// Nothing is ever sent.
    #[error("the load is 0 all the time; set users or a rate")]
    NoLoad,
    /// Something is too scarce to be shared.
    #[error(
        "{what} {have} cannot be shared among {workers} workers; lower the workers to {have} or raise {what}"
    )]
    TooFew {
        /// `users`, `connections.max`, `maxInFlight` or the places of a concurrency limit.
        what: String,
        /// How many there are.
        have: u64,
        /// Among how many.
        workers: u32,
    },
    /// A number beyond what can be computed with.
    #[error("{what} of the load is too large: {have}, at most {most}")]
    TooLarge {
        /// Which number.
        what: &'static str,
        /// Its value.
        have: u64,
        /// The bound.
        most: u64,
    },
    /// A step counts under a name that does not exist.
    #[error("{at}: request {request} is none of the plan's {names} request names")]
    UnknownRequest {
        /// Where the step stands in the manifest.
        at: String,
        /// Its index.
        request: u16,
        /// Number of names.
        names: usize,
    },
    /// A step feeds a metric that does not exist.
    #[error("{at}: metric {metric} is none of the plan's {metrics} metrics")]
    UnknownMetric {
        /// Where the step stands in the manifest.
        at: String,
        /// Its index.
        metric: u16,
        /// Number of metrics.
        metrics: usize,
    },
    /// A step waits for places that do not exist.
    #[error("{at}: concurrency limit {limit} is none of the plan's {limits}")]
    UnknownLimit {
        /// Where the step stands in the manifest.
        at: String,
        /// Its index.
        limit: u16,
        /// Number of limits.
        limits: usize,
    },
    /// A load that nobody makes.
    #[error("load {load} is of scenario {scenario}, but there are only {scenarios}")]
    UnknownScenario {
        /// Index of the load.
        load: usize,
        /// Index of the scenario.
        scenario: usize,
        /// Number of scenarios.
        scenarios: usize,
    },
    /// A plan whose duration is not that of its loads.
    #[error("the plan lasts {have} ns, but its loads end after {loads} ns")]
    Duration {
        /// The plan's.
        have: u64,
        /// When the last load ends.
        loads: u64,
    },
}

impl Plan {
    /// Finds the first reason why this plan cannot be executed.
    ///
    /// # Errors
    /// That reason.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.version > PLAN_VERSION {
            return Err(PlanError::Version { found: self.version });
        }
        if self.workers == 0 {
            return Err(PlanError::NoWorkers);
        }
        self.check_loads()?;
        self.check_shares()?;
        self.check_references()
    }

    fn check_loads(&self) -> Result<(), PlanError> {
        let scenarios = self.script.scenarios.len();
        for (load, group) in self.loads.iter().enumerate() {
            if let Some(&scenario) = group.scenarios.iter().find(|scenario| **scenario >= scenarios) {
                return Err(PlanError::UnknownScenario { load, scenario, scenarios });
            }
            if group.scenarios.iter().all(|at| self.script.scenarios[*at].weight == 0) {
                return Err(PlanError::NoScenario);
            }
            group.check()?;
        }
        let loads = self.loads.iter().map(LoadGroup::end).max().ok_or(PlanError::NoLoad)?;
        if self.duration != loads {
            return Err(PlanError::Duration { have: self.duration, loads });
        }
        Ok(())
    }

    /// Every worker needs its part of what the run may use.
    fn check_shares(&self) -> Result<(), PlanError> {
        let workers = self.workers;
        let enough = |what: &str, have: u64| {
            let what = what.to_owned();
            if have < u64::from(workers) { Err(PlanError::TooFew { what, have, workers }) } else { Ok(()) }
        };
        if !self.has_arrivals() {
            enough("users", self.total_users())?;
        }
        for group in &self.loads {
            group.max_in_flight().map_or(Ok(()), |max| enough("maxInFlight", max))?;
        }
        for limit in &self.script.limits {
            enough(&format!("places of the concurrency limit {:?}", limit.name), limit.max)?;
        }
        self.target.connections.max.map_or(Ok(()), |max| enough("connections.max", max))
    }

    fn check_references(&self) -> Result<(), PlanError> {
        let (names, metrics) = (self.layout.requests.len(), self.layout.metrics.len());
        let limits = self.script.limits.len();
        let wrong = |reference: Reference| match reference {
            Reference::Request(request) => usize::from(request) >= names,
            Reference::Metric(metric) => usize::from(metric) >= metrics,
            Reference::Limit(limit) => usize::from(limit) >= limits,
        };
        Err(match references::find(&self.script, wrong) {
            None => return Ok(()),
            Some((at, Reference::Request(request))) => PlanError::UnknownRequest { at, request, names },
            Some((at, Reference::Metric(metric))) => PlanError::UnknownMetric { at, metric, metrics },
            Some((at, Reference::Limit(limit))) => PlanError::UnknownLimit { at, limit, limits },
        })
    }
}

impl LoadGroup {
    /// Numbers that can be computed with, and something to do.
    fn check(&self) -> Result<(), PlanError> {
        let too_large = |what, have, most| {
            if have > most { Err(PlanError::TooLarge { what, have, most }) } else { Ok(()) }
        };
        let (Load::Closed { users: ramps } | Load::Open { rate: ramps, .. }) = &self.load;
        too_large("the start", self.start, LONGEST)?;
        too_large("the duration", self.duration, LONGEST)?;
        for Ramp { duration, from, to } in ramps {
            too_large("the duration of a stage", *duration, LONGEST)?;
            too_large("a value", *from.max(to), MOST)?;
        }
        if self.curve().area == 0 { Err(PlanError::NoLoad) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_measure::{Metric, MetricKind};
    use plimsoll_scenario::{Action, Condition, Limit, Step, StepAction};

    use super::*;
    use crate::Distribution;
    use crate::fixtures::{SECOND, both, closed, open, ramp};

    #[test]
    fn a_sound_plan_passes() {
        let users = closed(vec![ramp(10, 4, 4)], 10);
        let arrivals = open(vec![ramp(SECOND, 9, 9)], SECOND, Distribution::Poisson);
        assert_eq!(both(&users, &arrivals, 5).check(), Ok(()));
        assert_eq!(users.check(), Ok(()));
        assert_eq!(arrivals.check(), Ok(()));
    }

    #[test]
    fn each_fault_is_named() {
        let sound = closed(vec![ramp(10, 4, 4)], 10);
        let fault = |change: fn(&mut Plan)| {
            let mut plan = sound.clone();
            change(&mut plan);
            plan.check().unwrap_err()
        };
        assert_eq!(fault(|p| p.version += 1), PlanError::Version { found: PLAN_VERSION + 1 });
        assert_eq!(fault(|p| p.workers = 0), PlanError::NoWorkers);
        assert_eq!(fault(|p| p.loads.clear()), PlanError::NoLoad);
        assert_eq!(fault(|p| p.loads[0].scenarios.clear()), PlanError::NoScenario);
        assert!(matches!(
            fault(|p| p.script.scenarios.clear()),
            PlanError::UnknownScenario { scenario: 0, .. }
        ));
        assert_eq!(fault(|p| p.loads[0].duration = 0), PlanError::NoLoad);
        assert_eq!(fault(|p| p.duration = 9), PlanError::Duration { have: 9, loads: 10 });
        assert_eq!(
            fault(|p| p.workers = 5).to_string(),
            "users 4 cannot be shared among 5 workers; lower the workers to 4 or raise users"
        );
        let limit = |p: &mut Plan| {
            p.layout.metrics = vec![trend("debates waiting")];
            p.script.limits = vec![Limit { name: "debates".into(), max: 1, waiting: 0 }];
            p.workers = 2;
        };
        assert_eq!(
            fault(limit).to_string(),
            "places of the concurrency limit \"debates\" 1 cannot be shared among 2 workers; lower the workers to 1 or raise places of the concurrency limit \"debates\""
        );
        assert!(matches!(fault(|p| p.loads[0].duration = u64::MAX), PlanError::TooLarge { .. }));
        assert!(matches!(fault(|p| p.layout.requests.clear()), PlanError::UnknownRequest { .. }));
    }

    #[test]
    fn what_steps_refer_to_is_found_wherever_they_are() {
        let step = |change: fn(&mut Step)| {
            let mut step = Step::new("here", StepAction::Nothing);
            change(&mut step);
            step
        };
        let condition = || Condition { expr: "true".into(), at: "here.when".into(), fault: 3 };
        let mut plan = closed(vec![ramp(10, 4, 4)], 10);
        let of = |plan: &Plan| plan.check().unwrap_err().to_string();
        plan.script.teardown = vec![step(|s| s.limit = Some(2))];
        assert_eq!(of(&plan), "here: concurrency limit 2 is none of the plan's 0");
        plan.script.teardown = vec![step(|s| {
            let when = Condition { expr: "true".into(), at: "here.when".into(), fault: 0 };
            let inner = Step { when: Some(when), ..Step::new("inner", StepAction::Nothing) };
            s.action = StepAction::Run(vec![inner]);
        })];
        assert_eq!(of(&plan), "here.when: metric 0 is none of the plan's 0 metrics");
        plan.layout.metrics = vec![trend("a")];
        assert_eq!(plan.check(), Ok(()));
        if let Action::Steps(steps) = &mut plan.script.scenarios[1].action {
            steps.push(Step { when: Some(condition()), ..Step::new("there", StepAction::Nothing) });
        }
        assert_eq!(of(&plan), "here.when: metric 3 is none of the plan's 1 metrics");
    }

    fn trend(name: &str) -> Metric {
        Metric { name: name.into(), kind: MetricKind::Trend, request: None }
    }
}
