//! Checks, captures, sets, metrics and conditions.

use super::*;

fn full_step() -> Step {
    Step {
        checks: vec![check("ok", "body.id == 'a'", 1), check("fast", "latency < duration('100ms')", 2)],
        captures: vec![assign("token", "first(body.token, headers['x-id'])", 3)],
        sets: vec![assign("seen", "user.seen + [status]", 4)],
        metrics: vec![
            measure(MeasureKind::Counter, "size(text)", 5),
            measure(MeasureKind::Rate, "status == 429", 6),
            measure(MeasureKind::Trend, "latency", 7),
        ],
        ..get("/")
    }
}

fn user() -> User {
    let scenario = Scenario { state: vec![assign("seen", "[]", 8)], ..scenario(vec![full_step()]) };
    User::of(&script(vec![scenario]))
}

#[test]
fn afterwork_is_done_in_its_order() {
    let mut user = user();
    user.notes.clear();
    let notes = user.after(0, Some(&response(200, r#"{"id": "a", "token": "t-1"}"#)));
    let expected = [
        "check 1 true",
        "check 2 true",
        "captured token",
        "captured seen",
        "counter 5 27",
        "rate 6 false",
        "trend 7 5000000",
    ];
    assert_eq!(notes, expected);
    assert_eq!(user.variable("token"), Some(string("t-1")));
    assert_eq!(user.variable("seen"), Some(Value::List([Value::Int(200)].into())));
}

#[test]
fn captures_are_made_on_success_only_and_fall_back() {
    let mut user = user();
    user.after(0, Some(&response(200, r#"{"id": "a"}"#)));
    assert_eq!(user.variable("token"), Some(string("h-1")));
    let notes = user.after(0, Some(&response(429, r#"{"id": "b", "token": "t-2"}"#)));
    assert_eq!(
        notes,
        ["check 1 false", "check 2 true", "captured seen", "counter 5 27", "rate 6 true", "trend 7 5000000"]
    );
    assert_eq!(user.variable("token"), Some(string("h-1")));
    for status in [101, 200, 299] {
        let step = Step { captures: vec![assign("x", "string(status)", 0)], ..get("/") };
        let mut user = User::of(&steps(vec![step]));
        user.after(0, Some(&response(status, "")));
        assert_eq!(user.variable("x"), Some(string(&status.to_string())));
    }
    for status in [0, 100, 199, 300, 404, 500] {
        let step = Step { captures: vec![assign("x", "string(status)", 0)], ..get("/") };
        let mut user = User::of(&steps(vec![step]));
        assert!(user.after(0, Some(&response(status, ""))).is_empty());
        assert_eq!(user.variable("x"), None);
    }
}

#[test]
fn nothing_found_is_a_fault_and_keeps_the_old_value() {
    let step = Step { captures: vec![assign("id", "body.id", 3)], ..get("/") };
    let mut user = User::of(&steps(vec![step]));
    user.after(0, Some(&response(200, r#"{"id": 7}"#)));
    let absent = user.after(0, Some(&response(200, "{}")));
    assert!(absent.len() == 1 && absent[0].starts_with("fault 3: assign.id: "), "{absent:?}");
    let null = user.after(0, Some(&response(200, r#"{"id": null}"#)));
    assert_eq!(null, ["fault 3: assign.id: found nothing: it is null"]);
    let no_json = user.after(0, Some(&response(200, "<html>")));
    assert!(no_json.len() == 1 && no_json[0].contains("JSON"), "{no_json:?}");
    assert_eq!(user.variable("id"), Some(Value::Int(7)));
}

#[test]
fn a_response_that_is_not_complete_is_not_checked() {
    let mut user = user();
    user.notes.clear();
    let lost = Response::new(0, vec![], vec![], 1_000_000, Some("Timeout"));
    let notes = user.after(0, Some(&lost));
    assert_eq!(notes, ["captured seen", "counter 5 0", "rate 6 false", "trend 7 1000000"]);
    assert_eq!(user.variable("seen"), Some(Value::List([Value::Int(0)].into())));
    let step =
        Step { sets: vec![assign("why", "error", 0)], captures: vec![assign("why", "'x'", 0)], ..get("/") };
    let mut user = User::of(&steps(vec![step]));
    user.after(0, Some(&lost));
    assert_eq!(user.variable("why"), Some(string("Timeout")));
}

#[test]
fn a_check_that_cannot_be_computed_has_failed_and_says_why() {
    let step = Step { checks: vec![check("deep", "body.a.b > 1", 1)], ..get("/") };
    let mut user = User::of(&steps(vec![step]));
    let notes = user.after(0, Some(&response(500, r#"{"a": 3}"#)));
    assert!(notes[0].starts_with("check 1 false: check.deep: "), "{notes:?}");
    let notes = user.after(0, Some(&response(200, r#"{"a": {"b": "x"}}"#)));
    assert!(notes[0].starts_with("check 1 false: check.deep: "), "{notes:?}");
    let step = Step { checks: vec![check("flag", "body.ok", 1)], ..get("/") };
    let mut user = User::of(&steps(vec![step]));
    assert_eq!(user.after(0, Some(&response(200, r#"{"ok": true}"#))), ["check 1 true"]);
    let notes = user.after(0, Some(&response(200, r#"{"ok": "yes"}"#)));
    assert_eq!(notes, ["check 1 false: check.flag: is string, not true or false"]);
}

#[test]
fn assignments_see_the_values_from_before() {
    let swap =
        Step { sets: vec![assign("a", "user.b", 1), assign("b", "user.a", 2)], ..step(StepAction::Nothing) };
    let state = vec![assign("a", "1", 0), assign("b", "'x'", 0)];
    let mut user = User::of(&script(vec![Scenario { state, ..scenario(vec![swap]) }]));
    user.after(0, None);
    assert_eq!((user.variable("a"), user.variable("b")), (Some(string("x")), Some(Value::Int(1))));
    user.after(0, None);
    assert_eq!((user.variable("a"), user.variable("b")), (Some(Value::Int(1)), Some(string("x"))));
}

#[test]
fn a_set_that_fails_keeps_the_value_and_the_others() {
    let sets = vec![assign("a", "user.b + 1", 1), assign("b", "null", 2)];
    let state = vec![assign("a", "1", 0), assign("b", "'x'", 0)];
    let step = Step { sets, ..step(StepAction::Nothing) };
    let mut user = User::of(&script(vec![Scenario { state, ..scenario(vec![step]) }]));
    user.notes.clear();
    let notes = user.after(0, None);
    assert!(notes[0].starts_with("fault 1: assign.a: ") && notes[1] == "captured b", "{notes:?}");
    assert_eq!((user.variable("a"), user.variable("b")), (Some(Value::Int(1)), Some(Value::Null)));
}

#[test]
fn a_step_without_an_action_sees_the_last_response() {
    let look = Step {
        checks: vec![check("done", "status == 200", 1)],
        captures: vec![assign("id", "body.id", 2)],
        ..step(StepAction::Nothing)
    };
    let mut user = User::of(&steps(vec![get("/"), look]));
    // None yet: both are tried and fail.
    let notes = user.after(1, None);
    assert!(notes.len() == 2 && notes[1].starts_with("fault 2: assign.id: "), "{notes:?}");
    user.memory.last = Some(Box::new(response(200, r#"{"id": 3}"#)));
    assert_eq!(user.after(1, None), ["check 1 true", "captured id"]);
    user.memory.last = Some(Box::new(response(404, r#"{"id": 4}"#)));
    assert_eq!(user.after(1, None), ["check 1 false"]);
    assert_eq!(user.variable("id"), Some(Value::Int(3)));
    user.memory.last = Some(Box::new(response(0, "")));
    assert!(user.after(1, None).is_empty());
}

#[test]
fn metrics_take_what_they_are_made_for() {
    for (kind, expr, noted) in [
        (MeasureKind::Counter, "3", "counter 1 3"),
        (MeasureKind::Counter, "body.n", "counter 1 4"),
        (MeasureKind::Counter, "0 - body.n", "fault 101: metric: is negative; a counter only grows"),
        (
            MeasureKind::Counter,
            "body.s",
            "fault 101: metric: is string; a counter takes an int of at least 0",
        ),
        (MeasureKind::Rate, "body.n > 3", "rate 1 true"),
        (MeasureKind::Rate, "body.n", "fault 101: metric: is int; a rate takes true or false"),
        (MeasureKind::Trend, "duration(body.s)", "trend 1 1500000000"),
        (MeasureKind::Trend, "body.n", "fault 101: metric: is int; a trend takes a duration"),
        (
            MeasureKind::Trend,
            "duration('-' + body.s)",
            "fault 101: metric: is a negative duration; a trend takes none",
        ),
    ] {
        let step = Step { metrics: vec![measure(kind, expr, 1)], ..get("/") };
        let mut user = User::of(&steps(vec![step]));
        assert_eq!(user.after(0, Some(&response(200, r#"{"n": 4, "s": "1.5s"}"#))), [noted], "{expr}");
    }
    // Null measures nothing.
    let only_when_ok = measure(MeasureKind::Trend, "status == 200 ? latency : null", 1);
    let mut user = User::of(&steps(vec![Step { metrics: vec![only_when_ok], ..get("/") }]));
    assert_eq!(user.after(0, Some(&response(200, ""))).len(), 1);
    assert!(user.after(0, Some(&response(500, ""))).is_empty());
}

#[test]
fn conditions_that_cannot_be_computed_do_not_hold() {
    let step =
        Step { when: Some(condition("user.id > 3")), captures: vec![assign("id", "body.id", 0)], ..get("/") };
    let mut user = User::of(&steps(vec![step]));
    let holds = |user: &mut User| {
        let holds = user.env(None, |steps, env, notes| steps[0].when.as_ref().unwrap().holds(env, notes));
        (holds, std::mem::take(&mut user.notes))
    };
    let (held, notes) = holds(&mut user);
    assert!(!held && notes.len() == 1 && notes[0].starts_with("fault 99: when: "), "{notes:?}");
    user.after(0, Some(&response(200, r#"{"id": 4}"#)));
    assert_eq!(holds(&mut user), (true, vec![]));
    user.after(0, Some(&response(200, r#"{"id": 3}"#)));
    assert_eq!(holds(&mut user), (false, vec![]));
}

#[test]
fn expected_content_decides() {
    let that = HttpStep { that: Some("body.state == 'paid'".into()), ..http("/") };
    let mut user = User::of(&steps(vec![step(StepAction::Http(Box::new(that)))]));
    let mut judge = |body: &str| {
        user.env(Some(&response(200, body)), |steps, env, _| {
            let CompiledStepAction::Http(http) = &steps[0].action else { panic!("no request") };
            http.that(env)
        })
    };
    assert_eq!(judge(r#"{"state": "paid"}"#), Ok(()));
    assert_eq!(judge(r#"{"state": "open"}"#), Err("expect.that is not true: body.state == 'paid'".into()));
    assert!(judge("{}").unwrap_err().starts_with("spec.scenarios[0].steps[0].http.expect.that: "));
}

#[test]
fn messages_tell_when_they_were_sent() {
    let receive = WebSocketAction::Receive {
        until: Some(condition("message.type == 'end'")),
        within: 1,
        optional: false,
        reading: Reading {
            sent_at: Some(condition("message.ts")),
            checks: vec![check("typed", "has(message.type)", 1)],
        },
        captures: vec![assign("last", "message.type", 2)],
    };
    let socket = WebSocketStep {
        handshake: HttpStep { expect: vec![(101, 101)], ..http("/ws") },
        subprotocols: vec![],
        script: vec![receive],
        metrics: StreamMetrics::default(),
    };
    let step = step(StepAction::WebSocket(Box::new(socket)));
    let bound = bind(&steps(vec![step]), &[]).unwrap();
    let mut memory = Memory::new(&bound.scenarios[0].slots, rng(), 0);
    let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("tasks") };
    let CompiledStepAction::WebSocket(socket) = &steps[0].action else { panic!("no socket") };
    let CompiledSocketAction::Receive { until, reading, captures, .. } = &socket.script[0] else {
        panic!("no receive")
    };
    for (text, sent, done) in [
        (r#"{"type": "a", "ts": "2026-11-24T12:00:00Z"}"#, Some(NOW as i64), false),
        (r#"{"type": "a", "ts": 1795521600}"#, Some(NOW as i64), false),
        (r#"{"type": "a", "ts": 1795521600000}"#, Some(NOW as i64), false),
        (r#"{"type": "end", "ts": 1795521600.5}"#, Some(NOW as i64 + 500_000_000), true),
        (r#"{"type": "a", "ts": "soon"}"#, None, false),
        // Carries none.
        (r#"{"type": "a", "ts": null}"#, None, false),
        (r#"{"type": "a"}"#, None, false),
    ] {
        let message = Message::new(text.into());
        let mut notes = Vec::new();
        let mut env = Env {
            shared: &bound.shared,
            memory: &mut memory,
            response: None,
            message: Some(&message),
            now: NOW,
        };
        let mut see = |n: Note<'_>| notes.push(note(&n));
        assert_eq!(reading.sent_at(&mut env, &mut see), sent, "{text}");
        assert_eq!(until.as_ref().unwrap().holds(&mut env, &mut see), done, "{text}");
        reading.checks.apply(&mut env, &mut see);
        captures.capture(&mut env, &mut see);
        let faults = notes.iter().filter(|n| n.starts_with("fault 99: when: ")).count();
        assert_eq!(faults, usize::from(sent.is_none() && !text.contains("null")), "{notes:?}");
        assert!(notes.contains(&"check 1 true".to_owned()) && notes.contains(&"captured last".to_owned()));
    }
}
