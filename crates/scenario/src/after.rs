//! What a user makes of a response: checks, captures, sets and metrics of a step, and the conditions that decide. All rules are
//! here and pure; the engine only passes the [`Note`]s on to its recorder. Compiled by `build/live.rs`.

use std::fmt;
use std::sync::Arc;

use crate::Env;
use crate::expr::{Code, Value};
use crate::model::MeasureKind;

/// Something to record. Metrics are indexes into the plan's metrics.
#[derive(Clone, Debug, PartialEq)]
pub enum Note<'a> {
    /// A check was made.
    Check {
        /// Metric of kind Check.
        metric: u16,
        /// Its result.
        passed: bool,
        /// Why it could not be computed; it has then failed.
        why: Option<String>,
    },
    /// Something other than a check could not be computed.
    Fault {
        /// Metric of kind Fault.
        metric: u16,
        /// Where and why.
        message: String,
    },
    /// An event counted.
    Counter {
        /// Metric of kind Counter.
        metric: u16,
        /// How much.
        amount: u64,
    },
    /// True or false counted.
    Rate {
        /// Metric of kind Rate.
        metric: u16,
        /// Which.
        good: bool,
    },
    /// A duration.
    Trend {
        /// Metric of kind Trend.
        metric: u16,
        /// Nanoseconds.
        nanos: u64,
    },
    /// A variable was captured or set; of interest to `plimsoll try` alone.
    Captured {
        /// The variable.
        name: &'a str,
        /// Its value.
        value: &'a Value,
    },
}

/// Notes go here.
pub type Notes<'a> = dyn FnMut(Note<'_>) + 'a;

/// An expression with its place, which names it in messages. Its `Debug` form shows the place only: constants may be secret.
#[derive(Clone)]
pub(crate) struct Placed {
    pub(crate) code: Code,
    pub(crate) at: Arc<str>,
}

impl Placed {
    /// The value, or where and why there is none.
    #[inline]
    pub(crate) fn value(&self, env: &mut Env<'_>) -> Result<Value, String> {
        self.code.eval(env).map_err(|failure| self.wrong(&failure.to_string()))
    }

    /// The value for a variable, or where and why there is none. A text that the variable has already is no new one.
    #[inline]
    fn value_for(&self, slot: u16, env: &mut Env<'_>) -> Result<Value, String> {
        self.code.eval_for(slot, env).map_err(|failure| self.wrong(&failure.to_string()))
    }

    /// Whether it holds, or where and why that is not known.
    #[inline]
    pub(crate) fn holds(&self, env: &mut Env<'_>) -> Result<bool, String> {
        match self.code.eval(env) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(self.wrong(&format!("is {}, not true or false", other.type_name()))),
            Err(failure) => Err(self.wrong(&failure.to_string())),
        }
    }

    #[cold]
    pub(crate) fn wrong(&self, message: &str) -> String {
        format!("{}: {message}", self.at)
    }
}

impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Placed").field(&self.at).finish()
    }
}

/// An expression that decides.
#[derive(Clone, Debug)]
pub struct CompiledCondition {
    pub(crate) expr: Placed,
    pub(crate) fault: u16,
}

impl CompiledCondition {
    /// Whether it holds; one that cannot be computed is noted as its fault and does not hold.
    #[inline]
    pub fn holds(&self, env: &mut Env<'_>, notes: &mut Notes<'_>) -> bool {
        self.expr.holds(env).unwrap_or_else(|message| {
            notes(Note::Fault { metric: self.fault, message });
            false
        })
    }
}

/// Named judgements.
#[derive(Clone, Debug, Default)]
pub struct CompiledChecks(pub(crate) Box<[(Placed, u16)]>);

