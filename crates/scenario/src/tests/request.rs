//! The bytes and the parts of requests.

use proptest::prelude::*;
use serde_json::json;

use super::{NOW, field, http, origin, rng, vars};
use crate::{Rng, *};

fn step() -> HttpStep {
    http("/")
}

fn one(step: HttpStep) -> Script {
    super::steps(vec![super::step(StepAction::Http(Box::new(step)))])
}

fn errors(step: HttpStep) -> Vec<String> {
    super::faults(&one(step))
}

fn bound_with(step: HttpStep, pairs: &[(&str, &str)]) -> Result<CompiledHttp, Vec<BindError>> {
    let bound = super::bind(&one(step), pairs)?;
    let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("tasks") };
    match &steps[0].action {
        CompiledStepAction::Http(http) => Ok((**http).clone()),
        _ => panic!("no request"),
    }
}

fn bound(step: HttpStep) -> CompiledHttp {
    bound_with(step, &[("key", "k-1"), ("agent", "echo \"1\"")]).unwrap()
}

/// Does something with the environment of a user without variables.
fn with_env<R>(rng: &mut Rng, act: impl FnOnce(&mut Env<'_>) -> R) -> R {
    let shared = Shared::default();
    let mut memory = Memory::new(&Default::default(), rng.clone(), 0);
    let result =
        act(&mut Env { shared: &shared, memory: &mut memory, response: None, message: None, now: NOW });
    *rng = memory.rng;
    result
}

fn render(http: &CompiledHttp, out: &mut Vec<u8>, rng: &mut Rng) -> Result<(), RenderError> {
    with_env(rng, |env| http.render_h1(out, env))
}

fn parts<'a>(http: &'a CompiledHttp, rng: &mut Rng) -> Parts<'a> {
    with_env(rng, |env| http.parts(env)).unwrap()
}

fn h1(http: &CompiledHttp) -> String {
    let mut out = Vec::new();
    render(http, &mut out, &mut rng()).unwrap();
    String::from_utf8(out).unwrap()
}

fn body_of(message: &str) -> &str {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
    assert_eq!(length.map_or(0, |l| l.parse::<usize>().unwrap()), body.len(), "{head}");
    body
}

#[test]
fn a_request_without_variable_parts_is_one_stretch_of_bytes() {
    let http = bound(HttpStep { headers: vec![field("X-Api-Key", "${vars.key}")], ..step() });
    let expected = format!(
        "GET / HTTP/1.1\r\nhost: shop:8080\r\nuser-agent: plimsoll/{}\r\naccept: */*\r\nx-api-key: k-1\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(std::str::from_utf8(http.as_static().unwrap()).unwrap(), expected);
    assert_eq!(h1(&http), expected);
}

#[test]
fn a_users_header_replaces_the_default_of_its_name() {
    let headers = ["Host", "User-Agent", "ACCEPT", "content-type"].map(|name| field(name, "mine"));
    let http = bound(HttpStep { headers: headers.into(), body: Body::Json(json!({})), ..step() });
    let text = h1(&http);
    assert_eq!(
        text,
        "GET / HTTP/1.1\r\nhost: mine\r\nuser-agent: mine\r\naccept: mine\r\ncontent-type: mine\r\ncontent-length: 2\r\n\r\n{}"
    );
}

#[test]
fn only_methods_that_expect_a_body_say_that_it_is_empty() {
    let text = |method: &str| h1(&bound(HttpStep { method: method.into(), ..step() }));
    assert!(text("POST").contains("content-length: 0\r\n"));
    assert!(!text("GET").contains("content-length") && !text("DELETE").contains("content-length"));
}

#[test]
fn json_keeps_the_type_of_a_lone_expression() {
    let body = json!({
        "lone": "${randInt(3, 3)}", "text": "n ${randInt(3, 3)}", "plain": "a \"b\" $${x}", "agents": ["${vars.agent}", 7, null],
        "mixed": "${pick([2.5])}", "list": "${['a', 1, null]}", "id": "${uuid()}", "word": "${randString(4)}", "none": "${null}",
        "empty": [], "deep": {"${vars.key}": "${'u' + randString(3)}"}
    });
    let http = bound(HttpStep { method: "POST".into(), body: Body::Json(body), ..step() });
    let text = h1(&http);
    assert!(text.contains("content-type: application/json\r\n"));
    let got: serde_json::Value = serde_json::from_str(body_of(&text)).unwrap();
    assert_eq!(got["lone"], json!(3));
    assert_eq!(got["text"], json!("n 3"));
    assert_eq!(got["plain"], json!("a \"b\" ${x}"));
    assert_eq!(got["agents"], json!(["echo \"1\"", 7, null]));
    assert_eq!(
        (&got["mixed"], &got["list"], &got["none"]),
        (&json!(2.5), &json!(["a", 1, null]), &json!(null))
    );
    assert_eq!(got["id"].as_str().map(str::len), Some(36));
    assert_eq!(got["word"].as_str().map(str::len), Some(4));
    assert_eq!(got["empty"], json!([]));
    assert_eq!(got["deep"]["${vars.key}"].as_str().map(str::len), Some(4));
}

#[test]
fn the_length_is_right_whatever_the_body_comes_to() {
    let text = "${pick(['', 'a', randString(100), randString(1000)])}";
    let http = bound(HttpStep { method: "POST".into(), body: Body::Text(text.into()), ..step() });
    let mut rng = rng();
    let mut lengths = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let mut out = b"before".to_vec();
        render(&http, &mut out, &mut rng).unwrap();
        let message = String::from_utf8(out).unwrap();
        lengths.insert(body_of(message.strip_prefix("before").unwrap()).len());
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 1, 100, 1000]);
    assert!(http.as_static().is_none());
}

