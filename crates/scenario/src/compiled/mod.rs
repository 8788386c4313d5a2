//! What the engine executes: scenarios, tasks and what is done once per run. Steps are in `step.rs`, sessions and streams in
//! `stream.rs`; all are made by `../build/`.

mod step;
mod stream;

use std::sync::Arc;

use crate::after::{CompiledAssigns, CompiledCondition, Notes};
use crate::encode::{self, Encoding};
use crate::expr::Value;
use crate::memory::{Memory, Rows, Shared, Slots};
use crate::model::{Limit, Wait};
use crate::rng::Rng;

pub use step::{CompiledPoll, CompiledStep, CompiledStepAction, Needs};
pub use stream::{CompiledReading, CompiledSocketAction, CompiledSse, CompiledText, CompiledWebSocket};

/// What the engine executes. Immutable while it does; share it among threads.
#[derive(Clone, Debug)]
pub struct Bound {
    /// In the order of the plan; `plimsoll-plan` says which user or arrival runs which.
    pub scenarios: Vec<CompiledScenario>,
    /// Once per run, before the start.
    pub setup: Hooks,
    /// Once per run, after the load.
    pub teardown: Hooks,
    /// Once per run, at given times.
    pub timeline: Timeline,
    /// Caps on concurrency; [`CompiledStep::limit`] indexes it.
    pub limits: Vec<Limit>,
    /// Number of requests in all: the end of [`crate::CompiledHttp::ordinal`].
    pub requests: usize,
    /// What all users share.
    pub shared: Arc<Shared>,
}

/// Steps that one user of their own does once per run; it sees the first row of every table.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Steps in order.
    pub steps: Vec<CompiledStep>,
    /// Its variables.
    pub slots: Arc<Slots>,
}

/// What one user of its own does at given times of the run.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Nanoseconds since the start of the run, and what is done then; in the order of these times.
    pub calls: Vec<(u64, CompiledStep)>,
    /// Its variables.
    pub slots: Arc<Slots>,
}

/// One kind of virtual user.
#[derive(Clone, Debug)]
pub struct CompiledScenario {
    /// Its name.
    pub name: String,
    /// Relative to the other scenarios of its load.
    pub weight: u32,
    /// Pause after every iteration.
    pub wait: Option<Wait>,
    /// Its variables: for [`Memory::new`].
    pub slots: Arc<Slots>,
    /// What a user remembers from its birth; [`Memory::begin_life`] computes it.
    pub state: CompiledAssigns,
    /// Once per user, before its first iteration.
    pub on_start: Vec<CompiledStep>,
    /// Once per user, after its last iteration.
    pub on_stop: Vec<CompiledStep>,
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
    /// The steps of one iteration; draws the task. A task whose condition does not hold has none.
    #[inline]
    #[must_use]
    pub fn iteration(
        &self,
        shared: &Shared,
        memory: &mut Memory,
        now: u64,
        notes: &mut Notes<'_>,
    ) -> &[CompiledStep] {
        match self {
            Self::Steps(steps) => steps,
            Self::Tasks(tasks) => {
                let Some(task) = tasks.draw(&mut memory.rng) else { return &[] };
                if let Some(when) = &task.when {
                    let mut env = crate::Env { shared, memory, response: None, message: None, now };
                    if !when.holds(&mut env, notes) {
                        return &[];
                    }
                }
                &task.steps
            }
        }
    }
}

/// Weighted tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// Tasks with a weight over 0.
    pub list: Vec<CompiledTask>,
    pub(crate) total: u64,
}

/// A weighted task.
#[derive(Clone, Debug)]
pub struct CompiledTask {
    /// Its name.
    pub name: String,
    /// Sum of the weights up to and including this one.
    pub upto: u64,
    /// Nothing is done unless this holds.
    pub when: Option<CompiledCondition>,
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

impl Bound {
    /// What setup captured, as a JSON object that [`Self::set_setup`] reads; none if setup captures nothing.
    #[must_use]
    pub fn setup_json(&self, memory: &Memory) -> Option<String> {
        if self.setup.slots.names.is_empty() {
            return None;
        }
        let mut json = b"{".to_vec();
        for (name, value) in memory.variables() {
            let start = json.len();
            json.extend_from_slice(if start == 1 { b"" } else { b"," });
            let written = encode::text(name, Encoding::Json, &mut json).and_then(|()| {
                json.push(b':');
                encode::value(value, Encoding::Json, &mut json)
            });
            // A value that JSON has no form for stays behind.
            if written.is_err() {
                json.truncate(start);
            }
        }
        json.push(b'}');
        Some(String::from_utf8_lossy(&json).into_owned())
    }

    /// Puts in what setup captured.
    ///
    /// # Errors
    /// The text is not a JSON object. The message holds none of it.
    pub fn set_setup(&mut self, json: &str) -> Result<(), String> {
        let Some(Value::Map(values)) = crate::expr::parse_json(json) else {
            return Err("what setup captured did not arrive as a JSON object".to_owned());
        };
        let value = |name: &String| values.get(name).cloned();
        Arc::make_mut(&mut self.shared).setup = self.setup.slots.names.iter().map(value).collect();
        Ok(())
    }
}

impl Hooks {
    /// The memory of the user that does these steps, with its first rows.
    #[must_use]
    pub fn memory(&self, shared: &Shared, rng: Rng) -> Memory {
        first_rows(&self.slots, shared, rng)
    }
}

impl Timeline {
    /// The memory of the user that makes these calls, with its first rows.
    #[must_use]
    pub fn memory(&self, shared: &Shared, rng: Rng) -> Memory {
        first_rows(&self.slots, shared, rng)
    }
}

fn first_rows(slots: &Arc<Slots>, shared: &Shared, rng: Rng) -> Memory {
    let mut memory = Memory::new(slots, rng, 0);
    // Every table has a first row.
    memory.begin_iteration(shared, &mut Rows::new(0, 1));
    memory
}
