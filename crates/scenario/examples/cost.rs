//! Measures what scenarios add to a request: rendering with captured values, a check, a capture, a set. `cost [ITERATIONS]`.

use std::hint::black_box;
use std::time::Instant;

use plimsoll_scenario::{
    Action, Assign, Body, Check, CompiledAction, CompiledStep, CompiledStepAction, DataTexts, Env, Field,
    HttpStep, Memory, Note, Origin, Response, Rng, Rows, RunNames, Scenario, Script, Step, StepAction,
    Stream, Vars, compile,
};

const BODY: &str = r#"{"items":[{"id":1,"name":"first"},{"id":2,"name":"second"}],"status":"completed","token":"eyJhbGciOiJIUzI1NiJ9.c2VjcmV0","id":"d-7f3a"}"#;

fn main() {
    let iterations = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(300_000_u32);
    for (name, script) in [
        ("one static request", plain()),
        ("two steps: capture and check, captured header, path and JSON", two_steps()),
    ] {
        match nanos(&script, iterations) {
            Ok(nanos) => println!("{nanos:8.0} ns per iteration: {name}"),
            Err(error) => eprintln!("{name}: {error}"),
        }
    }
}

fn request(method: &str, path: &str) -> HttpStep {
    HttpStep {
        request: 0,
        at: "steps".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::Empty,
        expect: vec![(200, 399)],
        that: None,
        timeout: 1,
        redirects: 0,
    }
}

fn step(http: HttpStep) -> Step {
    Step::new("steps", StepAction::Http(Box::new(http)))
}

fn script(steps: Vec<Step>) -> Script {
    let scenario = Scenario {
        name: "cost".to_owned(),
        weight: 1,
        wait: None,
        state: Vec::new(),
        on_start: Vec::new(),
        on_stop: Vec::new(),
        action: Action::Steps(steps),
    };
    Script { scenarios: vec![scenario], ..Script::default() }
}

fn plain() -> Script {
    script(vec![step(request("GET", "/"))])
}

fn two_steps() -> Script {
    let assign = |name: &str, expr: &str| Assign {
        name: name.to_owned(),
        expr: expr.to_owned(),
        at: name.to_owned(),
        fault: 0,
    };
    let check =
        |expr: &str| Check { name: "c".to_owned(), expr: expr.to_owned(), at: "c".to_owned(), metric: 0 };
    let first = Step {
        checks: vec![check("body.status in ['completed', 'consensus']")],
        captures: vec![assign("token", "first(body.access_token, body.token)"), assign("id", "body.id")],
        ..step(request("GET", "/debates?limit=${randInt(1, 50)}"))
    };
    let authorised = Field { name: "authorization".to_owned(), value: "Bearer ${user.token}".to_owned() };
    let body = serde_json::json!({"id": "${user.id}", "rounds": "${pick([2, 3, 5])}"});
    let second = Step {
        checks: vec![check("status == 200 && latency < duration('100ms')")],
        ..step(HttpStep {
            headers: vec![authorised],
            body: Body::Json(body),
            ..request("POST", "/debates/${user.id}")
        })
    };
    script(vec![first, second])
}

fn nanos(script: &Script, iterations: u32) -> Result<f64, String> {
    let program = compile(script, &[]).map_err(|errors| format!("{errors:?}"))?;
    let origin = Origin::new("http", "localhost", 80);
    let bound = program.bind(&Vars::new(), &DataTexts::new(), &origin, &RunNames::default());
    let bound = bound.map_err(|errors| format!("{errors:?}"))?;
    let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { return Err("tasks".to_owned()) };
    let mut memory = Memory::new(&bound.scenarios[0].slots, Rng::new(1, Stream::Member, 0), 0);
    let mut rows = Rows::new(0, 1);
    let mut out = Vec::new();
    let mut failed = 0_u64;
    let begun = Instant::now();
    for _ in 0..iterations {
        memory.begin_iteration(&bound.shared, &mut rows);
        for step in steps {
            perform(step, &bound.shared, &mut memory, &mut out, &mut |note| {
                failed += u64::from(matches!(note, Note::Check { passed: false, .. } | Note::Fault { .. }));
            })?;
        }
    }
    let nanos = begun.elapsed().as_nanos() as f64 / f64::from(iterations);
    if failed > 0 { Err(format!("{failed} checks failed")) } else { Ok(nanos) }
}

/// Renders the step's request and does its afterwork; a body is copied as a client would keep it.
fn perform(
    step: &CompiledStep,
    shared: &plimsoll_scenario::Shared,
    memory: &mut Memory,
    out: &mut Vec<u8>,
    notes: &mut plimsoll_scenario::Notes<'_>,
) -> Result<(), String> {
    let CompiledStepAction::Http(http) = &step.action else { return Ok(()) };
    let mut env = Env { shared, memory, response: None, message: None, now: 0 };
    if let Some(bytes) = http.as_static() {
        black_box(bytes);
    } else {
        out.clear();
        http.render_h1(out, &mut env).map_err(|error| error.to_string())?;
        black_box(&*out);
    }
    if step.needs.response {
        let body = if step.needs.body { BODY.as_bytes().to_vec() } else { Vec::new() };
        let response = Response::new(200, Vec::new(), body, 5_000_000, None);
        let mut env = Env { shared, memory, response: Some(&response), message: None, now: 0 };
        http.that(&mut env)?;
        step.after.apply(&mut env, notes);
    }
    Ok(())
}
