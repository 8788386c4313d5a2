//! Tests of the whole way from scripts to the bytes of requests and to what users make of responses.

mod after;
mod data;
mod mistakes;
mod needs;
mod property;
mod request;
mod script;

use crate::{Rng, *};

/// Nanoseconds since the epoch at which tests happen: 2026-11-24T12:00:00Z.
const NOW: u64 = 1_795_521_600_000_000_000;

fn http(path: &str) -> HttpStep {
    HttpStep {
        request: 0,
        at: "spec.scenarios[0].steps[0]".into(),
        method: "GET".into(),
        path: path.into(),
        query: vec![],
        headers: vec![],
        body: Body::Empty,
        expect: vec![(200, 399)],
        that: None,
        timeout: 1,
        redirects: 10,
    }
}

fn step(action: StepAction) -> Step {
    Step::new("spec.scenarios[0].steps[0]", action)
}

fn get(path: &str) -> Step {
    step(StepAction::Http(Box::new(http(path))))
}

fn field(name: &str, value: &str) -> Field {
    Field { name: name.into(), value: value.into() }
}

fn check(name: &str, expr: &str, metric: u16) -> Check {
    Check { name: name.into(), expr: expr.into(), at: format!("check.{name}"), metric }
}

fn assign(name: &str, expr: &str, fault: u16) -> Assign {
    Assign { name: name.into(), expr: expr.into(), at: format!("assign.{name}"), fault }
}

fn condition(expr: &str) -> Condition {
    Condition { expr: expr.into(), at: "when".into(), fault: 99 }
}

fn measure(kind: MeasureKind, expr: &str, metric: u16) -> Measure {
    Measure { expr: expr.into(), at: "metric".into(), kind, metric, fault: metric + 100 }
}

fn scenario(steps: Vec<Step>) -> Scenario {
    Scenario {
        name: "s".into(),
        weight: 1,
        wait: None,
        state: vec![],
        on_start: vec![],
        on_stop: vec![],
        action: Action::Steps(steps),
    }
}

fn script(scenarios: Vec<Scenario>) -> Script {
    Script { scenarios, ..Script::default() }
}

fn steps(steps: Vec<Step>) -> Script {
    script(vec![scenario(steps)])
}

fn table(name: &str, format: DataFormat, text: &str, pick: Pick, once: bool) -> Data {
    Data { name: name.into(), from: VarSource::Value(text.into()), format, pick, once }
}

fn vars(pairs: &[(&str, &str)]) -> (Vec<Var>, Vars) {
    let declared =
        pairs.iter().map(|(n, v)| Var { name: (*n).into(), from: VarSource::Value((*v).into()) }).collect();
    (declared, pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect())
}

fn origin() -> Origin {
    Origin::new("http", "shop", 8080)
}

fn run_names() -> RunNames {
    RunNames { name: "checkout-7".into(), test: "checkout".into(), namespace: "shop".into() }
}

/// The messages of everything wrong with a script.
fn faults(script: &Script) -> Vec<String> {
    let (declared, _) = vars(&[("key", "")]);
    compile(script, &declared).unwrap_err().iter().map(ToString::to_string).collect()
}

fn bind(script: &Script, pairs: &[(&str, &str)]) -> Result<Bound, Vec<BindError>> {
    let (declared, values) = vars(pairs);
    let program = compile(script, &declared).unwrap();
    program.bind(&values, &DataTexts::new(), &origin(), &run_names())
}

fn rng() -> Rng {
    Rng::new(5, Stream::Member, 5)
}

/// A user of the first scenario of a script, and what it noted.
struct User {
    bound: Bound,
    memory: Memory,
    rows: Rows,
    notes: Vec<String>,
}

impl User {
    fn of(script: &Script) -> Self {
        Self::with(bind(script, &[("key", "k-1"), ("agent", "echo \"1\"")]).unwrap(), 0)
    }

    /// User number `user`, born.
    fn with(bound: Bound, user: u64) -> Self {
        let memory = Memory::new(&bound.scenarios[0].slots, rng(), user);
        let mut born = Self { bound, memory, rows: Rows::new(0, 1), notes: vec![] };
        let Self { bound, memory, rows, notes } = &mut born;
        assert!(
            memory.begin_life(&bound.scenarios[0], &bound.shared, rows, NOW, &mut |n| notes.push(note(&n)))
        );
        born
    }

    fn env<R>(
        &mut self,
        response: Option<&Response>,
        act: impl FnOnce(&[CompiledStep], &mut Env<'_>, &mut Notes<'_>) -> R,
    ) -> R {
        let Self { bound, memory, notes, .. } = self;
        let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("tasks") };
        let mut env = Env { shared: &bound.shared, memory, response, message: None, now: NOW };
        act(steps, &mut env, &mut |n| notes.push(note(&n)))
    }

    /// The bytes of the request of step `n`.
    fn request(&mut self, n: usize) -> Result<String, RenderError> {
        self.env(None, |steps, env, _| {
            let CompiledStepAction::Http(http) = &steps[n].action else { panic!("no request") };
            let mut out = Vec::new();
            http.render_h1(&mut out, env).map(|()| String::from_utf8(out).unwrap())
        })
    }

    /// Does the afterwork of step `n`; returns what was noted.
    fn after(&mut self, n: usize, response: Option<&Response>) -> Vec<String> {
        self.env(response, |steps, env, notes| steps[n].after.apply(env, notes));
        std::mem::take(&mut self.notes)
    }

    fn variable(&self, name: &str) -> Option<Value> {
        self.memory.variables().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    }
}

fn note(note: &Note<'_>) -> String {
    match note {
        Note::Check { metric, passed, why: None } => format!("check {metric} {passed}"),
        Note::Check { metric, passed, why: Some(why) } => format!("check {metric} {passed}: {why}"),
        Note::Fault { metric, message } => format!("fault {metric}: {message}"),
        Note::Counter { metric, amount } => format!("counter {metric} {amount}"),
        Note::Rate { metric, good } => format!("rate {metric} {good}"),
        Note::Trend { metric, nanos } => format!("trend {metric} {nanos}"),
        Note::Captured { name, .. } => format!("captured {name}"),
    }
}

fn response(status: u16, body: &str) -> Response {
    Response::new(status, vec![("x-id".into(), "h-1".into())], body.as_bytes().to_vec(), 5_000_000, None)
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}
