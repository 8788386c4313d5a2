//! Whatever the texts, nothing panics; the same seed gives the same bytes, in both forms of a request.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Rng;

/// Expressions and scraps of them.
const SCRAPS: [&str; 34] = [
    "user.token",
    "user.n",
    "vars.key",
    "data.t.a",
    "setup.id",
    "run.user",
    "status",
    "body",
    "body.a[0]",
    "text",
    "headers",
    "latency",
    "message",
    "randInt(1, 9)",
    "pick(user.ids)",
    "uuid()",
    "now()",
    "randString(3)",
    "'a'",
    "1",
    "2.5",
    "null",
    "[1, 2]",
    "{'a': 1}",
    " + ",
    " == ",
    " && ",
    " ? ",
    " : ",
    "(",
    ")",
    ".",
    "size(",
    ", ",
];

/// Expressions that may be wrong, among right ones of their place.
fn expression(right: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        12 => prop::sample::select(right).prop_map(str::to_owned),
        1 => prop::collection::vec(prop::sample::select(SCRAPS.to_vec()), 1..6).prop_map(|scraps| scraps.concat()),
        1 => "[a-z0-9.'\"(){}\\[\\]+?:!<>=&|$ \\\\-]{0,30}",
    ]
}

/// Right in a condition.
const DECIDE: &[&str] = &[
    "status == 200",
    "has(user.token) && user.token != ''",
    "body.a[0] == 1 || body.id.startsWith('x')",
    "size(text) > 3 ? latency < duration('1s') : error == null",
    "text.matches('[a-z]+') && randInt(0, 1) == 1",
    "vars.key.contains('a') || run.user > 2",
    "data.t.b > 1",
    "json(text).a.exists(x, x == 1)",
];

/// Right where a response is in sight.
const TAKE: &[&str] = &[
    "body.id",
    "first(body.b.c, headers['x-id'], find(text, '[a-z]'))",
    "latency",
    "null",
    "body",
    "data.t.a",
    "setup.id",
    "[status, user.n]",
    "timestamp('2026-11-24T12:00:00Z') - now()",
];

/// Right without one, and in templates.
const KNOWN: &[&str] = &[
    "user.token",
    "pick(user.ids)",
    "sample([1, 2, 3], 2)[0]",
    "randInt(1, 9)",
    "uuid()",
    "now()",
    "randString(3) + vars.key",
    "data.t.a",
    "run.name + string(run.iteration)",
    "pick(['a', 1, 2.5, 'x' + vars.key])",
    "1.0 / 3.0",
    "first(user.n, 7)",
    "user.ids[1]",
];

fn template() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => expression(KNOWN).prop_map(|inner| format!("a${{{inner}}}")),
        4 => (expression(KNOWN), expression(KNOWN)).prop_map(|(a, b)| format!("${{{a}}}-${{{b}}}")),
        1 => ".{0,20}",
    ]
}

/// A script in which every kind of text stands somewhere.
fn any_script([path, header, body, expr, value, early]: [&str; 6]) -> Script {
    let request = HttpStep {
        method: "POST".into(),
        query: vec![field("q", path)],
        headers: vec![field("x", header)],
        body: Body::Json(json!({"a": body, "b": [body, 1]})),
        that: Some(expr.into()),
        ..http(path)
    };
    let first = Step {
        when: Some(condition(expr)),
        checks: vec![check("c", expr, 0)],
        captures: vec![assign("token", value, 1), assign("ids", "[1, 'b']", 1)],
        sets: vec![assign("n", value, 2)],
        metrics: vec![measure(MeasureKind::Rate, expr, 3), measure(MeasureKind::Trend, value, 4)],
        ..step(StepAction::Http(Box::new(request)))
    };
    let mut script = script(vec![Scenario { state: vec![assign("n", early, 0)], ..scenario(vec![first]) }]);
    script.setup = vec![Step { captures: vec![assign("id", "body.id", 0)], ..get("/") }];
    script.data =
        vec![table("t", DataFormat::JsonLines, "{\"a\": 1}\n{\"a\": \"x\", \"b\": 2}", Pick::Random, false)];
    script
}

/// Scripts that compiled.
static LIVED: AtomicU32 = AtomicU32::new(0);

