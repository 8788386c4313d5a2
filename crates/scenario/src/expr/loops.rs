//! Macros over lists and the keys of maps: `all`, `exists`, `exists_one`, `filter`, `map`.

use super::code::{Code, Loop, LoopKind};
use super::env::Env;
use super::eval::{State, truth};
use super::failure::{Failure, article};
use super::ops;
use super::value::Value;

/// The value of a loop.
pub(super) fn run(inner: &Loop, env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
    let local = usize::from(inner.local);
    let range = inner.range.view(env, state)?.into_value();
    // A failure that was taken for an absent value may have left its variables.
    state.locals.truncate(local);
    state.locals.resize(local + 1, Value::Null);
    let result = match &range {
        Value::List(items) => over(inner, items.iter().cloned(), env, state),
        Value::Map(map) => over(inner, map.iter().map(|(key, _)| key.value()), env, state),
        other => {
            let kind = article(other.type_name());
            Err(Failure::new(format!("{}() needs a list or a map, not {kind}", inner.kind.name())))
        }
    };
    state.locals.truncate(local);
    result
}

fn over(
    inner: &Loop,
    items: impl Iterator<Item = Value>,
    env: &mut Env<'_>,
    state: &mut State,
) -> Result<Value, Failure> {
    let local = usize::from(inner.local);
    let mut result = Found { failure: None, count: 0, made: Vec::new() };
    for item in items {
        state.take(1)?;
        if let Some(place) = state.locals.get_mut(local) {
            *place = item.clone();
        }
        let test = match &inner.test {
            Some(test) => holds(test, env, state),
            None => Ok(true),
        };
        match (inner.kind, test) {
            (LoopKind::All, Ok(false)) => return Ok(Value::Bool(false)),
            (LoopKind::Exists, Ok(true)) => return Ok(Value::Bool(true)),
            (LoopKind::All | LoopKind::Exists, Err(failure)) => {
                result.failure.get_or_insert(failure);
            }
            (_, Err(failure)) => return Err(failure),
            (_, Ok(false)) | (LoopKind::All, Ok(true)) => {}
            (LoopKind::ExistsOne, Ok(true)) => result.count += 1,
            (LoopKind::Filter, Ok(true)) => result.made.push(item),
            (LoopKind::Map, Ok(true)) => {
                if let Some(make) = &inner.make {
                    result.made.push(make.run(env, state)?);
                }
            }
        }
    }
    result.value(inner.kind)
}

fn holds(test: &Code, env: &mut Env<'_>, state: &mut State) -> Result<bool, Failure> {
    truth(&test.view(env, state)?)
}

/// What a loop has come to.
struct Found {
    /// Of the first element whose condition has no value.
    failure: Option<Failure>,
    count: usize,
    made: Vec<Value>,
}

impl Found {
    fn value(self, kind: LoopKind) -> Result<Value, Failure> {
        match (kind, self.failure) {
            (LoopKind::All | LoopKind::Exists, Some(failure)) => Err(failure),
            (LoopKind::All, None) => Ok(Value::Bool(true)),
            (LoopKind::Exists, None) => Ok(Value::Bool(false)),
            (LoopKind::ExistsOne, _) => Ok(Value::Bool(self.count == 1)),
            (LoopKind::Filter | LoopKind::Map, _) => ops::list(self.made),
        }
    }
}

impl LoopKind {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exists => "exists",
            Self::ExistsOne => "exists_one",
            Self::Filter => "filter",
            Self::Map => "map",
        }
    }
}
