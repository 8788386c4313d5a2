//! The Aragora endpoints as a client uses them: ids that flow, jobs that go on by the clock, both shapes, exact counts.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use plimsoll_testbed::{Aragora, Config, Latency, Shape, Testbed, endpoints};
use serde_json::{Value, json};

/// The endpoints alone, answering at once.
fn start() -> Testbed {
    start_with(&Value::Null)
}

fn start_with(patch: &Value) -> Testbed {
    let aragora = Aragora { latency: Latency::Constant(0.0), ..Aragora::default() };
    let testbed = Testbed::start(Config { aragora, ..Config::aragora() }).unwrap();
    if !patch.is_null() {
        testbed.merge_fault(&json!({ "aragora": patch })).unwrap();
    }
    testbed
}

fn debate(rounds: u32) -> Value {
    json!({"task": "Is tea better?", "agents": ["echo", "demo"], "rounds": rounds, "protocol": {"consensus": "majority"}})
}

/// Asks until the answer is as wanted; all different answers on the way, in their order.
fn poll(client: &mut Client, path: &str, is_done: impl Fn(&Value) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut seen: Vec<Value> = Vec::new();
    loop {
        let answer = client.get(path).unwrap().json();
        let done = is_done(&answer);
        if seen.last() != Some(&answer) {
            seen.push(answer);
        }
        if done {
            return seen;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
    }
}

fn is_over(answer: &Value) -> bool {
    ["completed", "consensus", "no_consensus", "error", "failed"]
        .contains(&answer["status"].as_str().unwrap())
}

#[test]
fn a_debate_goes_from_its_start_to_its_outcome() {
    let testbed = start_with(&json!({"debates": {"outcomes": ["no_consensus", "error"], "durationMs": 300}}));
    let mut client = Client::connect(testbed.addr());
    let created = client.post("/api/debate", &debate(2));
    assert_eq!(created.status, 201);
    let id = created.text("debate_id");
    assert_eq!((created.text("id"), created.text("status")), (id.clone(), "starting".into()));
    let path = format!("/api/debates/{id}");
    let begun = Instant::now();
    let seen = poll(&mut client, &path, is_over);
    assert!(begun.elapsed() > Duration::from_millis(250), "{:?}", begun.elapsed());
    let statuses: Vec<&str> = seen.iter().map(|answer| answer["status"].as_str().unwrap()).collect();
    let mut order = statuses.clone();
    order.dedup();
    assert_eq!(order, ["starting", "running", "no_consensus"]);
    let counts: Vec<u64> = seen.iter().map(|answer| answer["messages"].as_u64().unwrap()).collect();
    assert!(counts.is_sorted() && counts.ends_with(&[4]), "{counts:?}");
    let last = seen.last().unwrap();
    assert_eq!((&last["current_round"], &last["consensus"]["reached"]), (&json!(2), &json!(false)));
    let messages = client.get(&format!("{path}/messages")).unwrap().json();
    assert_eq!(messages["messages"].as_array().unwrap().len(), 4);
    assert_eq!(messages["messages"][3]["round"], json!(2));
    // The second one of the cycle fails, and the v1 paths mean the same.
    let second = client.post("/api/v1/debates", &debate(1)).text("debate_id");
    let seen = poll(&mut client, &format!("/api/v1/debates/{second}"), is_over);
    assert_eq!(seen.last().unwrap()["status"], json!("error"));
    let list = client.get("/api/debates?limit=1&offset=1").unwrap().json();
    assert_eq!(
        (&list["debates"][0]["id"], &list["total"], &list["limit"]),
        (&json!(id), &json!(2), &json!(1))
    );
    let found = client.get("/api/debates/search?q=TEA").unwrap().json();
    assert_eq!((found["results"].as_array().unwrap().len(), &found["query"]), (2, &json!("TEA")));
}

#[test]
fn ids_of_others_are_not_known_here() {
    let (testbed, other) = (start(), start());
    let (mut client, mut stranger) = (Client::connect(testbed.addr()), Client::connect(other.addr()));
    let node = json!({"content": "a fact", "node_type": "fact"});
    let (spec, ideas) =
        (json!({"input_content": "# spec", "input_type": "spec"}), json!({"ideas": ["a", "b"]}));
    for (make, body, field, paths) in [
        ("/api/debate", debate(1), "debate_id", &["/api/debates/{}", "/api/debates/{}/messages"][..]),
        ("/api/knowledge/nodes", node, "node_id", &["/api/knowledge/nodes/{}"]),
        ("/api/gauntlet/run", spec, "gauntlet_id", &["/api/gauntlet/{}"]),
        (
            "/api/v1/canvas/pipeline/from-ideas",
            ideas,
            "pipeline_id",
            &["/api/v1/canvas/pipeline/{}/status", "/api/v1/canvas/pipeline/{}/graph"],
        ),
    ] {
        let own = client.post(make, &body).text(field);
        let foreign = stranger.post(make, &body).text(field);
        for path in paths {
            let mut status = |id: &str| client.get(&path.replace("{}", id)).unwrap().status;
            assert_eq!((status(&own), status(&foreign), status("1")), (200, 404, 404), "{path}");
        }
    }
    let canvas = client.post("/api/v1/canvas/pipeline/from-ideas", &json!({"ideas": ["a"]})).json();
    let known = json!({"ideas_canvas_id": canvas["ideas_canvas_id"]});
    assert_eq!(client.post("/api/v1/canvas/pipeline/extract-goals", &known).status, 200);
    let unknown = json!({"ideas_canvas_id": 9999});
    assert_eq!(client.post("/api/v1/canvas/pipeline/extract-goals", &unknown).status, 400);
    let debate = client.post("/api/debate", &debate(1)).text("debate_id");
    testbed.forget_state();
    assert_eq!(client.get(&format!("/api/debates/{debate}")).unwrap().status, 404);
}

#[test]
fn what_is_missing_or_wrong_in_a_debate_is_told() {
    let testbed = start();
    let mut client = Client::connect(testbed.addr());
    for (body, status) in [
        (json!({"agents": ["a", "b"]}), 400),
        (json!({"task": "t"}), 400),
        (json!({"task": "t", "agents": ["a"]}), 400),
        (json!({"task": "", "agents": ["a", "b"]}), 400),
        (json!([1]), 400),
        (json!({"task": "t", "agents": "a"}), 422),
        (json!({"task": "t", "agents": ["a", 2]}), 422),
        (json!({"task": "t".repeat(10_001), "agents": ["a", "b"]}), 422),
        (json!({"task": "t", "agents": ["a", "b"], "rounds": 11}), 422),
        (json!({"task": "t", "agents": ["a", "b"], "rounds": 0}), 422),
        (json!({"question": "t", "agents": [{"name": "a"}, "b"], "protocol": {"rounds": 2}}), 201),
    ] {
        let answer = client.post("/api/debates", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.json());
    }
    assert_eq!(client.get("/api/debate").unwrap().status, 405);
    assert_eq!(client.get("/api/debatte").unwrap().status, 404);
}

#[test]
fn capacity_purge_and_stuck_debates_are_as_set() {
    let settings =
        json!({"debates": {"durationMs": 100, "capacity": 2, "purgeAfterMs": 100, "stuck": {"first": 1}}});
    let testbed = start_with(&settings);
    let mut client = Client::connect(testbed.addr());
    let ids: Vec<String> = (0..2).map(|_| client.post("/api/debate", &debate(1)).text("debate_id")).collect();
    assert_eq!(client.post("/api/debate", &debate(1)).status, 503);
    poll(&mut client, &format!("/api/debates/{}", ids[1]), is_over);
    let deadline = Instant::now() + Duration::from_secs(10);
    while client.get(&format!("/api/debates/{}", ids[1])).unwrap().status != 404 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(client.get(&format!("/api/debates/{}", ids[0])).unwrap().text("status"), "running");
    assert_eq!(
        client.post("/api/debate", &debate(1)).status,
        201,
        "the stuck one takes a place, the other none"
    );
}

#[test]
fn knowledge_is_made_read_changed_found_and_deleted() {
    let testbed = start();
    let mut client = Client::connect(testbed.addr());
    let node = json!({"content": "Consensus needs quorum", "node_type": "insight", "workspace_id": "w1"});
    let created = client.post("/api/knowledge/nodes", &node);
    let id = created.text("node_id");
    assert_eq!((created.status, created.text("id")), (201, id.clone()));
    let path = format!("/api/knowledge/nodes/{id}");
    assert_eq!(client.get(&path).unwrap().text("node_type"), "insight");
    let changed = client.call("PUT", &path, None, &json!({"content": "Quorum first"}));
    assert_eq!((changed.status, changed.json()["version"].clone()), (200, json!(2)));
    let found = client.get("/api/knowledge/search?q=quorum&limit=10").unwrap().json();
    assert_eq!(found["results"][0]["node_id"], json!(id));
    let answer =
        client.post("/api/knowledge/query", &json!({"query": "What is a quorum?", "context": {}})).json();
    assert_eq!(answer["sources"][0]["node_id"], json!(id));
    let sync = json!({"source_workspace_id": "w1", "target_workspace_id": "w2", "sync_type": "full"});
    let synced = client.post("/api/knowledge/federation/sync", &sync);
    assert_eq!((synced.status, synced.json()["nodes"].clone()), (202, json!(1)));
    assert_eq!(client.post("/api/knowledge/federation/sync", &json!({})).status, 400);
    assert_eq!(client.post("/api/knowledge/federation/query", &json!({"query": "quorum"})).status, 200);
    let evidence =
        client.post("/api/knowledge/evidence/collect", &json!({"claim": "it is so"})).text("evidence_id");
    let validated = client.post(&format!("/api/knowledge/evidence/{evidence}/validate"), &json!({}));
    assert_eq!((validated.status, validated.json()["valid"].clone()), (200, json!(true)));
    assert_eq!(client.post("/api/knowledge/evidence/x/validate", &json!({})).status, 404);
    let mut status = |method: &str| client.call(method, &path, None, &json!({})).status;
    assert_eq!([status("DELETE"), status("DELETE"), status("GET"), status("PUT")], [200, 404, 404, 404]);
    assert_eq!(testbed.stats().aragora.nodes_created, 1);
}

#[test]
fn gauntlets_end_with_findings_or_fail() {
    let settings =
        json!({"jobs": {"gauntletMs": 200, "failed": {"every": 2}, "verdicts": ["FAIL"], "quota": 2}});
    let testbed = start_with(&settings);
    let mut client = Client::connect(testbed.addr());
    let spec = json!({"input_content": "# spec", "input_type": "architecture", "profile": "quick"});
    let started = client.post("/api/gauntlet/run", &spec);
    assert_eq!((started.status, started.text("status")), (202, "pending".into()));
    let id = started.text("gauntlet_id");
    assert_eq!(client.get(&format!("/api/gauntlet/{id}/export?format=json")).unwrap().status, 404);
    let seen = poll(&mut client, &format!("/api/gauntlet/{id}"), is_over);
    let statuses: Vec<&str> = seen.iter().map(|answer| answer["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["pending", "running", "completed"]);
    let last = seen.last().unwrap();
    assert_eq!(
        (&last["findings"][0]["severity"], &last["verdict"]["verdict"]),
        (&json!("CRITICAL"), &json!("FAIL"))
    );
    let results = client.get("/api/gauntlet/results?limit=5").unwrap().json();
    assert_eq!((&results["results"][0]["gauntlet_id"], &results["total"]), (&json!(id), &json!(1)));
    assert_eq!(client.get(&format!("/api/gauntlet/{id}/export?format=json")).unwrap().status, 200);
    let failing = client.post("/api/gauntlet/run", &spec).text("gauntlet_id");
    let seen = poll(&mut client, &format!("/api/gauntlet/{failing}"), is_over);
    assert_eq!(seen.last().unwrap()["status"], json!("failed"));
    assert_eq!(client.post("/api/gauntlet/run", &spec).status, 429);
    assert_eq!(client.post("/api/gauntlet/run", &json!({})).status, 400);
}

#[test]
fn pipelines_go_through_their_stages() {
    let testbed = start();
    let mut client = Client::connect(testbed.addr());
    let base = "/api/v1/canvas/pipeline";
    let made =
        client.post(&format!("{base}/from-ideas"), &json!({"ideas": ["a", "b", "c"], "auto_advance": false}));
    assert_eq!((made.status, made.json()["goals_count"].clone()), (201, json!(3)));
    let id = made.text("pipeline_id");
    assert_eq!(client.get(&format!("{base}/{id}/receipt")).unwrap().status, 404);
    let seen = poll(&mut client, &format!("{base}/{id}/status"), is_over);
    assert_eq!(seen.last().unwrap()["stage_status"]["orchestration"], json!("complete"));
    assert!(seen.len() > 2, "{seen:?}");
    let graph = client.get(&format!("{base}/{id}/graph")).unwrap().json();
    assert_eq!((graph["nodes"].as_array().unwrap().len(), graph["edges"].as_array().unwrap().len()), (6, 3));
    assert_eq!(client.get(&format!("{base}/{id}/receipt")).unwrap().status, 200);
    let run =
        json!({"input_text": "x", "dry_run": true, "stages": ["ideas", "goals"], "enable_receipts": false});
    let run = client.post(&format!("{base}/run"), &run);
    assert_eq!((run.status, run.json()["stages"].clone()), (202, json!(["ideas", "goals"])));
    assert_eq!(client.post(&format!("{base}/from-ideas"), &json!({"ideas": []})).status, 400);
    assert_eq!(client.post(&format!("{base}/run"), &json!({})).status, 400);
}

#[test]
fn the_open_endpoints_have_what_is_read_of_them() {
    let testbed = start();
    let mut client = Client::connect(testbed.addr());
    for (path, pointer) in [
        ("/healthz", "/status"),
        ("/livez", "/status"),
        ("/health/live", "/status"),
        ("/health", "/version"),
        ("/api/health", "/uptime_seconds"),
        ("/api/health/detailed", "/subsystems/debates"),
        ("/api/capabilities", "/features/0"),
        ("/api/leaderboard", "/rankings/0/agent"),
        ("/api/v1/leaderboard-view?limit=10", "/rankings/5"),
        ("/api/agents", "/agents/0/name"),
        ("/api/v1/agents/rankings", "/rankings/0"),
        ("/api/system/info", "/name"),
        ("/api/v1/slos/targets", "/data/slos"),
        ("/api/consensus", "/consensus"),
    ] {
        let answer = client.get(path).unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.json().pointer(pointer).is_some(), "{path}: {}", answer.json());
    }
    testbed.merge_fault(&json!({"aragora": {"deepMs": 80}})).unwrap();
    assert_eq!(client.get("/api/health/deep").unwrap().status, 200);
    let deep = testbed.log("/api/health/deep").entries[0].duration_us;
    assert!(deep >= 80_000, "{deep}");
}

#[test]
fn the_real_shape_nests_what_the_test_shape_has_at_the_top() {
    let testbed = start_with(&json!({"shape": "real", "bareLists": true, "jobs": {"gauntletMs": 0}}));
    let mut client = Client::connect(testbed.addr());
    let created = client.post("/api/debate", &debate(1));
    assert_eq!((created.status, created.json().get("id")), (200, None));
    let read = client.get(&format!("/api/debates/{}", created.text("debate_id"))).unwrap().json();
    assert!(read["created_at"].is_f64(), "{read}");
    assert_eq!(client.get("/api/debates").unwrap().json().as_array().map(Vec::len), Some(1));
    let tokens = client.post("/api/auth/login", &json!({"email": "a@load.test", "password": "p"})).json();
    assert!(tokens["tokens"]["access_token"].is_string() && tokens.get("access_token").is_none(), "{tokens}");
    let id = client.post("/api/gauntlet/run", &json!({"input_content": "x"})).text("gauntlet_id");
    let done = client.get(&format!("/api/gauntlet/{id}")).unwrap().json();
    assert!(done["result"]["findings"].is_array() && done.get("findings").is_none(), "{done}");
    let aragora = Aragora { shape: Shape::Real, ..Aragora::default() };
    let config = serde_json::to_string(&Config { aragora, ..Config::default() }).unwrap();
    assert_eq!(Config::from_json(&config).unwrap().aragora.shape, Shape::Real);
}

#[test]
fn counts_are_exact_by_endpoint_under_four_clients() {
    let testbed = start();
    let address = testbed.addr();
    let one = move || {
        let mut client = Client::connect(address);
        for _ in 0..50 {
            let id = client.post("/api/debates", &debate(1)).text("debate_id");
            client.get(&format!("/api/debates/{id}")).unwrap();
            client.get(&format!("/api/debates/{id}")).unwrap();
            client.get("/api/debates?limit=5").unwrap();
            client.get("/api/debates/none").unwrap();
        }
    };
    let clients: Vec<_> = (0..4).map(|_| thread::spawn(one)).collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    let stats = testbed.stats();
    let answered = |name: &str| serde_json::to_value(&stats.endpoints[name].answered).unwrap();
    assert_eq!(answered("POST /api/debates"), json!({"201": 200}));
    assert_eq!(answered("GET /api/debates"), json!({"200": 200}));
    assert_eq!(answered("GET /api/debates/{id}"), json!({"200": 400, "404": 200}));
    assert_eq!(stats.paths["/api/debates"].received, 400);
    assert!((1..=4).contains(&stats.endpoints["POST /api/debates"].peak_in_flight));
    let names: BTreeSet<&str> = stats.endpoints.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["GET /api/debates", "GET /api/debates/{id}", "POST /api/debates"]));
    assert_eq!(stats.aragora.debates_created, 200);
    testbed.reset_stats();
    assert_eq!((testbed.stats().endpoints.len(), testbed.stats().aragora.debates_created), (0, 0));
}

