//! Tokens → tree, by precedence climbing, for the whole expression grammar of CEL but message construction.

use super::ast::{Expr, Kind};
use super::lexer::{Lexer, Token, TokenKind};
use crate::error::Fault;

/// Brackets and unary operators within one another; bounds the parser's own recursion.
const DEEPEST: u32 = 50;
/// Operators, calls and brackets in one expression; bounds the recursion of whoever walks the tree.
const LARGEST: u32 = 1000;

/// Words that CEL keeps from being names.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Parses the expression that begins at `start` and ends with the `}` that closes its `${`; returns the offset after it.
pub(crate) fn parse_braced(text: &str, start: usize) -> Result<(Expr, usize), Fault> {
    let mut parser = Parser::new(text, start)?;
    if parser.ahead.kind == TokenKind::Mark("}") {
        return Err(Fault::new(
            start,
            "empty ${}; put an expression between the braces, or write $${ for a literal ${",
        ));
    }
    let expr = parser.expression()?;
    match parser.ahead.kind {
        TokenKind::Mark("}") => Ok((expr, parser.ahead.offset + 1)),
        TokenKind::End => Err(Fault::new(start.saturating_sub(2), "${ without its closing }")),
        _ => Err(parser.unexpected("an operator or }")),
    }
}

/// Parses a text that is one expression.
pub(crate) fn parse_whole(text: &str) -> Result<Expr, Fault> {
    let mut parser = Parser::new(text, 0)?;
    if parser.ahead.kind == TokenKind::End {
        return Err(Fault::new(0, "no expression; write one, for example status == 200"));
    }
    let expr = parser.expression()?;
    match parser.ahead.kind {
        TokenKind::End => Ok(expr),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token, not yet used.
    ahead: Token,
    depth: u32,
    size: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, start: usize) -> Result<Self, Fault> {
        let mut lexer = Lexer::new(text, start);
        let ahead = lexer.next()?;
        Ok(Self { lexer, ahead, depth: 0, size: 0 })
    }

    /// Takes the next token. Nothing is read past a `}`: what follows may be plain text of a template.
    fn take(&mut self) -> Result<Token, Fault> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.ahead, next))
    }

    fn at(&self, mark: &'static str) -> bool {
        self.ahead.kind == TokenKind::Mark(mark)
    }

    fn eat(&mut self, mark: &'static str) -> Result<bool, Fault> {
        let found = self.at(mark);
        if found {
            self.take()?;
        }
        Ok(found)
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), Fault> {
        if self.eat(mark)? { Ok(()) } else { Err(self.unexpected(mark)) }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let found = match &self.ahead.kind {
            TokenKind::Name(name) => format!("\"{name}\""),
            TokenKind::Int(_) | TokenKind::Uint(_) | TokenKind::Double(_) => "a number".to_owned(),
            TokenKind::String(_) | TokenKind::Bytes(_) => "a string".to_owned(),
            TokenKind::Mark(mark) => format!("\"{mark}\""),
            TokenKind::End => "the end of the text".to_owned(),
        };
        let operator = match &self.ahead.kind {
            TokenKind::Name(name) => match &**name {
                "and" | "AND" => "; use \"&&\"",
                "or" | "OR" => "; use \"||\"",
                "not" | "is" | "eq" => "; use \"==\", \"!=\" or \"!\"",
                _ => "",
            },
            _ => "",
        };
        Fault::new(self.ahead.offset, format!("expected {wanted}, found {found}{operator}"))
    }

    fn grow(&mut self) -> Result<(), Fault> {
        self.size += 1;
        if self.size > LARGEST || self.depth > DEEPEST {
            return Err(Fault::new(self.ahead.offset, "the expression is too large; split it"));
        }
        Ok(())
    }

    fn expression(&mut self) -> Result<Expr, Fault> {
        self.depth += 1;
        self.grow()?;
        let test = self.binary(0)?;
        let expr = if self.at("?") {
            let offset = self.take()?.offset;
            let yes = Box::new(self.binary(0)?);
            self.expect(":")?;
            let no = Box::new(self.expression()?);
            Expr { kind: Kind::Ternary { test: Box::new(test), yes, no }, offset }
        } else {
            test
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn binary(&mut self, least: u8) -> Result<Expr, Fault> {
        let mut left = self.unary()?;
        while let Some((op, level)) = self.operator().filter(|(_, level)| *level >= least) {
            self.grow()?;
            let offset = self.take()?.offset;
            let right = Box::new(self.binary(level + 1)?);
            left = Expr { kind: Kind::Binary { op, left: Box::new(left), right }, offset };
        }
        Ok(left)
    }

    /// The binary operator ahead and how tightly it binds.
    fn operator(&self) -> Option<(&'static str, u8)> {
        match &self.ahead.kind {
            TokenKind::Name(name) if name == "in" => Some(("in", 2)),
            TokenKind::Mark(mark) => match *mark {
                "||" => Some((mark, 0)),
                "&&" => Some((mark, 1)),
                "==" | "!=" | "<" | "<=" | ">" | ">=" => Some((mark, 2)),
                "+" | "-" => Some((mark, 3)),
                "*" | "/" | "%" => Some((mark, 4)),
                _ => None,
            },
            _ => None,
        }
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let op = match self.ahead.kind {
            TokenKind::Mark(op @ ("!" | "-")) => op,
            _ => return self.postfix(),
        };
        self.depth += 1;
        self.grow()?;
        let offset = self.take()?.offset;
        let expr = match (op, &self.ahead.kind) {
            // The magnitude of the least integer does not fit an integer without its sign.
            ("-", TokenKind::Int(magnitude)) => {
                let kind = Kind::Int(signed(*magnitude, true, offset)?);
                self.take()?;
                self.suffixes(Expr { kind, offset })?
            }
            _ => Expr { kind: Kind::Unary { op, of: Box::new(self.unary()?) }, offset },
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn postfix(&mut self) -> Result<Expr, Fault> {
        let primary = self.primary()?;
        self.suffixes(primary)
    }

    fn suffixes(&mut self, mut expr: Expr) -> Result<Expr, Fault> {
        loop {
            let offset = expr.offset;
            let kind = if self.at(".") {
                self.grow()?;
                self.take()?;
                let TokenKind::Name(name) = self.ahead.kind.clone() else {
                    return Err(self.unexpected("a name after the dot"));
                };
                self.take()?;
                if self.eat("(")? {
                    Kind::Call { on: Some(Box::new(expr)), name, args: self.list(")")? }
                } else {
                    Kind::Member { of: Box::new(expr), name }
                }
            } else if self.at("[") {
                self.grow()?;
                self.take()?;
                let index = Box::new(self.expression()?);
                self.expect("]")?;
                Kind::Index { of: Box::new(expr), index }
            } else {
                return Ok(expr);
            };
            expr = Expr { kind, offset };
        }
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let offset = self.ahead.offset;
        let kind = match self.ahead.kind.clone() {
            TokenKind::Mark("(") => {
                self.take()?;
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            TokenKind::Mark("[") => {
                self.take()?;
                return Ok(Expr { kind: Kind::List(self.list("]")?), offset });
            }
            TokenKind::Mark("{") => {
                self.take()?;
                return Ok(Expr { kind: Kind::Map(self.entries()?), offset });
            }
            TokenKind::Name(name) => return self.name(name, offset),
            TokenKind::Int(magnitude) => Kind::Int(signed(magnitude, false, offset)?),
            TokenKind::Uint(value) => Kind::Uint(value),
            TokenKind::Double(value) => Kind::Double(value),
            TokenKind::String(value) => Kind::String(value),
            TokenKind::Bytes(value) => Kind::Bytes(value),
            TokenKind::Mark(_) | TokenKind::End => return Err(self.unexpected("a value")),
        };
        self.take()?;
        Ok(Expr { kind, offset })
    }

    fn name(&mut self, name: String, offset: usize) -> Result<Expr, Fault> {
        if name == "in" || RESERVED.contains(&name.as_str()) {
            let closest = (name == "var").then(|| "vars".to_owned());
            return Err(Fault { closest, ..Fault::new(offset, format!("\"{name}\" is a reserved word")) });
        }
        self.take()?;
        let kind = match name.as_str() {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            _ if self.eat("(")? => Kind::Call { on: None, name, args: self.list(")")? },
            _ => Kind::Name(name),
        };
        Ok(Expr { kind, offset })
    }

    /// Expressions up to the closing bracket, which is taken; a comma may follow the last.
    fn list(&mut self, close: &'static str) -> Result<Vec<Expr>, Fault> {
        let mut items = Vec::new();
        while !self.eat(close)? {
            // A list of plain values may be as long as it likes: it adds nothing to the depth of the tree.
            let size = self.size;
            items.push(self.expression()?);
            if self.size == size + 1 {
                self.size = size;
            }
            if !self.eat(",")? && !self.at(close) {
                return Err(self.unexpected(&format!("\",\" or \"{close}\"")));
            }
        }
        Ok(items)
    }

    fn entries(&mut self) -> Result<Vec<(Expr, Expr)>, Fault> {
        let mut entries = Vec::new();
        while !self.eat("}")? {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.eat(",")? && !self.at("}") {
                return Err(self.unexpected("\",\" or \"}\""));
            }
        }
        Ok(entries)
    }
}

fn signed(magnitude: u64, negative: bool, offset: usize) -> Result<i64, Fault> {
    let value = if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
    value.ok_or_else(|| Fault::new(offset, "the number does not fit 64 bits"))
}
