//! Bodies, chunks, TLS and HTTP/2.

use std::net::SocketAddr;

use plimsoll_engine::{EngineError, Materials, prepare};
use plimsoll_measure::ErrorClass;
use plimsoll_plan::{ConnectionsPer, HttpVersion, Plan, Preflight, Tls};
use plimsoll_scenario::{Body as StepBody, Field, HttpStep, VarSource};
use plimsoll_testbed::{Body, Config, Latency, Route, Testbed, When};

use crate::support::*;

#[test]
fn bodies_of_every_framing_are_drained() {
    let _shared = among_others();
    let routes = vec![
        Route { body: Body::Bytes(200_000), ..Route::at("/long") },
        Route { body: Body::Bytes(200_000), chunked: true, ..Route::at("/chunked") },
        Route { status: Some(204), ..Route::at("/none") },
    ];
    let server = server(routes);
    for (path, method) in [("/long", "GET"), ("/chunked", "GET"), ("/none", "GET"), ("/long", "HEAD")] {
        server.reset_stats();
        let step = HttpStep { method: method.into(), ..get(path) };
        let snapshot = run(a_few(server.addr(), 4, 40, step));
        let counts = totals(&snapshot);
        assert_eq!((counts.complete, counts.failed), (40, 0), "{method} {path}");
        // Four users at most; on a busy machine the first of them may do the work of all.
        let connections = snapshot.health.connections;
        assert!((1..=4).contains(&connections), "{connections} connections, {method} {path}");
        // The server counts an answer after it is written, when the client may have read it already.
        let began = std::time::Instant::now();
        while server.stats().paths[path].in_flight > 0 {
            assert!(began.elapsed() < std::time::Duration::from_secs(10), "{method} {path}");
            std::thread::yield_now();
        }
        let stats = &server.stats().paths[path];
        assert_eq!((stats.received, stats.bytes_out), (40, counts.received), "{method} {path}");
    }
}

#[test]
fn request_bodies_arrive_whole() {
    let _shared = among_others();
    let server = server(vec![Route::at("/post")]);
    let long = "x".repeat(3_000_000);
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        server.reset_stats();
        let step = HttpStep { method: "POST".into(), body: StepBody::Text(long.clone()), ..get("/post") };
        let mut plan = a_few(server.addr(), 2, 6, step);
        plan.target.http = http;
        let counts = totals(&run(plan));
        assert_eq!((counts.complete, counts.failed), (6, 0), "{http:?}");
        assert!(server.stats().paths["/post"].bytes_in >= 6 * 3_000_000, "{http:?}");
    }
}

#[test]
fn values_that_vary_do_so_in_both_protocols_alike() {
    let _shared = among_others();
    let server = server(vec![Route::under("/item/")]);
    let mut paths = Vec::new();
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        server.reset_stats();
        let mut step = get("/item/${randInt(1, 1000000)}");
        step.headers = vec![Field { name: "x-id".into(), value: "${uuid()}".into() }];
        let mut plan = a_few(server.addr(), 1, 20, step);
        plan.target.http = http;
        assert_eq!(totals(&run(plan)).complete, 20);
        paths.push(server.stats().paths.into_keys().collect::<Vec<_>>());
    }
    assert_eq!(paths[0], paths[1], "the same seed makes the same choices");
    assert_eq!(paths[0].len(), 20);
}

fn secure(require_client_certificate: bool) -> Testbed {
    let mut config = Config { routes: vec![Route::at("/")], ..quiet() };
    config.listen_tls = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.tls.require_client_certificate = require_client_certificate;
    start(config)
}

fn secure_plan(server: &Testbed, tls: Tls, http: HttpVersion) -> Plan {
    let mut plan = a_few(server.tls_addr().unwrap(), 3, 30, get("/"));
    plan.target.scheme = "https".into();
    plan.target.tls = Some(tls);
    plan.target.http = http;
    plan
}

fn private_ca(server: &Testbed) -> Tls {
    Tls { ca: Some(VarSource::Value(server.ca_pem().unwrap().into())), ..Tls::default() }
}

#[test]
fn tls_with_a_private_ca_speaks_what_both_sides_prefer() {
    let _shared = among_others();
    let server = secure(false);
    for http in [HttpVersion::Auto, HttpVersion::Http1, HttpVersion::Http2] {
        server.reset_stats();
        let snapshot = run(secure_plan(&server, private_ca(&server), http));
        let counts = totals(&snapshot);
        assert_eq!((counts.sent, counts.complete, counts.failed), (30, 30, 0), "{http:?}");
        let cell = cell(&snapshot, 0);
        assert_eq!(
            (cell.tls.count(), cell.connect.count(), server.stats().received()),
            (3, 3, 30),
            "{http:?}"
        );
    }
}

