//! Scenarios → [`Program`]: every template checked, literal parts encoded for their place. `bind.rs` puts the values of the run
//! in.

use std::sync::Arc;

use crate::encode::{self, Encoding};
use crate::error::{CompileError, Fault};
use crate::expr::{Code, Scope};
use crate::model::{Action, Body, Field, HttpStep, Scenario, StatusRange, Step, Var, Wait};
use crate::template::{self, Piece};

/// Checked scenarios whose variables have no values yet.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) scenarios: Vec<ScenarioProgram>,
    /// Names of the run constants that some template uses.
    pub(crate) vars: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct ScenarioProgram {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) wait: Option<Wait>,
    pub(crate) action: ActionProgram,
}

#[derive(Clone, Debug)]
pub(crate) enum ActionProgram {
    Steps(Vec<StepProgram>),
    Tasks(Vec<TaskProgram>),
}

#[derive(Clone, Debug)]
pub(crate) struct TaskProgram {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) steps: Vec<StepProgram>,
}

#[derive(Clone, Debug)]
pub(crate) enum StepProgram {
    Http(Box<HttpProgram>),
    Pause(Wait),
}

/// A request in parts; each part a row of segments.
#[derive(Clone, Debug)]
pub(crate) struct HttpProgram {
    pub(crate) request: u16,
    pub(crate) at: String,
    pub(crate) method: String,
    pub(crate) target: Vec<Segment>,
    /// The user's own `host` header.
    pub(crate) host: Option<Vec<Segment>>,
    /// Defaults included, `host` and `content-length` not.
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<Segment>,
    pub(crate) expect: Vec<StatusRange>,
    pub(crate) timeout: u64,
    pub(crate) redirects: u16,
}

/// Name in lower case, and value.
pub(crate) type Header = (String, Vec<Segment>);

/// A stretch of a part.
#[derive(Clone, Debug)]
pub(crate) enum Segment {
    /// Encoded bytes.
    Literal(Vec<u8>),
    /// An expression, and how its value is to be encoded.
    Slot { code: Code, encoding: Encoding, at: Arc<str> },
}

/// Sent unless the user gives a header of the same name.
const USER_AGENT: &str = concat!("plimsoll/", env!("CARGO_PKG_VERSION"));

/// Headers that frame the message; a wrong one would make the connection unusable.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// Type-checks and compiles every template of the scenarios. Of the run constants only the names matter here.
///
/// # Errors
/// Everything that is wrong, in the order of the manifest.
pub fn compile(scenarios: &[Scenario], vars: &[Var]) -> Result<Program, Vec<CompileError>> {
    let scope = Scope { vars: vars.iter().map(|v| v.name.as_str()).collect() };
    let mut compiler = Compiler { scope, errors: Vec::new(), used: Vec::new() };
    if scenarios.iter().all(|s| s.weight == 0) {
        compiler.fault("spec.scenarios", "no scenario has a weight over 0; nothing would be sent");
    }
    let scenarios = scenarios.iter().enumerate().map(|(i, s)| compiler.scenario(i, s)).collect();
    if compiler.errors.is_empty() {
        Ok(Program { scenarios, vars: compiler.used })
    } else {
        Err(compiler.errors)
    }
}

struct Compiler<'a> {
    scope: Scope<'a>,
    errors: Vec<CompileError>,
    used: Vec<String>,
}

