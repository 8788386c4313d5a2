//! Functions of chance. Every choice comes from the user's own generator, so that the same plan makes the same choices.

use super::code::Code;
use super::env::Env;
use super::eval::State;
use super::failure::{Failure, article};
use super::value::Value;
use crate::rng::Rng;

/// Longest text that `randString` makes, in characters.
const LONGEST: i64 = 1 << 20;

/// Alphabet of `randString`.
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

impl Code {
    /// Functions of chance.
    pub(super) fn choose(&self, env: &mut Env<'_>, state: &mut State) -> Result<Value, Failure> {
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

fn int(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(value) => Ok(*value),
        other => Err(Failure::new(format!("expected an int, got {}", article(other.type_name())))),
    }
}

/// The elements of a list that `pick` may choose from.
pub(super) fn elements(value: &Value) -> Result<&[Value], Failure> {
    match value {
        Value::List(items) if items.is_empty() => Err(Failure::new("pick from an empty list")),
        Value::List(items) => Ok(items),
        other => Err(Failure::new(format!("pick(list) takes a list, not {}", article(other.type_name())))),
    }
}

/// A random place in something that has so many.
fn index(length: usize, rng: &mut Rng) -> usize {
    if length == 0 { 0 } else { rng.below(length as u64) as usize }
}

/// `count` different elements of a list in random order: the beginning of a Fisher-Yates shuffle.
fn sample(items: &[Value], count: i64, rng: &mut Rng) -> Result<Value, Failure> {
    let Some(count) = usize::try_from(count).ok().filter(|count| *count <= items.len()) else {
        return Err(Failure::new("sample(list, n): the list has fewer than n elements, or n is negative"));
    };
    let mut places: Vec<usize> = (0..items.len()).collect();
    for at in 0..count {
        let other = at + index(items.len() - at, rng);
        places.swap(at, other);
    }
    Ok(Value::List(places.iter().take(count).filter_map(|place| items.get(*place).cloned()).collect()))
}

/// Least value and number of values (0 for all 2⁶⁴) of `randInt(min, max)`.
pub(crate) fn range(min: i64, max: i64) -> Result<(i64, u64), Failure> {
    if min > max {
        return Err(Failure::new("randInt(min, max): min is over max"));
    }
    Ok((min, max.abs_diff(min).wrapping_add(1)))
}

/// Checked length of `randString(length)`.
pub(crate) fn letters(length: i64) -> Result<usize, Failure> {
    usize::try_from(length)
        .ok()
        .filter(|_| length <= LONGEST)
        .ok_or_else(|| Failure::new(format!("randString(length): the length must be from 0 to {LONGEST}")))
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
