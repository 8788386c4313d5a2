//! HTTP/1.1 to the letter, HTTP/2 with prior knowledge and over TLS, client certificates.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::Client;
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use plimsoll_testbed::{Body, Config, Pki, Route, Testbed, Tls, When};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn the_default_service_answers_what_its_paths_say() {
    let testbed = Testbed::start(Config::default()).unwrap();
    let mut client = Client::connect(testbed.addr());
    assert_eq!(client.get("/healthz").unwrap().json(), json!({"status": "ok"}));
    assert_eq!(client.get("/any/path").unwrap().json()["status"], json!("ok"));
    assert_eq!(client.get("/status/418").unwrap().status, 418);
    assert_eq!(client.get("/status/204").unwrap().body.len(), 0);
    assert_eq!(client.get("/bytes/300000").unwrap().body.len(), 300_000);
    assert_eq!(client.get("/delay/1").unwrap().json(), json!({"delayMs": 1.0}));
    let hop = client.get("/redirect/2").unwrap();
    assert_eq!((hop.status, hop.header("location")), (302, Some("/redirect/1")));
    let head = client.request("HEAD", "/bytes/10", b"").unwrap();
    assert_eq!((head.header("content-length"), head.body.len()), (Some("10"), 0));
    let echo = client.request("PUT", "/echo?a=1", b"hello").unwrap().json();
    assert_eq!(echo["method"], json!("PUT"));
    assert_eq!((&echo["query"], &echo["body"]), (&json!("a=1"), &json!("hello")));
    assert_eq!(echo["headers"]["content-length"], json!("5"));
}

