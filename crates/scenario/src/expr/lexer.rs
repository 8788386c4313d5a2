//! Text → tokens of CEL's grammar, one at a time, because only the parser knows where a `${}` ends.

use crate::error::Fault;

/// A token with the byte offset of its first character.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) offset: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Name(String),
    /// Magnitude; the parser applies a minus sign.
    Int(u64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    /// Operator or bracket.
    Mark(&'static str),
    End,
}

/// Longer ones first.
const MARKS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "!", "-", "+", "*",
    "/", "%", "<", ">", "=",
];

/// Reads tokens from a text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// Byte offset of the next character.
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// The next token; `End` for ever once the text is used up.
    pub(super) fn next(&mut self) -> Result<Token, Fault> {
        self.skip_blanks();
        let (rest, offset) = (self.rest(), self.at);
        let token = |kind| Ok(Token { kind, offset });
        let Some(first) = rest.chars().next() else { return token(TokenKind::End) };
        if let Some(literal) = self.string()? {
            return token(literal);
        }
        if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            return token(self.number()?);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            self.at += end;
            return token(TokenKind::Name(rest[..end].to_owned()));
        }
        match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            Some(&"=") => Err(Fault::new(offset, self.no_operator())),
            Some(mark) => {
                self.at += mark.len();
                token(TokenKind::Mark(mark))
            }
            None => Err(Fault::new(offset, stray(first, rest))),
        }
    }

    /// What to write in place of a single `=`.
    fn no_operator(&self) -> &'static str {
        let before = self.text.get(..self.at).unwrap_or("");
        if before.ends_with("==") {
            "\"===\" is no operator; use \"==\" to compare"
        } else if before.ends_with("!=") {
            "\"!==\" is no operator; use \"!=\" to compare"
        } else if self.rest().starts_with("=~") {
            "\"=~\" is no operator; write text.matches('…')"
        } else {
            "a single \"=\" is no operator; use \"==\" to compare"
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn number(&mut self) -> Result<TokenKind, Fault> {
        let (rest, offset) = (self.rest(), self.at);
        let bad = |text: &str| Fault::new(offset, format!("{text} is not a number that fits 64 bits"));
        if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            self.at += 2 + end;
            let value = u64::from_str_radix(&hex[..end], 16).map_err(|_| bad(&rest[..2 + end]))?;
            return Ok(self.int_or_uint(value));
        }
        let digits =
            |from: usize| rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| from + n);
        let mut end = digits(0);
        let mut double = false;
        if rest[end..].starts_with('.') && digits(end + 1) > end + 1 {
            (end, double) = (digits(end + 1), true);
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            if digits(end + 1 + sign) > end + 1 + sign {
                (end, double) = (digits(end + 1 + sign), true);
            }
        }
        self.at += end;
        let text = &rest[..end];
        if double {
            return text
                .parse()
                .ok()
                .filter(|v: &f64| v.is_finite())
                .map(TokenKind::Double)
                .ok_or_else(|| bad(text));
        }
        let value = text.parse().map_err(|_| bad(text))?;
        Ok(self.int_or_uint(value))
    }

    fn int_or_uint(&mut self, value: u64) -> TokenKind {
        if self.rest().starts_with(['u', 'U']) {
            self.at += 1;
            TokenKind::Uint(value)
        } else {
            TokenKind::Int(value)
        }
    }

    /// A string or bytes literal, if one begins here: prefixes `r` and `b`, single or triple quotes of either kind.
    fn string(&mut self) -> Result<Option<TokenKind>, Fault> {
        let (rest, offset) = (self.rest(), self.at);
        let prefix = rest.find(|c: char| !matches!(c, 'r' | 'R' | 'b' | 'B')).unwrap_or(rest.len());
        let quote = match rest[prefix..].chars().next() {
            Some(quote @ ('"' | '\'')) if prefix <= 2 => quote,
            _ => return Ok(None),
        };
        let raw = rest[..prefix].contains(['r', 'R']);
        let bytes = rest[..prefix].contains(['b', 'B']);
        let triple = rest[prefix..].starts_with([quote; 3].iter().collect::<String>().as_str());
        let close = quote.to_string().repeat(if triple { 3 } else { 1 });
        let mut at = prefix + close.len();
        let mut value = Vec::new();
        loop {
            let tail = rest.get(at..).unwrap_or("");
            if tail.starts_with(&close) {
                self.at = offset + at + close.len();
                break;
            }
            let Some(next) = tail.chars().next().filter(|c| triple || !matches!(c, '\n' | '\r')) else {
                return Err(Fault::new(offset, format!("the string is not closed with {close}")));
            };
            if next == '\\' && !raw {
                at += escape(tail, bytes, &mut value).map_err(|message| Fault::new(offset + at, message))?;
            } else {
                value.extend_from_slice(&tail.as_bytes()[..next.len_utf8()]);
                at += next.len_utf8();
            }
        }
        if bytes {
            return Ok(Some(TokenKind::Bytes(value)));
        }
        let text =
            String::from_utf8(value).map_err(|_| Fault::new(offset, "the string is not valid UTF-8"))?;
        Ok(Some(TokenKind::String(text)))
    }
}

/// Reads one escape sequence, which begins with a backslash; appends what it stands for and returns its length.
fn escape(text: &str, bytes: bool, out: &mut Vec<u8>) -> Result<usize, String> {
    let kind = text[1..].chars().next().ok_or("a backslash at the end")?;
    let simple = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' | '?' | '"' | '\'' | '`' => kind as u8,
        'x' | 'X' => return code_point(text, 2, 2, 16, bytes, out),
        'u' if !bytes => return code_point(text, 2, 4, 16, false, out),
        'U' if !bytes => return code_point(text, 2, 8, 16, false, out),
        '0'..='3' => return code_point(text, 1, 3, 8, bytes, out),
        _ => return Err(format!("unknown escape \\{kind}; write \\\\ for a backslash")),
    };
    out.push(simple);
    Ok(2)
}

/// Reads `digits` digits from `from`: a byte in bytes literals, else a code point.
fn code_point(
    text: &str,
    from: usize,
    digits: usize,
    radix: u32,
    byte: bool,
    out: &mut Vec<u8>,
) -> Result<usize, String> {
    let end = from + digits;
    let code = text
        .get(from..end)
        .filter(|t| t.chars().all(|c| c.is_digit(radix)))
        .and_then(|t| u32::from_str_radix(t, radix).ok())
        .ok_or_else(|| format!("an escape needs {digits} digits here"))?;
    if byte {
        out.push(u8::try_from(code).map_err(|_| "the escape is over one byte")?);
    } else {
        let character = char::from_u32(code).ok_or("the escape is no character")?;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(end)
}

/// The message of a character that begins nothing.
fn stray(first: char, rest: &str) -> String {
    let remedy = match first {
        '$' if rest.starts_with("${") => "; within an expression write names without ${ }, as in user.NAME",
        '$' => "; the JSON of a response is body, as in body.items[0].id",
        '&' => "; use \"&&\"",
        '|' => "; use \"||\"",
        ';' => "; an expression is one value, without an end mark",
        _ => "",
    };
    format!("unexpected character {first:?} in an expression{remedy}")
}
