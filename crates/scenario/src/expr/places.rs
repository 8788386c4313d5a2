//! Values that lie somewhere: names, and what constant paths lead to in them. They are looked at in place; `eval.rs` computes the
//! rest.

use std::sync::Arc;

use super::code::Code;
use super::env::Env;
use super::eval::{State, pair};
use super::failure::Failure;
use super::json::Step;
use super::response::Response;
use super::value::{TypeName, Value};
use super::view::{Absent, View, nowhere};

impl Code {
    /// Whether [`Self::peek`] finds it.
    pub(super) fn is_place(&self) -> bool {
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
    pub(super) fn peek<'e>(&'e self, env: &'e Env<'_>, locals: &'e [Value]) -> Result<View<'e>, Failure> {
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
}

/// Whether a place is there. What is before its last member must be.
pub(super) fn has(of: &Code, env: &mut Env<'_>, state: &mut State) -> Result<bool, Failure> {
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