#[test]
fn values_cannot_break_out_of_the_request_line() {
    let http = bound_with(
        HttpStep {
            path: "/items/${vars.id}/x y?a=1".into(),
            query: vec![field("q e", "${vars.id}"), field("n", "${pick([10])}")],
            ..step()
        },
        &[("id", "1 HTTP/1.1\r\nx: y&z")],
    );
    let text = h1(&http.unwrap());
    assert!(
        text.starts_with(
            "GET /items/1%20HTTP/1.1%0D%0Ax:%20y&z/x%20y?a=1&q%20e=1%20HTTP%2F1.1%0D%0Ax%3A%20y%26z&n=10 HTTP/1.1\r\n"
        ),
        "{text}"
    );
}

#[test]
fn a_header_with_a_line_break_is_refused_and_never_shown() {
    let step = || HttpStep { headers: vec![field("x-key", "Bearer ${vars.key}")], ..step() };
    let refused = bound_with(step(), &[("key", "s3cret\n")]).unwrap_err();
    assert_eq!(
        refused[0].to_string(),
        "spec.scenarios[0].steps[0].http.headers.x-key: a header value may not hold a line break; remove it (the value of vars.key)"
    );
    let late = HttpStep { headers: vec![field("x", "${pick(['a\\r\\nb', randString(1)])}")], ..self::step() };
    let http = bound(late);
    let mut rng = rng();
    let results: Vec<_> = (0..50).map(|_| render(&http, &mut Vec::new(), &mut rng)).collect();
    assert!(results.iter().any(Result::is_ok));
    assert!(results.iter().flat_map(|r| r.as_ref().err()).any(|e| e.message.contains("line break")));
    assert!(!format!("{:?}", bound_with(step(), &[("key", "s3cret")]).unwrap()).contains("s3cret"));
}

#[test]
fn faults_name_their_place_and_the_closest_name() {
    assert_eq!(
        errors(HttpStep { path: "/a/${vars.kye}".into(), ..step() }),
        ["spec.scenarios[0].steps[0].http.path (column 6): unknown variable vars.kye; did you mean \"key\"?"]
    );
    assert_eq!(
        errors(HttpStep { body: Body::Json(json!({"a": ["ok", "${1 +}"]})), ..step() }),
        ["spec.scenarios[0].steps[0].http.json.a[1] (column 6): expected a value, found \"}\""]
    );
    let several = errors(HttpStep {
        method: "G T".into(),
        path: "a".into(),
        query: vec![field("q", "${null}")],
        headers: vec![field("a b", ""), field("Content-Length", "3"), field("x", "a\nb")],
        ..step()
    });
    assert_eq!(
        several
            .iter()
            .map(|e| e.split(": ").next().unwrap().rsplit("http.").next().unwrap())
            .collect::<Vec<_>>(),
        ["method", "path", "query.q (column 1)", "headers.a b", "headers.Content-Length", "headers.x"]
    );
}

#[test]
fn what_sends_nothing_is_refused() {
    let idle = Scenario { weight: 0, ..super::scenario(vec![]) };
    let pause = super::step(StepAction::Pause(Wait::Uniform { min: 1, max: 1 }));
    let tasks = Action::Tasks(vec![Task { name: "t".into(), weight: 0, when: None, steps: vec![pause] }]);
    let other = Scenario { weight: 0, action: tasks, ..super::scenario(vec![]) };
    let faults = compile(&super::script(vec![idle, other]), &[]).unwrap_err();
    let places: Vec<_> = faults.iter().map(|f| f.at.as_str()).collect();
    assert_eq!(places, ["spec.scenarios", "spec.scenarios[0].steps", "spec.scenarios[1].tasks"]);
}

#[test]
fn only_variables_that_are_used_need_a_value() {
    let (declared, _) = vars(&[("used", ""), ("unused", "")]);
    let step = HttpStep { path: "/${vars.used}".into(), ..step() };
    let program = compile(&one(step), &declared).unwrap();
    let missing = program.bind(&Vars::new(), &DataTexts::new(), &origin(), &super::run_names()).unwrap_err();
    assert_eq!(missing, [BindError::Missing { name: "used".into() }]);
}

