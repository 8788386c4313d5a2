//! What is refused before any traffic, with its place and the nearest valid name.

use super::*;

fn faults(cases: &[(&str, usize, &str)]) {
    for (text, offset, message) in cases {
        assert_eq!(fault(text), (*offset, (*message).to_owned()), "{text}");
    }
}

#[test]
fn names_that_nothing_has_are_told_with_the_nearest() {
    faults(&[
        ("vars.tokn", 0, "unknown variable vars.tokn -> token"),
        ("vars.zzzzzz", 0, "unknown variable vars.zzzzzz; there is agent, pattern, token"),
        ("1 + user.idds", 4, "unknown variable user.idds -> ids"),
        ("has(user.tokken)", 4, "unknown variable user.tokken -> token"),
        ("first(user.tok, 1)", 6, "unknown variable user.tok; there is token, ids, n, unset"),
        ("setup.tenent", 0, "unknown variable setup.tenent -> tenant"),
        ("data.user.email", 0, "unknown table data.user -> users"),
        ("data.users.emial", 0, "data.users has no column \"emial\" -> email"),
        ("data.users", 0, "a table is no value; name a column: data.users.basket"),
        ("data", 0, "\"data\" alone is no value; write data.TABLE.COLUMN"),
        ("run.usr", 0, "unknown name run.usr -> user"),
        (
            "run",
            0,
            "\"run\" alone is no value; write run.name, run.test, run.namespace, run.user or run.iteration",
        ),
        ("vars", 0, "\"vars\" alone is no value; write vars.NAME"),
        ("agent", 0, "unknown name \"agent\" -> vars.agent"),
        ("ids", 0, "unknown name \"ids\" -> user.ids"),
        ("stauts == 200", 0, "unknown name \"stauts\" -> status"),
        ("completed", 0, "unknown name \"completed\"; put it in quotes if it is meant as a string"),
        ("uuid", 0, "\"uuid\" is a function; write uuid()"),
        ("body.debates.map(d, e.id)", 20, "unknown name \"e\" -> d"),
        ("[1].map(x, x) == [x]", 18, "unknown name \"x\"; put it in quotes if it is meant as a string"),
        (
            "headers['Content-Type']",
            8,
            "the names in headers are in lower case; there is no \"Content-Type\" -> content-type",
        ),
    ]);
    let bare = |text: &str| check(&parse_whole(text).unwrap(), &Scope::default()).unwrap_err();
    assert_eq!(bare("vars.a").message, "unknown variable vars.a; spec.vars declares none");
    assert!(bare("user.a").message.ends_with("declare it with state: {NAME: …}"));
    assert!(
        bare("body.id").message.starts_with("\"body\" is known only after a response; keep what you need")
    );
    assert!(
        bare("message.id").message.starts_with("\"message\" is there only where a websocket or sse step")
    );
    assert_eq!(bare("statu").closest, None);
}

#[test]
fn functions_are_told_with_their_usage() {
    faults(&[
        ("'a' + randint(1, 2)", 6, "unknown function \"randint\" -> randInt"),
        ("text.contain('a')", 0, "unknown method \"contain\" -> contains"),
        ("contains(text, 'a')", 0, "contains is a method; write text.contains(part)"),
        ("user.ids.pick()", 0, "pick is a function; write pick(list)"),
        ("map([1], x, x)", 0, "map is a method; write list.map(x[, condition], value)"),
        ("randInt(1)", 0, "too few arguments; write randInt(min, max)"),
        ("uuid(1)", 5, "too many arguments; write uuid()"),
        ("text.substring()", 0, "too few arguments; write text.substring(from[, to])"),
        ("text.replace('a', 'b', 1, 2)", 26, "too many arguments; write text.replace(old, new[, most])"),
        ("randString('8')", 11, "randString(length) takes int here, not string"),
        ("pick('abc')", 5, "pick(list) takes list here, not string"),
        ("size(status)", 5, "size(value) takes string, list or map here, not int"),
        ("latency.contains('a')", 0, "text.contains(part) takes string here, not duration"),
        ("min(1, 'a')", 7, "min(a, b) takes two values of the same type, not int and string"),
        (
            "has(body)",
            4,
            "has takes a member of something; write has(user.NAME), has(body.a.b) or has(headers['x'])",
        ),
        (
            "has(user.n, 1)",
            0,
            "has takes one argument; write has(user.NAME), has(body.a.b) or has(headers['x'])",
        ),
        ("first()", 0, "too few arguments; write first(a, b, …)"),
        ("[1].all(x)", 0, "all takes 2 arguments; write list.all(x, condition)"),
        ("[1].all(1, true)", 8, "the name of a variable must be here; write list.all(x, condition)"),
        ("text.all(x, true)", 0, "all needs a list or a map, not a string; write list.all(x, condition)"),
        ("len(body)", 0, "unknown function \"len\" -> size"),
        ("text.lower()", 0, "unknown method \"lower\" -> lowerAscii"),
        (
            "response.status",
            0,
            "unknown name \"response\"; of a response there is status, body, text, headers, latency, error",
        ),
        ("body.x != None", 10, "unknown name \"None\"; write null"),
        ("[1].filter(x, x + 1)", 16, "this must be true or false, not an int; compare it with something"),
    ]);
    assert!(
        fault("frobnicate(1)").1.starts_with("unknown function \"frobnicate\"; there is size, type, int")
    );
}

