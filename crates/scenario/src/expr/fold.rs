//! Computes what is constant in code: [`Code::settle`] while it is made by `check.rs`, [`Code::fold`] once the constants of the
//! run are known.

use super::code::{Code, Loop, Match, Pattern, RunName};
use super::eval::eval_constant;
use super::failure::Failure;
use super::random::{elements, letters, range};
use super::value::Value;
use crate::memory::RunNames;
use crate::model::Vars;

/// Constants of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constants<'a> {
    /// Values of `vars.NAME`.
    pub(crate) vars: &'a Vars,
    /// Values of `run.name` and so on.
    pub(crate) run: &'a RunNames,
}

/// How the failure of a part is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failing {
    /// It makes the whole impossible.
    Whole,
    /// The whole may have a value nevertheless: the part is behind `&&`, `? :`, `first` and the like.
    Part,
}

impl Code {
    /// Puts constants in, if they are given, and computes everything that does not depend on anything else.
    ///
    /// # Errors
    /// With these constants, the expression can never have a value.
    pub(crate) fn fold(self, constants: Option<&Constants<'_>>) -> Result<Self, Failure> {
        match constants {
            Some(constants) => Folder { constants }.fold(self, Failing::Whole),
            None => self.settle(),
        }
    }

    /// Computes code whose parts are constants, and finds fault with constants that can never work. Looks no deeper: the parts are
    /// settled already.
    pub(super) fn settle(self) -> Result<Self, Failure> {
        Ok(settled(&self)?.unwrap_or(self))
    }
}

struct Folder<'a> {
    constants: &'a Constants<'a>,
}

impl Folder<'_> {
    fn fold(&self, code: Code, failing: Failing) -> Result<Code, Failure> {
        let code = self.parts(code, failing)?;
        match settled(&code) {
            Ok(replaced) => Ok(replaced.unwrap_or(code)),
            Err(_) if failing == Failing::Part => Ok(code),
            Err(failure) => Err(failure),
        }
    }

    fn boxed(&self, code: Code, failing: Failing) -> Result<Box<Code>, Failure> {
        self.fold(code, failing).map(Box::new)
    }

    fn all(&self, codes: Vec<Code>, failing: Failing) -> Result<Vec<Code>, Failure> {
        codes.into_iter().map(|code| self.fold(code, failing)).collect()
    }

    fn two(&self, two: (Code, Code), failing: Failing) -> Result<Box<(Code, Code)>, Failure> {
        Ok(Box::new((self.fold(two.0, failing)?, self.fold(two.1, failing)?)))
    }

    /// The same code with its parts folded.
    fn parts(&self, code: Code, failing: Failing) -> Result<Code, Failure> {
        Ok(match code {
            Code::Var(name) => match self.constants.vars.get(&*name) {
                Some(value) => Code::Const(Value::text(value)),
                None => return Err(Failure::new(format!("vars.{name} has no value"))),
            },
            Code::RunName(name) => Code::Const(Value::text(match name {
                RunName::Name => &self.constants.run.name,
                RunName::Test => &self.constants.run.test,
                RunName::Namespace => &self.constants.run.namespace,
            })),
            Code::List(items) => Code::List(self.all(items, failing)?),
            Code::Map(entries) => {
                let entry = |(key, value)| Ok((self.fold(key, failing)?, self.fold(value, failing)?));
                Code::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
            }
            Code::Member { of, name } => Code::Member { of: self.boxed(*of, failing)?, name },
            Code::Has(of) => Code::Has(self.boxed(*of, Failing::Part)?),
            Code::Not(of) => Code::Not(self.boxed(*of, failing)?),
            Code::Negate(of) => Code::Negate(self.boxed(*of, failing)?),
            Code::Pick(of) => Code::Pick(self.boxed(*of, failing)?),
            Code::RandString(of) => Code::RandString(self.boxed(*of, failing)?),
            Code::RandInt(a, b) => Code::RandInt(self.boxed(*a, failing)?, self.boxed(*b, failing)?),
            Code::Index(two) => Code::Index(self.two(*two, failing)?),
            Code::Sample(two) => Code::Sample(self.two(*two, failing)?),
            Code::Binary { op, sides } => Code::Binary { op, sides: self.two(*sides, failing)? },
            Code::And(two) => Code::And(self.two(*two, Failing::Part)?),
            Code::Or(two) => Code::Or(self.two(*two, Failing::Part)?),
            Code::Choose(three) => {
                let (test, yes, no) = *three;
                Code::Choose(Box::new((
                    self.fold(test, failing)?,
                    self.fold(yes, Failing::Part)?,
                    self.fold(no, Failing::Part)?,
                )))
            }
            Code::First(items) => Code::First(self.all(items, Failing::Part)?),
            Code::Call { function, args } => Code::Call { function, args: self.all(args, failing)? },
            Code::Loop(inner) => {
                let part = |code: Option<Code>| code.map(|code| self.fold(code, Failing::Part)).transpose();
                Code::Loop(Box::new(Loop {
                    range: self.fold(inner.range, failing)?,
                    test: part(inner.test)?,
                    make: part(inner.make)?,
                    ..*inner
                }))
            }
            Code::Match(inner) => {
                let Match { text, pattern, group } = *inner;
                let text = self.fold(text, failing)?;
                let pattern = match pattern {
                    Pattern::Late(code) => late(self.fold(code, Failing::Whole)?, &group)?,
                    ready @ Pattern::Ready(_) => ready,
                };
                Code::Match(Box::new(Match { text, pattern, group }))
            }
            leaf => leaf,
        })
    }
}