#[test]
fn tasks_are_drawn_by_weight() {
    let task = |name: &str, weight| Task {
        name: name.into(),
        weight,
        when: None,
        steps: vec![super::step(StepAction::Pause(Wait::Uniform { min: 1, max: 1 }))],
    };
    let tasks = Action::Tasks(vec![task("a", 3), task("never", 0), task("b", 1)]);
    let script = super::script(vec![Scenario { action: tasks, ..super::scenario(vec![]) }]);
    let bound = super::bind(&script, &[]).unwrap();
    let CompiledAction::Tasks(tasks) = &bound.scenarios[0].action else { panic!("no tasks") };
    let mut rng = rng();
    let drawn: Vec<_> = (0..10_000).map(|_| tasks.draw(&mut rng).unwrap().name.as_str()).collect();
    let a = drawn.iter().filter(|n| **n == "a").count();
    // Binomial(10 000, 3/4) has a standard deviation of 43; five of them.
    assert!(a.abs_diff(7500) < 220 && !drawn.contains(&"never"), "{a}");
}

#[test]
fn parts_are_the_same_request_as_the_bytes() {
    let http = bound(HttpStep {
        method: "POST".into(),
        path: "/${uuid()}".into(),
        query: vec![field("q", "${randInt(1, 1000000)}")],
        headers: vec![field("x-id", "${randString(9)}"), field("connection", "close")],
        body: Body::Json(json!({"n": "${randInt(1, 1000000)}"})),
        ..step()
    });
    let mut again = Vec::new();
    let parts = self::parts(&http, &mut rng());
    parts.write_h1(&mut again);
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.split("\r\n").map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&h1(&http)), sorted(&String::from_utf8(again).unwrap()));
    assert_eq!((&*parts.scheme, &*parts.authority), ("http", b"shop:8080".as_slice()));
    assert!(
        parts.headers.iter().any(|(n, _)| n == "connection")
            && parts.for_h2().all(|(n, _)| n != "connection")
    );
}

#[test]
fn redirects_change_what_they_must() {
    let http = bound(HttpStep {
        method: "POST".into(),
        headers: vec![field("authorization", "Bearer ${vars.key}"), field("host", "virtual")],
        body: Body::Json(json!({"a": 1})),
        ..step()
    });
    let redirected = |status, to: &Origin| {
        let mut parts = self::parts(&http, &mut rng());
        parts.redirect(status, &origin(), to, "/next page#top");
        let mut out = Vec::new();
        parts.write_h1(&mut out);
        String::from_utf8(out).unwrap()
    };
    let kept = redirected(307, &origin());
    assert!(
        kept.starts_with("POST /next%20page HTTP/1.1\r\nhost: virtual\r\n") && kept.contains("Bearer k-1")
    );
    assert_eq!(body_of(&kept), "{\"a\":1}");
    let away = redirected(302, &Origin::new("https", "2001:DB8::1", 443));
    assert!(away.starts_with("GET /next%20page HTTP/1.1\r\nhost: [2001:db8::1]\r\n"), "{away}");
    assert!(!away.contains("Bearer") && !away.contains("content-type") && body_of(&away).is_empty());
}

#[test]
fn expected_statuses_are_ranges() {
    let expect = Expect::new(&[(200, 201), (429, 429), (900, u16::MAX)]);
    let contained: Vec<u16> = (0..905).filter(|s| expect.contains(*s)).collect();
    assert_eq!(contained, [200, 201, 429, 900, 901, 902, 903, 904]);
    assert!(!expect.contains(1000) && !expect.contains(u16::MAX));
}

proptest! {
    #[test]
    fn whatever_the_values_the_message_keeps_its_frame(id in any::<String>(), header in any::<String>(), text in any::<String>()) {
        let step = HttpStep {
            method: "PUT".into(),
            path: "/${vars.id}".into(),
            query: vec![field("q", "${vars.id}")],
            headers: vec![field("x", "${vars.header}")],
            body: Body::Text("${vars.text}".into()),
            ..step()
        };
        let pairs = [("id", id.as_str()), ("header", &header), ("text", &text)];
        match bound_with(step, &pairs) {
            Ok(http) => {
                let message = h1(&http);
                let (head, body) = message.split_once("\r\n\r\n").unwrap();
                prop_assert_eq!(body, &text);
                prop_assert_eq!(head.matches("\r\n").count(), 5);
                prop_assert_eq!(head.lines().next().unwrap().split(' ').count(), 3);
            }
            Err(_) => prop_assert!(header.chars().any(|c| (c < ' ' && c != '\t') || c == '\x7f')),
        }
    }
}
