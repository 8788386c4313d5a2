//! Template text → literal text and checked expressions: `${expr}` is an expression, `$${` a literal `${`, any other `$` itself.

use crate::error::Fault;
use crate::expr::{Code, Scope, Type, check, parse_braced};

/// A stretch of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// Plain text, escapes resolved.
    Text(String),
    /// An expression.
    Expr {
        code: Code,
        kind: Type,
        /// Byte offset of its `${` in the template.
        offset: usize,
    },
}

/// Splits a template and checks its expressions; adjacent text is one piece. Reports every expression that is wrong.
pub(crate) fn parse(text: &str, scope: &Scope<'_>) -> Result<Vec<Piece>, Vec<Fault>> {
    let mut pieces = Vec::new();
    let mut faults = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${").map(|n| at + n) {
        if text[at..found].ends_with('$') {
            plain.push_str(&text[at..found - 1]);
            plain.push_str("${");
            at = found + 2;
            continue;
        }
        plain.push_str(&text[at..found]);
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        match parse_braced(text, found + 2) {
            Ok((expr, end)) => {
                match check(&expr, scope) {
                    Ok((code, kind)) => pieces.push(Piece::Expr { code, kind, offset: found }),
                    Err(fault) => faults.push(fault),
                }
                at = end;
            }
            // Where this expression ends is not known, so nothing after it can be judged.
            Err(fault) => {
                faults.push(fault);
                return Err(faults);
            }
        }
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    if faults.is_empty() { Ok(pieces) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope() -> Scope<'static> {
        Scope { vars: ["name"].into(), ..Scope::default() }
    }

    fn texts(text: &str) -> Vec<String> {
        let show = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Expr { code, offset, .. } => format!("<{code:?}@{offset}>"),
        };
        parse(text, &scope()).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn text_and_expressions_alternate() {
        assert_eq!(texts("/a/${uuid()}/b"), ["/a/", "<Uuid@3>", "/b"]);
        assert_eq!(texts("${vars.name}${vars['name']}"), [r#"<Var("name")@0>"#, r#"<Var("name")@12>"#]);
        assert_eq!(texts(""), Vec::<String>::new());
    }

    #[test]
    fn dollars_are_escaped_only_before_a_brace() {
        assert_eq!(texts("$5 $$ $${x} $"), ["$5 $$ ${x} $"]);
        assert_eq!(texts("$$${uuid()}"), ["$${uuid()}"]);
    }

    #[test]
    fn braces_and_strings_within_an_expression_do_not_end_it() {
        assert_eq!(texts("${pick(['}', \"${\"])}!").len(), 2);
    }

    #[test]
    fn every_wrong_expression_is_reported_with_its_offset() {
        let faults = parse("${vars.nam}-${uid()}", &scope()).unwrap_err();
        assert_eq!(faults.iter().map(|f| f.offset).collect::<Vec<_>>(), [2, 14]);
        assert_eq!(faults[0].closest.as_deref(), Some("name"));
        assert_eq!(faults[1].closest.as_deref(), Some("uuid"));
        let open = parse("ab ${uuid()", &scope()).unwrap_err();
        assert_eq!((open[0].offset, open[0].message.as_str()), (3, "${ without its closing }"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,40}", inner in "[a-z0-9.'\"(){}\\[\\]+?:!<>=&|$ \\\\-]{0,40}") {
            let _ = parse(&text, &scope());
            let _ = parse(&format!("{text}${{{inner}}}"), &scope());
        }

        #[test]
        fn text_without_braces_stands_for_itself(text in "[^{]{0,40}") {
            let pieces = parse(&text, &scope()).unwrap();
            let expected = if text.is_empty() { vec![] } else { vec![Piece::Text(text)] };
            prop_assert_eq!(pieces, expected);
        }
    }
}