fn late(pattern: Code, group: &Option<super::code::Group>) -> Result<Pattern, Failure> {
    match pattern {
        Code::Const(Value::String(pattern)) => Pattern::compile(&pattern, group.as_ref()),
        Code::Const(_) => Err(Failure::new("a regular expression must be a string")),
        other => Ok(Pattern::Late(other)),
    }
}

/// What code with these parts comes to, if that is known.
pub(super) fn settled(code: &Code) -> Result<Option<Code>, Failure> {
    let is = |code: &Code| code.constant().is_some();
    let ready = match code {
        Code::List(items) | Code::Call { args: items, .. } => items.iter().all(is),
        Code::Map(entries) => entries.iter().all(|(key, value)| is(key) && is(value)),
        Code::Member { of, .. } | Code::Not(of) | Code::Negate(of) => is(of),
        Code::Has(of) => match &**of {
            Code::Member { of, .. } => is(of),
            Code::Index(two) => is(&two.0) && is(&two.1),
            other => is(other),
        },
        Code::Index(two) | Code::And(two) | Code::Or(two) | Code::Binary { sides: two, .. } => {
            is(&two.0) && is(&two.1)
        }
        Code::Choose(three) => match three.0.constant() {
            Some(Value::Bool(true)) => return Ok(Some(three.1.clone())),
            Some(Value::Bool(false)) => return Ok(Some(three.2.clone())),
            _ => false,
        },
        Code::First(items) => return Ok(first(items)),
        // Code within others' loops is computed with them.
        Code::Loop(inner) => inner.local == 0 && is(&inner.range) && is_closed(inner),
        Code::Match(inner) => is(&inner.text) && matches!(inner.pattern, Pattern::Ready(_)),
        Code::Pick(from) => {
            if let Some(value) = from.constant() {
                elements(value)?;
            }
            false
        }
        Code::RandInt(min, max) => {
            if let (Some(Value::Int(min)), Some(Value::Int(max))) = (min.constant(), max.constant()) {
                range(*min, *max)?;
            }
            false
        }
        Code::RandString(length) => {
            if let Some(Value::Int(length)) = length.constant() {
                letters(*length)?;
            }
            false
        }
        _ => false,
    };
    if ready { eval_constant(code).map(|value| Some(Code::Const(value))) } else { Ok(None) }
}

/// `first` without what is known not to be there; the value, if the first that is left is a constant.
fn first(items: &[Code]) -> Option<Code> {
    let absent = |code: &&Code| code.constant() == Some(&Value::Null);
    let skipped = items.iter().take_while(absent).count();
    match items.get(skipped) {
        Some(Code::Const(value)) => Some(Code::Const(value.clone())),
        Some(_) if skipped > 0 => Some(Code::First(items.get(skipped..)?.to_vec())),
        _ => None,
    }
}

/// Whether a loop depends on nothing but its own variables and those of loops in it.
fn is_closed(inner: &Loop) -> bool {
    let mut closed = true;
    for code in inner.test.iter().chain(&inner.make) {
        code.visit(&mut |code| closed &= !code.varies() && !matches!(code, Code::Var(_) | Code::RunName(_)));
    }
    closed
}
