//! Rows of literal bytes and slots, as `build/text.rs` makes them and `request.rs` and `parts.rs` write them. The common
//! expressions have a direct form; the rest is evaluated as code.

use std::sync::Arc;

use crate::Env;
use crate::encode::{self, Encoding};
use crate::error::RenderError;
use crate::expr::{Code, Failure, Value, letters, rand_int, rand_string, range, uuid};

/// A row of pieces. No two literals are adjacent and none is empty.
#[derive(Clone, Default)]
pub(crate) struct Row {
    pieces: Vec<Piece>,
}

#[derive(Clone)]
enum Piece {
    Literal(Vec<u8>),
    Int {
        min: i64,
        span: u64,
    },
    Letters(usize),
    Uuid,
    /// One of these, already encoded.
    Choice(Vec<Box<[u8]>>),
    /// A value that is kept somewhere.
    Kept(Kept),
    /// The user's number.
    User,
    /// The number of its iteration.
    Iteration,
    Eval {
        code: Code,
        encoding: Encoding,
        at: Arc<str>,
    },
}

/// A value that is written from where it is kept.
#[derive(Clone)]
struct Kept {
    place: Place,
    encoding: Encoding,
    /// Tells why there is none.
    code: Code,
    at: Arc<str>,
}

#[derive(Clone, Copy)]
enum Place {
    User(u16),
    Setup(u16),
    Cell { table: u16, column: u16 },
}

impl Kept {
    #[inline]
    fn render(&self, out: &mut Vec<u8>, env: &mut Env<'_>) -> Result<(), Failure> {
        let value = match self.place {
            Place::User(slot) => env.memory.slot(slot),
            Place::Setup(slot) => env.shared.setup(slot),
            Place::Cell { table, column } => env.shared.cell(table, env.memory.row(table), column),
        };
        match value {
            Some(value) => encode::value(value, self.encoding, out),
            None => self.code.eval(env).and_then(|value| encode::value(&value, self.encoding, out)),
        }
    }
}

impl Row {
    /// The row of literal bytes.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut row = Self::default();
        row.literal(text);
        row
    }

    /// Appends literal bytes.
    pub(crate) fn literal(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Literal(last)) => last.extend_from_slice(text),
            _ => self.pieces.push(Piece::Literal(text.to_vec())),
        }
    }

    /// Appends another row.
    pub(crate) fn append(&mut self, other: &Self) {
        for piece in &other.pieces {
            match piece {
                Piece::Literal(text) => self.literal(text),
                slot => self.pieces.push(slot.clone()),
            }
        }
    }

    /// Whether a literal holds this byte.
    pub(crate) fn has_literal(&self, byte: u8) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Literal(text) if text.contains(&byte)))
    }

    /// Appends the value of an expression, constants already put in.
    pub(crate) fn slot(&mut self, code: Code, encoding: Encoding, at: &Arc<str>) -> Result<(), Failure> {
        let quote: &[u8] = if encoding == Encoding::Json { b"\"" } else { b"" };
        let (piece, quoted) = match &code {
            Code::Const(value) => {
                let mut text = Vec::new();
                encode::value(value, encoding, &mut text)?;
                self.literal(&text);
                return Ok(());
            }
            Code::RandInt(min, max) => match (min.constant(), max.constant()) {
                (Some(Value::Int(min)), Some(Value::Int(max))) => {
                    let (min, span) = range(*min, *max)?;
                    (Some(Piece::Int { min, span }), false)
                }
                _ => (None, false),
            },
            Code::RandString(length) => match length.constant() {
                Some(Value::Int(length)) => (Some(Piece::Letters(letters(*length)?)), true),
                _ => (None, false),
            },
            Code::Uuid => (Some(Piece::Uuid), true),
            Code::UserNumber => (Some(Piece::User), false),
            Code::Iteration => (Some(Piece::Iteration), false),
            Code::Pick(from) => match from.constant() {
                Some(Value::List(items)) => (choice(items, encoding)?, false),
                _ => (None, false),
            },
            other => {
                let place = place(other);
                let kept = place.map(|place| Kept { place, encoding, code: other.clone(), at: at.clone() });
                (kept.map(Piece::Kept), false)
            }
        };
        let piece = piece.unwrap_or_else(|| Piece::Eval { code, encoding, at: at.clone() });
        self.literal(if quoted { quote } else { b"" });
        self.pieces.push(piece);
        self.literal(if quoted { quote } else { b"" });
        Ok(())
    }

    /// All bytes, if nothing varies.
    pub(crate) fn as_static(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// About how many bytes it makes.
    pub(crate) fn expected_len(&self) -> usize {
        let len = |piece: &Piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Letters(length) => *length,
            Piece::Uuid => 36,
            Piece::Choice(texts) => texts.first().map_or(0, |t| t.len()),
            Piece::Int { min, span } => min.wrapping_add_unsigned(span.wrapping_sub(1)).to_string().len(),
            Piece::Kept(_) => 12,
            Piece::User | Piece::Iteration => 3,
            Piece::Eval { .. } => 8,
        };
        self.pieces.iter().map(len).sum()
    }

    /// Appends the bytes, evaluating slots from left to right.
    #[inline]
    pub(crate) fn render(&self, out: &mut Vec<u8>, env: &mut Env<'_>) -> Result<(), RenderError> {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Int { min, span } => encode::int(rand_int(*min, *span, &mut env.memory.rng), out),
                Piece::Letters(length) => rand_string(*length, out, &mut env.memory.rng),
                Piece::Uuid => uuid(out, &mut env.memory.rng),
                Piece::Choice(texts) => {
                    if let Some(text) = texts.get(env.memory.rng.below(texts.len() as u64) as usize) {
                        out.extend_from_slice(text);
                    }
                }
                Piece::Kept(kept) => kept.render(out, env).map_err(|failure| unmade(&kept.at, &failure))?,
                Piece::User => encode::int(i64::try_from(env.memory.user).unwrap_or(i64::MAX), out),
                Piece::Iteration => encode::int(i64::try_from(env.memory.iteration).unwrap_or(i64::MAX), out),
                Piece::Eval { code, encoding, at } => {
                    let written = code.eval(env).and_then(|value| encode::value(&value, *encoding, out));
                    written.map_err(|failure| unmade(at, &failure))?;
                }
            }
        }
        Ok(())
    }
}

#[cold]
fn unmade(at: &str, failure: &Failure) -> RenderError {
    RenderError { at: at.to_owned(), message: failure.to_string() }
}

/// A choice among constants; none if there are none, which evaluation tells.
fn choice(items: &[Value], encoding: Encoding) -> Result<Option<Piece>, Failure> {
    let encoded = items.iter().map(|item| {
        let mut text = Vec::new();
        encode::value(item, encoding, &mut text).map(|()| text.into())
    });
    let encoded: Vec<Box<[u8]>> = encoded.collect::<Result<_, _>>()?;
    Ok((!encoded.is_empty()).then_some(Piece::Choice(encoded)))
}

/// Where the value of code is kept, if it is nothing but that.
fn place(code: &Code) -> Option<Place> {
    match code {
        Code::User { slot, .. } => Some(Place::User(*slot)),
        Code::Setup { slot, .. } => Some(Place::Setup(*slot)),
        Code::Cell { table, column: Some(column), .. } => {
            Some(Place::Cell { table: *table, column: *column })
        }
        _ => None,
    }
}