#[test]
fn certificates_are_verified_unless_asked_not_to() {
    let _shared = among_others();
    let server = secure(false);
    let mut public = secure_plan(&server, Tls::default(), HttpVersion::Auto);
    public.target.preflight = Preflight::Skip;
    let counts = totals(&run(public));
    assert_eq!((counts.sent, counts.not_sent, of_class(&counts, ErrorClass::Tls)), (0, 30, 30));
    let misnamed = Tls { server_name: Some("other.test".into()), ..private_ca(&server) };
    let counts = totals(&run(secure_plan(&server, misnamed.clone(), HttpVersion::Auto)));
    assert_eq!(of_class(&counts, ErrorClass::Tls), 30);
    let careless = Tls { insecure_skip_verify: true, ..misnamed };
    assert_eq!(totals(&run(secure_plan(&server, careless, HttpVersion::Auto))).complete, 30);
}

#[test]
fn sessions_are_resumed_only_if_asked_for() {
    let _shared = among_others();
    let server = secure(false);
    for (http, resumption) in
        [(HttpVersion::Http1, false), (HttpVersion::Http1, true), (HttpVersion::Http2, true)]
    {
        server.reset_stats();
        // Every request has a connection of its own; the first of each of three users finds no session yet.
        let mut plan = secure_plan(&server, Tls { resumption, ..private_ca(&server) }, http);
        plan.target.connections.max_requests = Some(1);
        let snapshot = run(plan);
        let connections = server.stats().connections;
        assert_eq!((totals(&snapshot).complete, snapshot.health.connections), (30, 30), "{http:?}");
        let allowed = if resumption { 27..=29 } else { 0..=0 };
        assert!(allowed.contains(&connections.resumed), "{http:?}, {resumption}: {connections:?}");
    }
}

#[test]
fn a_client_certificate_is_shown_where_one_is_required() {
    let _shared = among_others();
    let server = secure(true);
    let pki = server.pki().unwrap();
    let with = Tls { client_secret: Some("mine".into()), ..private_ca(&server) };
    let materials = Materials {
        client_pem: Some((pki.client_pem.clone().into_bytes(), pki.client_key_pem.clone().into_bytes())),
        ..Materials::default()
    };
    let plan = secure_plan(&server, with, HttpVersion::Auto);
    assert_eq!(totals(&run_with(plan.clone(), materials, 2)).complete, 30);
    let without = prepare(whole(plan), Materials::default(), None).unwrap_err();
    assert!(matches!(&without, EngineError::ClientCertificate(text) if text.contains("mine")), "{without}");
    let counts = totals(&run(secure_plan(&server, private_ca(&server), HttpVersion::Http1)));
    assert_eq!((of_class(&counts, ErrorClass::Tls), counts.complete), (30, 0), "{counts:?}");
}

#[test]
fn http2_in_clear_text_is_spoken_only_when_asked_for() {
    let _shared = among_others();
    let server = server(vec![Route { body: Body::Bytes(100_000), ..Route::at("/") }]);
    let mut plan = a_few(server.addr(), 10, 200, get("/"));
    plan.target.http = HttpVersion::Http2;
    plan.target.connections.per = ConnectionsPer::Worker;
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.complete, counts.failed), (200, 200, 0));
    assert_eq!((server.stats().received(), snapshot.health.connections), (200, 2), "one connection per core");
    assert_eq!(counts.received, 200 * 100_000);
}

#[test]
fn an_explicit_number_of_http2_connections_shares_the_streams() {
    let _shared = among_others();
    let server = server(vec![Route { latency: Latency::Constant(20.0), ..Route::at("/") }]);
    let mut plan = a_few(server.addr(), 40, 200, get("/"));
    plan.target.http = HttpVersion::Http2;
    plan.target.connections.per = ConnectionsPer::Worker;
    plan.target.connections.max = Some(6);
    let snapshot = run(plan);
    assert_eq!((totals(&snapshot).complete, snapshot.health.connections), (200, 6));
    assert_eq!(server.stats().connections.accepted, 6);
}

#[test]
fn http2_failures_have_their_classes() {
    let _shared = among_others();
    let routes = vec![
        Route { reset: Some(When::Every(4)), ..Route::at("/reset") },
        Route { stall: Some(When::Every(4)), ..Route::at("/stall") },
    ];
    let server = server(routes);
    for (path, class) in [("/reset", ErrorClass::Reset), ("/stall", ErrorClass::Timeout)] {
        server.reset_stats();
        let mut plan = a_few(server.addr(), 4, 40, HttpStep { timeout: 300 * MILLI, ..get(path) });
        plan.target.http = HttpVersion::Http2;
        plan.target.connections.per = ConnectionsPer::Worker;
        let counts = totals(&run(plan));
        assert_eq!(
            (counts.sent, of_class(&counts, class), counts.failed),
            (40, 10, 10),
            "{path}: {counts:?}"
        );
        assert_eq!(server.stats().received(), 40);
    }
}
