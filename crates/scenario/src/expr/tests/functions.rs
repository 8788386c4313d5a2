//! Functions: conversions, texts, times, regular expressions.

use super::*;

fn values(cases: &[(&str, Value)]) {
    for (text, value) in cases {
        assert_eq!(eval(text), *value, "{text}");
    }
}

#[test]
fn conversions_say_what_they_cannot_read() {
    values(&[
        ("int('42') + int(2.9) + int(-2.9)", Value::Int(42)),
        ("int(timestamp('1970-01-01T00:01:00.9Z'))", Value::Int(60)),
        ("int(now())", Value::Int(1_795_521_600)),
        ("double('1.5') + double(2)", Value::Double(3.5)),
        ("double(now())", Value::Double(1_795_521_600.25)),
        ("string(7) + string(2.5) + string(true) + string(1.0)", string("72.5true1")),
        ("string(1e300) + string(0.0000001)", string("1e3001e-7")),
        ("string(duration('1m1.5s'))", string("61.5s")),
        ("string(now())", string("2026-11-24T12:00:00.250Z")),
        ("bool('true') && !bool('0') && bool(true)", Value::Bool(true)),
        ("duration('1h2m3.5s')", Value::Duration(3_723_500_000_000)),
        ("timestamp(60)", Value::Timestamp(60_000_000_000)),
        (
            "type(body.debates) == list && type(body.n) == int && type(body.total) == double",
            Value::Bool(true),
        ),
        (
            "type(body.tokens) == map && type(body.status) == string && type(body.none) == null_type",
            Value::Bool(true),
        ),
        ("type(now()) == timestamp && type(latency) == duration && type(type(1)) == type", Value::Bool(true)),
        ("type(body.yes) == bool && type(body) != list", Value::Bool(true)),
    ]);
    for (text, message) in [
        ("int(body.status)", "the string is not an int"),
        ("int(body.total * 1e300)", "the number does not fit 64 bits"),
        ("double(body.status)", "the string is not a number"),
        ("bool(body.status)", "the string is not true or false"),
        ("int(body.debates)", "expected a number, string or timestamp, got a list"),
        ("duration(body.n)", "expected a string or duration, got an int"),
        ("timestamp(body.status)", "the string is not a timestamp; write one like 2026-01-31T12:00:00Z"),
        ("json(body.status)", "json(text): the text is not JSON"),
        ("body.n.contains('a')", "expected a string, got an int"),
        ("pick(body.n)", "pick(list) takes a list, not an int"),
    ] {
        fails(text, message);
    }
}

#[test]
fn texts_are_counted_in_characters() {
    values(&[
        ("size('aüß') + 'ü'.size() + size([1]) + size({'a': 1})", Value::Int(6)),
        ("size(body.debates) + size(body.tokens) + size(body.status) + body.debates.size()", Value::Int(16)),
        ("'äbc'.substring(1) + 'äbc'.substring(0, 1) + 'äbc'.substring(3)", string("bcä")),
        ("'äbcb'.indexOf('b') * 100 + 'äbcb'.indexOf('b', 2) * 10 + 'a'.indexOf('z')", Value::Int(129)),
        ("'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c']", Value::Bool(true)),
        (
            "'aü'.split('') == ['a', 'ü'] && ''.split(',') == [''] && 'abc'.split('', 2) == ['a', 'bc']",
            Value::Bool(true),
        ),
        ("['a', 'b'].join('-') + ['a', 'b'].join() + [].join('x')", string("a-bab")),
        (
            "'aaa'.replace('a', 'b', 2) + 'aaa'.replace('a', 'b') + 'aa'.replace('', '-')",
            string("bbabbb-a-a-"),
        ),
        ("' x '.trim() + 'Ab'.lowerAscii() + 'äb'.upperAscii()", string("xabäB")),
        ("'abc'.contains('b') && 'abc'.startsWith('ab') && 'abc'.endsWith('bc')", Value::Bool(true)),
        ("text.contains('access_token') && body.access_token.startsWith('t')", Value::Bool(true)),
        ("base64('user:pässwörd')", string("dXNlcjpww6Rzc3fDtnJk")),
        ("base64('') + base64('a') + base64('ab') + base64('abc')", string("YQ==YWI=YWJj")),
        ("urlEncode('a b/ü?~')", string("a%20b%2F%C3%BC%3F~")),
        (
            "json('{\"a\": [1, 2.0, null]}').a",
            Value::List([Value::Int(1), Value::Double(2.0), Value::Null].into()),
        ),
    ]);
    fails("body.status.substring(10)", "the position is out of the string's range");
    fails("body.status.substring(-1)", "the position is out of the string's range");
    fails("body.status.substring(2, 1)", "substring(from, to): from is over to");
    fails("body.debates.join()", "join needs a list of strings; one of its elements is a map");
}

