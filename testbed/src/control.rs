//! The endpoints under `/__` that show and steer the server. They are not counted and no fault touches them.
//! The same is to be had inside a process through `testbed.rs`.

use std::fmt::Write;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::ConfigError;
use crate::faults;
use crate::log::{Log, percentile};
use crate::reply::Reply;
use crate::server::Server;
use crate::streams::{Message, Messages};
use crate::target::parameter;

/// Whether a path belongs to the control endpoints.
pub(crate) fn is_control(path: &str) -> bool {
    path.starts_with("/__")
}

/// Answers a control request.
pub(crate) fn answer(server: &Server, method: &Method, target: (&str, Option<&str>), body: &[u8]) -> Reply {
    let (path, query) = target;
    match (path, method.as_str()) {
        ("/__stats", "GET") => stats(server, query),
        ("/__stats", "DELETE") => {
            server.reset();
            Reply::json(StatusCode::OK, &json!({"reset": true}))
        }
        ("/__log", "GET") => log(server, query),
        ("/__fault", "GET") => faults::describe(&server.faults),
        ("/__fault", "POST") => {
            change_fault(server, body, |patch| server.faults.merge(&patch, Instant::now()))
        }
        ("/__fault", "PUT") => change_fault(server, body, |fault| server.faults.set(fault, Instant::now())),
        ("/__fault", "DELETE") => {
            server.faults.clear();
            faults::describe(&server.faults)
        }
        ("/__state", "DELETE") => {
            server.world.forget();
            Reply::json(StatusCode::OK, &json!({"forgotten": true}))
        }
        ("/__ca", "GET") => authority(server),
        ("/__stats" | "/__log" | "/__fault" | "/__state" | "/__ca", _) => {
            problem(StatusCode::METHOD_NOT_ALLOWED, &format!("{path} does not take {method}"))
        }
        _ => problem(
            StatusCode::NOT_FOUND,
            &format!(
                "{path} is no control endpoint; there are /__stats, /__log?path=, /__fault, /__state and /__ca"
            ),
        ),
    }
}

fn problem(status: StatusCode, error: &str) -> Reply {
    Reply::json(status, &json!({ "error": error }))
}

fn stats(server: &Server, query: Option<&str>) -> Reply {
    let prefix = parameter(query, "prefix").unwrap_or_default();
    match serde_json::to_value(server.stats(&prefix)) {
        Ok(document) => Reply::json(StatusCode::OK, &document),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The log of `path=`, of the paths under `prefix=`, or of all; `entries=false` leaves only the percentiles, and
/// `messages=true` is the log of messages on streams in place of that of requests.
fn log(server: &Server, query: Option<&str>) -> Reply {
    let path = parameter(query, "path");
    let prefix = parameter(query, "prefix").unwrap_or_default();
    let takes = |known: &str| match &path {
        Some(path) => known == path,
        None => known.starts_with(&*prefix),
    };
    if parameter(query, "messages").is_some_and(|value| value == "true") {
        let document = message_document(&server.messages(takes));
        return Reply::new(StatusCode::OK, "application/json", Bytes::from(document));
    }
    let log = server.ledger.log(takes);
    let with_entries = parameter(query, "entries").is_none_or(|value| value != "false");
    Reply::new(StatusCode::OK, "application/json", Bytes::from(log_document(&log, with_entries)))
}

/// The log as JSON, written by hand because it may have millions of entries.
fn log_document(log: &Log, with_entries: bool) -> String {
    let sorted = log.sorted_us();
    let of = |q| percentile(&sorted, q).map_or(Value::Null, |time| json!(time.as_micros() as u64));
    let percentiles =
        json!({"p50": of(0.5), "p90": of(0.9), "p95": of(0.95), "p99": of(0.99), "max": of(1.0)});
    let (count, truncated) = (log.entries.len(), log.truncated);
    let mut out = format!(r#"{{"count":{count},"truncated":{truncated},"percentilesUs":{percentiles}"#);
    if with_entries {
        out.push_str(r#","fields":["arrivalUs","durationUs","status"],"entries":["#);
        for (i, entry) in log.entries.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(out, "{comma}[{},{},{}]", entry.arrival_us, entry.duration_us, entry.status);
        }
        out.push(']');
    }
    out.push('}');
    out
}

/// The log of messages as JSON, written by hand for the same reason.
fn message_document(messages: &Messages) -> String {
    let (count, truncated) = (messages.entries.len(), messages.truncated);
    let mut out = format!(r#"{{"count":{count},"truncated":{truncated},"#);
    out.push_str(r#""fields":["atUs","stream","direction","number","bytes"],"entries":["#);
    for (i, message) in messages.entries.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let direction = if message.sent { "out" } else { "in" };
        let Message { at_us, stream, number, bytes, .. } = message;
        // Writing to a string cannot fail.
        let _ = write!(out, r#"{comma}[{at_us},{stream},"{direction}",{number},{bytes}]"#);
    }
    out.push_str("]}");
    out
}

/// Changes the fault by what a body says.
fn change_fault<T: DeserializeOwned>(
    server: &Server,
    body: &[u8],
    change: impl FnOnce(T) -> Result<(), ConfigError>,
) -> Reply {
    let wanted = match serde_json::from_slice(body) {
        Ok(wanted) => wanted,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("no fault can be read: {error}")),
    };
    match change(wanted) {
        Ok(()) => faults::describe(&server.faults),
        Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn authority(server: &Server) -> Reply {
    match &server.pki {
        Some(pki) => Reply::new(StatusCode::OK, "application/x-pem-file", Bytes::from(pki.ca_pem.clone())),
        None => problem(StatusCode::NOT_FOUND, "the server made no authority of its own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Entry;

    #[test]
    fn the_log_document_is_json() {
        let entry = Entry { arrival_us: 5, duration_us: 7, status: 200 };
        let log = Log { entries: vec![entry, Entry { duration_us: 9, ..entry }], truncated: true };
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let document = read(&log_document(&log, true));
        assert_eq!(document["entries"], json!([[5, 7, 200], [5, 9, 200]]));
        assert_eq!((&document["percentilesUs"]["p50"], &document["truncated"]), (&json!(7), &json!(true)));
        let empty = read(&log_document(&Log::default(), false));
        assert_eq!((&empty["count"], &empty["percentilesUs"]["max"]), (&json!(0), &Value::Null));
    }
}