#[test]
fn requests_are_read_in_any_form() {
    let testbed = Testbed::start(Config::default()).unwrap();
    let mut client = Client::connect(testbed.addr());
    // Two requests in one segment are answered in order.
    client.write(b"GET /status/201 HTTP/1.1\r\n\r\nGET http://x/status/202 HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!([201, 202], [client.read(false).unwrap().status, client.read(false).unwrap().status]);
    // A chunked body with an extension and a trailer, byte by byte.
    let chunked = b"POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nt: v\r\n\r\n";
    for byte in chunked {
        client.write(&[*byte]).unwrap();
    }
    assert_eq!(client.read(false).unwrap().json()["body"], json!("hello!"));
    // A body that waits for the server's consent.
    client.write(b"POST /echo HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(client.read(false).unwrap().status, 100);
    client.write(b"ok").unwrap();
    assert_eq!(client.read(false).unwrap().json()["body"], json!("ok"));
    // A large body is thrown away and counted.
    client.request("POST", "/upload", &vec![0; 3 << 20]).unwrap();
    assert!(testbed.stats().paths["/upload"].bytes_in > 3 << 20);
    client.write(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(client.read(false).unwrap().header("connection"), Some("close"));
    assert!(client.is_ended());
}

#[test]
fn what_is_no_request_is_refused_and_counted_apart() {
    let testbed = Testbed::start(Config::default()).unwrap();
    for (bytes, status) in [
        (&b"nonsense\r\n\r\n"[..], 400),
        (b"GET / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST /echo HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", 413),
    ] {
        let mut client = Client::connect(testbed.addr());
        client.write(bytes).unwrap();
        if status == 413 {
            client.write(&vec![0; 9 << 20]).unwrap();
        }
        assert_eq!(client.read(false).unwrap().status, status);
    }
    assert_eq!((testbed.stats().bad_requests, testbed.stats().received()), (4, 0));
}

#[test]
fn chunked_bodies_headers_and_redirects_are_sent_as_configured() {
    let headers =
        [("Cache-Control".into(), "no-store".into()), ("content-type".into(), "text/csv".into())].into();
    let routes = vec![
        Route { chunked: true, headers, body: Body::Text("a,b".into()), ..Route::at("/csv") },
        Route { redirect: Some("/csv".into()), ..Route::at("/old") },
    ];
    let testbed = Testbed::start(Config { routes, ..Config::default() }).unwrap();
    let mut client = Client::connect(testbed.addr());
    let csv = client.get("/csv").unwrap();
    assert_eq!((csv.header("transfer-encoding"), csv.header("content-length")), (Some("chunked"), None));
    assert_eq!(
        (csv.header("cache-control"), csv.header("content-type")),
        (Some("no-store"), Some("text/csv"))
    );
    assert_eq!(csv.body, b"a,b");
    let old = client.get("/old").unwrap();
    assert_eq!((old.status, old.header("location")), (302, Some("/csv")));
}

async fn h2_over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Bytes> {
    let (requests, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    requests.ready().await.unwrap()
}

async fn h2_get(requests: &mut SendRequest<Bytes>, path: &str) -> Result<(u16, Vec<u8>), h2::Error> {
    let request = Request::get(format!("http://testbed{path}")).body(()).unwrap();
    let (response, _) = requests.send_request(request, true)?;
    let response = response.await?;
    let status = response.status().as_u16();
    let (mut stream, mut body) = (response.into_body(), Vec::new());
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok((status, body))
}

#[test]
fn http2_with_prior_knowledge_is_served() {
    let routes = vec![
        Route { reset: Some(When::Every(2)), ..Route::at("/reset") },
        Route { truncate: Some(When::Every(1)), body: Body::Bytes(1000), ..Route::at("/cut") },
    ];
    let testbed = Testbed::start(Config { routes, ..Config::default() }).unwrap();
    runtime().block_on(async {
        let mut requests = h2_over(TcpStream::connect(testbed.addr()).await.unwrap()).await;
        assert_eq!(h2_get(&mut requests, "/status/201").await.unwrap().0, 201);
        assert_eq!(h2_get(&mut requests, "/bytes/300000").await.unwrap().1.len(), 300_000);
        let request = Request::post("http://testbed/echo?q=1").header("x-a", "b").body(()).unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"hello"), true).unwrap();
        let mut stream = response.await.unwrap().into_body();
        let echo: serde_json::Value = serde_json::from_slice(&stream.data().await.unwrap().unwrap()).unwrap();
        assert_eq!((&echo["body"], &echo["protocol"]), (&json!("hello"), &json!("HTTP/2")));
        assert_eq!((&echo["headers"]["x-a"], &echo["query"]), (&json!("b"), &json!("q=1")));
        // One stream is reset, the connection lives on.
        assert_eq!(h2_get(&mut requests, "/reset").await.unwrap().0, 200);
        let error = h2_get(&mut requests, "/reset").await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        assert_eq!(h2_get(&mut requests, "/cut").await.unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
        let (status, stats) = h2_get(&mut requests, "/__stats").await.unwrap();
        assert_eq!((status, stats.is_empty()), (200, false));
    });
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    let stats = testbed.stats();
    let counts =
        |path: &str| (stats.paths[path].received, stats.paths[path].reset, stats.paths[path].truncated);
    assert_eq!((counts("/reset"), counts("/cut")), ((2, 1, 0), (1, 0, 1)));
    assert_eq!((stats.received(), stats.connections.accepted), (6, 1));
}

#[test]
fn endpoints_event_streams_and_faults_are_the_same_over_http2() {
    let testbed = Testbed::start(Config::aragora()).unwrap();
    testbed.merge_fault(&json!({"rules": [{"path": "/api/agents", "drop": {"every": 2}}]})).unwrap();
    runtime().block_on(async {
        let mut requests = h2_over(TcpStream::connect(testbed.addr()).await.unwrap()).await;
        assert_eq!(h2_get(&mut requests, "/api/agents").await.unwrap().0, 200);
        assert_eq!(h2_get(&mut requests, "/api/agents").await.unwrap_err().reason(), Some(Reason::CANCEL));
        assert_eq!(h2_get(&mut requests, "/api/debates/none").await.unwrap().0, 404);
        assert_eq!(h2_get(&mut requests, "/api/auth/session").await.unwrap().0, 401);
        assert_eq!(h2_get(&mut requests, "/ws").await.unwrap().0, 426);
        let body = br#"{"email": "a@load.test", "password": "p"}"#;
        let request = Request::post("http://testbed/api/auth/login").body(()).unwrap();
        let (response, mut sent) = requests.send_request(request, false).unwrap();
        sent.send_data(Bytes::from_static(body), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        let (status, events) = h2_get(&mut requests, "/sse?events=3&every=5").await.unwrap();
        let text = String::from_utf8(events).unwrap();
        assert_eq!((status, text.matches("event: count").count()), (200, 3), "{text}");
        testbed.merge_fault(&json!({"aragora": {"sse": {"dropAfter": 2}}})).unwrap();
        assert_eq!(
            h2_get(&mut requests, "/sse?events=0&every=1").await.unwrap_err().reason(),
            Some(Reason::CANCEL)
        );
    });
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    let stats = testbed.stats();
    assert_eq!((stats.endpoints["GET /api/agents"].dropped, stats.aragora.logins), (1, 1));
    let sse = &stats.endpoints["GET /sse"];
    assert_eq!(
        (sse.answered[&200], sse.truncated, &stats.sse.closes),
        (1, 1, &[(1000, 1), (1006, 1)].into())
    );
}

#[test]
fn http2_connections_end_after_their_number_of_requests() {
    let testbed = Testbed::start(Config { keep_alive_requests: 2, ..Config::default() }).unwrap();
    runtime().block_on(async {
        let mut requests = h2_over(TcpStream::connect(testbed.addr()).await.unwrap()).await;
        assert_eq!(h2_get(&mut requests, "/healthz").await.unwrap().0, 200);
        assert_eq!(h2_get(&mut requests, "/healthz").await.unwrap().0, 200);
        while h2_get(&mut requests, "/healthz").await.is_ok() {}
    });
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    assert!(testbed.stats().paths["/healthz"].answered[&200] >= 2);
}

fn tls_testbed(tls: Tls, http2: bool) -> Testbed {
    let listen_tls = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    Testbed::start(Config { listen_tls, tls, http2, ..Config::default() }).unwrap()
}

async fn tls_connect(
    testbed: &Testbed,
    pki: &Pki,
    alpn: &[u8],
    identity: Option<&Pki>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match identity {
        Some(pki) => {
            let chain = vec![CertificateDer::from_pem_slice(pki.client_pem.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pki.client_key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let tcp = TcpStream::connect(testbed.tls_addr().unwrap()).await.unwrap();
    let name = ServerName::try_from("pay.example").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

fn named() -> Tls {
    Tls { names: vec!["pay.example".into()], ..Tls::default() }
}

async fn http1_over(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[test]
fn tls_serves_both_protocols_by_alpn() {
    let testbed = tls_testbed(named(), true);
    let pki = testbed.pki().unwrap().clone();
    assert_eq!(testbed.ca_pem(), Some(pki.ca_pem.as_str()));
    assert!(testbed.url().starts_with("https://"));
    runtime().block_on(async {
        let stream = tls_connect(&testbed, &pki, b"h2", None).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut requests = h2_over(stream).await;
        assert_eq!(h2_get(&mut requests, "/healthz").await.unwrap().0, 200);
        let (_, ca) = h2_get(&mut requests, "/__ca").await.unwrap();
        assert_eq!(ca, pki.ca_pem.as_bytes());
        let stream = tls_connect(&testbed, &pki, b"http/1.1", None).await.unwrap();
        let text = http1_over(stream).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with(r#"{"status":"ok"}"#), "{text}");
        // Another authority's client does not trust this server.
        let stranger = Pki::generate(&["pay.example".into()]).unwrap();
        assert!(tls_connect(&testbed, &stranger, b"h2", None).await.is_err());
    });
    let without = tls_testbed(named(), false);
    let pki = without.pki().unwrap().clone();
    assert!(runtime().block_on(tls_connect(&without, &pki, b"h2", None)).is_err());
}

#[test]
fn a_required_client_certificate_is_required() {
    let testbed = tls_testbed(Tls { require_client_certificate: true, ..named() }, true);
    let pki = testbed.pki().unwrap().clone();
    runtime().block_on(async {
        let stream = tls_connect(&testbed, &pki, b"http/1.1", Some(&pki)).await.unwrap();
        assert!(http1_over(stream).await.unwrap().starts_with("HTTP/1.1 200"));
        let stranger = Pki::generate(&[]).unwrap();
        for identity in [None, Some(&stranger)] {
            // In TLS 1.3 the client hears of the refusal when it reads.
            let refused = match tls_connect(&testbed, &pki, b"http/1.1", identity).await {
                Ok(stream) => http1_over(stream).await.is_err(),
                Err(_) => true,
            };
            assert!(refused);
        }
    });
    assert_eq!(testbed.stats().received(), 1);
}
