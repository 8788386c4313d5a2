//! What manifests mean: defaults, merging, windows, paths, headers; and what is refused, with line, path and remedy.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod support;

use plimsoll_api::v1alpha1::Slo;
use plimsoll_api::{questions, relower};
use plimsoll_measure::MetricKind;
use plimsoll_plan::{ConnectionsPer, Distribution, Load};
use plimsoll_scenario::{Action, Body, HttpStep, OnFailure, Step, StepAction, Wait};
use plimsoll_slo::{Aggregate, Ask, Kind, Over, Question, Severity};
use support::{resolve, spec};

const S: u64 = 1_000_000_000;

fn steps(resolved: &plimsoll_api::Resolved) -> Vec<&HttpStep> {
    let lists = resolved.plan.script.scenarios.iter().flat_map(|scenario| match &scenario.action {
        Action::Steps(steps) => vec![steps],
        Action::Tasks(tasks) => tasks.iter().map(|task| &task.steps).collect(),
    });
    lists
        .flatten()
        .filter_map(|step| match &step.action {
            StepAction::Http(http) => Some(&**http),
            _ => None,
        })
        .collect()
}

#[test]
fn without_scenarios_the_url_is_requested_as_it_is() {
    for (url, host, port, path, name) in [
        ("http://a.b:81/healthz", "a.b", 81, "/healthz", "GET /healthz"),
        ("https://a", "a", 443, "/", "GET /"),
        ("http://a/x/?q=1", "a", 80, "/x/?q=1", "GET /x/"),
        ("http://a?q=1", "a", 80, "/?q=1", "GET /"),
    ] {
        let resolved =
            spec(&format!("  target: {{url: '{url}', headers: {{a: b}}}}\n  profile: {{preset: smoke}}\n"))
                .unwrap();
        let target = &resolved.plan.target;
        assert_eq!(
            (target.host.as_str(), target.port, target.tls.is_some()),
            (host, port, url.starts_with("https"))
        );
        let step = steps(&resolved)[0];
        assert_eq!(
            (step.path.as_str(), step.method.as_str(), step.headers[0].value.as_str()),
            (path, "GET", "b")
        );
        assert_eq!(
            (step.expect.as_slice(), step.timeout, step.redirects),
            ([(200, 399)].as_slice(), 30 * S, 10)
        );
        assert_eq!(resolved.plan.layout.requests, [name]);
    }
}

#[test]
fn defaults() {
    let plan = spec("  target: {url: http://a}\n  profile: {users: 3, duration: 10s}\n").unwrap().plan;
    assert_eq!((plan.workers, plan.graceful_stop, plan.loads[0].graceful_ramp_down), (1, 30 * S, 30 * S));
    assert_eq!((plan.users_at(0), plan.script.scenarios[0].wait, plan.iterations()), (3, None, None));
    assert_eq!(plan.target.connections.per, ConnectionsPer::User);
    assert_eq!(plan.layout.judged_spans(None), [(0, 10 * S)]);
    assert_eq!(plan.layout.windows.len(), 1);

    let resolved =
        spec("  target: {url: http://a}\n  profile: {arrivals: {rate: 30/m}, duration: 10s}\n").unwrap();
    let validity = &resolved.validity;
    assert_eq!((validity.min_samples, validity.min_delivered), (None, 950_000_000));
    assert_eq!((validity.max_lateness, validity.max_start_skew), (S / 100, S / 10));
    let Load::Open { rate, distribution, max_in_flight } = &resolved.plan.loads[0].load else { panic!() };
    assert_eq!(
        (rate[0].from, rate[0].to, *distribution, *max_in_flight),
        (30_000, 30_000, Distribution::Uniform, 10_000)
    );
    assert_eq!(resolved.plan.target.connections.per, ConnectionsPer::Worker);
}

#[test]
fn headers_merge_paths_join_and_steps_of_one_name_count_together() {
    let resolved = spec(
        "  target: {url: http://a/v1/, headers: {X-Key: target, keep: target}}
  profile: {users: 1, duration: 10s, wait: {min: 1s, max: 2s}}
  scenarios:
  - name: s
    weight: 3
    headers: {x-key: scenario, accept: scenario}
    steps:
    - http: {path: '/p?b=1', query: {q: x}}
    - pause: {min: 1s, max: 1s}
    - {name: m, http: {method: POST, path: /q, headers: {Accept: step}, json: {a: 1}, expect: {status: [2xx, 404]}, timeout: 1s, redirects: 0}}
  - name: t
    wait: {min: 3s, max: 4s}
    tasks:
    - {name: one, weight: 5, steps: [{name: m, http: {path: /r, body: text}}]}
",
    )
    .unwrap();
    let found = steps(&resolved);
    let headers = |at: usize| -> Vec<String> {
        found[at].headers.iter().map(|field| format!("{}={}", field.name, field.value)).collect()
    };
    assert_eq!(headers(0), ["keep=target", "accept=scenario", "x-key=scenario"]);
    assert_eq!(headers(1), ["keep=target", "x-key=scenario", "Accept=step"]);
    assert_eq!((found[0].path.as_str(), found[0].query[0].value.as_str()), ("/v1/p?b=1", "x"));
    assert_eq!(
        (found[1].expect.clone(), found[1].timeout, found[1].redirects),
        (vec![(200, 299), (404, 404)], S, 0)
    );
    assert!(
        matches!(&found[1].body, Body::Json(_))
            && matches!(&found[2].body, Body::Text(text) if text == "text")
    );
    assert_eq!(resolved.plan.layout.requests, ["GET /p", "m"]);
    assert_eq!((found[1].request, found[2].request), (1, 1));
    let scenarios = &resolved.plan.script.scenarios;
    let waits: Vec<Wait> = scenarios.iter().map(|s| s.wait.unwrap()).collect();
    let between = |min, max| Wait::Uniform { min: min * S, max: max * S };
    assert_eq!((waits, scenarios[0].weight), (vec![between(1, 2), between(3, 4)], 3));
}