/// All that a user makes of a script that compiles.
fn live_with(script: &Script, key: &str, body: &str) {
    let Ok(bound) = bind_any(script, key) else { return };
    LIVED.fetch_add(1, Ordering::Relaxed);
    let mut memory = Memory::new(&bound.scenarios[0].slots, rng(), 3);
    let mut rows = Rows::new(0, 1);
    let notes = &mut |_: Note<'_>| {};
    assert!(memory.begin_life(&bound.scenarios[0], &bound.shared, &mut rows, NOW, notes));
    let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("tasks") };
    let CompiledStepAction::Http(http) = &steps[0].action else { panic!("no request") };
    for status in [200, 0, 404] {
        assert!(memory.begin_iteration(&bound.shared, &mut rows));
        same_in_both_forms(http, &bound.shared, &mut memory);
        let response = response(status, body);
        let mut env = Env {
            shared: &bound.shared,
            memory: &mut memory,
            response: Some(&response),
            message: None,
            now: NOW,
        };
        steps[0].when.as_ref().unwrap().holds(&mut env, notes);
        let _ = http.that(&mut env);
        steps[0].after.apply(&mut env, notes);
    }
}

fn bind_any(script: &Script, key: &str) -> Result<Bound, ()> {
    let (declared, values) = vars(&[("key", key)]);
    let program = compile(script, &declared).map_err(|faults| {
        for fault in faults {
            assert!(!fault.at.is_empty() && !fault.message.is_empty());
        }
    })?;
    program
        .bind(&values, &DataTexts::new(), &origin(), &run_names())
        .map_err(|errors| assert!(!errors.is_empty()))
}

/// Both forms, rendered with the same generator, are the same request and leave the generator in the same state.
fn same_in_both_forms(http: &CompiledHttp, shared: &Shared, memory: &mut Memory) {
    let before = memory.rng.clone();
    let mut out = Vec::new();
    let mut env = Env { shared, memory, response: None, message: None, now: NOW };
    let h1 = http.render_h1(&mut out, &mut env);
    let after = std::mem::replace(&mut env.memory.rng, before.clone());
    let mut again = Vec::new();
    let repeated = http.render_h1(&mut again, &mut env);
    assert_eq!((&h1, &out), (&repeated, &again), "the same seed gives the same bytes");
    env.memory.rng = before;
    match http.parts(&mut env) {
        Err(error) => assert_eq!(h1, Err(error)),
        Ok(parts) => {
            assert_eq!(h1, Ok(()));
            let mut written = Vec::new();
            parts.write_h1(&mut written);
            let sorted = |bytes: &[u8]| {
                let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
                let mut lines: Vec<Vec<u8>> =
                    bytes[..end].split(|b| *b == b'\n').map(|l| l.trim_ascii_end().to_vec()).collect();
                lines[1..].sort();
                (lines, bytes[end..].to_vec())
            };
            assert_eq!(sorted(&out), sorted(&written));
            assert_eq!(env.memory.rng, after);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn both_forms_of_a_request_make_the_same_choices(user in any::<u64>(), seed in any::<u64>()) {
        let script = any_script([
            "/${pick(user.ids)}/${randInt(1, 1000000)}/${data.t.a}",
            "${uuid()}${run.user}",
            "${randString(9)}-${pick([1, 'a', 2.5])}",
            "true",
            "body.id",
            "run.user",
        ]);
        let bound = bind(&script, &[("key", "k")]).unwrap();
        let mut memory = Memory::new(&bound.scenarios[0].slots, Rng::new(seed, Stream::Member, user), user);
        let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("tasks") };
        let CompiledStepAction::Http(http) = &steps[0].action else { panic!("no request") };
        let mut rows = Rows::new(0, 1);
        for _ in 0..3 {
            prop_assert!(memory.begin_iteration(&bound.shared, &mut rows));
            same_in_both_forms(http, &bound.shared, &mut memory);
            let response = response(200, r#"{"id": "x"}"#);
            let mut env = Env { shared: &bound.shared, memory: &mut memory, response: Some(&response), message: None, now: NOW };
            steps[0].after.apply(&mut env, &mut |_| {});
        }
    }

    #[test]
    fn scripts_survive_their_journey(path in template(), expr in expression(DECIDE)) {
        let script = any_script([&path, "x", "y", &expr, "1", "2"]);
        let json = serde_json::to_string(&script).unwrap();
        prop_assert_eq!(serde_json::from_str::<Script>(&json).unwrap(), script);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    fn any_texts(
        path in template(),
        header in template(),
        body in template(),
        expr in expression(DECIDE),
        value in expression(TAKE),
        early in expression(KNOWN),
        key in any::<String>(),
        answer in prop_oneof![Just(r#"{"a": [1, {"b": null}], "id": "x"}"#.to_owned()), ".{0,20}"],
    ) {
        live_with(&any_script([&format!("/{path}"), &header, &body, &expr, &value, &early]), &key, &answer);
    }
}

#[test]
fn whatever_the_texts_nothing_panics() {
    any_texts();
    // Enough of them are right for the rest to be tried too.
    assert!(LIVED.load(Ordering::Relaxed) > 100, "{LIVED:?}");
}
