//! Tests of the whole way from text to value.

use super::ast::Kind;
use super::*;
use crate::error::Fault;
use crate::rng::{Rng, Stream};

fn scope() -> Scope<'static> {
    Scope { vars: ["token", "agent"].into() }
}

fn kind_of(text: &str) -> Kind {
    parse_braced(&format!("${{{text}}}"), 2)
        .map(|(expr, _)| expr.kind)
        .unwrap_or_else(|f| panic!("{text}: {f:?}"))
}

fn checked(text: &str) -> Result<(Code, Type), Fault> {
    let (expr, _) = parse_braced(&format!("${{{text}}}"), 2)?;
    check(&expr, &scope())
}

fn eval(text: &str) -> Value {
    let (code, _) = checked(text).unwrap_or_else(|f| panic!("{text}: {f:?}"));
    code.eval(&mut Rng::new(1, Stream::Member, 1)).unwrap()
}

fn fault(text: &str) -> (usize, String) {
    let fault = checked(text).unwrap_err();
    let closest = fault.closest.map_or(String::new(), |c| format!(" -> {c}"));
    (fault.offset, fault.message + &closest)
}

fn string(text: &str) -> Value {
    Value::String(text.into())
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
        ("", 2, "empty ${}; put an expression between the braces, or write $${ for a literal ${"),
        ("1 +", 5, "expected a value, found \"}\""),
        ("pick([1, 2", 12, "expected \",\" or \"]\", found \"}\""),
        ("a = b", 4, "a single \"=\" is no operator; use \"==\" to compare"),
        ("'abc", 2, "the string is not closed with '"),
        ("'\\q'", 3, "unknown escape \\q; write \\\\ for a backslash"),
        ("9223372036854775808", 2, "the number does not fit 64 bits"),
        ("99999999999999999999", 2, "99999999999999999999 is not a number that fits 64 bits"),
        ("while", 2, "\"while\" is a reserved word"),
        ("a # b", 4, "unexpected character '#' in an expression"),
        ("uuid() uuid()", 9, "expected an operator or }, found \"uuid\""),
    ] {
        assert_eq!(fault(text), (offset, message.to_owned()), "{text}");
    }
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
fn names_and_types_are_checked_before_any_traffic() {
    for (text, offset, message) in [
        ("vars.tokn", 2, "unknown variable \"tokn\" -> token"),
        ("vars.zzzzzz", 2, "unknown variable \"zzzzzz\"; spec.vars declares agent, token"),
        ("token", 2, "unknown name \"token\" -> vars.token"),
        ("var.token", 2, "\"var\" is a reserved word -> vars"),
        ("vars", 2, "\"vars\" alone is no value; name a variable: vars.NAME"),
        ("uuid", 2, "\"uuid\" is a function; write uuid()"),
        ("'a' + randint(1, 2)", 8, "unknown function \"randint\" -> randInt"),
        ("randInt(1)", 2, "too few arguments; write randInt(min, max)"),
        ("uuid(1)", 7, "too many arguments; write uuid()"),
        ("randString('8')", 13, "randString(length) takes int here, not string"),
        ("pick('abc')", 7, "pick(list) takes list here, not string"),
        ("pick([])", 2, "pick from an empty list"),
        ("randInt(5, 1)", 2, "randInt(5, 1): the first bound is over the second"),
        ("randString(-1)", 2, "randString(-1): the length must be from 0 to 1048576"),
        ("'u' + 1", 6, "cannot add string and int; put the two into ${} of their own, one after the other"),
        ("1 + 1.0", 4, "cannot add int and double"),
        ("-'a'", 3, "cannot negate a string; \"-\" takes a number"),
        ("9223372036854775807 + 1", 22, "the number does not fit 64 bits"),
    ] {
        assert_eq!(fault(text), (offset, message.to_owned()), "{text}");
    }
    for text in ["user.token", "1 == 2", "true ? 1 : 2", "{'a': 1}", "[1][0]", "'a'.size()", "7u", "!true"] {
        let message = fault(text).1;
        assert!(message.contains("usable are vars.NAME"), "{text}: {message}");
    }
}

#[test]
fn types_are_known_where_they_can_be() {
    for (text, kind) in [
        ("pick(['a', 'b'])", Type::String),
        ("pick([1, 2])", Type::Int),
        ("pick([1, 'a'])", Type::Any),
        ("pick([[1], [2]])", Type::List(Box::new(Type::Int))),
        ("'a' + vars.token", Type::String),
        ("randInt(1, 2) + 1", Type::Int),
        ("pick([1, 'a']) + 1", Type::Int),
        ("[1] + [2]", Type::List(Box::new(Type::Int))),
        ("uuid()", Type::String),
    ] {
        assert_eq!(checked(text).unwrap().1, kind, "{text}");
    }
}

#[test]
fn functions_keep_to_their_ranges() {
    let mut rng = Rng::new(3, Stream::Member, 3);
    let mut run = |text: &str| {
        let code = checked(text).unwrap().0;
        (0..300).map(|_| code.eval(&mut rng).unwrap()).collect::<Vec<_>>()
    };
    let ints = run("randInt(-1, 1)");
    assert!(
        (-1..=1).all(|n| ints.contains(&Value::Int(n)))
            && ints.iter().all(|v| matches!(v, Value::Int(-1..=1)))
    );
    assert!(run("randInt(-9223372036854775808, 9223372036854775807)").len() == 300);
    for value in run("randString(7)") {
        let Value::String(text) = value else { panic!("{value:?}") };
        assert!(
            text.len() == 7 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            "{text}"
        );
    }
    for value in run("uuid()") {
        let Value::String(text) = value else { panic!("{value:?}") };
        let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
        assert_eq!((text.len(), dashes.as_slice(), &text[14..15]), (36, [8, 13, 18, 23].as_slice(), "4"));
        assert!("89ab".contains(&text[19..20]));
    }
    let picked = run("pick(['a', 'b', randString(2)])");
    assert!(
        picked.contains(&string("a"))
            && picked.contains(&string("b"))
            && picked.iter().any(|v| *v != string("a"))
    );
}

#[test]
fn values_known_only_at_run_time_can_fail_without_panic() {
    let code = checked("pick([1, 'a']) + 1").unwrap().0;
    let mut rng = Rng::new(1, Stream::Member, 1);
    let results: Vec<_> = (0..50).map(|_| code.eval(&mut rng)).collect();
    assert!(results.contains(&Ok(Value::Int(2))));
    assert!(results.contains(&Err(Failure("cannot add string and int".to_owned()))));
}

#[test]
fn constants_of_the_run_are_folded_away() {
    let vars = [("token".to_owned(), "s3cret".to_owned())].into();
    let code = checked("'Bearer ' + vars.token").unwrap().0;
    assert_eq!(code.fold(Some(&vars)).unwrap().constant(), Some(&string("Bearer s3cret")));
    assert!(checked("vars.agent").unwrap().0.fold(Some(&vars)).is_err());
}
