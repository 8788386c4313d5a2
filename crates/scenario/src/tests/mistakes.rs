//! Kinds of mistakes and their positions: each is refused before any traffic.

use super::*;

/// The one fault of a script with this step.
fn fault(step: Step) -> String {
    let mut found = faults(&steps(vec![step]));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn with_http(change: impl FnOnce(&mut HttpStep)) -> Step {
    let mut request = http("/");
    change(&mut request);
    step(StepAction::Http(Box::new(request)))
}

#[test]
fn templates() {
    assert_eq!(
        fault(get("/a/${vars.kye}")),
        "spec.scenarios[0].steps[0].http.path (column 6): unknown variable vars.kye; did you mean \"key\"?"
    );
    let open = fault(with_http(|http| http.body = Body::Text("a ${uuid()".into())));
    assert_eq!(open, "spec.scenarios[0].steps[0].http.body (column 3): ${ without its closing }");
    let list = fault(with_http(|http| http.query = vec![field("q", "x${[1, 2]}")]));
    assert!(
        list.starts_with("spec.scenarios[0].steps[0].http.query.q (column 2): a list cannot be put"),
        "{list}"
    );
    let early = fault(get("/${body.id}"));
    assert!(early.starts_with("spec.scenarios[0].steps[0].http.path (column 4): "), "{early}");
}

#[test]
fn expressions() {
    for (expr, column) in
        [("status ==", 10), ("status = 200", 8), ("(status == 200", 15), ("", 1), ("status == 200 200", 15)]
    {
        let found = fault(Step { checks: vec![check("c", expr, 0)], ..get("/") });
        assert!(found.starts_with(&format!("check.c (column {column}): ")), "{expr}: {found}");
    }
}

#[test]
fn names_in_expressions() {
    for (expr, column, closest) in [
        ("statsu == 200", 1, "status"),
        ("status == 200 && latncy > duration('1s')", 18, "latency"),
        ("bdy.id == 1", 1, "body"),
        ("siez(text) == 1", 1, "size"),
        ("text.startswith('a')", 5, "startsWith"),
        ("runn.user == 1", 1, "run"),
        ("run.usr == 1", 1, "user"),
    ] {
        let found = fault(Step { checks: vec![check("c", expr, 0)], ..get("/") });
        assert!(found.starts_with("check.c (column "), "{expr}: {found}");
        assert!(
            found.contains(&format!("did you mean \"{closest}")) || found.contains(closest),
            "{expr}: {found}"
        );
        assert!(found.contains(&format!("(column {column})")) || column == 5, "{expr}: {found}");
    }
}

#[test]
fn captures() {
    let wrong = fault(Step { captures: vec![assign("token", "body.token +", 0)], ..get("/") });
    assert!(wrong.starts_with("assign.token (column 13): "), "{wrong}");
    let kind = fault(Step { captures: vec![assign("token", "size(5)", 0)], ..get("/") });
    assert!(kind.starts_with("assign.token (column "), "{kind}");
}

#[test]
fn variables_of_the_user() {
    let state = vec![assign("token", "''", 0)];
    let wrong = script(vec![Scenario { state, ..scenario(vec![get("/${user.tokn}")]) }]);
    let found = faults(&wrong);
    assert!(
        found.len() == 1
            && found[0].starts_with("spec.scenarios[0].steps[0].http.path (column 4): ")
            && found[0].ends_with("did you mean \"token\"?"),
        "{found:?}"
    );
    let undeclared = fault(Step { sets: vec![assign("n", "1", 0)], ..get("/") });
    assert_eq!(
        undeclared,
        "assign.n: user.n is set and nowhere declared; declare it in the scenario's state, or capture it"
    );
    let misspelt = Step {
        captures: vec![assign("token", "body.token", 0)],
        sets: vec![assign("tokn", "1", 0)],
        ..get("/")
    };
    assert_eq!(
        fault(misspelt),
        "assign.tokn: user.tokn is set and nowhere declared; did you mean \"token\"?"
    );
}

#[test]
fn captures_of_another_scenario_are_not_in_reach() {
    let login = Step { captures: vec![assign("token", "body.token", 0)], ..get("/login") };
    let found = faults(&script(vec![scenario(vec![login]), scenario(vec![get("/${user.token}")])]));
    assert!(found.len() == 1 && found[0].contains("token"), "{found:?}");
}

#[test]
fn what_setup_captured() {
    let mut wrong = steps(vec![get("/${setup.tokn}")]);
    wrong.setup = vec![Step { captures: vec![assign("token", "body.token", 0)], ..get("/login") }];
    let found = faults(&wrong);
    assert!(found.len() == 1 && found[0].ends_with("did you mean \"token\"?"), "{found:?}");
    let mut read_only = steps(vec![Step { sets: vec![assign("token", "1", 0)], ..get("/") }]);
    read_only.setup = wrong.setup;
    assert!(faults(&read_only)[0].starts_with("assign.token: user.token is set and nowhere declared"));
}

#[test]
fn types() {
    for (expr, message) in [
        (
            "'a'",
            "check.c (column 1): this is a string; it must be true or false, so compare it with something",
        ),
        (
            "latency",
            "check.c (column 1): this is a duration; it must be true or false, so compare it with something",
        ),
    ] {
        assert_eq!(fault(Step { checks: vec![check("c", expr, 0)], ..get("/") }), message);
    }
    let when = fault(Step { when: Some(condition("1 + 1")), ..get("/") });
    assert!(when.starts_with("when (column 1): this is a"), "{when}");
    let that = fault(with_http(|http| http.that = Some("text".into())));
    assert!(
        that.starts_with("spec.scenarios[0].steps[0].http.expect.that (column 1): this is a string"),
        "{that}"
    );
    for (kind, expr, takes) in [
        (MeasureKind::Counter, "'a'", "a counter takes an int of at least 0"),
        (MeasureKind::Rate, "1", "a rate takes true or false"),
        (MeasureKind::Trend, "status", "a trend takes a duration"),
    ] {
        let found = fault(Step { metrics: vec![measure(kind, expr, 0)], ..get("/") });
        assert!(found.starts_with("metric (column 1): this is a") && found.ends_with(takes), "{found}");
    }
    let mixed = fault(Step { checks: vec![check("c", "status == 'ok' && latency > 5", 0)], ..get("/") });
    assert!(mixed.starts_with("check.c (column "), "{mixed}");
}

#[test]
fn constants_that_can_never_work() {
    let found = fault(Step { checks: vec![check("c", "text.matches('(')", 0)], ..get("/") });
    assert!(found.starts_with("check.c (column "), "{found}");
    let range = fault(get("/${randInt(5, 1)}"));
    assert!(range.starts_with("spec.scenarios[0].steps[0].http.path (column 4): "), "{range}");
}

#[test]
fn values_of_constants_that_do_not_fit_are_never_shown() {
    let script = steps(vec![Step { when: Some(condition("int(vars.key) > 3")), ..get("/") }]);
    assert!(bind(&script, &[("key", "4")]).is_ok());
    let wrong = bind(&script, &[("key", "s3cret")]).unwrap_err();
    assert_eq!(wrong.len(), 1);
    let text = wrong[0].to_string();
    assert!(text.starts_with("when: ") && text.ends_with("(the value of vars.key)"), "{text}");
    assert!(!text.contains("s3cret"));
    // What may be absent is no reason to refuse the run.
    let careful = steps(vec![Step { when: Some(condition("first(int(vars.key), 4) > 3")), ..get("/") }]);
    assert!(bind(&careful, &[("key", "s3cret")]).is_ok());
}

#[test]
fn messages_outside_of_sessions() {
    let found = fault(Step { checks: vec![check("c", "message.type == 'a'", 0)], ..get("/") });
    assert!(found.starts_with("check.c (column 1): "), "{found}");
}

#[test]
fn web_sockets() {
    let socket = |script: Vec<WebSocketAction>, headers: Vec<Field>| {
        step(StepAction::WebSocket(Box::new(WebSocketStep {
            handshake: HttpStep { headers, ..http("/ws") },
            subprotocols: vec!["chat v1".into()],
            script,
            metrics: StreamMetrics::default(),
        })))
    };
    let send = WebSocketAction::Send {
        message: Body::Json(serde_json::json!({"a": {"b": ["${vars.kye}"]}})),
        at: "spec.scenarios[0].steps[0].websocket.script[0].send".into(),
    };
    let found = faults(&steps(vec![socket(vec![send], vec![field("Sec-WebSocket-Protocol", "x")])]));
    let places: Vec<_> = found.iter().map(|f| f.split([' ', ':']).next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "spec.scenarios[0].steps[0].websocket.headers.sec-websocket-protocol",
            "spec.scenarios[0].steps[0].websocket.subprotocols[0]",
            "spec.scenarios[0].steps[0].websocket.script[0].send.a.b[0]",
        ]
    );
}

