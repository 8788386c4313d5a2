//! `GET /metrics`: what was counted, in the Prometheus text format, with the memory and the CPU time of the process.

use std::fmt::Write;

use bytes::Bytes;
use http::StatusCode;

use super::Call;
use crate::ledger::{BUCKETS_S, Histogram};
use crate::reply::Reply;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Clock ticks of `/proc/self/stat` in a second; Linux tells programs this value on every architecture.
const TICKS: f64 = 100.0;

/// Answers with all metrics.
pub(super) fn show(call: &Call<'_>) -> Result<Reply, Reply> {
    let histograms = call.server.ledger.histograms();
    let mut out = String::new();
    head(&mut out, "aragora_http_requests_total", "counter", "Answered requests.");
    for (method, endpoint, status, histogram) in &histograms {
        let labels = labels(method, endpoint, *status);
        line(&mut out, "aragora_http_requests_total", &labels, histogram.count as f64);
    }
    head(&mut out, "aragora_http_request_duration_seconds", "histogram", "Time from request to answer.");
    for (method, endpoint, status, histogram) in &histograms {
        durations(&mut out, &labels(method, endpoint, *status), histogram);
    }
    let (sockets, limited) = (call.server.sockets.open_now(), call.books().counts.limited);
    for (name, kind, help, value) in [
        ("aragora_websocket_connections_active", "gauge", "Open WebSockets.", sockets as f64),
        ("aragora_rate_limit_hits_total", "counter", "Requests over a rate limit.", limited as f64),
        ("process_resident_memory_bytes", "gauge", "Resident memory of the process.", resident_bytes()),
        ("process_cpu_seconds_total", "counter", "CPU time of the process.", cpu_seconds()),
    ] {
        head(&mut out, name, kind, help);
        line(&mut out, name, "", value);
    }
    Ok(Reply::new(StatusCode::OK, CONTENT_TYPE, Bytes::from(out)))
}

// Writing to a string cannot fail, so results of `write!` are dropped below.

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(out: &mut String, name: &str, labels: &str, value: f64) {
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        labels => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

fn labels(method: &str, endpoint: &str, status: u16) -> String {
    format!("method=\"{}\",endpoint=\"{}\",status=\"{status}\"", escaped(method), escaped(endpoint))
}

/// A label's value as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn durations(out: &mut String, labels: &str, histogram: &Histogram) {
    let name = "aragora_http_request_duration_seconds";
    let mut below = 0;
    for (bound, count) in BUCKETS_S.iter().zip(histogram.buckets) {
        below += count;
        line(out, &format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), below as f64);
    }
    line(out, &format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), histogram.count as f64);
    line(out, &format!("{name}_sum"), labels, histogram.sum_us as f64 / 1e6);
    line(out, &format!("{name}_count"), labels, histogram.count as f64);
}

/// The resident memory of this process; 0 where the system does not tell.
fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) as f64 * 1024.0
}

/// The CPU time of this process in user and kernel mode; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; user and kernel time are the 12th and 13th field behind it.
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() as f64 / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_seen() {
        assert!(resident_bytes() > 1e6);
        let before = cpu_seconds();
        let mut sum = 0u64;
        while cpu_seconds() < before + 0.02 {
            sum = sum.wrapping_add((0..100_000).sum());
        }
        assert!(sum > 0);
    }

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(labels("GET", "/a\"b\\", 200), r#"method="GET",endpoint="/a\"b\\",status="200""#);
    }
}
