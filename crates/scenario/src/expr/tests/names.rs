//! What names lead to, and what is told when they lead nowhere.

use super::*;

#[test]
fn names_lead_to_what_the_run_and_the_user_have() {
    for (text, value) in [
        ("vars.token", string("s3cret")),
        ("vars['agent']", string("echo")),
        ("user.token", string("t-0")),
        ("user['n']", Value::Int(5)),
        ("setup.tenant", string("acme")),
        ("run.name + '/' + run.test + '/' + run.namespace", string("run-1/checkout/shop")),
        ("run.user", Value::Int(7)),
        ("run.iteration", Value::Int(0)),
        ("data.users.email", string("a@x")),
        ("data['users']['basket'][0]", Value::Int(1)),
        ("status", Value::Int(200)),
        ("latency", Value::Duration(85_000_000)),
        ("error", Value::Null),
        ("headers.map(name, name)", Value::List(["content-type", "set-cookie"].map(string).into())),
        ("message.type", string("end")),
        ("now()", Value::Timestamp(NOW as i64)),
    ] {
        assert_eq!(eval(text), value, "{text}");
    }
    fails("user.unset", "user.unset has no value yet");
    fails("setup.absent", "setup.absent has no value yet");
    fails("data.later.a", "no such key \"a\"");
}

#[test]
fn columns_that_a_row_lacks_are_absent() {
    let (shared, mut memory) = (shared(), memory());
    let rows = std::sync::Arc::new(crate::memory::Slots { names: vec![], tables: vec![0] });
    let mut second = Memory::new(&rows, Rng::new(1, Stream::Member, 1), 1);
    assert!(second.begin_iteration(&shared, &mut crate::memory::Rows::new(1, 2)));
    for (memory, basket) in [(&mut memory, true), (&mut second, false)] {
        let mut env = Env { shared: &shared, memory, response: None, message: None, now: 0 };
        let has = checked("has(data.users.basket)").unwrap().0;
        assert_eq!(has.eval(&mut env), Ok(Value::Bool(basket)));
        assert_eq!(checked("data.users.basket").unwrap().0.eval(&mut env).is_ok(), basket);
    }
}

#[test]
fn without_a_response_or_message_their_names_have_no_value() {
    let text = |text: &str| try_eval_with(text, None, None).unwrap_err();
    assert_eq!(text("status"), "there is no response yet");
    assert_eq!(text("has(body.x)"), "there is no response yet");
    assert_eq!(text("message.type"), "there is no message yet");
    let lost = Response::new(0, vec![], vec![], 1, Some("Timeout"));
    assert_eq!(try_eval_with("body.x", Some(&lost), None).unwrap_err(), "there was no response");
    assert_eq!(try_eval_with("error == 'Timeout' && status == 0", Some(&lost), None), Ok(Value::Bool(true)));
    for (body, message) in [
        (b"".as_slice(), "the body is empty"),
        (b"<html>", "the body is not JSON"),
        (b"{\"x\": 1} tail", "the body is not JSON"),
        (b"{\"x\": \"\xff\"}", "the body is not JSON"),
        (b"{\"x\": [}", "the body is not JSON"),
    ] {
        let response = Response::new(200, vec![], body.into(), 1, None);
        for text in ["body.x", "body", "body.x.y", "has(body.x)", "size(body)"] {
            assert_eq!(try_eval_with(text, Some(&response), None), Err(message.to_owned()), "{text}");
        }
        assert!(try_eval_with("size(text) >= 0", Some(&response), None).is_ok());
    }
    let binary = Response::new(200, vec![], b"a\xff".into(), 1, None);
    assert_eq!(try_eval_with("text", Some(&binary), None), Ok(string("a\u{fffd}")));
}

#[test]
fn the_last_response_stands_in_where_a_step_has_none() {
    let (shared, mut memory) = (shared(), memory());
    memory.last = Some(Box::new(Response::new(404, vec![], b"{}".into(), 1, None)));
    let now = response();
    for (response, status) in [(None, 404), (Some(&now), 200)] {
        let mut env = Env { shared: &shared, memory: &mut memory, response, message: None, now: 0 };
        assert_eq!(checked("status").unwrap().0.eval(&mut env), Ok(Value::Int(status)));
    }
}

