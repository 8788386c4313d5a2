//! Reads JSON (RFC 8259): a whole text into a [`Value`], or only what a constant path selects, without building the rest. Both
//! ways walk the whole text by the same grammar, so they agree on what is JSON and what is not.

use std::sync::Arc;

use super::value::{Key, Map, TypeName, Value};

/// Lists and maps within one another; bounds the recursion.
const DEEPEST: u32 = 127;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `.name` or `['name']`.
    Key(Arc<str>),
    /// `[3]`.
    At(i64),
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'t> {
    /// A value: its JSON text, without blanks around it.
    Value(&'t str),
    /// The step with this number leads nowhere from a value of this type.
    Nothing(usize, TypeName),
}

/// The value of a JSON text: numbers without fraction and exponent that fit are ints, all others doubles; of members with the
/// same name the last counts. Nothing if the text is not JSON.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let mut scan = Scan::new(text);
    let value = scan.value()?;
    scan.ends().then_some(value)
}

/// What a path leads to in a JSON text; nothing if the text is not JSON.
pub(super) fn select<'t>(text: &'t str, path: &[Step]) -> Option<Found<'t>> {
    let mut scan = Scan::new(text);
    let found = scan.select(path, 0)?;
    scan.ends().then_some(found)
}

/// The type of a value by its valid JSON text.
pub(super) fn type_of(raw: &str) -> TypeName {
    match raw.as_bytes().first() {
        Some(b'{') => TypeName::Map,
        Some(b'[') => TypeName::List,
        Some(b'"') => TypeName::String,
        Some(b't' | b'f') => TypeName::Bool,
        Some(b'n') | None => TypeName::Null,
        Some(_) => number(raw).map_or(TypeName::Double, |value| value.type_name()),
    }
}

