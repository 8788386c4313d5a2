//! Guards what a request costs in user space: instructions, counted by valgrind's callgrind, which repeat exactly where times do not, and
//! memory, of which it takes none in the steady state.
//! Counted is the part without sockets: rendering (`request.rs`), reading (`h1/reader.rs`), what is made of the response, recording.
//! What a request costs in all is measured by `cargo xtask bench engine`.

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

use plimsoll_measure::{
    Bad, End, Layout, Metric, MetricId, MetricKind, Objective, Observation, Population, Recorder, RequestId,
    Sample, Split, Window, WindowId,
};
use plimsoll_scenario::{
    Action, Assign, Body, Bound, Check, CompiledAction, CompiledHttp, CompiledStep, CompiledStepAction,
    DataTexts, Env, Field, HttpStep, Memory, Note, Origin, Response, Rng, Rows, RunNames, Scenario, Script,
    Step, StepAction, Stream, Vars, compile,
};

use crate::h1::{Expecting, Reader};
use crate::keep::Keep;
use crate::request::Message;

/// The most instructions of one static request and of one iteration of two steps, in the profile that tests are built in, 3 % more than
/// there were when this was written. A change that needs fewer lowers them.
const BOUNDS: [(&str, f64); 2] = [("a_static_request", 2_370.0), ("two_steps", 11_510.0)];

/// What takes memory in the C library.
const TAKING: [&str; 4] = ["malloc", "calloc", "realloc", "posix_memalign"];

/// How often the load is repeated: the difference between the two leaves out all that happens once.
const TIMES: [u32; 2] = [1_000, 3_000];

/// Tells a load under valgrind how often.
const REPEAT: &str = "PLIMSOLL_INSTRUCTIONS";

fn has_valgrind() -> bool {
    let found = Command::new("valgrind").arg("--version").output().is_ok();
    if !found {
        let why = "valgrind is not installed: run `cargo xtask tools`";
        assert!(std::env::var("CI").is_err(), "{why}");
        eprintln!("SKIPPED instructions of the hot path: {why}");
    }
    found
}

#[test]
fn no_memory_is_taken_for_a_request() {
    if !has_valgrind() {
        return;
    }
    // Counted is only what is done within these functions: as much, however often a load is repeated.
    let mut options = vec!["--collect-atstart=no".to_owned()];
    options.extend(TAKING.map(|function| format!("--toggle-collect={function}")));
    for (load, _) in BOUNDS {
        let [few, many] = TIMES.map(|times| instructions(load, times, &options));
        assert!(few > 0, "{load}: valgrind does not see where memory is taken");
        assert!(
            many < few + u64::from(TIMES[1] - TIMES[0]),
            "{load}: {few} instructions in {TAKING:?}, then {many}"
        );
    }
}

#[test]
fn a_request_takes_no_more_instructions_than_it_did() {
    if !has_valgrind() {
        return;
    }
    for (load, bound) in BOUNDS {
        let [few, many] = TIMES.map(|times| instructions(load, times, &[]));
        let each = (many - few) as f64 / f64::from(TIMES[1] - TIMES[0]);
        println!("{load}: {each:.1} instructions, allowed {bound}");
        assert!(each <= bound, "{load}: {each:.1} instructions, allowed {bound}");
        assert!(each > bound / 2.0, "{load}: {each:.1} instructions, half of the bound {bound}: lower it");
    }
}

/// The instructions of this very program while it does nothing but a load.
fn instructions(load: &str, times: u32, options: &[String]) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(options);
    valgrind.arg(std::env::current_exe().unwrap());
    valgrind.args(["--exact", &format!("instructions::{load}"), "--ignored", "--test-threads=1"]);
    let output = valgrind.env(REPEAT, times.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let counted = said.lines().find_map(|line| line.rsplit_once("Collected : "));
    counted.expect(&said).1.trim().parse().expect(&said)
}

fn times() -> u32 {
    std::env::var(REPEAT).map_or(1, |times| times.parse().unwrap())
}

