//! Logins, tokens and rate limits: who gets in, how often, and what a refusal says.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::thread;
use std::time::Duration;

use client::{Client, Response};
use plimsoll_testbed::{By, Config, Limit, Testbed};
use serde_json::{Value, json};

fn start(fault: &Value) -> Testbed {
    let testbed = Testbed::start(Config::aragora()).unwrap();
    testbed.merge_fault(fault).unwrap();
    testbed
}

fn login(client: &mut Client, email: &str, password: &str) -> Response {
    client.post("/api/auth/login", &json!({"email": email, "password": password}))
}

#[test]
fn with_auth_only_good_tokens_get_in() {
    let testbed = start(&json!({"aragora": {"auth": {"required": true, "tokens": ["static"]}}}));
    let other = start(&json!({}));
    let mut client = Client::connect(testbed.addr());
    let foreign = login(&mut Client::connect(other.addr()), "a@load.test", "p").text("access_token");
    let own = login(&mut client, "a@load.test", "p");
    let token = own.text("access_token");
    let mut status = |token: Option<&str>, path: &str| client.call("GET", path, token, &Value::Null).status;
    for path in ["/api/debates", "/api/slo/status", "/api/system/info", "/api/knowledge/search?q=x"] {
        let got = [None, Some("nonsense"), Some(&*foreign), Some(&*own.text("refresh_token"))]
            .map(|t| status(t, path));
        assert_eq!(got, [401; 4], "{path}");
        assert_eq!((status(Some(&token), path), status(Some("static"), path)), (200, 200), "{path}");
    }
    for path in ["/api/health", "/api/agents", "/healthz", "/metrics"] {
        assert_eq!(status(None, path), 200, "{path}");
    }
    assert_eq!(client.call("POST", "/api/auth/logout", Some(&token), &json!({})).status, 200);
    assert_eq!(client.call("GET", "/api/debates", Some(&token), &Value::Null).status, 401);
    let revoked = client.post("/api/auth/refresh", &json!({"refresh_token": own.text("refresh_token")}));
    assert_eq!(revoked.status, 401);
    let counts = testbed.stats().aragora;
    assert_eq!((counts.logins, counts.logouts, counts.unauthorized), (1, 1, 17));
}

#[test]
fn sessions_need_a_token_even_without_auth_and_refreshes_rotate() {
    let testbed = start(&json!({}));
    let mut client = Client::connect(testbed.addr());
    assert_eq!(client.get("/api/auth/session").unwrap().status, 401);
    let first = login(&mut client, "u1@load.test", "p");
    let session = client.call("GET", "/api/auth/session", Some(&first.text("access_token")), &Value::Null);
    assert_eq!((session.status, session.json()["user"]["email"].clone()), (200, json!("u1@load.test")));
    let challenge =
        client.call("POST", "/api/auth/mfa/challenge", Some(&first.text("access_token")), &json!({}));
    assert!(challenge.status == 200 && !challenge.text("challenge_id").is_empty());
    let old = json!({"refresh_token": first.text("refresh_token")});
    let second = client.post("/api/auth/refresh", &old);
    assert_eq!(second.status, 200);
    assert_ne!(second.text("access_token"), first.text("access_token"));
    assert_eq!(client.post("/api/auth/refresh", &old).status, 401, "a refresh token is good once");
    let new = json!({"refresh_token": second.text("refresh_token")});
    assert_eq!(client.post("/api/auth/refresh", &new).status, 200);
    testbed.merge_fault(&json!({"aragora": {"auth": {"rotate": false, "accessSeconds": 0}}})).unwrap();
    let third = login(&mut client, "u1@load.test", "p");
    let same = json!({"refresh_token": third.text("refresh_token")});
    assert_eq!(
        [client.post("/api/auth/refresh", &same).status, client.post("/api/auth/refresh", &same).status],
        [200; 2]
    );
    let old_token = third.text("access_token");
    assert_eq!(
        client.call("GET", "/api/auth/session", Some(&old_token), &Value::Null).status,
        401,
        "it is too old"
    );
    let counts = testbed.stats().aragora;
    assert_eq!((counts.refreshes, counts.refreshes_rejected, counts.logins), (4, 1, 2));
}