#[test]
fn flows_are_told_once_and_with_the_scenario_that_is_wrong() {
    let flow = |expr: &str| {
        let inner = Step {
            checks: vec![Check { at: "spec.flows[0].steps[0].check.c".into(), ..check("c", expr, 0) }],
            ..get("/in")
        };
        step(StepAction::Run(vec![Step { at: "spec.flows[0].steps[0]".into(), ..inner }]))
    };
    let named = |name: &str, steps: Vec<Step>| Scenario { name: name.into(), ..scenario(steps) };
    let both = script(vec![named("a", vec![flow("1")]), named("b", vec![flow("1")])]);
    let found = faults(&both);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("spec.flows[0].steps[0].check.c (column 1): ") && !found[0].contains("scenario")
    );
    let declares = Scenario { state: vec![assign("n", "1", 0)], ..named("a", vec![flow("user.n == 1")]) };
    let found = faults(&script(vec![declares, named("b", vec![flow("user.n == 1")])]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("(as scenario \"b\" runs it)"), "{found:?}");
}

#[test]
fn everything_wrong_is_told_at_once_and_in_order() {
    let mut wrong = steps(vec![get("/${a}"), get("/${b}")]);
    wrong.setup = vec![get("/${c}")];
    wrong.teardown = vec![get("/${d}")];
    let found = faults(&wrong);
    let names: Vec<_> = found.iter().map(|f| f.split('"').nth(1).unwrap()).collect();
    assert_eq!(names.len(), 1, "one place is told once: {found:?}");
    let at = |at: &str, path: &str| Step {
        at: at.into(),
        action: StepAction::Http(Box::new(HttpStep { at: at.into(), ..http(path) })),
        ..get("/")
    };
    wrong.scenarios[0].action = Action::Steps(vec![at("s0", "/${a}"), at("s1", "/${b}")]);
    wrong.setup = vec![at("setup0", "/${c}")];
    wrong.teardown = vec![at("teardown0", "/${d}")];
    let places: Vec<String> =
        faults(&wrong).iter().map(|f| f.split('.').next().unwrap().to_owned()).collect();
    assert_eq!(places, ["setup0", "s0", "s1", "teardown0"]);
}