#[test]
fn the_lesser_and_the_greater_of_two() {
    values(&[
        ("min(1, 2) + max(1, 2)", Value::Int(3)),
        ("max(1, 1.5)", Value::Double(1.5)),
        ("min(latency, duration('1s'))", Value::Duration(85_000_000)),
        ("max(body.status, 'z')", string("z")),
    ]);
    fails("min(body.status, 1)", "cannot compare a string with an int");
}

#[test]
fn first_takes_what_is_there() {
    values(&[
        ("first(body.debate_id, body.access_token)", string("t-1")),
        ("first(body.nothing.deep, user.unset, body.none, 'else')", string("else")),
        ("first(body.tokens.access.key)", string("ü")),
        ("first(int(body.status), 1 / (user.n - 5), body.debates[9], 4)", Value::Int(4)),
        ("first(body.debates.map(d, d.nothing), body.debates)[0].id", string("a")),
    ]);
    fails("first(body.a, body.none)", "first(…): none of the values is there");
}

#[test]
fn regular_expressions_look_anywhere_in_a_text() {
    values(&[
        ("'abc123'.matches('[0-9]+') && !'abc'.matches('^b') && matches('abc', 'b')", Value::Bool(true)),
        ("text.matches('\"n\": \\\\d')", Value::Bool(true)),
        ("find(text, '\"access_token\": \"([^\"]+)\"', 1)", string("t-1")),
        ("find('id=42;', 'id=(?<id>[0-9]+)', 'id')", string("42")),
        ("find('xaab', vars.pattern)", string("aa")),
        ("body.status.matches(vars.pattern)", Value::Bool(false)),
    ]);
    fails("find(text, 'nowhere')", "the regular expression matches nothing");
    fails("find(body.status, '(x)|completed', 1)", "the regular expression matches nothing");
    fails("body.n.matches('a')", "only a string can be matched, not an int");
}

#[test]
fn times_read_and_write() {
    for (text, nanos) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.5z", 500_000_000),
        ("2000-02-29T12:00:00+02:00", 951_818_400_000_000_000),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
        ("2026-11-24 12:00:00.250000000001Z", NOW as i64),
        ("2262-04-11T23:47:16.854775807Z", i64::MAX),
        ("1677-09-21T00:12:43.145224192Z", i64::MIN),
    ] {
        assert_eq!(Value::text(text).moment(), Ok(nanos), "{text}");
    }
    for text in [
        "",
        "2026",
        "2026-02-29T00:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T12:00:00",
        "2026-11-24T12:00:00.Z",
        "2026-11-24T12:00:00+2:00",
        "2262-04-11T23:47:16.854775808Z",
        "2026-11-24T12:00:00Zx",
        "٢٠٢٦-11-24T12:00:00Z",
    ] {
        assert!(Value::text(text).moment().is_err(), "{text}");
    }
    assert_eq!(Value::Int(1_795_521_600).moment(), Ok(1_795_521_600_000_000_000));
    assert_eq!(Value::Int(1_795_521_600_250).moment(), Ok(NOW as i64));
    assert_eq!(Value::Double(1_795_521_600.25).moment(), Ok(NOW as i64));
    assert!(Value::Double(1e300).moment().is_err() && Value::Double(f64::NAN).moment().is_err());
    assert!(Value::Int(i64::MAX).moment().is_err() && Value::Bool(true).moment().is_err());
    for (text, nanos) in
        [("0", 0), ("-1.5h", -5_400_000_000_000), ("1us1ns", 1001), ("1µs", 1000), (".5s", 500_000_000)]
    {
        assert_eq!(eval(&format!("duration('{text}')")), Value::Duration(nanos), "{text}");
    }
    for text in
        ["", "-", "1", "s", ".", "1.s.", "1x", "1 s", "9999999999h", "1ms2", "99999999999999999999999s"]
    {
        assert!(try_eval(&format!("duration('{text}')")).is_err(), "{text}");
    }
    values(&[
        ("latency.getMilliseconds() + duration('61s').getSeconds()", Value::Int(146)),
        ("now().getSeconds() + now().getMilliseconds()", Value::Int(250)),
    ]);
}