#[test]
fn messages_are_json_or_text_and_events_have_three_parts() {
    let with = |text: &str, message: Message| try_eval_with(text, None, Some(&message));
    let text = || Message::new("pong 1".into());
    assert_eq!(with("message == 'pong 1'", text()), Ok(Value::Bool(true)));
    assert_eq!(with("message.startsWith('pong')", text()), Ok(Value::Bool(true)));
    assert_eq!(with("message.type", text()), Err("no such key \"type\": the value is a string".into()));
    assert_eq!(with("has(message.type)", text()), Err("no such key \"type\": the value is a string".into()));
    assert_eq!(with("message", Message::new("[1]".into())), Ok(Value::List([Value::Int(1)].into())));
    let event = |data: &str| Message::event("update", data.into(), "7");
    assert_eq!(with("message.data.n", event("{\"n\": 4}")), Ok(Value::Int(4)));
    assert_eq!(with("message.event + message.id + message.data", event("x y")), Ok(string("update7x y")));
    assert_eq!(event("x").text(), "x");
}

#[test]
fn code_tells_what_it_uses() {
    let uses = |text: &str| checked(text).unwrap().0.uses();
    let all = uses("vars.token + vars.agent + vars.token + data.later.a + headers.x + body.y + message.z");
    assert_eq!(all.vars, ["token", "agent"]);
    assert_eq!(all.tables, [1].into());
    assert!(all.response && all.body && all.headers && all.message);
    let small = uses("status == 200 && latency < duration('1s') ? [1].map(x, x + 1) : []");
    assert!(small.response && !small.body && !small.headers && !small.message && small.tables.is_empty());
    assert!(uses("user.ids.exists(x, text.contains(x))").body);
    assert!(uses("has(headers.etag)").headers);
    assert!(uses("text.matches(vars.pattern)").vars == ["pattern"]);
}

#[test]
fn constants_of_the_run_are_folded_away() {
    let vars: Vars = [("token", "s3cret"), ("agent", "echo"), ("pattern", "(")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let run = RunNames { name: "r".into(), ..RunNames::default() };
    let fold = |text: &str| checked(text).unwrap().0.fold(Some(&Constants { vars: &vars, run: &run }));
    for (text, value) in [
        ("'Bearer ' + vars.token", string("Bearer s3cret")),
        ("vars.agent == 'echo' ? [run.name] : []", Value::List([string("r")].into())),
        ("first(int(vars.agent), null, size(vars.agent))", Value::Int(4)),
        ("['a', 'b'].map(x, x + vars.agent)", Value::List([string("aecho"), string("becho")].into())),
        ("vars.agent in {'echo': 1}", Value::Bool(true)),
        ("vars.agent.matches('^e') && has({'a': vars.agent}.a)", Value::Bool(true)),
    ] {
        match fold(text).unwrap() {
            Code::Const(folded) => assert_eq!(folded, value, "{text}"),
            Code::First(rest) => assert_eq!(rest.last().and_then(Code::constant), Some(&value), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(fold("pick([vars.agent, 'b'])"), Ok(Code::Pick(from)) if from.constant().is_some()));
    for (text, message) in [
        ("int(vars.token)", "the string is not an int"),
        ("text.matches(vars.pattern)", "not a regular expression: unclosed group"),
        (
            "duration(vars.token) < latency",
            "the string is not a duration; write one like 100ms, 1.5s or 1h30m",
        ),
        ("{'a': 1}[vars.token] + status", "no such key"),
    ] {
        assert_eq!(fold(text).unwrap_err().to_string(), message, "{text}");
    }
    let none = checked("vars.agent").unwrap().0.fold(Some(&Constants { vars: &Vars::new(), run: &run }));
    assert_eq!(none.unwrap_err().to_string(), "vars.agent has no value");
}
