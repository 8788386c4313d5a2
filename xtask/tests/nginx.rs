//! The web server of `src/nginx.rs`: its log has every request, with the times that the server itself measured.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use xtask::nginx::{Site, start};
use xtask::{process, report, tools};

/// One request on a connection of its own; returns the response.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// A server that answers one request after [`SLOW`].
fn slow_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        std::thread::sleep(SLOW);
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n").unwrap();
    });
    address
}

const SLOW: Duration = Duration::from_millis(200);

#[test]
fn the_log_has_every_request() {
    if let Err(why) = tools::require(&["nginx"]) {
        return report::skip("nginx", &format!("{why:#}")).unwrap();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nginx-{}", std::process::id()));
    let [port] = process::free_ports().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let server = format!(
        r#"location / {{ return 200 "well\n"; }}
        location /slow {{ proxy_pass http://{}; }}"#,
        slow_server()
    );
    let nginx = start(&Site { folder: &folder, listen, server: &server, http: "", inside: None }).unwrap();

    for _ in 0..20 {
        assert!(get(listen, "/quick?n=1").ends_with("well\n"));
    }
    assert!(get(listen, "/slow").starts_with("HTTP/1.1 200"));
    process::wait_until("the log", Duration::from_secs(5), || Ok(nginx.access_log()?.len() == 21)).unwrap();

    let log = nginx.stop().unwrap();
    assert!(TcpStream::connect(listen).is_err(), "nginx outlived its end");
    let quick: Vec<_> = log.iter().filter(|line| line.path == "/quick").collect();
    assert_eq!(quick.len(), 20);
    assert!(quick.iter().all(|line| line.status == 200 && line.request == "GET /quick?n=1 HTTP/1.1"));
    let slow = log.iter().find(|line| line.path == "/slow").unwrap();
    // nginx reads its clock once per turn of its loop, so it may be a millisecond or two off.
    assert!((198..1_200).contains(&slow.took_ms), "took {} ms", slow.took_ms);
    std::fs::remove_dir_all(folder).unwrap();
}
