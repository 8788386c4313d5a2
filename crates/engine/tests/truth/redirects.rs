//! Redirects: each hop is a request of the same name, and rules of method, body and credentials hold.

use plimsoll_engine::Materials;
use plimsoll_measure::ErrorClass;
use plimsoll_plan::HttpVersion;
use plimsoll_scenario::{Body, Field, HttpStep};
use plimsoll_testbed::{Latency, Route};

use crate::support::*;

fn to(path: &str, status: u16, location: &str) -> Route {
    Route { redirect: Some(location.into()), status: Some(status), ..Route::at(path) }
}

#[test]
fn hops_count_as_requests_up_to_the_limit() {
    let _shared = among_others();
    let routes =
        || vec![to("/1", 302, "/2"), to("/2", 301, "three"), to("/three", 307, "/end"), Route::at("/end")];
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        let server = server(routes());
        let mut plan = a_few(server.addr(), 2, 10, HttpStep { expect: vec![(200, 200)], ..get("/1") });
        plan.target.http = http;
        let counts = totals(&run(plan));
        assert_eq!((counts.sent, counts.complete, counts.failed), (40, 40, 0), "{http:?}: {counts:?}");
        assert_eq!((server.stats().received(), server.stats().paths["/end"].received), (40, 10));
    }
    let server = server(routes());
    let step = HttpStep { redirects: 2, expect: vec![(200, 200)], ..get("/1") };
    let counts = totals(&run(a_few(server.addr(), 1, 5, step)));
    assert_eq!((counts.sent, of_class(&counts, ErrorClass::Status), counts.statuses[&307]), (15, 5, 5));
    let step = HttpStep { redirects: 0, ..get("/1") };
    let counts = totals(&run(a_few(server.addr(), 1, 5, step)));
    assert_eq!((counts.sent, counts.failed, counts.statuses[&302]), (5, 0, 5), "a 302 is among 200 to 399");
}

#[test]
fn a_response_that_still_redirects_at_the_limit_fails() {
    let _shared = among_others();
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        let server = server(vec![to("/loop", 302, "/loop"), to("/odd", 302, "ftp://there.test/")]);
        let mut plan = a_few(server.addr(), 1, 5, HttpStep { redirects: 3, ..get("/loop") });
        plan.target.http = http;
        let counts = totals(&run(plan));
        assert_eq!((counts.sent, counts.complete, counts.statuses[&302]), (20, 20, 20), "{http:?}");
        assert_eq!(
            (of_class(&counts, ErrorClass::Status), counts.failed),
            (5, 5),
            "the last of each, {http:?}"
        );
        let mut plan = a_few(server.addr(), 1, 5, HttpStep { redirects: 1, ..get("/odd") });
        plan.target.http = http;
        assert_eq!(totals(&run(plan)).failed, 0, "what cannot be followed is the answer, {http:?}");
    }
}

#[test]
fn a_redirect_to_another_server_gets_a_connection_of_its_own() {
    let _shared = among_others();
    let other = server(vec![Route::at("/there")]);
    // One core, and slow enough that both users begin before the work is done.
    let here = to("/here", 302, &format!("{}/there", other.url()));
    let server = server(vec![Route { latency: Latency::Constant(5.0), ..here }]);
    let snapshot = run_with(a_few(server.addr(), 2, 10, get("/here")), Materials::default(), 1);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.complete, counts.failed), (20, 20, 0));
    assert_eq!((server.stats().received(), other.stats().received()), (10, 10));
    assert_eq!(snapshot.health.connections, 2 + 10);
}

/// What the other server got, told by a server that reads and shows a request's head.
fn told(status: u16) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        request.truncate(length);
        String::from_utf8(request).unwrap()
    });
    let server = server(vec![to("/here", status, &format!("http://{address}/there?x=1"))]);
    let step = HttpStep {
        method: "POST".into(),
        body: Body::Text("payload".into()),
        headers: vec![Field { name: "authorization".into(), value: "Bearer secret".into() }],
        ..get("/here")
    };
    assert_eq!(totals(&run(a_few(server.addr(), 1, 1, step))).complete, 2);
    other.join().unwrap()
}

#[test]
fn methods_and_bodies_follow_the_rules_and_credentials_stay_at_home() {
    let _shared = among_others();
    let see_other = told(303);
    assert!(see_other.starts_with("GET /there?x=1 HTTP/1.1\r\n"), "{see_other}");
    assert!(!see_other.contains("payload") && !see_other.contains("secret"), "{see_other}");
    let repeat = told(307);
    assert!(repeat.starts_with("POST /there?x=1 HTTP/1.1\r\n") && repeat.ends_with("payload"), "{repeat}");
    assert!(!repeat.contains("secret"), "{repeat}");
}

#[test]
fn a_location_that_cannot_be_followed_is_the_answer() {
    let _shared = among_others();
    let server = server(vec![to("/here", 302, "ftp://there.test/")]);
    let counts =
        totals(&run(a_few(server.addr(), 1, 5, HttpStep { expect: vec![(200, 200)], ..get("/here") })));
    assert_eq!((counts.sent, counts.complete, of_class(&counts, ErrorClass::Status)), (5, 5, 5));
}
