//! What virtual users do, in words: one line a step, a flow's steps below the step that runs it. Called by `words.rs`.

use plimsoll_scenario::{
    Action, HttpStep, OnFailure, Scenario, Script, Step, StepAction, Wait, WebSocketAction,
};
use plimsoll_slo::text;

/// All lines; those that begin something carry its word. `names` are those of the requests.
pub(super) fn describe(script: &Script, names: &[String], line: &mut dyn FnMut(&str, &str)) {
    for (word, list) in [("setup", &script.setup), ("teardown", &script.teardown)] {
        hook(line, names, word, list);
    }
    for call in &script.timeline {
        line("timeline", &format!("at {}", text::duration_exact(call.at)));
        steps(line, names, std::slice::from_ref(&call.step), "  ");
    }
    for table in &script.data {
        line("data", &format!("{} ({:?}, {:?})", table.name, table.format, table.pick));
    }
    for scenario in &script.scenarios {
        self::scenario(line, names, scenario, script);
    }
}

fn hook(line: &mut dyn FnMut(&str, &str), names: &[String], word: &str, list: &[Step]) {
    if !list.is_empty() {
        line(word, "once per run");
        steps(line, names, list, "  ");
    }
}

fn scenario(line: &mut dyn FnMut(&str, &str), names: &[String], scenario: &Scenario, script: &Script) {
    let wait = scenario.wait.map_or_else(|| "no wait".to_owned(), |wait| format!("wait {}", pause(wait)));
    line("scenario", &format!("{} (weight {}, {wait})", scenario.name, scenario.weight));
    for limit in &script.limits {
        let used = |steps: &[Step]| uses(steps, script, &limit.name);
        let found = match &scenario.action {
            Action::Steps(list) => used(list),
            Action::Tasks(tasks) => tasks.iter().any(|task| used(&task.steps)),
        };
        if found {
            line("", &format!("at most {} in {}", text::counted(limit.max, "user"), limit.name));
        }
    }
    for (word, list) in [("on start", &scenario.on_start), ("on stop", &scenario.on_stop)] {
        if !list.is_empty() {
            line("", word);
            steps(line, names, list, "  ");
        }
    }
    match &scenario.action {
        Action::Steps(list) => steps(line, names, list, ""),
        Action::Tasks(tasks) => {
            for task in tasks {
                let when =
                    task.when.as_ref().map_or_else(String::new, |when| format!(", when {}", when.expr));
                line("", &format!("task {} (weight {}{when})", task.name, task.weight));
                steps(line, names, &task.steps, "  ");
            }
        }
    }
}

fn uses(steps: &[Step], script: &Script, limit: &str) -> bool {
    let named = |step: &Step| {
        let own = step.limit.and_then(|at| script.limits.get(usize::from(at)));
        own.is_some_and(|own| own.name == limit)
            || matches!(&step.action, StepAction::Run(inner) if uses(inner, script, limit))
    };
    steps.iter().any(named)
}

fn steps(line: &mut dyn FnMut(&str, &str), names: &[String], list: &[Step], indent: &str) {
    for step in list {
        line("", &format!("{indent}{}{}", action(step, names), modifiers(step)));
        if let StepAction::Run(inner) = &step.action {
            steps(line, names, inner, &format!("{indent}  "));
        }
    }
}

fn action(step: &Step, names: &[String]) -> String {
    let name = named(step, names);
    match &step.action {
        StepAction::Http(http) => name + &request(http),
        StepAction::Poll(poll) => format!(
            "{name}poll {} every {} until {}, at most {}",
            request(&poll.http),
            text::duration_exact(poll.every),
            poll.done.expr,
            text::duration_exact(poll.limit)
        ),
        StepAction::WebSocket(socket) => {
            let script: Vec<&str> = socket.script.iter().map(socket_action).collect();
            format!("{name}websocket {}: {}", socket.handshake.path, script.join(", "))
        }
        StepAction::Sse(sse) => {
            format!("{name}events of {}, at most {}", request(&sse.http), text::duration_exact(sse.limit))
        }
        StepAction::Pause(wait) => format!("pause {}", pause(*wait)),
        StepAction::Run(inner) => format!("run {}", text::counted(inner.len() as u64, "step")),
        StepAction::Nothing => {
            let names: Vec<String> = step.sets.iter().map(|set| format!("user.{}", set.name)).collect();
            if names.is_empty() {
                "look at the last response".to_owned()
            } else {
                format!("set {}", names.join(", "))
            }
        }
    }
}

/// The name that a step's requests count under, if it is not the one that its method and path give.
fn named(step: &Step, names: &[String]) -> String {
    let (http, method) = match &step.action {
        StepAction::Http(http) => (&**http, http.method.as_str()),
        StepAction::Poll(poll) => (&poll.http, poll.http.method.as_str()),
        StepAction::WebSocket(socket) => (&socket.handshake, "WS"),
        StepAction::Sse(sse) => (&sse.http, "SSE"),
        StepAction::Pause(_) | StepAction::Run(_) | StepAction::Nothing => return String::new(),
    };
    match names.get(usize::from(http.request)) {
        Some(name) if *name != format!("{method} {}", http.path) => format!("{name}: "),
        _ => String::new(),
    }
}

fn socket_action(action: &WebSocketAction) -> &'static str {
    match action {
        WebSocketAction::Send { .. } => "send",
        WebSocketAction::Receive { .. } => "receive",
        WebSocketAction::Hold { .. } => "hold",
        WebSocketAction::Ping { .. } => "ping",
        WebSocketAction::Pause(_) => "pause",
        WebSocketAction::Close { .. } => "close",
        WebSocketAction::AwaitClose { .. } => "await close",
    }
}

/// Whether, how often and with what consequence.
fn modifiers(step: &Step) -> String {
    let failure = match step.on_failure {
        OnFailure::Continue => None,
        OnFailure::EndIteration => Some("a failure ends the iteration".to_owned()),
        OnFailure::EndUser => Some("a failure ends the user".to_owned()),
    };
    let parts = [
        step.when.as_ref().map(|when| format!("when {}", when.expr)),
        step.chance.map(|chance| format!("with a chance of {}", text::share_exact(chance))),
        step.repeat.map(|repeat| format!("{} times", repeat.times)),
        step.retry.as_ref().map(|retry| format!("at most {} attempts", retry.attempts)),
        failure,
        (!step.checks.is_empty()).then(|| text::counted(step.checks.len() as u64, "check")),
    ];
    parts.into_iter().flatten().map(|part| format!(", {part}")).collect()
}

fn request(http: &HttpStep) -> String {
    let expect: Vec<String> = http
        .expect
        .iter()
        .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") })
        .collect();
    let that = http.that.as_ref().map_or_else(String::new, |that| format!(" that {that}"));
    let timeout = text::duration_exact(http.timeout);
    format!("{} {}, expect {}{that}, timeout {timeout}", http.method, http.path, expect.join(", "))
}

fn pause(wait: Wait) -> String {
    match wait {
        Wait::Uniform { min, max } if min == max => text::duration_exact(min),
        Wait::Uniform { min, max } => {
            format!("{} to {}", text::duration_exact(min), text::duration_exact(max))
        }
        Wait::Exponential { mean } => format!("{} on average (exponential)", text::duration_exact(mean)),
    }
}
