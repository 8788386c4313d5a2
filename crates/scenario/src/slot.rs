//! Rows of literal bytes and evaluated slots, as `bind.rs` makes them and `request.rs` and `parts.rs` write them. The common
//! expressions have a direct form; the rest is evaluated as code.

use std::sync::Arc;

use crate::Vars;
use crate::compile::Segment;
use crate::encode::{self, Encoding};
use crate::error::{BindError, RenderError};
use crate::expr::{Code, Failure, Value, letters, rand_int, rand_string, range, uuid};
use crate::rng::Rng;

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
    Eval {
        code: Code,
        encoding: Encoding,
        at: Arc<str>,
    },
}

impl Row {
    /// The row of these segments with the values of the run.
    pub(crate) fn bind(segments: &[Segment], vars: &Vars) -> Result<Self, BindError> {
        let mut row = Self::default();
        for segment in segments {
            match segment {
                Segment::Literal(text) => row.literal(text),
                Segment::Slot { code, encoding, at } => {
                    row.slot(code, *encoding, at, vars).map_err(|failure| {
                        let mut names = Vec::new();
                        code.vars(&mut names);
                        let of = names
                            .first()
                            .map_or(String::new(), |name| format!(" (the value of vars.{name})"));
                        BindError::Unfit { at: at.to_string(), message: format!("{}{of}", failure.0) }
                    })?;
                }
            }
        }
        Ok(row)
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

    fn slot(&mut self, code: &Code, encoding: Encoding, at: &Arc<str>, vars: &Vars) -> Result<(), Failure> {
        let code = code.clone().fold(Some(vars))?;
        let quote: &[u8] = if encoding == Encoding::Json { b"\"" } else { b"" };
        let piece = match code {
            Code::Const(value) => {
                let mut text = Vec::new();
                encode::value(&value, encoding, &mut text)?;
                self.literal(&text);
                return Ok(());
            }
            Code::RandInt(min, max) => match (min.constant(), max.constant()) {
                (Some(Value::Int(min)), Some(Value::Int(max))) => {
                    let (min, span) = range(*min, *max)?;
                    Piece::Int { min, span }
                }
                _ => Piece::Eval { code: Code::RandInt(min, max), encoding, at: at.clone() },
            },
            Code::RandString(length) => match length.constant() {
                Some(Value::Int(length)) => {
                    self.literal(quote);
                    self.pieces.push(Piece::Letters(letters(*length)?));
                    self.literal(quote);
                    return Ok(());
                }
                _ => Piece::Eval { code: Code::RandString(length), encoding, at: at.clone() },
            },
            Code::Uuid => {
                self.literal(quote);
                self.pieces.push(Piece::Uuid);
                self.literal(quote);
                return Ok(());
            }
            Code::Pick(from) => match from.constant() {
                Some(Value::List(items)) => {
                    let encoded = items.iter().map(|item| {
                        let mut text = Vec::new();
                        encode::value(item, encoding, &mut text).map(|()| text.into())
                    });
                    Piece::Choice(encoded.collect::<Result<_, _>>()?)
                }
                _ => Piece::Eval { code: Code::Pick(from), encoding, at: at.clone() },
            },
            code => Piece::Eval { code, encoding, at: at.clone() },
        };
        self.pieces.push(piece);
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
            Piece::Int { min, span } => {
                let mut digits = Vec::new();
                encode::int(min.wrapping_add_unsigned(span.wrapping_sub(1)), &mut digits);
                digits.len()
            }
            Piece::Eval { .. } => 8,
        };
        self.pieces.iter().map(len).sum()
    }

    /// Appends the bytes, evaluating slots from left to right.
    pub(crate) fn render(&self, out: &mut Vec<u8>, rng: &mut Rng) -> Result<(), RenderError> {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Int { min, span } => encode::int(rand_int(*min, *span, rng), out),
                Piece::Letters(length) => rand_string(*length, out, rng),
                Piece::Uuid => uuid(out, rng),
                Piece::Choice(texts) => {
                    if let Some(text) = texts.get(rng.below(texts.len() as u64) as usize) {
                        out.extend_from_slice(text);
                    }
                }
                Piece::Eval { code, encoding, at } => {
                    let written = code.eval(rng).and_then(|value| encode::value(&value, *encoding, out));
                    written.map_err(|failure| RenderError { at: at.to_string(), message: failure.0 })?;
                }
            }
        }
        Ok(())
    }
}
