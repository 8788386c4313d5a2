//! Code → value. What only lies somewhere is looked at in place ([`Code::peek`]), the rest is computed ([`Code::run`]).

use std::sync::Arc;

use super::code::{Code, Group, Match, Pattern};
use super::env::Env;
use super::failure::{Failure, article};
use super::json::Step;
use super::ops::{self, Op};
use super::random::{elements, index, letters, rand_int, rand_string, range, sample, uuid};
use super::response::Response;
use super::value::{TypeName, Value};
use super::view::{Absent, View, nowhere};
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

    /// Whether [`Self::peek`] finds it.
    fn is_place(&self) -> bool {
        match self {
            Self::Const(_)
            | Self::Var(_)
            | Self::RunName(_)
            | Self::UserNumber
            | Self::Iteration
            | Self::Cell { .. }
            | Self::User { .. }
            | Self::Setup { .. }
            | Self::Status
            | Self::Text
            | Self::Latency
            | Self::Error
            | Self::Headers
            | Self::Header(_)
            | Self::Body(_)
            | Self::Message(_)
            | Self::Local(_)
            | Self::Now => true,
            Self::Member { of, .. } => of.is_place(),
            Self::Index(two) => two.0.is_place() && two.1.is_place(),
            _ => false,
        }
    }

    /// The value of a place, where it lies.
    fn peek<'e>(&'e self, env: &'e Env<'_>, locals: &'e [Value]) -> Result<View<'e>, Failure> {
        let held = |value: Option<&'e Value>, absent: fn(&Arc<str>) -> Failure, name: &Arc<str>| {
            value.map(View::Held).ok_or_else(|| absent(name))
        };
        match self {
            Self::Const(value) => Ok(View::Held(value)),
            Self::Var(name) => Err(Failure::new(format!("vars.{name} has no value"))),
            Self::RunName(_) => Err(Failure::new("the names of the run are not known")),
            Self::UserNumber => Ok(View::Own(number(env.memory.user))),
            Self::Iteration => Ok(View::Own(number(env.memory.iteration))),
            Self::Cell { table, column, name } => {
                let cell = column.and_then(|column| env.shared.cell(*table, env.memory.row(*table), column));
                held(cell, |name| Failure::NoKey(name.clone()), name)
            }
            Self::User { slot, name } => {
                held(env.memory.slot(*slot), |name| Failure::Unset("user", name.clone()), name)
            }
            Self::Setup { slot, name } => {
                held(env.shared.setup(*slot), |name| Failure::Unset("setup", name.clone()), name)
            }
            Self::Status => Ok(View::Own(Value::Int(i64::from(response(env)?.status)))),
            Self::Text => Ok(View::Text(response(env)?.text())),
            Self::Latency => {
                Ok(View::Own(Value::Duration(i64::try_from(response(env)?.latency).unwrap_or(i64::MAX))))
            }
            Self::Error => Ok(response(env)?.error.map_or(View::Own(Value::Null), View::Text)),
            Self::Headers => Ok(View::Own(response(env)?.header_map())),
            Self::Header(name) => match response(env)?.header(name) {
                Some((value, None)) => Ok(View::Text(value)),
                Some((_, Some(joined))) => Ok(View::Own(Value::String(joined.into()))),
                None => Err(Failure::NoKey(name.clone())),
            },
            Self::Body(path) => {
                let response = response(env)?;
                response.document().look(path).map_err(|absent| no_body(response, &absent, path))
            }
            Self::Message(path) => message(env, path),
            Self::Local(number) => match locals.get(usize::from(*number)) {
                Some(value) => Ok(View::Held(value)),
                None => Err(Failure::new("a loop variable outside its loop")),
            },
            Self::Now => Ok(View::Own(Value::Timestamp(i64::try_from(env.now).unwrap_or(i64::MAX)))),
            Self::Member { of, name } => of.peek(env, locals)?.member(name),
            Self::Index(two) => {
                let index = two.1.peek(env, locals)?;
                two.0.peek(env, locals)?.at(&index)
            }
            _ => Err(Failure::new("no place")),
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

    /// Functions of chance.
    fn choose(&self, env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
        match self {
            Self::Pick(from) => match &**from {
                // Only the element that is picked is computed, and the list is not copied.
                Self::List(items) => match items.get(index(items.len(), &mut env.memory.rng)) {
                    Some(item) => item.run(env, state),
                    None => Err(Failure::new("pick from an empty list")),
                },
                from => {
                    let value = from.run(env, state)?;
                    let items = elements(&value)?;
                    let picked = items.get(index(items.len(), &mut env.memory.rng));
                    picked.cloned().ok_or_else(|| Failure::new("pick from an empty list"))
                }
            },
            Self::Sample(two) => {
                let (from, count) = (two.0.run(env, state)?, two.1.run(env, state)?);
                let Value::List(items) = &from else {
                    let kind = article(from.type_name());
                    return Err(Failure::new(format!("sample(list, n) takes a list, not {kind}")));
                };
                state.take(items.len())?;
                sample(items, int(&count)?, &mut env.memory.rng)
            }
            Self::RandInt(min, max) => {
                let (min, max) = (int(&min.run(env, state)?)?, int(&max.run(env, state)?)?);
                let (min, span) = range(min, max)?;
                Ok(Value::Int(rand_int(min, span, &mut env.memory.rng)))
            }
            Self::RandString(length) => {
                let length = letters(int(&length.run(env, state)?)?)?;
                let mut out = Vec::with_capacity(length);
                rand_string(length, &mut out, &mut env.memory.rng);
                Ok(Value::String(String::from_utf8_lossy(&out).into()))
            }
            _ => {
                let mut out = Vec::with_capacity(36);
                uuid(&mut out, &mut env.memory.rng);
                Ok(Value::String(String::from_utf8_lossy(&out).into()))
            }
        }
    }
}

