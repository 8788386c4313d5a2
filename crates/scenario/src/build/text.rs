//! Templates → rows of literal bytes and slots, encoded for their place.

use std::sync::Arc;

use super::Builder;
use super::expression::unfit;
use crate::encode::{self, Encoding};
use crate::error::{BindError, Fault};
use crate::expr::Code;
use crate::slot::Row;
use crate::template::{self, Piece};

impl Builder<'_> {
    /// A template whose values go into text.
    pub(super) fn template(&mut self, at: &str, text: &str, encoding: Encoding) -> Row {
        let mut row = Row::default();
        let pieces = self.pieces(at, text);
        self.append(at, text, pieces, encoding, &mut row);
        row
    }

    fn append(&mut self, at: &str, text: &str, pieces: Vec<Piece>, encoding: Encoding, row: &mut Row) {
        let place: Arc<str> = at.into();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => {
                    let mut literal = Vec::with_capacity(plain.len());
                    if let Err(failure) = encode::text(&plain, encoding, &mut literal) {
                        self.fault(at, failure.to_string());
                    }
                    row.literal(&literal);
                }
                Piece::Expr { kind, offset, .. } if !kind.is_text() => {
                    let message = format!("a {kind} cannot be put into a text; take an element with pick");
                    self.error(Fault::new(offset, message).place(at, text));
                }
                Piece::Expr { code, .. } => self.slot(code, encoding, &place, row),
            }
        }
    }

    /// An expression's place in a row; a constant becomes part of the literal bytes.
    fn slot(&mut self, code: Code, encoding: Encoding, at: &Arc<str>, row: &mut Row) {
        let names = code.uses().vars;
        let placed = self.bound(code).and_then(|code| row.slot(code, encoding, at));
        // Constants without values were judged when they were checked.
        if let Err(failure) = placed {
            let (at, message) = (at.to_string(), unfit(&failure.to_string(), &names));
            if self.values.is_some() {
                self.unfit.push(BindError::Unfit { at, message });
            } else {
                self.fault(&at, message);
            }
        }
    }

    fn pieces(&mut self, at: &str, text: &str) -> Vec<Piece> {
        template::parse(text, &self.scope).unwrap_or_else(|faults| {
            for fault in faults {
                self.error(fault.place(at, text));
            }
            Vec::new()
        })
    }

    /// Writes a JSON value; strings are templates, names of members are not.
    pub(super) fn json(&mut self, at: &str, value: &serde_json::Value, row: &mut Row) {
        match value {
            serde_json::Value::String(text) => self.json_string(at, text, row),
            serde_json::Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    row.literal(if i == 0 { b"[" } else { b"," });
                    self.json(&format!("{at}[{i}]"), item, row);
                }
                row.literal(if items.is_empty() { b"[]" } else { b"]" });
            }
            serde_json::Value::Object(members) => {
                for (i, (name, member)) in members.iter().enumerate() {
                    let mut text = if i == 0 { b"{".to_vec() } else { b",".to_vec() };
                    // Only headers refuse a text.
                    let _ = encode::text(name, Encoding::Json, &mut text);
                    text.push(b':');
                    row.literal(&text);
                    self.json(&format!("{at}.{name}"), member, row);
                }
                row.literal(if members.is_empty() { b"{}" } else { b"}" });
            }
            plain => row.literal(plain.to_string().as_bytes()),
        }
    }

    /// A string that is exactly one expression keeps the expression's type; any other is a string.
    fn json_string(&mut self, at: &str, text: &str, row: &mut Row) {
        let mut pieces = self.pieces(at, text);
        if let [Piece::Expr { .. }] = pieces.as_slice() {
            if let Some(Piece::Expr { code, .. }) = pieces.pop() {
                self.slot(code, Encoding::Json, &at.into(), row);
            }
            return;
        }
        row.literal(b"\"");
        self.append(at, text, pieces, Encoding::JsonString, row);
        row.literal(b"\"");
    }
}