/// Number of elements or members of a list or map by its valid JSON text.
pub(super) fn size_of(raw: &str) -> Option<usize> {
    if raw.starts_with('{') {
        // Names may repeat.
        return match parse(raw)? {
            Value::Map(map) => Some(map.len()),
            _ => None,
        };
    }
    let mut scan = Scan::new(raw);
    let mut count = 0;
    scan.items(|scan| {
        count += 1;
        scan.skip()
    })?;
    Some(count)
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    depth: u32,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth: 0 }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn blanks(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    fn ends(&mut self) -> bool {
        self.blanks().is_none()
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.blanks() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let found = self.bytes.get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        found.then_some(())
    }

    /// Goes through the elements of a list whose `[` is next.
    #[inline]
    fn items(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if !self.open(b']')? {
            return Some(());
        }
        loop {
            each(self)?;
            if !self.eat(b',') {
                return self.close(b']');
            }
        }
    }

    /// Goes through the members of a map whose `{` is next; `each` gets the name's quoted text.
    #[inline]
    fn members(&mut self, mut each: impl FnMut(&mut Self, &'t str) -> Option<()>) -> Option<()> {
        if !self.open(b'}')? {
            return Some(());
        }
        loop {
            if self.blanks()? != b'"' {
                return None;
            }
            let start = self.at;
            self.string()?;
            let name = self.text.get(start..self.at)?;
            if !self.eat(b':') {
                return None;
            }
            each(self, name)?;
            if !self.eat(b',') {
                return self.close(b'}');
            }
        }
    }

    /// Takes an opening bracket; whether anything is before its closing one, which is taken otherwise.
    #[inline]
    fn open(&mut self, close: u8) -> Option<bool> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let empty = self.eat(close);
        self.depth -= u32::from(empty);
        Some(!empty)
    }

    #[inline]
    fn close(&mut self, close: u8) -> Option<()> {
        self.depth -= 1;
        self.eat(close).then_some(())
    }

    /// Goes over a value.
    fn skip(&mut self) -> Option<()> {
        match self.blanks()? {
            b'{' => self.members(|scan, _| scan.skip()),
            b'[' => self.items(Self::skip),
            b'"' => self.string(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// Goes over a value and keeps what the path leads to.
    fn select(&mut self, path: &[Step], done: usize) -> Option<Found<'t>> {
        let next = self.blanks()?;
        let start = self.at;
        let Some(step) = path.get(done) else {
            self.skip()?;
            return self.text.get(start..self.at).map(Found::Value);
        };
        match (next, step) {
            (b'{', Step::Key(key)) => {
                let mut found = Found::Nothing(done, TypeName::Map);
                self.members(|scan, name| {
                    if is_name(name, key) {
                        found = scan.select(path, done + 1)?;
                        Some(())
                    } else {
                        scan.skip()
                    }
                })?;
                Some(found)
            }
            (b'[', Step::At(wanted)) => {
                let mut found = Found::Nothing(done, TypeName::List);
                let mut index = 0;
                self.items(|scan| {
                    let here = index == *wanted;
                    index += 1;
                    if here {
                        found = scan.select(path, done + 1)?;
                        Some(())
                    } else {
                        scan.skip()
                    }
                })?;
                Some(found)
            }
            _ => {
                self.skip()?;
                Some(Found::Nothing(done, type_of(self.text.get(start..self.at)?)))
            }
        }
    }

    /// Builds a value.
    fn value(&mut self) -> Option<Value> {
        let next = self.blanks()?;
        let start = self.at;
        Some(match next {
            b'{' => {
                let mut entries = Vec::new();
                self.members(|scan, name| {
                    entries.push((Key::String(unquoted(name)?), scan.value()?));
                    Some(())
                })?;
                Value::Map(Map::new(entries).into())
            }
            b'[' => {
                let mut items = Vec::new();
                self.items(|scan| {
                    items.push(scan.value()?);
                    Some(())
                })?;
                Value::List(items.into())
            }
            _ => {
                self.skip()?;
                scalar(self.text.get(start..self.at)?)?
            }
        })
    }

    /// Goes over a string whose quote is next.
    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += escape(self.text.get(self.at..)?)?.1,
                0..b' ' => return None,
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        let whole = self.at - start;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let mut exponent = false;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            exponent = true;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        // No double is as large as that.
        if exponent || whole > 300 {
            return number(self.text.get(start..self.at)?).map(|_| ());
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// The value of a valid JSON text that is no list and no map.
pub(super) fn scalar(raw: &str) -> Option<Value> {
    Some(match raw.as_bytes().first()? {
        b'"' => Value::String(unquoted(raw)?),
        b't' => Value::Bool(true),
        b'f' => Value::Bool(false),
        b'n' => Value::Null,
        _ => return number(raw),
    })
}

fn number(raw: &str) -> Option<Value> {
    if let Ok(int) = raw.parse() {
        return Some(Value::Int(int));
    }
    raw.parse().ok().filter(|double: &f64| double.is_finite()).map(Value::Double)
}

/// The text within a valid string's quotes, if none of it is escaped.
#[inline]
pub(super) fn plain(quoted: &str) -> Option<&str> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    (!inner.as_bytes().contains(&b'\\')).then_some(inner)
}

#[inline]
fn is_name(quoted: &str, name: &str) -> bool {
    match plain(quoted) {
        Some(inner) => inner == name,
        None => decoded(quoted).is_some_and(|inner| inner == name),
    }
}

fn unquoted(quoted: &str) -> Option<Arc<str>> {
    match plain(quoted) {
        Some(inner) => Some(inner.into()),
        None => decoded(quoted).map(Into::into),
    }
}

fn decoded(quoted: &str) -> Option<String> {
    let mut rest = quoted.get(1..quoted.len().checked_sub(1)?)?;
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (character, length) = escape(&rest[at..])?;
        out.push(character);
        rest = rest.get(at + length..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// The escape sequence that a text begins with: what it stands for and its length. A surrogate must have its other half.
fn escape(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    let simple = match bytes.get(1)? {
        b @ (b'"' | b'\\' | b'/') => char::from(*b),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex(bytes, 2)?;
            if !(0xd800..0xdc00).contains(&first) {
                return char::from_u32(first).map(|c| (c, 6));
            }
            let second = bytes.get(6..8).filter(|b| *b == b"\\u").and_then(|_| hex(bytes, 8))?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low).map(|c| (c, 12));
        }
        _ => return None,
    };
    Some((simple, 2))
}

fn hex(bytes: &[u8], from: usize) -> Option<u32> {
    bytes
        .get(from..from + 4)?
        .iter()
        .try_fold(0, |sum, b| char::from(*b).to_digit(16).map(|digit| sum * 16 + digit))
}
