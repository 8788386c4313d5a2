//! Operators and macros, after CEL's definition.

use super::*;

#[test]
fn arithmetic_never_wraps() {
    for (text, value) in [
        ("2 + 3 * 4 - 1", Value::Int(13)),
        ("-7 / 2", Value::Int(-3)),
        ("-7 % 3", Value::Int(-1)),
        ("7.5 / 2.5", Value::Double(3.0)),
        ("1.0 / 0.0", Value::Double(f64::INFINITY)),
        ("'a' + 'b'", string("ab")),
        ("[1] + ['a']", Value::List([Value::Int(1), string("a")].into())),
        ("duration('1m') + duration('1s')", Value::Duration(61_000_000_000)),
        (
            "timestamp('1970-01-01T00:01:00Z') - timestamp('1970-01-01T00:00:00Z')",
            Value::Duration(60_000_000_000),
        ),
        ("timestamp('1970-01-01T00:01:00Z') - duration('1m')", Value::Timestamp(0)),
        ("duration('1m') + timestamp('1970-01-01T00:00:00Z')", Value::Timestamp(60_000_000_000)),
        ("-9223372036854775808 % -1", Value::Int(0)),
        // A number from outside is an int or a double as it was written, and takes the side of a double.
        ("body.n * 1.5", Value::Double(4.5)),
        ("body.total + body.n", Value::Double(15.5)),
        ("body.n + 1", Value::Int(4)),
    ] {
        assert_eq!(eval(text), value, "{text}");
    }
    for text in [
        "user.n + 9223372036854775807",
        "user.n * -9223372036854775807",
        "-9223372036854775808 - user.n",
        "-(user.n - 5 - 9223372036854775807 - 1)",
        "(user.n - 6) * -9223372036854775807 - user.n + 9223372036854775807",
        "(-9223372036854775807 - user.n + 4) / (user.n - 6)",
    ] {
        fails(text, "the number does not fit 64 bits");
    }
    fails("1 / (user.n - 5)", "division by zero");
    fails("1 % (user.n - 5)", "division by zero");
    fails("body.status + body.n", "cannot add a string and an int");
    fails("body - 1", "cannot subtract an int from a map");
}

#[test]
fn equality_is_by_value_and_knows_no_error() {
    for text in [
        "1 == 1.0",
        "body.n == 3.0 && 3.0 == body.n",
        "9007199254740993 != 9007199254740992.0",
        "body.n != 'x' && body.none == null && body.n != null",
        "[1, [2.0]] == [1.0, [2]]",
        "{'a': 1, 'b': [2]} == {'b': [2.0], 'a': 1.0}",
        "body.debates[0] == {'id': 'a', 'size': 1}",
        "body.debates == json('[{\"id\":\"a\",\"size\":1},{\"size\":2,\"id\":\"b\"},{\"id\":\"c\",\"size\":3.0}]')",
        "body.debates != [] && [] == []",
        "duration('60s') == duration('1m')",
        "body.tokens.access.key == 'ü'",
        "error == null && latency == duration('85ms')",
        "user.ids == ['x', 'y'] && text != 'y'",
    ] {
        holds(text);
    }
}

#[test]
fn order_is_exact_across_ints_and_doubles() {
    for text in [
        "1 < 1.5 && 1.5 < 2 && 2 <= 2.0 && 2.0 >= 2",
        "9223372036854775807 < 9223372036854775808.0",
        "-9223372036854775808 >= -9223372036854775808.0",
        "9007199254740993 > 9007199254740992.0",
        "'a' < 'b' && 'B' < 'a' && false < true",
        "latency < duration('100ms') && now() > timestamp('2026-01-01T00:00:00Z')",
        "body.total > 0 && body.n >= 3",
        "!(double('nan') < 1.0) && !(double('nan') >= 1.0)",
    ] {
        holds(text);
    }
    fails("body.status < body.n", "cannot compare a string with an int");
    fails("body.none < 1", "cannot compare null with an int");
    fails("body.debates < body.tokens", "cannot compare a list with a map");
}

