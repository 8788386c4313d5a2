//! What operators make of values, after CEL's definition: arithmetic never wraps, numbers compare across int and double, values of
//! different types are unequal and have no order.

use std::cmp::Ordering;

use super::failure::{Failure, article};
use super::value::{Key, Map, TypeName, Value};

/// Binary operators that compute both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// Longest text that an expression makes, in bytes.
pub(super) const LONGEST_TEXT: usize = 1 << 24;
/// Longest list or map that an expression makes.
const LONGEST_LIST: usize = 1 << 20;
/// Lists and maps within one another in what an expression makes; what JSON has may have fewer.
const DEEPEST: u32 = 200;

/// The value of an arithmetic operator.
pub(super) fn arithmetic(op: Op, a: &Value, b: &Value) -> Result<Value, Failure> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => ints(op, *a, *b),
        (Value::Double(a), Value::Double(b)) => doubles(op, *a, *b),
        // Only where a type was not known before the run: a number of a JSON document is an int or a double as it was written.
        (Value::Int(a), Value::Double(b)) => doubles(op, *a as f64, *b),
        (Value::Double(a), Value::Int(b)) => doubles(op, *a, *b as f64),
        _ => match (op, a, b) {
            (Op::Add, Value::String(a), Value::String(b)) => text(concat(a, b)?),
            (Op::Add, Value::List(a), Value::List(b)) => join(a, b),
            (Op::Add, Value::Duration(a), Value::Duration(b)) => time(a.checked_add(*b), Value::Duration),
            (Op::Add, Value::Timestamp(a), Value::Duration(b))
            | (Op::Add, Value::Duration(a), Value::Timestamp(b)) => time(a.checked_add(*b), Value::Timestamp),
            (Op::Subtract, Value::Duration(a), Value::Duration(b))
            | (Op::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => {
                time(a.checked_sub(*b), Value::Duration)
            }
            (Op::Subtract, Value::Timestamp(a), Value::Duration(b)) => {
                time(a.checked_sub(*b), Value::Timestamp)
            }
            _ => Err(unusable(op, a.type_name(), b.type_name())),
        },
    }
}

/// Nothing can be done with these types.
#[cold]
pub(super) fn unusable(op: Op, a: TypeName, b: TypeName) -> Failure {
    let (a, b) = (article(a), article(b));
    Failure::new(match op {
        Op::Add => format!("cannot add {a} and {b}"),
        Op::Subtract => format!("cannot subtract {b} from {a}"),
        Op::Multiply => format!("cannot multiply {a} by {b}"),
        Op::Divide => format!("cannot divide {a} by {b}"),
        Op::Remainder => format!("cannot take the remainder of {a} by {b}"),
        Op::In => format!("{a} cannot be in {b}; \"in\" takes a list or a map on its right"),
        _ => format!("cannot compare {a} with {b}"),
    })
}

fn ints(op: Op, a: i64, b: i64) -> Result<Value, Failure> {
    let result = match op {
        Op::Add => a.checked_add(b),
        Op::Subtract => a.checked_sub(b),
        Op::Multiply => a.checked_mul(b),
        Op::Divide | Op::Remainder if b == 0 => return Err(Failure::new("division by zero")),
        Op::Divide => a.checked_div(b),
        // The remainder of the least int by -1 is 0, though the quotient does not fit.
        Op::Remainder => Some(a.wrapping_rem(b)),
        _ => None,
    };
    result.map(Value::Int).ok_or_else(overflow)
}

fn doubles(op: Op, a: f64, b: f64) -> Result<Value, Failure> {
    Ok(Value::Double(match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide => a / b,
        _ => return Err(unusable(op, TypeName::Double, TypeName::Double)),
    }))
}

fn time(nanos: Option<i64>, make: fn(i64) -> Value) -> Result<Value, Failure> {
    nanos.map(make).ok_or_else(overflow)
}

/// `-x`.
pub(super) fn negate(value: &Value) -> Result<Value, Failure> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        other => Err(Failure::new(format!("cannot negate {}", article(other.type_name())))),
    }
}

#[cold]
pub(super) fn overflow() -> Failure {
    Failure::new("the number does not fit 64 bits")
}