#[test]
fn metrics_agree_with_the_counts() {
    let testbed = start();
    let mut client = Client::connect(testbed.addr());
    for _ in 0..7 {
        client.get("/api/health").unwrap();
    }
    client.get("/api/debates/none").unwrap();
    let text = String::from_utf8(client.get("/metrics").unwrap().body).unwrap();
    let value = |line: &str| {
        let found = text.lines().find_map(|known| known.strip_prefix(line)?.trim().parse::<f64>().ok());
        found.unwrap_or_else(|| panic!("{line} in {text}"))
    };
    let labels = r#"{method="GET",endpoint="/api/health",status="200"}"#;
    assert_eq!(value(&format!("aragora_http_requests_total{labels}")), 7.0);
    assert_eq!(value(&format!("aragora_http_request_duration_seconds_count{labels}")), 7.0);
    let bucket = r#"{method="GET",endpoint="/api/health",status="200",le="10"}"#;
    assert_eq!(value(&format!("aragora_http_request_duration_seconds_bucket{bucket}")), 7.0);
    assert_eq!(
        value(r#"aragora_http_requests_total{method="GET",endpoint="/api/debates/{id}",status="404"}"#),
        1.0
    );
    assert!(value("process_resident_memory_bytes") > 1e6 && value("process_cpu_seconds_total") >= 0.0);
}

#[test]
fn every_endpoint_is_there_by_default_and_can_be_switched_off() {
    let testbed = Testbed::start(Config::default()).unwrap();
    let off = Aragora { enabled: false, ..Aragora::default() };
    let without = Testbed::start(Config { aragora: off, ..Config::aragora() }).unwrap();
    let (mut client, mut none) = (Client::connect(testbed.addr()), Client::connect(without.addr()));
    for (method, pattern) in endpoints() {
        if ["/sse", "/ws/echo", "/ws/orders/{id}"].contains(&pattern) || pattern.ends_with("/spectate") {
            continue;
        }
        let path = pattern.replace("{provider}", "google").replace("{id}", "x");
        let method = if method == "WS" { "GET" } else { method };
        let status = client.call(method, &path, None, &Value::Null).status;
        assert!([200, 302, 400, 401, 404, 426].contains(&status), "{method} {path}: {status}");
        assert_ne!(client.call("PATCH", &path, None, &Value::Null).status, 404, "{path}");
        assert_eq!(none.call(method, &path, None, &Value::Null).status, 404, "{method} {path}");
    }
}