#[test]
fn and_or_absorb_what_fails_where_the_other_side_decides() {
    for text in [
        "body.nothing == 1 || true",
        "true || body.nothing == 1",
        "!(body.nothing == 1 && false)",
        "!(false && user.unset == 1)",
        "body.nothing == 1 || body.n == 3",
        "false || true && !false",
        "[1, 2, 0].exists(x, 2 / x == 1)",
        "![0, 1].all(x, 1 / x == 2)",
        "vars.agent == 'echo' || int(vars.agent) > 0",
    ] {
        holds(text);
    }
    fails("body.nothing == 1 || false", "no such key \"nothing\"");
    fails("true && body.nothing == 1", "no such key \"nothing\"");
    fails("body.n || true == false", "expected true or false, got an int");
    fails("body.status && true", "expected true or false, got a string");
    fails("[0, 3].exists(x, 2 / x == 1)", "0: division by zero");
    fails("user.ids.all(x, user.unset == x)", "user.unset has no value yet");
    fails("[user.n - 5].all(x, 1 / x == 1)", "division by zero");
}

#[test]
fn a_condition_takes_one_of_two_ways() {
    assert_eq!(eval("status == 200 ? 'ok' : body.nothing"), string("ok"));
    assert_eq!(eval("status != 200 ? 1 / 0 : 7"), Value::Int(7));
    assert_eq!(eval("vars.agent == 'echo' ? 1 : int(vars.agent)"), Value::Int(1));
    fails("body.n ? 1 : 2", "expected true or false, got an int");
}

#[test]
fn lists_and_maps_know_what_is_in_them() {
    for text in [
        "status in [200, 201]",
        "200.0 in [status]",
        "!('z' in user.ids) && 'x' in user.ids",
        "body.status in ['completed', 'consensus']",
        "'status' in body && !('nothing' in body)",
        "'a' in body.debates.map(d, d.id)",
        "{'id': 'a', 'size': 1} in body.debates",
        "'content-type' in headers",
        "1 in {1: 'a'} && 1.0 in {1: 'a'} && !(2 in {1: 'a'}) && !('1' in {1: 'a'})",
        "null in [null] && body.none in [null]",
    ] {
        holds(text);
    }
    fails("1 in body.status", "an int cannot be in a string; \"in\" takes a list or a map on its right");
}

#[test]
fn members_and_elements_are_found_or_named() {
    for (text, value) in [
        ("body.access_token", string("t-1")),
        ("body['access_token']", string("t-1")),
        ("body.debates[1].id", string("b")),
        ("body.debates[user.n - 4]['id']", string("b")),
        ("[1, 2, 3][2]", Value::Int(3)),
        ("{'a': {'b': 7}}.a.b", Value::Int(7)),
        ("{1: 'x'}[1]", string("x")),
        ("{'a': 1}['a']", Value::Int(1)),
        ("headers['set-cookie']", string("a=1, b=2")),
        ("headers['content-type']", string("application/json")),
        ("message.n[0]", Value::Int(1)),
        ("(body)['n']", Value::Int(3)),
        ("user.ids[1]", string("y")),
    ] {
        assert_eq!(eval(text), value, "{text}");
    }
    fails("body.nothing", "no such key \"nothing\"");
    fails("body.status.deep", "no such key \"deep\": the value is a string");
    fails("body.none.deep", "no such key \"deep\": the value is null");
    fails("body.debates[3]", "the index 3 is out of the list's range");
    fails("body.debates[-1]", "the index -1 is out of the list's range");
    fails("body.debates[user.n]", "the index is out of the list's range");
    fails("body.debates['id']", "no such key \"id\": the value is a list");
    fails("body.n[0]", "cannot index an int; only lists and maps have elements");
    fails("user.token.x", "no such key \"x\": the value is a string");
    fails("headers['x-none']", "no such key \"x-none\"");
    fails("json('{}')[user.token]", "no such key");
    fails("user.ids[body.status]", "the index of a list must be an int");
}