#[test]
fn logins_are_refused_as_set() {
    let auth = json!({"unknownEmails": "reject", "users": {"a@load.test": "right"}, "lockoutAfter": 2});
    let testbed = start(&json!({"aragora": {"auth": auth}}));
    let mut client = Client::connect(testbed.addr());
    assert_eq!(client.post("/api/auth/login", &json!({"email": "a@load.test"})).status, 400);
    assert_eq!(login(&mut client, "nobody@load.test", "x").status, 401);
    assert_eq!(login(&mut client, "a@load.test", "right").status, 200);
    let failures = [login(&mut client, "a@load.test", "w"), login(&mut client, "a@load.test", "w")];
    assert_eq!(failures.map(|answer| answer.status), [401, 401]);
    let locked = login(&mut client, "a@load.test", "right");
    assert_eq!((locked.status, locked.header("retry-after")), (429, Some("60")));
    testbed.merge_fault(&json!({"aragora": {"auth": {"lockoutAfter": null, "mfa": true}}})).unwrap();
    let pending = login(&mut client, "a@load.test", "right");
    assert_eq!(
        (pending.json()["mfa_required"].clone(), pending.json().get("access_token")),
        (json!(true), None)
    );
    let verify = |code: &str| json!({"pending_token": pending.text("pending_token"), "code": code});
    assert_eq!(client.post("/api/auth/mfa/verify", &verify("000000")).status, 401);
    let verified = client.post("/api/auth/mfa/verify", &verify("123456"));
    assert_eq!((verified.status, verified.text("token_type")), (200, "bearer".into()));
    // An account that a first login made has its password from then on.
    testbed.merge_fault(&json!({"aragora": {"auth": {"unknownEmails": "provision", "mfa": false}}})).unwrap();
    let statuses = ["p", "q", "p"].map(|password| login(&mut client, "new@load.test", password).status);
    assert_eq!(statuses, [200, 401, 200]);
}

#[test]
fn sign_on_elsewhere_is_a_redirect() {
    let testbed = start(&json!({}));
    let mut client = Client::connect(testbed.addr());
    let answer = client.get("/api/auth/sso/github/authorize").unwrap();
    assert_eq!(answer.status, 302);
    assert!(answer.header("location").unwrap().starts_with("https://github.example/"));
    assert_eq!(client.get("/api/auth/sso/nobody/authorize").unwrap().status, 404);
}

#[test]
fn exactly_k_of_n_pass_a_limit_however_many_ask_at_once() {
    let limits = vec![Limit { path: Some("/api".into()), burst: 10, ..Limit::default() }];
    let testbed = Testbed::start(Config { limits, ..Config::aragora() }).unwrap();
    let address = testbed.addr();
    let ask = move || -> Vec<u16> {
        let mut client = Client::connect(address);
        (0..10).map(|_| client.get("/api/health").unwrap().status).collect()
    };
    let asking: Vec<_> = (0..5).map(|_| thread::spawn(ask)).collect();
    let statuses: Vec<u16> = asking.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (10, 40));
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    assert_eq!(testbed.stats().endpoints["GET /api/health"].answered, [(200, 10), (429, 40)].into());
    assert_eq!(testbed.stats().aragora.limited, 40);
    let mut client = Client::connect(address);
    assert_eq!(client.get("/healthz").unwrap().status, 200, "out of the limit's scope");
    testbed.reset_stats();
    assert_eq!(client.get("/api/health").unwrap().status, 200, "a reset fills the buckets");
}

#[test]
fn refusals_and_allowed_answers_tell_of_the_limit() {
    let testbed = start(&json!({"limits": [{"path": "/api/health", "rate": 0.5, "burst": 2}]}));
    let mut client = Client::connect(testbed.addr());
    let answers: Vec<Response> = (0..3).map(|_| client.get("/api/health").unwrap()).collect();
    let remaining: Vec<_> =
        answers.iter().map(|answer| answer.header("x-ratelimit-remaining").unwrap()).collect();
    assert_eq!(remaining, ["1", "0", "0"]);
    for answer in &answers {
        assert_eq!(answer.header("x-ratelimit-limit"), Some("2"));
        assert!(answer.header("x-ratelimit-reset").unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    }
    assert_eq!(answers[0].header("retry-after"), None);
    let refused = &answers[2];
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("2")));
    let text = refused.json();
    assert!(text["error"].as_str().unwrap().contains("rate") && text["retry_after"] == json!(2), "{text}");
    assert_eq!(text["code"], json!("rate_limit_exceeded"));
}

#[test]
fn scopes_and_keys_of_limits_are_kept() {
    let limits = vec![
        Limit {
            path: Some("/api/debates".into()),
            exact: true,
            method: Some("POST".into()),
            burst: 1,
            by: By::Token,
            ..Limit::default()
        },
        Limit { path: Some("/api/agents".into()), burst: 1, by: By::All, ..Limit::default() },
    ];
    let testbed = Testbed::start(Config { limits, ..Config::aragora() }).unwrap();
    let mut client = Client::connect(testbed.addr());
    let body = json!({"task": "t", "agents": ["a", "b"], "rounds": 1});
    let mut create = |token: Option<&str>| client.call("POST", "/api/debates", token, &body).status;
    assert_eq!([create(Some("a")), create(Some("a")), create(Some("b")), create(None)], [201, 429, 201, 201]);
    assert_eq!(testbed.stats().aragora.debates_created, 3, "what is refused has no effect");
    let list = |client: &mut Client| client.get("/api/debates").unwrap();
    assert_eq!((list(&mut client).status, list(&mut client).header("x-ratelimit-limit")), (200, None));
    let agents = [client.get("/api/agents").unwrap().status, client.get("/api/agents").unwrap().status];
    assert_eq!(agents, [200, 429]);
    let error =
        testbed.merge_fault(&json!({"limits": [{"burst": 1, "by": "cookie"}]})).unwrap_err().to_string();
    assert!(error.contains("cookie"), "{error}");
}