/// Both values, where they lie if they do.
#[inline]
fn pair<'e>(
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
        Op::In => a.is_in(b).map(Value::Bool),
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

/// Whether a place is there. What is before its last member must be.
fn has(of: &Code, env: &mut Env<'_>, state: &mut State) -> Result<bool, Failure> {
    let present = |absent: Absent, steps: usize| match absent {
        Absent::Nothing(step, TypeName::Map | TypeName::List) if step + 1 == steps => Ok(false),
        absent => Err(absent),
    };
    match of {
        Code::User { slot, .. } => Ok(env.memory.slot(*slot).is_some()),
        Code::Setup { slot, .. } => Ok(env.shared.setup(*slot).is_some()),
        Code::Header(name) => Ok(response(env)?.header(name).is_some()),
        Code::Body(path) => {
            let response = response(env)?;
            let found = response.document().look(path).map(|_| true);
            found.or_else(|absent| present(absent, path.len())).map_err(|a| no_body(response, &a, path))
        }
        Code::Message(path) => {
            let Some(message) = env.message else { return Err(no_message()) };
            let found = message.document().look(path).map(|_| true);
            found.or_else(|absent| present(absent, path.len())).map_err(|absent| no_part(&absent, path))
        }
        Code::Member { of, name } => there(of.view(env, state)?.member(name)),
        Code::Index(two) => {
            let (of, index) = pair(two, env, state)?;
            match of.type_name() {
                TypeName::List | TypeName::Map => Ok(of.at(&index).is_ok()),
                _ => of.at(&index).map(|_| true),
            }
        }
        Code::Cell { .. } => there(of.view(env, state)),
        other => other.view(env, state).map(|_| true),
    }
}

fn there(found: Result<View<'_>, Failure>) -> Result<bool, Failure> {
    match found {
        Ok(_) => Ok(true),
        Err(Failure::NoKey(_)) => Ok(false),
        Err(failure) => Err(failure),
    }
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

fn int(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(value) => Ok(*value),
        other => Err(Failure::new(format!("expected an int, got {}", article(other.type_name())))),
    }
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

#[inline]
fn response<'e>(env: &'e Env<'_>) -> Result<&'e Response, Failure> {
    env.response().ok_or_else(|| Failure::new("there is no response yet"))
}

#[cold]
fn no_body(response: &Response, absent: &Absent, path: &[Step]) -> Failure {
    match absent {
        Absent::Nothing(..) => no_part(absent, path),
        Absent::NotJson if response.status == 0 => Failure::new("there was no response"),
        Absent::NotJson if response.body.is_empty() => Failure::new("the body is empty"),
        Absent::NotJson => Failure::new("the body is not JSON"),
    }
}

/// Why a path leads nowhere; a message that is not JSON is a string, which has no parts.
fn no_part(absent: &Absent, path: &[Step]) -> Failure {
    match absent {
        Absent::Nothing(step, kind) => nowhere(path.get(*step), *kind),
        Absent::NotJson => nowhere(path.first(), TypeName::String),
    }
}

#[cold]
fn no_message() -> Failure {
    Failure::new("there is no message yet")
}

fn message<'e>(env: &'e Env<'_>, path: &[Step]) -> Result<View<'e>, Failure> {
    let message = env.message.ok_or_else(no_message)?;
    match message.document().look(path) {
        Ok(view) => Ok(view),
        Err(Absent::NotJson) if path.is_empty() => Ok(View::Text(message.text())),
        Err(absent) => Err(no_part(&absent, path)),
    }
}
