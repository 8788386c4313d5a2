//! Typed code: what `check.rs` makes of a tree. [`Code::fold`] puts the constants of the run in and computes what does not
//! change; [`Code::eval`] computes the rest. `slot.rs` gives the common forms a shorter way.

use std::sync::Arc;

use super::value::Value;
use crate::Vars;
use crate::rng::Rng;

/// Longest text that `randString` makes, in characters.
const LONGEST: i64 = 1 << 20;

/// Alphabet of `randString`.
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Code of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Code {
    Const(Value),
    /// A run constant that has no value yet.
    Var(String),
    List(Vec<Code>),
    Add(Box<Code>, Box<Code>),
    Negate(Box<Code>),
    Pick(Box<Code>),
    RandInt(Box<Code>, Box<Code>),
    RandString(Box<Code>),
    Uuid,
}

/// Why an expression has no value; never holds a value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl Code {
    /// Puts the values of variables in (all of them, if `vars` is given) and computes everything that does not depend on
    /// chance.
    pub(crate) fn fold(self, vars: Option<&Vars>) -> Result<Self, Failure> {
        let folded = match self {
            Self::Var(name) => match vars {
                None => return Ok(Self::Var(name)),
                Some(vars) => {
                    let value =
                        vars.get(&name).ok_or_else(|| Failure(format!("vars.{name} has no value")))?;
                    Self::Const(Value::String(value.as_str().into()))
                }
            },
            Self::List(items) => {
                Self::List(items.into_iter().map(|i| i.fold(vars)).collect::<Result<_, _>>()?)
            }
            Self::Add(a, b) => Self::Add(a.folded(vars)?, b.folded(vars)?),
            Self::Negate(of) => Self::Negate(of.folded(vars)?),
            Self::Pick(from) => Self::Pick(from.folded(vars)?),
            Self::RandInt(min, max) => Self::RandInt(min.folded(vars)?, max.folded(vars)?),
            Self::RandString(length) => Self::RandString(length.folded(vars)?),
            done @ (Self::Const(_) | Self::Uuid) => done,
        };
        folded.settle()
    }

    fn folded(self, vars: Option<&Vars>) -> Result<Box<Self>, Failure> {
        self.fold(vars).map(Box::new)
    }

    /// Computes code whose parts are constants, and finds fault with constants that can never work.
    fn settle(self) -> Result<Self, Failure> {
        match &self {
            Self::List(items) => {
                let values: Option<Vec<Value>> = items.iter().map(|i| i.constant().cloned()).collect();
                Ok(values.map_or(self, |values| Self::Const(Value::List(values.into()))))
            }
            Self::Add(a, b) => match (a.constant(), b.constant()) {
                (Some(a), Some(b)) => add(a, b).map(Self::Const),
                _ => Ok(self),
            },
            Self::Negate(of) => match of.constant() {
                Some(value) => negate(value).map(Self::Const),
                None => Ok(self),
            },
            Self::Pick(from) => match from.constant() {
                Some(value) if elements(value)?.is_empty() => Err(empty()),
                _ => Ok(self),
            },
            Self::RandInt(min, max) => match (min.constant(), max.constant()) {
                (Some(min), Some(max)) => range(int(min)?, int(max)?).map(|_| self),
                _ => Ok(self),
            },
            Self::RandString(length) => match length.constant() {
                Some(value) => letters(int(value)?).map(|_| self),
                None => Ok(self),
            },
            Self::Const(_) | Self::Var(_) | Self::Uuid => Ok(self),
        }
    }

    /// The value, if it is a constant.
    pub(crate) fn constant(&self) -> Option<&Value> {
        match self {
            Self::Const(value) => Some(value),
            _ => None,
        }
    }

    /// Computes the value.
    pub(crate) fn eval(&self, rng: &mut Rng) -> Result<Value, Failure> {
        Ok(match self {
            Self::Const(value) => value.clone(),
            Self::Var(name) => return Err(Failure(format!("vars.{name} has no value"))),
            Self::List(items) => {
                Value::List(items.iter().map(|i| i.eval(rng)).collect::<Result<Vec<_>, _>>()?.into())
            }
            Self::Add(a, b) => add(&a.eval(rng)?, &b.eval(rng)?)?,
            Self::Negate(of) => negate(&of.eval(rng)?)?,
            Self::Pick(from) => match &**from {
                // Only the element that is picked is computed, and the list is not copied.
                Self::List(items) => items.get(index(items.len(), rng)).ok_or_else(empty)?.eval(rng)?,
                from => {
                    let value = from.eval(rng)?;
                    let items = elements(&value)?;
                    items.get(index(items.len(), rng)).ok_or_else(empty)?.clone()
                }
            },
            Self::RandInt(min, max) => {
                let (min, span) = range(int(&min.eval(rng)?)?, int(&max.eval(rng)?)?)?;
                Value::Int(rand_int(min, span, rng))
            }
            Self::RandString(length) => {
                let mut out = Vec::new();
                rand_string(letters(int(&length.eval(rng)?)?)?, &mut out, rng);
                Value::String(String::from_utf8_lossy(&out).into())
            }
            Self::Uuid => {
                let mut out = Vec::new();
                uuid(&mut out, rng);
                Value::String(String::from_utf8_lossy(&out).into())
            }
        })
    }

    /// Names of the run constants in it.
    pub(crate) fn vars<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Self::Var(name) => found.push(name),
            Self::List(items) => items.iter().for_each(|i| i.vars(found)),
            Self::Add(a, b) | Self::RandInt(a, b) => {
                a.vars(found);
                b.vars(found);
            }
            Self::Negate(of) | Self::Pick(of) | Self::RandString(of) => of.vars(found),
            Self::Const(_) | Self::Uuid => {}
        }
    }
}

