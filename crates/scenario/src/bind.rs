//! [`Program`] → [`Bound`]: the constants of the run become part of the literal bytes, so that they cost nothing while it runs.

use crate::compile::{ActionProgram, Program, StepProgram};
use crate::error::BindError;
use crate::model::{Vars, Wait};
use crate::request::CompiledHttp;
use crate::rng::Rng;

/// What the engine executes. Immutable; share it among threads.
#[derive(Clone, Debug)]
pub struct Bound {
    /// In the order of the plan; `plimsoll-plan` says which user or arrival runs which.
    pub scenarios: Vec<CompiledScenario>,
    /// Number of requests over all scenarios: the end of [`CompiledHttp::ordinal`].
    pub requests: usize,
}

/// One kind of virtual user.
#[derive(Clone, Debug)]
pub struct CompiledScenario {
    /// Its name.
    pub name: String,
    /// Relative to the other scenarios.
    pub weight: u32,
    /// Pause after every iteration.
    pub wait: Option<Wait>,
    /// What an iteration does.
    pub action: CompiledAction,
}

/// What one iteration does.
#[derive(Clone, Debug)]
pub enum CompiledAction {
    /// All steps in order.
    Steps(Vec<CompiledStep>),
    /// One task drawn by weight.
    Tasks(Tasks),
}

impl CompiledAction {
    /// The steps of one iteration; draws the task.
    #[inline]
    #[must_use]
    pub fn iteration(&self, rng: &mut Rng) -> &[CompiledStep] {
        match self {
            Self::Steps(steps) => steps,
            Self::Tasks(tasks) => tasks.draw(rng).map_or(&[], |task| &task.steps),
        }
    }
}

/// Weighted tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// Tasks with a weight over 0.
    pub list: Vec<CompiledTask>,
    total: u64,
}

/// A weighted task.
#[derive(Clone, Debug)]
pub struct CompiledTask {
    /// Its name.
    pub name: String,
    /// Sum of the weights up to and including this one.
    pub upto: u64,
    /// Steps in order.
    pub steps: Vec<CompiledStep>,
}

impl Tasks {
    /// A task, by weight; none only if there is none.
    #[inline]
    #[must_use]
    pub fn draw(&self, rng: &mut Rng) -> Option<&CompiledTask> {
        let drawn = rng.below(self.total);
        self.list.iter().find(|task| drawn < task.upto)
    }
}

/// One action.
#[derive(Clone, Debug)]
pub enum CompiledStep {
    /// One HTTP request.
    Http(Box<CompiledHttp>),
    /// Doing nothing for a while.
    Pause(Wait),
}

/// Scheme and authority of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    authority: String,
}

impl Origin {
    /// The origin of a host (an address without brackets) and port; the port is left out where it is the scheme's own.
    #[must_use]
    pub fn new(scheme: &str, host: &str, port: u16) -> Self {
        let scheme = scheme.to_ascii_lowercase();
        let host = host.to_ascii_lowercase();
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let own = matches!((scheme.as_str(), port), ("http", 80) | ("https", 443));
        let authority = if own { host } else { format!("{host}:{port}") };
        Self { scheme, authority }
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// `host[:port]`, as the `host` header has it.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Program {
    /// Puts the values of the run constants and the target's origin in.
    ///
    /// # Errors
    /// Every variable that is used and has no value, or every text that these values make impossible; no message holds a value.
    pub fn bind(&self, vars: &Vars, origin: &Origin) -> Result<Bound, Vec<BindError>> {
        let missing = self.vars.iter().filter(|name| !vars.contains_key(*name));
        let mut errors: Vec<_> = missing.map(|name| BindError::Missing { name: name.clone() }).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut requests = 0;
        let mut bind_steps = |steps: &[StepProgram]| {
            let mut bound = Vec::with_capacity(steps.len());
            for step in steps {
                match step {
                    StepProgram::Pause(wait) => bound.push(CompiledStep::Pause(*wait)),
                    StepProgram::Http(http) => match CompiledHttp::bind(http, vars, origin, requests) {
                        Ok(http) => {
                            requests += 1;
                            bound.push(CompiledStep::Http(Box::new(http)));
                        }
                        Err(error) => errors.push(error),
                    },
                }
            }
            bound
        };
        let mut scenarios = Vec::with_capacity(self.scenarios.len());
        for scenario in &self.scenarios {
            let action = match &scenario.action {
                ActionProgram::Steps(steps) => CompiledAction::Steps(bind_steps(steps)),
                ActionProgram::Tasks(tasks) => {
                    let mut total = 0;
                    let mut list = Vec::with_capacity(tasks.len());
                    for task in tasks.iter().filter(|task| task.weight > 0) {
                        total += u64::from(task.weight);
                        list.push(CompiledTask {
                            name: task.name.clone(),
                            upto: total,
                            steps: bind_steps(&task.steps),
                        });
                    }
                    CompiledAction::Tasks(Tasks { list, total })
                }
            };
            let (name, weight, wait) = (scenario.name.clone(), scenario.weight, scenario.wait);
            scenarios.push(CompiledScenario { name, weight, wait, action });
        }
        if errors.is_empty() { Ok(Bound { scenarios, requests }) } else { Err(errors) }
    }
}