#[test]
fn types_that_cannot_work_are_told_with_a_remedy() {
    faults(&[
        ("status == '200'", 7, "an int is never equal to a string; write 200 without quotes"),
        ("latency < 100", 8, "cannot compare a duration with an int; write duration('100ms')"),
        ("0.5 >= latency", 4, "cannot compare a double with a duration; write duration('0.5ms')"),
        ("latency < '100ms'", 8, "cannot compare a duration with a string; write duration('100ms')"),
        (
            "now() > '2026-01-01T00:00:00Z'",
            6,
            "cannot compare a timestamp with a string; write timestamp(…) around the string",
        ),
        ("status in ['200']", 7, "an int is never in a list whose elements are string"),
        ("1 in 'abc'", 2, "an int cannot be in a string; \"in\" takes a list or a map on its right"),
        ("'u' + 1", 4, "cannot add a string and an int; write string(…) around the int"),
        ("1 + 1.0", 2, "cannot add an int and a double; write double(…) around the int"),
        ("5.0 % 2.0", 4, "\"%\" takes two ints, not a double and a double"),
        ("-'a'", 1, "cannot negate a string; \"-\" takes a number"),
        ("!status", 1, "this must be true or false, not an int; compare it with something"),
        ("status && true", 0, "this must be true or false, not an int; compare it with something"),
        ("'a' ? 1 : 2", 0, "this must be true or false, not a string; compare it with something"),
        ("latency.x", 0, "a duration has no member \"x\"; only maps have members"),
        ("[1]['a']", 4, "the index of a list is an int, not a string"),
        ("text[0]", 0, "a string has no elements; only lists and maps can be indexed"),
        ("{1.5: 1}", 1, "a double cannot be a key; use a string, an int or a bool"),
        ("[1] < [2]", 4, "cannot compare a list with a list"),
        ("null < 1", 5, "cannot compare null with an int"),
        ("type(body) == 'list'", 11, "a type is never equal to a string"),
    ]);
}

#[test]
fn constants_that_never_work_are_told() {
    faults(&[
        ("1 / 0", 2, "division by zero"),
        ("9223372036854775807 + 1", 20, "the number does not fit 64 bits"),
        ("pick([])", 0, "pick from an empty list"),
        ("randInt(5, 1)", 0, "randInt(min, max): min is over max"),
        ("randString(-1)", 0, "randString(length): the length must be from 0 to 1048576"),
        (
            "latency < duration('100')",
            10,
            "the string is not a duration; write one like 100ms, 1.5s or 1h30m",
        ),
        (
            "timestamp('2026-13-01T00:00:00Z')",
            0,
            "the string is not a timestamp; write one like 2026-01-31T12:00:00Z",
        ),
        ("text.matches('(')", 13, "not a regular expression: unclosed group"),
        ("text.matches('a{1000}{1000}{1000}')", 13, "the regular expression is too large; simplify it"),
        (
            "text.matches(text)",
            13,
            "a regular expression must be constant: a string, vars.NAME or a name of the run; use contains() to look for what varies",
        ),
        (
            "find(text, 'a(b)', 2)",
            11,
            "the regular expression has no group 2; it has 1, and 0 is the whole match",
        ),
        ("find(text, 'a(b)', 'id')", 11, "the regular expression has no group \"id\"; write (?<id>…)"),
        ("find(text, 'a', status)", 16, "the group must be a constant: its number from 0, or its name"),
        ("{'a': 1, 'a': 2}", 0, "the map has a key twice"),
        ("{'a': 1}.b", 0, "no such key \"b\""),
        ("[1][1]", 0, "the index is out of the list's range"),
    ]);
    // Where the whole can do without, it may be meant.
    for text in
        ["first(1 / 0, 1)", "status == 1 || 1 / 0 == 1", "status == 1 ? 1 / 0 : 1", "user.ids.map(x, 1 / 0)"]
    {
        assert!(checked(text).is_ok(), "{text}");
    }
}

#[test]
fn types_are_known_where_they_can_be() {
    let list = |kind: Type| Type::List(Box::new(kind));
    for (text, kind) in [
        ("pick(['a', 'b'])", Type::String),
        ("pick([1, 2])", Type::Int),
        ("pick([1, 'a'])", Type::Any),
        ("pick([[1], [2]])", list(Type::Int)),
        ("sample(user.ids, 1)", list(Type::String)),
        ("'a' + vars.token", Type::String),
        ("'a' + body.x", Type::String),
        ("randInt(1, 2) + 1", Type::Int),
        ("body.n + 1", Type::Any),
        ("body.n + 1.0", Type::Double),
        ("body.n % 2", Type::Int),
        ("now() - now()", Type::Duration),
        ("now() - body.x", Type::Any),
        ("[1] + [2]", list(Type::Int)),
        ("[1] + body.x", list(Type::Any)),
        ("first(body.a, 'x')", Type::Any),
        ("first(null, randInt(1, 2))", Type::Int),
        ("status == 200 ? 1 : 2", Type::Int),
        ("status == 200 ? 1 : 'a'", Type::Any),
        ("user.ids.map(x, size(x))", list(Type::Int)),
        ("user.ids.filter(x, x != '')", list(Type::String)),
        ("headers.etag", Type::String),
        ("data.users.email", Type::String),
        ("data.later.x", Type::Any),
        ("dyn(1)", Type::Int),
        ("dyn(status)", Type::Any),
        ("text.split(',')", list(Type::String)),
        ("max(status, 1)", Type::Int),
        ("status < 300 && has(body.x)", Type::Bool),
    ] {
        assert_eq!(checked(text).unwrap_or_else(|f| panic!("{text}: {f:?}")).1, kind, "{text}");
    }
}