impl CompiledChecks {
    /// Makes all of them; one that cannot be computed has failed.
    pub fn apply(&self, env: &mut Env<'_>, notes: &mut Notes<'_>) {
        for (expr, metric) in &self.0 {
            let (passed, why) = match expr.holds(env) {
                Ok(passed) => (passed, None),
                Err(why) => (false, Some(why)),
            };
            notes(Note::Check { metric: *metric, passed, why });
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Variables that get values together: every expression sees the values from before.
#[derive(Clone, Debug, Default)]
pub struct CompiledAssigns(pub(crate) Box<[CompiledAssign]>);

/// A variable that gets a value.
#[derive(Clone, Debug)]
pub(crate) struct CompiledAssign {
    pub(crate) name: Arc<str>,
    pub(crate) slot: u16,
    pub(crate) expr: Placed,
    pub(crate) fault: u16,
}

impl CompiledAssigns {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps what is found; what is null or cannot be computed is noted as its fault, and the variable keeps its value.
    pub fn capture(&self, env: &mut Env<'_>, notes: &mut Notes<'_>) {
        self.assign(env, notes, |assign, value| match value {
            Value::Null => Err(assign.expr.wrong("found nothing: it is null")),
            value => Ok(value),
        });
    }

    /// Assigns, null too; what cannot be computed is noted as its fault, and the variable keeps its value.
    pub fn set(&self, env: &mut Env<'_>, notes: &mut Notes<'_>) {
        self.assign(env, notes, |_, value| Ok(value));
    }

    #[inline]
    fn assign(
        &self,
        env: &mut Env<'_>,
        notes: &mut Notes<'_>,
        accept: impl Fn(&CompiledAssign, Value) -> Result<Value, String>,
    ) {
        let mut compute = |assign: &CompiledAssign, env: &mut Env<'_>| {
            let computed = assign.expr.value_for(assign.slot, env).and_then(|value| accept(assign, value));
            match computed {
                Ok(value) => {
                    notes(Note::Captured { name: &assign.name, value: &value });
                    Some(value)
                }
                Err(message) => {
                    notes(Note::Fault { metric: assign.fault, message });
                    None
                }
            }
        };
        if let [assign] = &*self.0 {
            if let Some(value) = compute(assign, env) {
                env.memory.set_slot(assign.slot, value);
            }
            return;
        }
        let mut computed = std::mem::take(&mut env.memory.computed);
        computed.extend(self.0.iter().map(|assign| compute(assign, env)));
        for (assign, value) in self.0.iter().zip(computed.drain(..)) {
            if let Some(value) = value {
                env.memory.set_slot(assign.slot, value);
            }
        }
        env.memory.computed = computed;
    }
}

/// A measurement of the user's own.
#[derive(Clone, Debug)]
pub(crate) struct CompiledMeasure {
    pub(crate) expr: Placed,
    pub(crate) kind: MeasureKind,
    pub(crate) metric: u16,
    pub(crate) fault: u16,
}

impl CompiledMeasure {
    fn apply(&self, env: &mut Env<'_>, notes: &mut Notes<'_>) {
        let metric = self.metric;
        let note = self.expr.value(env).and_then(|value| match (self.kind, value) {
            // Nothing to measure this time.
            (_, Value::Null) => Ok(None),
            (MeasureKind::Rate, Value::Bool(good)) => Ok(Some(Note::Rate { metric, good })),
            (MeasureKind::Counter, Value::Int(amount)) => match u64::try_from(amount) {
                Ok(amount) => Ok(Some(Note::Counter { metric, amount })),
                Err(_) => Err(self.expr.wrong("is negative; a counter only grows")),
            },
            (MeasureKind::Trend, Value::Duration(nanos)) => match u64::try_from(nanos) {
                Ok(nanos) => Ok(Some(Note::Trend { metric, nanos })),
                Err(_) => Err(self.expr.wrong("is a negative duration; a trend takes none")),
            },
            (kind, other) => Err(self.expr.wrong(&format!(
                "is {}; a {} takes {}",
                other.type_name(),
                kind.name(),
                kind.takes()
            ))),
        });
        match note {
            Ok(Some(note)) => notes(note),
            Ok(None) => {}
            Err(message) => notes(Note::Fault { metric: self.fault, message }),
        }
    }
}

impl MeasureKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Rate => "rate",
            Self::Trend => "trend",
        }
    }

    /// What its expression gives.
    pub(crate) fn takes(self) -> &'static str {
        match self {
            Self::Counter => "an int of at least 0",
            Self::Rate => "true or false",
            Self::Trend => "a duration",
        }
    }
}

/// What is made of the end of a step.
#[derive(Clone, Debug, Default)]
pub struct After {
    pub(crate) checks: CompiledChecks,
    pub(crate) captures: CompiledAssigns,
    pub(crate) sets: CompiledAssigns,
    pub(crate) metrics: Box<[CompiledMeasure]>,
}

impl After {
    /// Whether there is nothing to do.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.captures.is_empty() && self.sets.is_empty() && self.metrics.is_empty()
    }

    /// Does all of it, in the order checks, captures, sets, metrics.
    ///
    /// `env.response` is the response of the step's action, one without a status if the request got no complete response. Without
    /// it, as for a step without an action, the user's last response counts, and there may be none yet. Checks need a complete
    /// response, captures one of status 2xx or 101; where there is no response at all to speak of, both are made. Sets and
    /// metrics are always made.
    pub fn apply(&self, env: &mut Env<'_>, notes: &mut Notes<'_>) {
        let status = env.response().map(|response| response.status);
        if status != Some(0) {
            self.checks.apply(env, notes);
        }
        if !self.captures.is_empty() && status.is_none_or(|status| matches!(status, 101 | 200..=299)) {
            self.captures.capture(env, notes);
        }
        if !self.sets.is_empty() {
            self.sets.set(env, notes);
        }
        for measure in &self.metrics {
            measure.apply(env, notes);
        }
    }
}