impl Compiler<'_> {
    fn fault(&mut self, at: &str, message: impl Into<String>) {
        let message = message.into();
        self.errors.push(CompileError { at: at.to_owned(), offset: 0, column: None, message, closest: None });
    }

    fn scenario(&mut self, index: usize, scenario: &Scenario) -> ScenarioProgram {
        let at = format!("spec.scenarios[{index}]");
        let action = match &scenario.action {
            Action::Steps(steps) => ActionProgram::Steps(self.steps(&at, steps)),
            Action::Tasks(tasks) => {
                if tasks.iter().all(|t| t.weight == 0) {
                    self.fault(&format!("{at}.tasks"), "no task has a weight over 0; give one a weight");
                }
                let tasks = tasks.iter().enumerate().map(|(i, task)| TaskProgram {
                    name: task.name.clone(),
                    weight: task.weight,
                    steps: self.steps(&format!("{at}.tasks[{i}]"), &task.steps),
                });
                ActionProgram::Tasks(tasks.collect())
            }
        };
        ScenarioProgram { name: scenario.name.clone(), weight: scenario.weight, wait: scenario.wait, action }
    }

    fn steps(&mut self, at: &str, steps: &[Step]) -> Vec<StepProgram> {
        if steps.is_empty() {
            self.fault(&format!("{at}.steps"), "no steps; add at least one");
        }
        let step = |step: &Step| match step {
            Step::Http(http) => StepProgram::Http(Box::new(self.http(http))),
            Step::Pause(wait) => StepProgram::Pause(*wait),
        };
        steps.iter().map(step).collect()
    }

    fn http(&mut self, step: &HttpStep) -> HttpProgram {
        let at = format!("{}.http", step.at);
        if !encode::is_token(&step.method) {
            self.fault(
                &format!("{at}.method"),
                format!("{:?} is no HTTP method; use one like GET or POST", step.method),
            );
        }
        let target = self.target(&at, step);
        let (host, headers) = self.headers(&at, step);
        let body = match &step.body {
            Body::Empty => Vec::new(),
            Body::Text(text) => self.template(&format!("{at}.body"), text, Encoding::Plain),
            Body::Json(value) => {
                let mut body = Vec::new();
                self.json(&format!("{at}.json"), value, &mut body);
                body
            }
        };
        HttpProgram {
            request: step.request,
            at: step.at.clone(),
            method: step.method.clone(),
            target,
            host,
            headers,
            body,
            expect: step.expect.clone(),
            timeout: step.timeout,
            redirects: step.redirects,
        }
    }

    /// Path and query parameters.
    fn target(&mut self, at: &str, step: &HttpStep) -> Vec<Segment> {
        let path_at = format!("{at}.path");
        let mut target = self.template(&path_at, &step.path, Encoding::Target);
        if !step.path.starts_with('/') {
            self.fault(&path_at, format!("{:?} does not begin with \"/\"; a path begins with it", step.path));
        }
        let mut separator =
            match target.iter().any(|s| matches!(s, Segment::Literal(text) if text.contains(&b'?'))) {
                true => b'&',
                false => b'?',
            };
        for Field { name, value } in &step.query {
            let mut text = vec![separator];
            // Only headers refuse a text.
            let _ = encode::text(name, Encoding::Query, &mut text);
            text.push(b'=');
            target.push(Segment::Literal(text));
            target.extend(self.template(&format!("{at}.query.{name}"), value, Encoding::Query));
            separator = b'&';
        }
        target
    }

    /// The user's `host`, if any, and all other headers: defaults, then the user's.
    fn headers(&mut self, at: &str, step: &HttpStep) -> (Option<Vec<Segment>>, Vec<Header>) {
        let mut host = None;
        let mut headers = Vec::new();
        let given = |name: &str| step.headers.iter().any(|h| h.name.eq_ignore_ascii_case(name));
        let defaults =
            [("user-agent", USER_AGENT), ("accept", "*/*"), ("content-type", "application/json")].into_iter();
        let json = matches!(step.body, Body::Json(_));
        for (name, value) in defaults.filter(|(name, _)| !given(name) && (json || *name != "content-type")) {
            headers.push((name.to_owned(), vec![Segment::Literal(value.into())]));
        }
        for Field { name, value } in &step.headers {
            let header_at = format!("{at}.headers.{name}");
            let name = name.to_ascii_lowercase();
            if !encode::is_token(&name) {
                self.fault(&header_at, format!("{name:?} is no header name; use letters, digits and \"-\""));
            } else if FRAMING.contains(&name.as_str()) {
                self.fault(&header_at, format!("{name} follows from the body and cannot be set; remove it"));
            }
            let value = self.template(&header_at, value, Encoding::Header);
            if name == "host" {
                host = Some(value);
            } else {
                headers.push((name, value));
            }
        }
        (host, headers)
    }

    /// A template whose values go into text.
    fn template(&mut self, at: &str, text: &str, encoding: Encoding) -> Vec<Segment> {
        let pieces = self.pieces(at, text);
        self.segments(at, text, pieces, encoding)
    }

    fn segments(&mut self, at: &str, text: &str, pieces: Vec<Piece>, encoding: Encoding) -> Vec<Segment> {
        let mut segments = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Text(plain) => {
                    let mut literal = Vec::with_capacity(plain.len());
                    if let Err(failure) = encode::text(&plain, encoding, &mut literal) {
                        self.fault(at, failure.0);
                    }
                    segments.push(Segment::Literal(literal));
                }
                Piece::Expr { kind, offset, .. } if !kind.is_text() => {
                    let fault = Fault::new(
                        offset,
                        format!("a {kind} cannot be put into a text; take an element with pick"),
                    );
                    self.errors.push(fault.place(at, text));
                }
                Piece::Expr { code, .. } => segments.push(Segment::Slot { code, encoding, at: at.into() }),
            }
        }
        segments
    }

    fn pieces(&mut self, at: &str, text: &str) -> Vec<Piece> {
        let pieces = template::parse(text, &self.scope).unwrap_or_else(|faults| {
            self.errors.extend(faults.into_iter().map(|fault| fault.place(at, text)));
            Vec::new()
        });
        for piece in &pieces {
            if let Piece::Expr { code, .. } = piece {
                let mut names = Vec::new();
                code.vars(&mut names);
                for name in names {
                    if !self.used.iter().any(|used| used == name) {
                        self.used.push(name.to_owned());
                    }
                }
            }
        }
        pieces
    }

    /// Writes a JSON value; strings are templates, names of members are not.
    fn json(&mut self, at: &str, value: &serde_json::Value, out: &mut Vec<Segment>) {
        match value {
            serde_json::Value::String(text) => self.json_string(at, text, out),
            serde_json::Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    out.push(Segment::Literal(if i == 0 { b"[".into() } else { b",".into() }));
                    self.json(&format!("{at}[{i}]"), item, out);
                }
                out.push(Segment::Literal(if items.is_empty() { b"[]".into() } else { b"]".into() }));
            }
            serde_json::Value::Object(members) => {
                for (i, (name, member)) in members.iter().enumerate() {
                    let mut text = if i == 0 { b"{".to_vec() } else { b",".to_vec() };
                    // Only headers refuse a text.
                    let _ = encode::text(name, Encoding::Json, &mut text);
                    text.push(b':');
                    out.push(Segment::Literal(text));
                    self.json(&format!("{at}.{name}"), member, out);
                }
                out.push(Segment::Literal(if members.is_empty() { b"{}".into() } else { b"}".into() }));
            }
            plain => out.push(Segment::Literal(plain.to_string().into_bytes())),
        }
    }

    /// A string that is exactly one expression keeps the expression's type; any other is a string.
    fn json_string(&mut self, at: &str, text: &str, out: &mut Vec<Segment>) {
        let mut pieces = self.pieces(at, text);
        if let [Piece::Expr { .. }] = pieces.as_slice() {
            out.extend(pieces.drain(..).filter_map(|piece| match piece {
                Piece::Expr { code, .. } => {
                    Some(Segment::Slot { code, encoding: Encoding::Json, at: at.into() })
                }
                Piece::Text(_) => None,
            }));
            return;
        }
        out.push(Segment::Literal(b"\"".into()));
        let inner = self.segments(at, text, pieces, Encoding::JsonString);
        out.extend(inner);
        out.push(Segment::Literal(b"\"".into()));
    }
}
