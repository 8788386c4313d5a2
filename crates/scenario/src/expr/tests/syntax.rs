//! Literals, the grammar, and what is no expression at all.

use super::super::ast::Kind;
use super::*;

fn kind_of(text: &str) -> Kind {
    parse_whole(text).map(|expr| expr.kind).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

#[test]
fn literals_have_cels_values() {
    for (text, value) in [
        ("null", Value::Null),
        ("true", Value::Bool(true)),
        ("42", Value::Int(42)),
        ("0xFf", Value::Int(255)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("1.5e3", Value::Double(1500.0)),
        (".5", Value::Double(0.5)),
        ("- 2.5", Value::Double(-2.5)),
        (r#""a\"b""#, string("a\"b")),
        (r"'\n\x41\u00fc\101\\'", string("\nAüA\\")),
        (r"r'\n'", string("\\n")),
        ("'''it's\n'''", string("it's\n")),
        (
            "['a', 1, [null],]",
            Value::List([string("a"), Value::Int(1), Value::List([Value::Null].into())].into()),
        ),
        ("1 // one\n + 2", Value::Int(3)),
        ("size({'a': 1, 2: 'b', true: [],})", Value::Int(3)),
    ] {
        assert_eq!(eval(text), value, "{text}");
    }
}

#[test]
fn the_whole_grammar_parses_with_its_precedence() {
    let shape = |text: &str| format!("{:?}", kind_of(text));
    let Kind::Binary { op: "||", right, .. } = kind_of("a || b && c == d + e * f") else { panic!("or") };
    let Kind::Binary { op: "&&", right, .. } = right.kind else { panic!("and") };
    let Kind::Binary { op: "==", right, .. } = right.kind else { panic!("relation") };
    let Kind::Binary { op: "+", .. } = right.kind else { panic!("sum") };
    let Kind::Binary { op: "-", left, .. } = kind_of("a - b - c") else { panic!("left to right") };
    assert!(matches!(left.kind, Kind::Binary { op: "-", .. }));
    assert!(matches!(kind_of("a ? b : c ? d : e"), Kind::Ternary { .. }));
    assert!(matches!(kind_of("!has(user.ids)"), Kind::Unary { op: "!", .. }));
    assert!(matches!(kind_of("body.debates.map(d, d.id)"), Kind::Call { on: Some(_), .. }));
    assert!(matches!(kind_of("message.type in ['end', 'complete']"), Kind::Binary { op: "in", .. }));
    assert!(matches!(kind_of("{'a': 1, 'b': {}}['a']"), Kind::Index { .. }));
    assert!(matches!(kind_of("b'ab\\xff'"), Kind::Bytes(bytes) if bytes == b"ab\xff"));
    assert!(matches!(kind_of("7u"), Kind::Uint(7)));
    assert_eq!(shape("(a)"), shape("a "));
}

#[test]
fn syntax_errors_name_the_place() {
    for (text, offset, message) in [
        ("", 0, "no expression; write one, for example status == 200"),
        (" // nothing", 0, "no expression; write one, for example status == 200"),
        ("1 +", 3, "expected a value, found the end of the text"),
        ("pick([1, 2", 10, "expected \",\" or \"]\", found the end of the text"),
        ("a = b", 2, "a single \"=\" is no operator; use \"==\" to compare"),
        ("a === b", 4, "\"===\" is no operator; use \"==\" to compare"),
        ("a =~ b", 2, "\"=~\" is no operator; write text.matches('…')"),
        ("a and b", 2, "expected an operator or the end, found \"and\"; use \"&&\""),
        ("a | b", 2, "unexpected character '|' in an expression; use \"||\""),
        (
            "${user.id}",
            0,
            "unexpected character '$' in an expression; within an expression write names without ${ }, as in user.NAME",
        ),
        (
            "$.id",
            0,
            "unexpected character '$' in an expression; the JSON of a response is body, as in body.items[0].id",
        ),
        ("'abc", 0, "the string is not closed with '"),
        ("'\\q'", 1, "unknown escape \\q; write \\\\ for a backslash"),
        ("9223372036854775808", 0, "the number does not fit 64 bits"),
        ("99999999999999999999", 0, "99999999999999999999 is not a number that fits 64 bits"),
        ("while", 0, "\"while\" is a reserved word"),
        ("var.token", 0, "\"var\" is a reserved word -> vars"),
        ("a # b", 2, "unexpected character '#' in an expression"),
        ("uuid() uuid()", 7, "expected an operator or the end, found \"uuid\""),
        ("status == 200}", 13, "expected an operator or the end, found \"}\""),
        ("7u", 0, "there are no unsigned numbers; write 7 without the \"u\""),
        ("b'a'", 0, "there are no literals of bytes; write a string, without the \"b\""),
    ] {
        assert_eq!(fault(text), (offset, message.to_owned()), "{text}");
    }
    let empty = parse_braced("${}", 2).unwrap_err();
    assert!(empty.message.starts_with("empty ${}"), "{}", empty.message);
    let (expr, end) = parse_braced("${status}, ok", 2).unwrap();
    assert_eq!((expr.kind, end), (Kind::Name("status".into()), 9));
}

#[test]
fn deep_and_long_expressions_are_refused_not_overflowed() {
    for text in
        ["(".repeat(10_000), "-".repeat(10_000), "[".repeat(10_000), "1+".repeat(10_000), "a.".repeat(10_000)]
    {
        let message = fault(&format!("{text}a")).1;
        assert!(message.contains("too large"), "{message}");
    }
    let names: Vec<String> = (0..20_000).map(|n| format!("'name{n}'")).collect();
    assert!(matches!(eval(&format!("pick([{}])", names.join(","))), Value::String(_)));
}

#[test]
fn the_deepest_expressions_fit_a_small_stack() {
    let deep = [
        (format!("{}status", "status + ".repeat(199)), true),
        (format!("{}status", "status + ".repeat(200)), false),
        (format!("body{}", ".a".repeat(300)), false),
        (format!("{}[1]{}", "[1].map(x, ".repeat(40), ")".repeat(40)), true),
        (
            format!(
                "first({}",
                "first(status > 1 ? status + size([status]) : ".repeat(20) + "1" + &")".repeat(21)
            ),
            true,
        ),
        (format!("json(text){}", "['debates']".repeat(190)), true),
    ];
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || {
        for (text, fits) in &deep {
            match checked(text) {
                Ok(_) => assert!(*fits, "{text}"),
                Err(fault) => assert!(!fits && fault.message.contains("too deeply"), "{text}: {fault:?}"),
            }
            let _ = try_eval(text);
        }
    });
    thread.unwrap().join().unwrap();
}
