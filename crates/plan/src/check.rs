//! What a plan must satisfy before anybody works on it; `plimsoll-api` makes such plans, a worker checks what it reads.

use crate::curve::{LONGEST, MOST};
use crate::{Load, PLAN_VERSION, Plan, Ramp};
use plimsoll_scenario::{Action, Step};

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
        /// `users`, `connections.max` or `maxInFlight`.
        what: &'static str,
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
        if self.scenarios.iter().all(|scenario| scenario.weight == 0) {
            return Err(PlanError::NoScenario);
        }
        self.check_load()?;
        self.check_requests()
    }

    fn check_load(&self) -> Result<(), PlanError> {
        let too_large = |what, have, most| {
            if have > most { Err(PlanError::TooLarge { what, have, most }) } else { Ok(()) }
        };
        let (Load::Closed { users: ramps } | Load::Open { rate: ramps, .. }) = &self.load;
        too_large("the duration", self.duration, LONGEST)?;
        for Ramp { duration, from, to } in ramps {
            too_large("the duration of a stage", *duration, LONGEST)?;
            too_large("a value", *from.max(to), MOST)?;
        }
        if self.curve().area == 0 {
            return Err(PlanError::NoLoad);
        }
        let workers = self.workers;
        let enough = |what, have: u64| {
            if have < u64::from(workers) { Err(PlanError::TooFew { what, have, workers }) } else { Ok(()) }
        };
        match self.load {
            Load::Closed { .. } => enough("users", self.peak_users())?,
            Load::Open { max_in_flight, .. } => enough("maxInFlight", max_in_flight)?,
        }
        self.target.connections.max.map_or(Ok(()), |max| enough("connections.max", max))
    }

    fn check_requests(&self) -> Result<(), PlanError> {
        let names = self.layout.requests.len();
        let steps = self.scenarios.iter().flat_map(|scenario| match &scenario.action {
            Action::Steps(steps) => vec![steps],
            Action::Tasks(tasks) => tasks.iter().map(|task| &task.steps).collect(),
        });
        for step in steps.flatten() {
            if let Step::Http(http) = step
                && usize::from(http.request) >= names
            {
                return Err(PlanError::UnknownRequest { at: http.at.clone(), request: http.request, names });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distribution;
    use crate::fixtures::{SECOND, closed, open, ramp};

    #[test]
    fn a_sound_plan_passes() {
        assert_eq!(closed(vec![ramp(10, 4, 4)], 10).check(), Ok(()));
        assert_eq!(open(vec![ramp(SECOND, 9, 9)], SECOND, Distribution::Poisson).check(), Ok(()));
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
        assert_eq!(fault(|p| p.scenarios.clear()), PlanError::NoScenario);
        assert_eq!(fault(|p| p.duration = 0), PlanError::NoLoad);
        assert_eq!(
            fault(|p| p.workers = 5).to_string(),
            "users 4 cannot be shared among 5 workers; lower the workers to 4 or raise users"
        );
        assert!(matches!(fault(|p| p.duration = u64::MAX), PlanError::TooLarge { .. }));
        assert!(matches!(fault(|p| p.layout.requests.clear()), PlanError::UnknownRequest { .. }));
    }
}
