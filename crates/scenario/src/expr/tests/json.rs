//! The reader of JSON against `serde_json`, and paths against whole documents.

use proptest::prelude::*;

use super::super::json::{Found, Step, parse, select};
use super::*;

/// What `serde_json` makes of it; its doubles may be off by some bits.
fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Double(a), serde_json::Value::Number(b)) => {
            let b = b.as_f64().unwrap();
            !theirs.is_i64() && (a - b).abs() <= a.abs().max(f64::MIN_POSITIVE) * 4.0 * f64::EPSILON
        }
        // `serde_json` takes -0 for a double.
        (Value::Int(0), serde_json::Value::Number(b)) => b.as_f64() == Some(0.0),
        (Value::List(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), serde_json::Value::Object(b)) => {
            a.len() == b.len() && b.iter().all(|(key, b)| a.get(key).is_some_and(|a| same(a, b)))
        }
        _ => *ours == Value::from(theirs),
    }
}

fn agree(text: &str) {
    let theirs: Result<serde_json::Value, _> = serde_json::from_str(text);
    match (parse(text), theirs) {
        (Some(ours), Ok(theirs)) => assert!(same(&ours, &theirs), "{text}: {ours:?}, {theirs:?}"),
        (None, Err(_)) => {}
        (ours, theirs) => panic!("{text}: {ours:?}, {theirs:?}"),
    }
    // Going over it without building it judges it alike.
    let nowhere = [Step::Key("no such".into())];
    let judged = select::<false>(text, &nowhere);
    assert_eq!(judged.is_some(), parse(text).is_some(), "{text}");
    if judged.is_some() {
        assert_eq!(select::<true>(text, &nowhere), judged, "{text}");
    }
}

/// JSON, and what looks like it.
const TEXTS: &[&str] = &[
    "",
    " ",
    "null",
    " null ",
    "nul",
    "nulll",
    "true",
    "tru",
    "false",
    "0",
    "-0",
    "-",
    "00",
    "01",
    "1.",
    ".5",
    "1.5",
    "1e5",
    "1E+5",
    "1e-5",
    "1e",
    "1e+",
    "1.e5",
    "-1.5e3",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-1e400",
    "1e-400",
    "\"\"",
    "\"a",
    "\"\\u00e4\\n\\/\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83dx\"",
    "\"\\ud83d\\u0041\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\t\"",
    "\"\u{7f}\"",
    "\"ü\"",
    "[]",
    "[ ]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1,2",
    "[1]]",
    "{}",
    "{ }",
    "{\"a\":1}",
    "{\"a\":1,}",
    "{a:1}",
    "{\"a\" 1}",
    "{\"a\":}",
    "{\"a\":1",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1,\"a\":2}",
    "{\"\\u0061\":1}",
    "[[],{},[{}]]",
    "\u{feff}1",
    "1 1",
    "+1",
    "NaN",
    "Infinity",
    "\u{a0}1",
    "'a'",
    "[1}",
    "{\"a\":[}",
    "// c\n1",
];

#[test]
fn what_is_json_and_what_is_not() {
    for text in TEXTS {
        agree(text);
    }
    let digits = |n: usize| "9".repeat(n);
    for text in
        [digits(308), digits(309), digits(310), format!("0.{}", digits(400)), format!("-{}", digits(400))]
    {
        agree(&text);
    }
    for depth in [1, 126, 127, 128, 129, 10_000] {
        agree(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        agree(&format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
    }
}

#[test]
fn paths_find_the_last_of_several_names() {
    let text = r#"{"a": 1, "a": {"b": [1, {"c": "x"}]}, "\u0061": {"b": [[], 2]}}"#;
    let key = |name: &str| Step::Key(name.into());
    let find = |path: &[Step]| {
        let found = select::<false>(text, path).unwrap();
        assert_eq!(select::<true>(text, path), Some(found));
        found
    };
    assert_eq!(find(&[key("a"), key("b"), Step::At(1)]), Found::Value("2"));
    assert_eq!(find(&[key("a")]), Found::Value(r#"{"b": [[], 2]}"#));
    assert_eq!(find(&[]), Found::Value(text));
    assert_eq!(find(&[key("b"), key("a")]), Found::Nothing(0, TypeName::Map));
    assert_eq!(find(&[key("a"), key("b"), key("c")]), Found::Nothing(2, TypeName::List));
    assert_eq!(find(&[key("a"), key("b"), Step::At(2)]), Found::Nothing(2, TypeName::List));
    assert_eq!(find(&[key("a"), key("b"), Step::At(1), key("x")]), Found::Nothing(3, TypeName::Int));
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        "[a-c\"\\\\]{0,4}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec(("[a-d]", inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn path() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        "[a-d]".prop_map(|name| Step::Key(name.as_str().into())),
        (-1_i64..4).prop_map(Step::At),
    ];
    prop::collection::vec(step, 0..5)
}

/// A document whose bytes were tampered with.
fn broken() -> impl Strategy<Value = String> {
    let mark = prop::sample::select("{}[]\",:\\0-.eu t".chars().collect::<Vec<_>>());
    (document(), prop::collection::vec((any::<prop::sample::Index>(), mark), 0..4)).prop_map(
        |(document, edits)| {
            let mut letters: Vec<char> = document.to_string().chars().collect();
            for (at, mark) in edits {
                let at = at.index(letters.len() + 1);
                if at < letters.len() { letters[at] = mark } else { letters.push(mark) }
            }
            letters.into_iter().collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn documents_read_as_serde_json_reads_them(document in document(), pretty in any::<bool>()) {
        agree(&if pretty { format!("{document:#}") } else { document.to_string() });
    }

    #[test]
    fn broken_documents_are_refused_as_serde_json_refuses_them(text in broken()) {
        agree(&text);
    }

    #[test]
    fn any_text_is_judged_as_serde_json_judges_it(text in "[\\[\\]{}\",:\\\\u0-9dDeE+.\\- tnrufalse]{0,30}") {
        agree(&text);
    }

    #[test]
    fn a_path_leads_where_it_leads_in_the_whole(document in document(), path in path(), pretty in any::<bool>()) {
        let text = if pretty { format!("{document:#}") } else { document.to_string() };
        let path_text: String = path
            .iter()
            .map(|step| match step {
                Step::Key(key) => format!("['{key}']"),
                Step::At(at) => format!("[{at}]"),
            })
            .collect();
        for outer in ["", "size", "type", "has"] {
            if outer == "has" && path.is_empty() {
                continue;
            }
            let direct = format!("{outer}(body{path_text})");
            let built = Response::new(200, vec![], text.clone().into(), 1, None);
            let fresh = built.clone();
            let _ = try_eval_with("body", Some(&built), None);
            // The first time it is judged, the second time known.
            for _ in 0..2 {
                prop_assert_eq!(
                    try_eval_with(&direct, Some(&fresh), None),
                    try_eval_with(&direct, Some(&built), None),
                    "{} of {}", direct, text
                );
            }
            let message = Message::new(text.clone());
            prop_assert_eq!(
                try_eval_with(&direct, Some(&fresh), None),
                try_eval_with(&direct.replace("body", "message"), None, Some(&message))
            );
        }
    }
}
