//! Code → value. What only lies somewhere is looked at in place ([`Code::peek`]), the rest is computed ([`Code::run`]).

use std::sync::Arc;

use super::code::{Code, Group, Match, Pattern};
use super::env::Env;
use super::failure::{Failure, article};
use super::ops::{self, Op};
use super::places::has;
use super::value::{TypeName, Value};
use super::view::View;
use super::{functions, loops};
use crate::memory::{Memory, RunNames, Shared};
use crate::rng::{Rng, Stream};

/// Passes through loops, and elements copied, in one evaluation.
const MOST_WORK: u32 = 1_000_000;

/// What one evaluation has beside its environment.
pub(super) struct State {
    /// Values of loops' variables, the outermost first.
    pub(super) locals: Vec<Value>,
    /// Work that may still be done.
    work: u32,
}

impl State {
    fn new() -> Self {
        Self { locals: Vec::new(), work: MOST_WORK }
    }

    /// Takes an amount of work.
    pub(super) fn take(&mut self, amount: usize) -> Result<(), Failure> {
        let amount = u32::try_from(amount).unwrap_or(u32::MAX);
        match self.work.checked_sub(amount) {
            Some(rest) => {
                self.work = rest;
                Ok(())
            }
            None => {
                self.work = 0;
                Err(Failure::new(format!("the loops take over {MOST_WORK} passes; take fewer elements")))
            }
        }
    }
}

/// The value of code that depends on nothing.
pub(super) fn eval_constant(code: &Code) -> Result<Value, Failure> {
    let shared = Shared { run: RunNames::default(), setup: [].into(), tables: [].into() };
    let mut memory = Memory::new(&Arc::default(), Rng::new(0, Stream::Member, 0), 0);
    code.eval(&mut Env { shared: &shared, memory: &mut memory, response: None, message: None, now: 0 })
}

impl Code {
    /// Computes the value.
    ///
    /// # Errors
    /// There is none; the failure names no value.
    #[inline]
    pub(crate) fn eval(&self, env: &mut Env<'_>) -> Result<Value, Failure> {
        match self {
            Self::Const(value) => Ok(value.clone()),
            code => code.run(env, &mut State::new()),
        }
    }

    /// [`Self::eval`] for the variable number `slot`: where it would get a text that it has already, that one is shared.
    ///
    /// # Errors
    /// As [`Self::eval`].
    #[inline]
    pub(crate) fn eval_for(&self, slot: u16, env: &mut Env<'_>) -> Result<Value, Failure> {
        if !self.is_place() {
            return self.eval(env);
        }
        let view = self.peek(env, &[])?;
        match (view.text(), env.memory.slot(slot)) {
            (Some(text), Some(Value::String(kept))) if **kept == *text => Ok(Value::String(kept.clone())),
            _ => Ok(view.into_value()),
        }
    }

    /// The value, where it lies if it does.
    #[inline]
    pub(super) fn view<'e>(
        &'e self,
        env: &'e mut Env<'_>,
        state: &'e mut State,
    ) -> Result<View<'e>, Failure> {
        if self.is_place() { self.peek(env, &state.locals) } else { self.run(env, state).map(View::Own) }
    }

    /// Computes the value.
    pub(super) fn run(&self, env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
        match self {
            Self::Binary { op, sides } => binary(*op, sides, env, state),
            Self::And(two) => logic(two, false, env, state),
            Self::Or(two) => logic(two, true, env, state),
            Self::Not(of) => Ok(Value::Bool(!truth(&of.view(env, state)?)?)),
            Self::Choose(three) => {
                let branch = if truth(&three.0.view(env, state)?)? { &three.1 } else { &three.2 };
                branch.run(env, state)
            }
            Self::First(items) => first(items, env, state),
            Self::Has(of) => has(of, env, state).map(Value::Bool),
            Self::Call { function, args } => call(*function, args, env, state),
            Self::Match(inner) => matching(inner, env, state),
            Self::Loop(inner) => loops::run(inner, env, state),
            Self::List(items) => {
                let values = items.iter().map(|item| item.run(env, state)).collect::<Result<Vec<_>, _>>();
                ops::list(values?)
            }
            Self::Map(entries) => map(entries, env, state),
            Self::Negate(of) => ops::negate(&of.run(env, state)?),
            Self::Pick(_) | Self::Sample(_) | Self::RandInt(..) | Self::RandString(_) | Self::Uuid => {
                self.choose(env, state)
            }
            Self::Member { of, name } if !self.is_place() => {
                of.view(env, state)?.member(name).map(View::into_value)
            }
            Self::Index(two) if !self.is_place() => {
                let (of, index) = pair(two, env, state)?;
                of.at(&index).map(View::into_value)
            }
            place => place.peek(env, &state.locals).map(View::into_value),
        }
    }
}