fn add(a: &Value, b: &Value) -> Result<Value, Failure> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Ok(Value::String(Arc::from(format!("{a}{b}")))),
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::List(a), Value::List(b)) => Ok(Value::List(a.iter().chain(b.iter()).cloned().collect())),
        _ => Err(Failure(format!("cannot add {} and {}", a.kind(), b.kind()))),
    }
}

fn negate(value: &Value) -> Result<Value, Failure> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        other => Err(Failure(format!("cannot negate a {}", other.kind()))),
    }
}

fn int(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(value) => Ok(*value),
        other => Err(Failure(format!("expected an int, got a {}", other.kind()))),
    }
}

fn elements(value: &Value) -> Result<&[Value], Failure> {
    match value {
        Value::List(items) => Ok(items),
        other => Err(Failure(format!("pick needs a list, got a {}", other.kind()))),
    }
}

fn empty() -> Failure {
    Failure("pick from an empty list".to_owned())
}

fn overflow() -> Failure {
    Failure("the number does not fit 64 bits".to_owned())
}

fn index(len: usize, rng: &mut Rng) -> usize {
    if len == 0 { 0 } else { rng.below(len as u64) as usize }
}

/// Least value and number of values (0 for all 2⁶⁴) of `randInt(min, max)`.
pub(crate) fn range(min: i64, max: i64) -> Result<(i64, u64), Failure> {
    if min > max {
        return Err(Failure(format!("randInt({min}, {max}): the first bound is over the second")));
    }
    Ok((min, max.abs_diff(min).wrapping_add(1)))
}

/// Checked length of `randString(length)`.
pub(crate) fn letters(length: i64) -> Result<usize, Failure> {
    usize::try_from(length)
        .ok()
        .filter(|_| length <= LONGEST)
        .ok_or_else(|| Failure(format!("randString({length}): the length must be from 0 to {LONGEST}")))
}

/// An integer of the `span` ones from `min` on.
#[inline]
pub(crate) fn rand_int(min: i64, span: u64, rng: &mut Rng) -> i64 {
    min.wrapping_add_unsigned(rng.below(span))
}

/// Appends lower-case letters and digits, two from every 64 random bits (bias under 10⁻⁸).
#[inline]
pub(crate) fn rand_string(length: usize, out: &mut Vec<u8>, rng: &mut Rng) {
    let letter = |half: u64| LETTERS[(((half & 0xffff_ffff) * 36) >> 32) as usize];
    for _ in 0..length / 2 {
        let bits = rng.bits();
        out.extend_from_slice(&[letter(bits), letter(bits >> 32)]);
    }
    if length % 2 == 1 {
        out.push(letter(rng.bits()));
    }
}

/// Appends a version 4 UUID (RFC 9562 §5.4).
#[inline]
pub(crate) fn uuid(out: &mut Vec<u8>, rng: &mut Rng) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&rng.bits().to_be_bytes());
    bytes[8..].copy_from_slice(&rng.bits().to_be_bytes());
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
}