#[test]
fn windows_are_what_lies_outside_warm_up_and_cool_down() {
    let resolved = spec(
        "  target: {url: http://a}
  profile:
    warmup: 15s
    cooldown: 5s
    stages:
    - {duration: 10s, users: 1}
    - {duration: 10s, users: 1, window: calm}
    - {duration: 10s, users: 9, window: burst}
    - {duration: 10s, users: 1}
    - {duration: 20s, users: 9, window: burst}
  slos:
  - {name: b, window: burst, latency: {stat: p95, atMost: 1s}}
  - {name: m, window: main, errorRate: {atMost: 1%}}
",
    )
    .unwrap();
    let layout = &resolved.plan.layout;
    let spans: Vec<_> = layout
        .windows
        .iter()
        .map(|w| (w.name.as_str(), w.judged, w.spans.iter().map(|(a, b)| (a / S, b / S)).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        spans,
        [
            ("main", true, vec![(30, 40)]),
            ("warmup", false, vec![]),
            ("cooldown", false, vec![]),
            ("calm", true, vec![(15, 20)]),
            ("burst", true, vec![(20, 30), (40, 55)]),
        ]
    );
    let at = |second: u64| layout.windows[usize::from(layout.window_at(second * S).0)].name.as_str();
    let names = [0, 14, 15, 19, 20, 29, 30, 39, 40, 54, 55, 59, 99].map(at);
    assert_eq!(
        names,
        [
            "warmup", "warmup", "calm", "calm", "burst", "burst", "main", "main", "burst", "burst",
            "cooldown", "cooldown", "cooldown"
        ]
    );
    assert_eq!(resolved.slos[0].window.map(|w| w.0), Some(4));
}

#[test]
fn slos_merge_by_name_and_share_counters() {
    let resolved = spec(
        "  target: {url: http://a}
  profile: {preset: smoke}
  slos:
  - {name: p95, latency: {stat: p95, atMost: 7ms}}
  - {name: throughput, disabled: true}
  - {name: same, latency: {stat: p90, atMost: 7ms}, severity: Critical}
  - {name: gone, errorRate: {atMost: 1%, class: [TLS]}, abort: {after: 5s}}
",
    )
    .unwrap();
    let names: Vec<_> = resolved.slos.iter().map(|slo| slo.name.as_str()).collect();
    assert_eq!(names, ["p50", "p95", "p99", "errors", "timeouts", "same", "gone"]);
    assert!(matches!(resolved.slos[1].kind, Kind::Latency { at_most: 7_000_000, .. }));
    assert_eq!(resolved.slos[1].objective, resolved.slos[5].objective);
    assert_eq!(resolved.slos[5].severity, Severity::Critical);
    assert_eq!(resolved.slos[6].abort_after, Some(5 * S));
    assert_eq!(resolved.spec.slos.len(), 7);
}

#[test]
fn a_run_merges_over_its_test() {
    let run = |overrides: &str| {
        let text = format!(
            "apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {{name: t}}
spec:
  target: {{url: http://a/v1}}
  vars: [{{name: x, value: old}}, {{name: z, value: kept}}]
  profile: {{stages: [{{duration: 30s, users: 10}}], warmup: 3s}}
  slos: [{{name: p95, latency: {{stat: p95, atMost: 1s}}}}]
  workers: {{count: 2, threads: 3}}
---
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTestRun
metadata: {{generateName: t-}}
spec:
  testRef: {{name: t}}
  overrides: {overrides}
"
        );
        resolve(&text).remove(0)
    };
    let resolved = run("{target: {url: 'http://b'}, vars: [{name: x, value: new}], profile: {users: 5, duration: 1m}, slos: [{name: errors, errorRate: {atMost: 1%}}], workers: {count: 4}}").unwrap();
    assert_eq!((resolved.plan.target.host.as_str(), resolved.plan.workers), ("b", 4));
    assert_eq!((resolved.plan.duration, resolved.plan.peak_users()), (60 * S, 5));
    assert_eq!(resolved.plan.layout.judged_spans(None), [(6 * S, 60 * S)]);
    assert_eq!(resolved.slos.iter().map(|slo| slo.name.as_str()).collect::<Vec<_>>(), ["p95", "errors"]);
    assert_eq!(
        resolved.spec.vars.iter().map(|var| var.value.as_deref().unwrap()).collect::<Vec<_>>(),
        ["new", "kept"]
    );
    assert_eq!(resolved.spec.workers.unwrap().threads, Some(3));

    let resolved = run("{profile: {preset: smoke}}").unwrap();
    assert_eq!((resolved.plan.duration, resolved.slos.len()), (60 * S, 6));
    let problems =
        run("{workers: {count: 11}, profile: {arrivals: {rate: 1/s, maxInFlight: 5}}}").unwrap_err();
    let secret = "{vars: [{name: x, valueFrom: {secretKeyRef: {name: s, key: k}}}]}";
    let refused = run(secret).unwrap_err();
    assert!(refused[0].to_string().contains("spec.overrides.vars[0].valueFrom: x: "), "{}", refused[0]);
    assert_eq!(
        problems[0].to_string(),
        "m.yaml:7:12: spec.profile.arrivals.maxInFlight: 5 is fewer than the 11 workers that share it: raise it to 11, or lower workers.count to 5"
    );
}

#[test]
fn what_is_not_done_as_asked_is_noted() {
    let notices = |text: &str| spec(&format!("  target: {{url: http://a}}\n{text}")).unwrap().notices;
    for (text, notice) in [
        (
            "  profile: {users: 2, duration: 9s}\n  workers: {count: 3}\n",
            "workers.count 3 is lowered to 2: there are no more users",
        ),
        (
            "  profile: {preset: soak}\n  runPolicy: {schedule: {cron: '0 2 * * *'}}\n",
            "runPolicy.schedule is not acted on by this version",
        ),
        (
            "  profile: {arrivals: {rate: 1/s}, duration: 9s}\n  scenarios: [{name: s, wait: {min: 1s, max: 1s}, steps: [{http: {path: /}}]}]\n",
            "wait of scenario s is not used: arrivals come when they are due",
        ),
        (
            "  profile: {preset: soak}\n  results: {volumeClaim: {name: v}}\n",
            "results.volumeClaim is not acted on by this version",
        ),
    ] {
        assert_eq!(notices(text), [notice]);
    }
}

#[test]
fn a_profile_that_is_not_there_hides_no_other_error() {
    let text = "  target: {url: http://a}\n  profile: {ref: {kind: ClusterLoadProfile, name: x}, users: 3}
  slos:\n  - {name: peak, disabled: true}\n  - {name: a, window: peak, request: b, errorRate: {atMost: 1%}}\n";
    let paths: Vec<String> = spec(text).unwrap_err().into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["spec.profile.ref", "spec.slos[1].request"]);
}

#[test]
fn refusals_name_line_path_value_and_remedy() {
    let target = "  target: {url: http://a}\n";
    let smoke = "  target: {url: http://a}\n  profile: {preset: smoke}\n";
    let step = |step: &str| format!("{smoke}  scenarios: [{{name: s, steps: [{step}]}}]\n");
    let slo = |slo: &str| format!("{smoke}  slos: [{{name: x, {slo}}}]\n");
    let mut differing = String::new();
    for (text, expected) in [
        (format!("{target}  profile: {{duration: 1m}}\n"), "6:12: spec.profile.users: required, but missing: set users, stages, arrivals, a preset or a ref"),
        (format!("{target}  profile: {{users: 1}}\n"), "6:12: spec.profile.duration: required, but missing: set how long the load takes"),
        (format!("{target}  profile: {{users: 1, iterations: 9}}\n"), "6:12: spec.profile.duration: required, but missing (iterations end the run earlier, never later): set how long the load takes"),
        (format!("{target}  profile: {{duration: 2m, stages: [{{duration: 90s, users: 1}}]}}\n"), "6:23: spec.profile.duration: 2m beside stages, whose sum is 1m30s: remove duration, the stages are the duration"),
        (format!("{target}  profile: {{preset: smoke, ref: {{kind: LoadProfile, name: x}}}}\n"), "6:12: spec.profile: preset and ref exclude each other: keep one and override its fields"),
        (format!("{target}  profile: {{users: 1, arrivals: {{rate: 1/s}}, duration: 1s}}\n"), "6:20: spec.profile.users: users (closed model) and arrivals (open model) exclude each other: keep one of them"),
        (format!("{target}  profile: {{arrivals: {{rate: 1/s, stages: [{{duration: 1s, rate: 1/s}}]}}}}\n"), "6:23: spec.profile.arrivals: arrivals needs either rate or stages"),
        (format!("{target}  profile: {{arrivals: {{rate: 0/s}}, duration: 1s}}\n"), "6:30: spec.profile.arrivals.rate: 0/s sends nothing: set a rate over 0/s"),
        (format!("{target}  profile: {{preset: medium, spawnRate: 3}}\n"), "6:40: spec.profile.spawnRate: the profile has stages, which say how fast users come: remove spawnRate, or give stages"),
        (format!("{target}  profile: {{preset: smoke, warmup: 55s}}\n"), "6:12: spec.profile.cooldown: warmup 55s and cooldown 10s leave nothing of 1m to judge: shorten them"),
        (format!("{target}  profile: {{ref: {{kind: LoadProfile, name: x}}}}\n"), "6:18: spec.profile.ref: there is no LoadProfile named \"x\": create it, or use a preset"),
        (format!("{target}  profile: {{stages: [{{duration: 1s, users: 50%}}]}}\n"), "6:44: spec.profile.stages[0].users: 50% of what? set spec.profile.users, which it is a share of"),
        (format!("{target}  profile: {{stages: [{{duration: 9s, users: 0}}]}}\n"), "6:12: spec.profile: the load is 0 all the time; set users or a rate"),
        (format!("{target}  profile: {{warmup: 9s, stages: [{{duration: 9s, users: 1, window: w}}, {{duration: 9s, users: 1}}]}}\n"), "6:67: spec.profile.stages[0].window: window \"w\" lies wholly inside warmup 9s or cooldown 0s, which are not judged: shorten them, or lengthen the stage"),
        (format!("{target}  profile: {{stages: [{{duration: 9s, users: 1, window: main}}]}}\n"), "6:55: spec.profile.stages[0].window: \"main\" is the name of a window that is there anyway: choose another"),
        (format!("{target}  profile: {{stages: [{{duration: 9s, users: 1, window: cooldown}}]}}\n"), "6:55: spec.profile.stages[0].window: \"cooldown\" is the name of a window that is there anyway: choose another"),
        (slo("window: burst, errorRate: {atMost: 1%}"), "7:28: spec.slos[0].window: there is no window \"burst\"; there is only \"main\""),
        (slo("window: warmup, errorRate: {atMost: 1%}"), "7:28: spec.slos[0].window: warmup is recorded, but not judged: choose another window"),
        (slo("request: GET, errorRate: {atMost: 1%}"), "7:29: spec.slos[0].request: there is no request \"GET\"; there is only \"GET /\""),
        (slo("request: get /, errorRate: {atMost: 1%}"), "7:29: spec.slos[0].request: there is no request \"get /\"; did you mean \"GET /\"?"),
        (slo("severity: Error"), "7:10: spec.slos[0]: an SLO has exactly one of latency, errorRate, timeoutRate, statusRate, throughput, checkRate, rate, count, prometheus (or disabled: true)"),
        (slo("latency: {stat: p95, atMost: 110%}"), "7:49: spec.slos[0].latency.atMost: 110%: atMost is a duration such as 500ms, or, with relativeTo, a share such as 110%"),
        (slo("statusRate: {status: [200]}"), "7:32: spec.slos[0].statusRate: needs atMost or atLeast"),
        (slo("severity: Info, abort: {after: 1s}, errorRate: {atMost: 1%}"), "7:43: spec.slos[0].abort: a miss of severity Info stops no run: remove abort, or make it Error"),
        (slo("window: main, prometheus: {query: up, atMost: 1}"), "7:28: spec.slos[0].window: does not apply to a query: write the scope into it"),
        (slo("source: Prometheus, prometheus: {query: up, atMost: 1}"), "7:28: spec.slos[0].source: does not apply to a query: write the scope into it"),
        (slo("prometheus: {query: 'x[${run.windw}]', atMost: 1}"), "7:40: spec.slos[0].prometheus.query: there is no placeholder ${run.windw}; did you mean ${run.window}?"),
        (slo("prometheus: {query: 'x[${user.id}]', atMost: 1}"), "7:40: spec.slos[0].prometheus.query: there is no placeholder ${user.id}; there are ${run.name}, ${run.namespace}, "),
        (slo("prometheus: {query: 'x[${run.window]', atMost: 1}"), "7:40: spec.slos[0].prometheus.query: a placeholder begins with ${ and is not closed by }"),
        (slo("prometheus: {query: up, atMost: 1, over: {step: 1ms, aggregate: Max}}"), "7:68: spec.slos[0].prometheus.over.step: 1ms makes 40001 points of the judged part, and Prometheus answers 11000: use at least 1s"),
        (slo("prometheus: {query: up, atMost: 1, over: {step: 1us, aggregate: Max}}"), "7:68: spec.slos[0].prometheus.over.step: 1us is shorter than a millisecond"),
        (slo("source: Prometheus, latency: {stat: mean, atMost: 1s}"), "7:28: spec.slos[0].source: mean and max of a latency are not computed from Prometheus: remove source, or use a query"),
        (slo("source: Prometheus, errorRate: {atMost: 1%, within: 5s}"), "7:28: spec.slos[0].source: a recovery is not computed from Prometheus"),
        (format!("{smoke}  prometheus: {{server: a, url: 'http://b'}}\n"), "7:15: spec.prometheus: prometheus has a server or a url, not both"),
        (format!("{smoke}  slos: [{{name: p59, disabled: true}}]\n"), "7:17: spec.slos[0].name: there is no SLO to disable named \"p59\"; did you mean \"p50\"?"),
        (step("{name: m}"), "7:33: spec.scenarios[0].steps[0]: a step without an action and without check, capture, set or metrics does nothing: give it one"),
        (step("{pause: {min: 2s, max: 1s}}"), "7:47: spec.scenarios[0].steps[0].pause.min: 2s is more than max, 1s"),
        (step("{http: {path: /, json: {}, body: x}}"), "7:66: spec.scenarios[0].steps[0].http.body: json and body exclude each other: keep one"),
        (step("{http: {path: '/${vars.x}'}}"), "7:47: spec.scenarios[0].steps[0].http.path: column 4: unknown variable vars.x; spec.vars declares none"),
        (format!("{smoke}  scenarios: [{{name: s}}]\n"), "7:15: spec.scenarios[0]: a scenario has either tasks (one drawn by weight per iteration) or steps (all, in order)"),
        ("  target: {url: http://a, tls: {}}\n  profile: {preset: smoke}\n".into(), "5:32: spec.target.tls: tls needs an https url: write target.url as https://…, or remove tls"),
        ("  target: {url: 'http://u:p@a'}\n  profile: {preset: smoke}\n".into(), "5:17: spec.target.url: \"http://…@a\" holds credentials: put them into a Secret and a header, with vars"),
        ("  target: {url: 'http://a/?x'}\n  profile: {preset: smoke}\n  scenarios: [{name: s, steps: [{http: {path: /}}]}]\n".into(), "5:17: spec.target.url: has a query, which no step would send: move it to the steps"),
        ("  target: {url: http://a, headers: {k: '${vars.x}'}}\n  profile: {preset: smoke}\n  scenarios: [{name: s, steps: [{http: {path: /}}, {http: {path: /b}}]}]\n".into(), "5:40: spec.target.headers.k: "),
        (format!("{smoke}  vars: [{{name: a}}]\n"), "7:10: spec.vars[0]: a: a variable has either value or valueFrom"),
        (format!("{smoke}  workers: {{template: {{spec: 3}}}}\n"), "7:23: spec.workers.template: not a core/v1 PodTemplateSpec: "),
        ("  target: {url: http://a, connections: {max: 1}}\n  profile: {preset: smoke}\n  workers: {count: 2}\n".into(), "5:46: spec.target.connections.max: 1 is fewer than the 2 workers that share it: raise it to 2, or lower workers.count to 1"),
    ] {
        let problems: Vec<String> = spec(&text).expect_err(&text).iter().map(ToString::to_string).collect();
        if problems.len() != 1 || !problems[0].starts_with(&format!("m.yaml:{expected}")) {
            differing.push_str(&format!("{text}expected m.yaml:{expected}\nfound    {problems:#?}\n"));
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

/// A spec with two scenarios that share the load, and two with loads of their own.
const LOADS: &str = "  target: {url: http://a}
  profile: {warmup: 5s, stages: [{duration: 10s, users: 6, window: calm}, {duration: 10s, users: 6}]}
  scenarios:
  - {name: many, weight: 2, steps: [{http: {path: /many}}]}
  - name: late
    startAfter: 25s
    profile: {users: 3, iterations: 9, duration: 10s, gracefulRampDown: 1s}
    wait: {exponential: 2s}
    onStart: [{http: {path: /hello}}]
    steps: [{http: {path: /late}}]
  - {name: few, steps: [{http: {path: /few}}]}
  - name: stream
    startAfter: 15s
    profile: {arrivals: {stages: [{duration: 5s, rate: 4/s}, {duration: 5s, rate: 4/s, window: steady}]}}
    wait: {constant: 1s}
    steps: [{http: {path: /stream}}]
";

#[test]
fn scenarios_share_a_load_or_have_one_of_their_own() {
    let resolved = spec(LOADS).unwrap();
    let plan = &resolved.plan;
    let loads: Vec<_> = plan
        .loads
        .iter()
        .map(|load| (load.scenarios.clone(), load.start / S, load.end() / S, load.iterations, load.is_open()))
        .collect();
    assert_eq!(
        loads,
        [(vec![0, 2], 0, 20, None, false), (vec![1], 25, 35, Some(9), false), (vec![3], 15, 25, None, true),]
    );
    assert_eq!((plan.duration / S, plan.loads[1].graceful_ramp_down / S), (35, 1));
    let waits: Vec<_> = plan.script.scenarios.iter().map(|scenario| scenario.wait).collect();
    assert_eq!(waits, [None, Some(Wait::Exponential { mean: 2 * S }), None, None]);
    assert_eq!(resolved.notices.len(), 2, "{:?}", resolved.notices);
    let spans: Vec<_> = plan
        .layout
        .windows
        .iter()
        .map(|w| (w.name.as_str(), w.spans.iter().map(|(a, b)| (a / S, b / S)).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        spans,
        [
            ("main", vec![(10, 20), (25, 35)]),
            ("warmup", vec![]),
            ("calm", vec![(5, 10)]),
            ("steady", vec![(20, 25)]),
        ]
    );
}

#[test]
fn what_is_done_once_per_run_has_a_window_and_no_headers_of_scenarios() {
    let resolved = spec(
        "  target: {url: http://a, headers: {x-all: '1'}}
  profile: {users: 1, stages: [{duration: 10s, users: 1}, {duration: 10s, users: 1, window: fault}], cooldown: 2s}
  setup: [{run: call}]
  timeline:
  - {at: fault, run: call}
  - {at: 3s, http: {path: /now}}
  - {at: cooldown, http: {path: /end}}
  teardown: [{http: {path: /bye}}]
  flows: [{name: call, steps: [{http: {path: /flow}}]}]
  scenarios:
  - name: s
    headers: {authorization: x}
    onStart: [{run: call}]
    steps: [{run: call}]
",
    )
    .unwrap();
    let script = &resolved.plan.script;
    let inner = |step: &Step| -> HttpStep {
        let StepAction::Run(steps) = &step.action else { panic!("{step:?}") };
        let StepAction::Http(http) = &steps[0].action else { panic!("{step:?}") };
        (**http).clone()
    };
    let names =
        |step: &Step| -> Vec<String> { inner(step).headers.iter().map(|field| field.name.clone()).collect() };
    assert_eq!(script.timeline.iter().map(|call| call.at / S).collect::<Vec<_>>(), [10, 3, 18]);
    let Action::Steps(steps) = &script.scenarios[0].action else { panic!() };
    assert_eq!(names(&steps[0]), ["x-all", "authorization"]);
    for step in [&script.setup[0], &script.timeline[0].step, &script.scenarios[0].on_start[0]] {
        assert_eq!(names(step), ["x-all"]);
        assert_eq!(inner(step).at, "spec.flows[0].steps[0]");
    }
    let layout = &resolved.plan.layout;
    let hooks = usize::from(layout.hooks.unwrap().0);
    assert_eq!((layout.windows[hooks].name.as_str(), layout.windows[hooks].judged), ("hooks", false));
}

#[test]
fn a_step_of_setup_that_fails_ends_the_run_unless_it_says_otherwise() {
    let resolved = spec(
        "  target: {url: http://a}
  profile: {users: 1, duration: 10s}
  setup:
  - {http: {path: /must}}
  - {http: {path: /may}, onFailure: Continue}
  - {run: call}
  - {run: call, onFailure: Continue}
  teardown: [{http: {path: /bye}}]
  flows: [{name: call, steps: [{http: {path: /flow}}, {http: {path: /flow}, onFailure: Continue}]}]
  scenarios: [{name: s, steps: [{run: call}]}]
",
    )
    .unwrap();
    let script = &resolved.plan.script;
    let inner = |step: &Step| -> Vec<OnFailure> {
        let StepAction::Run(steps) = &step.action else { panic!("{step:?}") };
        steps.iter().map(|step| step.on_failure).collect()
    };
    let (must, may) = (OnFailure::EndUser, OnFailure::Continue);
    assert_eq!(script.setup.iter().map(|step| step.on_failure).collect::<Vec<_>>(), [must, may, must, may]);
    assert_eq!((inner(&script.setup[2]), inner(&script.setup[3])), (vec![must, may], vec![may, may]));
    assert_eq!(script.teardown[0].on_failure, may);
    let Action::Steps(steps) = &script.scenarios[0].action else { panic!() };
    assert_eq!((steps[0].on_failure, inner(&steps[0])), (may, vec![may, may]));
}

#[test]
fn steps_share_metrics_and_places_by_name() {
    let resolved = spec(
        "  target: {url: http://a}
  profile: {users: 4, duration: 10s}
  workers: {count: 2}
  scenarios:
  - name: s
    steps:
    - name: a
      concurrency: {max: 2, group: both}
      retry: {attempts: 3, factor: 2}
      http: {path: /a}
      check: {good: status == 200}
      capture: {x: body.x}
      metrics: {seen: {counter: '1'}}
    - name: b
      concurrency: {max: 2, group: both}
      http: {path: /b, headers: {Upgrade: websocket}}
      check: {good: status == 200}
      metrics: {seen: {counter: '1'}}
    - name: w
      websocket: {path: /w, expect: {status: [403]}, script: [{send: hi}, {send: {a: 1}}, {hold: {for: 1s}}]}
",
    )
    .unwrap();
    let (script, layout) = (&resolved.plan.script, &resolved.plan.layout);
    let metric = |name: &str| -> Vec<_> {
        let found = layout.metrics.iter().filter(|metric| metric.name == name);
        found.map(|metric| (metric.kind, metric.request.map(|request| request.0))).collect()
    };
    assert_eq!(metric("good"), [(MetricKind::Check, Some(0)), (MetricKind::Check, Some(1))]);
    assert_eq!(metric("capture x"), [(MetricKind::Fault, Some(0))]);
    assert_eq!(metric("seen"), [(MetricKind::Counter, None)]);
    assert_eq!(metric("a after retries"), [(MetricKind::Rate, Some(0))]);
    assert_eq!(metric("both waiting"), [(MetricKind::Trend, None)]);
    assert_eq!(metric("w session"), [(MetricKind::Trend, Some(2))]);
    assert_eq!((script.limits.len(), script.limits[0].max), (1, 2));
    let Action::Steps(steps) = &script.scenarios[0].action else { panic!() };
    assert_eq!((steps[0].limit, steps[1].limit, steps[2].limit), (Some(0), Some(0), None));
    let StepAction::Http(upgrade) = &steps[1].action else { panic!() };
    assert_eq!(upgrade.expect, [(101, 101), (200, 399)]);
    let StepAction::WebSocket(socket) = &steps[2].action else { panic!() };
    assert_eq!(socket.handshake.expect, [(101, 101), (403, 403)]);
    assert_eq!((socket.handshake.timeout, socket.script.len()), (10 * S, 3));
}

#[test]
fn loads_flows_and_places_that_cannot_be_are_refused() {
    let own = OWN;
    assert_refused(&[
        (
            format!("{OWN}  profile: {{users: 3, duration: 1s}}\n"),
            "7:12: spec.profile: every scenario has a profile of its own, so nobody makes this load: remove it",
        ),
        (
            LOADS.replace("weight: 2, ", "startAfter: 1s, "),
            "8:30: spec.scenarios[0].startAfter: the load of spec.profile starts with the run",
        ),
        (
            LOADS.replace("    startAfter: 25s\n", "    weight: 25\n"),
            "10:13: spec.scenarios[1].weight: a scenario with a profile of its own shares its load with no other",
        ),
        (
            LOADS.replace("startAfter: 15s", "startAfter: 2s"),
            "18:96: spec.scenarios[3].profile.arrivals.stages[1].window: window \"steady\" begins after 7s, while \"calm\" goes on until 10s",
        ),
        (
            LOADS.replace("    wait: {constant: 1s}\n", "    onStop: [{http: {path: /bye}}]\n"),
            "19:13: spec.scenarios[3].onStop: arrivals are no users that start and stop",
        ),
        (
            LOADS.replace("users: 3, iterations: 9, duration: 10s", "users: 3"),
            "11:14: spec.scenarios[1].profile.duration: required, but missing: set how long the load takes",
        ),
        (
            format!(
                "{}  workers: {{count: 2}}\n",
                own.replace("{http: {path: /}}", "{concurrency: {max: 1}, http: {path: /}}")
            ),
            "6:88: spec.scenarios[0].steps[0].concurrency.max: 1 is fewer than the 2 workers that share it: raise it to 2, or lower workers.count to 1",
        ),
        (
            own.replace("steps: [{http: {path: /}}]", "steps: [{run: f, concurrency: {max: 2, group: g}}]")
                + "  flows: [{name: f, steps: [{concurrency: {max: 2, group: g}, http: {path: /}}]}]\n",
            "7:43: spec.flows[0].steps[0].concurrency: a place of \"g\" is held already, so that users would wait for themselves for ever",
        ),
    ]);
}

#[test]
fn steps_tables_and_slos_that_cannot_be_are_refused() {
    let own = OWN;
    assert_refused(&[
        (
            own.replace("{http: {path: /}}", "{retry: {attempts: 3}, pause: {constant: 1s}}"),
            "6:76: spec.scenarios[0].steps[0].retry: nothing is sent that could be tried again: remove retry",
        ),
        (
            own.replace("{http: {path: /}}", "{chance: 101%, http: {path: /}}"),
            "6:77: spec.scenarios[0].steps[0].chance: 101% is more than 100%",
        ),
        (
            own.replace("{http: {path: /}}", "{websocket: {path: /, script: [{close: {code: 1005}}]}}"),
            "6:114: spec.scenarios[0].steps[0].websocket.script[0].close.code: 1005 cannot be sent",
        ),
        (
            own.replace(
                "{http: {path: /}}",
                "{websocket: {path: /, script: [{close: {code: 1000}}, {send: late}]}}",
            ),
            "6:122: spec.scenarios[0].steps[0].websocket.script[1]: comes after the session was closed: move it before close or awaitClose",
        ),
        (
            format!("{OWN}  data: [{{name: d, configMapKeyRef: {{name: m, key: users}}}}]\n"),
            "7:10: spec.data[0].format: required: the key \"users\" ends neither in .csv nor in .jsonl or .ndjson",
        ),
        (
            format!("{OWN}  slos: [{{name: x, metric: GET /, count: {{atLeast: 1}}}}]\n"),
            "7:28: spec.slos[0].metric: there is no metric \"GET /\", nor any other",
        ),
        (
            format!("{OWN}  slos: [{{name: x, rate: {{atLeast: 1%}}}}]\n"),
            "7:26: spec.slos[0].rate: of which metric? set metric to its name",
        ),
        (
            format!(
                "{}  slos: [{{name: x, metric: seen, latency: {{stat: p95, atMost: 1s}}}}]\n",
                own.replace("{http: {path: /}}", "{http: {path: /}, metrics: {seen: {counter: '1'}}}")
            ),
            "7:43: spec.slos[0].latency: \"seen\" is a counter, which has no latency: use count",
        ),
    ]);
}

/// A spec whose one scenario has a load of its own.
const OWN: &str = "  target: {url: http://a}\n  scenarios: [{name: s, profile: {users: 2, duration: 9s}, steps: [{http: {path: /}}]}]\n";

/// Specs, and what must be said of each.
fn assert_refused(cases: &[(String, &str)]) {
    let mut differing = String::new();
    for (text, expected) in cases {
        let found = spec(text).expect_err(text);
        if !found.iter().any(|problem| problem.to_string().starts_with(&format!("m.yaml:{expected}"))) {
            differing += &format!("{expected}\n{found:#?}\n");
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

#[test]
fn users_of_three_limits_that_would_wait_in_a_circle_are_refused() {
    let flow = |name: &str, group: &str| {
        format!(
            "  - {{name: {name}, steps: [{{concurrency: {{max: 1, group: {group}}}, http: {{path: /}}}}]}}\n"
        )
    };
    let call = |flow: &str, group: &str| format!("{{run: {flow}, concurrency: {{max: 1, group: {group}}}}}");
    let steps = [call("b", "one"), call("c", "two"), call("a", "three")].join(", ");
    let text = format!(
        "  target: {{url: http://a}}\n  profile: {{users: 2, duration: 9s}}\n  scenarios: [{{name: s, steps: [{steps}]}}]\n  flows:\n{}",
        [flow("a", "one"), flow("b", "two"), flow("c", "three")].concat()
    );
    let found = spec(&text).expect_err(&text)[0].to_string();
    let told = r#"spec.flows[0].steps[0].concurrency: a place of "one" is asked for while one of "three" is held, and elsewhere the other way round"#;
    assert!(found.contains(told), "{found}");
}

#[test]
fn flows_that_multiply_are_refused_before_they_fill_the_plan() {
    let flow = |n: usize| {
        let runs = format!("{{run: f{}}}, ", n + 1).repeat(20);
        format!("  - {{name: f{n}, steps: [{runs}]}}\n")
    };
    let flows: String = (0..6).map(flow).collect();
    let text = format!(
        "  target: {{url: http://a}}\n  profile: {{users: 1, duration: 9s}}\n  scenarios: [{{name: s, steps: [{{run: f0}}]}}]\n  flows:\n{flows}  - {{name: f6, steps: [{{http: {{path: /}}}}]}}\n"
    );
    let problems = spec(&text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].message.contains("more than 10000 steps"), "{}", problems[0]);
}

#[test]
fn queries_and_counters_in_prometheus_are_what_is_asked() {
    let text = "  target: {url: http://a}\n  profile: {preset: smoke}\n  slos:
  - {name: cpu, abort: {after: 10s}, prometheus: {query: up, atMost: 1, over: {step: 15s, aggregate: Mean}, onNoData: Missed}}
  - {name: p99, source: Prometheus, latency: {stat: p99, atMost: 1s}}
  - {name: own, errorRate: {atMost: 1%}}\n";
    let resolved = spec(text).unwrap();
    let over = Some(Over { step: 15_000_000_000, aggregate: Aggregate::Mean });
    let ask = Ask::Query { template: "up".into(), over, on_no_data: Some(false) };
    let expected = [Question { slo: "p99".into(), ask: Ask::Own }, Question { slo: "cpu".into(), ask }];
    assert_eq!(questions(&resolved.spec), expected);
    let find = |name: &str| resolved.slos.iter().find(|slo| slo.name == name).unwrap();
    assert_eq!(find("cpu").abort_after, Some(10_000_000_000));
    assert!(find("p99").objective.is_some());
}

#[test]
fn other_slos_are_resolved_against_a_run_that_is_over() {
    let run = spec("  target: {url: http://a}\n  profile: {preset: smoke}\n").unwrap();
    let slos = |text: &str| -> Vec<Slo> {
        let whole =
            format!("  target: {{url: http://a}}\n  profile: {{users: 1, duration: 9s}}\n  slos: [{text}]\n");
        spec(&whole).unwrap().spec.slos
    };
    let layout = &run.plan.layout;
    let known = slos("{name: e, errorRate: {atMost: 2%}}");
    let (lowered, after) = relower(&known, layout).unwrap();
    assert_eq!((lowered.len(), &after), (1, layout), "the preset counts failures");
    let (lowered, after) = relower(&slos("{name: p, latency: {stat: p95, atMost: 123ms}}"), layout).unwrap();
    assert_eq!(
        (after.objectives.len(), lowered[0].objective),
        (layout.objectives.len() + 1, Some(layout.objectives.len()))
    );
    let foreign = Slo { request: Some("POST /x".into()), ..known[0].clone() };
    let errors = relower(&[foreign], layout).unwrap_err();
    assert!(errors[0].to_string().starts_with("spec.slos[0].request: there is no request"), "{errors:?}");
}
