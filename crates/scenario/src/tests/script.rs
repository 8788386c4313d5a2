//! Scripts as a whole: variables of each kind of user, flows, setup, teardown, timeline, tasks, waits.

use super::*;

fn post(path: &str, body: serde_json::Value) -> Step {
    step(StepAction::Http(Box::new(HttpStep { method: "POST".into(), body: Body::Json(body), ..http(path) })))
}

fn login() -> Step {
    let inner = Step { captures: vec![assign("token", "body.token", 1)], ..get("/login") };
    step(StepAction::Run(vec![Step { at: "spec.flows[0].steps[0]".into(), ..inner }]))
}

#[test]
fn captures_of_flows_belong_to_the_user_that_runs_them() {
    let headers = vec![field("authorization", "Bearer ${user.token}")];
    let authorised = step(StepAction::Http(Box::new(HttpStep { headers, ..http("/orders") })));
    let mut script = steps(vec![authorised]);
    script.scenarios[0].on_start = vec![login()];
    script.scenarios.push(scenario(vec![get("/plain")]));
    let mut user = User::of(&script);
    assert_eq!(user.bound.scenarios[0].slots.names, ["token"]);
    assert!(user.bound.scenarios[1].slots.names.is_empty());
    let unset = user.request(0).unwrap_err();
    assert_eq!(unset.at, "spec.scenarios[0].steps[0].http.headers.authorization");
    assert!(unset.message.contains("user.token"), "{unset}");
    let CompiledStepAction::Run(flow) = &user.bound.scenarios[0].on_start[0].action else {
        panic!("no flow")
    };
    let ok = response(200, r#"{"token": "s3cret"}"#);
    let mut env = Env {
        shared: &user.bound.shared,
        memory: &mut user.memory,
        response: Some(&ok),
        message: None,
        now: NOW,
    };
    flow[0].after.apply(&mut env, &mut |_| {});
    assert!(user.request(0).unwrap().contains("authorization: Bearer s3cret\r\n"));
    assert!(!format!("{:?}", user.memory).contains("s3cret"));
}

#[test]
fn a_variable_that_breaks_the_header_is_not_sent() {
    let headers = vec![field("x", "${user.token}")];
    let request = HttpStep { headers, ..http("/") };
    let step = Step {
        captures: vec![assign("token", "body.token", 1)],
        ..step(StepAction::Http(Box::new(request)))
    };
    let mut user = User::of(&steps(vec![step]));
    user.after(0, Some(&response(200, r#"{"token": "s3\r\ncret"}"#)));
    let wrong = user.request(0).unwrap_err();
    assert_eq!(wrong.message, "a header value may not hold a line break; remove it");
}

#[test]
fn variables_keep_their_type_in_json_and_their_encoding_in_paths() {
    let body = serde_json::json!({"id": "${user.id}", "text": "n${user.id}", "ids": "${user.ids}", "run": "${run.name}"});
    let target = HttpStep {
        method: "POST".into(),
        query: vec![field("q", "${user.name}")],
        body: Body::Json(body),
        ..http("/items/${user.name}/${user.id}")
    };
    let captures = vec![
        assign("id", "body.id", 1),
        assign("name", "body.name", 1),
        assign("ids", "body.ids.map(d, d.id)", 1),
    ];
    let mut user = User::of(&steps(vec![Step { captures, ..step(StepAction::Http(Box::new(target))) }]));
    user.after(0, Some(&response(200, r#"{"id": 7, "name": "a b&c", "ids": [{"id": 1}, {"id": "x"}]}"#)));
    let text = user.request(0).unwrap();
    assert!(text.starts_with("POST /items/a%20b&c/7?q=a%20b%26c HTTP/1.1\r\n"), "{text}");
    assert!(text.ends_with(r#"{"id":7,"text":"n7","ids":[1,"x"],"run":"checkout-7"}"#), "{text}");
}

#[test]
fn what_setup_captures_is_everybodys() {
    let mut script = steps(vec![get("/${setup.token}/${setup.n}")]);
    let captures = vec![assign("token", "body.token", 1), assign("n", "body.n", 2)];
    script.setup = vec![Step { captures, ..get("/login") }, get("/${user.token}/${setup.n}")];
    script.teardown = vec![get("/logout/${setup.token}")];
    let mut bound = bind(&script, &[]).unwrap();
    let mut memory = bound.setup.memory(&bound.shared, rng());
    assert_eq!(bound.setup_json(&memory).as_deref(), Some("{}"));
    let ok = response(200, r#"{"token": "s-\"1\"", "n": 4}"#);
    let mut env =
        Env { shared: &bound.shared, memory: &mut memory, response: Some(&ok), message: None, now: NOW };
    bound.setup.steps[0].after.apply(&mut env, &mut |_| {});
    let CompiledStepAction::Http(next) = &bound.setup.steps[1].action else { panic!("no request") };
    let mut env = Env { shared: &bound.shared, memory: &mut memory, response: None, message: None, now: NOW };
    assert_eq!(&*next.parts(&mut env).unwrap().target, b"/s-%221%22/4");
    let json = bound.setup_json(&memory).unwrap();
    assert_eq!(json, r#"{"token":"s-\"1\"","n":4}"#);
    let mut other = User::with(bound.clone(), 0);
    assert!(other.request(0).unwrap_err().message.contains("setup.token"));
    bound.set_setup(&json).unwrap();
    assert!(bound.set_setup("s3cret").is_err_and(|e| !e.contains("s3cret")));
    let mut user = User::with(bound.clone(), 0);
    assert!(user.request(0).unwrap().starts_with("GET /s-%221%22/4 "));
    let mut after = bound.teardown.memory(&bound.shared, rng());
    let CompiledStepAction::Http(logout) = &bound.teardown.steps[0].action else { panic!("no request") };
    let mut env = Env { shared: &bound.shared, memory: &mut after, response: None, message: None, now: NOW };
    assert_eq!(&*logout.parts(&mut env).unwrap().target, b"/logout/s-%221%22");
    assert_eq!(bind(&steps(vec![get("/")]), &[]).unwrap().setup_json(&memory), None);
}

#[test]
fn the_timeline_is_in_the_order_of_its_times() {
    let mut script = steps(vec![get("/")]);
    let captured = Step { captures: vec![assign("id", "body.id", 0)], ..get("/begin") };
    script.timeline = vec![Call { at: 9, step: get("/end/${user.id}") }, Call { at: 3, step: captured }];
    let bound = bind(&script, &[]).unwrap();
    assert_eq!(bound.timeline.calls.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [3, 9]);
    assert_eq!(bound.timeline.slots.names, ["id"]);
    assert_eq!(bound.requests, 3);
}

#[test]
fn tasks_are_done_when_their_condition_holds() {
    let task = |name: &str, when: Option<&str>| Task {
        name: name.into(),
        weight: 1,
        when: when.map(condition),
        steps: vec![get(&format!("/{name}"))],
    };
    let tasks = Action::Tasks(vec![task("always", None), task("with", Some("has(user.id)"))]);
    let state = vec![assign("id", "1", 0)];
    let mut script = script(vec![Scenario { state, action: tasks, ..scenario(vec![]) }]);
    let count = |script: &Script| {
        let mut user = User::with(bind(script, &[]).unwrap(), 0);
        let User { bound, memory, .. } = &mut user;
        let mut drawn = |_| {
            let steps = bound.scenarios[0].action.iteration(&bound.shared, memory, NOW, &mut |_| {});
            steps.len()
        };
        (0..1000).map(&mut drawn).sum::<usize>()
    };
    assert_eq!(count(&script), 1000);
    script.scenarios[0].state.clear();
    script.scenarios[0].on_stop = vec![Step { captures: vec![assign("id", "1", 0)], ..get("/") }];
    // Binomial(1000, 1/2) has a standard deviation of 16; five of them.
    assert!(count(&script).abs_diff(500) < 80);
}

#[test]
fn state_that_cannot_be_computed_is_a_fault() {
    let state = vec![assign("n", "int(data.t.n)", 7)];
    let mut script = script(vec![Scenario { state, ..scenario(vec![get("/")]) }]);
    script.data = vec![table("t", DataFormat::Csv, "n\nx\n", Pick::PerUser, false)];
    let user = User::of(&script);
    assert!(user.notes.len() == 1 && user.notes[0].starts_with("fault 7: assign.n: "), "{:?}", user.notes);
    assert_eq!(user.variable("n"), None);
}

#[test]
fn a_memory_begins_anew_for_the_next_arrival() {
    let mut user =
        User::of(&script(vec![Scenario { state: vec![assign("a", "1", 0)], ..scenario(vec![get("/")]) }]));
    user.memory.last = Some(Box::new(response(200, "")));
    let User { bound, memory, rows, .. } = &mut user;
    assert!(memory.begin_iteration(&bound.shared, rows) && memory.begin_iteration(&bound.shared, rows));
    assert_eq!((memory.iteration, memory.slot(0)), (1, Some(&Value::Int(1))));
    memory.renew(&bound.scenarios[0].slots, rng(), 9);
    assert_eq!((memory.user, memory.iteration, memory.slot(0)), (9, 0, None));
    assert!(memory.last.is_none());
    assert!(memory.begin_life(&bound.scenarios[0], &bound.shared, rows, NOW, &mut |_| {}));
    assert_eq!(memory.slot(0), Some(&Value::Int(1)));
}

#[test]
fn web_socket_messages_are_rendered_with_their_types() {
    let send = |message: Body| WebSocketAction::Send {
        message,
        at: "spec.scenarios[0].steps[0].websocket.script[0].send".into(),
    };
    let socket = |script: Vec<WebSocketAction>| WebSocketStep {
        handshake: HttpStep {
            expect: vec![(101, 101)],
            headers: vec![field("Connection", "close")],
            ..http("/ws/${user.id}")
        },
        subprotocols: vec!["chat.v1".into()],
        script,
        metrics: StreamMetrics::default(),
    };
    let close = WebSocketAction::Close { code: 1000, reason: "bye ${user.id}".into(), at: "close".into() };
    let messages = vec![
        send(Body::Json(serde_json::json!({"type": "subscribe", "id": "${user.id}"}))),
        send(Body::Text("id ${user.id}".into())),
        close,
    ];
    let state = vec![assign("id", "7", 0)];
    let steps = vec![step(StepAction::WebSocket(Box::new(socket(messages))))];
    let mut user = User::of(&script(vec![Scenario { state, ..scenario(steps) }]));
    let texts = user.env(None, |steps, env, _| {
        let CompiledStepAction::WebSocket(socket) = &steps[0].action else { panic!("no socket") };
        let handshake = socket.handshake.parts(env).unwrap();
        assert_eq!(&*handshake.target, b"/ws/7");
        assert!(handshake.headers.iter().all(|(name, _)| name != "connection"));
        let text = |action: &CompiledSocketAction| match action {
            CompiledSocketAction::Send(text) | CompiledSocketAction::Close { reason: text, .. } => {
                let mut out = Vec::new();
                text.render(&mut out, env).unwrap();
                String::from_utf8(out).unwrap()
            }
            _ => panic!("no text"),
        };
        socket.script.iter().map(text).collect::<Vec<_>>()
    });
    assert_eq!(texts, [r#"{"type":"subscribe","id":7}"#, "id 7", "bye 7"]);
}

#[test]
fn event_streams_and_raw_upgrades_are_known_by_their_headers() {
    let sse = SseStep {
        http: http("/events"),
        until: Some(condition("message.event == 'end'")),
        limit: 1,
        reading: Reading::default(),
        captures: vec![assign("n", "message.data.n", 1)],
        metrics: StreamMetrics::default(),
    };
    let headers = vec![field("Upgrade", "websocket"), field("connection", "upgrade")];
    let raw = step(StepAction::Http(Box::new(HttpStep { headers, ..http("/ws") })));
    let mut user =
        User::of(&steps(vec![step(StepAction::Sse(Box::new(sse))), raw, post("/", serde_json::json!(1))]));
    user.env(None, |steps, env, _| {
        let CompiledStepAction::Sse(sse) = &steps[0].action else { panic!("no stream") };
        let parts = sse.http.parts(env).unwrap();
        assert!(parts.headers.iter().any(|(n, v)| n == "accept" && **v == *b"text/event-stream"));
        let upgrades = |n: usize| matches!(&steps[n].action, CompiledStepAction::Http(http) if http.upgrades);
        assert!(upgrades(1) && !upgrades(2));
    });
}

#[test]
fn waits_have_their_distribution() {
    let mut rng = rng();
    let mean = |wait: Wait, rng: &mut Rng| (0..20_000).map(|_| wait.draw(rng) as f64).sum::<f64>() / 20_000.0;
    // Standard errors of the means: 2041 and 7071; five of them.
    assert!((mean(Wait::Uniform { min: 0, max: 1_000_000 }, &mut rng) - 500_000.0).abs() < 10_200.0);
    assert!((mean(Wait::Exponential { mean: 1_000_000 }, &mut rng) - 1_000_000.0).abs() < 35_400.0);
    assert_eq!(Wait::Uniform { min: 7, max: 7 }.draw(&mut rng), 7);
    assert_eq!(Wait::Exponential { mean: 0 }.draw(&mut rng), 0);
}

#[test]
fn chance_is_in_parts_per_billion() {
    let bound = bind(&steps(vec![Step { chance: Some(300_000_000), ..get("/") }]), &[]).unwrap();
    let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("tasks") };
    let mut rng = rng();
    let happened = (0..10_000).filter(|_| steps[0].happens(&mut rng)).count();
    // Binomial(10 000, 0.3) has a standard deviation of 46; five of them.
    assert!(happened.abs_diff(3000) < 230, "{happened}");
}

#[test]
fn nothing_that_is_printed_shows_a_value() {
    let headers = vec![field("authorization", "Bearer ${vars.key}"), field("x", "${user.own}")];
    let request = HttpStep { headers, that: Some("text != vars.key".into()), ..http("/${data.t.secret}") };
    let step = Step {
        when: Some(condition("has(user.own) || vars.key == 'x'")),
        checks: vec![check("c", "body.a == vars.key", 0)],
        captures: vec![assign("own", "first(body.a, vars.key)", 0)],
        sets: vec![assign("own", "[vars.key]", 0)],
        metrics: vec![measure(MeasureKind::Rate, "text == vars.key", 0)],
        ..step(StepAction::Http(Box::new(request)))
    };
    let mut script = steps(vec![step]);
    script.data = vec![table("t", DataFormat::Csv, "secret\ns3cret\n", Pick::Random, false)];
    let mut bound = bind(&script, &[("key", "s3cret")]).unwrap();
    bound.set_setup(r#"{"x": "s3cret"}"#).unwrap();
    let mut user = User::with(bound, 0);
    let answer = response(200, r#"{"a": "s3cret"}"#);
    let notes = user.after(0, Some(&answer));
    // The set left a list, which no header can hold.
    let wrong = user.request(0).unwrap_err();
    let User { bound, memory, .. } = &mut user;
    let mut printed = format!("{bound:?} {memory:?} {answer:?} {notes:?} {wrong} {wrong:?}");
    let env = Env { shared: &bound.shared, memory, response: Some(&answer), message: None, now: NOW };
    printed.push_str(&format!("{env:?}"));
    assert!(!printed.contains("s3cret"), "{printed}");
}
