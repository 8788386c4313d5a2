//! What the same load costs through hyper's connection API, for the comparison in docs/adr/0002-hot-path.md: `hotpath.rs` without
//! our connection code. Nothing is recorded, rendered or timed here, so this is a lower bound.
//!
//! `hyper ADDRESS [CONNECTIONS [SECONDS]]`

use std::cell::Cell;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |index: usize, default: u64| words.get(index).map_or(Some(default), |word| word.parse().ok());
    let address = words.first().and_then(|word| word.parse().ok());
    let (Some(address), Some(connections), Some(seconds)) = (address, number(1, 50), number(2, 5)) else {
        eprintln!("usage: hyper ADDRESS [CONNECTIONS [SECONDS]]");
        return ExitCode::from(2);
    };
    match measure(address, connections, Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(address: SocketAddr, connections: u64, time: Duration) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let (user, system) = cpu()?;
    let begun = Instant::now();
    let sent = runtime.block_on(async {
        let sent = Rc::new(Cell::new(0_u64));
        let tasks: Vec<_> = (0..connections)
            .map(|_| tokio::task::spawn_local(repeat(address, begun + time, Rc::clone(&sent))))
            .collect();
        for task in tasks {
            task.await?.map_err(|error| error.to_string())?;
        }
        Ok::<_, Failure>(sent.get())
    })?;
    let now = cpu()?;
    let per_request = |time: Duration| time.as_secs_f64() * 1e6 / sent.max(1) as f64;
    println!(
        "{sent} requests: {:.0}/s; per request {:.2} µs user, {:.2} µs system",
        sent as f64 / begun.elapsed().as_secs_f64(),
        per_request(now.0 - user),
        per_request(now.1 - system),
    );
    Ok(())
}

/// One connection that sends one request after the other.
async fn repeat(address: SocketAddr, end: Instant, sent: Rc<Cell<u64>>) -> Result<(), Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::task::spawn_local(connection);
    while Instant::now() < end {
        let request =
            hyper::Request::get("/").header("host", address.to_string()).body(Empty::<Bytes>::new())?;
        let mut body = sender.send_request(request).await?.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        sent.set(sent.get() + 1);
    }
    drop(sender);
    driver.await??;
    Ok(())
}

/// User and system time of this process, from /proc.
fn cpu() -> Result<(Duration, Duration), Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |index: usize| -> Result<Duration, Failure> {
        let field = fields.get(index).ok_or("no CPU time in /proc/self/stat")?;
        Ok(Duration::from_millis(field.parse::<u64>()? * 10))
    };
    Ok((ticks(11)?, ticks(12)?))
}