#[test]
fn has_asks_for_the_last_member_only() {
    for text in [
        "has(user.token) && !has(user.unset)",
        "has(body.n) && !has(body.nothing) && has(body.none)",
        "has(body.tokens.access) && !has(body.tokens.refresh) && !has(body['x'])",
        "has(headers['content-type']) && !has(headers.etag)",
        "has(setup.tenant) && !has(setup.absent)",
        "has(data.users.basket) && has(vars.token) && has(run.user)",
        "has({'a': 1}.a) && !has({'a': 1}.b)",
        "has(message.type) && !has(message.data)",
        "body.debates.all(d, has(d.id) && !has(d.name))",
        "has(body.debates[0]) && !has(body.debates[3])",
        "has(json(text).n) && !has(json(text).m)",
    ] {
        holds(text);
    }
    fails("has(body.nothing.deep)", "no such key \"nothing\"");
    fails("has(body.status.deep)", "no such key \"deep\": the value is a string");
    fails("has(user.unset.deep)", "user.unset has no value yet");
    fails(
        "has(user.n.deep)",
        "0: an int has no member \"deep\"; only maps have members".replace("0:", "4:").as_str(),
    );
}

#[test]
fn macros_go_through_lists_and_keys() {
    for (text, value) in [
        ("body.debates.map(d, d.id)", Value::List(["a", "b", "c"].map(string).into())),
        ("body.debates.map(d, d.size > 1, d.id)", Value::List(["b", "c"].map(string).into())),
        ("body.debates.filter(d, d.size < 3).map(d, d.size)", Value::List([1, 2].map(Value::Int).into())),
        ("[1, 2, 3].map(x, [10, 20].map(y, x * y))[2][1]", Value::Int(60)),
        ("{'a': 1, 'b': 2}.map(k, k)", Value::List(["a", "b"].map(string).into())),
        ("[1, 2].map(x, [3].map(x, x)[0] + x)", Value::List([4, 5].map(Value::Int).into())),
        ("user.ids.map(id, id + run.test)", Value::List(["xcheckout", "ycheckout"].map(string).into())),
        ("size(body.filter(k, k.startsWith('n')))", Value::Int(2)),
        ("[].map(x, 1 / 0)", Value::List([].into())),
    ] {
        assert_eq!(eval(text), value, "{text}");
    }
    for text in [
        "[1, 2].all(x, x > 0) && ![1, 2].all(x, x > 1) && [].all(x, false)",
        "[1, 2].exists(x, x > 1) && ![].exists(x, true)",
        "[1, 2].exists_one(x, x > 1) && ![1, 2].exists_one(x, x > 0)",
        "{'a': 1}.all(k, k == 'a') && {'a': 1}.exists(k, k == 'a')",
        "body.debates.exists(body, body.id == 'b')",
    ] {
        holds(text);
    }
    fails("[0].exists_one(x, 1 / x == 1)", "0: division by zero");
    fails("body.n.all(x, true)", "all() needs a list or a map, not an int");
    fails("body.debates.filter(d, d.id)", "expected true or false, got a string");
    let wide = "user.ids.map(a, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(b, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(c, \
                [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(d, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(e, \
                [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(f, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(g, 1)))))))";
    fails(wide, "the loops take over 1000000 passes; take fewer elements");
    // A failure within a loop that is taken for absence leaves no variable behind.
    assert_eq!(
        eval("user.ids.map(x, first(body.debates.map(d, d.nothing), x))"),
        Value::List(["x", "y"].map(string).into())
    );
}

#[test]
fn what_expressions_make_stays_within_bounds() {
    let mut deep = Value::List([].into());
    for _ in 0..199 {
        deep = Value::List([deep].into());
    }
    let run = |text: &str, value: Value| {
        let code = checked(text).unwrap().0;
        let (shared, mut memory) = (shared(), memory());
        memory.set_slot(0, value);
        let mut env = Env { shared: &shared, memory: &mut memory, response: None, message: None, now: 0 };
        code.eval(&mut env).map_err(|failure| failure.to_string())
    };
    let nested = Err("lists and maps are nested over 200 deep".to_owned());
    assert_eq!(run("[user.token]", deep.clone()), nested);
    assert_eq!(run("{'a': user.token}", deep.clone()), nested);
    assert_eq!(run("[1].map(x, user.token)", deep.clone()), nested);
    assert!(run("user.token + user.token", deep).is_ok());
    let long = Value::text(&"a".repeat(9 << 20));
    for text in
        ["user.token + user.token", "user.token.replace('a', 'bb')", "[user.token, user.token].join()"]
    {
        assert_eq!(run(text, long.clone()), Err("the text is over 16777216 bytes long".to_owned()), "{text}");
    }
    let many = Value::List(vec![Value::Null; 600_000].into());
    assert!(run("user.token + user.token", many).is_err());
}
