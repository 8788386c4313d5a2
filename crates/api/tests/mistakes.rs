//! Mistakes that people make in scenarios: each is refused before any traffic, with the line and column of its field and, for what
//! stands within a text, the column in it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod support;

use support::spec;

/// A spec with a scenario, a flow, windows, a table and a metric, of which `wrong` replaces `right`.
fn mistaken(right: &str, wrong: &str) -> String {
    let good = GOOD;
    assert_eq!(good.matches(right).count(), 1, "{right}");
    good.replace(right, wrong)
}

const GOOD: &str = r#"  target: {url: http://a}
  vars: [{name: key, value: x}]
  data:
  - name: users
    format: CSV
    inline: "email,basket\na@b.c,1\n"
  profile:
    stages:
    - {duration: 10s, users: 2, window: calm}
    - {duration: 10s, users: 2, window: fault}
  timeline:
  - {at: fault, http: {method: POST, path: /__fault}}
  flows:
  - name: login
    steps:
    - name: sign in
      http: {method: POST, path: /login, json: {email: "${data.users.email}", key: "${vars.key}"}}
      capture: {token: body.token}
  - name: visit
    steps:
    - run: login
    - http: {path: "/me/${user.token}"}
      check: {named: has(body.name)}
      metrics: {visits: {counter: "1"}}
  scenarios:
  - name: visitor
    state: {seen: "0"}
    steps:
    - run: visit
    - set: {seen: user.seen + 1}
    - name: job
      poll:
        every: 1s
        limit: 9s
        http: {path: /job}
        done: body.state == 'done'
  slos:
  - {name: jobs, metric: job duration, latency: {stat: p95, atMost: 5s}}
  - {name: named, checkRate: {check: named, atLeast: 99%}}
"#;

