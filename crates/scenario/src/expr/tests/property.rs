//! Random expressions: none panics, whatever it comes to, and what a type was known of keeps to it.

use proptest::prelude::*;

use super::*;

/// Expressions that stand alone.
const LEAVES: [&str; 40] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "9223372036854775807",
    "-9223372036854775808",
    "1.5",
    "-0.5",
    "1e300",
    "'a'",
    "'ab,c'",
    "'1'",
    "''",
    "'ü'",
    "[]",
    "[1, 2, 3]",
    "['a', 'b']",
    "{'a': 1, 'b': [2]}",
    "{1: 'x', true: 2}",
    "vars.token",
    "user.token",
    "user.ids",
    "user.n",
    "user.unset",
    "setup.tenant",
    "data.users.email",
    "data.users.basket",
    "run.user",
    "status",
    "body",
    "body.debates",
    "text",
    "headers",
    "latency",
    "error",
    "message",
    "now()",
];

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(LEAVES.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 4, |inner| {
        let op = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
        ]);
        let method = prop::sample::select(vec![
            "size()", "contains('a')", "startsWith('a')", "split(',')", "split('', 2)", "join('-')", "join()", "trim()",
            "upperAscii()", "replace('a', 'bb')", "replace('', 'x', 1)", "substring(1)", "substring(0, 2)",
            "indexOf('b')", "indexOf('', 1)", "matches('^a+')", "getSeconds()", "getMilliseconds()",
        ]);
        let function = prop::sample::select(vec![
            "size", "type", "int", "double", "string", "bool", "duration", "timestamp", "dyn", "json", "base64",
            "urlEncode", "pick", "first", "!", "-", "randString",
        ]);
        let two = prop::sample::select(vec!["min", "max", "sample", "randInt", "first"]);
        let looped = prop::sample::select(vec!["all", "exists", "exists_one", "filter", "map"]);
        prop_oneof![
            4 => (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            2 => (inner.clone(), method).prop_map(|(a, method)| format!("({a}).{method}")),
            2 => (function, inner.clone()).prop_map(|(name, a)| format!("{name}({a})")),
            1 => (two, inner.clone(), inner.clone()).prop_map(|(name, a, b)| format!("{name}({a}, {b})")),
            2 => (inner.clone(), looped, inner.clone()).prop_map(|(a, name, b)| format!("({a}).{name}(x, {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}).filter(x, x == {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}).map(x, [x] + [{b}])")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            1 => inner.clone().prop_map(|a| format!("({a}).a")),
            1 => inner.clone().prop_map(|a| format!("has(({a}).a)")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("{{'a': {a}, 'b': {b}}}")),
        ]
    })
}

/// An expression over anything at all: types are judged only when it is computed.
fn untyped(text: &str) -> String {
    format!("dyn({text})")
}