/// What nginx says with this body.
fn response(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 13:00:00 GMT\r\nContent-Type: application/json";
    format!("{head}\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
#[ignore = "a load for the test above"]
fn a_static_request() {
    let step = Step::new("get", StepAction::Http(Box::new(get("/", 0))));
    drive(vec![step], &[response("abcdefghijklmnopqrstuvwxyz01234567")]);
}

#[test]
#[ignore = "a load for the test above"]
fn two_steps() {
    let (login, orders) = (get("/login", 0), get("/orders/${user.id}", 1));
    let capture = |name: &str, expr: &str| Assign {
        name: name.to_owned(),
        expr: expr.to_owned(),
        at: name.to_owned(),
        fault: 0,
    };
    let login = Step {
        captures: vec![capture("token", "body.token"), capture("id", "body.id")],
        ..Step::new("login", StepAction::Http(Box::new(login)))
    };
    let authorised = Field { name: "authorization".to_owned(), value: "Bearer ${user.token}".to_owned() };
    let orders = HttpStep { headers: vec![authorised], ..orders };
    let check = Check {
        name: "is open".to_owned(),
        expr: "body.status == 'open'".to_owned(),
        at: "check".to_owned(),
        metric: 1,
    };
    let orders = Step { checks: vec![check], ..Step::new("orders", StepAction::Http(Box::new(orders))) };
    let token = response(r#"{"token":"eyJhbGciOiJI.c2ln","id":42}"#);
    drive(vec![login, orders], &[token, response(r#"{"status":"open","items":[{"id":1},{"id":2}]}"#)]);
}

fn get(path: &str, request: u16) -> HttpStep {
    HttpStep {
        request,
        at: "steps".to_owned(),
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::Empty,
        expect: vec![(200, 200)],
        that: None,
        timeout: 30_000_000_000,
        redirects: 10,
    }
}

/// Does the steps as often as asked for, each answered with the response of its place.
fn drive(steps: Vec<Step>, responses: &[Vec<u8>]) {
    let scenario = Scenario {
        name: "load".to_owned(),
        weight: 1,
        wait: None,
        state: Vec::new(),
        on_start: Vec::new(),
        on_stop: Vec::new(),
        action: Action::Steps(steps),
    };
    let script = Script { scenarios: vec![scenario], ..Script::default() };
    let program = compile(&script, &[]).unwrap();
    let origin = Origin::new("http", "localhost", 80);
    let bound = program.bind(&Vars::new(), &DataTexts::new(), &origin, &RunNames::default()).unwrap();
    let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("no steps") };
    let mut user = User {
        bound: &bound,
        memory: Memory::new(&bound.scenarios[0].slots, Rng::new(1, Stream::Member, 0), 0),
        recorder: Recorder::new(Arc::new(layout())),
        out: Vec::new(),
        body: Vec::new(),
        now: 0,
    };
    let mut rows = Rows::new(0, 1);
    for _ in 0..times() {
        user.memory.begin_iteration(&bound.shared, &mut rows);
        for (step, response) in steps.iter().zip(responses) {
            user.perform(step, black_box(response));
        }
    }
    let total = black_box(user.recorder.take()).total();
    assert_eq!((total.complete, total.failed), (u64::from(times()) * steps.len() as u64, 0));
}

/// One user, without a connection.
struct User<'b> {
    bound: &'b Bound,
    memory: Memory,
    recorder: Recorder,
    out: Vec<u8>,
    body: Vec<u8>,
    now: u64,
}

impl User<'_> {
    /// What `request.rs` and `steps.rs` do around the sockets.
    fn perform(&mut self, step: &CompiledStep, response: &[u8]) {
        let CompiledStepAction::Http(http) = &step.action else { panic!("no request") };
        let intended = self.now;
        self.recorder.asked(intended, false);
        let mut env = Env {
            shared: &self.bound.shared,
            memory: &mut self.memory,
            response: None,
            message: None,
            now: 0,
        };
        let message = Message::Step(http);
        black_box(message.h1(&mut self.out, &mut env).unwrap());
        let status = read(http, step.needs.body, &mut self.body, response);
        // Latencies of 64 to 127 µs, which fill as many buckets as those of one service do.
        let latency = 64_000 + self.now % 63_977;
        self.now += 10_007;
        if step.needs.response {
            let body = std::mem::take(&mut self.body);
            let response = Response::new(status, Vec::new(), body, latency, None);
            match &mut self.memory.last {
                Some(last) => self.body = std::mem::replace(&mut **last, response).body,
                last => *last = Some(Box::new(response)),
            }
            self.body.clear();
        }
        self.recorder.record(&Sample {
            request: RequestId(http.request),
            intended,
            latency,
            service: latency,
            lateness: 0,
            split: Split { first_byte: latency - 5_000, ..Split::default() },
            received: response.len() as u64,
            end: End::Complete { status, error: None },
            scheduled: false,
            retry: false,
            hook: false,
        });
        if !step.after.is_empty() {
            let recorder = &mut self.recorder;
            let mut env = Env {
                shared: &self.bound.shared,
                memory: &mut self.memory,
                response: None,
                message: None,
                now: 0,
            };
            step.after.apply(&mut env, &mut |note| {
                if let Note::Check { metric, passed, .. } = note {
                    assert!(passed);
                    recorder.observe(MetricId(metric), intended, false, Observation::Good(passed));
                }
            });
        }
    }
}

fn read(http: &CompiledHttp, all: bool, body: &mut Vec<u8>, response: &[u8]) -> u16 {
    let expecting =
        Expecting { no_body: http.is_head(), location: http.redirects > 0, ..Expecting::default() };
    let mut keep = Keep { body, all, unless: Some(&http.expect) };
    let mut reader = Reader::new(expecting);
    reader.feed(response, &mut |status, piece| keep.take(status, piece)).unwrap();
    assert!(reader.is_done());
    let head = reader.into_head();
    assert!(http.expect.contains(head.status));
    head.status
}

/// Two requests, a check, and as many objectives as a demanding test has.
fn layout() -> Layout {
    let requests = |bad| Objective { population: Population::Requests, request: None, window: None, bad };
    let slower = |nanos| requests(Bad::Slower { nanos, succeeded_only: false });
    let metric = |name: &str, kind| Metric { name: name.to_owned(), kind, request: None };
    Layout {
        requests: vec!["first".to_owned(), "second".to_owned()],
        metrics: vec![metric("capture", MetricKind::Fault), metric("is open", MetricKind::Check)],
        windows: vec![Window { name: "main".to_owned(), judged: true, spans: vec![(0, u64::MAX)] }],
        segments: vec![(u64::MAX, WindowId(0))],
        hooks: None,
        objectives: vec![
            slower(100_000),
            slower(1_000_000),
            slower(10_000_000),
            requests(Bad::Failed { classes: Vec::new() }),
            requests(Bad::Status { ranges: vec![(500, 599)] }),
        ],
    }
}