/// What is wrong, the text that is right, the one in its place, and what is said of it.
const MISTAKES: [(&str, &str, &str, &str); 24] = [
    (
        "template: a brace that is not closed",
        r#"key: "${vars.key}""#,
        r#"key: "${vars.key""#,
        "21:84: spec.flows[0].steps[0].http.json.key: column 1: ${ without its closing }",
    ),
    (
        "template: a misspelt constant",
        r#""${vars.key}""#,
        r#""${vars.kye}""#,
        "21:84: spec.flows[0].steps[0].http.json.key: column 3: unknown variable vars.kye; did you mean \"key\"?",
    ),
    (
        "expression: syntax",
        "{named: has(body.name)}",
        "{named: 'has(body.name'}",
        "27:22: spec.flows[1].steps[1].check.named: column ",
    ),
    (
        "expression: types",
        "user.seen + 1}",
        "'1 + true'}",
        "34:19: spec.scenarios[0].steps[1].set.seen: column ",
    ),
    (
        "capture: not a name",
        "{token: body.token}",
        "{my-token: body.token}",
        "22:27: spec.flows[0].steps[0].capture.my-token: \"my-token\" is not a name of letters, digits and _",
    ),
    (
        "step reference",
        "    - run: visit\n",
        "    - run: visti\n",
        "33:12: spec.scenarios[0].steps[0].run: there is no flow \"visti\"; did you mean \"visit\"?",
    ),
    (
        "cycle",
        "      capture: {token: body.token}\n",
        "      capture: {token: body.token}\n    - run: visit\n",
        "26:12: spec.flows[1].steps[0].run: flow \"login\" runs itself: login → visit → login; remove one of these steps, or use repeat",
    ),
    (
        "unknown field",
        "        every: 1s\n",
        "        evry: 1s\n",
        "37:9: spec.scenarios[0].steps[2].poll.evry: unknown field; did you mean \"every\"?",
    ),
    (
        "wrong type",
        "        limit: 9s\n",
        "        limit: 9\n",
        "38:16: spec.scenarios[0].steps[2].poll.limit: \"9\" is not a duration such as 500ms, 90s",
    ),
    (
        "unused flow",
        "    - run: login\n",
        "    - {pause: {constant: 1s}}\n",
        "18:11: spec.flows[0].name: unused flow \"login\": run it from a step, or remove it",
    ),
    (
        "duplicate name",
        "  - name: visit\n",
        "  - name: login\n",
        "23:11: spec.flows[1].name: \"login\" is there twice: each name once",
    ),
    (
        "undeclared user variable",
        "    - set: {seen: user.seen + 1}\n",
        "    - set: {seen: user.sene + 1}\n",
        "34:19: spec.scenarios[0].steps[1].set.seen: column 1: unknown variable user.sene; did you mean \"seen\"?",
    ),
    (
        "user variable that is set and nowhere declared",
        "    - set: {seen: user.seen + 1}\n",
        "    - set: {sene: user.seen + 1}\n",
        "34:19: spec.scenarios[0].steps[1].set.sene: user.sene is set and nowhere declared",
    ),
    (
        "unknown metric in an SLO",
        "metric: job duration",
        "metric: job durations",
        "42:26: spec.slos[0].metric: there is no metric \"job durations\"; did you mean \"job duration\"?",
    ),
    (
        "unknown check in an SLO",
        "check: named, ",
        "check: nmaed, ",
        "43:38: spec.slos[1].checkRate.check: there is no check \"nmaed\"; did you mean \"named\"?",
    ),
    (
        "unknown window in the timeline",
        "{at: fault, ",
        "{at: falut, ",
        "16:10: spec.timeline[0].at: there is no window \"falut\"; did you mean \"fault\"? or write a time",
    ),
    (
        "moment beyond the load",
        "{at: fault, ",
        "{at: 20s, ",
        "16:10: spec.timeline[0].at: 20s is not within the load, which ends after 20s: choose an earlier time",
    ),
    (
        "wrong column of a table",
        "${data.users.email}",
        "${data.users.emial}",
        "21:56: spec.flows[0].steps[0].http.json.email: column 3: data.users has no column \"emial\"; did you mean \"email\"?",
    ),
    (
        "unknown table",
        "${data.users.email}",
        "${data.user.email}",
        "21:56: spec.flows[0].steps[0].http.json.email: column 3: unknown table data.user; did you mean \"users\"?",
    ),
    (
        "two actions",
        "    - run: visit\n",
        "    - {run: visit, pause: {constant: 1s}}\n",
        "33:7: spec.scenarios[0].steps[0]: a step has at most one action, but this one has pause and run: make them steps of their own",
    ),
    (
        "nothing to do",
        "    - run: visit\n",
        "    - run: visit\n    - when: 'true'\n",
        "34:7: spec.scenarios[0].steps[1]: a step without an action and without check, capture, set or metrics does nothing",
    ),
    (
        "a check of a flow",
        "    - run: visit\n",
        "    - {run: visit, check: {good: 'true'}}\n",
        "33:27: spec.scenarios[0].steps[0].check: run has no response: write it on the steps of the flow",
    ),
    (
        "one name for two kinds of metrics",
        "    - name: job\n",
        "    - name: job\n      metrics: {visits: {rate: 'true'}}\n",
        "36:25: spec.scenarios[0].steps[2].metrics.visits: \"visits\" is the name of a counter already, at spec.flows[1].steps[1].metrics.visits: a rate needs another",
    ),
    (
        "a wait of two kinds",
        "    state: {seen: \"0\"}\n",
        "    state: {seen: \"0\"}\n    wait: {constant: 1s, exponential: 2s}\n",
        "32:11: spec.scenarios[0].wait: give either min and max, or constant, or exponential",
    ),
];

#[test]
fn the_spec_without_a_mistake_is_taken() {
    let resolved = spec(GOOD).unwrap();
    assert_eq!(resolved.plan.check(), Ok(()));
}

#[test]
fn every_mistake_is_refused_with_its_place() {
    let mut differing = String::new();
    for (what, right, wrong, expected) in MISTAKES {
        let problems = spec(&mistaken(right, wrong)).expect_err(what);
        let found: Vec<String> = problems.iter().map(|problem| problem.to_string()).collect();
        let expected = format!("m.yaml:{expected}");
        if !found[0].starts_with(&expected) {
            differing += &format!("{what}\n  {}\n  {expected}\n", found.join("\n  "));
        }
    }
    assert!(differing.is_empty(), "\n{differing}");
}