fn environment(text: &str, vars: &[(&str, &str)]) -> Option<(Result<Value, String>, Type)> {
    let (code, kind) = checked(text).ok()?;
    let vars: Vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (shared, mut memory, response) = (shared(), memory(), response());
    let message = Message::new("{\"a\": \"b\"}".into());
    let folded = match code.fold(Some(&Constants { vars: &vars, run: &shared.run })) {
        Ok(folded) => folded,
        Err(failure) => return Some((Err(failure.to_string()), kind)),
    };
    let mut env = Env {
        shared: &shared,
        memory: &mut memory,
        response: Some(&response),
        message: Some(&message),
        now: NOW,
    };
    Some((folded.eval(&mut env).map_err(|failure| failure.to_string()), kind))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_panics_and_types_are_kept(text in expression()) {
        for text in [text.clone(), untyped(&text)] {
            let Some((result, kind)) = environment(&text, &[("token", "s3cret"), ("agent", "")]) else { continue };
            match result {
                Ok(value) => prop_assert!(value.kind().may_be(&kind), "{}: {:?} is no {}", text, value, kind),
                Err(message) => prop_assert!(!message.contains("s3cret"), "{}: {}", text, message),
            }
        }
    }

    #[test]
    fn folding_changes_no_value(text in expression()) {
        let Ok((code, _)) = checked(&text) else { return Ok(()) };
        let vars: Vars = [("token".to_owned(), "12".to_owned())].into();
        let run = shared().run;
        let evaluate = |code: &Code| {
            let (shared, mut memory, response) = (shared(), memory(), response());
            memory.set_slot(3, Value::text("12"));
            let mut env =
                Env { shared: &shared, memory: &mut memory, response: Some(&response), message: None, now: NOW };
            code.eval(&mut env)
        };
        // The same expression with a variable of the user in place of the constant cannot be folded.
        let late = checked(&text.replace("user.unset", "user.token").replace("vars.token", "user.unset"));
        let early = checked(&text.replace("user.unset", "user.token"));
        let (Ok((late, _)), Ok((early, _))) = (late, early) else { return Ok(()) };
        drop(code);
        match early.fold(Some(&Constants { vars: &vars, run: &run })) {
            Ok(folded) => prop_assert_eq!(evaluate(&folded).ok(), evaluate(&late).ok(), "{}", text),
            // Loops over nothing apart, what can never work does not.
            Err(_) => prop_assert!(evaluate(&late).is_err(), "{}", text),
        }
    }

    #[test]
    fn any_text_is_judged_without_panic(text in "[a-z0-9.'\"(){}\\[\\]+?:!<>=&|$ \\\\,*/%-]{0,40}", wild in any::<String>()) {
        for text in [text, wild] {
            if let Ok((code, _)) = checked(&text) {
                let (shared, mut memory) = (shared(), memory());
                let mut env = Env { shared: &shared, memory: &mut memory, response: None, message: None, now: 0 };
                let _ = code.eval(&mut env);
            }
        }
    }

    #[test]
    fn ints_behave_as_wider_ones(a in any::<i64>(), b in any::<i64>(), small in -3_i64..4) {
        for b in [b, small] {
            let eval = |op: &str| {
                let (code, _) = checked(&format!("user.token {op} user.unset")).unwrap();
                let (shared, mut memory) = (shared(), memory());
                memory.set_slot(0, Value::Int(a));
                memory.set_slot(3, Value::Int(b));
                code.eval(&mut Env { shared: &shared, memory: &mut memory, response: None, message: None, now: 0 }).ok()
            };
            let (wide_a, wide_b) = (i128::from(a), i128::from(b));
            let int = |wide: Option<i128>| wide.and_then(|wide| i64::try_from(wide).ok()).map(Value::Int);
            prop_assert_eq!(eval("+"), int(Some(wide_a + wide_b)));
            prop_assert_eq!(eval("-"), int(Some(wide_a - wide_b)));
            prop_assert_eq!(eval("*"), int(Some(wide_a * wide_b)));
            prop_assert_eq!(eval("/"), int(wide_a.checked_div(wide_b)));
            prop_assert_eq!(eval("%"), int(wide_a.checked_rem(wide_b)));
            prop_assert_eq!(eval("<"), Some(Value::Bool(a < b)));
            prop_assert_eq!(eval("=="), Some(Value::Bool(a == b)));
        }
    }

    #[test]
    fn order_across_types_is_that_of_the_numbers(a in any::<i64>(), shift in -2_i64..3, b in any::<f64>()) {
        let near = a.saturating_add(shift) as f64;
        for b in [b, near] {
            // Exact in 192 bits or so: halves of doubles of this size are whole numbers of 2⁻¹⁰⁷⁴, so compare by parts.
            let expected = if b.is_nan() {
                None
            } else {
                let whole = b.floor();
                let whole_int = if whole >= 1e30 { i128::MAX } else if whole <= -1e30 { i128::MIN } else { whole as i128 };
                Some(i128::from(a).cmp(&whole_int).then(if b > whole { std::cmp::Ordering::Less } else { std::cmp::Ordering::Equal }))
            };
            let found = super::super::ops::order(&Value::Int(a), &Value::Double(b)).unwrap();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(super::super::ops::equal(&Value::Double(b), &Value::Int(a)), expected == Some(std::cmp::Ordering::Equal));
        }
    }

    #[test]
    fn timestamps_read_back(nanos in any::<i64>()) {
        let millis = nanos.div_euclid(1_000_000) * 1_000_000;
        let mut text = String::new();
        write_timestamp(nanos, &mut text);
        if i64::MIN + 1_000_000 < nanos {
            prop_assert_eq!(Value::text(&text).moment(), Ok(millis), "{}", text);
        }
        let mut text = String::new();
        write_duration(nanos, &mut text);
        prop_assert_eq!(try_eval_with(&format!("duration('{text}')"), None, None), Ok(Value::Duration(nanos)));
    }
}