/// Both values, where they lie if they do.
#[inline]
pub(super) fn pair<'e>(
    two: &'e (Code, Code),
    env: &'e mut Env<'_>,
    state: &'e mut State,
) -> Result<(View<'e>, View<'e>), Failure> {
    let computed = |code: &Code, env: &mut Env<'_>, state: &mut State| {
        if code.is_place() { Ok(None) } else { code.run(env, state).map(Some) }
    };
    let first = computed(&two.0, env, state)?;
    let second = computed(&two.1, env, state)?;
    let env: &'e Env<'_> = env;
    let locals: &'e [Value] = &state.locals;
    let view = |code: &'e Code, computed: Option<Value>| match computed {
        Some(value) => Ok(View::Own(value)),
        None => code.peek(env, locals),
    };
    Ok((view(&two.0, first)?, view(&two.1, second)?))
}

fn binary(op: Op, sides: &(Code, Code), env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
    let (a, b) = pair(sides, env, state)?;
    match op {
        Op::Equal => Ok(Value::Bool(a.equals(b))),
        Op::NotEqual => Ok(Value::Bool(!a.equals(b))),
        Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => a.ordered(op, &b).map(Value::Bool),
        Op::In => a.lies_in(b).map(Value::Bool),
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Remainder => {
            let (a, b) = (a.into_value(), b.into_value());
            if let (Value::List(a), Value::List(b)) = (&a, &b) {
                state.take(a.len() + b.len())?;
            }
            ops::arithmetic(op, &a, &b)
        }
    }
}

/// `&&` and `||`: a side that decides does so even if the other has no value.
fn logic(two: &(Code, Code), deciding: bool, env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
    let side = |code: &Code, env: &mut Env<'_>, state: &mut State| {
        code.view(env, state).and_then(|view| truth(&view))
    };
    let first = side(&two.0, env, state);
    if first == Ok(deciding) {
        return Ok(Value::Bool(deciding));
    }
    match (first, side(&two.1, env, state)) {
        (_, Ok(second)) if second == deciding => Ok(Value::Bool(deciding)),
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
        _ => Ok(Value::Bool(!deciding)),
    }
}

/// The first that is there.
fn first(items: &[Code], env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
    for item in items {
        if let Ok(view) = item.view(env, state)
            && view.type_name() != TypeName::Null
        {
            return Ok(view.into_value());
        }
    }
    Err(Failure::new("first(…): none of the values is there"))
}

fn call(
    function: functions::Function,
    args: &[Code],
    env: &mut Env<'_>,
    state: &mut State,
) -> Result<Value, Failure> {
    let mut computed = [const { None }; functions::MOST_ARGUMENTS];
    for (place, arg) in computed.iter_mut().zip(args).filter(|(_, arg)| !arg.is_place()) {
        *place = Some(arg.run(env, state)?);
    }
    let mut views = [const { View::Own(Value::Null) }; functions::MOST_ARGUMENTS];
    for ((view, computed), arg) in views.iter_mut().zip(computed).zip(args) {
        *view = match computed {
            Some(value) => View::Own(value),
            None => arg.peek(env, &state.locals)?,
        };
    }
    functions::call(function, views.get(..args.len()).unwrap_or_default())
}

fn matching(inner: &Match, env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
    let Pattern::Ready(regex) = &inner.pattern else {
        return Err(Failure::new("the regular expression is not known"));
    };
    let view = inner.text.view(env, state)?;
    let Some(text) = view.text() else {
        let kind = article(view.type_name());
        return Err(Failure::new(format!("only a string can be matched, not {kind}")));
    };
    let found = match &inner.group {
        None => return Ok(Value::Bool(regex.is_match(text))),
        Some(Group::Number(0)) => regex.find(text),
        Some(Group::Number(number)) => regex.captures(text).and_then(|groups| groups.get(*number)),
        Some(Group::Name(name)) => regex.captures(text).and_then(|groups| groups.name(name)),
    };
    found
        .map(|found| Value::text(found.as_str()))
        .ok_or_else(|| Failure::new("the regular expression matches nothing"))
}

fn map(entries: &[(Code, Code)], env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
    let mut values = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        values.push((ops::key(&key.run(env, state)?)?, value.run(env, state)?));
    }
    ops::map(values)
}

/// The bool of a condition.
#[inline]
pub(super) fn truth(view: &View<'_>) -> Result<bool, Failure> {
    match view.value() {
        Some(Value::Bool(truth)) => Ok(*truth),
        _ => Err(Failure::new(format!("expected true or false, got {}", article(view.type_name())))),
    }
}
