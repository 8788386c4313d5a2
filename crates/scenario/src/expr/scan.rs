//! Walks over JSON (RFC 8259) without building anything: `json.rs` builds on it.

/// Lists and maps within one another; bounds the recursion.
const DEEPEST: u32 = 127;

/// A place in a JSON text. If the text is `KNOWN` to be JSON, it is walked over with less care.
pub(super) struct Scan<'t, const KNOWN: bool> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    depth: u32,
}

/// The quoted text of a string.
#[derive(Clone, Copy)]
pub(super) struct Quoted<'t> {
    /// With its quotes.
    pub(super) text: &'t str,
    /// Whether any of it is escaped.
    pub(super) escaped: bool,
}

impl<'t, const KNOWN: bool> Scan<'t, KNOWN> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth: 0 }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Goes over blanks; the byte after them.
    #[inline]
    pub(super) fn blanks(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Whether nothing but blanks follows.
    pub(super) fn ends(&mut self) -> bool {
        self.blanks().is_none()
    }

    /// Byte offset of what is next.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text from an offset up to here.
    #[inline]
    pub(super) fn since(&self, start: usize) -> Option<&'t str> {
        self.text.get(start..self.at)
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.blanks() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn word(&mut self, word: &str) -> Option<()> {
        let found = self.bytes.get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        found.then_some(())
    }

    /// Goes through the elements of a list whose `[` is next.
    #[inline]
    pub(super) fn items(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
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

    /// Goes through the members of a map whose `{` is next.
    #[inline]
    pub(super) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Quoted<'t>) -> Option<()>,
    ) -> Option<()> {
        if !self.open(b'}')? {
            return Some(());
        }
        loop {
            if self.blanks()? != b'"' {
                return None;
            }
            let start = self.at;
            let escaped = self.string()?;
            let name = Quoted { text: self.since(start)?, escaped };
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
    pub(super) fn skip(&mut self) -> Option<()> {
        match self.blanks()? {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' if KNOWN => self.brackets(),
            b'{' => self.members(|scan, _| scan.skip()),
            b'[' => self.items(Self::skip),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// Goes over a list or map that is known to be well formed.
    fn brackets(&mut self) -> Option<()> {
        let mut open = 0_u32;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Some(());
            }
        }
    }

    /// Goes over a string whose quote is next; whether any of it is escaped.
    #[inline]
    pub(super) fn string(&mut self) -> Option<bool> {
        self.at += 1;
        let mut escaped = false;
        loop {
            if let Some(eight) = self.bytes.get(self.at..self.at + 8)
                && let Ok(eight) = eight.try_into()
            {
                let plain = plain_bytes(u64::from_le_bytes(eight));
                self.at += plain;
                if plain == 8 {
                    continue;
                }
            }
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.at += if KNOWN { 2 } else { escape(self.text.get(self.at..)?)?.1 };
                }
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
        // Without an exponent, only a number with so many digits can be too large for a double.
        if !KNOWN && (exponent || whole > 300) {
            return self.since(start)?.parse().ok().filter(|double: &f64| double.is_finite()).map(|_| ());
        }
        Some(())
    }

    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// How many of eight bytes, from the first on, are neither quote nor backslash nor control character.
#[inline]
fn plain_bytes(eight: u64) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    // The lowest byte that is under `least` has its top bit set, and no byte before it.
    let under = |value: u64, least: u64| value.wrapping_sub(ONES * least) & !value & TOPS;
    let special = under(eight ^ (ONES * u64::from(b'"')), 1)
        | under(eight ^ (ONES * u64::from(b'\\')), 1)
        | under(eight, u64::from(b' '));
    (special.trailing_zeros() / 8) as usize
}

/// The escape sequence that a text begins with: what it stands for and its length. A surrogate must have its other half.
pub(super) fn escape(text: &str) -> Option<(char, usize)> {
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