fn concat(a: &str, b: &str) -> Result<String, Failure> {
    let mut text = String::new();
    fits(a.len() + b.len())?;
    text.reserve_exact(a.len() + b.len());
    text.push_str(a);
    text.push_str(b);
    Ok(text)
}

/// Refuses a text of that many bytes.
pub(super) fn fits(bytes: usize) -> Result<(), Failure> {
    if bytes > LONGEST_TEXT {
        return Err(Failure::new(format!("the text is over {LONGEST_TEXT} bytes long")));
    }
    Ok(())
}

/// A text that an expression made.
pub(super) fn text(text: String) -> Result<Value, Failure> {
    fits(text.len())?;
    Ok(Value::String(text.into()))
}

fn join(a: &[Value], b: &[Value]) -> Result<Value, Failure> {
    count(a.len() + b.len())?;
    Ok(Value::List(a.iter().chain(b).cloned().collect()))
}

fn count(items: usize) -> Result<(), Failure> {
    if items > LONGEST_LIST {
        return Err(Failure::new(format!("the list has over {LONGEST_LIST} elements")));
    }
    Ok(())
}

/// A list that an expression made of its elements.
pub(super) fn list(items: Vec<Value>) -> Result<Value, Failure> {
    count(items.len())?;
    shallow(items.iter())?;
    Ok(Value::List(items.into()))
}

/// A map that an expression made of its entries.
pub(super) fn map(entries: Vec<(Key, Value)>) -> Result<Value, Failure> {
    count(entries.len())?;
    shallow(entries.iter().map(|(_, value)| value))?;
    let length = entries.len();
    let map = Map::new(entries);
    if map.len() < length {
        return Err(Failure::new("the map has a key twice"));
    }
    Ok(Value::Map(map.into()))
}

/// Refuses what would be nested so deeply that walking it could exhaust a stack.
fn shallow<'v>(items: impl Iterator<Item = &'v Value>) -> Result<(), Failure> {
    for item in items {
        if deeper(item, DEEPEST - 1) {
            return Err(Failure::new(format!("lists and maps are nested over {DEEPEST} deep")));
        }
    }
    Ok(())
}

fn deeper(value: &Value, allowed: u32) -> bool {
    match value {
        Value::List(items) => allowed == 0 || items.iter().any(|item| deeper(item, allowed - 1)),
        Value::Map(map) => allowed == 0 || map.iter().any(|(_, value)| deeper(value, allowed - 1)),
        _ => false,
    }
}

/// A value as the key of a map.
pub(super) fn key(value: &Value) -> Result<Key, Failure> {
    match value {
        Value::Bool(key) => Ok(Key::Bool(*key)),
        Value::Int(key) => Ok(Key::Int(*key)),
        Value::String(key) => Ok(Key::String(key.clone())),
        other => Err(Failure::new(format!(
            "{} cannot be the key of a map; use a string, an int or a bool",
            article(other.type_name())
        ))),
    }
}

/// Whether two values are equal.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Double(b)) | (Value::Double(b), Value::Int(a)) => {
            order_int(*a, *b) == Some(Ordering::Equal)
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter().zip(b.iter()).all(|((a_key, a), (b_key, b))| a_key == b_key && equal(a, b))
        }
        (a, b) => a == b,
    }
}

/// How two values are ordered; `Ok(None)` for a NaN.
pub(super) fn order(a: &Value, b: &Value) -> Option<Option<Ordering>> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b))
        | (Value::Duration(a), Value::Duration(b))
        | (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Double(b)) => order_int(*a, *b),
        (Value::Double(a), Value::Int(b)) => order_int(*b, *a).map(Ordering::reverse),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => return None,
    })
}

/// Exactly: a double holds no more than 53 bits of an int.
fn order_int(int: i64, double: f64) -> Option<Ordering> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        None
    } else if double >= BEYOND {
        Some(Ordering::Less)
    } else if double < -BEYOND {
        Some(Ordering::Greater)
    } else {
        let whole = double.trunc();
        Some(int.cmp(&(whole as i64)).then(0.0_f64.partial_cmp(&(double - whole)).unwrap_or(Ordering::Equal)))
    }
}

/// Whether an ordering is what an operator asks for.
pub(super) fn holds(op: Op, order: Option<Ordering>) -> bool {
    order.is_some_and(|order| match op {
        Op::Less => order.is_lt(),
        Op::LessOrEqual => order.is_le(),
        Op::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}
